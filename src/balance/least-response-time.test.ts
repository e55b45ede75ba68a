// Least response time: the shared laws, and each of its rules alone. How they play together over time is simulated in
// test/sim/balance-sim.test.ts.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { WEIGHT_SCALE, type EndpointTable } from "./balancer.ts";
import { bench } from "./least-response-time.bench.ts";
import { LeastResponseTime, SCAN_MAX } from "./least-response-time.ts";
import { newPickState } from "./pick-state.ts";
import { sampleTable } from "./sample-table.ts";
import { laws, type Traits } from "./suite.ts";

const DECAY_MS = 10_000;
const traits: Traits = {
  make: (count, rng) => new LeastResponseTime(count, DECAY_MS, rng),
  shares: "load",
  tolerance: 0,
  minimalDisruption: false,
};
for (const law of laws) test(`least-response-time: ${law.name}`, () => law.holds(traits));

function measured(latenciesMs: readonly number[], atMs: number): EndpointTable {
  const table = sampleTable(latenciesMs.map(() => WEIGHT_SCALE));
  for (const [i, ms] of latenciesMs.entries()) table.latencyUs[i] = ms * 1000;
  table.latencyAtMs.fill(atMs);
  return table;
}

function picker(table: EndpointTable): (nowMs: number) => number {
  const balancer = new LeastResponseTime(table.count, DECAY_MS, seededRng(1));
  balancer.tableChanged(table);
  const state = newPickState(table.count);
  return (nowMs) => {
    state.nowMs = nowMs;
    return balancer.pick(table, state);
  };
}

test("the product of latency and requests in progress decides, divided by weight", () => {
  const table = measured([10, 30, 100], 1000);
  const pick = picker(table);
  expect(pick(1000)).toBe(0);
  table.active.set([3, 0, 0]); // 40, 30, 100
  expect(pick(1000)).toBe(1);
  table.active.set([3, 1, 0]); // 40, 60, 100
  expect(pick(1000)).toBe(0);
  table.weight[2] = 4 * WEIGHT_SCALE; // 40, 60, 25
  expect(pick(1000)).toBe(2);
});

test("nobody has history: each is asked once before anybody is asked twice", () => {
  const table = sampleTable(Array.from({ length: 5 }, () => WEIGHT_SCALE));
  const pick = picker(table);
  const first = Array.from({ length: 5 }, () => pick(0));
  expect(first.toSorted()).toEqual([0, 1, 2, 3, 4]);
});

test("no history and a request under way: known endpoints come first", () => {
  const table = measured([50, 0], 1000);
  const pick = picker(table);
  expect(pick(1000)).toBe(1);
  table.active[1] = 1;
  for (let k = 1; k <= 5; k++) {
    expect(pick(1000 + k)).toBe(0);
    table.active[0] = k;
  }
});

test("where traffic is rare, a slow endpoint is asked again when its average has faded", () => {
  const table = measured([10, 1000], 1000);
  const pick = picker(table);
  const asked: number[] = [];
  for (let now = 1000; now < 200_000; now += 1000) {
    table.latencyAtMs[0] = now; // the fast one answers all the time
    if (pick(now) === 1) asked.push(now);
  }
  // 1000 ms fade below 10 ms in 4.6 time constants.
  expect(asked.length).toBe(4);
  expect(asked[0]! - 1000).toBeWithin(40_000, 48_000);
});

test("where traffic is dense, it is asked for a bounded part of all waiting", () => {
  const table = measured([10, 1000], 1000);
  const pick = picker(table);
  const counts = [0, 0];
  for (let k = 0; k < 20_000; k++) counts[pick(1000)]!++;
  expect(counts[1]).toBe(5);
  expect((counts[1]! * 1000) / (counts[0]! * 10)).toBeLessThanOrEqual(0.0255);
});

test("requests that hang for hours do not keep an endpoint from being judged anew", () => {
  const table = measured([1, 1000], 1000);
  table.active[1] = 3;
  const pick = picker(table);
  let asked = 0;
  for (let now = 1000; now < 120_000; now += 1000) {
    table.latencyAtMs[0] = now;
    if (pick(now) === 1) asked++;
  }
  expect(asked).toBe(1);
});

test("history from before the last recovery does not count", () => {
  const table = measured([10, 1], 1000);
  table.upSinceMs[1] = 5000;
  table.latencyAtMs[0] = 6000;
  const pick = picker(table);
  expect(pick(6000)).toBe(1); // asked, because nothing is known
  expect(pick(6000)).toBe(0); // and not stampeded for its 1 ms of old
});

test("equals are taken in turn", () => {
  const table = measured([5, 5, 5], 100);
  const pick = picker(table);
  const counts = [0, 0, 0];
  for (let k = 0; k < 300; k++) counts[pick(100)]!++;
  expect(counts).toEqual([100, 100, 100]);
});

test("large pools: two are drawn, the better one is taken", () => {
  const n = SCAN_MAX * 2;
  const table = measured(
    Array.from({ length: n }, (_, i) => (i === 0 ? 1000 : 10)),
    0,
  );
  const pick = picker(table);
  const counts = new Int32Array(n);
  for (let k = 0; k < 20_000; k++) {
    table.latencyAtMs.fill(k);
    const i = pick(k);
    counts[i] = counts[i]! + 1;
  }
  expect(counts[0]).toBe(0);
  for (const count of counts.subarray(1)) expect(count).toBeWithin(220, 430);
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
