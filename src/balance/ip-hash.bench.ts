// Cost of a ip-hash pick.

import { timePicks } from "./pick-timing.ts";

/** Nanoseconds per pick from count endpoints. */
export function bench(iterations: number, count = 10): number {
  return timePicks({ by: "ip-hash" }, count, iterations, Bun.nanoseconds);
}
