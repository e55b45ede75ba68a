// Passive health: what the failures of real traffic say about an endpoint, shared by all workers through the columns.
//
// maxFails failures within failTimeout (counted from the first of them) hold the endpoint out for failTimeout. Then it
// is on trial: it takes one request more than it has, and nothing further, until one has been answered, at most for
// another failTimeout (a first request that turns into a WebSocket says nothing for hours). As long as none was
// answered, a single failure holds it out again at once: nginx's one trial per fail_timeout. Successes outside of a
// trial do not erase failures.

import { bumpEpoch, type Columns } from "../stats/columns.ts";
import type { PassiveConfig } from "../model/config.ts";

/**
 * A failure that blames the endpoint, at nowMs. Failures while it is held (of requests begun before) change nothing.
 */
export function onBlamed(columns: Columns, row: number, config: PassiveConfig, nowMs: number): void {
  const heldUntil = columns.heldUntilMs[row]!;
  if (nowMs < heldUntil) return;
  if (heldUntil !== 0) {
    hold(columns, row, config, nowMs);
    return;
  }
  const since = columns.failsSinceMs[row]!;
  if (since === 0 || nowMs - since > config.failTimeoutMs) {
    Atomics.store(columns.fails, row, 0);
    columns.failsSinceMs[row] = nowMs;
  }
  if (Atomics.add(columns.fails, row, 1) + 1 >= config.maxFails) hold(columns, row, config, nowMs);
}

/** An answer of the endpoint, at nowMs: ends a trial. Must be cheap: it is asked for every request. */
export function onAnswered(columns: Columns, row: number, nowMs: number): void {
  const heldUntil = columns.heldUntilMs[row]!;
  if (heldUntil === 0 || nowMs < heldUntil) return;
  columns.heldUntilMs[row] = 0;
  bumpEpoch(columns);
}

/** True from the end of a hold until an answer, or until failTimeout has passed once more. */
export function isOnTrial(heldUntilMs: number, nowMs: number, config: PassiveConfig): boolean {
  return heldUntilMs !== 0 && nowMs >= heldUntilMs && nowMs < heldUntilMs + config.failTimeoutMs;
}

function hold(columns: Columns, row: number, config: PassiveConfig, nowMs: number): void {
  const until = nowMs + config.failTimeoutMs;
  columns.heldUntilMs[row] = until;
  columns.upSinceMs[row] = until; // slow start begins where the hold ends
  columns.failsSinceMs[row] = 0;
  Atomics.store(columns.fails, row, 0);
  bumpEpoch(columns);
}
