// What an authentication service has answered: found by the whole key and in time only, bounded in number and bytes.

import { expect, test } from "bun:test";
import { latin1 } from "../wire/h1/tables.ts";
import { AuthCache, type QuestionKey, questionKey, sameKey, type SeedPair } from "./auth-cache.ts";

const seeds: SeedPair = [
  { k0: 1, k1: 2 },
  { k0: 3, k1: 4 },
];

function keyOf(text: string): QuestionKey {
  return questionKey(seeds, latin1(text), text.length);
}

test("keys are those of the bytes up to the end, and of the seeds", () => {
  expect(questionKey(seeds, latin1("abcX"), 3)).toEqual(keyOf("abc"));
  expect(sameKey(keyOf("abc"), keyOf("abc"))).toBe(true);
  expect(sameKey(keyOf("abc"), keyOf("abd"))).toBe(false);
  expect(questionKey([seeds[1], seeds[0]], latin1("abc"), 3)).not.toEqual(keyOf("abc"));
  const numbers = Array.from({ length: 1000 }, (_, k) => keyOf(`key ${k}`).number);
  expect(new Set(numbers).size).toBe(1000);
  expect(numbers.every(Number.isSafeInteger)).toBe(true);
});

test("an answer is found until its time is over, and by no key that is only alike", () => {
  const cache = new AuthCache<string>();
  const key = keyOf("a");
  cache.put(key, "yes", 10, 100, 200);
  expect([cache.find(key, 199), cache.size]).toEqual(["yes", 1]);
  for (const part of ["b", "c", "d"] as const) expect(cache.find({ ...key, [part]: key[part] ^ 1 }, 199)).toBeNull();
  expect([cache.find(key, 200), cache.size, cache.bytes]).toEqual([null, 0, 0]);
});

test("the oldest go first, by number and by bytes; a new answer takes the place of the old one", () => {
  const few = new AuthCache<number>(3);
  for (let k = 0; k < 5; k++) few.put(keyOf(`${k}`), k, 0, 0, 1000);
  expect([0, 1, 2, 3, 4].map((k) => few.find(keyOf(`${k}`), 1))).toEqual([null, null, 2, 3, 4]);
  few.put(keyOf("3"), 33, 0, 0, 1000);
  expect([few.size, few.find(keyOf("3"), 1), few.find(keyOf("2"), 1)]).toEqual([3, 33, 2]);
  const small = new AuthCache<number>(1000, 10_000);
  for (let k = 0; k < 500; k++) {
    small.put(keyOf(`${k}`), k, k % 7 === 0 ? 3000 : 100, 0, 1000);
    expect(small.bytes).toBeLessThanOrEqual(10_000);
  }
  expect(small.find(keyOf("499"), 1)).toBe(499);
  small.put(keyOf("huge"), 1, 20_000, 0, 1000);
  expect([small.size, small.bytes, small.find(keyOf("huge"), 1)]).toEqual([0, 0, null]);
});

test("what is over makes room by and by, also when nobody asks for it", () => {
  const cache = new AuthCache<number>();
  for (let k = 0; k < 100; k++) cache.put(keyOf(`old ${k}`), k, 0, 0, 10);
  for (let k = 0; k < 100; k++) cache.put(keyOf(`new ${k}`), k, 0, 20, 1000);
  expect(cache.size).toBe(100);
});
