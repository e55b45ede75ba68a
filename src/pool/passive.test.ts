// Passive health: counting, holding, the trial, the return; alone and across two workers.

import { expect, test } from "bun:test";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { seededRng } from "../base/seeded-rng.ts";
import type { PoolConfig } from "../model/config.ts";
import { columnsBytes, Health, type Columns } from "../stats/columns.ts";
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
const passive = { maxFails: 3, failTimeoutMs: 10_000 };

class Bed {
  readonly pool: Pool;
  readonly clock: SetClock;
  readonly columns: Columns;
  private readonly state = newPickState(8);

  constructor(
    endpoints: readonly SampleEndpoint[],
    change: Partial<PoolConfig> = {},
    other?: Bed,
    memory?: ArrayBuffer,
  ) {
    this.columns = sampleColumns(memory);
    this.clock = other?.clock ?? new SetClock();
    const members = sampleMembers(this.columns, endpoints);
    const config = samplePoolConfig({ passive, ...change });
    this.pool = new Pool(config, members, this.columns, other === undefined ? 0 : 1, seededRng(1), this.clock);
  }

  take(preferred = -1): number {
    resetPickState(this.state, this.pool.members.length, this.clock.cachedMs);
    this.state.preferred = preferred;
    return this.pool.acquire(this.state);
  }

  /** One request to endpoint 0 ends like this. */
  end(how: number, latencyUs = 0): void {
    expect(this.take(0)).toBe(0);
    this.pool.release(0, how, latencyUs);
  }

  usable(): number {
    return this.pool.usableCount(this.clock.cachedMs);
  }

  visits(n: number): number[] {
    return Array.from({ length: n }, () => {
      const i = this.take();
      if (i >= 0) this.pool.release(i, aborted, 0); // says nothing about the endpoint
      return i;
    });
  }
}

/** Endpoint 0 has just been held, at clock.cachedMs. */
function held(change: Partial<PoolConfig> = {}): Bed {
  const bed = new Bed([{}, {}], change);
  for (let k = 0; k < 3; k++) bed.end(refused);
  return bed;
}

test("maxFails within failTimeout: out for failTimeout, then back", () => {
  const bed = new Bed([{}, {}]);
  bed.end(refused);
  bed.end(refused);
  expect(bed.visits(6)).toContain(0);
  bed.end(refused);
  expect(bed.usable()).toBe(1);
  expect(bed.visits(6)).not.toContain(0);
  expect(bed.take(0)).toBe(1); // nor for those who belong there
  bed.clock.cachedMs += 9999;
  expect(bed.visits(6)).not.toContain(0);
  bed.clock.cachedMs += 1;
  expect(bed.visits(6)).toContain(0);
});

test("failures further apart than failTimeout never add up", () => {
  const bed = new Bed([{}, {}]);
  for (let k = 0; k < 10; k++) {
    bed.end(refused);
    bed.end(refused);
    bed.clock.cachedMs += 10_001;
  }
  expect(bed.usable()).toBe(2);
});

test("successes between failures do not erase them; what the client did does not count", () => {
  const bed = new Bed([{}, {}]);
  for (let k = 0; k < 20; k++) bed.end(aborted);
  expect(bed.usable()).toBe(2);
  for (let k = 0; k < 3; k++) {
    bed.end(0, 1000);
    bed.end(refused);
  }
  expect(bed.usable()).toBe(1);
});

test("on trial: one request at a time until one is answered", () => {
  const bed = held();
  bed.clock.cachedMs += 10_000;
  expect(bed.take(0)).toBe(0);
  expect(bed.take(0)).toBe(1);
  expect(bed.take(0)).toBe(1);
  bed.pool.release(0, 0, 1000);
  expect([bed.take(0), bed.take(0), bed.take(0)]).toEqual([0, 0, 0]);
  for (let k = 0; k < 2; k++) bed.pool.release(0, refused, 0);
  expect(bed.usable()).toBe(2); // counting begins anew
  bed.pool.release(0, refused, 0);
  expect(bed.usable()).toBe(1);
});

test("on trial: a single failure holds it out again at once, however late", () => {
  const bed = held();
  for (const wait of [10_000, 10_000, 3_600_000]) {
    bed.clock.cachedMs += wait;
    expect(bed.usable()).toBe(2);
    bed.end(refused);
    expect(bed.usable()).toBe(1);
  }
});

test("on trial: an answer that does not end (a WebSocket) lifts the limit after failTimeout", () => {
  const bed = held();
  bed.clock.cachedMs += 10_000;
  expect(bed.take(0)).toBe(0);
  expect(bed.take(0)).toBe(1);
  bed.clock.cachedMs += 10_000;
  expect([bed.take(0), bed.take(0)]).toEqual([0, 0]);
});

test("requests still open from before do not take the place of the trial", () => {
  const bed = new Bed([{}, {}]);
  for (let k = 0; k < 5; k++) bed.take(0); // five tunnels that stay
  for (let k = 0; k < 3; k++) bed.end(refused);
  bed.clock.cachedMs += 10_000;
  expect(bed.take(0)).toBe(0);
  expect(bed.take(0)).toBe(1);
});

test("late failures of requests from before the hold do not prolong it", () => {
  const bed = new Bed([{}, {}]);
  for (let k = 0; k < 10; k++) expect(bed.take(0)).toBe(0);
  for (let k = 0; k < 3; k++) bed.pool.release(0, refused, 0);
  const until = bed.columns.heldUntilMs[0]!;
  const epoch = bed.columns.control[0]!;
  bed.clock.cachedMs += 5000;
  for (let k = 0; k < 7; k++) bed.pool.release(0, refused, 0);
  expect(bed.columns.heldUntilMs[0]).toBe(until);
  expect(bed.columns.control[0]).toBe(epoch);
});

test("after a hold comes slow start", () => {
  const bed = held({ slowStartMs: 20_000 });
  bed.clock.cachedMs += 10_000;
  bed.end(0, 1000);
  const share = (): number => bed.visits(200).filter((i) => i === 0).length / 200;
  expect(share()).toBeWithin(0.05, 0.13); // 0.1 of 1.1
  bed.clock.cachedMs += 10_000;
  expect(share()).toBeWithin(0.3, 0.37); // 0.5 of 1.5
  bed.clock.cachedMs += 10_000;
  expect(share()).toBe(0.5);
});

test("a pool of one is never held", () => {
  const bed = new Bed([{}]);
  for (let k = 0; k < 10; k++) bed.end(refused);
  expect(bed.usable()).toBe(1);
});

test("maxFails 0 turns it off", () => {
  const bed = new Bed([{}, {}], { passive: { maxFails: 0, failTimeoutMs: 10_000 } });
  for (let k = 0; k < 10; k++) bed.end(refused);
  expect(bed.usable()).toBe(2);
});

test("all held: fail refuses, then lets one trial each through; all uses everybody without limit", () => {
  for (const noneHealthy of ["fail", "all"] as const) {
    const bed = new Bed([{}, {}], { noneHealthy });
    for (const i of [0, 1]) {
      for (let k = 0; k < 3; k++) {
        expect(bed.take(i)).toBe(i);
        bed.pool.release(i, refused, 0);
      }
    }
    if (noneHealthy === "all") expect(new Set([bed.take(), bed.take(), bed.take()])).toEqual(new Set([0, 1]));
    else expect(bed.take()).toBe(NOBODY);
    bed.clock.cachedMs += 10_000;
    const taken = [bed.take(), bed.take(), bed.take(), bed.take()];
    if (noneHealthy === "all") expect(taken).not.toContain(ALL_FULL);
    else expect(taken.toSorted()).toEqual([ALL_FULL, ALL_FULL, 0, 1].toSorted());
    if (noneHealthy === "all") continue;
    let room = 0;
    bed.pool.onCapacity = () => room++;
    bed.pool.release(1, 0, 700);
    expect(room).toBe(1); // whoever queued for the trial hears that it is over
    expect([bed.take(), bed.take(), bed.take()]).toEqual([1, 1, 1]);
  }
});

test("two workers: failures add up, both hold, both see the end of the trial", () => {
  const memory = new ArrayBuffer(columnsBytes(sampleSize));
  const a = new Bed([{}, {}], {}, undefined, memory);
  const b = new Bed([{}, {}], {}, a, memory);
  expect([a.usable(), b.usable()]).toEqual([2, 2]);
  a.end(refused);
  b.end(refused);
  a.end(refused);
  expect([a.usable(), b.usable()]).toEqual([1, 1]);
  a.clock.cachedMs += 10_000;
  expect([a.usable(), b.usable()]).toEqual([2, 2]);
  expect(a.take(0)).toBe(0);
  expect(b.take(0)).toBe(1); // the trial is the other worker's
  a.pool.release(0, 0, 100);
  expect([b.take(0), b.take(0), b.take(0)]).toEqual([0, 0, 0]);
});

test("active health and holds are asked both", () => {
  const bed = held();
  bed.columns.health[0] = Health.Down;
  Atomics.add(bed.columns.control, 0, 1);
  bed.clock.cachedMs += 10_000;
  expect(bed.usable()).toBe(1);
});
