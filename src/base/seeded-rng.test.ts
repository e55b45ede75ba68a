// The reproducible generator: the same for ever, uniform, within its bounds.

import { expect, test } from "bun:test";
import { seededRng } from "./seeded-rng.ts";

test("the same seed gives the same numbers, another seed others", () => {
  const take = (seed: number): number[] => {
    const rng = seededRng(seed);
    return Array.from({ length: 5 }, () => rng.u32());
  };
  expect(take(1)).toEqual(take(1));
  expect(take(1)).not.toEqual(take(2));
  expect(take(0)).not.toEqual([0, 0, 0, 0, 0]);
});

test("below() stays within its bound, from 1 to 2^32", () => {
  const rng = seededRng(3);
  for (const bound of [1, 2, 3, 1000, 0x1_0000_0000]) {
    for (let k = 0; k < 2000; k++) {
      const n = rng.below(bound);
      if (!Number.isInteger(n) || n < 0 || n >= bound) throw new Error(`${n} is not below ${bound}`);
    }
  }
});

test("uniform", () => {
  const rng = seededRng(4);
  const counts = new Float64Array(10);
  for (let k = 0; k < 50_000; k++) {
    const n = rng.below(10);
    counts[n] = counts[n]! + 1;
  }
  for (const count of counts) expect(count).toBeWithin(4700, 5300);
});
