// Simulated draws: near the weights, the same for the same seed, pools that several arms lead to counted together.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { DRAWS, drawShares } from "./draw-shares.ts";
import type { ArmWord, ForwardOutcome } from "./explanation.ts";

function outcome(...arms: readonly (readonly [pool: string, weight: number])[]): ForwardOutcome {
  const endpoint = { id: null, now: null, by: "", candidates: [], others: [] };
  const rest = { percent: 0, endpoint, sent: null, answer: { added: [], removed: [] }, refused: null };
  return { kind: "forward", arms: arms.map(([pool, weight]): ArmWord => ({ pool, weight, ...rest })), keptBy: "" };
}

test.each([1, 2, 3, 4, 5])("90 to 10 within half a point, seed %i", (seed) => {
  const shares = drawShares(outcome(["stable", 90], ["canary", 10]), seededRng(seed));
  expect(Math.abs(shares.get("stable")! - 90)).toBeLessThan(0.5);
  expect(shares.get("stable")! + shares.get("canary")!).toBeCloseTo(100);
  expect(drawShares(outcome(["stable", 90], ["canary", 10]), seededRng(seed))).toEqual(shares);
});

test("one arm gets all, whatever its weight; arms of one pool add up", () => {
  expect([...drawShares(outcome(["a", 0]), seededRng(1))]).toEqual([["a", 100]]);
  const twice = drawShares(outcome(["a", 1], ["b", 2], ["a", 1]), seededRng(1), DRAWS);
  expect(Math.abs(twice.get("a")! - 50)).toBeLessThan(0.5);
});
