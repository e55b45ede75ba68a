// What a request keeps of the limits it has passed: places of bounds on requests in progress, to be given back exactly
// once, and the figures of the tightest rate limit, which the client is told with the answer.

import type { Scratch } from "../base/bytes.ts";
import type { ConcurrencyLimit } from "../limit/concurrency.ts";
import type { RouteRateLimit } from "../limit/limit-book.ts";

export class HeldLimits {
  private readonly limits: ConcurrencyLimit[] = [];
  private readonly slots: number[] = [];
  private rate: RouteRateLimit | null = null;
  private remaining = 0;
  private resetMs = 0;

  /** True if there is anything to release. */
  get any(): boolean {
    return this.rate !== null || this.slots.length > 0;
  }

  /** A place was taken: what acquire() returned. */
  hold(limit: ConcurrencyLimit, slot: number): void {
    this.limits.push(limit);
    this.slots.push(slot);
  }

  /** A rate limit has just let the request pass. */
  note(rate: RouteRateLimit): void {
    const { remaining, resetMs } = rate.limit;
    if (this.rate !== null && remaining >= this.remaining) return;
    this.rate = rate;
    this.remaining = remaining;
    this.resetMs = resetMs;
  }

  /** Appends the header lines of the tightest rate limit, if there is any. */
  put(out: Scratch): void {
    if (this.rate === null) return;
    const { limit, fields } = this.rate;
    limit.remaining = this.remaining;
    limit.resetMs = this.resetMs;
    fields.put(out, limit, 0);
  }

  /** Gives all places back. */
  release(): void {
    for (let i = 0; i < this.slots.length; i++) this.limits[i]!.release(this.slots[i]!);
    this.limits.length = 0;
    this.slots.length = 0;
    this.rate = null;
  }
}
