// A state directory in memory, for tests. Not used by the program.

import type { StateDirectory } from "../sys/state-directory.ts";

export class FakeState implements StateDirectory {
  readonly path = "/state";
  readonly files = new Map<string, Uint8Array>();
  /** Thrown by every call while it is not "". */
  trouble = "";
  /** Who comes first: what the next create() finds there. */
  rival: Uint8Array | null = null;
  writes = 0;

  read(name: string, bytesMax: number): Uint8Array | null {
    this.check();
    const bytes = this.files.get(name) ?? null;
    if (bytes !== null && bytes.length > bytesMax) throw new Error(`cannot read ${name}: it is too large`);
    return bytes;
  }

  write(name: string, bytes: Uint8Array): void {
    this.check();
    this.writes++;
    this.files.set(name, bytes.slice());
  }

  create(name: string, bytes: Uint8Array): boolean {
    this.check();
    if (this.rival !== null) this.files.set(name, this.rival);
    this.rival = null;
    if (this.files.has(name)) return false;
    this.write(name, bytes);
    return true;
  }

  text(name: string): string {
    return new TextDecoder().decode(this.files.get(name));
  }

  private check(): void {
    if (this.trouble !== "") throw new Error(this.trouble);
  }
}
