// ip-hash: the shared laws, stickiness, and the path of clients without an address.

import { expect, test } from "bun:test";
import { hashText } from "../base/hash.ts";
import { markTried, WEIGHT_SCALE } from "./balancer.ts";
import { bench } from "./ip-hash.bench.ts";
import { IpHash } from "./ip-hash.ts";
import { newPickState, resetPickState } from "./pick-state.ts";
import { sampleTable } from "./sample-table.ts";
import { laws, type Traits } from "./suite.ts";

const traits: Traits = {
  make: (count) => new IpHash(count),
  shares: "weight",
  tolerance: 0.15, // a throw of 20,000 keys, not a turn
  minimalDisruption: true,
};
for (const law of laws) test(`ip-hash: ${law.name}`, () => law.holds(traits));

test("a client stays, in every process and whatever the load; a retry goes elsewhere, always to the same place", () => {
  const table = sampleTable([1, 1, 1].map((w) => w * WEIGHT_SCALE));
  const one = new IpHash(3);
  const two = new IpHash(3);
  one.tableChanged(table);
  two.tableChanged(table);
  const state = newPickState(3);
  const second = new Set<number>();
  for (let k = 0; k < 50; k++) {
    resetPickState(state, 3, k);
    state.hash = hashText("203.0.113.7");
    table.active.fill(k);
    const home = one.pick(table, state);
    expect(two.pick(table, state)).toBe(home);
    markTried(state, home);
    second.add(one.pick(table, state));
  }
  expect(second.size).toBe(1);
});

test("addresses of one small network are spread", () => {
  const table = sampleTable([1, 1, 1].map((w) => w * WEIGHT_SCALE));
  const balancer = new IpHash(3);
  balancer.tableChanged(table);
  const state = newPickState(3);
  const counts = [0, 0, 0];
  for (let host = 1; host < 255; host++) {
    state.hash = hashText(`192.0.2.${host}`);
    counts[balancer.pick(table, state)]!++;
  }
  for (const count of counts) expect(count).toBeWithin(55, 115);
});

test("without an address: turns", () => {
  const table = sampleTable([1, 1, 1].map((w) => w * WEIGHT_SCALE));
  const balancer = new IpHash(3);
  balancer.tableChanged(table);
  const state = newPickState(3);
  expect(Array.from({ length: 4 }, () => balancer.pick(table, state))).toEqual([0, 1, 2, 0]);
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
