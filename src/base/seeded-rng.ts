// A small, fast generator of reproducible randomness for simulations, tests and load spreading. Not for secrets.

import type { Rng } from "./ports.ts";

/** The same seed gives the same sequence on every machine. seed is taken modulo 2^32. */
export function seededRng(seed: number): Rng {
  return sfc32(0x9e3779b9, 0x243f6a88, seed);
}

/** sfc32 (C. Doty-Humphrey, PractRand): 128 bits of state, 96 of them the seed; period about 2^127. */
export function sfc32(seedA: number, seedB: number, seedC: number): Rng {
  let a = seedA | 0;
  let b = seedB | 0;
  let c = seedC | 0;
  let d = 1;
  const u32 = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) u32(); // spreads the seed over the whole state
  return {
    u32,
    // Scaling instead of rejection: the bias is below bound / 2^32, which no balancing decision can notice.
    below: (bound) => Math.floor((u32() / 0x1_0000_0000) * bound),
  };
}
