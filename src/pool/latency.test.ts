// The decayed average: how fast it follows, how it forgets, and what failures do to it.

import { expect, test } from "bun:test";
import { feedFailure, feedLatency } from "./latency.ts";
import { sampleColumns } from "./sample-pool.ts";

const DECAY_MS = 10_000;

test("the first sample is the average; a constant stays", () => {
  const columns = sampleColumns();
  feedLatency(columns, 0, 5000, 100, DECAY_MS);
  expect(columns.latencyUs[0]).toBe(5000);
  for (let now = 100; now < 5000; now += 7) feedLatency(columns, 0, 5000, now, DECAY_MS);
  expect(columns.latencyUs[0]).toBeCloseTo(5000, 6);
  expect(columns.latencyAtMs[0]).toBeGreaterThan(4990);
});

test("it follows a change by 1 - 1/e in one time constant, however many samples come", () => {
  for (const step of [1, 10, 100, 1000]) {
    const columns = sampleColumns();
    feedLatency(columns, 0, 1000, 0.5, DECAY_MS);
    for (let now = step; now <= DECAY_MS; now += step) feedLatency(columns, 0, 2000, now, DECAY_MS);
    expect(columns.latencyUs[0]! - 1000).toBeWithin(620, 640);
  }
});

test("samples of one event all count", () => {
  const columns = sampleColumns();
  feedLatency(columns, 0, 1000, 50, DECAY_MS);
  for (let k = 0; k < 20_000; k++) feedLatency(columns, 0, 3000, 50, DECAY_MS);
  expect(columns.latencyUs[0]).toBeGreaterThan(2500);
});

test("a sample after a recovery begins a new history", () => {
  const columns = sampleColumns();
  feedLatency(columns, 0, 900_000, 100, DECAY_MS);
  columns.upSinceMs[0] = 200;
  feedLatency(columns, 0, 1000, 201, DECAY_MS);
  expect(columns.latencyUs[0]).toBe(1000);
});

test("one failure among many answers is hardly felt; failing often is", () => {
  const columns = sampleColumns();
  const feed = (failEvery: number): number => {
    columns.latencyUs[0] = 0;
    for (let k = 1; k <= 30_000; k++) {
      if (k % failEvery === 0) feedFailure(columns, 0, 100, k, DECAY_MS);
      else feedLatency(columns, 0, 2000, k, DECAY_MS);
    }
    return columns.latencyUs[0]!;
  };
  expect(feed(1000)).toBeWithin(2500, 3500); // one in a thousand: one millisecond more
  expect(feed(10)).toBeGreaterThan(80_000);
});

test("slow pools are punished in proportion, and never beyond a minute", () => {
  const columns = sampleColumns();
  feedLatency(columns, 0, 5_000_000, 100, DECAY_MS);
  feedFailure(columns, 0, 0, 1e9, DECAY_MS);
  expect(columns.latencyUs[0]).toBeCloseTo(20_000_000, -2);
  for (let k = 0; k < 10; k++) feedFailure(columns, 0, 0, 1e9 + k * 1e6, DECAY_MS);
  expect(columns.latencyUs[0]).toBeLessThanOrEqual(60_000_000);
});
