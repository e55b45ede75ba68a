// The deadlines of one exchange on one timer: its wait in a queue, the answer to an attempt, the whole of it, and the
// client's pace. The codecs have their own for silence.

import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";

export const Deadline = { Queue: 0, Attempt: 1, Total: 2, Pace: 3 } as const;
export type Deadline = (typeof Deadline)[keyof typeof Deadline];

export interface DeadlineOwner {
  /** The deadline has come; it is not set any more. Everything may be closed meanwhile. */
  onExpired(which: Deadline): void;
}

export class Deadlines implements TimerOwner {
  private readonly owner: DeadlineOwner;
  /** Monotonic ms by Deadline; 0 = none. */
  private readonly at = new Float64Array(4);
  private timers: TimerWheel | null = null;
  private slot = -1;

  constructor(owner: DeadlineOwner) {
    this.owner = owner;
  }

  set(which: Deadline, atMs: number, timers: TimerWheel): void {
    this.at[which] = atMs;
    this.timers = timers;
    this.arm();
  }

  isSet(which: Deadline): boolean {
    return this.at[which] !== 0;
  }

  /** A timer that is running on comes in vain, and finds nothing due. */
  clear(which: Deadline): void {
    this.at[which] = 0;
  }

  /** Clears all and gives the timer back. */
  close(): void {
    if (this.slot < 0) return;
    this.at.fill(0);
    this.timers!.close(this.slot);
    this.slot = -1;
  }

  onDeadline(_slot: number, nowMs: number): void {
    for (let which = 0; which < this.at.length; which++) {
      if (this.at[which] === 0 || this.at[which]! > nowMs) continue;
      this.at[which] = 0;
      this.owner.onExpired(which as Deadline);
      break; // the owner may be another request's by now
    }
    if (this.slot >= 0) this.arm();
  }

  private arm(): void {
    let next = Infinity;
    for (const atMs of this.at) if (atMs !== 0 && atMs < next) next = atMs;
    if (next === Infinity) return;
    if (this.slot < 0) this.slot = this.timers!.open(this);
    this.timers!.set(this.slot, next);
  }
}
