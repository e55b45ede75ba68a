// From a configuration to stickiness: what it needs, what is kept from one plan to the next, and what must not be
// missing.

import { describe, expect, test } from "bun:test";
import type { Config } from "../../model/config.ts";
import type { StickyConfig } from "../../model/route-config.ts";
import { loadText } from "../../config/load.ts";
import { sealerOf } from "../../sys/sealer.ts";
import { SetClock } from "../sample-pool.ts";
import {
  buildArmStickiness,
  buildStickiness,
  keyedBox,
  needsTokens,
  sessionTableName,
  sessionTableWish,
  stickinessKey,
  type StickyParts,
} from "./build.ts";
import { cookieConfig } from "./test-kit.ts";

const byCookie: StickyConfig = { by: "cookie", cookie: cookieConfig() };
const bySource: StickyConfig = { by: "source-ip", ttlMs: 1000, size: 100 };
const byApp: StickyConfig = { by: "app-cookie", name: "SID", ttlMs: 1000, size: 100 };
const keys = ["a".repeat(64)];

function configOf(sticky: string, arms: string): Config {
  const { config } = loadText(
    `listeners: { web: { bind: 127.0.0.1:0, routes: [{ forward: ${arms} }] } }
pools: { app: { endpoints: [127.0.0.1:1], sticky: ${sticky} }, b: { endpoints: [127.0.0.1:2] } }`,
    "test.yaml",
  );
  return config!;
}

const both = "[{ pool: app, weight: 1 }, { pool: b, weight: 1 }]";

test.each([
  ["off", "app", false],
  ["{ by: source-ip }", both, false],
  ["{ by: app-cookie, name: SID }", "app", false],
  ["{ by: cookie }", "app", true],
  ["off", `${both}, sticky: {}`, true],
])("with %s and forward: %s keys are needed: %p", (sticky, arms, expected) => {
  expect(needsTokens(configOf(sticky, arms))).toBe(expected);
});

test("a table is needed by those that remember, as large as they say", () => {
  expect(sessionTableWish({ name: "p", sticky: null })).toBeNull();
  expect(sessionTableWish({ name: "p", sticky: byCookie })).toBeNull();
  const wish = { name: "sticky p", keys: 100, values: 2, perWorker: false };
  expect(sessionTableWish({ name: "p", sticky: bySource })).toEqual(wish);
  expect(sessionTableWish({ name: "p", sticky: byApp })).toEqual(wish);
});

describe("from one plan to the next", () => {
  test("the box stays while the keys do", () => {
    const first = keyedBox(keys, null, sealerOf);
    expect(first.box).not.toBeNull();
    expect(keyedBox([...keys], first, sealerOf)).toBe(first);
    const second = keyedBox(["b".repeat(64), ...keys], first, sealerOf);
    expect(second.box).not.toBe(first.box);
    expect(keyedBox([], second, sealerOf).box).toBeNull();
  });

  test("stickiness is another one with other keys or another place of its table", () => {
    const of = (sticky: StickyConfig | null, cookieKeys: readonly string[], at: number): string =>
      stickinessKey({ name: "p", sticky }, cookieKeys, { [sessionTableName("p")]: at });
    expect(of(null, keys, 1)).toBe(of(null, [], 2));
    expect(of(byCookie, keys, 1)).toBe(of(byCookie, keys, 2));
    expect(of(byCookie, keys, 1)).not.toBe(of(byCookie, [...keys, ...keys], 1));
    expect(of(bySource, keys, 1)).toBe(of(bySource, [], 1));
    expect(of(bySource, keys, 1)).not.toBe(of(bySource, keys, 2));
  });
});

test("without what it needs nothing is built, with a reason", () => {
  const parts: StickyParts = {
    clock: new SetClock(),
    box: null,
    seed: { k0: 1, k1: 2 },
    arena: new Int32Array(8),
    tables: {},
  };
  expect(buildStickiness("p", null, [], parts)).toBeNull();
  expect(buildArmStickiness(null, [], parts)).toBeNull();
  expect(() => buildStickiness("p", byCookie, [], parts)).toThrow("there are no keys for sticky cookies");
  expect(() => buildArmStickiness({ cookie: cookieConfig() }, [], parts)).toThrow("there are no keys");
  expect(() => buildStickiness("p", bySource, [], parts)).toThrow('pool "p" has no table for its sticky clients');
});
