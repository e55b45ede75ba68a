// The bytes on their way to one end of a simulated connection, each piece with the moment of its arrival.

interface Piece {
  readonly bytes: Uint8Array;
  readonly atMs: number;
}

export class Inbox {
  /** Bytes not taken yet, arrived or on their way. */
  queued = 0;
  /** When the last piece arrives. */
  lastMs = 0;
  private pieces: Piece[] = [];
  /** Bytes of the first piece that have been taken. */
  private used = 0;
  private finishAtMs = Infinity;

  add(bytes: Uint8Array, atMs: number): void {
    if (bytes.length === 0) return;
    this.lastMs = Math.max(this.lastMs, atMs);
    this.pieces.push({ bytes, atMs: this.lastMs });
    this.queued += bytes.length;
  }

  /** FIN, behind everything. */
  finish(atMs: number): void {
    this.lastMs = Math.max(this.lastMs, atMs);
    this.finishAtMs = this.lastMs;
  }

  /** Bytes that may be taken now. */
  arrived(nowMs: number): number {
    let sum = -this.used;
    for (const piece of this.pieces) {
      if (piece.atMs > nowMs) break;
      sum += piece.bytes.length;
    }
    return Math.max(0, sum);
  }

  /** FIN has arrived and nothing is before it. */
  isFinished(nowMs: number): boolean {
    return this.queued === 0 && this.finishAtMs <= nowMs;
  }

  /** When there is something to look at; Infinity = nothing is on its way. */
  nextMs(finHeard: boolean): number {
    const [first] = this.pieces;
    if (first !== undefined) return first.atMs;
    return finHeard ? Infinity : this.finishAtMs;
  }

  /** The first size bytes, as a copy of their own. */
  take(size: number): Uint8Array {
    const bytes = Buffer.alloc(size); // as the real network gives
    let at = 0;
    while (at < size) {
      const first = this.pieces[0]!;
      const part = first.bytes.subarray(this.used, this.used + size - at);
      bytes.set(part, at);
      at += part.length;
      this.used += part.length;
      if (this.used === first.bytes.length) {
        this.pieces.shift();
        this.used = 0;
      }
    }
    this.queued -= size;
    return bytes;
  }
}
