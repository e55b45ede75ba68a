// Waits for the promise of an asynchronous hook, up to its deadline and for as long as the request is there. What comes
// later is nobody's business any more, and is not an error either.

import type { Clock } from "../base/ports.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import type { Sleeper } from "./guard.ts";

/** One of these is called, once, unless the request is over before. */
export interface HookWaiter {
  onValue(value: unknown): void;
  onThrown(thrown: unknown): void;
  /** The deadline has come. */
  onLate(): void;
}

export class HookWait implements TimerOwner, Sleeper {
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private readonly timer: number;
  private waiter: HookWaiter | null;

  constructor(promise: PromiseLike<unknown>, timeoutMs: number, clock: Clock, timers: TimerWheel, waiter: HookWaiter) {
    this.clock = clock;
    this.timers = timers;
    this.waiter = waiter;
    this.timer = timers.open(this);
    timers.set(this.timer, clock.nowMs() + timeoutMs);
    Promise.resolve(promise).then(
      (value) => this.take()?.onValue(value),
      (thrown: unknown) => this.take()?.onThrown(thrown),
    );
  }

  onDeadline(): void {
    this.take()?.onLate();
  }

  /** Nobody waits any more. Harmless twice. */
  forget(): void {
    if (this.waiter === null) return;
    this.waiter = null;
    this.timers.close(this.timer);
  }

  private take(): HookWaiter | null {
    const { waiter } = this;
    this.forget();
    if (waiter !== null) this.clock.nowMs(); // promises are settled at any time, not only when something has come in
    return waiter;
  }
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
