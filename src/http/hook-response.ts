// A response as hooks see it (HookResponseView), and the response that waits while an asynchronous hook looks at it.

import { copyOf, type Scratch } from "../base/bytes.ts";
import { responseHeadBytesMax, responseHeadersMax } from "../base/limits.ts";
import type { HookResponseView } from "../config/ts/hook-types.ts";
import { parseResponse } from "../wire/h1/parse.ts";
import { Head } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";
import { type FieldPair, HookEdits, readField, readFields } from "./hook-fields.ts";

const none: readonly FieldPair[] = [];

// For hooks that ask later, and for those who go on with a response that has waited. Nobody else uses these.
const shownHead = new Head(responseHeadersMax);
const heldHead = new Head(responseHeadersMax);

export class ResponseView implements HookResponseView {
  readonly status: number;
  readonly pool: string;
  readonly endpoint: string;
  private readonly x: Exchange;
  /** The response as it came, for as long as the hook has not given back control. */
  private head: Head | null;
  /** Afterwards a copy. */
  private bytes: Uint8Array | null = null;
  private edits: HookEdits | null = null;
  private isOpen = true;
  private isOver = false;

  constructor(x: Exchange, head: Head) {
    const { attempts } = x;
    this.x = x;
    this.head = head;
    this.status = head.status;
    this.pool = x.isOwnAnswer ? "" : (attempts.pool?.name ?? "");
    this.endpoint = x.isOwnAnswer ? "" : attempts.endpointId;
  }

  // ---- for the exchange

  /** The hook wants time: what it is shown has to outlive the bytes that came. */
  keep(): void {
    const { bytes, start, end } = this.head!;
    this.bytes = copyOf(bytes, start, end);
    this.head = null;
  }

  /** What keep() kept, in a shared Head that is valid until the next call. */
  again(): Head {
    return this.parse(heldHead);
  }

  /** The hook is done. */
  close(): void {
    this.isOpen = false;
    this.head = null;
  }

  /** Whatever the hook has done to the response is not done. */
  discard(): void {
    this.close();
    this.edits = null;
  }

  /** The request is over. */
  end(): void {
    this.close();
    this.isOver = true;
  }

  /** Changes the header fields that the client gets. */
  apply(head: Head, lines: Scratch): void {
    if (this.edits !== null) this.edits.apply(head, lines, false);
  }

  // ---- what hooks ask

  get elapsedMs(): number {
    this.assertLive();
    return this.x.listener.clock.nowMs() - this.x.startMs;
  }

  header(name: string): string | null {
    return readField(this.read(), none, this.edits, name);
  }

  headers(): readonly FieldPair[] {
    return readFields(this.read(), none, this.edits);
  }

  setHeader(name: string, value: string | readonly string[]): void {
    this.change().set(name, value);
  }

  appendHeader(name: string, value: string): void {
    this.change().append(name, value);
  }

  removeHeader(name: string): void {
    this.change().remove(name);
  }

  // ---- behind them

  private assertLive(): void {
    if (this.isOver) throw new Error("this response is over: read what is needed later before it is");
  }

  private change(): HookEdits {
    this.assertLive();
    if (!this.isOpen) throw new Error("too late: the response has gone on, and cannot be changed");
    return (this.edits ??= new HookEdits());
  }

  private read(): Head {
    this.assertLive();
    if (this.head !== null) return this.head;
    if (this.bytes === null) throw new Error("this response has gone on: read what is needed later before it has");
    return this.parse(shownHead);
  }

  private parse(into: Head): Head {
    const bytes = this.bytes!;
    const { length } = bytes;
    if (parseResponse(bytes, 0, length, into, this.x.method, responseHeadBytesMax, responseHeadersMax) !== length) {
      throw new Error("a kept response is lost");
    }
    return into;
  }
}
