// The slow-start curve, and its steps in a pool.

import { expect, test } from "bun:test";
import { WEIGHT_SCALE } from "../balance/balancer.ts";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import { seededRng } from "../base/seeded-rng.ts";
import type { BalanceConfig } from "../model/config.ts";
import { bumpEpoch, Health } from "../stats/columns.ts";
import { Pool } from "./pool.ts";
import { sampleColumns, sampleMembers, samplePoolConfig, SetClock } from "./sample-pool.ts";
import { rampAt, rampStepMs } from "./slow-start.ts";

test("from a tenth, linear, to the whole", () => {
  const at = (ms: number): number => rampAt(1000, 1000 + ms, 60_000) / WEIGHT_SCALE;
  expect(at(0)).toBeCloseTo(0.1, 2);
  expect(at(6000)).toBeCloseTo(0.1, 2);
  expect(at(15_000)).toBe(0.25);
  expect(at(30_000)).toBe(0.5);
  expect(at(59_999)).toBeCloseTo(1, 2);
  expect(at(60_000)).toBe(1);
  expect(at(1e9)).toBe(1);
  expect(at(-5000)).toBeCloseTo(0.1, 2); // a hold that has not ended yet
  for (let ms = 0; ms < 60_000; ms += 100) expect(at(ms + 100)).toBeGreaterThanOrEqual(at(ms));
});

test("none without configuration, and none for those that were never down", () => {
  expect(rampAt(1000, 1000, 0)).toBe(WEIGHT_SCALE);
  expect(rampAt(0, 5, 60_000)).toBe(WEIGHT_SCALE);
});

test("steps: twenty, within 50 ms and 1 s", () => {
  expect([200, 5000, 30_000, 3_600_000].map(rampStepMs)).toEqual([50, 250, 1000, 1000]);
});

const balances: readonly BalanceConfig[] = [
  { by: "round-robin" },
  { by: "weighted-round-robin", order: "smooth" },
  { by: "weighted-round-robin", order: "block" },
  { by: "least-connections" },
  { by: "ip-hash" },
  { by: "random-two-choices" },
];

test.each(balances)("a recovered endpoint's share grows with time (%o)", (balance) => {
  const columns = sampleColumns();
  const members = sampleMembers(columns, [{}, { health: Health.Down }, {}]);
  const clock = new SetClock();
  const rng = seededRng(3);
  const pool = new Pool(samplePoolConfig({ balance, slowStartMs: 10_000 }), members, columns, 0, rng, clock);
  const state = newPickState(3);
  /** The part of requests that endpoint 1 gets in a second from now. */
  const share = (): number => {
    let mine = 0;
    for (let k = 0; k < 4000; k++) {
      clock.cachedMs += 0.25;
      resetPickState(state, 3, clock.cachedMs);
      state.hash = rng.u32();
      const i = pool.acquire(state);
      if (i === 1) mine++;
      pool.release(i, 0, 1000);
    }
    return mine / 4000;
  };
  expect(share()).toBe(0);
  columns.health[1] = Health.Up;
  columns.upSinceMs[1] = clock.cachedMs;
  bumpEpoch(columns);
  const shares = Array.from({ length: 11 }, share);
  const fair = (ramp: number): number => ramp / (2 + ramp);
  for (const [second, got] of shares.entries()) {
    // Within the second the ramp moves by at most a step; chance gets a tenth.
    expect(got).toBeGreaterThan(fair(Math.max(0.1, second / 10 - 0.1)) * 0.75);
    expect(got).toBeLessThan(fair(Math.max(0.1, Math.min(1, (second + 1) / 10))) * 1.2);
  }
  expect(shares[10]!).toBeWithin(0.3, 0.37);
});
