// Explanations by a configuration alone: listeners, paths, routes, what passes and what does not, what endpoints and
// clients would get. That it is what traffic gets: test/scenario/explain.test.ts.

import { describe, expect, test } from "bun:test";
import { loadText, loadValue } from "../config/load.ts";
import type { Config } from "../model/config.ts";
import type { Plan } from "../model/plan.ts";
import { columnsBytes, Health, openColumns } from "../stats/columns.ts";
import { type DescribedRequest, describeRequest } from "./described-request.ts";
import { atRest, explainRequest } from "./explain-request.ts";
import type { ArmWord, Explanation, ForwardOutcome } from "./explanation.ts";
import { isServed, statusOf } from "./explanation.ts";

function load(text: string): Config {
  const { config, diagnostics } = loadText(text, "x.yaml");
  if (config === null) throw new Error(JSON.stringify(diagnostics));
  return config;
}

type More = Partial<Pick<DescribedRequest, "source">> & {
  readonly headers?: readonly string[];
  readonly listener?: string;
};

function ask(config: Config, request: string, more: More = {}): Explanation {
  const headers = (more.headers ?? []).map((line) => {
    const [name = "", value = ""] = line.split(": ");
    return { name, value };
  });
  const described = { ...describeRequest(request), headers };
  const source = more.source ?? described.source;
  const explained = explainRequest(atRest(config), { ...described, source }, more.listener ?? null);
  if ("problem" in explained) throw new Error(explained.problem);
  return explained;
}

function problemOf(config: Config, request: string, more: Partial<DescribedRequest> = {}): string {
  const explained = explainRequest(atRest(config), { ...describeRequest(request), ...more }, null);
  return "problem" in explained ? explained.problem : "";
}

function armsOf({ outcome }: Explanation): readonly ArmWord[] {
  return (outcome as ForwardOutcome).arms;
}

/** A listener with these routes, and two pools. */
function web(routes: string, listener = ""): Config {
  return load(`
listeners: { web: { bind: "0.0.0.0:80", ${listener} routes: ${routes} } }
pools: { app: { endpoints: ["10.0.0.1:80", "10.0.0.2:80"] }, canary: { endpoints: ["10.0.1.1:80"] } }
`);
}

const plain = web("[forward: app]");

describe("the request", () => {
  test.each([
    ["", "expected a URL"],
    ["app.example.com/x", "expected a URL"],
    ["ftp://h/", "expected a URL"],
    ["http://h/#top", "what stands behind #"],
    ["http://user:pass@h/", "leave user name and password out"],
    ["http://a b/", "is not the name of a host"],
    ["http://:80/", "is not the name of a host"],
    ["/\ud800", "has characters in it that are none"],
    ["GE(T http://h/", "is not the name of a method"],
  ])("%s cannot be made", (request, problem) => {
    expect(problemOf(plain, request)).toContain(problem);
  });

  test("nor one from nowhere, nor with fields that are none", () => {
    expect(problemOf(plain, "/", { source: "nowhere" })).toContain("is not an IP address");
    expect(problemOf(plain, "/", { headers: [{ name: "a b", value: "" }] })).toContain("is not the name of a header");
    expect(problemOf(plain, "/", { headers: [{ name: "a", value: "\r\n" }] })).toContain("control characters");
  });

  test("characters beyond ASCII are escaped, a query may follow the host", () => {
    expect(ask(plain, "http://h/café x").path?.path).toBe("/caf%C3%A9%20x");
    expect(ask(plain, "http://h?a=1").path).toMatchObject({ path: "/", query: "a=1" });
    expect(ask(plain, "/x").notes).toEqual(["the request names no host: it is localhost"]);
    expect(ask(plain, "/x", { headers: ["Host: a.test"] })).toMatchObject({ notes: [], route: "0" });
    expect(armsOf(ask(plain, "/x", { headers: ["host: a.test"] }))[0]?.sent?.host).toBe("a.test");
  });
});

describe("the listener", () => {
  const several = load(`
listeners:
  web: { bind: ["0.0.0.0:80", "[2001:db8::1]:81"], forward: app }
  alt: { bind: 0.0.0.0:8080, forward: app }
  tls: { bind: 0.0.0.0:443, forward: app }
  one: { bind: 127.0.0.1:9000, forward: app }
  two: { bind: 127.0.0.2:9000, forward: app }
  sock: { bind: "unix:/run/x.sock", routes: [{ match: { source: 0.0.0.0/0 }, forward: app }, respond: { status: 418 }] }
pools: { app: { endpoints: ["a:1"] } }
`);
  test.each([
    ["http://h/", "web"],
    ["http://10.0.0.1/", "web"],
    ["http://[2001:db8::1]:81/", "web"],
    ["https://h/", "tls"],
    ["http://h:8080/", "alt"],
    ["http://127.0.0.2:9000/", "two"],
  ])("%s comes to %s", (url, listener) => {
    expect(ask(several, url).listener).toBe(listener);
  });

  test("several could get it, or none is there", () => {
    const unclear = explainRequest(atRest(several), describeRequest("http://h:9000/"), null);
    expect(unclear).toEqual({
      problem: "several listeners could get this: one (127.0.0.1:9000), two (127.0.0.2:9000)",
      candidates: ["one", "two"],
    });
    expect(explainRequest(atRest(several), describeRequest("/"), null)).toMatchObject({
      candidates: ["web", "alt", "tls", "one", "two", "sock"],
    });
    expect(explainRequest(atRest(several), describeRequest("/"), "wbe")).toMatchObject({
      problem: 'there is no listener called "wbe"; did you mean web?',
    });
    expect(problemOf(load("{ listeners: {}, pools: {} }"), "/")).toBe("the configuration has no listeners");
  });

  test("named; on a unix socket clients have no address", () => {
    expect(ask(several, "http://h:1/", { listener: "alt" }).listener).toBe("alt");
    expect(ask(several, "/", { listener: "sock" })).toMatchObject({ client: "", route: "1" });
  });

  test("the only one gets everything, with a word about it", () => {
    expect(ask(plain, "http://h:8443/").notes).toEqual([
      "no listener is bound to port 8443; web is the only one there is",
    ]);
    expect(ask(plain, "https://h:80/").notes[0]).toContain("speaks plain HTTP");
  });

  test("whom it lets connect", () => {
    const closed = web("[forward: app]", "access: { deny: [192.0.2.0/24] },");
    const explained = ask(closed, "http://h/");
    expect(explained.outcome).toMatchObject({ kind: "refused", status: 0 });
    expect(explained.checks).toEqual([
      { check: "access of the listener", verdict: "refuses", detail: "192.0.2.1 is not let in" },
    ]);
    expect(isServed(explained)).toBe(false);
    expect(isServed(ask(closed, "http://h/", { source: "198.51.100.1" }))).toBe(true);
  });
});

describe("path and routes", () => {
  const config = web(`[
    { name: api, match: { host: api.test, prefix: /api }, forward: app },
    { match: { path: /a b }, forward: canary },
    { match: { source: 10.0.0.0/8 }, forward: canary },
    { name: rest, match: { method: GET }, forward: app },
    { forward: canary }]`);

  test("every route up to the one that takes it has its reason", () => {
    const explained = ask(config, "http://api.test/x/../y");
    expect(explained.path).toEqual({ verdict: "rewritten", path: "/y", query: "", reason: "" });
    expect(explained).toMatchObject({ route: "rest", routesBehind: 1, client: "192.0.2.1" });
    expect(explained.routes).toEqual([
      { name: "api", takes: false, reason: 'prefix is "/y", not "/api"' },
      { name: "1", takes: false, reason: 'path is "/y", not "/a b"' },
      { name: "2", takes: false, reason: 'source is "192.0.2.1", not "10.0.0.0/8"' },
      { name: "rest", takes: true, reason: "" },
    ]);
  });

  test("paths that are refused", () => {
    const explained = ask(config, "http://api.test/%2e%2e;/x");
    expect(explained).toMatchObject({ routes: [], route: null, path: { verdict: "refused", path: "/%2e%2e;/x" } });
    expect(explained.outcome).toEqual({
      kind: "refused",
      status: 400,
      reason: "a hidden dot segment in the path",
    });
    expect(isServed(explained)).toBe(false);
  });

  test("heads that are refused", () => {
    const two = ask(config, "http://api.test/", { headers: ["Content-Length: 1", "Content-Length: 2"] });
    expect(two).toMatchObject({ path: null, route: null, outcome: { status: 400 } });
    const long = ask(config, "http://api.test/", { headers: [`X: ${"a".repeat(70_000)}`] });
    expect(long).toMatchObject({ path: null, outcome: { status: 431, reason: expect.stringContaining("longer") } });
  });

  test("no route at all", () => {
    const none = web("[{ match: { host: a.test }, forward: app }]");
    const explained = ask(none, "http://b.test/");
    expect(explained).toMatchObject({ route: null, routesBehind: 0 });
    expect(explained.outcome).toEqual({ kind: "refused", status: 404, reason: "no route takes it" });
  });

  test("behind a trusted proxy the client is whom it names", () => {
    const trusting = web("[{ match: { source: 10.0.0.0/8 }, forward: app }]", "trustedProxies: [192.0.2.0/24],");
    const explained = ask(trusting, "http://h/", { headers: ["X-Forwarded-For: 10.1.2.3"] });
    expect(explained).toMatchObject({ client: "10.1.2.3", route: "0" });
    expect(ask(trusting, "http://h/", { source: "198.51.100.1" })).toMatchObject({ client: "198.51.100.1" });
  });
});

describe("what has to be passed", () => {
  const hash = "$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
  const config = web(`[
    { match: { path: /in }, forward: app, access: { allow: [192.0.2.1] }, rateLimit: { requests: 5 } },
    { match: { path: /out }, forward: app, access: { allow: [10.0.0.0/8] } },
    { match: { path: /secret }, forward: app, basicAuth: { users: { alice: "${hash}" }, userHeader: x-user } },
    { match: { path: /cors }, forward: app, cors: { origins: ["https://a.test"] } },
    { match: { path: /asks }, forward: app, forwardAuth: { pool: canary, path: /verify }, mirror: canary,
      compress: { codings: [gzip] }, concurrency: { requests: 3, by: "header:x-key" } }]`);

  test("addresses and limits", () => {
    const let_in = ask(config, "http://h/in");
    expect(let_in.checks).toEqual([
      { check: "access", verdict: "passes", detail: "192.0.2.1 is let in" },
      { check: "rateLimit", verdict: "assumed", detail: "5 in 1s by source, 5 at once, else 429" },
    ]);
    expect(armsOf(let_in)[0]?.answer.added.map(({ name }) => name)).toContain("RateLimit-Remaining");
    const refused = ask(config, "http://h/out");
    expect(refused.outcome).toEqual({ kind: "refused", status: 403, reason: "its address is not let in" });
    expect(refused.route).toBe("1");
    expect(isServed(refused)).toBe(false);
  });

  test("passwords: of users that exist they are taken to be right", () => {
    const without = ask(config, "http://h/secret");
    expect(without).toMatchObject({ outcome: { status: 401 }, checks: [{ verdict: "refuses" }] });
    const stranger = ask(config, "http://h/secret", { headers: [`Authorization: Basic ${btoa("bob:x")}`] });
    expect(stranger).toMatchObject({
      outcome: { status: 401 },
      checks: [{ detail: expect.stringContaining("nobody") }],
    });
    const alice = ask(config, "http://h/secret", { headers: [`Authorization: Basic ${btoa("alice:x")}`] });
    expect(alice.checks).toMatchObject([{ check: "basicAuth", verdict: "assumed" }]);
    const sent = armsOf(alice)[0]?.sent;
    expect(sent?.added).toContainEqual({ name: "x-user", value: "alice" });
    expect(sent?.removed.map(({ name }) => name)).toEqual(["Authorization"]);
  });

  test("preflights are answered, other answers are decorated", () => {
    const headers = ["Origin: https://a.test", "Access-Control-Request-Method: PUT"];
    const preflight = ask(config, "OPTIONS http://h/cors", { headers });
    expect(preflight.outcome).toMatchObject({ kind: "preflight", status: 204 });
    expect(preflight.checks).toMatchObject([{ check: "cors", verdict: "passes" }]);
    const other = armsOf(ask(config, "http://h/cors", { headers }))[0]?.answer.added;
    expect(other).toContainEqual({ name: "Access-Control-Allow-Origin", value: "https://a.test" });
  });

  test("who else would be asked is named", () => {
    const explained = ask(config, "http://h/asks");
    expect(explained.checks.map(({ check, verdict }) => `${check} ${verdict}`)).toEqual([
      "concurrency assumed",
      "forwardAuth assumed",
      "mirror passes",
      "compress passes",
    ]);
    expect(armsOf(explained)).toMatchObject([{ pool: "app", refused: null }]);
  });
});

test("hooks of a module are named, and not called", () => {
  const called = (): never => {
    throw new Error("called");
  };
  const routes = [{ forward: "app", hooks: { request: called } }];
  const value = { listeners: { web: { bind: "0.0.0.0:80", routes } }, pools: { app: { endpoints: ["a:1"] } } };
  const explained = ask(loadValue(value, "x").config!, "http://h/");
  expect(explained.checks).toMatchObject([
    { check: "hooks", verdict: "assumed", detail: "request; a dry run does not call them" },
  ]);
  expect(isServed(explained)).toBe(true);
});

describe("what the route does", () => {
  test("redirects and fixed answers", () => {
    const config = web(`[
      { match: { prefix: /old }, redirect: { to: "https://{host}{uri}", status: 301 } },
      { match: { path: /gone }, respond: { status: 410, body: "{path} is gone" } }]`);
    expect(ask(config, "http://h.test/old?x=1").outcome).toMatchObject({
      kind: "redirect",
      status: 301,
      location: "https://h.test/old?x=1",
    });
    const gone = ask(config, "http://h/gone");
    expect(gone.outcome).toMatchObject({ kind: "respond", status: 410, body: "/gone is gone" });
    expect([statusOf(gone), isServed(gone)]).toEqual([410, true]);
  });

  test("what the endpoint gets", () => {
    const config = web(`[{
      match: { prefix: /api }, forward: app, rewrite: { path: "^/api/(.*)", to: "/$1", host: "in.test" },
      requestHeaders: { set: { x-a: "{source}" }, remove: [cookie] },
      responseHeaders: { set: { x-b: "{pool}" }, remove: [server] } }]`);
    const request = { headers: ["Cookie: a=1", "X-A: 2", "Accept: */*", "Connection: close"] };
    const [arm] = armsOf(ask(config, "POST http://h.test/api/x?y=1", request));
    expect(arm?.sent).toMatchObject({ method: "POST", target: "/x?y=1", host: "in.test" });
    expect(arm?.sent?.removed.map(({ name }) => name).sort()).toEqual(["Connection", "Cookie", "Host", "X-A"]);
    const added = Object.fromEntries((arm?.sent?.added ?? []).map(({ name, value }) => [name, value]));
    expect(added).toMatchObject({
      Host: "in.test",
      "X-Forwarded-For": "192.0.2.1",
      "X-Forwarded-Port": "80",
      "X-Request-Id": "(new)",
      traceparent: "(new)",
      "x-a": "192.0.2.1",
    });
    expect(arm?.answer.added).toEqual([{ name: "x-b", value: "app" }]);
    expect(arm?.answer.removed.map(({ name }) => name)).toEqual(["server", "x-b"]);
    const own = armsOf(ask(config, "http://h.test/api/x", { headers: ["X-Request-Id: mine"] }))[0]?.sent?.fields;
    expect(own).toContainEqual({ name: "X-Request-Id", value: "mine" });
  });

  test("a rewrite to what is no host", () => {
    const config = web('[{ forward: app, rewrite: { host: "{header.x-host}" } }]');
    const explained = ask(config, "http://h/");
    expect(armsOf(explained)[0]).toMatchObject({ sent: null, refused: { status: 400 } });
    expect(statusOf(explained)).toBe(400);
    expect(isServed(ask(config, "http://h/", { headers: ["x-host: a.test"] }))).toBe(true);
  });

  test("weighted arms: each with its share, none without one", () => {
    const config = load(`
listeners: { web: { bind: "0.0.0.0:80", routes: [{ requestHeaders: { set: { x-pool: "{pool}" } },
  forward: [{ pool: a, weight: 3 }, { pool: b, weight: 0 }, { pool: c, weight: 1 }, { pool: d, weight: 4 }] }] } }
pools: { a: { endpoints: ["a:1"] }, b: { endpoints: ["b:1"] }, c: { endpoints: ["c:1"] },
  d: { endpoints: [{ address: "d:1", admin: maint }] } }
`);
    const explained = ask(config, "http://h/");
    expect(armsOf(explained).map(({ pool, percent }) => [pool, percent])).toEqual([
      ["a", 37.5],
      ["c", 12.5],
      ["d", 50],
    ]);
    expect(armsOf(explained).map(({ sent }) => sent?.fields.at(-1)?.value)).toEqual(["a", "c", undefined]);
    expect(armsOf(explained)[2]?.refused).toEqual({ status: 503, reason: "no endpoint of pool d takes requests" });
    expect([isServed(explained), statusOf(explained)]).toEqual([true, null]);
  });
});

describe("the endpoint", () => {
  function endpointOf(pool: string, request = "http://h/", more: More = {}): ArmWord["endpoint"] {
    const config = load(`
listeners: { web: { bind: "0.0.0.0:80", forward: app } }
pools: { app: ${pool} }
`);
    return armsOf(ask(config, request, more))[0]!.endpoint;
  }
  const two = 'endpoints: ["a:1", "b:1"]';

  test("one of several, or the only one", () => {
    expect(endpointOf(`{ ${two} }`)).toEqual({
      id: null,
      now: null,
      by: "least-connections",
      candidates: [
        { id: "a:1", address: "a:1" },
        { id: "b:1", address: "b:1" },
      ],
      others: [],
    });
    expect(endpointOf('{ endpoints: [{ address: "a:1", id: x }] }')).toMatchObject({
      id: "x",
      by: "the only one that takes requests",
    });
  });

  test("why others take none", () => {
    const endpoint = endpointOf(`{ endpoints: ["a:1", "b:1", { address: "c:1", admin: drain },
      { address: "d:1", weight: 0 }, { address: "e:1", backup: true }] }`);
    expect(endpoint.candidates.map(({ id }) => id)).toEqual(["a:1", "b:1"]);
    expect(endpoint.others.map(({ id, reason }) => `${id} ${reason}`)).toEqual([
      "c:1 operator: drain",
      "d:1 weight 0",
      "e:1 backup: only when no other takes requests",
    ]);
    const backups = endpointOf('{ endpoints: [{ address: "a:1", admin: maint }, { address: "b:1", backup: true }] }');
    expect(backups).toMatchObject({ id: "b:1", others: [{ id: "a:1" }] });
  });

  test("hashes decide for certain, if there is something to hash", () => {
    const byKey = `{ ${two}, balance: { by: consistent-hash, key: "header:x-key", load: unlimited } }`;
    const ids = new Set(
      Array.from({ length: 20 }, (_, i) => endpointOf(byKey, "http://h/", { headers: [`x-key: ${i}`] }).id),
    );
    expect([...ids].sort()).toEqual(["a:1", "b:1"]);
    expect(endpointOf(byKey)).toMatchObject({
      id: null,
      by: "consistent-hash, but the request has no header x-key: by turns",
    });
    expect(endpointOf(`{ ${two}, balance: ip-hash }`)).toMatchObject({
      id: expect.stringMatching(/^[ab]:1$/),
      by: "ip-hash of the address 192.0.2.1",
    });
    expect(endpointOf(`{ ${two}, balance: { by: consistent-hash } }`).by).toContain("unless it has more than 125%");
  });

  test("stickiness is told of, and learned nothing by asking", () => {
    const kept = " and kept there by ";
    expect(endpointOf(`{ ${two}, sticky: { by: cookie } }`).by).toBe(
      `least-connections,${kept}the cookie SLUICE from then on`,
    );
    expect(endpointOf(`{ ${two}, sticky: { by: source-ip } }`).by).toBe(
      `least-connections,${kept}its address from then on`,
    );
    expect(
      endpointOf(`{ ${two}, sticky: { by: app-cookie, name: sid } }`, "/", { headers: ["cookie: sid=1"] }).by,
    ).toBe(`least-connections,${kept}the application's cookie sid from then on`);
  });

  test("cookies of a weighted forward are masked", () => {
    const config = web("[{ forward: [{ pool: app }, { pool: canary }], sticky: {} }]");
    const arms = armsOf(ask(config, "http://h/"));
    expect(arms.map(({ answer }) => answer.added.map(({ value }) => value))).toEqual([
      [expect.stringMatching(/^SLUICE_POOL=…; Path/)],
      [expect.stringMatching(/^SLUICE_POOL=…; Path/)],
    ]);
  });

  test("what discovery will find is not known", () => {
    const discovery = "discovery: [{ from: dns, name: api.internal, port: 80 }]";
    expect(endpointOf(`{ ${discovery} }`)).toEqual({
      id: null,
      now: null,
      by: "least-connections, among those that discovery finds",
      candidates: [],
      others: [],
    });
    const some = endpointOf(`{ ${two}, balance: ip-hash, ${discovery} }`);
    expect(some.id).toBeNull();
    expect(some.candidates).toHaveLength(2);
  });
});

describe("with the state of a running instance", () => {
  const config = load(`
listeners: { web: { bind: "0.0.0.0:80", routes: [
  { match: { path: /big }, forward: big, rateLimit: { requests: 1, keys: 10000000 } },
  { forward: app, rateLimit: { requests: 1, scope: worker } }] } }
pools:
  app: { endpoints: ["a:1", "b:1", "10.0.0.3:1", "10.0.0.4:1"], health: { path: / } }
  big: { endpoints: ["a:1", "b:1"], sticky: { by: source-ip, size: 10000000 } }
`);
  const size = { workers: 2, listeners: 1, endpoints: 8 };
  const columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
  columns.weight.fill(1);
  const rows = { app: { "a:1": 5, "b:1": 1, "10.0.0.3:1": 2, "10.0.0.4:1": 0 }, big: { "a:1": 3, "b:1": 4 } };
  const plan: Plan = {
    generation: 7,
    config,
    workers: 2,
    listenerRows: { web: 0 },
    endpointRows: rows,
    poolRows: { app: 1, big: 0 },
    tables: {},
    cookieKeys: [],
    hooks: null,
    resolved: { 5: null, 1: "10.0.0.9", 3: "10.0.0.1", 4: "10.0.0.2" },
  };
  const live = { plan, columns, nowMs: 1000 };
  const reasonOf = (pool: string, id: string): string => (id === "10.0.0.4:1" ? `${pool} says so` : "");
  const explainLive = (request: string): Explanation => {
    const explained = explainRequest({ ...atRest(config), live, reasonOf }, describeRequest(request), null);
    if ("problem" in explained) throw new Error(explained.problem);
    return explained;
  };

  test("endpoints are as they are now, and nothing of it is changed", () => {
    columns.health[0] = Health.Down;
    columns.active[1] = 7;
    columns.active[2] = 3;
    const before = [...new Int32Array(columns.control.buffer as ArrayBuffer)];
    const explained = explainLive("http://h/");
    expect(armsOf(explained)[0]?.endpoint).toEqual({
      id: null,
      now: "10.0.0.3:1",
      by: "least-connections",
      candidates: [
        { id: "b:1", address: "b:1" },
        { id: "10.0.0.3:1", address: "10.0.0.3:1" },
      ],
      others: [
        { id: "a:1", address: "a:1", reason: "not in use" },
        { id: "10.0.0.4:1", address: "10.0.0.4:1", reason: "app says so" },
      ],
    });
    // Each worker counts for itself: nobody else can know.
    expect(explained.checks).toMatchObject([{ check: "rateLimit", verdict: "assumed" }]);
    expect([...new Int32Array(columns.control.buffer as ArrayBuffer)]).toEqual(before);
  });

  test("tables that are too large are not looked at", () => {
    const explained = explainLive("http://h/big");
    expect(explained.notes).toEqual(["who sticks to whom in pool big is too much to look at"]);
    expect(explained.checks).toMatchObject([{ check: "rateLimit", verdict: "assumed" }]);
    expect(armsOf(explained)).toMatchObject([{ pool: "big", refused: null }]);
  });
});
