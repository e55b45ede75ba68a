// Random two choices: the shared laws, draws without replacement, and balance without looking at everybody.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { WEIGHT_SCALE } from "./balancer.ts";
import { newPickState } from "./pick-state.ts";
import { bench } from "./random-two-choices.bench.ts";
import { RandomTwoChoices } from "./random-two-choices.ts";
import { sampleTable } from "./sample-table.ts";
import { laws, type Traits } from "./suite.ts";
import { WeightedDraw } from "./weighted-draw.ts";

const traits: Traits = {
  make: (count, rng) => new RandomTwoChoices(count, rng),
  shares: "weight",
  tolerance: 0.15, // chance
  minimalDisruption: false,
};
for (const law of laws) test(`random-two-choices: ${law.name}`, () => law.holds(traits));

test("of two endpoints the busier is never taken: the draws differ", () => {
  const table = sampleTable([WEIGHT_SCALE, WEIGHT_SCALE]);
  table.active.set([3, 2]);
  const balancer = new RandomTwoChoices(2, seededRng(2));
  balancer.tableChanged(table);
  const state = newPickState(2);
  for (let k = 0; k < 500; k++) expect(balancer.pick(table, state)).toBe(1);
});

test("the second draw follows the weights of the others exactly", () => {
  const table = sampleTable([4, 3, 2, 1].map((w) => w * WEIGHT_SCALE));
  const draw = new WeightedDraw(4, seededRng(4));
  draw.tableChanged(table);
  for (let first = 0; first < 4; first++) {
    const counts = [0, 0, 0, 0];
    for (let k = 0; k < 6000; k++) counts[draw.index(draw.other(first))]!++;
    expect(counts[first]).toBe(0);
    const rest = 10 - (4 - first);
    for (let i = 0; i < 4; i++) {
      if (i !== first) expect(Math.abs(counts[i]! / 6000 - (4 - i) / rest)).toBeLessThan(0.03);
    }
  }
});

test("requests that stay are spread far better than by chance", () => {
  const table = sampleTable(Array.from({ length: 100 }, () => WEIGHT_SCALE));
  const balancer = new RandomTwoChoices(100, seededRng(6));
  balancer.tableChanged(table);
  const state = newPickState(100);
  for (let k = 0; k < 10_000; k++) {
    const i = balancer.pick(table, state);
    table.active[i] = table.active[i]! + 1;
  }
  expect(Math.max(...table.active)).toBeLessThan(106); // chance alone: about 125
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
