// The bounded supply of exchanges of one worker. Objects are reused, so that a request allocates none.

import { exchangesMax } from "../base/limits.ts";
import { WC } from "../stats/columns.ts";
import { Exchange } from "./exchange.ts";
import type { Listener } from "./listener.ts";

/** Free objects kept for reuse; beyond it they are left to the garbage collector. */
const keptMax = 4096;

export class ExchangePool {
  private readonly free: Exchange[] = [];
  private readonly counters: Float64Array;
  private used = 0;

  constructor(workerCounters: Float64Array) {
    this.counters = workerCounters;
  }

  /** Exchanges in progress. */
  get inUse(): number {
    return this.used;
  }

  /** An exchange, or null when all are in use. */
  take(listener: Listener): Exchange | null {
    if (this.used >= exchangesMax) {
      this.counters[WC.exchangesRefused]!++;
      return null;
    }
    this.used++;
    this.counters[WC.exchanges] = this.used;
    return this.free.pop() ?? new Exchange(listener);
  }

  give(exchange: Exchange): void {
    this.used--;
    this.counters[WC.exchanges] = this.used;
    if (this.free.length < keptMax) this.free.push(exchange);
  }
}
