// Cost of a weighted-round-robin pick.

import { timePicks } from "./pick-timing.ts";

/** Nanoseconds per pick from count endpoints. */
export function bench(iterations: number, count = 10): number {
  return timePicks({ by: "weighted-round-robin", order: "smooth" }, count, iterations, Bun.nanoseconds);
}
