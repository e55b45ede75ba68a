// May this attempt, which failed or was answered with a status nobody wants, be followed by another? One pure function
// says what is safe and wanted, and allowRetry() asks the pool's budget whether it can be afforded; the exchange only
// obeys. Why it is so: docs/decisions/0004-retries.md.

import { causeOf, type Failure, FailureCause, phaseOf, Phase, ruleOf } from "../base/failure.ts";
import { replayBytesMax, retriesMax } from "../base/limits.ts";
import { defaultRetry } from "../model/defaults.ts";
import type { RetryConfig } from "../model/route-config.ts";
import type { RetryBudget } from "../pool/retry-budget.ts";
import { Method } from "../wire/head.ts";

export const Retry = {
  /** Give up: answer with the failure's status, or pass the answer on. */
  No: 0,
  /** Another endpoint may be tried. */
  OtherEndpoint: 1,
  /** A kept connection had been closed under us: the same endpoint deserves a fresh one. */
  FreshConnection: 2,
} as const;
export type Retry = (typeof Retry)[keyof typeof Retry];

/** A RetryConfig as requests read it. */
export interface RetryPolicy {
  readonly attempts: number;
  /** False only where nothing at all is repeated: endpoints that cannot be connected to are else always passed over. */
  readonly onConnect: boolean;
  readonly onReset: boolean;
  readonly onTimeout: boolean;
  /** 1 at each status that is repeated; null = none is. */
  readonly statuses: Uint8Array | null;
  readonly nonIdempotent: boolean;
  readonly bufferBytes: number;
  /** 0 = no deadline but the route's. */
  readonly attemptMs: number;
  readonly budgetPercent: number;
  readonly budgetMin: number;
}

const statusEnd = 600;

export function compileRetry(config: RetryConfig): RetryPolicy {
  const { on, attempts, nonIdempotent, bufferBytes, attemptMs, budgetPercent, budgetMin } = config;
  const numbers = on.filter((cause) => typeof cause === "number");
  const statuses = new Uint8Array(statusEnd);
  for (const status of numbers) statuses[status] = 1;
  return {
    attempts,
    onConnect: on.length > 0,
    onReset: on.includes("reset"),
    onTimeout: on.includes("timeout"),
    statuses: numbers.length === 0 ? null : statuses,
    nonIdempotent,
    bufferBytes: Math.min(bufferBytes, replayBytesMax),
    attemptMs,
    budgetPercent,
    budgetMin,
  };
}

/** What applies unless a route says otherwise. */
const standardPolicy = compileRetry(defaultRetry);

export interface AttemptHistory {
  readonly method: Method;
  /** A byte of the request body has been taken from the client. */
  readonly bodyBegun: boolean;
  /** All that was taken of it can be sent again. Absent = no. */
  readonly canReplay?: boolean;
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

/**
 * The verdict before any byte of a final response was sent to the client. f = how the attempt failed; 0 = it was
 * answered with this status.
 */
export function decideRetry(
  f: Failure,
  history: AttemptHistory,
  policy: RetryPolicy = standardPolicy,
  status = 0,
): Retry {
  if (history.bodyBegun && history.canReplay !== true) return Retry.No;
  if (history.connectFailures + history.repeats >= retriesMax) return Retry.No;
  if (f === 0) {
    const wanted = policy.statuses !== null && policy.statuses[status] === 1;
    return wanted && mayRepeat(history, policy) ? Retry.OtherEndpoint : Retry.No;
  }
  const rule = ruleOf(f).retry;
  if (rule === "never") return Retry.No;
  if (rule === "always") return policy.onConnect ? Retry.OtherEndpoint : Retry.No;
  // A kept connection that was found closed before the request went out: as safe as a failed connect, for any method.
  if (rule === "reused" && history.nothingSent) return Retry.FreshConnection;
  // A request that may have been received is repeated only if that cannot change its effect: once because its kept
  // connection had been closed, and so often because its endpoint failed. Both happen to those that a dying server
  // held.
  const cause = causeOf(f);
  if (cause === FailureCause.Timeout ? !policy.onTimeout : !policy.onReset) return Retry.No;
  if (rule === "reused" && !history.refreshed && policy.attempts > 0 && isRepeatable(history.method, policy)) {
    return Retry.FreshConnection;
  }
  return mayRepeat(history, policy) ? Retry.OtherEndpoint : Retry.No;
}

/**
 * decideRetry() and the budget: what is not No has been paid for and must be done now. A refusal is counted. Endpoints
 * that could not be connected to are passed over for nothing as long as the pool answers at all.
 */
export function allowRetry(
  f: Failure,
  status: number,
  history: AttemptHistory,
  policy: RetryPolicy,
  budget: RetryBudget,
  nowMs: number,
): Retry {
  const verdict = decideRetry(f, history, policy, status);
  if (verdict === Retry.No) return verdict;
  const unseen = f !== 0 && (phaseOf(f) === Phase.Connect || history.nothingSent);
  const { budgetPercent, budgetMin } = policy;
  const paid = unseen
    ? budget.takeMove(nowMs, budgetPercent, budgetMin)
    : budget.takeRepeat(nowMs, budgetPercent, budgetMin);
  return paid ? verdict : Retry.No;
}

/**
 * How many bytes of a request's body to keep for a repeat; 0 = none, and the body may go past us. bodyLength as in
 * Head: negative = not known yet.
 */
export function replayBytes(method: Method, bodyLength: number, policy: RetryPolicy): number {
  if (bodyLength === 0 || bodyLength > policy.bufferBytes || policy.attempts === 0) return 0;
  return isRepeatable(method, policy) ? policy.bufferBytes : 0;
}

function mayRepeat(history: AttemptHistory, policy: RetryPolicy): boolean {
  return history.repeats < policy.attempts && isRepeatable(history.method, policy);
}

function isRepeatable(method: Method, policy: RetryPolicy): boolean {
  return policy.nonIdempotent || isIdempotent(method);
}
