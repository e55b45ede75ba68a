// Cost of a least-response-time pick.

import { timePicks } from "./pick-timing.ts";

/** Nanoseconds per pick from count endpoints. */
export function bench(iterations: number, count = 10): number {
  return timePicks({ by: "least-response-time", decayMs: 10_000 }, count, iterations, Bun.nanoseconds);
}
