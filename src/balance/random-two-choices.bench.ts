// Cost of a random-two-choices pick.

import { timePicks } from "./pick-timing.ts";

/** Nanoseconds per pick from count endpoints. */
export function bench(iterations: number, count = 10): number {
  return timePicks({ by: "random-two-choices" }, count, iterations, Bun.nanoseconds);
}
