// Cost of counting one latency.

import { HISTOGRAM_BUCKETS } from "./columns.ts";
import { record } from "./histogram.ts";

/** Nanoseconds per record(). */
export function bench(iterations: number): number {
  const counts = new Float64Array(HISTOGRAM_BUCKETS);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) record(counts, (k * 7919) & 0xfffff);
  return (Bun.nanoseconds() - started) / iterations;
}
