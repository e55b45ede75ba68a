// A pool as requests see it: the picker with its columns, and the queue of exchanges that wait because every endpoint
// is full.

import type { Clock } from "../base/ports.ts";
import { TICK_MS, type TimerOwner, type TimerWheel } from "../base/timer-wheel.ts";
import type { Pool } from "../pool/pool.ts";
import { WaitQueue } from "../pool/queue.ts";
import type { Exchange } from "./exchange.ts";

export class PoolRuntime implements TimerOwner {
  readonly name: string;
  readonly pool: Pool;
  /** Rows and settings in one string: two plans with equal keys share the runtime. */
  readonly key: string;
  private readonly queue: WaitQueue<Exchange>;
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private timer = -1; // open only while somebody waits
  private serving = false;

  constructor(name: string, key: string, pool: Pool, clock: Clock, timers: TimerWheel) {
    this.name = name;
    this.key = key;
    this.pool = pool;
    this.queue = new WaitQueue(pool.config.queue.size);
    this.clock = clock;
    this.timers = timers;
    pool.onCapacity = () => this.serve();
  }

  get waiting(): number {
    return this.queue.length;
  }

  /** Queues the exchange; false if the queue is full. */
  wait(exchange: Exchange): boolean {
    if (!this.queue.push(exchange)) return false;
    // A slot may become free in another worker, which cannot tell us: look again at every tick.
    if (this.timer < 0) this.timer = this.timers.open(this);
    this.timers.set(this.timer, this.clock.cachedMs + TICK_MS);
    return true;
  }

  leave(exchange: Exchange): void {
    this.queue.remove(exchange);
  }

  onDeadline(_slot: number, nowMs: number): void {
    this.serve();
    if (this.queue.length > 0) this.timers.set(this.timer, nowMs + TICK_MS);
    else {
      this.timers.close(this.timer);
      this.timer = -1;
    }
  }

  /** Lets waiting exchanges try again, in order, until one finds no place. */
  private serve(): void {
    if (this.serving) return; // release() inside an attempt calls back here
    this.serving = true;
    for (let next = this.queue.first; next !== null; next = this.queue.first) {
      if (!next.tryAgain()) break;
    }
    this.serving = false;
  }

  /** Hands every waiting exchange to the pool that replaced this one. */
  moveWaiting(successor: PoolRuntime): void {
    for (let next = this.queue.first; next !== null; next = this.queue.first) {
      this.queue.remove(next);
      next.moveTo(successor);
    }
  }
}
