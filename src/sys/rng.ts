// The real random generator: sfc32 with a seed from the system.

import { Sfc32 } from "../base/rng.ts";
import type { Rng } from "../base/ports.ts";

export function createRng(): Rng {
  const seed = crypto.getRandomValues(new Uint32Array(3));
  return new Sfc32(seed[0]!, seed[1]!, seed[2]!);
}
