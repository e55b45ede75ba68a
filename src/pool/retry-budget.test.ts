// The retry budget: what it allows, what it counts, and that no ten seconds ever see more than it says.

import { describe, expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { PC, poolCounters } from "../stats/columns.ts";
import { BUDGET_WINDOW_S, RetryBudget } from "./retry-budget.ts";

const firstSeed = Number(process.env["SLUICE_SEED"] ?? 1);
const runs = Number(process.env["SLUICE_RUNS"] ?? 40);
const windowMs = BUDGET_WINDOW_S * 1000;

function fresh(): { readonly budget: RetryBudget; readonly counters: Float64Array } {
  const counters = new Float64Array(poolCounters.length);
  return { budget: new RetryBudget(counters), counters };
}

/** Takes repeats until one is refused; how many that were. */
function drain(budget: RetryBudget, nowMs: number, percent: number, perSecond: number): number {
  let taken = 0;
  while (budget.takeRepeat(nowMs, percent, perSecond)) taken++;
  return taken;
}

test("a share of the requests, and so many a second on top", () => {
  const { budget, counters } = fresh();
  expect(drain(budget, 5000, 20, 0)).toBe(0);
  for (let k = 0; k < 100; k++) budget.onRequest(5000);
  expect(drain(budget, 5000, 20, 0)).toBe(20);
  expect(drain(budget, 5000, 20, 3)).toBe(30);
  expect(counters[PC.repeats]).toBe(50);
  expect(counters[PC.retriesRefused]).toBe(3);
});

test("requests earn for ten seconds at most, repeats weigh for ten at least", () => {
  const { budget } = fresh();
  for (let k = 0; k < 100; k++) budget.onRequest(5999);
  expect(drain(budget, 14_000, 20, 0)).toBe(20);
  for (let k = 0; k < 100; k++) budget.onRequest(14_500);
  expect(drain(budget, 15_000, 20, 0)).toBe(0); // the first hundred earn no more, their twenty still count
  expect(drain(budget, 23_999, 20, 0)).toBe(0);
  for (let k = 0; k < 100; k++) budget.onRequest(24_999);
  expect(drain(budget, 25_000, 20, 0)).toBe(20);
  expect(drain(budget, 1_000_000, 20, 0)).toBe(0); // all is forgotten
  expect(drain(budget, 1_000_000, 20, 1)).toBe(10);
});

test("moves are free for as many as were answered, and a few a second; then they are repeats", () => {
  const { budget, counters } = fresh();
  for (let k = 0; k < 30; k++) budget.onAnswer(1000);
  for (let k = 0; k < 50; k++) budget.onRequest(1000);
  for (let k = 0; k < 130; k++) expect(budget.takeMove(1000, 20, 0)).toBe(true);
  expect(counters[PC.repeats]).toBe(0);
  for (let k = 0; k < 10; k++) expect(budget.takeMove(1000, 20, 0)).toBe(true);
  expect(budget.takeMove(1000, 20, 0)).toBe(false);
  expect([counters[PC.repeats], counters[PC.retriesRefused]]).toEqual([10, 1]);
});

describe("at random times", () => {
  test.each(Array.from({ length: runs }, (_, i) => firstSeed + i))("the bound holds (seed %d)", (seed) => {
    const rng = seededRng(seed);
    const { budget } = fresh();
    const percent = rng.below(101);
    const perSecond = rng.below(4);
    const requests: number[] = [];
    const repeats: number[] = [];
    const moves: number[] = [];
    const answers: number[] = [];
    let now = rng.below(100_000);
    const recent = (times: readonly number[]): number => countSince(times, now - windowMs);
    for (let k = 0; k < 3000; k++) {
      const pause = rng.below(100); // bursts, trickles and silences
      if (pause >= 60) now += rng.below(pause < 90 ? 30 : pause < 99 ? 700 : 15_000);
      const what = rng.below(4);
      if (what === 0) {
        budget.onRequest(now);
        requests.push(now);
      } else if (what === 1) {
        budget.onAnswer(now);
        answers.push(now);
      } else if (what === 2 && budget.takeRepeat(now, percent, perSecond)) {
        // Of all windows those that end with a repeat are the worst.
        repeats.push(now);
        expect(recent(repeats)).toBeLessThanOrEqual((recent(requests) * percent) / 100 + perSecond * BUDGET_WINDOW_S);
      } else if (what === 3 && budget.takeMove(now, 0, 0)) {
        moves.push(now); // with nothing to pay from: a free one
        expect(recent(moves)).toBeLessThanOrEqual(recent(answers) + 10 * BUDGET_WINDOW_S);
      }
    }
    expect(repeats.length + moves.length).toBeGreaterThan(0);
    // Over the whole, however long: what was paid for is never paid twice.
    const seconds = (now - (requests[0] ?? now)) / 1000 + BUDGET_WINDOW_S;
    expect(repeats.length).toBeLessThanOrEqual((requests.length * percent) / 100 + perSecond * seconds);
  });
});

/** Times after since. */
function countSince(times: readonly number[], since: number): number {
  let n = 0;
  for (let i = times.length - 1; i >= 0 && times[i]! > since; i--) n++;
  return n;
}
