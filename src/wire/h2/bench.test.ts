// Keeps the benches of this folder running; it measures nothing.

import { expect, test } from "bun:test";
import { bench as frames } from "./frame-reader.bench.ts";
import { bench as heads } from "./heads.bench.ts";

test("the benches run", () => {
  expect(frames(10)).toBeGreaterThan(0);
  for (const { fields, ns } of Object.values(heads(10))) {
    expect(fields).toBeGreaterThan(8);
    expect(ns).toBeGreaterThan(0);
  }
});
