// What a request must get past before its route does anything: the access list, rate limits, and bounds of requests in
// progress, in this order. One for each route that has any of them. Passwords are asked for afterwards, for they may
// have to be waited for (basic-auth.ts).

import type { Scratch } from "../base/bytes.ts";
import type { Hash64, HashSeed } from "../base/keyed-hash.ts";
import { AccessList } from "../limit/access.ts";
import { REFUSED } from "../limit/concurrency.ts";
import type { RouteLimits } from "../limit/limit-book.ts";
import type { AccessConfig } from "../model/route-config.ts";
import type { Head } from "../wire/head.ts";
import { limitKeyOf } from "./limit-key.ts";
import { putRetryAfter } from "./retry-after.ts";

/** A request's places in the counts, by the order of the route's bounds; empty = none. Kept by the exchange. */
export type HeldPlaces = number[];

const FORBIDDEN = 403;
const TOO_MANY = 429;
/** Nobody knows when a request in progress will end. */
const againSeconds = 1;
/** The place of a request that a bound is not for. */
const NONE = 0;

export class RouteGuard {
  /** admit() needs the client's address; otherwise it may be null. */
  readonly needsAddress: boolean;
  private readonly access: AccessList | null;
  private readonly limits: RouteLimits;
  private readonly seed: HashSeed;
  private readonly key: Hash64 = { a: 0, b: 0 };

  constructor(access: AccessList | null, limits: RouteLimits, seed: HashSeed) {
    this.access = access;
    this.limits = limits;
    this.seed = seed;
    this.needsAddress = access !== null || [...limits.rates, ...limits.concurrency].some((l) => l.by.from === "source");
  }

  /**
   * 0 = the request may pass; it then holds places until release(). Otherwise the status of the refusal, and whole
   * field lines for the answer are appended to `lines`; nothing is held. address = the client's, null = it has none.
   */
  admit(head: Head, address: Uint8Array | null, nowMs: number, held: HeldPlaces, lines: Scratch): number {
    if (this.access !== null && !this.access.permits(address)) return FORBIDDEN;
    const { key, seed } = this;
    const { rates, concurrency } = this.limits;
    for (let i = 0; i < rates.length; i++) {
      const { limit, by, status, fields } = rates[i]!;
      if (!limitKeyOf(by, head, address, seed, key)) continue;
      const waitMs = limit.check(key, nowMs);
      if (waitMs === 0) continue;
      fields.put(lines, limit, waitMs);
      return status;
    }
    for (let i = 0; i < concurrency.length; i++) {
      const { limit, by } = concurrency[i]!;
      const place = limitKeyOf(by, head, address, seed, key) ? limit.acquire(key, nowMs) : NONE;
      if (place === REFUSED) {
        this.release(held);
        putRetryAfter(lines, againSeconds);
        return TOO_MANY;
      }
      held.push(place);
    }
    return 0;
  }

  /** Gives the request's places back, exactly once after an admit() that let it pass; again does nothing. */
  release(held: HeldPlaces): void {
    const { concurrency } = this.limits;
    for (let i = 0; i < held.length; i++) concurrency[i]!.limit.release(held[i]!);
    held.length = 0;
  }
}

/** null = nothing to get past. */
export function compileGuard(access: AccessConfig | null, limits: RouteLimits, seed: HashSeed): RouteGuard | null {
  const isOpen = access === null || (access.allow.length === 0 && access.deny.length === 0);
  if (isOpen && limits.rates.length === 0 && limits.concurrency.length === 0) return null;
  return new RouteGuard(isOpen ? null : new AccessList(access), limits, seed);
}
