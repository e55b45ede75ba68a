// Weighted round robin in both orders: the shared laws, the known sequences, and turns that survive changes of weight.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { markTried, WEIGHT_SCALE, type Balancer, type EndpointTable } from "./balancer.ts";
import { newPickState } from "./pick-state.ts";
import { sampleTable, setUsable } from "./sample-table.ts";
import { SmoothTurns } from "./smooth-turns.ts";
import { laws, type Traits } from "./suite.ts";
import { bench } from "./weighted-round-robin.bench.ts";
import { BlockRoundRobin, SmoothRoundRobin } from "./weighted-round-robin.ts";

const promised = { shares: "weight", tolerance: 0.005, minimalDisruption: false } as const;
const smooth: Traits = { make: (count) => new SmoothRoundRobin(count), ...promised };
const block: Traits = { make: (count) => new BlockRoundRobin(count), ...promised };
for (const law of laws) {
  test(`smooth: ${law.name}`, () => law.holds(smooth));
  test(`block: ${law.name}`, () => law.holds(block));
}

function sequence(balancer: Balancer, table: EndpointTable, n: number): string {
  const state = newPickState(table.count);
  return Array.from({ length: n }, () => "abcdefgh"[balancer.pick(table, state)]).join(" ");
}

function scaled(weights: readonly number[]): EndpointTable {
  return sampleTable(weights.map((w) => w * WEIGHT_SCALE));
}

test.each([
  [[3, 2, 1], "a b a c b a a b a c b a"],
  [[5, 1, 1], "a a b a c a a a a b a c a a"],
  [[1, 2, 3], "c b a c b c c b a c b c"],
  [[1, 1, 1], "a b c a b c"],
] as const)("smooth %p gives nginx's sequence", (weights, expected) => {
  const table = scaled(weights);
  const balancer = new SmoothRoundRobin(table.count);
  balancer.tableChanged(table);
  expect(sequence(balancer, table, expected.split(" ").length)).toBe(expected);
});

test("block 3, 2, 1 gives a a a b b c", () => {
  const table = scaled([3, 2, 1]);
  const balancer = new BlockRoundRobin(3);
  balancer.tableChanged(table);
  expect(sequence(balancer, table, 12)).toBe("a a a b b c a a a b b c");
});

test("block: whoever fails in its block loses the rest of it", () => {
  const table = scaled([3, 2, 1]);
  const balancer = new BlockRoundRobin(3);
  balancer.tableChanged(table);
  const state = newPickState(3);
  expect(balancer.pick(table, state)).toBe(0);
  markTried(state, 0);
  expect(balancer.pick(table, state)).toBe(1);
  expect(sequence(balancer, table, 5)).toBe("b c a a a");
});

test("block: half a weight takes a turn every second round", () => {
  const table = sampleTable([2 * WEIGHT_SCALE, WEIGHT_SCALE / 2]);
  const balancer = new BlockRoundRobin(2);
  balancer.tableChanged(table);
  expect(sequence(balancer, table, 10)).toBe("a a a a b a a a a b");
});

test("smooth: entering slow start does not make an endpoint pay old debts at its new income", () => {
  const table = scaled([10, 1]);
  const balancer = new SmoothRoundRobin(2);
  balancer.tableChanged(table);
  sequence(balancer, table, 5);
  table.weight[0] = 26; // a tenth of the neighbour
  balancer.tableChanged(table);
  expect(
    sequence(balancer, table, 25)
      .split(" ")
      .filter((x) => x === "a").length,
  ).toBeWithin(1, 5);
});

test("smooth: no number of changes makes the current weights drift", () => {
  const seed = 41;
  const rng = seededRng(seed);
  const table = scaled([1000, 1000, 1000, 1000, 1000]);
  const turns = new SmoothTurns(5);
  const state = newPickState(5);
  for (let k = 0; k < 20_000; k++) {
    const i = rng.below(5);
    table.weight[i] = 1 + rng.below(1000 * WEIGHT_SCALE);
    setUsable(table, i, rng.below(4) !== 0);
    turns.tableChanged(table);
    turns.pick(table, state);
    for (const current of turns.current) {
      if (Math.abs(current) > 5 * 1000 * WEIGHT_SCALE) throw new Error(`seed ${seed}, step ${k}: ${current}`);
    }
  }
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
