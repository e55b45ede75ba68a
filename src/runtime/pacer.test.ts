// Work that is asked for more often than it should be done.

import { beforeEach, expect, test } from "bun:test";
import { changesGapMaxMs, changesGapMinMs } from "../base/limits.ts";
import { FakeWorld, settle } from "./fakes.ts";
import { Pacer } from "./pacer.ts";

let world: FakeWorld;
let pacer: Pacer;
let starts: number[] = [];
let outcome = "";
let tookMs = 0;

beforeEach(() => {
  world = new FakeWorld();
  starts = [];
  outcome = "";
  tookMs = 0;
  pacer = new Pacer(world.env.clock, world.env.timers, async () => {
    starts.push(world.nowMs);
    const end = world.nowMs + tookMs;
    while (world.nowMs < end) await Promise.resolve();
    return outcome;
  });
});

test("the first is done at once, those behind it together, after a pause", async () => {
  const told: string[] = [];
  void pacer.ask().then(() => told.push("first"));
  await settle();
  for (const name of ["a", "b", "c"]) void pacer.ask().then(() => told.push(name));
  await settle();
  expect([starts.length, told]).toEqual([1, ["first"]]);
  await world.pass(changesGapMinMs + 100);
  expect([starts.length, told]).toEqual([2, ["first", "a", "b", "c"]]);
  await world.pass(10_000);
  expect(starts.length).toBe(2);
});

test("what is asked for while work is under way is done by the next run", async () => {
  tookMs = 300;
  let second = false;
  void pacer.ask();
  await Promise.resolve();
  world.nowMs += 100;
  await Promise.resolve();
  void pacer.ask().then(() => (second = true));
  world.nowMs += 200;
  await settle();
  tookMs = 0;
  expect([starts.length, second]).toEqual([1, false]);
  await world.pass(changesGapMaxMs + 100); // twenty times 300 ms, but not more than the longest pause
  expect([starts.length, second]).toEqual([2, true]);
  expect(starts[1]! - starts[0]!).toBeWithin(300 + changesGapMaxMs, 300 + changesGapMaxMs + 200);
});

test("however often it is asked for, it is done a bounded number of times", async () => {
  for (let i = 0; i < 100; i++) {
    void pacer.ask();
    await world.pass(100);
  }
  expect(starts.length).toBeWithin(40, 101); // at most every 100 ms, in ticks of 100 ms
  starts = [];
  tookMs = 100;
  for (let i = 0; i < 1000; i++) {
    void pacer.ask();
    world.nowMs += 10;
    world.env.timers.advance(world.nowMs);
    await settle();
  }
  expect(starts.length).toBeWithin(4, 7); // 10 s of runs of 100 ms with pauses of 2 s
});

test("a failure is told to those who asked, and tried again after a while", async () => {
  outcome = "no";
  const told: string[] = [];
  void pacer.ask().then((said) => told.push(said));
  await settle();
  expect(told).toEqual(["no"]);
  await world.pass(changesGapMaxMs - 200);
  expect(starts.length).toBe(1);
  outcome = "";
  await world.pass(400);
  expect(starts.length).toBe(2);
  await world.pass(60_000);
  expect(starts.length).toBe(2);
});

test("stopped, it does nothing more and lets nobody wait", async () => {
  await pacer.ask();
  const waiting = pacer.ask();
  pacer.stop();
  expect(await waiting).toBe("stopping");
  expect(await pacer.ask()).toBe("stopping");
  await world.pass(10_000);
  expect([starts.length, world.env.timers.size]).toEqual([1, 0]);
});
