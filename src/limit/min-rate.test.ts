// Who is too slow and who is not, with pauses that are not the peer's.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { MinRate } from "./min-rate.ts";

function begun(bytesPerSecond: number, graceMs: number, nowMs: number): MinRate {
  const meter = new MinRate();
  meter.begin(bytesPerSecond, graceMs);
  meter.wait(nowMs);
  return meter;
}

test("a peer that stands still is too slow after the grace, at first and later", () => {
  const meter = begun(1000, 5000, 100);
  expect(meter.deadlineMs()).toBe(5100);
  expect([meter.tooSlow(5100), meter.tooSlow(5101)]).toEqual([false, true]);
  meter.note(1_000_000, 200); // a thousand seconds' worth: but no more than the grace is kept
  expect([meter.tooSlow(5200), meter.tooSlow(5201)]).toEqual([false, true]);
});

test("one at half the rate is after twice the grace", () => {
  const meter = begun(1000, 5000, 0);
  let nowMs = 0;
  while (!meter.tooSlow(nowMs)) meter.note(50, (nowMs += 100));
  expect(nowMs).toBe(10_100);
});

test("time in which it is not the peer's turn does not count", () => {
  const meter = begun(1000, 5000, 0);
  meter.hold(4000);
  expect(meter.tooSlow(1_000_000)).toBe(false);
  meter.hold(1_000_000);
  meter.wait(1_000_000);
  meter.wait(1_000_500); // it is its turn already
  expect([meter.tooSlow(1_001_000), meter.tooSlow(1_001_001)]).toEqual([false, true]);
  meter.note(0, 1_001_001); // nothing is no progress
  expect(meter.tooSlow(1_001_002)).toBe(true);
});

test("begin() forgets everything", () => {
  const meter = begun(1000, 5000, 0);
  meter.note(10, 9000);
  meter.begin(1, 1000);
  expect(meter.tooSlow(20_000)).toBe(false); // not its turn yet
  meter.wait(20_000);
  expect(meter.deadlineMs()).toBe(21_000);
});

test("whoever keeps the rate over the time that counts, however unevenly, is never cut", () => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(seed);
  for (let round = 0; round < 200; round++) {
    const rate = 1 + rng.below(100_000);
    const graceMs = 1000 + rng.below(10_000);
    const meter = new MinRate();
    meter.begin(rate, graceMs);
    let nowMs = rng.below(1e9);
    let owedMs = 0; // time that counts and was not paid for by bytes: at most the grace
    for (let step = 0; step < 200; step++) {
      if (rng.below(3) === 0) {
        meter.hold(nowMs);
        nowMs += rng.below(100_000);
      }
      meter.wait(nowMs);
      const waitMs = rng.below(Math.max(1, Math.floor(graceMs - owedMs)));
      nowMs += waitMs;
      owedMs += waitMs;
      expect(meter.tooSlow(nowMs), `seed ${seed} round ${round}`).toBe(false);
      const bytes = Math.ceil((rng.below(2) * owedMs * rate) / 1000);
      meter.note(bytes, nowMs);
      owedMs = Math.max(0, owedMs - (bytes * 1000) / rate);
    }
    expect(meter.tooSlow(nowMs + graceMs - owedMs + 1), `seed ${seed} round ${round}`).toBe(true);
  }
});
