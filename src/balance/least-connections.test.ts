// Least connections: the shared laws, the weighted comparison, and turns among equals.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { WEIGHT_SCALE } from "./balancer.ts";
import { bench } from "./least-connections.bench.ts";
import { LeastConnections } from "./least-connections.ts";
import { newPickState } from "./pick-state.ts";
import { sampleTable } from "./sample-table.ts";
import { laws, type Traits } from "./suite.ts";

const traits: Traits = {
  make: (count) => new LeastConnections(count),
  shares: "weight",
  tolerance: 0.002,
  minimalDisruption: false,
};
for (const law of laws) test(`least-connections: ${law.name}`, () => law.holds(traits));

test("the fewest requests per weight win", () => {
  const table = sampleTable([1, 2, 4].map((w) => w * WEIGHT_SCALE));
  const balancer = new LeastConnections(3);
  balancer.tableChanged(table);
  const state = newPickState(3);
  table.active.set([1, 1, 3]); // 1, 0.5, 0.75
  expect(balancer.pick(table, state)).toBe(1);
  table.active.set([2, 5, 7]); // 2, 2.5, 1.75
  expect(balancer.pick(table, state)).toBe(2);
});

test("equals take smooth turns by weight", () => {
  const table = sampleTable([3, 2, 1].map((w) => w * WEIGHT_SCALE));
  const balancer = new LeastConnections(3);
  balancer.tableChanged(table);
  const state = newPickState(3);
  expect(Array.from({ length: 6 }, () => balancer.pick(table, state))).toEqual([0, 1, 0, 2, 1, 0]);
});

test("requests that stay are spread to within one of active = weight", () => {
  const weights = [1, 2, 3, 5, 8];
  const table = sampleTable(weights.map((w) => w * WEIGHT_SCALE));
  const balancer = new LeastConnections(5);
  balancer.tableChanged(table);
  const state = newPickState(5);
  const seed = 9;
  const rng = seededRng(seed);
  for (let k = 0; k < 19 * 20; k++) {
    const i = balancer.pick(table, state);
    table.active[i] = table.active[i]! + 1;
  }
  for (const [i, w] of weights.entries()) expect(Math.abs(table.active[i]! - w * 20)).toBeLessThanOrEqual(w);
  // Requests come and go: the greatest load per weight never exceeds the least by more than one request of the
  // lightest.
  for (let k = 0; k < 2000; k++) {
    const leaving = rng.below(5);
    if (table.active[leaving]! > 0) table.active[leaving] = table.active[leaving]! - 1;
    const least = Math.min(...weights.map((w, i) => table.active[i]! / w));
    const i = balancer.pick(table, state);
    expect(table.active[i]! / weights[i]!).toBe(least);
    table.active[i] = table.active[i]! + 1;
  }
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
