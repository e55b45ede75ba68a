// Bounds of chance, compared with sums that can be done by hand.

import { expect, test } from "bun:test";
import { binomialBounds } from "./binomial.ts";

test("ten coins: none and all ten have a chance of 1 in 1024 each", () => {
  expect(binomialBounds(10, 0.5, 500)).toEqual({ low: 1, high: 9 });
  expect(binomialBounds(10, 0.5, 520)).toEqual({ low: 0, high: 10 });
});

test("for many draws about as many standard deviations as the normal distribution has", () => {
  const { low, high } = binomialBounds(10_000, 0.5, 1e9);
  expect(Math.abs((5000 - low) / 50 - 6.1)).toBeLessThan(0.1);
  expect(Math.abs((high - 5000) / 50 - 6.1)).toBeLessThan(0.1);
});
