// The supervisor's part of outlier ejection: ends the intervals at which success rates are compared, once for all
// workers, and records every ejection and return, whoever made it. The judging is in pool/.

import { LogLevel, type Clock } from "../base/ports.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import type { Plan } from "../model/plan.ts";
import type { OutlierConfig } from "../model/route-config.ts";
import { outlierOf, type OutlierGroup } from "../pool/outlier.ts";
import { SuccessRates } from "../pool/success-rates.ts";
import { EjectReason, type Columns } from "../stats/columns.ts";
import type { Journal } from "./journal.ts";

/** How often ejections of the workers are looked for. */
const lookEveryMs = 1000;

interface WatchedEndpoint {
  readonly id: string;
  readonly row: number;
  /** Ejections that have been recorded. */
  recorded: number;
  /** An ejection was recorded, and its end was not. */
  isOut: boolean;
}

interface WatchedPool {
  readonly name: string;
  readonly group: OutlierGroup;
  readonly rates: SuccessRates;
  readonly endpoints: readonly WatchedEndpoint[];
  nextIntervalMs: number;
}

export class Ejections implements TimerOwner {
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private readonly columns: Columns;
  private readonly journal: Journal;
  private watched: readonly WatchedPool[] = [];
  private workers = 0;
  private timer = -1; // open while there is a pool to watch

  constructor(clock: Clock, timers: TimerWheel, columns: Columns, journal: Journal) {
    this.clock = clock;
    this.timers = timers;
    this.columns = columns;
    this.journal = journal;
  }

  /** Watches the pools of this plan that eject. What is known of those that were watched before stays known. */
  reconcile(plan: Plan, workers: number): void {
    const before = new Map(this.watched.map((pool) => [pool.name, pool]));
    const nowMs = this.clock.nowMs();
    const watched: WatchedPool[] = [];
    for (const { name, endpoints, outlier } of plan.config.pools) {
      const config = outlierOf({ outlier }, endpoints.length);
      if (config === null) continue;
      const rows = endpoints.map(({ id }) => plan.endpointRows[name]![id]!);
      const known = before.get(name);
      const pool: WatchedPool = {
        name,
        group: { config, row: plan.poolRows[name]!, endpoints: rows },
        rates: known?.rates ?? new SuccessRates(this.columns),
        endpoints: endpoints.map(({ id }, i) => this.watch(id, rows[i]!, known)),
        nextIntervalMs: Math.min(known?.nextIntervalMs ?? Infinity, nowMs + config.intervalMs),
      };
      // The first interval begins here, not with the counts of all time.
      if (known === undefined) pool.rates.endInterval(pool.group, workers, nowMs);
      watched.push(pool);
    }
    this.watched = watched;
    this.workers = workers;
    this.schedule(nowMs);
  }

  stop(): void {
    this.watched = [];
    this.schedule(0);
  }

  onDeadline(_slot: number, nowMs: number): void {
    for (const pool of this.watched) {
      if (nowMs >= pool.nextIntervalMs) {
        pool.nextIntervalMs = nowMs + pool.group.config.intervalMs;
        pool.rates.endInterval(pool.group, this.workers, nowMs);
      }
      for (const endpoint of pool.endpoints) this.record(pool, endpoint, nowMs);
    }
    this.schedule(nowMs);
  }

  private watch(id: string, row: number, known: WatchedPool | undefined): WatchedEndpoint {
    const before = known?.endpoints.find((endpoint) => endpoint.row === row && endpoint.id === id);
    return before ?? { id, row, recorded: Atomics.load(this.columns.ejections, row), isOut: false };
  }

  private record(pool: WatchedPool, endpoint: WatchedEndpoint, nowMs: number): void {
    const { columns, journal } = this;
    const { row } = endpoint;
    const fields = { pool: pool.name, endpoint: endpoint.id };
    const count = Atomics.load(columns.ejections, row);
    const forMs = columns.ejectedUntilMs[row]! - nowMs;
    if (count !== endpoint.recorded) {
      endpoint.recorded = count;
      endpoint.isOut = true;
      const until = new Date(Math.round(this.clock.wallMs() + forMs)).toISOString();
      const reason = ejectionReason(columns, row, pool.group.config);
      journal.record(LogLevel.Warn, "ejected", { ...fields, reason, until, times: columns.ejectedTimes[row]! });
    }
    if (endpoint.isOut && forMs <= 0) {
      endpoint.isOut = false;
      journal.record(LogLevel.Info, "readmitted", fields);
    }
  }

  private schedule(nowMs: number): void {
    if (this.watched.length > 0) {
      if (this.timer < 0) this.timer = this.timers.open(this);
      const next = Math.min(...this.watched.map((pool) => pool.nextIntervalMs));
      this.timers.set(this.timer, Math.min(next, nowMs + lookEveryMs));
    } else if (this.timer >= 0) {
      this.timers.close(this.timer);
      this.timer = -1;
    }
  }
}

/** Why an endpoint is ejected, as a clause. */
export function ejectionReason(columns: Columns, row: number, config: OutlierConfig): string {
  return columns.ejectReason[row] === EjectReason.SuccessRate
    ? "success rate far below the others"
    : `${config.consecutiveFailures} failures in a row`;
}
