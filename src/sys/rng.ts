// The real random generator: sfc32 with a seed from the system.

import { sfc32 } from "../base/seeded-rng.ts";
import type { Rng } from "../base/ports.ts";

export function createRng(): Rng {
  const seed = crypto.getRandomValues(new Uint32Array(3));
  return sfc32(seed[0]!, seed[1]!, seed[2]!);
}
