// The timer wheel against a naive model: never early, never later than a tick and a step of whoever turns it.

import { expect, test } from "bun:test";
import type { Rng } from "./ports.ts";
import { seededRng } from "./seeded-rng.ts";
import { TICK_MS, TimerWheel, type TimerOwner } from "./timer-wheel.ts";

/** Remembers what fired, with the time. */
class Listener implements TimerOwner {
  readonly fired: [slot: number, nowMs: number][] = [];
  reaction: ((slot: number, nowMs: number) => void) | null = null;

  onDeadline(slot: number, nowMs: number): void {
    this.fired.push([slot, nowMs]);
    this.reaction?.(slot, nowMs);
  }
}

function advanceTo(wheel: TimerWheel, from: number, to: number, step: number): void {
  for (let now = from; now <= to; now += step) wheel.advance(now);
}

test("fires once, not early, at most a tick late", () => {
  const wheel = new TimerWheel(1000);
  const listener = new Listener();
  const slot = wheel.open(listener);
  wheel.set(slot, 2345);
  advanceTo(wheel, 1000, 5000, 1);
  expect(listener.fired.length).toBe(1);
  expect(listener.fired[0]![0]).toBe(slot);
  expect(listener.fired[0]![1]).toBeWithin(2345, 2345 + TICK_MS + 1);
});

test("moving later, moving earlier, clearing", () => {
  const wheel = new TimerWheel(0);
  const listener = new Listener();
  const [later, earlier, cleared] = [wheel.open(listener), wheel.open(listener), wheel.open(listener)];
  wheel.set(later, 500);
  wheel.set(earlier, 90_000);
  wheel.set(cleared, 500);
  wheel.advance(300);
  wheel.set(later, 70_000);
  wheel.set(earlier, 900);
  wheel.clear(cleared);
  advanceTo(wheel, 300, 100_000, 50);
  expect(listener.fired.map(([slot]) => slot)).toEqual([earlier, later]);
  expect(listener.fired[0]![1]).toBeWithin(900, 900 + TICK_MS + 51);
  expect(listener.fired[1]![1]).toBeWithin(70_000, 70_000 + TICK_MS + 51);
});

test("a deadline in the past fires at the next turn", () => {
  const wheel = new TimerWheel(10_000);
  const listener = new Listener();
  wheel.set(wheel.open(listener), 3);
  wheel.advance(10_000);
  wheel.advance(10_000 + TICK_MS);
  expect(listener.fired.length).toBe(1);
});

test("after a long sleep everything due fires, and nothing else", () => {
  const wheel = new TimerWheel(0);
  const listener = new Listener();
  const slots = [100, 30_000, 60_000, 3_600_000, 7_200_001].map((deadline) => {
    const slot = wheel.open(listener);
    wheel.set(slot, deadline);
    return slot;
  });
  wheel.advance(7_200_000);
  expect(listener.fired.map(([slot]) => slot).toSorted()).toEqual(slots.slice(0, 4));
  wheel.advance(7_200_001 + TICK_MS);
  expect(listener.fired.length).toBe(5);
});

test("a fired slot stays open and can be set again; from within its callback, too", () => {
  const wheel = new TimerWheel(0);
  const listener = new Listener();
  const slot = wheel.open(listener);
  listener.reaction = (fired, now) => wheel.set(fired, now + 1000);
  wheel.set(slot, 1000);
  advanceTo(wheel, 0, 10_000, TICK_MS);
  expect(listener.fired.length).toBeWithin(8, 11);
  expect(wheel.size).toBe(1);
});

test("callbacks may close, clear and move others that are due in the same turn", () => {
  for (const what of ["close", "clear", "move"] as const) {
    const wheel = new TimerWheel(0);
    const listener = new Listener();
    const slots = [wheel.open(listener), wheel.open(listener)];
    for (const slot of slots) wheel.set(slot, 500);
    listener.reaction = (fired, now) => {
      listener.reaction = null;
      const other = slots.find((slot) => slot !== fired)!;
      if (what === "close") wheel.close(other);
      else if (what === "clear") wheel.clear(other);
      else wheel.set(other, now + 2000);
    };
    wheel.advance(1000);
    expect([what, listener.fired.length]).toEqual([what, 1]);
    wheel.advance(10_000);
    expect([what, listener.fired.length]).toEqual([what, what === "move" ? 2 : 1]);
    expect(wheel.size).toBe(what === "close" ? 1 : 2);
  }
});

test("a slot that was closed and opened anew within a turn belongs to its new owner alone", () => {
  const wheel = new TimerWheel(0);
  const [old, young] = [new Listener(), new Listener()];
  const slots = [wheel.open(old), wheel.open(old)];
  for (const slot of slots) wheel.set(slot, 500);
  let reopened = -1;
  old.reaction = (fired, now) => {
    old.reaction = null;
    wheel.close(slots.find((slot) => slot !== fired)!);
    reopened = wheel.open(young);
    wheel.set(reopened, now + 300);
  };
  wheel.advance(1000);
  expect(slots).toContain(reopened); // slots are used again
  expect([old.fired.length, young.fired.length]).toEqual([1, 0]);
  advanceTo(wheel, 1000, 2000, 50);
  expect(old.fired.length).toBe(1);
  expect(young.fired.length).toBe(1);
  expect(young.fired[0]![1]).toBeGreaterThanOrEqual(1300);
});

test("an owner that throws takes nobody's deadline with it", () => {
  const wheel = new TimerWheel(0);
  const listener = new Listener();
  const bomb: TimerOwner = {
    onDeadline: () => {
      throw new Error("a bug of the owner");
    },
  };
  for (const owner of [listener, bomb, listener, bomb, listener]) wheel.set(wheel.open(owner), 500);
  let thrown = 0;
  for (let now = 0; now < 2000; now += 50) {
    try {
      wheel.advance(now);
    } catch {
      thrown++;
    }
  }
  expect(thrown).toBe(2);
  expect(listener.fired.length).toBe(3);
});

test("slots are reused: opening and closing for ever stays small", () => {
  const wheel = new TimerWheel(0);
  const listener = new Listener();
  let highest = 0;
  for (let k = 0; k < 10_000; k++) {
    const slot = wheel.open(listener);
    wheel.set(slot, k + 1e6);
    highest = Math.max(highest, slot);
    wheel.close(slot);
  }
  expect(highest).toBe(0);
  expect(wheel.size).toBe(0);
  wheel.advance(2e6);
  expect(listener.fired.length).toBe(0);
});

/** Everything the wheel promises, kept the slow way. */
class Model implements TimerOwner {
  /** By slot; of deadlines set in the past, the time of setting. */
  readonly deadlines = new Map<number, number>();
  readonly wheel: TimerWheel;
  private readonly rng: Rng;
  private readonly seed: number;
  private lastStep = 0;
  nowMs: number;

  constructor(seed: number) {
    this.seed = seed;
    this.rng = seededRng(seed);
    this.nowMs = this.rng.below(1_000_000) + this.rng.below(1000) / 1000;
    this.wheel = new TimerWheel(this.nowMs);
  }

  check(condition: boolean, what: string): void {
    if (!condition) throw new Error(`seed ${this.seed} at ${this.nowMs}: ${what}`);
  }

  onDeadline(slot: number, nowMs: number): void {
    const deadline = this.deadlines.get(slot);
    this.check(deadline !== undefined, `slot ${slot} fired though it is closed`);
    this.check(deadline! <= nowMs, `slot ${slot} fired ${deadline! - nowMs} ms early`);
    this.deadlines.set(slot, Infinity);
    for (let k = this.rng.below(3); k > 0; k--) this.change();
  }

  change(): void {
    const { rng, deadlines } = this;
    const open = [...deadlines.keys()];
    const slot = open[rng.below(Math.max(1, open.length))];
    const dice = rng.below(10);
    if (slot === undefined || (dice < 2 && open.length < 300)) {
      const fresh = this.wheel.open(this);
      this.check(!deadlines.has(fresh), `slot ${fresh} given out twice`);
      deadlines.set(fresh, Infinity);
    } else if (dice === 2) {
      this.wheel.close(slot);
      deadlines.delete(slot);
    } else if (dice === 3) {
      this.wheel.clear(slot);
      deadlines.set(slot, Infinity);
    } else {
      const deadline =
        this.nowMs - 50 + (rng.below(10) === 0 ? rng.below(200_000) : rng.below(3000)) + rng.below(4) / 4;
      this.wheel.set(slot, deadline);
      deadlines.set(slot, Math.max(deadline, this.nowMs));
    }
  }

  step(): void {
    this.lastStep = this.rng.below(100) === 0 ? this.rng.below(120_000) : this.rng.below(150) + this.rng.below(8) / 8;
    this.nowMs += this.lastStep;
    this.wheel.advance(this.nowMs);
    for (const [slot, deadline] of this.deadlines) {
      const late = this.nowMs - deadline;
      this.check(late <= TICK_MS + this.lastStep, `slot ${slot} has not fired, ${late} ms late`);
    }
    this.check(this.wheel.size === this.deadlines.size, "size");
  }
}

test("like the naive model, whatever is done and whenever (property)", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const model = new Model(seed);
    for (let step = 0; step < 500; step++) {
      for (let k = 0; k < 4; k++) model.change();
      model.step();
    }
  }
});
