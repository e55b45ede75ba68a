// Which share of many requests each pool of a weighted forward gets: drawn, not computed, by the code that draws for
// requests.

import type { Rng } from "../base/ports.ts";
import { drawArm } from "../http/draw-arm.ts";
import type { ForwardOutcome } from "./explanation.ts";

/** Three standard deviations of a share are less than half a point then. */
export const DRAWS = 100_000;

/** Pool -> share from 0 to 100, after so many draws. A client that is kept on a side is not drawn for. */
export function drawShares({ arms }: ForwardOutcome, rng: Rng, draws = DRAWS): ReadonlyMap<string, number> {
  const counts = arms.map(() => 0);
  let sum = 0;
  const upTo = arms.map(({ weight }) => (sum += weight));
  if (arms.length === 1) counts[0] = draws;
  else for (let i = 0; i < draws; i++) counts[drawArm(upTo, rng)]!++;
  const shares = new Map<string, number>();
  arms.forEach(({ pool }, arm) => shares.set(pool, (shares.get(pool) ?? 0) + (100 * counts[arm]!) / draws));
  return shares;
}
