// A balancing simulator in virtual time: the real Pool with its columns and balancers, in front of invented endpoints.
// No sockets and no bytes; for questions of the kind "who gets how much, when", answered in milliseconds and the same
// each time.

import { newPickState, resetPickState } from "../../src/balance/pick-state.ts";
import { failure, FailureCause, Phase, Side, type Failure } from "../../src/base/failure.ts";
import type { Rng } from "../../src/base/ports.ts";
import { seededRng } from "../../src/base/seeded-rng.ts";
import type { BalanceConfig, PassiveConfig } from "../../src/model/config.ts";
import type { OutlierConfig } from "../../src/model/route-config.ts";
import { Pool } from "../../src/pool/pool.ts";
import { sampleColumns, sampleMembers, samplePoolConfig, SetClock } from "../../src/pool/sample-pool.ts";
import { bumpEpoch, columnsBytes, Health, type Columns } from "../../src/stats/columns.ts";

const refused = failure(Side.Endpoint, Phase.Connect, FailureCause.Refused);

/** Virtual time begins here: nothing is special about zero, and nothing must think so. */
const EPOCH_MS = 1_000_000;

export interface SimEndpoint {
  readonly weight?: number;
  /** Requests it works on at once, the others wait in its own queue; default: any number. */
  readonly slots?: number;
  /** Milliseconds of work for a request that comes at nowMs (from the start of the simulation). */
  readonly workMs: (nowMs: number, rng: Rng) => number;
  /** Does a request that comes at nowMs fail, 0.2 ms later? */
  readonly fails?: (nowMs: number) => boolean;
}

export interface SimOptions {
  readonly balance: BalanceConfig;
  readonly endpoints: readonly SimEndpoint[];
  readonly seconds: number;
  readonly seed: number;
  /** Either so many requests a second at random times, or so many clients that ask again when they are answered. */
  readonly load: { readonly perSecond: number } | { readonly clients: number };
  readonly workers?: number;
  readonly slowStartMs?: number;
  readonly passive?: PassiveConfig;
  /** By failures in a row only: nobody ends the intervals at which success rates are compared. */
  readonly outlier?: OutlierConfig;
  /** What active health does, and when: endpoint up or down. */
  readonly health?: readonly { readonly atMs: number; readonly endpoint: number; readonly up: boolean }[];
}

export interface SimResult {
  /** given[second][endpoint]: requests. */
  readonly given: readonly Float64Array[];
  /** peak[second][endpoint]: most requests in progress. */
  readonly peak: readonly Float64Array[];
  readonly requests: number;
  readonly failures: number;
  readonly meanMs: number;
  /** Requests that found nobody. */
  readonly unserved: number;
}

interface Ending {
  readonly atMs: number;
  readonly worker: number;
  readonly endpoint: number;
  readonly outcome: Failure;
  readonly tookMs: number;
}

/** Endings in order of time: a binary heap. */
class Agenda {
  private readonly heap: Ending[] = [];

  get nextMs(): number {
    return this.heap[0]?.atMs ?? Infinity;
  }

  add(ending: Ending): void {
    const { heap } = this;
    let i = heap.length;
    heap.push(ending);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.atMs <= ending.atMs) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = ending;
  }

  take(): Ending {
    const { heap } = this;
    const first = heap[0]!;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return first;
    let i = 0;
    for (let child = 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && heap[child + 1]!.atMs < heap[child]!.atMs) child++;
      if (heap[child]!.atMs >= last.atMs) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

class Simulation {
  private readonly options: SimOptions;
  private readonly rng: Rng;
  private readonly clock = new SetClock();
  private readonly columns: Columns;
  private readonly pools: readonly Pool[];
  private readonly agenda = new Agenda();
  private readonly freeAt: readonly number[][];
  private readonly given: Float64Array[] = [];
  private readonly peak: Float64Array[] = [];
  private readonly state;
  private requests = 0;
  private failures = 0;
  private unserved = 0;
  private tookMs = 0;

  constructor(options: SimOptions) {
    const workers = options.workers ?? 1;
    const count = options.endpoints.length;
    const size = { workers, listeners: 1, endpoints: count };
    this.options = options;
    this.rng = seededRng(options.seed);
    this.columns = sampleColumns(new ArrayBuffer(columnsBytes(size)), size);
    const config = samplePoolConfig({
      balance: options.balance,
      slowStartMs: options.slowStartMs ?? 0,
      passive: options.passive ?? null,
      outlier: options.outlier ?? null,
    });
    const members = sampleMembers(this.columns, options.endpoints);
    this.pools = Array.from({ length: workers }, (_, worker) => {
      return new Pool(config, members, this.columns, worker, seededRng(options.seed + worker + 1), this.clock);
    });
    this.freeAt = options.endpoints.map(({ slots }) => (slots === undefined ? [] : new Array<number>(slots).fill(0)));
    this.state = newPickState(count);
  }

  run(): SimResult {
    const { load, seconds, endpoints } = this.options;
    const end = seconds * 1000;
    for (let second = 0; second < seconds; second++) {
      this.given.push(new Float64Array(endpoints.length));
      this.peak.push(new Float64Array(endpoints.length));
    }
    const health = [...(this.options.health ?? [])];
    const open = "perSecond" in load;
    let nextArrival = open ? 0 : Infinity;
    if (!open) for (let client = 0; client < load.clients; client++) this.arrive(0);
    while (true) {
      const now = Math.min(nextArrival, this.agenda.nextMs, health[0]?.atMs ?? Infinity);
      if (now >= end) break;
      this.clock.cachedMs = EPOCH_MS + now;
      if (health[0]?.atMs === now) {
        this.turn(health.shift()!);
      } else if (this.agenda.nextMs === now) {
        this.finish(this.agenda.take());
        if (!open) this.arrive(now);
      } else {
        this.arrive(now);
        if (open) nextArrival = now + (-Math.log((this.rng.u32() + 1) / 0x1_0000_0001) * 1000) / load.perSecond;
      }
    }
    return {
      given: this.given,
      peak: this.peak,
      requests: this.requests,
      failures: this.failures,
      unserved: this.unserved,
      meanMs: this.tookMs / Math.max(1, this.requests),
    };
  }

  private arrive(now: number): void {
    const worker = this.rng.below(this.pools.length);
    resetPickState(this.state, this.options.endpoints.length, this.clock.cachedMs);
    this.state.hash = this.rng.u32() || 1;
    const i = this.pools[worker]!.acquire(this.state);
    if (i < 0) {
      this.unserved++;
      return;
    }
    this.requests++;
    const second = Math.floor(now / 1000);
    const given = this.given[second]!;
    given[i] = given[i]! + 1;
    const peak = this.peak[second]!;
    peak[i] = Math.max(peak[i]!, this.columns.active[i]!);
    const endpoint = this.options.endpoints[i]!;
    if (endpoint.fails?.(now) === true) {
      this.agenda.add({ atMs: now + 0.2, worker, endpoint: i, outcome: refused, tookMs: 0.2 });
      return;
    }
    const free = this.freeAt[i]!;
    let done = now + endpoint.workMs(now, this.rng);
    if (free.length > 0) {
      const slot = free.indexOf(Math.min(...free));
      done += Math.max(0, free[slot]! - now);
      free[slot] = done;
    }
    this.agenda.add({ atMs: done, worker, endpoint: i, outcome: 0, tookMs: done - now });
  }

  private finish(ending: Ending): void {
    const latencyUs = ending.outcome === 0 ? ending.tookMs * 1000 : 0;
    this.tookMs += ending.tookMs;
    if (ending.outcome !== 0) this.failures++;
    this.pools[ending.worker]!.release(ending.endpoint, ending.outcome, latencyUs, latencyUs > 0 ? 200 : 0);
  }

  private turn(change: { readonly endpoint: number; readonly up: boolean }): void {
    const { columns } = this;
    if (change.up) columns.upSinceMs[change.endpoint] = this.clock.cachedMs;
    columns.health[change.endpoint] = change.up ? Health.Up : Health.Down;
    bumpEpoch(columns);
  }
}

export function simulate(options: SimOptions): SimResult {
  return new Simulation(options).run();
}

/** Part of the requests of the seconds [from, to) that went to an endpoint. */
export function shareOf(result: SimResult, endpoint: number, from: number, to: number): number {
  let mine = 0;
  let all = 0;
  for (const given of result.given.slice(from, to)) {
    mine += given[endpoint]!;
    for (const n of given) all += n;
  }
  return mine / all;
}

/** Work that varies as real work does: exponential around a mean. */
export function around(meanMs: number): (nowMs: number, rng: Rng) => number {
  return (_, rng) => -Math.log((rng.u32() + 1) / 0x1_0000_0001) * meanMs;
}
