// The queue against a plain array.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { WaitQueue, type Waiter } from "./queue.ts";

class Guest implements Waiter<Guest> {
  queueNext: Guest | null = null;
  queuePrevious: Guest | null = null;
  queued = false;
  readonly name: number;

  constructor(name: number) {
    this.name = name;
  }
}

function drain(queue: WaitQueue<Guest>): number[] {
  const names: number[] = [];
  for (let guest = queue.shift(); guest !== null; guest = queue.shift()) names.push(guest.name);
  return names;
}

test("first come, first served; leaving from anywhere", () => {
  const queue = new WaitQueue<Guest>(10);
  const guests = [0, 1, 2, 3, 4].map((name) => new Guest(name));
  for (const guest of guests) expect(queue.push(guest)).toBe(true);
  expect(queue.first).toBe(guests[0]!);
  expect([0, 2, 4].map((i) => queue.remove(guests[i]!))).toEqual([true, true, true]);
  expect(queue.remove(guests[2]!)).toBe(false);
  expect(queue.length).toBe(2);
  expect(drain(queue)).toEqual([1, 3]);
  expect(queue.first).toBe(null);
  expect(queue.shift()).toBe(null);
});

test("full is full, and nobody waits twice", () => {
  const queue = new WaitQueue<Guest>(2);
  const [a, b, c] = [new Guest(0), new Guest(1), new Guest(2)];
  expect([queue.push(a), queue.push(a), queue.push(b), queue.push(c)]).toEqual([true, false, true, false]);
  expect(c.queued).toBe(false);
  queue.remove(a);
  expect(queue.push(c)).toBe(true);
  expect(drain(queue)).toEqual([1, 2]);
  expect(new WaitQueue<Guest>(0).push(a)).toBe(false);
});

test("whoever left holds on to nobody", () => {
  const queue = new WaitQueue<Guest>(3);
  const guests = [new Guest(0), new Guest(1), new Guest(2)];
  for (const guest of guests) queue.push(guest);
  queue.remove(guests[1]!);
  expect(guests[1]!.queueNext).toBe(null);
  expect(guests[1]!.queuePrevious).toBe(null);
});

test("like an array, whatever is done (property)", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const rng = seededRng(seed);
    const max = 1 + rng.below(20);
    const queue = new WaitQueue<Guest>(max);
    const guests = Array.from({ length: 30 }, (_, name) => new Guest(name));
    const model: Guest[] = [];
    for (let step = 0; step < 1000; step++) {
      const guest = guests[rng.below(30)]!;
      const at = model.indexOf(guest);
      const dice = rng.below(3);
      let same: boolean;
      if (dice === 0) {
        const expected = at < 0 && model.length < max;
        if (expected) model.push(guest);
        same = queue.push(guest) === expected;
      } else if (dice === 1) {
        if (at >= 0) model.splice(at, 1);
        same = queue.remove(guest) === at >= 0;
      } else {
        same = queue.shift() === (model.shift() ?? null);
      }
      same &&= queue.length === model.length && queue.first === (model[0] ?? null);
      same &&= guests.every((g) => g.queued === model.includes(g));
      if (!same) throw new Error(`seed ${seed}, step ${step}`);
    }
    expect(drain(queue)).toEqual(model.map((guest) => guest.name));
  }
});
