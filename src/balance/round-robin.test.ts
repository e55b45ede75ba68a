// Round robin: the shared laws, and its order of turns.

import { expect, test } from "bun:test";
import { WEIGHT_SCALE } from "./balancer.ts";
import { newPickState } from "./pick-state.ts";
import { bench } from "./round-robin.bench.ts";
import { RoundRobin } from "./round-robin.ts";
import { sampleTable, setUsable } from "./sample-table.ts";
import { laws, type Traits } from "./suite.ts";

const traits: Traits = {
  make: (count) => new RoundRobin(count),
  shares: "equal",
  tolerance: 0.002,
  minimalDisruption: false,
};
for (const law of laws) test(`round-robin: ${law.name}`, () => law.holds(traits));

test("turns are equal whatever the weight, and skip the unusable", () => {
  const table = sampleTable([5, 1, 3, 1].map((w) => w * WEIGHT_SCALE));
  const balancer = new RoundRobin(4);
  const state = newPickState(4);
  const picks = (n: number): number[] => Array.from({ length: n }, () => balancer.pick(table, state));
  balancer.tableChanged(table);
  expect(picks(6)).toEqual([0, 1, 2, 3, 0, 1]);
  setUsable(table, 2, false);
  balancer.tableChanged(table);
  expect(picks(4)).toEqual([3, 0, 1, 3]);
});

test("one in slow start at a half takes every second turn", () => {
  const table = sampleTable([WEIGHT_SCALE, WEIGHT_SCALE / 2]);
  table.ramp[1] = WEIGHT_SCALE / 2;
  const balancer = new RoundRobin(2);
  balancer.tableChanged(table);
  const state = newPickState(2);
  expect(Array.from({ length: 6 }, () => balancer.pick(table, state))).toEqual([0, 0, 1, 0, 0, 1]);
});

test("a pool that is altogether in slow start is still served, by share", () => {
  const table = sampleTable([128, 32]);
  table.ramp.set([128, 32]);
  const balancer = new RoundRobin(2);
  balancer.tableChanged(table);
  const state = newPickState(2);
  const counts = [0, 0];
  for (let k = 0; k < 1000; k++) counts[balancer.pick(table, state)]!++;
  expect(counts[0]! / counts[1]!).toBeWithin(3.5, 4.5);
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
