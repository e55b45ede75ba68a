// The state machine of active checks as strings of results.

import { expect, test } from "bun:test";
import { Health } from "../stats/columns.ts";
import { step, unknownState } from "./step.ts";

const thresholds = { healthyThreshold: 2, unhealthyThreshold: 3 };

function walk(results: string, limits = thresholds): string {
  let state = unknownState;
  let out = "";
  for (const r of results) {
    state = step(state, r === "+", limits);
    out += "?UD"[state.health];
  }
  return out;
}

test("one success takes an unknown endpoint up", () => {
  expect(walk("+")).toBe("U");
});

test("an unknown endpoint goes down after unhealthyThreshold failures", () => {
  expect(walk("---")).toBe("??D");
  expect(walk("--+")).toBe("??U");
});

test("up needs unhealthyThreshold failures in a row to go down", () => {
  expect(walk("+--+---")).toBe("UUUUUUD");
});

test("down needs healthyThreshold successes in a row to go up", () => {
  expect(walk("---+-++")).toBe("??DDDDU");
});

test("thresholds of one follow every result", () => {
  expect(walk("-+-+", { healthyThreshold: 1, unhealthyThreshold: 1 })).toBe("DUDU");
});

test("agreement with the present state keeps the very same object", () => {
  const up = step(unknownState, true, thresholds);
  expect(step(up, true, thresholds)).toBe(up);
  expect(up).toEqual({ health: Health.Up, streak: 0 });
});
