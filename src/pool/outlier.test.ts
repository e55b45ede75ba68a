// Outlier ejection: by failures in a row over all workers, by success rate, its length, its share, the return; and what
// of all that a pool's users see.

import { describe, expect, test } from "bun:test";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { seededRng } from "../base/seeded-rng.ts";
import type { PoolConfig } from "../model/config.ts";
import type { OutlierConfig } from "../model/route-config.ts";
import { type Columns, columnsBytes, EC, EjectReason, Health, lockOfSupervisor } from "../stats/columns.ts";
import {
  eject,
  ejectedCount,
  ejectedMax,
  Ejection,
  ejectionMsOf,
  type OutlierGroup,
  releaseLockOf,
} from "./outlier.ts";
import { NOBODY, Pool } from "./pool.ts";
import { sampleColumns, sampleMembers, samplePoolConfig, sampleSize, SetClock } from "./sample-pool.ts";
import { SuccessRates } from "./success-rates.ts";

const refused = failure(Side.Endpoint, Phase.Connect, FailureCause.Refused);
const aborted = failure(Side.Client, Phase.ResponseHead, FailureCause.Reset);
const outlier: OutlierConfig = {
  consecutiveFailures: 3,
  intervalMs: 10_000,
  ejectionMs: 30_000,
  maxEjectionMs: 100_000,
  maxEjectedPercent: 50,
  successRate: null,
};

class Bed {
  readonly columns: Columns;
  readonly clock: SetClock;
  readonly pool: Pool;
  readonly config: OutlierConfig;
  private readonly state = newPickState(16);

  constructor(count: number, change: Partial<OutlierConfig> = {}, pool: Partial<PoolConfig> = {}, other?: Bed) {
    this.columns = other === undefined ? sampleColumns() : other.columns;
    this.clock = other?.clock ?? new SetClock();
    this.config = { ...outlier, ...change };
    const members = sampleMembers(
      this.columns,
      Array.from({ length: count }, () => ({})),
    );
    const config = samplePoolConfig({ outlier: this.config, ...pool });
    this.pool = new Pool(config, members, this.columns, other === undefined ? 0 : 1, seededRng(1), this.clock);
  }

  take(preferred = -1): number {
    resetPickState(this.state, this.pool.members.length, this.clock.cachedMs);
    this.state.preferred = preferred;
    return this.pool.acquire(this.state);
  }

  /** Requests to endpoint i end like this. */
  end(i: number, f: number, status = 0, times = 1): void {
    for (let k = 0; k < times; k++) {
      expect(this.take(i)).toBe(i);
      this.pool.release(i, f, status === 0 ? 0 : 1000, status);
    }
  }

  get group(): OutlierGroup {
    return { config: this.config, row: 0, endpoints: this.pool.members.map(({ row }) => row) };
  }
  usable(): number {
    return this.pool.usableCount(this.clock.cachedMs);
  }
  visits(n: number): number[] {
    return Array.from({ length: n }, () => {
      const i = this.take();
      if (i >= 0) this.pool.release(i, aborted, 0);
      return i;
    });
  }
  pass(ms: number): void {
    this.clock.cachedMs += ms;
  }
}

describe("failures in a row", () => {
  test("eject at once, for a while, for nobody's use", () => {
    const bed = new Bed(4);
    bed.end(0, refused, 0, 2);
    expect(bed.visits(8)).toContain(0);
    bed.end(0, refused);
    expect(bed.usable()).toBe(3);
    expect(bed.visits(12)).not.toContain(0);
    expect(bed.take(0)).not.toBe(0); // nor for those who belong there
    expect(bed.columns.ejectReason[0]).toBe(EjectReason.Consecutive);
    expect(bed.pool.returnsAtMs(bed.clock.cachedMs)).toBe(bed.clock.cachedMs + 30_000);
    bed.pass(29_999);
    expect(bed.visits(12)).not.toContain(0);
    bed.pass(1);
    expect(bed.visits(12)).toContain(0);
    expect(bed.pool.returnsAtMs(bed.clock.cachedMs)).toBe(Infinity);
  });

  test("answers from 500 up are failures, below they are successes, and a success ends the row", () => {
    const bed = new Bed(4);
    bed.end(0, 0, 500, 2);
    bed.end(0, 0, 499);
    bed.end(0, 0, 503, 2);
    bed.end(0, 0, 200);
    bed.end(0, refused, 0, 1);
    bed.end(0, 0, 599, 1);
    expect(bed.usable()).toBe(4);
    bed.end(0, failure(Side.Endpoint, Phase.ResponseBody, FailureCause.Reset), 200);
    expect(bed.usable()).toBe(3);
    const counters = bed.columns.endpoint(0, 0);
    expect([counters[EC.judgedGood], counters[EC.judgedBad]]).toEqual([2, 7]);
  });

  test("what clients cause neither fails nor mends; a kept connection that was closed is nobody's fault", () => {
    const bed = new Bed(4);
    const raced = failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Reset, true);
    const late = failure(Side.Proxy, Phase.ResponseHead, FailureCause.Timeout);
    for (const f of [aborted, raced, late]) bed.end(0, f, 0, 10);
    expect(bed.usable()).toBe(4);
    expect(bed.columns.streak[0]).toBe(0);
    bed.end(0, refused, 0, 2);
    bed.end(0, aborted, 0, 10);
    expect(bed.usable()).toBe(4);
    bed.end(0, refused);
    expect(bed.usable()).toBe(3);
  });

  test("the row is counted over all workers, and all see the end of it", () => {
    const a = new Bed(4);
    const b = new Bed(4, {}, {}, a);
    a.end(0, refused);
    b.end(0, refused);
    expect([a.usable(), b.usable()]).toEqual([4, 4]);
    a.end(0, refused);
    expect([a.usable(), b.usable()]).toEqual([3, 3]);
    a.pass(30_000);
    a.end(0, refused, 0, 2);
    b.end(0, 0, 200);
    a.end(0, refused, 0, 2);
    expect([a.usable(), b.usable()]).toEqual([4, 4]);
  });

  test("failures of requests from before prolong nothing", () => {
    const bed = new Bed(4);
    for (let k = 0; k < 10; k++) expect(bed.take(0)).toBe(0);
    for (let k = 0; k < 10; k++) bed.pool.release(0, refused, 0);
    expect(bed.columns.ejections[0]).toBe(1);
    expect(bed.columns.ejectedUntilMs[0]).toBe(bed.clock.cachedMs + 30_000);
    bed.pass(30_000);
    bed.end(0, refused, 0, 2);
    expect(bed.usable()).toBe(4);
  });

  test("each ejection in a row is longer, up to the longest", () => {
    const bed = new Bed(4);
    const lengths = [1, 2, 3, 4, 5].map(() => {
      bed.end(0, refused, 0, 3);
      const ms = bed.columns.ejectedUntilMs[0]! - bed.clock.cachedMs;
      bed.pass(ms);
      return ms;
    });
    expect(lengths).toEqual([30_000, 60_000, 90_000, 100_000, 100_000]);
    expect(ejectionMsOf(2, { ...outlier, maxEjectionMs: 40_000 })).toBe(40_000);
  });

  test("0 turns it off", () => {
    const bed = new Bed(4, { consecutiveFailures: 0 });
    bed.end(0, refused, 0, 50);
    expect(bed.usable()).toBe(4);
  });

  test("a pool of one is never ejected: it has nobody else to turn to", () => {
    const bed = new Bed(1);
    bed.end(0, refused, 0, 50);
    expect(bed.usable()).toBe(1);
  });
});

describe("no more than the share", () => {
  test.each([
    [2, 10, 1],
    [3, 50, 1],
    [4, 50, 2],
    [10, 10, 1],
    [10, 25, 2],
    [10, 100, 10],
    [10, 0, 1],
  ])("of %d at %d %%: %d", (count, percent, most) => {
    expect(ejectedMax(count, { ...outlier, maxEjectedPercent: percent })).toBe(most);
    const bed = new Bed(count, { maxEjectedPercent: percent }, { noneHealthy: "all" });
    for (let k = 0; k < 9; k++) {
      for (let i = 0; i < count; i++) if (bed.take(i) === i) bed.pool.release(i, refused, 0);
    }
    expect(ejectedCount(bed.columns, bed.group.endpoints, bed.clock.cachedMs)).toBe(most);
  });

  test("a place that becomes free is taken by the next that fails so often", () => {
    const bed = new Bed(4, { maxEjectedPercent: 25 });
    bed.end(0, refused, 0, 3);
    bed.end(1, refused, 0, 48);
    expect(bed.visits(12)).toContain(1);
    bed.pass(30_000);
    bed.end(1, refused, 0, 3);
    expect(bed.visits(12)).not.toContain(1);
  });

  test("two who eject at the same time: one at a time", () => {
    const bed = new Bed(4);
    bed.columns.poolLock[0] = lockOfSupervisor;
    expect(eject(bed.columns, bed.group, 1, 0, EjectReason.Consecutive, bed.clock.cachedMs)).toBe(Ejection.Busy);
    bed.end(0, refused, 0, 4); // goes on counting
    expect(bed.usable()).toBe(4);
    bed.columns.poolLock[0] = 0;
    bed.end(0, refused);
    expect(bed.usable()).toBe(3);
    expect(bed.columns.poolLock[0]).toBe(0);
  });

  test("a lock of a worker that died is free again, another's is not", () => {
    const { columns } = new Bed(4);
    columns.poolLock[0] = 3 + 1;
    releaseLockOf(columns, 0, 2);
    expect(columns.poolLock[0]).toBe(4);
    releaseLockOf(columns, 0, 3);
    expect(columns.poolLock[0]).toBe(0);
  });
});

describe("with the rest of the pool", () => {
  test("all ejected: noneHealthy decides", () => {
    for (const noneHealthy of ["fail", "all"] as const) {
      const bed = new Bed(2, { maxEjectedPercent: 100 }, { noneHealthy });
      for (const i of [0, 1]) bed.end(i, refused, 0, 3);
      if (noneHealthy === "fail") {
        expect(bed.take()).toBe(NOBODY);
        expect(bed.pool.returnsAtMs(bed.clock.cachedMs)).toBe(bed.clock.cachedMs + 30_000);
      } else expect(new Set(bed.visits(6))).toEqual(new Set([0, 1]));
    }
  });

  test("backups serve while all primaries are ejected", () => {
    const columns = sampleColumns();
    const clock = new SetClock();
    const members = sampleMembers(columns, [{}, { backup: true }, { backup: true }]);
    const pool = new Pool(samplePoolConfig({ outlier }), members, columns, 0, seededRng(1), clock);
    const state = newPickState(3);
    for (let k = 0; k < 3; k++) {
      resetPickState(state, 3, clock.cachedMs);
      expect(pool.acquire(state)).toBe(0);
      pool.release(0, refused, 0);
    }
    resetPickState(state, 3, clock.cachedMs);
    expect(pool.acquire(state)).toBeGreaterThan(0);
  });

  test("passive holds and ejections are both asked", () => {
    const bed = new Bed(4, { consecutiveFailures: 5 }, { passive: { maxFails: 3, failTimeoutMs: 10_000 } });
    bed.end(0, refused, 0, 3);
    expect(bed.usable()).toBe(3); // held
    expect(bed.columns.ejections[0]).toBe(0);
    bed.pass(10_000);
    bed.end(0, refused); // on trial, held again
    bed.pass(10_000);
    bed.end(0, refused); // the fifth in a row
    expect(bed.columns.ejections[0]).toBe(1);
    bed.pass(10_000);
    expect(bed.usable()).toBe(3);
    bed.pass(20_000);
    expect(bed.usable()).toBe(4);
  });

  test("health that is down, or maintenance, outlasts an ejection", () => {
    const bed = new Bed(4);
    bed.end(0, refused, 0, 3);
    bed.columns.health[0] = Health.Down;
    bed.pass(30_000);
    expect(bed.usable()).toBe(3);
  });

  test("after an ejection comes slow start", () => {
    const bed = new Bed(4, {}, { slowStartMs: 20_000 });
    bed.end(0, refused, 0, 3);
    bed.pass(30_000);
    const share = (): number => bed.visits(400).filter((i) => i === 0).length / 400;
    expect(share()).toBeWithin(0.02, 0.05); // 0.1 of 3.1
    bed.pass(10_000);
    expect(share()).toBeWithin(0.12, 0.17); // 0.5 of 3.5
    bed.pass(10_000);
    expect(share()).toBeWithin(0.24, 0.26);
  });

  test("without outlier nothing is judged, and old ejections do not count", () => {
    const bed = new Bed(4);
    bed.end(0, refused, 0, 3);
    const plain = new Bed(4, {}, { outlier: null }, bed);
    expect(plain.usable()).toBe(4);
    plain.end(1, refused, 0, 10);
    expect([plain.columns.streak[1], plain.columns.endpoint(1, 1)[EC.judgedBad]]).toEqual([0, 0]);
  });
});

describe("success rates", () => {
  const successRate = { minEndpoints: 4, minRequests: 100, stdevFactor: 1.9 };

  /** An interval in which endpoint i answered 100 requests, bad[i] of them badly, shared by two workers. */
  function interval(bed: Bed, rates: SuccessRates, bad: readonly number[], total = 100): number {
    for (const [i, count] of bad.entries()) {
      for (let k = 0; k < total; k++) {
        bed.columns.endpoint(k % 2, i)[k < count ? EC.judgedBad : EC.judgedGood]!++;
      }
    }
    bed.pass(10_000);
    return rates.endInterval(bed.group, 2, bed.clock.cachedMs);
  }
  function begin(change: Partial<OutlierConfig> = {}): [Bed, SuccessRates] {
    const bed = new Bed(6, { consecutiveFailures: 0, successRate, ...change });
    const rates = new SuccessRates(bed.columns);
    rates.endInterval(bed.group, 2, bed.clock.cachedMs);
    return [bed, rates];
  }

  test("far below the others is ejected, for that reason", () => {
    const [bed, rates] = begin();
    expect(interval(bed, rates, [1, 0, 2, 1, 0, 30])).toBe(1);
    expect(bed.visits(20)).not.toContain(5);
    expect(bed.columns.ejectReason[5]).toBe(EjectReason.SuccessRate);
    expect(bed.usable()).toBe(5);
  });

  test("the threshold is mean - factor * deviation", () => {
    // Rates 1, 1, 1, 1, 1, 0.9: mean 0.98333, deviation 0.037268, threshold 0.912525 and 0.889.
    expect(interval(...begin(), [0, 0, 0, 0, 0, 10])).toBe(1);
    expect(interval(...begin({ successRate: { ...successRate, stdevFactor: 2.3 } }), [0, 0, 0, 0, 0, 10])).toBe(0);
  });

  test("all equally bad: nobody", () => {
    const [bed, rates] = begin();
    expect(interval(bed, rates, [50, 50, 50, 50, 50, 50])).toBe(0);
    expect(interval(bed, rates, [0, 0, 0, 0, 0, 0])).toBe(0);
  });

  test("too few requests, or too few endpoints with enough: nobody", () => {
    expect(interval(...begin(), [0, 0, 0, 0, 0, 50], 99)).toBe(0);
    const [bed, rates] = begin();
    for (const row of [0, 1, 2]) bed.columns.endpoint(0, row)[EC.judgedGood] = 500;
    bed.columns.endpoint(0, 5)[EC.judgedBad] = 99;
    bed.pass(10_000);
    expect(rates.endInterval(bed.group, 2, bed.clock.cachedMs)).toBe(0);
  });

  test("what was before the first interval does not count", () => {
    const bed = new Bed(6, { consecutiveFailures: 0, successRate });
    const rates = new SuccessRates(bed.columns);
    expect(interval(bed, rates, [0, 0, 0, 0, 0, 90])).toBe(0);
    expect(interval(bed, rates, [0, 0, 0, 0, 0, 0])).toBe(0);
    expect(interval(bed, rates, [0, 0, 0, 0, 0, 90])).toBe(1);
  });

  test("a row that another endpoint has got begins anew", () => {
    const [bed, rates] = begin();
    interval(bed, rates, [0, 0, 0, 0, 0, 0]);
    for (const worker of [0, 1]) bed.columns.endpoint(worker, 5).fill(0);
    bed.columns.endpoint(0, 5)[EC.judgedBad] = 90;
    expect(interval(bed, rates, [0, 0, 0, 0, 0, 0])).toBe(0);
  });

  test("the worst go first where not all may", () => {
    const [bed, rates] = begin({ maxEjectedPercent: 17, successRate: { ...successRate, stdevFactor: 0.5 } });
    expect(interval(bed, rates, [0, 0, 0, 60, 40, 0])).toBe(1);
    expect(bed.visits(20)).not.toContain(3);
    expect(bed.visits(20)).toContain(4);
  });

  test("each interval in service takes one off the ejections in a row", () => {
    const [bed, rates] = begin({ consecutiveFailures: 3 });
    for (let n = 1; n <= 3; n++) {
      bed.end(0, refused, 0, 3);
      bed.pass(30_000 * n);
    }
    const end = (): number => {
      bed.pass(10_000);
      rates.endInterval(bed.group, 2, bed.clock.cachedMs);
      return bed.columns.ejectedTimes[0]!;
    };
    expect([end(), end()]).toEqual([2, 1]);
    bed.end(0, refused, 0, 3);
    expect(bed.columns.ejectedUntilMs[0]! - bed.clock.cachedMs).toBe(60_000);
    expect([end(), end()]).toEqual([2, 2]); // ejected: no peace
    bed.pass(60_000);
    expect([end(), end(), end()]).toEqual([1, 0, 0]);
  });
});

describe("at random", () => {
  const firstSeed = Number(process.env["SLUICE_SEED"] ?? 1);
  const runs = Number(process.env["SLUICE_RUNS"] ?? 40);
  test.each(Array.from({ length: runs }, (_, i) => firstSeed + i))("never more than the share (seed %d)", (seed) => {
    const rng = seededRng(seed);
    const count = 2 + rng.below(14);
    const change = {
      consecutiveFailures: 1 + rng.below(4),
      maxEjectedPercent: rng.below(101),
      ejectionMs: 1000 + rng.below(20_000),
      successRate: { minEndpoints: 2, minRequests: 5, stdevFactor: rng.below(20) / 10 },
    };
    const a = new Bed(count, change);
    const b = new Bed(count, change, {}, a);
    const rates = new SuccessRates(a.columns);
    const most = ejectedMax(count, a.config);
    let ejections = 0;
    for (let k = 0; k < 1500; k++) {
      const bed = rng.below(2) === 0 ? a : b;
      const i = bed.take();
      if (i >= 0) {
        const f = [refused, 0, 0, aborted][rng.below(4)]!;
        bed.pool.release(i, f, f === 0 ? 1000 : 0, f === 0 ? [200, 503][rng.below(2)]! : 0);
      }
      if (rng.below(20) === 0) a.pass(rng.below(4000));
      if (rng.below(40) === 0) ejections += rates.endInterval(a.group, 2, a.clock.cachedMs);
      const out = ejectedCount(a.columns, a.group.endpoints, a.clock.cachedMs);
      expect(out).toBeLessThanOrEqual(most);
      expect(a.usable()).toBe(count - out);
      expect(b.usable()).toBe(count - out);
    }
    let all = 0;
    for (const row of a.pool.members.map((member) => member.row)) {
      all += a.columns.ejections[row]!;
      expect(a.columns.active[row]).toBe(0);
    }
    expect(all).toBeGreaterThan(0);
    expect(ejections).toBeLessThanOrEqual(all);
    expect(a.columns.poolLock[0]).toBe(0);
  });
});

test("columns of a size hold the rows of pools and endpoints apart", () => {
  const columns = sampleColumns(new ArrayBuffer(columnsBytes(sampleSize)));
  columns.ejectedUntilMs.fill(7);
  columns.poolWantedMs.fill(8);
  columns.poolLock.fill(9);
  columns.streak.fill(10);
  columns.pool(1, 3).fill(11);
  const unlike = (column: ArrayLike<number>, value: number): boolean => Array.from(column).some((x) => x !== value);
  expect(unlike(columns.ejectedUntilMs, 7) || unlike(columns.poolWantedMs, 8)).toBe(false);
  expect(unlike(columns.poolLock, 9) || unlike(columns.streak, 10) || unlike(columns.pool(1, 3), 11)).toBe(false);
  expect(unlike(columns.worker(0), 0) || unlike(columns.endpoint(1, 63), 0) || unlike(columns.active, 0)).toBe(false);
});
