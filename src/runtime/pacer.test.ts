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
    if (tookMs > 0) await passed(tookMs);
    return outcome;
  });
});

/** Resolves when so much of the test's time has passed. */
function passed(ms: number): Promise<void> {
  const { timers } = world.env;
  return new Promise((resolve) => {
    const slot = timers.open({
      onDeadline() {
        timers.close(slot);
        resolve();
      },
    });
    timers.set(slot, world.nowMs + ms);
  });
}

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
  await world.pass(100);
  void pacer.ask().then(() => (second = true));
  await world.pass(1000);
  expect([starts.length, second]).toEqual([1, false]);
  tookMs = 0;
  await world.pass(5000);
  expect([starts.length, second]).toEqual([2, true]);
  expect(starts[1]! - starts[0]!).toBeWithin(3300, 4700); // the run and ten times as much, in ticks
});

test("however often it is asked for, it is done a bounded number of times", async () => {
  for (let i = 0; i < 100; i++) {
    void pacer.ask();
    await world.pass(100);
  }
  expect(starts.length).toBeWithin(40, 101); // at most every 100 ms, in ticks of 100 ms
  tookMs = 100;
  await world.pass(1000);
  starts = [];
  for (let i = 0; i < 100; i++) {
    void pacer.ask();
    await world.pass(100);
  }
  expect(starts.length).toBeWithin(4, 8); // 10 s of runs of 100 to 200 ms with pauses of 1 to 2 s
  tookMs = 2000;
  await world.pass(5000);
  starts = [];
  for (let i = 0; i < 200; i++) {
    void pacer.ask();
    await world.pass(100);
  }
  expect(starts[1]! - starts[0]!).toBeWithin(2000 + changesGapMaxMs, 2400 + changesGapMaxMs);
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
