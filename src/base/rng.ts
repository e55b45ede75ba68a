// A small fast random generator, sfc32 (Chris Doty-Humphrey, public domain; passes PractRand): the same seed gives
// the same sequence everywhere. Not for secrets.

import type { Rng } from "./ports.ts";

export class Sfc32 implements Rng {
  private a: number;
  private b: number;
  private c: number;
  private counter: number;

  /** The state is stirred, so that nearby seeds give unrelated sequences. */
  constructor(seedA: number, seedB: number, seedC: number) {
    this.a = seedA | 0;
    this.b = seedB | 0;
    this.c = seedC | 0;
    this.counter = 1;
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const t = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** Uniform without bias: readings from the incomplete last stretch of 2^32 are drawn again. */
  below(bound: number): number {
    const limit = 0x100000000 - (0x100000000 % bound);
    for (;;) {
      const value = this.u32();
      if (value < limit) return value % bound;
    }
  }
}

/** A generator for tests and simulations: the whole sequence follows from one 32-bit seed. */
export function seededRng(seed: number): Rng {
  return new Sfc32(seed, 0x9e3779b9, 0x243f6a88);
}
