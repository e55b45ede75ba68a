// What a reload would change, in words.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import type { Config } from "../model/config.ts";
import { diffConfigs, formatChange } from "./diff.ts";
import { loadValue } from "./load.ts";
import { withoutSecrets } from "./secrets.ts";
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
    "~ settings: admin.token: changed, accessLog: off -> on",
    "- listener old",
    "~ listener web: bind: [0.0.0.0:80] -> [0.0.0.0:80, [::]:82], limits.bodyBytes: unlimited -> 8m, " +
      "routes[0].timeouts.total: off -> 1h",
    "+ listener fresh",
    "- pool gone",
    "~ pool a: balance.by: least-connections -> consistent-hash, balance.key: none -> source, " +
      "balance.load: none -> 125%, health.expect.status: [200-299] -> [200, 300-399]",
    "+ pool fresh",
    "- endpoint a/gone:1",
    "~ endpoint a/b:1: weight: 2 -> 3, maxConnections: unlimited -> 5",
    "+ endpoint a/new:1",
  ]);
});

const routes = (list: readonly unknown[]): Config =>
  config({
    listeners: { web: { bind: "0.0.0.0:80", routes: list } },
    pools: { a: { endpoints: ["a:1"] }, b: { endpoints: ["b:1"] } },
  });

test("routes are compared by name", () => {
  const api = { name: "api", match: { host: "a.example" }, forward: "a" };
  const changes = diffConfigs(
    routes([api, { match: { path: "/gone" }, forward: "a" }, { name: "rest", forward: "a" }]),
    routes([
      { name: "new", match: { path: "/new" }, redirect: "/" },
      {
        ...api,
        forward: [
          { pool: "a", weight: 9 },
          { pool: "b", weight: 1 },
        ],
        rateLimit: { requests: 5 },
      },
      { name: "rest", forward: "a", retry: "off", requestHeaders: { set: { "x.y": "1" } } },
    ]),
  );
  expect(changes.map(formatChange)).toEqual([
    "~ listener web: routes: [api, 1, rest] -> [new, api, rest], routes[api].forward: a -> [a 9, b 1], " +
      "routes[api].rateLimit: none -> on, routes[rest].retry: on -> off, routes[rest].requestHeaders: none -> on",
  ]);
});

const hash = (fill: string): string => `$2b$12$${fill.repeat(53)}`;

test("of secrets it is only said that they change", () => {
  const one = (secret: string, users: Record<string, string>, key: string): Config =>
    config({
      secret,
      listeners: {
        web: {
          bind: "0.0.0.0:80",
          routes: [{ forward: "a", basicAuth: { users }, requestHeaders: { set: { "X-Api-Key": key } } }],
        },
      },
      pools: { a: { endpoints: ["a:1"] } },
    });
  const old = one("x".repeat(32), { anna: hash("a"), bert: hash("b") }, "one");
  const now = one("y".repeat(32), { anna: hash("c"), carl: hash("d") }, "two");
  const changes = diffConfigs(old, now).map(formatChange);
  expect(changes).toEqual([
    "~ settings: secret: changed",
    "~ listener web: routes[0].requestHeaders.set.X-Api-Key: changed, routes[0].basicAuth.users.anna: changed, " +
      "routes[0].basicAuth.users.bert: removed, routes[0].basicAuth.users.carl: added",
  ]);
  // What the API shows has no secrets: nothing is known of them.
  expect(diffConfigs(withoutSecrets(old), old)).toEqual([]);
  expect(JSON.stringify(withoutSecrets(old))).not.toMatch(/\$2b|xxxx|"one"/);
});

test("no change, whatever the configuration", () => {
  const rng = seededRng(3);
  for (let n = 0; n < 50; n++) {
    const one = sampleConfig(rng);
    expect(diffConfigs(one, structuredClone(one))).toEqual([]);
  }
});
