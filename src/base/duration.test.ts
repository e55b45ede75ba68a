// Milliseconds as text.

import { expect, test } from "bun:test";
import { formatMs } from "./duration.ts";

test.each([
  [0, "0ms"],
  [250, "250ms"],
  [1500, "1500ms"],
  [5000, "5s"],
  [90_000, "90s"],
  [60_000, "1m"],
  [7_200_000, "2h"],
  [86_400_000, "1d"],
])("%d ms is %s", (ms, text) => {
  expect(formatMs(ms)).toBe(text);
});
