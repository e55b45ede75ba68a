// expectRoute and its expectations, met and unmet; tests that a configuration carries; files read for tests.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "bun:test";
import { defineConfig, expectRoute, readConfig, routeTests } from "../package.ts";

const config = defineConfig({
  listeners: {
    web: {
      bind: "0.0.0.0:80",
      routes: [
        {
          name: "users",
          match: { prefix: "/users" },
          forward: "users",
          requestHeaders: { set: { "x-a": "{source}" } },
        },
        { match: { prefix: "/old" }, redirect: { to: "/new{path}", status: 308 } },
        { match: { path: "/private" }, forward: "users", access: { allow: "10.0.0.0/8" } },
        { match: { prefix: "/api" }, forward: "users", rewrite: { path: "^/api", to: "", host: "in.test" } },
        { match: { path: "/dead" }, forward: "dead" },
        {
          match: { host: "www.test" },
          forward: [
            { pool: "stable", weight: 9 },
            { pool: "canary", weight: 1 },
          ],
        },
      ],
    },
  },
  pools: {
    users: { endpoints: ["10.0.0.1:80"] },
    stable: { endpoints: ["10.0.0.2:80"] },
    canary: { endpoints: ["10.0.0.3:80"] },
    dead: { endpoints: [{ address: "10.0.0.4:80", admin: "maint" }] },
  },
  tests: [
    { request: "/users", expect: { pool: "users", headers: { "x-a": "192.0.2.1", cookie: false } } },
    { name: "split", request: "http://www.test/", expect: { pool: "stable", share: "10%" } },
  ],
});

/** The message of the Error that an expectation throws, without its first line; "" = none. */
function complaint(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

test("expectations that are met can be chained", () => {
  expectRoute(config, "http://www.test/users")
    .toReach("users")
    .toMatchRoute("users")
    .toSend("X-A", "192.0.2.1")
    .toSend("cookie", false)
    .toSendPath("/users")
    .toSendHost("www.test");
  expectRoute(config, { url: "/users", source: "10.0.0.9", headers: { cookie: "a=1" } })
    .toSend("x-a", "10.0.0.9")
    .toSend("cookie", "a=1");
  expectRoute(config, "/old/x").toRedirectTo("/new/old/x").toRedirectTo("/new/old/x", 308).toAnswer(308);
  expectRoute(config, "/private").toBeRefused().toBeRefused(403).toAnswer(403);
  expectRoute(config, { url: "/private", source: "10.0.0.9" }).toReach("users");
  expectRoute(config, "POST http://h/api/x?y").toSendPath("/x?y").toSendHost("in.test");
  expectRoute(config, "/nowhere").toBeRefused(404);
  expectRoute(config, "/dead").toBeRefused(503).toAnswer(503);
  expectRoute(config, "http://www.test/").toSplit({ stable: 90, canary: 10 }, 0.5).toSplit({ canary: 10.4 });
});

describe("expectations that are not met say what is", () => {
  const users = (): ReturnType<typeof expectRoute> => expectRoute(config, "/users");
  const split = (): ReturnType<typeof expectRoute> => expectRoute(config, "http://www.test/");
  test.each<[string, () => unknown, string]>([
    ["toReach", () => users().toReach("canary"), "pool: expected canary, found pool users"],
    ["toReach", () => split().toReach("stable"), "pool: expected stable, found 90% to pool stable, 10% to pool canary"],
    [
      "toReach",
      () => expectRoute(config, "/dead").toReach("dead"),
      "found 503: no endpoint of pool dead takes requests",
    ],
    ["toMatchRoute", () => users().toMatchRoute("1"), "route: expected 1, found users"],
    ["toMatchRoute", () => expectRoute(config, "/x").toMatchRoute("users"), "route: expected users, found none"],
    ["toRedirectTo", () => users().toRedirectTo("/"), "location: expected /, found pool users"],
    [
      "toRedirectTo",
      () => expectRoute(config, "/old").toRedirectTo("/new/old", 301),
      "expected 301, found 308 to /new/old",
    ],
    ["toAnswer", () => users().toAnswer(200), "status: expected 200, found pool users"],
    ["toBeRefused", () => users().toBeRefused(), "refusal: expected any, found pool users"],
    ["toBeRefused", () => expectRoute(config, "/x").toBeRefused(403), "expected 403, found 404: no route takes it"],
    ["toSend", () => users().toSend("x-a", "1"), "header x-a: expected 1, found 192.0.2.1"],
    ["toSend", () => users().toSend("x-a", false), "header x-a: expected not there, found 192.0.2.1"],
    ["toSend", () => expectRoute(config, "/x").toSend("x-a", "1"), "expected 1, found 404: no route takes it"],
    ["toSend", () => expectRoute(config, "/dead").toSend("x-a", "1"), "found 503: no endpoint of pool dead"],
    ["toSendPath", () => users().toSendPath("/"), "path: expected /, found /users"],
    ["toSendHost", () => users().toSendHost("h"), "host: expected h, found localhost"],
    [
      "toSplit",
      () => split().toSplit({ stable: 50, canary: 50 }),
      "share: expected 50% to pool stable, give or take 1",
    ],
    ["toSplit", () => users().toSplit({ canary: 1 }, 0.5), "found 0%"],
    ["toSplit", () => expectRoute(config, "/old").toSplit({ users: 100 }), "found 308 to /new/old"],
    ["toSplit", () => expectRoute(config, "/dead").toSplit({ dead: 100 }), "found 100% to 503: no endpoint"],
  ])("%s %#", (_, act, words) => {
    expect(complaint(act)).toContain(words);
  });

  test("with the routes, and with the test's own place", () => {
    const message = complaint(() => expectRoute(config, "http://www.test/").toReach("users"));
    expect(message.split("\n").slice(0, 4)).toEqual([
      "GET http://www.test/",
      "  pool: expected users, found 90% to pool stable, 10% to pool canary",
      '  route users: prefix is "/", not "/users"',
      '  route 1: prefix is "/", not "/old"',
    ]);
    try {
      expectRoute(config, "/users").toReach("canary");
      expect.unreachable();
    } catch (error) {
      const place = /^ +at .*$/m.exec((error as Error).stack ?? "")?.[0];
      expect(place).toContain("expect-route.test.ts");
    }
  });
});

test("requests and configurations that are none", () => {
  expect(complaint(() => expectRoute(config, "users"))).toContain("expected a URL");
  const two = {
    ...config,
    tests: [],
    listeners: { ...config.listeners, more: { bind: "0.0.0.0:81", forward: "users" as const } },
  };
  expect(complaint(() => expectRoute(two, "/users"))).toContain('write { url: "…", listener: "…" }');
  expectRoute(two, { url: "/x", listener: "more" }).toReach("users");
  const wrong = { listeners: { web: { bind: "0.0.0.0:80", forward: "nobody" } }, pools: {} };
  expect(complaint(() => expectRoute(wrong as never, "/"))).toContain('there is no pool called "nobody"');
});

test("names of pools are checked by the compiler", () => {
  // @ts-expect-error -- there is no such pool
  expect(() => expectRoute(config, "/users").toReach("user")).toThrow("expected user, found pool users");
  // @ts-expect-error -- nor here
  expect(() => expectRoute(config, "http://www.test/").toSplit({ stabel: 90 })).toThrow("expected 90% to pool stabel");
});

test("tests that the configuration carries", () => {
  const results = routeTests(config).map(({ name, run }) => [name, complaint(run)]);
  expect(results).toEqual([
    ["GET /users", ""],
    ["split", expect.stringContaining("share: expected 10% to pool stable, give or take 1, found 90")],
  ]);
});

describe("readConfig", () => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-expect-"));
  afterAll(() => rmSync(dir, { recursive: true }));

  test("reads YAML", async () => {
    const path = join(dir, "sluice.yaml");
    const text = 'listeners: { web: { bind: "0.0.0.0:80", forward: app } }\npools: { app: { endpoints: ["a:1"] } }\n';
    writeFileSync(path, `${text}tests: [{ request: /, expect: { pool: app } }]\n`);
    const read = await readConfig(path);
    expectRoute(read, "http://h/").toReach("app");
    expect(routeTests(read).map(({ run }) => complaint(run))).toEqual([""]);
  });

  test("says what is wrong", async () => {
    const path = join(dir, "wrong.yaml");
    writeFileSync(path, "listeners: 1\n");
    await expect(readConfig(path)).rejects.toThrow("wrong.yaml:1:12: error: listeners");
    await expect(readConfig(join(dir, "none.yaml"))).rejects.toThrow("none.yaml");
  });
});
