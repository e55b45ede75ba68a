// What the algorithms do over time, simulated with real pools: cold start, slow and failing endpoints, recovery. The
// seeds are fixed, so every run sees the same numbers; the bounds leave room for the algorithms to be tuned.

import { describe, expect, test } from "bun:test";
import type { BalanceConfig } from "../../src/model/config.ts";
import { around, shareOf, simulate, type SimEndpoint, type SimOptions, type SimResult } from "./balance-sim.ts";

const leastTime: BalanceConfig = { by: "least-response-time", decayMs: 10_000 };
const balances: readonly BalanceConfig[] = [
  { by: "round-robin" },
  { by: "weighted-round-robin", order: "smooth" },
  { by: "weighted-round-robin", order: "block" },
  { by: "least-connections" },
  { by: "ip-hash" },
  { by: "consistent-hash", key: { from: "uri", name: "" }, loadPercent: 125 },
  { by: "random-two-choices" },
  leastTime,
];
const seeds = [1, 2, 3];

function equal(count: number, meanMs: number): SimEndpoint[] {
  return Array.from({ length: count }, () => ({ workMs: around(meanMs) }));
}

function each(options: Omit<SimOptions, "seed">, check: (result: SimResult, seed: number) => void): void {
  for (const seed of seeds) check(simulate({ ...options, seed }), seed);
}

describe.each(balances)("%o", (balance) => {
  test("cold start: equals get equal shares, and nobody a burst", () => {
    each({ balance, endpoints: equal(4, 20), seconds: 20, load: { perSecond: 500 }, workers: 2 }, (result) => {
      for (let i = 0; i < 4; i++) {
        expect(shareOf(result, i, 0, 20)).toBeWithin(0.2, 0.3);
        expect(shareOf(result, i, 0, 2)).toBeWithin(0.12, 0.38);
        for (const peak of result.peak) expect(peak[i]!).toBeLessThan(20); // 2.5 on average
      }
    });
  });

  test("passive checks keep the failures of a dead endpoint to a handful", () => {
    const endpoints = equal(4, 20);
    endpoints[0] = { ...endpoints[0]!, fails: (now) => now >= 20_000 && now < 40_000 };
    const passive = { maxFails: 3, failTimeoutMs: 10_000 };
    each({ balance, endpoints, passive, seconds: 80, load: { perSecond: 500 }, workers: 2 }, (result) => {
      expect(result.failures).toBeLessThanOrEqual(10);
      expect(result.unserved).toBe(0);
      expect(shareOf(result, 0, 55, 80)).toBeWithin(0.18, 0.32);
    });
  });

  test.each([0, 30_000])("after an ejection nobody is stampeded (slow start %d ms)", (slowStartMs) => {
    const endpoints = equal(4, 20);
    endpoints[0] = { ...endpoints[0]!, fails: (now) => now >= 10_000 && now < 15_000 };
    const outlier = {
      consecutiveFailures: 5,
      intervalMs: 10_000,
      ejectionMs: 10_000,
      maxEjectionMs: 60_000,
      maxEjectedPercent: 50,
      successRate: null,
    };
    const options = { balance, endpoints, outlier, slowStartMs, workers: 2, seconds: 70 };
    each({ ...options, load: { perSecond: 500 } }, (result) => {
      expect(result.failures).toBeLessThanOrEqual(20); // those that were under way when the last of five came
      expect(result.unserved).toBe(0);
      const first = result.given.findIndex((given, second) => second > 11 && given[0]! > 0);
      expect(first).toBeWithin(19, 22);
      for (let second = first; second < first + 3; second++) {
        expect(result.peak[second]![0]!).toBeLessThan(20); // as in a cold start
      }
      const fair = slowStartMs === 0 ? 0.25 : 0.16 / 3.16; // three seconds and a bit of thirty
      // An average of before weighs the failures: least-response-time has its own way back.
      if (balance.by === "least-response-time") expect(shareOf(result, 0, first, first + 4)).toBeLessThan(0.3);
      else if (balance.by !== "least-connections" || slowStartMs === 0) {
        expect(shareOf(result, 0, first, first + 4)).toBeLessThan(fair * 1.5);
      }
      expect(shareOf(result, 0, 55, 70)).toBeWithin(0.18, 0.32);
    });
  });

  test("in its first second after a recovery an endpoint gets its slow-start share", () => {
    const health = [
      { atMs: 5000, endpoint: 0, up: false },
      { atMs: 15_000, endpoint: 0, up: true },
    ];
    const options = { balance, endpoints: equal(4, 30), health, slowStartMs: 30_000, workers: 2 };
    each({ ...options, seconds: 60, load: { perSecond: 400 } }, (result) => {
      const slowStartShare = 0.1 / 3.1;
      expect(result.given[10]![0]).toBe(0);
      if (balance.by === "least-connections") {
        // Nothing in progress is least whatever the weight (as in nginx and HAProxy): one request at a time, but always
        // one.
        expect(result.peak[15]![0]!).toBeLessThanOrEqual(2);
      } else {
        // Of 400 requests 13 are its share; two workers' first questions and chance come on top.
        expect(shareOf(result, 0, 15, 16)).toBeLessThan(slowStartShare + 10 / 400);
        expect(shareOf(result, 0, 15, 18)).toBeLessThan(slowStartShare * 1.6);
        expect(result.peak[15]![0]!).toBeLessThanOrEqual(9);
      }
      expect(shareOf(result, 0, 30, 31)).toBeWithin(0.08, 0.22); // half way: 1/7
      expect(shareOf(result, 0, 50, 60)).toBeWithin(0.19, 0.31);
    });
  });
});

test("one endpoint ten times slower: those that look at load avoid it, least-response-time best", () => {
  const endpoints = [{ workMs: around(200) }, ...equal(3, 20)];
  const run = (balance: BalanceConfig): SimResult => {
    return simulate({ balance, endpoints, seconds: 60, seed: 4, load: { perSecond: 500 } });
  };
  const turns = run({ by: "round-robin" });
  const connections = run({ by: "least-connections" });
  const choices = run({ by: "random-two-choices" });
  const time = run(leastTime);
  expect(shareOf(turns, 0, 0, 60)).toBeCloseTo(0.25, 2);
  expect(shareOf(connections, 0, 0, 60)).toBeLessThan(0.08);
  expect(shareOf(choices, 0, 0, 60)).toBeLessThan(0.1);
  expect(shareOf(time, 0, 5, 60)).toBeLessThan(0.01);
  // It is still asked now and then: else nobody would notice that it has become faster.
  for (let from = 0; from < 60; from += 10) expect(shareOf(time, 0, from, from + 10)).toBeGreaterThan(0);
  expect(time.meanMs).toBeLessThan(connections.meanMs);
  expect(connections.meanMs).toBeLessThan(turns.meanMs / 2);
});

describe("least-response-time", () => {
  test("a fast-failing endpoint is not rewarded, even without passive checks, and is soon back", () => {
    const endpoints = equal(4, 20);
    endpoints[0] = { ...endpoints[0]!, fails: (now) => now >= 20_000 && now < 40_000 };
    each({ balance: leastTime, endpoints, seconds: 60, load: { perSecond: 500 }, workers: 2 }, (result) => {
      expect(shareOf(result, 0, 20, 40)).toBeLessThan(0.02); // its fair share would be 0.25
      expect(shareOf(result, 0, 22, 40)).toBeLessThan(0.005);
      expect(shareOf(result, 0, 45, 60)).toBeWithin(0.15, 0.35);
    });
  });

  test("one failure in a hundred costs a part of the share, not all of it", () => {
    let count = 0;
    const endpoints = equal(4, 10);
    endpoints[0] = { ...endpoints[0]!, fails: () => ++count % 100 === 0 };
    each({ balance: leastTime, endpoints, seconds: 40, load: { perSecond: 1000 } }, (result) => {
      expect(shareOf(result, 0, 5, 40)).toBeWithin(0.15, 0.24);
    });
  });

  test("recovery without slow start: asked first, not stampeded", () => {
    const health = [
      { atMs: 5000, endpoint: 0, up: false },
      { atMs: 20_000, endpoint: 0, up: true },
    ];
    each({ balance: leastTime, endpoints: equal(4, 30), health, seconds: 30, load: { perSecond: 400 } }, (result) => {
      expect(shareOf(result, 0, 20, 21)).toBeLessThan(0.45);
      expect(result.peak[20]![0]!).toBeLessThanOrEqual(15);
      expect(shareOf(result, 0, 22, 30)).toBeWithin(0.18, 0.32);
    });
  });

  test("an endpoint that becomes slow while it is down is found out with a few requests", () => {
    const health = [
      { atMs: 5000, endpoint: 0, up: false },
      { atMs: 20_000, endpoint: 0, up: true },
    ];
    const endpoints = equal(4, 20);
    endpoints[0] = { workMs: (now, rng) => (now < 10_000 ? around(20)(now, rng) : 2000) };
    each({ balance: leastTime, endpoints, health, seconds: 30, load: { perSecond: 400 }, workers: 2 }, (result) => {
      expect(result.peak[20]![0]!).toBe(2); // one from each worker
      expect(shareOf(result, 0, 20, 30)).toBeLessThan(0.01);
    });
  });

  // Identical servers, jobs of very different sizes, moderate concurrency: with an average that never fades, one of the
  // five got 5 of 1500 requests, because a few slow answers at the start condemned it (traefik/traefik#12306).
  test.each([5, 10, 20])("nobody starves for a slow start: five equals, %p clients", (clients) => {
    const endpoints = Array.from({ length: 5 }, (): SimEndpoint => {
      return { slots: 1, workMs: (_, rng) => [50, 200, 800][rng.below(3)]! };
    });
    each({ balance: leastTime, endpoints, seconds: 110, load: { clients } }, (result) => {
      expect(result.requests).toBeGreaterThan(1300);
      for (let i = 0; i < 5; i++) {
        expect(shareOf(result, i, 0, 110)).toBeWithin(0.15, 0.25);
        expect(shareOf(result, i, 0, 20)).toBeGreaterThan(0.1);
      }
    });
  });

  test("a hundred times slower for five seconds, then as fast as all: back within two minutes at any rate", () => {
    const endpoints = equal(5, 20);
    endpoints[0] = { workMs: (now, rng) => (now < 5000 ? 2000 : around(20)(now, rng)) };
    for (const perSecond of [20, 50, 500]) {
      each({ balance: leastTime, endpoints, seconds: 120, load: { perSecond } }, (result) => {
        expect(shareOf(result, 0, 0, 5)).toBeLessThan(0.05);
        expect(shareOf(result, 0, 80, 120)).toBeWithin(0.08, 0.6);
      });
    }
  });

  test("under load, shares follow the weights", () => {
    const endpoints = [3, 2, 1].map((weight): SimEndpoint => ({ weight, workMs: around(30) }));
    each({ balance: leastTime, endpoints, seconds: 20, load: { perSecond: 1000 } }, (result) => {
      expect(shareOf(result, 0, 2, 20)).toBeWithin(0.45, 0.57);
      expect(shareOf(result, 1, 2, 20)).toBeWithin(0.28, 0.39);
      expect(shareOf(result, 2, 2, 20)).toBeWithin(0.12, 0.21);
    });
  });

  test("beyond the scanning limit, too: a slow endpoint among a hundred is avoided", () => {
    const endpoints = equal(100, 20);
    endpoints[7] = { workMs: around(400) };
    const result = simulate({ balance: leastTime, endpoints, seconds: 20, seed: 5, load: { perSecond: 2000 } });
    expect(shareOf(result, 7, 2, 20)).toBeLessThan(0.002);
    expect(result.meanMs).toBeLessThan(22);
  });
});
