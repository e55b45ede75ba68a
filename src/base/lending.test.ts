// Lending and keeping of received memory: every order of the calls that matters, and what keeping brings.

import { expect, test } from "bun:test";
import { comesBack, keep, lend, lent } from "./lending.ts";

const all = (bytes: Uint8Array): Uint8Array => keep(bytes, 0, bytes.length);

test("lent memory comes back unless a part of it is kept", () => {
  const bytes = new Uint8Array(100);
  lend(bytes);
  expect(comesBack()).toBe(true);
  lend(bytes);
  expect(keep(bytes, 10, 20).buffer).toBe(bytes.buffer);
  expect(comesBack()).toBe(false);
  lend(bytes);
  all(new Uint8Array(100));
  expect(comesBack()).toBe(true);
});

test("what is kept outside of a lending concerns nobody", () => {
  const bytes = new Uint8Array(100);
  expect(all(bytes)).toBe(bytes);
  lend(bytes);
  expect(comesBack()).toBe(true);
  all(bytes);
  lend(bytes);
  expect(comesBack()).toBe(true);
});

test("of the memory that all receives go into, and of any view of it, a copy is kept", () => {
  lent.set([1, 2, 3, 4, 5]);
  const first = keep(lent, 1, 4);
  const second = keep(lent.subarray(2, 5), 0, 2);
  lent.fill(0, 0, 5);
  expect([[...first], [...second]]).toEqual([
    [2, 3, 4],
    [3, 4],
  ]);
});
