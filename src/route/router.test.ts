// Routers by hand: what each condition means together with others, and the ends of the tables. Random tables are in
// agree.test.ts.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import { routeKeysMax } from "../base/limits.ts";
import { defaultMatch } from "../model/defaults.ts";
import type { MatchConfig, PathsConfig } from "../model/route-config.ts";
import { compileRouter, literalStart } from "./compile-router.ts";
import { MatchInput } from "./match-input.ts";
import { compilePathRules, isRefused, preparePath } from "./path.ts";
import { bench, benchOnly, benchPath, benchTables } from "./router.bench.ts";
import type { Router } from "./router.ts";
import { field, headOf, paths, type SampleRequest } from "./test-kit.ts";

type Ask = (request: SampleRequest, source?: string) => number;

function routerOf(table: readonly Partial<MatchConfig>[], config: PathsConfig = paths("normalize")): Router<number> {
  const { router, problems } = compileRouter(
    table.map((match, value) => ({ match: { ...defaultMatch, ...match }, value })),
    config,
  );
  expect(problems).toEqual([]);
  return router!;
}

/** Asks for the route of a request; -2 = its path is refused. */
function asking(table: readonly Partial<MatchConfig>[], config: PathsConfig = paths("normalize")): Ask {
  const router = routerOf(table, config);
  const out = new Scratch(8);
  const input = new MatchInput();
  return (request, source) => {
    const head = headOf(request);
    input.address = source === undefined ? null : parseIp(source);
    const verdict = preparePath(head, compilePathRules(config), out, input);
    return isRefused(verdict) ? -2 : router.find(head, input);
  };
}

describe("tables", () => {
  test("none, one and always", () => {
    expect(asking([])({})).toBe(-1);
    expect(asking([{}])({ target: "/x" })).toBe(0);
    expect(asking([{}, { hosts: ["a.test"] }])({ host: "a.test" })).toBe(0);
    expect(asking([{ paths: ["/a"] }, {}, { paths: ["/b"] }])({ target: "/b" })).toBe(1);
    expect(asking([{ paths: ["*"] }])({ target: "/b" })).toBe(0);
  });

  test("tell whether they look at requests at all", () => {
    expect(routerOf([]).looks).toBe(false);
    expect(routerOf([{}, { paths: ["/a"] }]).looks).toBe(false);
    expect(routerOf([{ paths: ["/a"] }, {}]).looks).toBe(true);
  });

  test("carry the caller's values", () => {
    const { router } = compileRouter([{ match: defaultMatch, value: "users" }], paths("raw"));
    expect(router!.values).toEqual(["users"]);
  });

  test("order decides, not what is more exact", () => {
    const ask = asking([
      { prefixes: ["/api"], methods: ["POST"] },
      { paths: ["/api/*"], headers: [field("x-a")] },
      { prefixes: ["/"] },
      { paths: ["/api/users"] },
      { hosts: ["app.example.com"], paths: ["/api/users"] },
    ]);
    expect(ask({ target: "/api/users" })).toBe(2);
    expect(ask({ target: "/api/users", method: "POST" })).toBe(0);
    expect(ask({ target: "/api/users", fields: [["X-A", "1"]] })).toBe(1);
    expect(ask({ target: "*", method: "OPTIONS" })).toBe(-1);
  });

  test("routes of exact hosts, wildcard hosts and any host stand in one order", () => {
    const ask = asking([
      { hosts: ["*.test"], paths: ["/1"] },
      { hosts: ["a.b.test"], paths: ["/1", "/2"] },
      { paths: ["/2", "/3"] },
      { hosts: ["*.b.test", "c.test"] },
      {},
    ]);
    const of = (host: string): number[] => ["/1", "/2", "/3", "/4"].map((target) => ask({ host, target }));
    expect(of("a.b.test")).toEqual([0, 1, 2, 3]);
    expect(of("x.b.test")).toEqual([0, 2, 2, 3]);
    expect(of("b.test")).toEqual([0, 2, 2, 4]);
    expect(of("c.test")).toEqual([0, 2, 2, 3]);
    expect(of("d.example")).toEqual([4, 2, 2, 4]);
  });

  test("all given conditions have to hold", () => {
    const ask = asking([
      {
        hosts: ["a.test"],
        paths: ["/api/*"],
        prefixes: ["/api/v1"],
        regexes: ["[0-9]$"],
        methods: ["GET"],
        headers: [field("x-a", "1")],
        cookies: [field("c", "1")],
        query: [field("q", "1")],
        sources: ["10.0.0.0/8"],
      },
    ]);
    const whole = {
      host: "a.test",
      target: "/api/v1/7?q=1",
      fields: [
        ["x-a", "1"],
        ["cookie", "c=1"],
      ],
    } as const;
    expect(ask(whole, "10.1.1.1")).toBe(0);
    expect(ask({ ...whole, host: "b.test" }, "10.1.1.1")).toBe(-1);
    expect(ask({ ...whole, target: "/ap/v1/7?q=1" }, "10.1.1.1")).toBe(-1);
    expect(ask({ ...whole, target: "/api/v2/7?q=1" }, "10.1.1.1")).toBe(-1);
    expect(ask({ ...whole, target: "/api/v1/x?q=1" }, "10.1.1.1")).toBe(-1);
    expect(ask({ ...whole, target: "/api/v1/7?q=2" }, "10.1.1.1")).toBe(-1);
    expect(ask({ ...whole, method: "HEAD" }, "10.1.1.1")).toBe(-1);
    expect(ask({ ...whole, fields: [whole.fields[0]] }, "10.1.1.1")).toBe(-1);
    expect(ask({ ...whole, fields: [whole.fields[1]] }, "10.1.1.1")).toBe(-1);
    expect(ask(whole, "11.1.1.1")).toBe(-1);
    expect(ask(whole)).toBe(-1);
  });

  test("more hosts times paths than the tables may hold are compared one by one", () => {
    const side = Math.ceil(Math.sqrt(routeKeysMax)) + 1;
    const all = Array.from({ length: side }, (_, i) => i);
    const hosts = all.map((i) => `h${i}.test`);
    const ask = asking([
      { hosts, paths: all.map((i) => `/p${i}`) },
      { hosts, prefixes: ["/p1"] },
    ]);
    expect(ask({ host: `h${side - 1}.test`, target: `/p${side - 1}` })).toBe(0);
    expect(ask({ host: "h1.test", target: "/p1/x" })).toBe(1);
    expect(ask({ host: "h1.test", target: "/p" })).toBe(-1);
  });
});

describe("host", () => {
  test.each([
    ["app.example.com", 0],
    ["APP.Example.COM", 0],
    ["app.example.com:8080", 0],
    ["app.example.com.", 0],
    ["app.example.com.:443", 0],
    ["x.app.example.com", 1],
    ["a.b.EXAMPLE.com:80", 1],
    ["example.com", -1],
    ["xexample.com", -1],
    [".example.com", -1],
    ["app.example.com..", -1],
    ["app.example.co", -1],
    ["[2001:db8::1]:8080", 2],
    ["[2001:DB8::1]", 2],
    ["[2001:db8::2]", -1],
    ["10.0.0.1:80", 3],
    ["10.0.0.1", 3],
    ["10.0.0.1.", 3],
  ])("%s takes route %i", (host, expected) => {
    const hosts = [["app.example.com"], ["*.example.com"], ["[2001:db8::1]"], ["10.0.0.1", "Other.example"]];
    expect(asking(hosts.map((list) => ({ hosts: list })))({ host })).toBe(expected);
  });

  test("an empty one takes routes without a host only", () => {
    expect(asking([{ hosts: ["a.test", "*.b.test"] }, {}])({ host: "" })).toBe(1);
  });

  test("bytes before the name are no part of it", () => {
    const router = routerOf([{ hosts: ["xa.test", "*.a.test"] }]);
    const head = headOf({ target: "/a", host: "xa.test" });
    const input = new MatchInput();
    expect(router.find(head, input)).toBe(0);
    head.hostStart++;
    expect(router.find(head, input)).toBe(-1);
  });

  test("an absolute target's host counts, not the field's", () => {
    expect(asking([{ hosts: ["a.test"] }])({ host: "b.test", target: "http://a.test:80/x" })).toBe(0);
  });
});

describe("path", () => {
  test("stale bytes behind a rewritten path are no part of it", () => {
    const ask = asking([{ paths: ["/abc/def/ghi"] }, { prefixes: ["/abc/def"] }, { paths: ["/abc/d?"] }]);
    expect(ask({ target: "/./abc/def/ghi" })).toBe(0);
    expect(ask({ target: "/./abc" })).toBe(-1);
    expect(ask({ target: "/./abc/de" })).toBe(2);
    expect(ask({ target: "/./abc/def" })).toBe(1);
  });

  test("prefixes end with a segment, and a slash at their end means nothing", () => {
    for (const prefix of ["/static", "/static/"]) {
      const ask = asking([{ prefixes: [prefix] }]);
      for (const target of ["/static", "/static/", "/static/x", "/static?x", "/a/../static//x"]) {
        expect(ask({ target })).toBe(0);
      }
      for (const target of ["/statics", "/stati", "/", "/Static", "/x/static"]) expect(ask({ target })).toBe(-1);
    }
  });

  test("what is written in another form than the normal one matches all the same", () => {
    const ask = asking([{ paths: ["/café/*"] }, { prefixes: ["/%7euser/a b"] }, { paths: ["/x\\?y"] }]);
    expect(ask({ target: "/caf%c3%a9/1" })).toBe(0);
    expect(ask({ target: "/caf\xc3\xa9/1" })).toBe(0);
    expect(ask({ target: "/~user/a%20b/" })).toBe(1);
    expect(ask({ target: "/x%3Fy" })).toBe(2);
    expect(ask({ target: "/x?y" })).toBe(-1);
  });

  test("regular expressions see the normal form", () => {
    const ask = asking([{ regexes: ["^/a/[0-9]+$", "%C3%A9"] }]);
    expect(ask({ target: "/b/../%61//42?x" })).toBe(0);
    expect(ask({ target: "/%c3%a9t%c3%a9" })).toBe(0);
    expect(ask({ target: "/a/4x" })).toBe(-1);
  });

  test("raw is matched as it came", () => {
    const ask = asking([{ paths: ["/a/../b"] }, { prefixes: ["/%7e"] }, { paths: ["/caf\xe9"] }], paths("raw"));
    expect(ask({ target: "/a/../b" })).toBe(0);
    expect(ask({ target: "/%7e/x" })).toBe(1);
    expect(ask({ target: "/caf\xc3\xa9" })).toBe(2);
    expect(ask({ target: "/~/x" })).toBe(-1);
  });

  test("what an expression begins with is never taken for longer than it is", () => {
    expect(literalStart("^/api/users")).toBe("/api/users");
    expect(literalStart("^/api/(users|x)")).toBe("");
    expect(literalStart("^/a|^/b")).toBe("");
    expect(literalStart("^/ab*")).toBe("/a");
    expect(literalStart("^/ab?c")).toBe("/a");
    expect(literalStart("^/ab{0,1}c")).toBe("/a");
    expect(literalStart("^/ab+")).toBe("/ab");
    expect(literalStart("^/a.b")).toBe("/a");
    expect(literalStart("^/a\\.b")).toBe("/a");
    expect(literalStart("/a")).toBe("");
    expect(literalStart("(?m)^/a")).toBe("");
    const ask = asking([{ regexes: ["^/ab?c", "^/a|^/b", "^/x(?i)y"] }]);
    for (const target of ["/ac", "/abc", "/bz", "/xY"]) expect(ask({ target })).toBe(0);
    expect(ask({ target: "/cc" })).toBe(-1);
  });
});

describe("method", () => {
  test("is compared with case, the unknown ones too", () => {
    const ask = asking([{ methods: ["GET", "PURGE"] }, { methods: ["DELETE"] }]);
    expect(ask({ method: "GET" })).toBe(0);
    expect(ask({ method: "PURGE" })).toBe(0);
    expect(ask({ method: "DELETE" })).toBe(1);
    for (const method of ["HEAD", "get", "purge", "PURG", "PURGES", "POST"]) expect(ask({ method })).toBe(-1);
  });
});

describe("source", () => {
  test("any of the blocks; mapped addresses are IPv4", () => {
    const ask = asking([{ sources: ["10.0.0.0/8", "2001:db8::/32"] }, { sources: ["0.0.0.0/0"] }]);
    expect(ask({}, "10.9.9.9")).toBe(0);
    expect(ask({}, "::ffff:10.9.9.9")).toBe(0);
    expect(ask({}, "2001:db8::1")).toBe(0);
    expect(ask({}, "192.0.2.1")).toBe(1);
    expect(ask({}, "2001:db9::1")).toBe(-1);
    expect(ask({})).toBe(-1);
  });

  test("the address is read only where a route asks for it", () => {
    expect(routerOf([{ paths: ["/a"] }]).readsAddress).toBe(false);
    expect(routerOf([{ paths: ["/a"] }, { sources: ["10.0.0.0/8"] }]).readsAddress).toBe(true);
  });
});

test("conditions that make no sense are told with their route", () => {
  const match = { ...defaultMatch, hosts: ["a*.test", "*.*.test"], regexes: ["("], sources: ["10.0.0.0/33", "x"] };
  const { router, problems } = compileRouter(
    [
      { match: defaultMatch, value: 0 },
      { match, value: 1 },
    ],
    paths("normalize"),
  );
  expect(router).toBeNull();
  const told = problems.map(({ route, key, value }) => [route, key, value]);
  expect(told.toSorted()).toEqual([
    [1, "host", "*.*.test"],
    [1, "host", "a*.test"],
    [1, "regex", "("],
    [1, "source", "10.0.0.0/33"],
    [1, "source", "x"],
  ]);
  expect(problems.every(({ message }) => message !== "")).toBe(true);
});

test("the bench runs", () => {
  for (const kind of Object.keys(benchTables)) expect(bench(100, 70, kind, true)).toBeGreaterThan(0);
  expect(benchOnly(100)).toBeGreaterThan(0);
  expect(benchPath(100)).toBeGreaterThan(0);
});
