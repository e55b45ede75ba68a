// The decayed average latency of an endpoint, shared by all workers: racy by intent, a lost sample is harmless. Read by
// balance/least-response-time.ts and by status.

import type { Columns } from "../stats/columns.ts";

/** The time constant of pools whose algorithm does not name one. */
export const LATENCY_DECAY_MS = 10_000;

/** Samples that come in the same millisecond still count this much: the clock is only read once per event. */
const STEP_MIN_MS = 1;

/**
 * What a failure counts as, at least; and four times the average if that is more, so that slow pools are told apart
 * too.
 */
const PENALTY_US = 1_000_000;
const PENALTY_FACTOR = 4;
const PENALTY_MAX_US = 60_000_000;

/** An answer's head came after sampleUs (> 0). Its part in the average grows with the time since the last sample. */
export function feedLatency(columns: Columns, row: number, sampleUs: number, nowMs: number, decayMs: number): void {
  const at = columns.latencyAtMs[row]!;
  const average = columns.latencyUs[row]!;
  columns.latencyAtMs[row] = nowMs;
  if (average === 0 || at < columns.upSinceMs[row]!) {
    columns.latencyUs[row] = sampleUs; // nothing known since it came back
    return;
  }
  const part = 1 - Math.exp(-Math.max(STEP_MIN_MS, nowMs - at) / decayMs);
  columns.latencyUs[row] = average + part * (sampleUs - average);
}

/**
 * The endpoint failed, after observedUs or (0) without an answer. Refusing a connection takes no time: counted as it
 * is, the quickest way to be sent everything would be to fail everything. So a failure counts as a long wait, in
 * proportion to its share of the requests.
 */
export function feedFailure(columns: Columns, row: number, observedUs: number, nowMs: number, decayMs: number): void {
  const average = columns.latencyUs[row]!;
  const penalty = Math.min(PENALTY_MAX_US, Math.max(PENALTY_US, PENALTY_FACTOR * average));
  feedLatency(columns, row, Math.max(observedUs, penalty), nowMs, decayMs);
}
