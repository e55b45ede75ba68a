// The rate limit against the definition of a token bucket, with one key and with many, and from two processes at once.

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import type { Rng } from "../base/ports.ts";
import type { RateLimitConfig } from "../model/route-config.ts";
import { SharedTable, sharedTableWords } from "../stats/shared-table.ts";
import { openWorkerLimit, RateLimit, rateLimitId, rateLimitTable, type RateNumbers } from "./rate-limit.ts";

const key = { a: 1, b: 2 };

function newTable(keys: number): SharedTable {
  const shape = { keys, values: 1 };
  return new SharedTable(new Int32Array(sharedTableWords(shape)), shape);
}

function newLimit(numbers: RateNumbers): RateLimit {
  return new RateLimit(numbers, newTable(10));
}

function config(over: Partial<RateLimitConfig> = {}): RateLimitConfig {
  const by = { from: "source", name: "" } as const;
  return { requests: 10, perMs: 1000, burst: 5, by, scope: "exact", keys: 100, status: 429, ...over };
}

/** An entry's age is known for two years; nobody's machine is up for longer without a request. */
const silenceMsMax = 700 * 86_400_000;

const oneOf = <T>(rng: Rng, values: readonly T[]): T => values[rng.below(values.length)]!;

function randomNumbers(rng: Rng): RateNumbers {
  return {
    requests: oneOf(rng, [1, 2, 3, 7, 100, 1000, 99_999]),
    perMs: oneOf(rng, [10, 100, 1000, 60_000, 86_400_000, 24 * 86_400_000]),
    burst: oneOf(rng, [1, 2, 5, 50, 300]),
  };
}

test("the burst at once, then one for each interval", () => {
  const limit = newLimit({ requests: 10, perMs: 1000, burst: 3 });
  expect([1, 2, 3].map(() => [limit.check(key, 5000), limit.remaining])).toEqual([
    [0, 2],
    [0, 1],
    [0, 0],
  ]);
  expect(limit.resetMs).toBeCloseTo(300, 3);
  expect(limit.check(key, 5000)).toBeCloseTo(100, 3);
  expect(limit.check(key, 5040)).toBeCloseTo(60, 3);
  expect(limit.check(key, 5100.001)).toBe(0);
  expect(limit.check(key, 5199)).toBeGreaterThan(0);
  expect(limit.check({ a: 3, b: 4 }, 5100)).toBe(0); // others have a bucket of their own
  expect(limit.check(key, 5600)).toBe(0);
  expect(limit.remaining).toBe(2);
});

test("in no time t more than burst + rate * t, and no request refused that a bucket with a token would allow", () => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(seed);
  for (let round = 0; round < 120; round++) {
    const numbers = randomNumbers(rng);
    const label = `seed ${seed} round ${round} ${JSON.stringify(numbers)}`;
    const intervalMs = numbers.perMs / numbers.requests;
    const limit = newLimit(numbers);
    const allowed: number[] = [];
    let nowMs = rng.below(1e8);
    // Readings of the clock have 53 bits, and time is counted in units.
    const slack = 0.01 + (3e-6 + 2 ** -22) / intervalMs;
    let tokens = numbers.burst; // the model
    let filledMs = nowMs;
    for (let step = 0; step < 300; step++) {
      const silenceMs = (rng.u32() / 2 ** 32) * intervalMs * oneOf(rng, [0.1, 1, 3, 100]);
      if (rng.below(3) > 0) nowMs += Math.min(silenceMs, silenceMsMax);
      tokens = Math.min(numbers.burst, tokens + (nowMs - filledMs) / intervalMs);
      filledMs = nowMs;
      const waitMs = limit.check(key, nowMs);
      if (waitMs === 0) {
        allowed.push(nowMs);
        tokens -= 1;
        expect(tokens, label).toBeGreaterThan(-slack);
        expect(Math.abs(limit.remaining - tokens), label).toBeLessThan(1 + slack);
      } else {
        expect(tokens, label).toBeLessThan(1 + slack);
        expect(Math.abs(waitMs - (1 - tokens) * intervalMs), label).toBeLessThan(intervalMs * slack);
      }
    }
    for (let i = 0; i < allowed.length; i++) {
      for (let j = i; j < allowed.length; j++) {
        const most = numbers.burst + (allowed[j]! - allowed[i]!) / intervalMs + slack;
        if (j - i + 1 > most) expect(`${j - i + 1} requests`, label).toBe(`at most ${most}`);
      }
    }
  }
});

test("after any silence, however long, the bucket is full and not by accident half empty", () => {
  const rng = seededRng(3);
  for (let round = 0; round < 300; round++) {
    const numbers = randomNumbers(rng);
    const fillMs = (numbers.perMs / numbers.requests) * numbers.burst;
    if (fillMs > silenceMsMax / 2) continue;
    const limit = newLimit(numbers);
    let nowMs = rng.below(1000);
    for (let k = 0; k < 5; k++) {
      for (let i = 0; i < numbers.burst; i++) expect(limit.check(key, nowMs), JSON.stringify(numbers)).toBe(0);
      nowMs += Math.min(silenceMsMax, fillMs * (1 + (rng.u32() / 2 ** 32) * oneOf(rng, [1, 10, 1000])) + 65);
    }
  }
});

test("a worker whose clock reading is old gets no more than the others", () => {
  const limit = newLimit({ requests: 10, perMs: 1000, burst: 3 });
  for (let k = 0; k < 3; k++) expect(limit.check(key, 5000)).toBe(0);
  expect(limit.check(key, 4900)).toBeCloseTo(200, 3);
  expect(limit.check(key, 4000)).toBeGreaterThan(1000);
});

test("a key that was forgotten for want of room begins anew; those in use stay", () => {
  const limit = new RateLimit({ requests: 1, perMs: 1000, burst: 1 }, newTable(5)); // one set of eight
  for (let k = 1; k <= 8; k++) expect(limit.check({ a: k, b: k }, 1000 + k * 16)).toBe(0);
  expect(limit.check({ a: 1, b: 1 }, 1200)).toBeGreaterThan(0); // touched: no longer the oldest
  expect(limit.check({ a: 9, b: 9 }, 1220)).toBe(0); // takes the place of 2
  expect(limit.check({ a: 1, b: 1 }, 1240)).toBeGreaterThan(0);
  expect(limit.check({ a: 2, b: 2 }, 1260)).toBe(0);
});

test("a worker's own limit is its share, and at least one at once", () => {
  const limit = openWorkerLimit(config({ requests: 100, burst: 10, scope: "worker" }), 4);
  for (let k = 0; k < 3; k++) expect(limit.check(key, 1000)).toBe(0); // 10 / 4, rounded up
  expect(limit.check(key, 1000)).toBeCloseTo(40, 3);
  const tiny = openWorkerLimit(config({ requests: 1, burst: 1, scope: "worker" }), 4);
  expect([tiny.check(key, 0), tiny.check(key, 0) > 0]).toEqual([0, true]);
});

test("identity: what changes the counting makes another limit, what does not keeps it", () => {
  const id = rateLimitId("web/users", config(), 4);
  expect(rateLimitId("web/users", config({ status: 503 }), 4)).toBe(id);
  expect(rateLimitId("web/users", config(), 8)).toBe(id); // exact: all workers, however many
  const others = [
    rateLimitId("web/other", config(), 4),
    ...[{ requests: 11 }, { perMs: 1 }, { burst: 6 }, { keys: 99 }, { scope: "worker" as const }].map((over) =>
      rateLimitId("web/users", config(over), 4),
    ),
    rateLimitId("web/users", config({ scope: "worker" }), 5),
    rateLimitId("web/users", config({ by: { from: "header", name: "x-user" } }), 4),
  ];
  expect(new Set([id, ...others]).size).toBe(others.length + 1);
  expect(rateLimitTable("web/users", config())).toEqual({ name: id, keys: 100, values: 1, perWorker: false });
  expect(rateLimitTable("web/users", config({ scope: "worker" }))).toBeNull();
});

test("two processes at once: together never more than burst + rate * time", async () => {
  const numbers = { requests: 1000, perMs: 1000, burst: 20 };
  const shape = { keys: 50, values: 1 };
  const keys = 5;
  const words = sharedTableWords(shape);
  const folder = mkdtempSync(`${tmpdir()}/sluice-rate-`);
  const path = `${folder}/words`;
  const fd = openSync(path, "w+");
  ftruncateSync(fd, (words + 1) * 4);
  closeSync(fd);
  // Time is CLOCK_MONOTONIC for both, as in workers: Bun.nanoseconds() counts from the start of each process.
  const script = `
    const { RateLimit } = await import(${JSON.stringify(`${import.meta.dir}/rate-limit.ts`)});
    const { SharedTable } = await import(${JSON.stringify(`${import.meta.dir}/../stats/shared-table.ts`)});
    const words = new Int32Array(Bun.mmap(${JSON.stringify(path)}, { shared: true }).buffer);
    const limit = new RateLimit(${JSON.stringify(numbers)}, new SharedTable(words, ${JSON.stringify(shape)}));
    const nowMs = () => performance.timeOrigin + performance.now();
    Atomics.add(words, ${words}, 1);
    while (Atomics.load(words, ${words}) !== 2) {}
    const startMs = nowMs();
    const allowed = new Array(${keys}).fill(0);
    let endMs = startMs;
    while (endMs < startMs + 150) {
      endMs = nowMs();
      for (let k = 0; k < ${keys}; k++) if (limit.check({ a: k * 1000003, b: k }, endMs) === 0) allowed[k]++;
    }
    console.log(JSON.stringify({ startMs, endMs, allowed }));
  `;
  const children = [0, 1].map(() => Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" }));
  const outputs = await Promise.all(children.map((child) => new Response(child.stdout).json()));
  rmSync(folder, { recursive: true });
  const results = outputs as { startMs: number; endMs: number; allowed: number[] }[];
  const ms = Math.max(...results.map((r) => r.endMs)) - Math.min(...results.map((r) => r.startMs));
  for (let k = 0; k < keys; k++) {
    const total = results[0]!.allowed[k]! + results[1]!.allowed[k]!;
    expect(total).toBeLessThanOrEqual(Math.floor(numbers.burst + ms + 0.01));
    expect(total).toBeGreaterThan(numbers.burst); // and it is a limit, not a wall
  }
});
