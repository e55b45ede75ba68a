// Latency histograms as plain arrays of counts: HISTOGRAM_BUCKETS buckets, four per power of two, so that a quantile is
// right to about 10 %. Single writer per array (each worker its own row); readers add rows up with mergeHistogram().
// The buckets include their upper bound, as Prometheus wants it.

import { HISTOGRAM_BUCKETS } from "./columns.ts";

/** Width of the first buckets in microseconds: nothing through a socket is faster than a few of these. */
const UNIT_SHIFT = 4; // 16 µs
const UNIT = 1 << UNIT_SHIFT;
/** Buckets per power of two, as a power of two. */
const SUB_SHIFT = 2;
const SUB = 1 << SUB_SHIFT;

/**
 * The bucket of a latency in microseconds, 0..HISTOGRAM_BUCKETS-1. Constant time. Negative and NaN count as 0,
 * everything above the last bound (537 s) goes into the last bucket.
 */
export function bucketOf(us: number): number {
  if (!(us > UNIT)) return 0;
  if (us > LARGEST_US) return HISTOGRAM_BUCKETS - 1;
  const units = (Math.ceil(us) - 1) >>> UNIT_SHIFT;
  if (units < SUB) return units;
  const exponent = 31 - Math.clz32(units); // >= SUB_SHIFT
  return ((exponent - SUB_SHIFT + 1) << SUB_SHIFT) + ((units >>> (exponent - SUB_SHIFT)) & (SUB - 1));
}

/** The inclusive upper bound of a bucket in microseconds. */
export function bucketUpperUs(bucket: number): number {
  const next = bucket + 1;
  if (next <= SUB) return next * UNIT;
  const octave = (next >>> SUB_SHIFT) - 1;
  return (SUB + (next & (SUB - 1))) * 2 ** octave * UNIT;
}

/** The exclusive lower bound of a bucket in microseconds. */
export function bucketLowerUs(bucket: number): number {
  return bucket === 0 ? 0 : bucketUpperUs(bucket - 1);
}

const LARGEST_US = bucketUpperUs(HISTOGRAM_BUCKETS - 1);

/** Counts one latency. */
export function record(counts: Float64Array, us: number): void {
  const bucket = bucketOf(us);
  counts[bucket] = counts[bucket]! + 1;
}

/** Adds the counts of one histogram to another. */
export function mergeHistogram(into: Float64Array, from: Float64Array): void {
  for (let b = 0; b < HISTOGRAM_BUCKETS; b++) into[b] = into[b]! + from[b]!;
}

/** How many latencies were counted. */
export function countOf(counts: Float64Array): number {
  let sum = 0;
  for (let b = 0; b < HISTOGRAM_BUCKETS; b++) sum += counts[b]!;
  return sum;
}

/**
 * The latency in microseconds that a part q (0..1) of all stays at or below, interpolated within its bucket; 0 of an
 * empty histogram.
 */
export function quantileUs(counts: Float64Array, q: number): number {
  const total = countOf(counts);
  if (total === 0) return 0;
  const rank = Math.max(0, Math.min(1, q)) * total;
  let below = 0;
  let last = 0;
  for (let b = 0; b < HISTOGRAM_BUCKETS; b++) {
    const here = counts[b]!;
    if (here === 0) continue;
    const lower = bucketLowerUs(b);
    last = bucketUpperUs(b);
    if (below + here >= rank) return lower + (last - lower) * (Math.max(0, rank - below) / here);
    below += here;
  }
  return last;
}

/** Upper bounds in seconds for publishing: one per power of two, 64 µs to 537 s. */
export const publishedSeconds: readonly number[] = Array.from(
  { length: HISTOGRAM_BUCKETS / SUB },
  (_, octave) => bucketUpperUs(octave * SUB + SUB - 1) / 1e6,
);

/** The counts per bound of publishedSeconds (not cumulative). */
export function publishedCounts(counts: Float64Array): number[] {
  return publishedSeconds.map((_, octave) => {
    let sum = 0;
    for (let s = 0; s < SUB; s++) sum += counts[octave * SUB + s]!;
    return sum;
  });
}
