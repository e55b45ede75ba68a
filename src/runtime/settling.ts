// Waiting for the first answers of several sources, but not for ever.

import type { Clock } from "../base/ports.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";

export class Settling {
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private readonly isSettled: () => boolean;
  private waiters: (() => void)[] = [];

  constructor(clock: Clock, timers: TimerWheel, isSettled: () => boolean) {
    this.clock = clock;
    this.timers = timers;
    this.isSettled = isSettled;
  }

  /** Resolves once everything has settled, or after timeoutMs. */
  wait(timeoutMs: number): Promise<void> {
    if (this.isSettled()) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        this.timers.close(slot);
        this.waiters = this.waiters.filter((waiter) => waiter !== finish);
        resolve();
      };
      const slot = this.timers.open({ onDeadline: finish });
      this.timers.set(slot, this.clock.nowMs() + timeoutMs);
      this.waiters.push(finish);
    });
  }

  /** To be called when something may have settled. */
  look(): void {
    if (this.waiters.length > 0 && this.isSettled()) for (const waiter of [...this.waiters]) waiter();
  }
}
