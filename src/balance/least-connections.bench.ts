// Cost of a least-connections pick.

import { timePicks } from "./pick-timing.ts";

/** Nanoseconds per pick from count endpoints. */
export function bench(iterations: number, count = 10): number {
  return timePicks({ by: "least-connections" }, count, iterations, Bun.nanoseconds);
}
