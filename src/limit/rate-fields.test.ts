// The fields of a refusal, and of an answer that was not refused.

import { expect, test } from "bun:test";
import { latin1Text, Scratch } from "../base/bytes.ts";
import type { RateLimitConfig } from "../model/route-config.ts";
import { RateFields } from "./rate-fields.ts";
import { openWorkerLimit } from "./rate-limit.ts";

function config(over: Partial<RateLimitConfig>): RateLimitConfig {
  const by = { from: "header", name: "x-key" } as const;
  return { requests: 100, perMs: 60_000, burst: 2, by, scope: "worker", keys: 10, status: 429, ...over };
}

function linesOf(settings: RateLimitConfig, checks: number): string[] {
  const limit = openWorkerLimit(settings, 1);
  const out = new Scratch(16);
  let waitMs = 0;
  for (let k = 0; k < checks; k++) waitMs = limit.check({ a: 1, b: 1 }, 1000);
  new RateFields(settings).put(out, limit, waitMs);
  const text = latin1Text(out.bytes, 0, out.length);
  expect(text.endsWith("\r\n")).toBe(true);
  return text.slice(0, -2).split("\r\n");
}

test("an allowed request: what is left, and when all is back", () => {
  expect(linesOf(config({}), 1)).toEqual([
    'RateLimit-Policy: "header";q=100;w=60',
    'RateLimit: "header";r=1;t=1',
    "RateLimit-Limit: 2",
    "RateLimit-Remaining: 1",
    "RateLimit-Reset: 1",
  ]);
});

test("a refused one: also when to come again, in whole seconds and never 0", () => {
  expect(linesOf(config({ requests: 1 }), 3)).toEqual([
    "Retry-After: 60",
    'RateLimit-Policy: "header";q=1;w=60',
    'RateLimit: "header";r=0;t=120',
    "RateLimit-Limit: 2",
    "RateLimit-Remaining: 0",
    "RateLimit-Reset: 120",
  ]);
  expect(linesOf(config({ requests: 1000, perMs: 1000 }), 3)[0]).toBe("Retry-After: 1");
});

test.each([
  [100, 1000, "q=100;w=1"],
  [10, 500, "q=20;w=1"],
  [10, 1500, "q=20;w=3"],
  [1, 1, "q=1000;w=1"],
  [7, 86_400_000, "q=7;w=86400"],
  [5, 1250, "q=20;w=5"],
])("%d in %d ms is told as %s", (requests, perMs, told) => {
  expect(linesOf(config({ requests, perMs, by: { from: "source", name: "" } }), 1)[0]).toBe(
    `RateLimit-Policy: "source";${told}`,
  );
});
