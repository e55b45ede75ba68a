// Cost of a consistent-hash pick.

import { timePicks } from "./pick-timing.ts";

/** Nanoseconds per pick from count endpoints. */
export function bench(iterations: number, count = 10): number {
  return timePicks(
    { by: "consistent-hash", key: { from: "path", name: "" }, loadPercent: 125 },
    count,
    iterations,
    Bun.nanoseconds,
  );
}
