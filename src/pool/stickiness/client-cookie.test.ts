// Our own cookie from the client's side: who comes back to whom, when a new one is issued, and what is ignored.

import { describe, expect, test } from "bun:test";
import { seededRng } from "../../base/seeded-rng.ts";
import type { CookieConfig } from "../../model/route-config.ts";
import { createSealer } from "../../sys/sealer.ts";
import { SetClock } from "../sample-pool.ts";
import { ArmStickiness, CookieStickiness } from "./client-cookie.ts";
import { bench as measure } from "./client-cookie.bench.ts";
import { StickyMark } from "./stickiness.ts";
import { cookieConfig, pairOf, requestHead, responseHead, testKey, written } from "./test-kit.ts";
import { TokenBox } from "./token.ts";

const answer = responseHead();
const hour = 3_600_000;

/** A worker's stickiness for a pool, on a wall clock that the tests move. */
class Bench {
  readonly clock = new SetClock();
  readonly mark = new StickyMark();
  readonly sticky: CookieStickiness;

  constructor(ids: readonly string[], change: Partial<CookieConfig> = {}, keys: readonly number[] = [1], pool = "p") {
    this.clock.cachedMs = 1_700_000_000_000;
    const box = new TokenBox(createSealer(keys.map(testKey)));
    this.sticky = new CookieStickiness(cookieConfig(change), pool, ids, box, this.clock);
  }

  /** The index preferred by a request with this Cookie field. */
  recall(cookie: string): number {
    return this.sticky.recall(this.mark, requestHead(...(cookie === "" ? [] : [`Cookie: ${cookie}`])));
  }

  /** "name=value" of the cookie that the answer of `index` brings, "" = none. */
  answered(index: number, keeps = false): string {
    const line = written((into) => this.sticky.answered(this.mark, index, keeps, answer, false, into));
    return line === "" ? "" : pairOf(line);
  }

  /** A new client, answered by this endpoint. */
  newClient(index: number): string {
    this.recall("");
    return this.answered(index);
  }
}

const three = ["a:1", "b:1", "c:1"];

describe("a client", () => {
  test("without a cookie is given one, and comes back with it, to any worker", () => {
    const one = new Bench(three);
    expect(one.recall("")).toBe(-1);
    const cookie = one.answered(2);
    expect(cookie).toMatch(/^SLUICE=[\w-]{68}$/);
    for (const worker of [one, new Bench(three)]) {
      expect(worker.recall(`x=1; ${cookie}; y=2`)).toBe(2);
      expect(worker.answered(2)).toBe("");
    }
  });

  test("is known by the endpoint's id, not by its place", () => {
    const cookie = new Bench(three).newClient(1);
    expect(new Bench(["b:1", "new:1"]).recall(cookie)).toBe(0);
  });

  test("whose endpoint is gone gets another cookie from whoever answers", () => {
    const cookie = new Bench(three).newClient(1);
    const bench = new Bench(["a:1", "c:1"]);
    expect(bench.recall(cookie)).toBe(-1);
    const next = bench.answered(1);
    expect(bench.recall(next)).toBe(1);
  });

  test("whose endpoint cannot be used moves; one whose endpoint was only full keeps it", () => {
    const bench = new Bench(three);
    const cookie = bench.newClient(1);
    expect(bench.recall(cookie)).toBe(1);
    expect(bench.answered(0, true)).toBe("");
    const moved = bench.answered(0, false);
    expect(bench.recall(moved)).toBe(0);
  });

  test("with several cookies of the name is known by the first good one, within reason", () => {
    const bench = new Bench(three);
    const cookie = bench.newClient(2);
    const stranger = new Bench(three, {}, [1], "other").newClient(0);
    expect(bench.recall(`SLUICE=; SLUICE=x; ${stranger}; ${cookie}; ${bench.newClient(0)}`)).toBe(2);
    expect(bench.recall(`${"SLUICE=x; ".repeat(7)}${cookie}`)).toBe(2);
    expect(bench.recall(`${"SLUICE=x; ".repeat(8)}${cookie}`)).toBe(-1);
  });
});

describe("a cookie is not good", () => {
  test("for another pool, another name, or as the cookie of an arm", () => {
    const cookie = new Bench(three).newClient(1);
    expect(new Bench(three, {}, [1], "q").recall(cookie)).toBe(-1);
    expect(new Bench(three, { name: "OTHER" }).recall(cookie)).toBe(-1);
    expect(new Bench(three).recall(cookie.replace("SLUICE", "sluice"))).toBe(-1);
    const { clock } = new Bench(three);
    const arms = new ArmStickiness(cookieConfig(), three, new TokenBox(createSealer([testKey(1)])), clock);
    expect(arms.recall(new StickyMark(), requestHead(`Cookie: ${cookie}`))).toBe(-1);
  });

  test("under another key", () => {
    expect(new Bench(three, {}, [2]).recall(new Bench(three).newClient(1))).toBe(-1);
  });

  test("after its ttl, whatever the client thinks, nor a day before it was issued", () => {
    const bench = new Bench(three);
    const cookie = bench.newClient(1);
    const at = bench.clock.cachedMs;
    for (const [ms, index] of [
      [hour - 1, 1],
      [hour, -1],
      [-23 * hour, 1],
      [-25 * hour, -1],
    ] as const) {
      bench.clock.cachedMs = at + ms;
      expect([ms, bench.recall(cookie)]).toEqual([ms, index]);
    }
    const endless = new Bench(three, { ttlMs: 0 });
    endless.clock.cachedMs = at + 1000 * hour;
    expect(endless.recall(cookie)).toBe(1);
    expect(endless.answered(1)).toBe("");
  });
});

describe("a good cookie is renewed", () => {
  test("when more than half of its ttl is over", () => {
    const bench = new Bench(three);
    const cookie = bench.newClient(1);
    bench.clock.cachedMs += hour / 2;
    bench.recall(cookie);
    expect(bench.answered(1)).toBe("");
    bench.clock.cachedMs += 2000;
    bench.recall(cookie);
    const renewed = bench.answered(1);
    bench.clock.cachedMs += hour / 2 - 1000;
    expect(bench.recall(cookie)).toBe(-1);
    expect(bench.recall(renewed)).toBe(1);
    expect(bench.answered(1)).toBe("");
  });

  test("when it was sealed under the old key, for its own endpoint even if another one answers", () => {
    const cookie = new Bench(three).newClient(1);
    const bench = new Bench(three, {}, [2, 1]);
    for (const [index, keeps] of [
      [1, true],
      [0, true],
    ] as const) {
      expect(bench.recall(cookie)).toBe(1);
      const renewed = bench.answered(index, keeps);
      expect(new Bench(three, {}, [2]).recall(renewed)).toBe(1);
    }
  });
});

test("whatever stands in the Cookie field: no exception, no endpoint", () => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(seed);
  const bench = new Bench(three);
  const good = bench.newClient(1).slice("SLUICE=".length);
  const pieces = ["SLUICE", "=", ";", " ", "; ", '"', "A".repeat(68), good.slice(1), `${good}A`, "\t", ",", "\u00e9"];
  for (let step = 0; step < 2000; step++) {
    const text = Array.from({ length: 1 + rng.below(12) }, () => pieces[rng.below(pieces.length)]!).join("");
    expect(bench.recall(`x${text}`), `seed ${seed} step ${step}: ${text}`).toBe(-1);
  }
});

describe("an arm of a weighted forward", () => {
  const clock = new SetClock();
  clock.cachedMs = 1_700_000_000_000;
  const mark = new StickyMark();
  const open = (pools: readonly string[]): ArmStickiness =>
    new ArmStickiness(cookieConfig({ name: "SIDE" }), pools, new TokenBox(createSealer([testKey(1)])), clock);
  const cookieOf = (arms: ArmStickiness, arm: number): string => {
    arms.recall(mark, requestHead());
    return pairOf(written((into) => arms.answered(mark, arm, true, into)));
  };

  test("keeps its clients by the pool's name, whatever the order and the weights are now", () => {
    const cookie = cookieOf(open(["stable", "canary"]), 1);
    const later = open(["canary", "next", "stable"]);
    expect(later.recall(mark, requestHead(`Cookie: ${cookie}`))).toBe(0);
    expect(written((into) => later.answered(mark, 0, true, into))).toBe("");
  });

  test("that is gone loses them to the one drawn", () => {
    const cookie = cookieOf(open(["stable", "canary"]), 1);
    const later = open(["stable", "next"]);
    expect(later.recall(mark, requestHead(`Cookie: ${cookie}`))).toBe(-1);
    const moved = pairOf(written((into) => later.answered(mark, 1, true, into)));
    expect(later.recall(mark, requestHead(`Cookie: ${moved}`))).toBe(1);
  });
});

test("the bench runs", () => expect(measure(100)).toBeGreaterThan(0));
