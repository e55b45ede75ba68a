// Random choices of a simulation, all from one seeded generator.

import type { Rng } from "../../src/base/ports.ts";
import { seededRng } from "../../src/base/seeded-rng.ts";

export class Dice {
  readonly rng: Rng;

  constructor(seed: number) {
    this.rng = seededRng(seed);
  }

  /** A whole number from low to high, both included. */
  whole(low: number, high: number): number {
    return low + this.rng.below(high - low + 1);
  }

  /** A number in [low, high). */
  real(low: number, high: number): number {
    return low + ((high - low) * this.rng.u32()) / 0x1_0000_0000;
  }

  /** True with this probability. */
  chance(share: number): boolean {
    return this.rng.u32() < share * 0x1_0000_0000;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.rng.below(list.length)]!;
  }

  /** One of the values, as often as its weight says. */
  weighted<T>(list: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.real(
      0,
      list.reduce((sum, [weight]) => sum + weight, 0),
    );
    for (const [weight, value] of list) if ((left -= weight) < 0) return value;
    return list[list.length - 1]![1];
  }

  /** A size between 0 and max: small ones and the edges of powers of two are likelier than the rest. */
  size(max: number): number {
    const top = 2 ** this.real(0, Math.log2(max + 1));
    const size = this.chance(0.2) ? 2 ** Math.floor(Math.log2(top)) + this.whole(-1, 1) : Math.floor(top);
    return Math.min(max, Math.max(0, size - 1));
  }
}
