// Drives the timer wheel that all deadlines hang on, and gives the control plane its few ordinary timers. A callback
// that throws is reported and the timers go on.

import { TICK_MS, TimerWheel } from "../base/timer-wheel.ts";
import type { Clock } from "../base/ports.ts";

export interface Ticker {
  readonly wheel: TimerWheel;
  /** How late the last tick was, in ms: what the event loop was busy for. */
  readonly lagMs: number;
  stop(): void;
}

export interface TickerOptions {
  readonly clock: Clock;
  /** Called for every exception a deadline throws. */
  readonly onError: (error: unknown) => void;
  /** Called after each tick, once the deadlines have fired; for gauges such as the loop lag. */
  readonly onTick?: (nowMs: number, lagMs: number) => void;
}

class WheelTicker implements Ticker {
  readonly wheel: TimerWheel;
  lagMs: number;
  private readonly options: TickerOptions;
  private readonly timer: ReturnType<typeof setInterval>;
  private lastMs: number;

  constructor(options: TickerOptions) {
    const now = options.clock.nowMs();
    this.options = options;
    this.wheel = new TimerWheel(now);
    this.lagMs = 0;
    this.lastMs = now;
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    const now = this.options.clock.nowMs();
    this.lagMs = Math.max(0, now - this.lastMs - TICK_MS);
    this.lastMs = now;
    try {
      this.wheel.advance(now);
      this.options.onTick?.(now, this.lagMs);
    } catch (error) {
      this.options.onError(error);
    }
  }
}

/** Starts a wheel that is advanced every TICK_MS. It keeps the process alive until stopped. */
export function startTicker(options: TickerOptions): Ticker {
  return new WheelTicker(options);
}

/** A running timer. */
export interface Timer {
  cancel(): void;
}

/**
 * Calls run every `ms` until cancelled. An exception goes to the process's uncaught-exception hook; the next turn
 * comes.
 */
export function every(ms: number, run: () => void): Timer {
  const timer = setInterval(run, ms);
  return { cancel: () => clearInterval(timer) };
}

/** Calls run once after `ms` unless cancelled. */
export function after(ms: number, run: () => void): Timer {
  const timer = setTimeout(run, ms);
  return { cancel: () => clearTimeout(timer) };
}

/** Resolves after `ms`. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
