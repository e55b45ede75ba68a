// The decayed average: how fast it follows, how it forgets, and what failures do to it.

import { expect, test } from "bun:test";
import { Latencies } from "./latency.ts";
import { sampleColumns } from "./sample-pool.ts";

const DECAY_MS = 10_000;

function averages(): { columns: ReturnType<typeof sampleColumns>; latencies: Latencies } {
  const columns = sampleColumns();
  return { columns, latencies: new Latencies(columns, 2, DECAY_MS) };
}

test("the first sample is the average; a constant stays", () => {
  const { columns, latencies } = averages();
  latencies.answered(0, 0, 5000, 100);
  expect(columns.latencyUs[0]).toBe(5000);
  for (let now = 100; now < 5000; now += 7) latencies.answered(0, 0, 5000, now);
  expect(columns.latencyUs[0]).toBeCloseTo(5000, 6);
  expect(columns.latencyAtMs[0]).toBeGreaterThan(4990);
});

test("a short history weighs its samples evenly: a slow first answer does not stick", () => {
  const { columns, latencies } = averages();
  latencies.answered(0, 0, 101_000, 10);
  for (let k = 1; k < 100; k++) latencies.answered(0, 0, 1000, 10 + 5 * k);
  expect(columns.latencyUs[0]).toBeWithin(1900, 2100); // the mean of the hundred
});

test("a long history follows a change by 1 - 1/e in one time constant, however many samples come", () => {
  for (const step of [1, 10, 100, 1000]) {
    const { columns, latencies } = averages();
    let now = 1;
    for (; now < 10 * DECAY_MS; now += step) latencies.answered(0, 0, 1000, now);
    const changed = now - step;
    for (; now <= changed + DECAY_MS; now += step) latencies.answered(0, 0, 2000, now);
    expect(columns.latencyUs[0]! - 1000).toBeWithin(620, 645);
  }
});

test("samples of one event all count", () => {
  const { columns, latencies } = averages();
  latencies.answered(0, 0, 1000, 50);
  for (let k = 0; k < 20_000; k++) latencies.answered(0, 0, 3000, 50);
  expect(columns.latencyUs[0]).toBeGreaterThan(2500);
});

test("a sample after a recovery begins a new history", () => {
  const { columns, latencies } = averages();
  latencies.answered(0, 0, 900_000, 100);
  columns.upSinceMs[0] = 200;
  latencies.answered(0, 0, 1000, 201);
  expect(columns.latencyUs[0]).toBe(1000);
  expect(columns.latencySinceMs[0]).toBe(201);
});

/** The average after a minute of 1000 requests a second of 2 ms, of which every failEvery-th fails at once. */
function failing(failEvery: number): number {
  const { columns, latencies } = averages();
  for (let k = 1; k <= 60_000; k++) {
    if (k % failEvery === 0) latencies.failed(0, 0, 0, k);
    else latencies.answered(0, 0, 2000, k);
  }
  return columns.latencyUs[0]!;
}

test("one failure in a thousand is hardly felt, one in a hundred as a third more, one in four manifold", () => {
  expect(failing(1000)).toBeWithin(2020, 2100);
  expect(failing(100)).toBeWithin(2450, 2750);
  expect(failing(4)).toBeWithin(14_000, 19_000);
});

test("failing only makes an endpoint several times slower within a dozen requests, at any rate", () => {
  for (const step of [1, 10, 100, 1000]) {
    const { columns, latencies } = averages();
    let now = 1;
    for (; now < 10 * DECAY_MS; now += step) latencies.answered(0, 0, 2000, now);
    // The rest of the pool is as quick as before; only this one fails.
    for (let k = 0; k < 12; k++) latencies.failed(0, 0, 0, (now += step));
    expect(columns.latencyUs[0]).toBeGreaterThan(2000 * (step === 1 ? 1.2 : 2));
    expect(columns.latencyUs[0]).toBeLessThanOrEqual(60_000);
  }
});

test("an answer after a row of failures is a recovery; after a few it is only an answer", () => {
  const { columns, latencies } = averages();
  latencies.answered(0, 0, 2000, 1000);
  for (let k = 0; k < 4; k++) latencies.failed(0, 0, 0, 2000 + k * 1000);
  latencies.answered(0, 0, 3000, 6000);
  expect(columns.latencyUs[0]).toBeGreaterThan(20_000);
  for (let k = 0; k < 5; k++) latencies.failed(0, 0, 0, 7000 + k * 1000);
  latencies.answered(0, 0, 3000, 12_000);
  expect(columns.latencyUs[0]).toBe(3000);
});

test("a failure that took long counts as long; before any answer a failure is a second's wait", () => {
  const { columns, latencies } = averages();
  latencies.failed(0, 0, 0, 100);
  expect(columns.latencyUs[0]).toBe(900_000);
  latencies.failed(1, 1, 60_000_000, 100);
  expect(columns.latencyUs[1]).toBe(60_000_000);
});

test("slow pools are punished in proportion", () => {
  const { columns, latencies } = averages();
  latencies.answered(1, 1, 5_000_000, 100); // a pool that takes five seconds
  latencies.failed(0, 0, 0, 200);
  expect(columns.latencyUs[0]).toBe(150_000_000);
});
