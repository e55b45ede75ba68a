// Histograms: every latency lies within the bounds of its bucket, quantiles are near the truth, merging adds up.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { HISTOGRAM_BUCKETS } from "./columns.ts";
import { bench } from "./histogram.bench.ts";
import {
  bucketLowerUs,
  bucketOf,
  bucketUpperUs,
  countOf,
  mergeHistogram,
  publishedCounts,
  publishedSeconds,
  quantileUs,
  record,
} from "./histogram.ts";

test("the buckets join without gap, and widen by at most a quarter", () => {
  expect(bucketLowerUs(0)).toBe(0);
  expect(bucketUpperUs(0)).toBe(16);
  for (let b = 1; b < HISTOGRAM_BUCKETS; b++) {
    expect(bucketLowerUs(b)).toBe(bucketUpperUs(b - 1));
    if (b >= 4) expect(bucketUpperUs(b) / bucketLowerUs(b)).toBeLessThanOrEqual(1.25);
  }
  expect(bucketUpperUs(HISTOGRAM_BUCKETS - 1)).toBe(2 ** 29);
});

test("both bounds of every bucket fall where they should", () => {
  for (let b = 0; b < HISTOGRAM_BUCKETS; b++) {
    expect(bucketOf(bucketUpperUs(b))).toBe(b);
    expect(bucketOf(bucketLowerUs(b) + 1)).toBe(b);
    expect(bucketOf(bucketUpperUs(b) - 0.5)).toBe(b);
    expect(bucketOf(bucketUpperUs(b) + 0.5)).toBe(Math.min(b + 1, HISTOGRAM_BUCKETS - 1));
  }
});

test("odd numbers have a bucket too", () => {
  expect([0, -1, -Infinity, NaN, 0.1].map(bucketOf)).toEqual([0, 0, 0, 0, 0]);
  expect([2 ** 29 + 1, 2 ** 31, 2 ** 40, Infinity].map(bucketOf)).toEqual([95, 95, 95, 95]);
});

test("any latency lies within its bucket (property)", () => {
  const seed = 23;
  const rng = seededRng(seed);
  for (let k = 0; k < 20_000; k++) {
    const us = (rng.u32() / 2 ** rng.below(33)) % 2 ** 29;
    const b = bucketOf(us);
    if (us > bucketUpperUs(b) || (us <= bucketLowerUs(b) && us > 0)) throw new Error(`seed ${seed}: ${us} in ${b}`);
  }
});

test("quantiles are within a bucket's width of the truth", () => {
  const seed = 29;
  const rng = seededRng(seed);
  const counts = new Float64Array(HISTOGRAM_BUCKETS);
  const all = new Float64Array(20_000);
  for (let k = 0; k < all.length; k++) {
    const us = -Math.log((rng.u32() + 1) / 0x1_0000_0001) * 20_000;
    all[k] = us;
    record(counts, us);
  }
  all.sort();
  for (const q of [0.01, 0.1, 0.5, 0.9, 0.99, 0.999]) {
    const truth = all[Math.floor(q * all.length)]!;
    expect(Math.abs(quantileUs(counts, q) / truth - 1)).toBeLessThan(0.13);
  }
});

test("quantiles of the edges", () => {
  const counts = new Float64Array(HISTOGRAM_BUCKETS);
  expect(quantileUs(counts, 0.5)).toBe(0);
  record(counts, 16 * 1024);
  const b = bucketOf(16 * 1024);
  for (const q of [-1, 0, 0.5, 1, 2]) expect(quantileUs(counts, q)).toBeWithin(bucketLowerUs(b), bucketUpperUs(b) + 1);
  record(counts, 1e12);
  expect(quantileUs(counts, 1)).toBe(2 ** 29);
});

test("merging adds, and publishing loses nothing", () => {
  const a = new Float64Array(HISTOGRAM_BUCKETS);
  const b = new Float64Array(HISTOGRAM_BUCKETS);
  for (let k = 0; k < 1000; k++) {
    record(a, k * 7);
    record(b, k * k);
  }
  mergeHistogram(a, b);
  expect(countOf(a)).toBe(2000);
  expect(countOf(b)).toBe(1000);
  const published = publishedCounts(a);
  expect(published.length).toBe(publishedSeconds.length);
  expect(published.reduce((sum, n) => sum + n, 0)).toBe(2000);
  // What is at or below a published bound is counted at or below it.
  const upTo1ms = Array.from({ length: 1000 }, (_, k) => [k * 7, k * k])
    .flat()
    .filter((us) => us <= 1024).length;
  const index = publishedSeconds.indexOf(1024 / 1e6);
  expect(published.slice(0, index + 1).reduce((sum, n) => sum + n, 0)).toBe(upTo1ms);
});

test("the bench runs", () => {
  expect(bench(100)).toBeGreaterThan(0);
});
