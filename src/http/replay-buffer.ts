// Keeps the bytes of a request body that have been sent to an endpoint, so that they can be sent again to another one.
// Bytes are copied into pieces of memory that the worker's requests share, bounded in all; a body that outgrows its
// bound, or finds no memory, is let go and cannot be repeated from then on. Nothing here decides whether to repeat.

import { copyBytes } from "../base/bytes.ts";
import { replayBytesMax, replayChunkBytes } from "../base/limits.ts";
import { Flow, type HttpStream } from "../codec/stream.ts";

/** Free pieces that are kept for the next body; what is above goes back to the collector. */
const freeBytesMax = 4 * 1024 * 1024;

/** The pieces of one worker. */
export class ReplayMemory {
  private readonly chunksMax: number;
  private readonly freeMax: number;
  private readonly free: Uint8Array[] = [];
  private used = 0;

  /** bytesMax: for all bodies together. */
  constructor(bytesMax: number = replayBytesMax) {
    this.chunksMax = Math.floor(bytesMax / replayChunkBytes);
    this.freeMax = Math.min(this.chunksMax, Math.floor(freeBytesMax / replayChunkBytes));
  }

  /** Bytes that hold bodies now. */
  get bytes(): number {
    return this.used * replayChunkBytes;
  }

  /** A piece, or null when all are in use. Its content is anything. */
  take(): Uint8Array | null {
    if (this.used >= this.chunksMax) return null;
    this.used++;
    return this.free.pop() ?? new Uint8Array(replayChunkBytes);
  }

  /** Takes a piece back. lost = somebody may still read it: it is not used again. */
  give(chunk: Uint8Array, lost: boolean): void {
    this.used--;
    if (!lost && this.free.length < this.freeMax) this.free.push(chunk);
  }
}

export class ReplayBuffer {
  private readonly memory: ReplayMemory;
  private readonly chunks: Uint8Array[] = [];
  /** Most bytes to keep; 0 = nothing is kept. */
  private max = 0;
  private length = 0;
  /** The body is whole: its end is in the buffer too. */
  private ended = false;
  /** Next byte to replay, and the piece that a stream may still be reading; -1 = none. */
  private at = 0;
  private lent = -1;
  private replaying = false;

  constructor(memory: ReplayMemory) {
    this.memory = memory;
  }

  /** Begins with a new request. max = bytes to keep (replayBytes() of retry.ts); 0 = none. */
  begin(max: number): void {
    if (this.chunks.length > 0) this.release();
    this.max = max;
    this.length = 0;
    this.ended = false;
    this.replaying = false;
  }

  /** True while everything that was noted is here. Also true for a body of which nothing has been noted. */
  get canReplay(): boolean {
    return this.max > 0;
  }

  /** A replay is under way: replayInto() is to be called at the stream's next onDrain, and the client is to be held. */
  get isReplaying(): boolean {
    return this.replaying;
  }

  /** All of the body is here, and no replay is under way. */
  get isWhole(): boolean {
    return this.max > 0 && this.ended && !this.replaying;
  }

  /** Bytes kept. */
  get size(): number {
    return this.length;
  }

  /** True if there is anything to send again: bytes, or the end of the body. */
  get isEmpty(): boolean {
    return this.length === 0 && !this.ended;
  }

  /** Body bytes [start, end) come from the client, before they are sent; last = the body ends with them. */
  note(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (this.max === 0) return;
    if (this.length + end - start > this.max) {
      this.release();
      return;
    }
    for (let from = start; from < end;) {
      const used = this.length % replayChunkBytes;
      if (used === 0 && !this.grow()) return;
      const take = Math.min(end - from, replayChunkBytes - used);
      copyBytes(this.chunks[this.chunks.length - 1]!, used, bytes, from, from + take);
      from += take;
      this.length += take;
    }
    if (last) this.ended = true;
  }

  /** Sends all that was noted to a stream whose head has been sent. Go = done; Pause = call again after onDrain. */
  replay(stream: HttpStream): Flow {
    this.at = 0;
    this.replaying = true;
    return this.replayInto(stream);
  }

  /** Goes on with a replay. The last Pause may also come when nothing is left: see isReplaying. */
  replayInto(stream: HttpStream): Flow {
    this.lent = -1; // what it held has been taken
    while (this.at < this.length || (this.ended && this.replaying && this.length === 0)) {
      const index = Math.floor(this.at / replayChunkBytes);
      const start = this.at - index * replayChunkBytes;
      const end = Math.min(replayChunkBytes, this.length - index * replayChunkBytes);
      this.at += end - start;
      const done = this.at >= this.length;
      if (done) this.replaying = false;
      const flow = stream.sendData(this.chunks[index] ?? nothing, start, end, done && this.ended);
      if (flow === Flow.Go) continue;
      if (flow === Flow.Pause) this.lent = index;
      return flow;
    }
    this.replaying = false;
    return Flow.Go;
  }

  /** The stream has taken what it held (onDrain): the memory is free to be used again after release(). */
  onDrained(): void {
    this.lent = -1;
  }

  /** Lets go of all bytes: nothing can be replayed from now on, until begin(). Harmless when there are none. */
  release(): void {
    const { chunks } = this;
    for (let i = 0; i < chunks.length; i++) this.memory.give(chunks[i]!, i === this.lent);
    chunks.length = 0;
    this.max = 0;
    this.length = 0;
    this.lent = -1;
    this.replaying = false;
  }

  private grow(): boolean {
    const chunk = this.memory.take();
    if (chunk === null) {
      this.release();
      return false;
    }
    this.chunks.push(chunk);
    return true;
  }
}

const nothing = new Uint8Array(0);
