// Retry-After (RFC 9110 10.2.3) of our own answers, where we know when it may be worth asking again. That of an
// endpoint goes to the client with its answer, untouched: a repeat goes to another endpoint at once, and never to the
// same one.

import type { Scratch } from "../base/bytes.ts";
import { causeOf, type Failure, FailureCause, ruleOf } from "../base/failure.ts";

/** Full queues and limits of ours move within a second, if at all soon. */
const soonSeconds = 1;

/** What is asked of the pool: monotonic ms of the next return of an endpoint, Infinity = not known. */
export interface Returning {
  returnsAtMs(nowMs: number): number;
}

/** Seconds to wait for waitMs, at least one: the field knows no fractions. */
export function wholeSeconds(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1000));
}

/** The seconds that belong into the answer to this failure; 0 = none do. pool = the one that was asked, if any was. */
export function retryAfterSeconds(f: Failure, pool: Returning | null, nowMs: number): number {
  if (ruleOf(f).status !== 503) return 0;
  switch (causeOf(f)) {
    case FailureCause.NoEndpoint: {
      const at = pool === null ? Infinity : pool.returnsAtMs(nowMs);
      return at === Infinity ? 0 : wholeSeconds(at - nowMs);
    }
    case FailureCause.Full:
    case FailureCause.Circuit:
    case FailureCause.Resources:
    case FailureCause.Timeout: // in the queue
      return soonSeconds;
    default:
      return 0;
  }
}

/** Adds the field line; nothing for 0 seconds. */
export function putRetryAfter(out: Scratch, seconds: number): void {
  if (seconds === 0) return;
  out.putText("Retry-After: ");
  out.putDecimal(seconds);
  out.putText("\r\n");
}
