// May this failed attempt be followed by another? One pure function; the exchange only obeys.

import { causeOf, type Failure, FailureCause, phaseOf, Phase, ruleOf } from "../base/failure.ts";
import { retriesMax } from "../base/limits.ts";
import { Method } from "../wire/head.ts";

export const Retry = {
  /** Give up: answer with the failure's status. */
  No: 0,
  /** Nothing was sent: another endpoint may be tried. */
  OtherEndpoint: 1,
  /** A kept connection had been closed under us: the same endpoint deserves a fresh one. */
  FreshConnection: 2,
} as const;
export type Retry = (typeof Retry)[keyof typeof Retry];

export interface AttemptHistory {
  readonly method: Method;
  /** A byte of the request body has been taken from the client: it cannot be replayed. */
  readonly bodyBegun: boolean;
  /** Endpoints that could not be connected to. */
  readonly connectFailures: number;
  /** Attempts that were sent to an endpoint and repeated at another. */
  readonly repeats: number;
  /** An attempt on a kept connection has been repeated on a fresh one. */
  readonly refreshed: boolean;
  /** Not one byte of the failed attempt was accepted by the kernel: the endpoint cannot have seen it. */
  readonly nothingSent: boolean;
}

/** RFC 9110 9.2.2. */
export function isIdempotent(method: Method): boolean {
  return (
    method === Method.Get ||
    method === Method.Head ||
    method === Method.Put ||
    method === Method.Delete ||
    method === Method.Options ||
    method === Method.Trace
  );
}

/** The verdict on a failure before any byte of a response was sent to the client. */
export function decideRetry(f: Failure, history: AttemptHistory): Retry {
  const rule = ruleOf(f).retry;
  if (rule === "never" || history.bodyBegun) return Retry.No;
  if (rule === "always") return history.connectFailures < retriesMax ? Retry.OtherEndpoint : Retry.No;
  // A kept connection that was found closed before the request went out: as safe as a failed connect, for any method.
  if (rule === "reused" && history.nothingSent) return Retry.FreshConnection;
  // A request that may have been received is repeated only if that cannot change its effect: once because its kept
  // connection had been closed, and once because its endpoint failed. Both happen to those that a dying server held.
  if (!isIdempotent(history.method)) return Retry.No;
  if (rule === "reused" && !history.refreshed) return Retry.FreshConnection;
  if (history.repeats > 0) return Retry.No;
  return phaseOf(f) === Phase.ResponseHead && causeOf(f) !== FailureCause.Protocol ? Retry.OtherEndpoint : Retry.No;
}
