// Cost of a round-robin pick.

import { timePicks } from "./pick-timing.ts";

/** Nanoseconds per pick from count endpoints. */
export function bench(iterations: number, count = 10): number {
  return timePicks({ by: "round-robin" }, count, iterations, Bun.nanoseconds);
}
