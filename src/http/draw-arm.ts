// The draw of a weighted forward.

import type { Rng } from "../base/ports.ts";

/** The arm that a draw by weight gives. upTo: sums of the weights up to and with each arm, the last one above 0. */
export function drawArm(upTo: readonly number[], rng: Rng): number {
  const drawn = rng.below(upTo[upTo.length - 1]!);
  let arm = 0;
  while (upTo[arm]! <= drawn) arm++;
  return arm;
}
