// Writing to a Bun socket with everything kept in order: what the kernel does not take now goes out when there is room.
// Long bodies are produced piece by piece, so that a slow reader costs the origin no memory.

/** The part of a Bun socket that an outlet uses: returns the bytes taken, -1 when closed. */
export interface OutletSocket {
  write(bytes: Uint8Array): number;
}

/** Gives the next piece of a long body, or null at its end. */
export type Source = () => Uint8Array | null;

type Item =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "source"; readonly source: Source }
  | { readonly kind: "task"; readonly task: () => void };

export class Outlet {
  /** Bytes the kernel has taken. */
  written = 0;
  private readonly socket: OutletSocket;
  private readonly queue: Item[] = [];
  private pumping = false;

  constructor(socket: OutletSocket) {
    this.socket = socket;
  }

  /** Sends after everything before it. Text is Latin-1. */
  send(bytes: Uint8Array | string): void {
    this.add({ kind: "bytes", bytes: typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes });
  }

  /** Sends all pieces of the source after everything before it. */
  stream(source: Source): void {
    this.add({ kind: "source", source });
  }

  /** Runs the task when the kernel has taken everything before it. Never, when the connection closes first. */
  afterwards(task: () => void): void {
    this.add({ kind: "task", task });
  }

  /** To be called when the socket has room again. */
  pump(): void {
    if (this.pumping) return; // a task may send, which would come back here
    this.pumping = true;
    while (this.step());
    this.pumping = false;
  }

  private add(item: Item): void {
    this.queue.push(item);
    this.pump();
  }

  /** Works on the first item; false when the socket is full or nothing is left. */
  private step(): boolean {
    const item = this.queue[0];
    if (item === undefined) return false;
    switch (item.kind) {
      case "bytes":
        return this.write(item.bytes);
      case "source": {
        const bytes = item.source();
        if (bytes === null) this.queue.shift();
        else this.queue.unshift({ kind: "bytes", bytes });
        return true;
      }
      case "task":
        this.queue.shift();
        item.task();
        return true;
    }
  }

  private write(bytes: Uint8Array): boolean {
    const taken = this.socket.write(bytes);
    if (taken < 0) {
      this.queue.length = 0;
      return false;
    }
    this.written += taken;
    if (taken < bytes.length) {
      this.queue[0] = { kind: "bytes", bytes: bytes.subarray(taken) };
      return false;
    }
    this.queue.shift();
    return true;
  }
}
