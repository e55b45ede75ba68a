// Dates against the platform's own.

import { expect, test } from "bun:test";
import { latin1Text, Scratch } from "./bytes.ts";
import { putHttpDate, putIsoTime } from "./date-text.ts";
import { seededRng } from "./seeded-rng.ts";

const text = (put: (out: Scratch) => void): string => {
  const out = new Scratch(4);
  put(out);
  return latin1Text(out.bytes, 0, out.length);
};

test("both forms, within a second, over its end, and back", () => {
  const rng = seededRng(7);
  const starts = Array.from({ length: 50 }, () => rng.below(4_000_000) * 1_000_003);
  for (const ms of [784111777000, 784111777001.5, 784111777999, 784111778000, 784111777099, 0, ...starts]) {
    expect(text((out) => putHttpDate(out, ms))).toBe(new Date(ms).toUTCString());
    expect(text((out) => putIsoTime(out, ms))).toBe(new Date(ms).toISOString());
  }
});
