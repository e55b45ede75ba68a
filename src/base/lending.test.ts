// Lending and keeping of received memory: every order of the three calls that matters.

import { expect, test } from "bun:test";
import { comesBack, keep, lend } from "./lending.ts";

test("lent memory comes back unless a part of it is kept", () => {
  const bytes = new Uint8Array(100);
  lend(bytes);
  expect(comesBack()).toBe(true);
  lend(bytes);
  keep(bytes.subarray(10, 20));
  expect(comesBack()).toBe(false);
  lend(bytes);
  keep(new Uint8Array(100));
  expect(comesBack()).toBe(true);
});

test("what is kept outside of a lending concerns nobody", () => {
  const bytes = new Uint8Array(100);
  keep(bytes);
  lend(bytes);
  expect(comesBack()).toBe(true);
  keep(bytes);
  lend(bytes);
  expect(comesBack()).toBe(true);
});
