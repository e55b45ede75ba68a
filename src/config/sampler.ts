// Random choices out of a seeded generator, for random configurations in tests.

import type { Rng } from "../base/ports.ts";

/** Picks with a generator; the same generator state gives the same config. */
export class Sampler {
  private readonly rng: Rng;
  constructor(rng: Rng) {
    this.rng = rng;
  }
  chance(percent: number): boolean {
    return this.rng.below(100) < percent;
  }
  from(min: number, max: number): number {
    return min + this.rng.below(max - min + 1);
  }
  one<T>(list: readonly T[]): T {
    return list[this.rng.below(list.length)]!;
  }
  list<T>(min: number, max: number, make: (i: number) => T): T[] {
    return Array.from({ length: this.from(min, max) }, (_, i) => make(i));
  }
  /** Milliseconds: round ones and odd ones. */
  ms(min = 1): number {
    return Math.max(
      min,
      this.one([1, 250, 1000, 1500, 60_000, 90_000, 3_600_000, 86_400_000, this.from(1, 1_000_000)]),
    );
  }
}
