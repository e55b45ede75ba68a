// Outlier ejection: an endpoint that answers worse than the others is left out for a while, found by the traffic
// itself. The algorithm is Envoy's (config.cluster.v3.OutlierDetection): so many failures in a row, on all workers
// together, eject at once, from the worker that saw the last of them; success rates are compared by the supervisor
// (success-rates.ts). An ejection lasts the longer the more of them came in a row, and at most a share of a pool is
// ejected at a time. Beside it, passive.ts holds endpoints by maxFails: both may be on, and whoever is out by either is
// not usable.
//
// Counted are answers from 500 up and failures that blame the endpoint, never what a client caused.

import { type Failure, ruleOf } from "../base/failure.ts";
import type { OutlierConfig } from "../model/route-config.ts";
import { bumpEpoch, type Columns, EC, EjectReason } from "../stats/columns.ts";

/** How often the lock is asked for: it is held for the time of a walk over the pool's endpoints. */
const LOCK_TRIES = 64;

export const Ejection = {
  Done: 0,
  /** The endpoint is ejected already. */
  Already: 1,
  /** So many of the pool are ejected that no further one may be. */
  AtMost: 2,
  /** Somebody else is changing the pool's ejections. */
  Busy: 3,
} as const;
export type Ejection = (typeof Ejection)[keyof typeof Ejection];

/** The pool whose endpoints are compared: its row, and theirs. */
export interface OutlierGroup {
  readonly config: OutlierConfig;
  readonly row: number;
  readonly endpoints: ArrayLike<number>;
}

/** The ejection that applies: none to a pool of one, which has nobody else to turn to. */
export function outlierOf(config: { readonly outlier: OutlierConfig | null }, count: number): OutlierConfig | null {
  return count > 1 ? config.outlier : null;
}

/** Endpoints of a pool of so many that may be ejected at a time: the share, rounded down, but one always. */
export function ejectedMax(count: number, config: OutlierConfig): number {
  return Math.max(1, Math.floor((count * config.maxEjectedPercent) / 100));
}

/** How long the n-th ejection in a row lasts, n from 1. */
export function ejectionMsOf(n: number, config: OutlierConfig): number {
  return Math.min(config.ejectionMs * n, config.maxEjectionMs);
}

/** A worker's judge of a pool. */
export class OutlierJudge {
  private readonly group: OutlierGroup;
  private readonly columns: Columns;
  private readonly lock: number;

  constructor(group: OutlierGroup, columns: Columns, worker: number) {
    this.group = group;
    this.columns = columns;
    this.lock = worker + 1;
  }

  /**
   * How an exchange with an endpoint ended: by f (0 = well), with an answer of this status (0 = none came). counters:
   * the endpoint's of this worker. Cheap for a good answer: one load and two additions.
   */
  judge(row: number, f: Failure, status: number, counters: Float64Array, nowMs: number): void {
    if (status >= 500 || (f !== 0 && ruleOf(f).blamesEndpoint)) {
      counters[EC.judgedBad] = counters[EC.judgedBad]! + 1;
      this.onBad(row, nowMs);
    } else if (status !== 0) {
      counters[EC.judgedGood] = counters[EC.judgedGood]! + 1;
      const { streak } = this.columns;
      if (Atomics.load(streak, row) !== 0) Atomics.store(streak, row, 0);
    }
  }

  private onBad(row: number, nowMs: number): void {
    const { columns, group } = this;
    const max = group.config.consecutiveFailures;
    // Failures of requests from before the ejection say nothing new.
    if (max === 0 || nowMs < columns.ejectedUntilMs[row]!) return;
    if (Atomics.add(columns.streak, row, 1) + 1 < max) return;
    const outcome = eject(columns, group, this.lock, row, EjectReason.Consecutive, nowMs);
    // Where no more may be ejected, counting begins anew: asking at each failure would be a walk each.
    if (outcome !== Ejection.Busy) Atomics.store(columns.streak, row, 0);
  }
}

/** Ejects an endpoint, if it may be. lock: who asks, worker + 1 or lockOfSupervisor. O(endpoints of the pool). */
export function eject(
  columns: Columns,
  group: OutlierGroup,
  lock: number,
  row: number,
  reason: EjectReason,
  nowMs: number,
): Ejection {
  if (!acquireLock(columns.poolLock, group.row, lock)) return Ejection.Busy;
  const outcome = ejectLocked(columns, group, row, reason, nowMs);
  Atomics.store(columns.poolLock, group.row, 0);
  if (outcome === Ejection.Done) bumpEpoch(columns);
  return outcome;
}

function ejectLocked(columns: Columns, group: OutlierGroup, row: number, reason: EjectReason, nowMs: number): Ejection {
  const { ejectedUntilMs } = columns;
  const { config, endpoints } = group;
  if (nowMs < ejectedUntilMs[row]!) return Ejection.Already;
  let ejected = 0;
  for (let i = 0; i < endpoints.length; i++) if (nowMs < ejectedUntilMs[endpoints[i]!]!) ejected++;
  if (ejected >= ejectedMax(endpoints.length, config)) return Ejection.AtMost;
  const times = Atomics.add(columns.ejectedTimes, row, 1) + 1;
  const until = nowMs + ejectionMsOf(times, config);
  Atomics.store(columns.streak, row, 0);
  columns.ejectReason[row] = reason;
  columns.upSinceMs[row] = until; // slow start begins where the ejection ends
  ejectedUntilMs[row] = until;
  Atomics.add(columns.ejections, row, 1);
  return Ejection.Done;
}

function acquireLock(locks: Int32Array, row: number, who: number): boolean {
  for (let k = 0; k < LOCK_TRIES; k++) {
    if (Atomics.compareExchange(locks, row, 0, who) === 0) return true;
  }
  return false;
}

/** A worker has died: a lock it held is free again. */
export function releaseLockOf(columns: Columns, row: number, worker: number): void {
  Atomics.compareExchange(columns.poolLock, row, worker + 1, 0);
}

/** Counts the endpoints that are ejected at nowMs. */
export function ejectedCount(columns: Columns, endpoints: ArrayLike<number>, nowMs: number): number {
  let count = 0;
  for (let i = 0; i < endpoints.length; i++) if (nowMs < columns.ejectedUntilMs[endpoints[i]!]!) count++;
  return count;
}
