// The pool: who is usable, who is counted, who is taken first, and that nothing is ever lost between acquire and
// release.

import { expect, test } from "bun:test";
import { markTried, type PickState } from "../balance/balancer.ts";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { hashText } from "../base/hash.ts";
import { seededRng } from "../base/seeded-rng.ts";
import type { BalanceConfig, HealthConfig, PoolConfig } from "../model/config.ts";
import { Admin, bumpEpoch, columnsBytes, EC, Health, type Columns } from "../stats/columns.ts";
import { countOf } from "../stats/histogram.ts";
import { bench } from "./pool.bench.ts";
import { ALL_FULL, NOBODY, Pool } from "./pool.ts";
import {
  sampleColumns,
  sampleMembers,
  samplePoolConfig,
  sampleSize,
  SetClock,
  type SampleEndpoint,
} from "./sample-pool.ts";

const refused = failure(Side.Endpoint, Phase.Connect, FailureCause.Refused);
const aborted = failure(Side.Client, Phase.ResponseHead, FailureCause.Reset);
const waiting = { initial: "wait" } as HealthConfig; // the pool reads nothing else of it

/** A pool with a clock, and a state that is reset for every take(). */
class Bed {
  readonly columns: Columns;
  readonly clock = new SetClock();
  readonly pool: Pool;
  readonly state: PickState;

  constructor(endpoints: readonly SampleEndpoint[], change: Partial<PoolConfig> = {}, columns?: Columns, worker = 0) {
    this.columns = columns ?? sampleColumns();
    const members = sampleMembers(this.columns, endpoints);
    this.pool = new Pool(samplePoolConfig(change), members, this.columns, worker, seededRng(1), this.clock);
    this.state = newPickState(endpoints.length);
  }

  take(preferred = -1): number {
    resetPickState(this.state, this.pool.members.length, this.clock.cachedMs);
    this.state.preferred = preferred;
    return this.pool.acquire(this.state);
  }

  /** Takes and gives back at once, n times. */
  visit(n: number, latencyUs = 1000): number[] {
    return Array.from({ length: n }, () => {
      const i = this.take();
      if (i >= 0) this.pool.release(i, 0, latencyUs);
      return i;
    });
  }

  set(column: "health" | "admin" | "weight", row: number, value: number): void {
    this.columns[column][row] = value;
    bumpEpoch(this.columns);
  }

  usable(): number {
    return this.pool.usableCount(this.clock.cachedMs);
  }
}

const three: readonly SampleEndpoint[] = [{}, {}, {}];

test("acquire and release count: shared active, own share, requests, latency, histogram", () => {
  const bed = new Bed(three);
  const own = bed.columns.endpoint(0, 0);
  expect(bed.take()).toBe(0);
  expect(bed.columns.active[0]).toBe(1);
  expect(own[EC.activeOwn]).toBe(1);
  expect(own[EC.requests]).toBe(1);
  bed.pool.release(0, 0, 2500);
  expect(bed.columns.active[0]).toBe(0);
  expect(own[EC.activeOwn]).toBe(0);
  expect(own[EC.latencyUsSum]).toBe(2500);
  expect(bed.columns.latencyUs[0]).toBe(2500);
  expect(countOf(bed.columns.histogram(0, 0))).toBe(1);
  expect(own[EC.failures]).toBe(0);
});

test("only failures that blame the endpoint count as its failures, and nothing without an answer is a latency", () => {
  const bed = new Bed(three);
  const own = bed.columns.endpoint(0, 0);
  bed.take();
  bed.pool.release(0, aborted, 0);
  expect(own[EC.failures]).toBe(0);
  expect(bed.columns.latencyUs[0]).toBe(0);
  bed.take(0);
  bed.pool.release(0, refused, 0);
  expect(own[EC.failures]).toBe(1);
  expect(countOf(bed.columns.histogram(0, 0))).toBe(0);
  expect(bed.columns.latencyUs[0]).toBeGreaterThanOrEqual(900_000); // a failure counts as a long wait
});

test.each([
  ["down", "health", Health.Down],
  ["in maintenance", "admin", Admin.Maint],
  ["drained", "admin", Admin.Drain],
  ["of weight 0", "weight", 0],
] as const)("nothing new goes to one that is %s, and it comes back", (_, column, value) => {
  const bed = new Bed(three);
  expect(bed.usable()).toBe(3);
  const before = bed.columns[column][1]!;
  bed.set(column, 1, value);
  expect(bed.usable()).toBe(2);
  expect(bed.visit(12)).not.toContain(1);
  bed.set(column, 1, before);
  expect(bed.visit(12)).toContain(1);
});

test("without a word in the epoch nothing is computed anew", () => {
  const bed = new Bed(three);
  bed.visit(1);
  bed.columns.health[0] = Health.Down;
  expect(bed.visit(3)).toContain(0);
  bumpEpoch(bed.columns);
  expect(bed.visit(3)).not.toContain(0);
});

test("unknown health is usable, unless told to wait", () => {
  const unknown = three.map(() => ({ health: Health.Unknown }));
  expect(new Bed(unknown).usable()).toBe(3);
  const patient = new Bed(unknown, { health: waiting });
  expect(patient.usable()).toBe(0);
  expect(patient.take()).toBe(NOBODY);
  patient.set("health", 2, Health.Up);
  expect(patient.take()).toBe(2);
});

test("an endpoint without an address is not usable until it has one", () => {
  const bed = new Bed(three);
  bed.visit(1);
  bed.pool.setTarget(1, null);
  expect(bed.visit(6)).not.toContain(1);
  bed.pool.setTarget(1, { ip: "198.51.100.1", port: 80, unixPath: null });
  expect(bed.visit(6)).toContain(1);
});

test("weights are those of the columns, at run time", () => {
  const bed = new Bed([{ weight: 3 }, { weight: 2 }, { weight: 1 }]);
  expect(bed.visit(6)).toEqual([0, 1, 0, 2, 1, 0]);
  bed.set("weight", 0, 1);
  bed.set("weight", 1, 1);
  const counts = [0, 0, 0];
  for (const i of bed.visit(30)) counts[i]!++;
  expect(counts).toEqual([10, 10, 10]);
});

test("preferred: honoured when drained or of weight 0; not when down, in maintenance, full, tried or unknown", () => {
  const bed = new Bed([{ maxConnections: 1 }, {}, {}]);
  const prefers0 = (): boolean => {
    const i = bed.take(0);
    bed.pool.release(i, 0, 0);
    return i === 0;
  };
  for (const [column, value, expected] of [
    ["admin", Admin.Ready, true],
    ["admin", Admin.Drain, true],
    ["admin", Admin.Maint, false],
    ["admin", Admin.Ready, true],
    ["weight", 0, true],
    ["weight", 1, true],
    ["health", Health.Down, false],
    ["health", Health.Up, true],
  ] as const) {
    bed.set(column, 0, value);
    const always = Array.from({ length: 5 }, prefers0).every((yes) => yes);
    expect([column, value, always]).toEqual([column, value, expected]);
  }
  expect(bed.take(0)).toBe(0);
  expect(bed.take(0)).not.toBe(0); // full
  bed.pool.release(0, 0, 0);
  resetPickState(bed.state, 3, bed.clock.cachedMs);
  bed.state.preferred = 0;
  markTried(bed.state, 0);
  expect(bed.pool.acquire(bed.state)).not.toBe(0);
  expect(bed.take(3)).toBeWithin(0, 3);
  expect(bed.take(1000)).toBeWithin(0, 3);
});

test("limits: never more than maxConnections, then ALL_FULL, and a release is heard", () => {
  const bed = new Bed([{ maxConnections: 2 }, { maxConnections: 1 }]);
  let heard = 0;
  bed.pool.onCapacity = () => heard++;
  const held = [bed.take(), bed.take(), bed.take()];
  expect(held.toSorted()).toEqual([0, 0, 1]);
  expect(bed.take()).toBe(ALL_FULL);
  bed.pool.release(1, 0, 5);
  expect(heard).toBe(1);
  expect(bed.take()).toBe(1);
  bed.set("health", 0, Health.Down);
  bed.set("health", 1, Health.Down);
  expect(bed.take()).toBe(NOBODY);
});

test("onCapacity may acquire again from within release", () => {
  const bed = new Bed([{ maxConnections: 1 }]);
  bed.take();
  let next = -9;
  bed.pool.onCapacity = () => {
    next = bed.take();
  };
  bed.pool.release(0, 0, 1);
  expect(next).toBe(0);
  expect(bed.columns.active[0]).toBe(1);
});

test("retries: everybody once, then NOBODY; a full one that was not tried is waited for", () => {
  const bed = new Bed([{}, {}, { maxConnections: 1 }]);
  const other = bed.take(2);
  expect(other).toBe(2);
  resetPickState(bed.state, 3, bed.clock.cachedMs);
  const tried: number[] = [];
  for (let i = bed.pool.acquire(bed.state); i >= 0; i = bed.pool.acquire(bed.state)) {
    bed.pool.release(i, refused, 0);
    markTried(bed.state, i);
    tried.push(i);
  }
  expect(tried.toSorted()).toEqual([0, 1]);
  expect(bed.pool.acquire(bed.state)).toBe(ALL_FULL);
  markTried(bed.state, 2);
  expect(bed.pool.acquire(bed.state)).toBe(NOBODY);
});

test("backups serve only when no primary can: down, tried or full", () => {
  const bed = new Bed([{ maxConnections: 1 }, { backup: true }, { backup: true, weight: 2 }]);
  expect(bed.usable()).toBe(3);
  expect(bed.visit(5)).toEqual([0, 0, 0, 0, 0]);
  expect(bed.take()).toBe(0);
  const counts = [0, 0, 0];
  for (const i of bed.visit(30)) counts[i]!++;
  expect(counts).toEqual([0, 10, 20]);
  bed.pool.release(0, 0, 1);
  expect(bed.visit(2)).toEqual([0, 0]);
  bed.set("health", 0, Health.Down);
  expect(bed.visit(3)).not.toContain(0);
  bed.set("health", 0, Health.Up);
  resetPickState(bed.state, 3, bed.clock.cachedMs);
  markTried(bed.state, 0);
  expect(bed.pool.acquire(bed.state)).not.toBe(0);
});

test("noneHealthy: fail gives nobody, all gives everybody in service", () => {
  const endpoints: SampleEndpoint[] = [{ health: Health.Down }, { health: Health.Down }, { health: Health.Down }];
  expect(new Bed(endpoints).take()).toBe(NOBODY);
  const bed = new Bed([...endpoints, { health: Health.Down, weight: 0 }], { noneHealthy: "all" });
  bed.set("admin", 2, Admin.Drain);
  expect(new Set(bed.visit(10))).toEqual(new Set([0, 1]));
  expect(bed.usable()).toBe(2);
  expect(bed.take(2)).toBe(2); // who belongs there goes there even now
  bed.set("health", 1, Health.Up);
  expect(new Set(bed.visit(10))).toEqual(new Set([1]));
});

test("noneHealthy: all keeps primaries before backups", () => {
  const down = { health: Health.Down };
  const bed = new Bed([down, { ...down, backup: true }], { noneHealthy: "all" });
  expect(bed.visit(4)).toEqual([0, 0, 0, 0]);
});

test("hashing pools say what they want hashed, and keep a client where it is", () => {
  const byIp = new Bed(three, { balance: { by: "ip-hash" } });
  expect(byIp.pool.wantsHash).toBe(true);
  expect(byIp.pool.hashKey).toEqual({ from: "source", name: "" });
  const key = { from: "header", name: "x-user" } as const;
  expect(new Bed(three, { balance: { by: "consistent-hash", key, loadPercent: 0 } }).pool.hashKey).toEqual(key);
  expect(new Bed(three).pool.hashKey).toBe(null);
  expect(new Bed(three).pool.wantsHash).toBe(false);
  const homes = new Set<number>();
  for (let k = 0; k < 10; k++) {
    resetPickState(byIp.state, 3, byIp.clock.cachedMs);
    byIp.state.hash = hashText("198.51.100.77");
    homes.add(byIp.pool.acquire(byIp.state));
  }
  expect(homes.size).toBe(1);
});

test("ids with the same hash still both get keys", () => {
  const pair = ["endpoint-1529", "endpoint-1030346"];
  expect(hashText(pair[0]!)).toBe(hashText(pair[1]!));
  const columns = sampleColumns();
  const members = sampleMembers(columns, [{}, {}]).map((m, i) => ({ ...m, config: { ...m.config, id: pair[i]! } }));
  const clock = new SetClock();
  const pool = new Pool(samplePoolConfig({ balance: { by: "ip-hash" } }), members, columns, 0, seededRng(1), clock);
  const state = newPickState(2);
  state.nowMs = clock.cachedMs;
  const counts = [0, 0];
  for (let k = 1; k <= 1000; k++) {
    state.hash = hashText(`client ${k}`);
    counts[pool.acquire(state)]!++;
  }
  expect(Math.min(...counts)).toBeGreaterThan(400);
});

test("workers begin their turns one after the other", () => {
  const columns = sampleColumns(undefined, { workers: 4, listeners: 1, endpoints: 8 });
  const firsts = [0, 1, 2, 3].map((worker) =>
    new Bed(three, { balance: { by: "round-robin" } }, columns, worker).take(),
  );
  expect(firsts).toEqual([0, 1, 2, 0]);
});

test("two workers over one memory: limits hold together, releases of one are room for the other", () => {
  const memory = new ArrayBuffer(columnsBytes(sampleSize));
  const endpoints: SampleEndpoint[] = [{ maxConnections: 3 }, { maxConnections: 2 }];
  const a = new Bed(endpoints, {}, sampleColumns(memory), 0);
  const b = new Bed(endpoints, {}, sampleColumns(memory), 1);
  const taken = [a, b, a, b, a].map((bed) => bed.take());
  expect(taken.toSorted()).toEqual([0, 0, 0, 1, 1]);
  expect([a.take(), b.take()]).toEqual([ALL_FULL, ALL_FULL]);
  expect(a.columns.endpoint(0, 0)[EC.activeOwn]! + b.columns.endpoint(1, 0)[EC.activeOwn]!).toBe(3);
  a.pool.release(taken[0]!, 0, 1);
  expect(b.take()).toBe(taken[0]!);
  expect(a.take()).toBe(ALL_FULL);
});

test("least-connections sees the other worker's load", () => {
  const memory = new ArrayBuffer(columnsBytes(sampleSize));
  const balance = { by: "least-connections" } as const;
  const a = new Bed([{}, {}], { balance }, sampleColumns(memory), 0);
  const b = new Bed([{}, {}], { balance }, sampleColumns(memory), 1);
  for (let k = 0; k < 4; k++) a.take(0);
  expect([b.take(), b.take(), b.take(), b.take()]).toEqual([1, 1, 1, 1]);
});

const balances: readonly BalanceConfig[] = [
  { by: "round-robin" },
  { by: "weighted-round-robin", order: "smooth" },
  { by: "weighted-round-robin", order: "block" },
  { by: "least-connections" },
  { by: "ip-hash" },
  { by: "consistent-hash", key: { from: "uri", name: "" }, loadPercent: 125 },
  { by: "random-two-choices" },
  { by: "least-response-time", decayMs: 10_000 },
];

test.each(balances)("whatever happens, active equals what is outstanding (%o)", (balance) => {
  for (let seed = 1; seed <= 6; seed++) {
    const rng = seededRng(seed);
    const memory = new ArrayBuffer(columnsBytes(sampleSize));
    const count = 1 + rng.below(12);
    const endpoints = Array.from({ length: count }, () => ({
      weight: rng.below(4),
      backup: rng.below(4) === 0,
      maxConnections: rng.below(2) * (1 + rng.below(5)),
    }));
    const change: Partial<PoolConfig> = {
      balance,
      passive: rng.below(2) === 0 ? null : { maxFails: 1 + rng.below(3), failTimeoutMs: 500 },
      slowStartMs: rng.below(2) * 2000,
      noneHealthy: rng.below(2) === 0 ? "fail" : "all",
    };
    const beds = [0, 1].map((worker) => new Bed(endpoints, change, sampleColumns(memory), worker));
    const out: [number, number][] = [];
    const check = (step: number, what: boolean): void => {
      if (!what) throw new Error(`${balance.by}, seed ${seed}, step ${step}`);
    };
    for (let step = 0; step < 1500; step++) {
      const worker = rng.below(2);
      const bed = beds[worker]!;
      for (const each of beds) each.clock.cachedMs += rng.below(20);
      const columns = bed.columns;
      const dice = rng.below(10);
      if (dice < 5) {
        const now = bed.clock.cachedMs;
        resetPickState(bed.state, count, now);
        bed.state.hash = rng.u32();
        bed.state.preferred = rng.below(4) === 0 ? rng.below(count + 1) : -1;
        for (let i = 0; i < count; i++) if (rng.below(8) === 0) markTried(bed.state, i);
        const i = bed.pool.acquire(bed.state);
        check(step, i >= -2 && i < count);
        if (i >= 0) out.push([worker, i]);
        if (i === NOBODY) check(step, bed.usable() === 0 || bed.state.attempt > 0);
      } else if (dice < 9 && out.length > 0) {
        const [owner, i] = out.splice(rng.below(out.length), 1)[0]!;
        beds[owner]!.pool.release(
          i,
          rng.below(3) === 0 ? refused : rng.below(5) === 0 ? aborted : 0,
          rng.below(2) * 900,
        );
      } else {
        const row = rng.below(count);
        columns.health[row] = rng.below(3);
        columns.admin[row] = rng.below(6) < 4 ? Admin.Ready : 1 + rng.below(2);
        columns.weight[row] = rng.below(5);
        if (rng.below(3) === 0) columns.upSinceMs[row] = bed.clock.cachedMs;
        bumpEpoch(columns);
      }
      for (let i = 0; i < count; i++) {
        const mine = out.filter(([, index]) => index === i);
        check(step, columns.active[i] === mine.length);
        for (const w of [0, 1]) {
          check(step, columns.endpoint(w, i)[EC.activeOwn] === mine.filter(([owner]) => owner === w).length);
        }
        const max = endpoints[i]!.maxConnections;
        check(step, max === 0 || columns.active[i]! <= max);
      }
    }
    for (const [owner, i] of out) beds[owner]!.pool.release(i, 0, 0);
    expect(beds[0]!.columns.active.every((n) => n === 0)).toBe(true);
  }
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
