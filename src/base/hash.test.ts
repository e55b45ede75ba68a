// The hashes: fixed for ever (clients would move if they changed), and well spread.

import { expect, test } from "bun:test";
import { hashBytes, hashText, mix32 } from "./hash.ts";

test("values that must never change", () => {
  // mix32: the finaliser of MurmurHash3, x86 32 bits; FNV-1a of "" is the offset basis 811c9dc5, of "a" e40c292c.
  expect([0, 1, 2, 0xdeadbeef, 0xffffffff].map(mix32)).toEqual([0, 0x514e28b7, 0x30f4c306, 0x0de5c6a9, 0x81f16f39]);
  expect(hashText("")).toBe(mix32(0x811c9dc5));
  expect(hashText("a")).toBe(mix32(0xe40c292c));
  expect(hashText("foobar")).toBe(mix32(0xbf9cf968));
});

test("text and bytes agree, on any part of a buffer", () => {
  for (const text of ["", "203.0.113.7", "user-42", "\xe9\xff\x00"]) {
    const bytes = Uint8Array.from([1, 2, 3, ...Array.from(text, (c) => c.charCodeAt(0)), 9]);
    expect(hashBytes(bytes, 3, 3 + text.length)).toBe(hashText(text));
  }
});

test("always an unsigned 32-bit integer", () => {
  for (let k = 0; k < 1000; k++) {
    for (const h of [mix32(k * 0x9e3779b9), hashText(`key ${k}`)]) {
      expect(Number.isInteger(h) && h >= 0 && h <= 0xffffffff).toBe(true);
    }
  }
});

test("mix32 is one to one: no two inputs of a stretch collide", () => {
  const seen = new Set<number>();
  for (let k = 0; k < 100_000; k++) seen.add(mix32(k));
  expect(seen.size).toBe(100_000);
});

test("one changed bit changes half of the result, in every position", () => {
  const flips = new Float64Array(32);
  const trials = 2000;
  for (let k = 0; k < trials; k++) {
    const x = mix32(k + 12_345);
    const difference = mix32(x) ^ mix32(x ^ (1 << (k % 32)));
    for (let bit = 0; bit < 32; bit++) flips[bit] = flips[bit]! + ((difference >>> bit) & 1);
  }
  for (const count of flips) expect(count / trials).toBeWithin(0.45, 0.55);
});

test("addresses and counted names spread evenly over buckets", () => {
  for (const name of [(k: number) => `10.0.${k >> 8}.${k & 255}`, (k: number) => `user-${k}`]) {
    const buckets = new Float64Array(64);
    for (let k = 0; k < 6400; k++) {
      const bucket = hashText(name(k)) % 64;
      buckets[bucket] = buckets[bucket]! + 1;
    }
    // Chi-squared with 63 degrees of freedom: 104 is passed once in a thousand.
    let chi = 0;
    for (const n of buckets) chi += (n - 100) ** 2 / 100;
    expect(chi).toBeLessThan(104);
  }
});
