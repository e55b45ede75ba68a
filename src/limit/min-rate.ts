// Judges whether a peer sends or takes fast enough. Only time in which it is the peer that everybody waits for counts:
// not the time in which we have paused it, or have nothing for it. It is an allowance of time: waiting uses it up, and
// bytes earn it back at the least rate, never beyond the grace. So a peer that keeps the rate is never cut, however its
// bytes come; one that stands still is after the grace, also late in a long transfer; one at half the rate after twice
// the grace. A few numbers for each exchange and no timer: deadlineMs() is for the caller's.

/** One direction of one exchange; begin() makes it new. */
export class MinRate {
  private msPerByte = 0;
  private graceMs = 0;
  /** What is left of the allowance, as of sinceMs if waiting. */
  private leftMs = 0;
  private sinceMs = 0;
  private waiting = false;

  /** A transfer begins, and the peer is not waited for yet. bytesPerSecond and graceMs from 1. */
  begin(bytesPerSecond: number, graceMs: number): void {
    this.msPerByte = 1000 / bytesPerSecond;
    this.graceMs = graceMs;
    this.leftMs = graceMs;
    this.waiting = false;
  }

  /** From now on it is the peer's turn; said again it changes nothing. */
  wait(nowMs: number): void {
    if (this.waiting) return;
    this.waiting = true;
    this.sinceMs = nowMs;
  }

  /** From now on it is ours: the peer is paused, or has all that there is. */
  hold(nowMs: number): void {
    this.settle(nowMs);
    this.waiting = false;
  }

  /** So many bytes have come from the peer, or have been taken by it. */
  note(bytes: number, nowMs: number): void {
    this.settle(nowMs);
    this.leftMs = Math.min(this.graceMs, this.leftMs + bytes * this.msPerByte);
  }

  tooSlow(nowMs: number): boolean {
    return nowMs > this.deadlineMs();
  }

  /** When the peer will be too slow if nothing more comes; Infinity while it is not its turn. */
  deadlineMs(): number {
    return this.waiting ? this.sinceMs + this.leftMs : Infinity;
  }

  private settle(nowMs: number): void {
    if (!this.waiting) return;
    this.leftMs -= Math.max(0, nowMs - this.sinceMs);
    this.sinceMs = nowMs;
  }
}
