// A rate limit: so many requests in so much time for each key, and a burst at once. It is the token bucket, kept as the
// generic cell rate algorithm (ITU-T I.371): one number for each key, the time at which its bucket would be full again
// ("theoretical arrival time"). The same code serves the limit of one worker over memory of its own and the exact limit
// over memory that all workers share. It knows no requests, only the hashes of their keys.
//
// The number is 32 bits of a count of units, modulo 2^32. A unit is a whole part of the time that one request costs, as
// small as allows the whole bucket to be less than 2^30 units; so costs are exact, and times are to within a unit.

import { limitBurstMax } from "../base/limits.ts";
import type { Hash64 } from "../base/keyed-hash.ts";
import type { RateLimitConfig } from "../model/route-config.ts";
import { SharedTable, sharedTableWords } from "../stats/shared-table.ts";
import type { TableWish } from "../stats/table-arena.ts";

/** Units that a full bucket may have. */
const BUCKET_UNITS_MAX = 2 ** 30;
/** The shortest unit. Counts of it stay exact numbers for a hundred days, and later are as good as the clock. */
const UNIT_MS_MIN = 1e-6;
/** An entry this much longer untouched than its bucket takes to fill is full, whatever its number says. */
const STALE_MS = 64;
/** How often other workers may be quicker in changing one key's number before the request is refused. */
const CONTENDED_MAX = 1000;

/** The numbers of a limit in one process. */
export interface RateNumbers {
  /** `requests` in `perMs` on average; a fraction is possible. */
  readonly requests: number;
  readonly perMs: number;
  /** Whole, at least 1. */
  readonly burst: number;
}

export class RateLimit {
  /** What the last check() left: requests that would be allowed now, and milliseconds until the bucket is full. */
  remaining = 0;
  resetMs = 0;
  private readonly table: SharedTable;
  private readonly cost: number;
  private readonly bucket: number;
  private readonly unitsPerMs: number;
  private readonly staleMs: number;

  /** The table has one value word for each key, and is nobody else's but the same limit's in other workers. */
  constructor(numbers: RateNumbers, table: SharedTable) {
    const burst = Math.min(numbers.burst, limitBurstMax);
    const costMs = numbers.perMs / numbers.requests;
    this.table = table;
    this.cost = Math.max(1, Math.min(Math.floor(BUCKET_UNITS_MAX / burst), Math.floor(costMs / UNIT_MS_MIN)));
    this.bucket = this.cost * burst;
    this.unitsPerMs = this.cost / costMs;
    this.staleMs = burst * costMs + STALE_MS;
  }

  /**
   * Asks for one request of this key, and counts it if it is allowed. Returns 0 if so, else how many milliseconds
   * until one would be.
   */
  check(key: Hash64, nowMs: number): number {
    const { table, cost, bucket } = this;
    const { a, b } = key;
    const now = Math.floor(nowMs * this.unitsPerMs) | 0;
    for (let k = 0; k < CONTENDED_MAX; k++) {
      let slot = table.find(a, b);
      let fullAt = 0;
      let missing = 0;
      if (slot < 0) {
        slot = table.claim(a, b, nowMs); // its number is 0: a bucket that is full
        if (slot < 0) return this.leave(cost); // not to be had for the moment: let it pass uncounted
      } else {
        // The number first and then its age; the age is renewed before the number is changed. So a number that another
        // worker has just written is never taken for an old one.
        fullAt = table.load(slot, 0);
        missing = fullAt === 0 ? 0 : (fullAt - now) | 0;
        if (missing < 0 || table.ageMs(slot, nowMs) > this.staleMs) missing = 0;
        table.touch(slot, nowMs);
      }
      if (missing + cost > bucket) {
        this.leave(missing);
        return (missing + cost - bucket) / this.unitsPerMs;
      }
      if (table.swap(slot, 0, fullAt, (now + missing + cost) | 0 || 1)) return this.leave(missing + cost);
    }
    this.leave(bucket);
    return this.resetMs;
  }

  /** Notes what is left in a bucket that lacks so many units. */
  private leave(missing: number): 0 {
    this.remaining = Math.max(0, Math.floor((this.bucket - missing) / this.cost));
    this.resetMs = missing / this.unitsPerMs;
    return 0;
  }
}

/**
 * What makes a limit the same one in another generation, so that its counts go on. owner: the route, by listener and
 * name. Also the name of its table, if it is exact.
 */
export function rateLimitId(owner: string, config: RateLimitConfig, workers: number): string {
  const { requests, perMs, burst, by, scope, keys } = config;
  return JSON.stringify(["rate", owner, requests, perMs, burst, by, keys, scope === "exact" ? 0 : workers]);
}

/** The shared memory that the limit needs; null if each worker counts for itself. */
export function rateLimitTable(owner: string, config: RateLimitConfig): TableWish | null {
  if (config.scope !== "exact") return null;
  return { name: rateLimitId(owner, config, 0), keys: config.keys, values: 1, perWorker: false };
}

/** Opens a limit over all workers. table: the one that rateLimitTable() wished. */
export function openExactLimit(config: RateLimitConfig, table: SharedTable): RateLimit {
  return new RateLimit(config, table);
}

/** Opens one worker's part of a limit: an equal share of rate and burst, in memory of its own. */
export function openWorkerLimit(config: RateLimitConfig, workers: number): RateLimit {
  const shape = { keys: config.keys, values: 1 };
  const share = {
    requests: config.requests / workers,
    perMs: config.perMs,
    burst: Math.max(1, Math.ceil(config.burst / workers)),
  };
  return new RateLimit(share, new SharedTable(new Int32Array(sharedTableWords(shape)), shape));
}
