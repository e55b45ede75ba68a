// The part of outlier ejection that looks at a pool as a whole: at the end of each interval the success rates of its
// endpoints are compared, over all workers, and those far below the others are ejected (Envoy's success-rate
// detection). Done in one place, the supervisor: it alone sees the counters of all workers at one time. It also
// forgives: each interval an endpoint has spent in service takes one off its ejections in a row.

import { type Columns, EC, EjectReason, lockOfSupervisor } from "../stats/columns.ts";
import { eject, Ejection, type OutlierGroup } from "./outlier.ts";

interface Seen {
  readonly good: number;
  readonly bad: number;
}

const nothing: Seen = { good: 0, bad: 0 };

interface Rate {
  readonly row: number;
  /** 0 to 1. */
  readonly rate: number;
}

/** The comparison of one pool, from interval to interval. */
export class SuccessRates {
  private readonly columns: Columns;
  private readonly seen = new Map<number, Seen>();

  constructor(columns: Columns) {
    this.columns = columns;
  }

  /**
   * The end of an interval. workers: rows of counters to add up. An endpoint seen for the first time begins with its
   * next interval. Returns how many were ejected.
   */
  endInterval(group: OutlierGroup, workers: number, nowMs: number): number {
    const { columns } = this;
    const rates: Rate[] = [];
    const { successRate } = group.config;
    this.forgetOthers(group);
    for (let i = 0; i < group.endpoints.length; i++) {
      const row = group.endpoints[i]!;
      const interval = this.advance(row, workers);
      if (nowMs < columns.ejectedUntilMs[row]!) continue;
      if (Atomics.load(columns.ejectedTimes, row) > 0) Atomics.sub(columns.ejectedTimes, row, 1);
      const total = interval.good + interval.bad;
      if (successRate === null || total === 0 || total < successRate.minRequests) continue;
      rates.push({ row, rate: interval.good / total });
    }
    if (successRate === null || rates.length < successRate.minEndpoints) return 0;
    const threshold = thresholdOf(rates, successRate.stdevFactor);
    let ejected = 0;
    // The worst first: there may be more of them than may be ejected.
    for (const { row, rate } of rates.toSorted((a, b) => a.rate - b.rate)) {
      if (rate >= threshold) break;
      const outcome = eject(columns, group, lockOfSupervisor, row, EjectReason.SuccessRate, nowMs);
      if (outcome === Ejection.AtMost) break;
      if (outcome === Ejection.Done) ejected++;
    }
    return ejected;
  }

  private forgetOthers({ endpoints }: OutlierGroup): void {
    if (this.seen.size <= endpoints.length) return;
    const present = new Set(Array.from(endpoints));
    for (const row of this.seen.keys()) if (!present.has(row)) this.seen.delete(row);
  }

  /** What was counted since the last call. */
  private advance(row: number, workers: number): Seen {
    let good = 0;
    let bad = 0;
    for (let worker = 0; worker < workers; worker++) {
      const counters = this.columns.endpoint(worker, row);
      good += counters[EC.judgedGood]!;
      bad += counters[EC.judgedBad]!;
    }
    const seen = this.seen.get(row);
    this.seen.set(row, { good, bad });
    // Counts that have fallen are another endpoint's, which has the row now.
    if (seen === undefined || good < seen.good || bad < seen.bad) return nothing;
    return { good: good - seen.good, bad: bad - seen.bad };
  }
}

/** mean - factor * standard deviation (of the population, as Envoy has it). */
function thresholdOf(rates: readonly Rate[], factor: number): number {
  const mean = rates.reduce((sum, { rate }) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / rates.length;
  return mean - factor * Math.sqrt(variance);
}
