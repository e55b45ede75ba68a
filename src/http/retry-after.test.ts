// When our own answers say Retry-After, and what.

import { expect, test } from "bun:test";
import { latin1Text, Scratch } from "../base/bytes.ts";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { putRetryAfter, retryAfterSeconds, wholeSeconds } from "./retry-after.ts";

const proxy = (phase: Phase, cause: FailureCause): number => failure(Side.Proxy, phase, cause);
const returning = (atMs: number): { returnsAtMs: () => number } => ({ returnsAtMs: () => atMs });

test("nobody usable: until the next one may be back, if that is known", () => {
  const nobody = proxy(Phase.Queue, FailureCause.NoEndpoint);
  expect(retryAfterSeconds(nobody, returning(12_300), 10_000)).toBe(3);
  expect(retryAfterSeconds(nobody, returning(10_001), 10_000)).toBe(1);
  expect(retryAfterSeconds(nobody, returning(9000), 10_000)).toBe(1);
  expect(retryAfterSeconds(nobody, returning(Infinity), 10_000)).toBe(0);
  expect(retryAfterSeconds(nobody, null, 10_000)).toBe(0);
});

test.each([
  [proxy(Phase.Queue, FailureCause.Full), 1],
  [proxy(Phase.Queue, FailureCause.Circuit), 1],
  [proxy(Phase.Connect, FailureCause.Circuit), 1],
  [proxy(Phase.Queue, FailureCause.Timeout), 1],
  [proxy(Phase.RequestHead, FailureCause.Resources), 1],
  [proxy(Phase.ResponseHead, FailureCause.Timeout), 0], // 504
  [proxy(Phase.ResponseHead, FailureCause.Internal), 0], // 500
  [failure(Side.Endpoint, Phase.Connect, FailureCause.Refused), 0], // 502
  [failure(Side.Client, Phase.RequestHead, FailureCause.Timeout), 0], // 408
])("failure %p: %p", (f, seconds) => {
  expect(retryAfterSeconds(f, returning(5000), 0)).toBe(seconds);
});

test("whole seconds, one at least", () => {
  expect([0, 1, 999, 1000, 1001, 61_000].map(wholeSeconds)).toEqual([1, 1, 1, 1, 2, 61]);
});

test("the line, and none for 0", () => {
  const out = new Scratch(64);
  putRetryAfter(out, 0);
  expect(out.length).toBe(0);
  putRetryAfter(out, 120);
  expect(latin1Text(out.bytes, 0, out.length)).toBe("Retry-After: 120\r\n");
});
