// How much of something one client has at once over all workers: requests in progress of a route, or connections to a
// listener. In shared memory each key has a word for every worker, which that worker alone writes; their sum is the
// count. So when a worker dies its words are zeroed (TableArena.clearWorker), and nothing of it is counted for ever.
//
// A place is taken by adding first and looking at the sum then, so that two workers that take the last one at the same
// time never both have it; rather both give it back and look again.

import { concurrencyKeysMax } from "../base/limits.ts";
import type { Hash64 } from "../base/keyed-hash.ts";
import type { ConcurrencyConfig } from "../model/route-config.ts";
import type { SharedTable } from "../stats/shared-table.ts";
import type { TableWish } from "../stats/table-arena.ts";

/** acquire(): the key has as many as it may. */
export const REFUSED = -1;
/** acquire(): there is no room to count it, so it is let pass. To be released like any other. */
export const UNCOUNTED = 0;

/** How often a sum that was one too high for a moment is looked at again. */
const AGAIN_MAX = 4;
/** Words of a key are so many at least: a change of the number of workers below it goes on with the same table. */
const WORKERS_MIN = 8;

export class ConcurrencyLimit {
  readonly max: number;
  private readonly table: SharedTable;
  private readonly worker: number;

  /** The table is the one of concurrencyTable() or connectionsTable(); worker is this process's number, from 0. */
  constructor(max: number, table: SharedTable, worker: number) {
    this.max = max;
    this.table = table;
    this.worker = worker;
  }

  /** The same counts under another bound. What was acquired from one may be released to the other. */
  withMax(max: number): ConcurrencyLimit {
    return max === this.max ? this : new ConcurrencyLimit(max, this.table, this.worker);
  }

  /**
   * True if both count in the same table. If not, what outlives a generation (a connection) gives its place back when
   * the generation is replaced: the memory may be another table's soon.
   */
  sharesCountsWith(other: ConcurrencyLimit | null): boolean {
    return other !== null && other.table === this.table;
  }

  /** Counts one more of this key. Returns what release() wants, exactly once, or REFUSED. */
  acquire(key: Hash64, nowMs: number): number {
    const { table, worker } = this;
    for (let k = 0; k < AGAIN_MAX; k++) {
      const slot = table.claimIdle(key.a, key.b, nowMs);
      if (slot < 0) return UNCOUNTED;
      const own = table.load(slot, worker);
      table.store(slot, worker, own + 1);
      // A place that nobody was using may have been given to another key before that.
      const isOurs = table.holds(slot, key.a, key.b);
      if (isOurs && this.sum(slot) <= this.max) return slot;
      table.store(slot, worker, own);
      if (isOurs && this.sum(slot) >= this.max) return REFUSED;
    }
    return REFUSED;
  }

  /** Gives back what acquire() returned. */
  release(slot: number): void {
    if (slot <= UNCOUNTED) return;
    const { table, worker } = this;
    table.store(slot, worker, table.load(slot, worker) - 1);
  }

  /** How many the key has now, all workers together. */
  count(key: Hash64): number {
    const slot = this.table.find(key.a, key.b);
    return slot < 0 ? 0 : this.sum(slot);
  }

  private sum(slot: number): number {
    const { table } = this;
    let sum = 0;
    for (let w = 0; w < table.shape.values; w++) sum += table.load(slot, w);
    return sum;
  }
}

/**
 * The shared memory of a route's limit. owner: the route, by listener and name. Another number of requests is the same
 * table: what is in progress goes on counting.
 */
export function concurrencyTable(owner: string, config: ConcurrencyConfig, workers: number): TableWish {
  return wish(["concurrency", owner, config.by], workers);
}

/** The shared memory of a listener's limits.connectionsPerClient. */
export function connectionsTable(listener: string, workers: number): TableWish {
  return wish(["connections", listener], workers);
}

function wish(identity: readonly unknown[], workers: number): TableWish {
  const values = Math.max(WORKERS_MIN, 2 ** Math.ceil(Math.log2(workers)));
  return { name: JSON.stringify([...identity, values]), keys: concurrencyKeysMax, values, perWorker: true };
}
