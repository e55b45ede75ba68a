// A pool as one worker sees it: gives each request an endpoint and takes it back, exactly once each. It counts, judges
// passive health and averages latency; which endpoint it is, a balancer says. It opens no connections and knows no
// protocol.

import type { Balancer, PickState } from "../balance/balancer.ts";
import { newPickState } from "../balance/pick-state.ts";
import { createBalancer, hashKeyOf } from "../balance/registry.ts";
import { ruleOf, type Failure } from "../base/failure.ts";
import type { Clock, Rng, Target } from "../base/ports.ts";
import type { HashKey, PassiveConfig, PoolConfig } from "../model/config.ts";
import { EC, type Columns } from "../stats/columns.ts";
import { record } from "../stats/histogram.ts";
import { type Circuit, circuitOf, CONTENDED_MAX, takeBelow } from "./circuit.ts";
import { Latencies, LATENCY_DECAY_MS } from "./latency.ts";
import { OutlierJudge, outlierOf } from "./outlier.ts";
import { onAnswered, onBlamed } from "./passive.ts";
import { RetryBudget } from "./retry-budget.ts";
import { passiveOf, Roster, type Member } from "./roster.ts";

/** acquire(): nobody (left) to try. */
export const NOBODY = -1;
/** acquire(): there are endpoints to try, but all of them are at their limit: wait for onCapacity. */
export const ALL_FULL = -2;
/** acquire(): the pool has as many requests in progress as circuit.requests allows. */
export const OVER_LIMIT = -3;

export class Pool {
  readonly config: PoolConfig;
  /** The index space of acquire() and release(). */
  readonly members: readonly Member[];
  /** True if PickState.hash must be filled, with the hash of hashKey; 0 = the request has no such key. */
  readonly wantsHash: boolean;
  readonly hashKey: HashKey | null;
  /**
   * Called from release() when a place became free in this worker. Other workers' releases are not heard: look now and
   * then.
   */
  onCapacity: (() => void) | null = null;
  /** What repeats of this pool's requests are paid from. */
  readonly budget: RetryBudget;
  /** The pool's limits on requests; null = none, on connections neither. */
  readonly circuit: Circuit | null;

  private readonly columns: Columns;
  private readonly clock: Clock;
  private readonly roster: Roster;
  private readonly primary: Balancer;
  private readonly backup: Balancer;
  private readonly passive: PassiveConfig | null;
  private readonly judge: OutlierJudge | null;
  private readonly latencies: Latencies;
  private readonly counters: readonly Float64Array[];
  private readonly histograms: readonly Float64Array[];
  private epoch: number;
  /**
   * Picks to throw away before the first request: workers that start in step would all begin with the first endpoint.
   */
  private head: number;

  /**
   * worker: this process's row of counters; poolRow: the pool's. budget: that of the pool this one takes the place of.
   * The clock's cached time is used for what release() learns.
   */
  constructor(
    config: PoolConfig,
    members: readonly Member[],
    columns: Columns,
    worker: number,
    rng: Rng,
    clock: Clock,
    poolRow = 0,
    budget: RetryBudget | null = null,
  ) {
    this.config = config;
    this.members = members;
    this.hashKey = hashKeyOf(config.balance);
    this.wantsHash = this.hashKey !== null;
    this.columns = columns;
    this.clock = clock;
    this.roster = new Roster(config, members, columns);
    this.primary = createBalancer(config.balance, members.length, rng);
    this.backup = createBalancer(config.balance, members.length, rng);
    this.passive = passiveOf(config, members.length);
    const outlier = outlierOf(config, members.length);
    const group = { row: poolRow, endpoints: this.roster.primaries.row };
    this.judge = outlier === null ? null : new OutlierJudge({ ...group, config: outlier }, columns, worker);
    this.budget = budget ?? new RetryBudget(columns.pool(worker, poolRow));
    this.circuit = circuitOf(config.circuit, columns, worker, poolRow);
    const decayMs = config.balance.by === "least-response-time" ? config.balance.decayMs : LATENCY_DECAY_MS;
    this.latencies = new Latencies(columns, members.length, decayMs);
    this.counters = members.map((member) => columns.endpoint(worker, member.row));
    this.histograms = members.map((member) => columns.histogram(worker, member.row));
    this.epoch = 0;
    this.head = takesTurns(config) ? worker : 0;
  }

  /**
   * An endpoint for this request: state.preferred if it may still be used, else the balancer's choice among the
   * primaries, else among the backups. Adds 1 to its requests in progress. NOBODY, ALL_FULL or OVER_LIMIT if there is
   * none. Marks nothing as tried.
   */
  acquire(state: PickState): number {
    this.catchUp(state.nowMs);
    const { circuit } = this;
    if (circuit === null) return this.choose(state);
    if (!circuit.enter()) return OVER_LIMIT;
    const index = this.choose(state);
    if (index < 0) circuit.leave();
    return index;
  }

  private choose(state: PickState): number {
    const preferred = state.preferred;
    if (preferred >= 0 && this.mayPrefer(preferred, state) && this.take(preferred)) return preferred;
    const { roster } = this;
    for (let k = 0; k < CONTENDED_MAX; k++) {
      let i = this.primary.pick(roster.primaries, state);
      if (i < 0 && roster.hasBackups) i = this.backup.pick(roster.backups, state);
      if (i < 0) break;
      if (this.take(i)) return i; // else another worker was quicker: it is full now
    }
    return this.anyUntried(state) ? ALL_FULL : NOBODY;
  }

  /**
   * Gives the endpoint back, exactly once per acquire(). failure: how the exchange ended, 0 = well. latencyUs: until
   * the response head, 0 = none came. status: of the endpoint's answer; what outlier ejection goes by.
   */
  release(index: number, failure: Failure, latencyUs: number, status = 0): void {
    const { columns } = this;
    const row = this.members[index]!.row;
    const counters = this.counters[index]!;
    const nowMs = this.clock.cachedMs;
    counters[EC.activeOwn] = counters[EC.activeOwn]! - 1;
    Atomics.sub(columns.active, row, 1);
    if (failure !== 0 && ruleOf(failure).blamesEndpoint) {
      counters[EC.failures] = counters[EC.failures]! + 1;
      this.latencies.failed(index, row, latencyUs, nowMs);
      if (this.passive !== null) onBlamed(columns, row, this.passive, nowMs);
    } else if (latencyUs > 0) {
      this.latencies.answered(index, row, latencyUs, nowMs);
      if (this.passive !== null) onAnswered(columns, row, nowMs);
    }
    if (this.judge !== null) this.judge.judge(row, failure, latencyUs > 0 ? status : 0, counters, nowMs);
    if (latencyUs > 0) {
      this.budget.onAnswer(nowMs);
      counters[EC.latencyUsSum] = counters[EC.latencyUsSum]! + latencyUs;
      record(this.histograms[index]!, latencyUs);
    }
    if (this.circuit !== null) this.circuit.leave();
    if (this.onCapacity === null) return;
    if (this.circuit !== null || this.roster.primaries.activeMax[index] !== 0) this.onCapacity();
  }

  /** Takes back an acquire() that came to nothing: the request has not been tried, and nobody hears of it. */
  undo(index: number): void {
    const counters = this.counters[index]!;
    counters[EC.activeOwn] = counters[EC.activeOwn]! - 1;
    counters[EC.requests] = counters[EC.requests]! - 1;
    Atomics.sub(this.columns.active, this.members[index]!.row, 1);
    if (this.circuit !== null) this.circuit.leave();
  }

  /**
   * Monotonic ms at which the next endpoint that is held or ejected may come back, for Retry-After; Infinity when that
   * cannot be told.
   */
  returnsAtMs(nowMs: number): number {
    this.catchUp(nowMs);
    return this.roster.returnsAtMs;
  }

  /**
   * True while state.preferred may take this request: it is in service for the clients it has, and was not tried for
   * it. When acquire() gave another one all the same, it was full.
   */
  keepsPreferred(state: PickState): boolean {
    return state.preferred >= 0 && this.mayPrefer(state.preferred, state);
  }

  /** Endpoints that take new requests, full ones included. */
  usableCount(nowMs: number): number {
    this.catchUp(nowMs);
    return this.roster.usableCount;
  }

  /** The endpoint's name now resolves to this; null = not any more. Requests in progress are untouched. */
  setTarget(index: number, target: Target | null): void {
    this.members[index]!.target = target;
    this.roster.nextChangeMs = -Infinity;
  }

  /** Two comparisons a request, unless something has changed. */
  private catchUp(nowMs: number): void {
    if (Atomics.load(this.columns.control, 0) !== this.epoch || nowMs >= this.roster.nextChangeMs) this.refresh(nowMs);
  }

  private refresh(nowMs: number): void {
    // before the columns are read: a change meanwhile is seen next time
    this.epoch = Atomics.load(this.columns.control, 0);
    const { roster, primary } = this;
    roster.update(nowMs);
    primary.tableChanged(roster.primaries);
    this.backup.tableChanged(roster.backups);
    if (this.head === 0 || roster.usableCount === 0) return;
    const scratch = newPickState(this.members.length);
    for (; this.head > 0; this.head--) primary.pick(roster.primaries, scratch);
  }

  /** Adds 1 to the requests in progress unless the endpoint is at its limit. */
  private take(i: number): boolean {
    const { active } = this.columns;
    const row = this.members[i]!.row;
    const max = this.roster.primaries.activeMax[i]!;
    if (max === 0) Atomics.add(active, row, 1);
    else if (!takeBelow(active, row, max)) return false;
    const counters = this.counters[i]!;
    counters[EC.activeOwn] = counters[EC.activeOwn]! + 1;
    counters[EC.requests] = counters[EC.requests]! + 1;
    return true;
  }

  private mayPrefer(i: number, state: PickState): boolean {
    if (i >= this.members.length || this.roster.sticky[i] === 0) return false;
    return state.attempt === 0 || !isTried(state, i);
  }

  private anyUntried(state: PickState): boolean {
    const { primaries, backups } = this.roster;
    for (let i = 0; i < primaries.count; i++) {
      if ((primaries.usable[i] !== 0 || backups.usable[i] !== 0) && (state.attempt === 0 || !isTried(state, i)))
        return true;
    }
    return false;
  }
}

function isTried(state: PickState, i: number): boolean {
  return (state.tried[i >>> 5]! & (1 << (i & 31))) !== 0;
}

function takesTurns(config: PoolConfig): boolean {
  const { by } = config.balance;
  return by === "round-robin" || by === "weighted-round-robin" || by === "least-connections";
}
