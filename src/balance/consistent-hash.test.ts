// consistent-hash: the shared laws with and without a bound, and what the bound promises.

import { expect, test } from "bun:test";
import { mix32 } from "../base/hash.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { markTried, WEIGHT_SCALE } from "./balancer.ts";
import { bench } from "./consistent-hash.bench.ts";
import { ConsistentHash } from "./consistent-hash.ts";
import { newPickState } from "./pick-state.ts";
import { sampleTable } from "./sample-table.ts";
import { laws, type Traits } from "./suite.ts";

const promised = { shares: "weight", tolerance: 0.15, minimalDisruption: true } as const;
const unbounded: Traits = { make: (count) => new ConsistentHash(count, 0), ...promised };
const bounded: Traits = { make: (count) => new ConsistentHash(count, 125), ...promised };
for (const law of laws) {
  test(`unbounded: ${law.name}`, () => law.holds(unbounded));
  test(`bounded, idle: ${law.name}`, () => law.holds(bounded));
}

test("one hot key: nobody ever exceeds its bound, and the spill goes in a fixed order", () => {
  const weights = [1, 1, 2, 4];
  const table = sampleTable(weights.map((w) => w * WEIGHT_SCALE));
  const balancer = new ConsistentHash(4, 125);
  balancer.tableChanged(table);
  const state = newPickState(4);
  state.hash = mix32(42);
  const firstUse: number[] = [];
  for (let k = 1; k <= 400; k++) {
    const i = balancer.pick(table, state);
    const active = table.active[i]! + 1;
    table.active[i] = active;
    expect(active).toBeLessThanOrEqual(Math.max(1, Math.ceil((k * 1.25 * weights[i]!) / 8)));
    if (!firstUse.includes(i)) firstUse.push(i);
  }
  // The order of the spill is the order of the draw without a bound.
  const plain = new ConsistentHash(4, 0);
  plain.tableChanged(table);
  const order: number[] = [];
  for (let i = plain.pick(table, state); i >= 0; i = plain.pick(table, state)) {
    order.push(i);
    markTried(state, i);
  }
  expect(firstUse.length).toBe(3); // at 125 % three of them are room enough
  expect(firstUse).toEqual(order.slice(0, 3));
});

test("many keys under a bound: loads stay within 1.25 of the mean, most keys stay home", () => {
  const seed = 17;
  const rng = seededRng(seed);
  const n = 20;
  const table = sampleTable(Array.from({ length: n }, () => WEIGHT_SCALE));
  const limited = new ConsistentHash(n, 125);
  const plain = new ConsistentHash(n, 0);
  limited.tableChanged(table);
  plain.tableChanged(table);
  const state = newPickState(n);
  let home = 0;
  for (let k = 1; k <= 2000; k++) {
    state.hash = mix32(rng.below(500) + 1);
    const i = limited.pick(table, state);
    if (i === plain.pick(table, state)) home++;
    table.active[i] = table.active[i]! + 1;
  }
  expect(Math.max(...table.active)).toBeLessThanOrEqual(Math.ceil((2000 / n) * 1.25));
  expect(home).toBeGreaterThan(1200);
});

test("the bound never refuses: when all below it were tried, the draw decides", () => {
  const table = sampleTable([1, 1].map((w) => w * WEIGHT_SCALE));
  const balancer = new ConsistentHash(2, 110);
  balancer.tableChanged(table);
  table.active.set([100, 0]);
  const state = newPickState(2);
  state.hash = 5;
  expect(balancer.pick(table, state)).toBe(1);
  markTried(state, 1);
  expect(balancer.pick(table, state)).toBe(0);
});

test("requests without the key take turns", () => {
  const table = sampleTable([1, 1].map((w) => w * WEIGHT_SCALE));
  const balancer = new ConsistentHash(2, 0);
  balancer.tableChanged(table);
  const state = newPickState(2);
  expect(Array.from({ length: 4 }, () => balancer.pick(table, state))).toEqual([0, 1, 0, 1]);
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
