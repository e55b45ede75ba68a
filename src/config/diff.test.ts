// What a reload would change, in words.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import type { Config } from "../model/config.ts";
import { diffConfigs, formatChange } from "./diff.ts";
import { loadValue } from "./load.ts";
import { sampleConfig } from "./sample-config.ts";

function config(value: unknown): Config {
  const loaded = loadValue(value, "x");
  if (loaded.config === null) throw new Error(JSON.stringify(loaded.diagnostics));
  return loaded.config;
}

const before = config({
  admin: { token: "0123456789abcdef" },
  accessLog: "off",
  listeners: { web: { bind: "0.0.0.0:80", forward: "a" }, old: { bind: "0.0.0.0:81", forward: "a" } },
  pools: {
    a: { endpoints: ["a:1", { address: "b:1", weight: 2 }, "gone:1"], health: { expect: { status: "200-299" } } },
    gone: { endpoints: ["a:1"] },
  },
});
const after = config({
  admin: { token: "fedcba9876543210" },
  listeners: {
    web: {
      bind: ["0.0.0.0:80", "[::]:82"],
      limits: { bodyBytes: "8m" },
      routes: [{ forward: "a", timeouts: { total: "1h" } }],
    },
    fresh: { bind: "0.0.0.0:83", forward: "a" },
  },
  pools: {
    a: {
      balance: { by: "consistent-hash" },
      endpoints: ["a:1", { address: "b:1", weight: 3, maxConnections: 5 }, "new:1"],
      health: { expect: { status: [200, "300-399"] } },
    },
    fresh: { endpoints: ["a:1"] },
  },
});

test("every kind of change, without the secrets", () => {
  expect(diffConfigs(before, after).map(formatChange)).toEqual([
    "~ settings: accessLog: off -> on",
    "- listener old",
    "~ listener web: bind: [0.0.0.0:80] -> [0.0.0.0:80, [::]:82], limits.bodyBytes: unlimited -> 8m, " +
      "routes[0].timeouts.total: off -> 1h",
    "+ listener fresh",
    "- pool gone",
    "~ pool a: balance.by: least-connections -> consistent-hash, health.expect.status: [200-299] -> [200, 300-399], " +
      "balance.key: none -> source, balance.load: none -> 125%",
    "+ pool fresh",
    "- endpoint a/gone:1",
    "~ endpoint a/b:1: weight: 2 -> 3, maxConnections: unlimited -> 5",
    "+ endpoint a/new:1",
  ]);
});

test("no change, whatever the configuration", () => {
  const rng = seededRng(3);
  for (let n = 0; n < 50; n++) {
    const one = sampleConfig(rng);
    expect(diffConfigs(one, structuredClone(one))).toEqual([]);
  }
});
