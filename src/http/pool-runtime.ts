// A pool as requests see it: the picker with its columns, and the queue of exchanges that wait because every endpoint
// is full.

import { type Failure, failure, FailureCause, Phase, Side } from "../base/failure.ts";
import type { Clock } from "../base/ports.ts";
import { TICK_MS, type TimerOwner, type TimerWheel } from "../base/timer-wheel.ts";
import type { ConnectionShare } from "../pool/connection-share.ts";
import type { PickState } from "../balance/balancer.ts";
import type { Connector } from "../pool/connector.ts";
import type { Pool } from "../pool/pool.ts";
import { WaitQueue } from "../pool/queue.ts";
import type { Stickiness } from "../pool/stickiness/stickiness.ts";
import type { Attempts } from "./attempts.ts";

/** acquire(): there is an endpoint, but the pool may have no further connection: wait as for ALL_FULL. */
export const LACKS_CONNECTION = -4;

const queueFull = failure(Side.Proxy, Phase.Queue, FailureCause.Full);

export class PoolRuntime implements TimerOwner {
  readonly name: string;
  readonly pool: Pool;
  /** Rows and settings in one string: two plans with equal keys share the runtime. */
  readonly key: string;
  /** Limits the pool's connections; null = nothing does. */
  readonly share: ConnectionShare | null;
  /** Keeps clients at their endpoints; null = nothing does. */
  readonly stickiness: Stickiness | null;
  /** The pool that took this one's place in a later generation: where requests go on for which nobody is left here. */
  successor: PoolRuntime | null = null;
  /** Why wait() has last said no. */
  refusal: Failure = queueFull;
  private readonly queue: WaitQueue<Attempts>;
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private timer = -1; // open only while somebody waits
  private serving = false;

  constructor(
    name: string,
    key: string,
    pool: Pool,
    clock: Clock,
    timers: TimerWheel,
    share: ConnectionShare | null = null,
    stickiness: Stickiness | null = null,
  ) {
    this.name = name;
    this.key = key;
    this.pool = pool;
    this.share = share;
    this.stickiness = stickiness;
    this.queue = new WaitQueue(pool.config.queue.size);
    this.clock = clock;
    this.timers = timers;
    pool.onCapacity = () => this.serve();
  }

  get waiting(): number {
    return this.queue.length;
  }

  /**
   * An endpoint for the request, and the right to a connection to it: Pool.acquire() - or LACKS_CONNECTION where
   * the pool may have no further one. fresh = an idle connection will not do.
   */
  acquire(state: PickState, connector: Connector, fresh: boolean): number {
    const { pool } = this;
    const index = pool.acquire(state);
    if (index < 0 || this.share === null || connector.reserve(pool.members[index]!.row, fresh)) return index;
    pool.undo(index);
    return LACKS_CONNECTION;
  }

  /** Takes an acquire() back: the request is not sent. */
  undo(index: number, connector: Connector): void {
    this.pool.undo(index);
    connector.unreserve();
  }

  /**
   * Queues the request; false if the queue is full, or too many requests wait in all workers: see refusal.
   * lacksConnection: there is an endpoint for it, but the pool may have no further connection.
   */
  wait(request: Attempts, lacksConnection: boolean): boolean {
    const { circuit } = this.pool;
    if (circuit !== null && !circuit.enterQueue()) {
      this.refusal = circuit.refuse("pending");
      return false;
    }
    if (!this.queue.push(request)) {
      if (circuit !== null) circuit.leaveQueue();
      this.refusal = circuit !== null && lacksConnection ? circuit.refuse("connections") : queueFull;
      return false;
    }
    // A slot may become free in another worker, which cannot tell us: look again at every tick.
    if (this.timer < 0) this.timer = this.timers.open(this);
    this.timers.set(this.timer, this.clock.cachedMs + TICK_MS);
    return true;
  }

  leave(request: Attempts): void {
    if (this.queue.remove(request) && this.pool.circuit !== null) this.pool.circuit.leaveQueue();
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
    try {
      for (let next = this.queue.first; next !== null; next = this.queue.first) {
        if (!next.tryAgain()) break;
      }
    } finally {
      this.serving = false; // whatever was thrown: those behind are to be served
    }
  }

  /** Hands every waiting exchange to the pool that replaced this one. */
  moveWaiting(successor: PoolRuntime): void {
    for (let next = this.queue.first; next !== null; next = this.queue.first) {
      this.leave(next);
      next.moveTo(successor);
    }
  }
}
