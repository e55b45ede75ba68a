// What endpoints see of a path and host that a route rewrites, and values that try to make more of it than one path.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, type RequestOptions, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { headerOf } from "./lib/request-reader.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const origin = startOrigin({ name: "a" });
const other = startOrigin({ name: "b" });
let sluice: Sluice;
let address = "";

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { prefix: /api/v1 }, forward: app, rewrite: { path: "^/api/v1/(.*)$", to: "/$1" } }
      - match: { host: "*.shop.example" }
        forward: app
        rewrite: { path: "^/", to: "/tenants/{hostname}/", host: internal.example }
      - { match: { prefix: /search }, forward: app, rewrite: { path: "^/search/([^/]+)$", to: "/find?q=$1&{query}" } }
      - { match: { prefix: /drop }, forward: app, rewrite: { path: "^/drop", to: "/kept?" } }
      - { match: { prefix: /whole }, forward: app, rewrite: { path: "^.*$", to: "/in{uri}" } }
      - { match: { path: "/mid*" }, forward: app, rewrite: { path: "old", to: "new" } }
      - { match: { prefix: /money }, forward: app, rewrite: { path: "^/money/(.)(.)?", to: "/$0/$$5$2$1" } }
      - match: { regex: "^/both/(.)" }
        forward: app
        rewrite: { path: "(.)$", to: "{1}$1", host: "{1}.example" }
      - { match: { prefix: /value }, forward: app, rewrite: { path: "^/value", to: "/v/{header.x-v}" } }
      - match: { prefix: /argument }
        forward: app
        rewrite: { path: "^/argument", to: "/a?v={header.x-v}&{query.q}" }
      - { match: { path: "/x*" }, forward: app, rewrite: { path: "^/x(.*)$", to: "/y/$1" } }
      - { match: { path: "/slash*" }, forward: app, rewrite: { path: "^/slash(.*)$", to: "/$1" } }
      - { match: { prefix: /grow }, forward: app, rewrite: { path: "^/grow/(.*)$", to: "/$1$1$1$1$1$1$1$1$1$1" } }
      - { match: { prefix: /host }, forward: app, rewrite: { host: "{query.host}.internal:8080" } }
      - { match: { prefix: /twice }, forward: both, rewrite: { path: "^/twice", to: "" , host: twice.example } }
      - { forward: app, rewrite: { path: "^/rest(/.*)?$", to: "$1", host: "{hostname}.internal:8080" } }
pools:
  app: { endpoints: ["${origin.address}"] }
  both: { endpoints: ["${origin.address}", "${other.address}"], balance: round-robin }
`);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
  await other.close();
});

let count = 0;

/** What the endpoint gets, target and Host; or the status of our refusal. */
async function seen(path: string, options: RequestOptions = {}): Promise<[target: string, host: string]> {
  const number = String(++count);
  const headers = [...(options.headers ?? ["Host: h.example:81"]), `X-Number: ${number}`];
  const { status } = await request(address, { ...options, path, headers });
  const record = origin.requests().findLast((each) => headerOf(each, "x-number") === number);
  return record === undefined ? [String(status), ""] : [record.target, headerOf(record, "host") ?? ""];
}

async function expectTargets(wanted: Readonly<Record<string, string>>, headers?: readonly string[]): Promise<void> {
  for (const [path, target] of Object.entries(wanted)) {
    const [found] = await seen(path, headers === undefined ? {} : { headers });
    expect([path, found]).toEqual([path, target]);
  }
}

test("the part that fits is replaced, what is before and behind it stays, and so does the query", () =>
  expectTargets({
    "/api/v1/users/7?a=%2F../b": "/users/7?a=%2F../b",
    "/api/v1/": "/",
    "/api/v1": "/api/v1", // does not fit
    "/x/../api/v1//users": "/users", // normal form first
    "/mid/old/old?old": "/mid/new/old?old", // once, and not in the query
    "/midolder/gold": "/midnewer/gold",
    "/money/ab/c": "/money/ab/$5ba/c",
    "/money/a": "/money/a/$5a",
    "/whole/x?y=z": "/in/whole/x?y=z",
    "/whole/x": "/in/whole/x",
    "/both/z/abc": "/both/z/abzc",
    "/rest/ok": "/ok",
    "/rest": "/",
  }));

test("a query of its own: put together, or dropped", () =>
  expectTargets({
    "/search/cats?page=2": "/find?q=cats&page=2",
    "/search/cats": "/find?q=cats&",
    "/search/a&b=c?page=2": "/find?q=a%26b=c&page=2", // the capture stays one value
    "/search/a%26b?x": "/find?q=a%26b&x",
    "/search/a/b?page=2": "/search/a/b?page=2",
    "/drop/x?page=2": "/kept/x",
  }));

test("the host: a fixed one, one of placeholders; X-Forwarded-Host goes on telling the client's", async () => {
  const headers = ["Host: Cat.Shop.Example:81"];
  expect(await seen("/ok?z", { headers })).toEqual(["/tenants/cat.shop.example/ok?z", "internal.example"]);
  const { headers: fields } = origin.last("/tenants/cat.shop.example/ok");
  expect(fields).toContainEqual(["X-Forwarded-Host", "Cat.Shop.Example:81"]);
  expect(fields.filter(([name]) => name.toLowerCase() === "host")).toHaveLength(1);
  expect(await seen("/both/q")).toEqual(["/both/qq", "q.example"]);
  expect(await seen("/host?host=a")).toEqual(["/host?host=a", "a.internal:8080"]);
  expect(await seen("/ok", { headers: ["Host: App.Example:9"] })).toEqual(["/ok", "app.example.internal:8080"]);
  expect(await seen("http://app.example/rest/y?", { headers: ["Host: z"] })).toEqual([
    "/y?",
    "app.example.internal:8080",
  ]);
});

test("a request without Host gets the one of the route", async () => {
  using client = await connect(address);
  await client.send("GET /both/o HTTP/1.0\r\n\r\n");
  await client.read();
  expect(headerOf(origin.last("/both/oo"), "host")).toBe("o.example");
});

describe("what comes out is one path", () => {
  test("no dot segment that was none before: 400, and the endpoint hears nothing", async () => {
    const before = origin.stats().requests;
    for (const path of ["/x../secret", "/x..", "/x./a", "/x.", "/x..;a/b", "/x.;"]) {
      expect([path, ...(await seen(path))]).toEqual([path, "400", ""]);
    }
    for (const value of ["..", "../..", "a/../b", ".", "a/.;/b", "..\\x", "%2e%2e", "x/.%2e/y", "..%2fx"]) {
      expect([value, ...(await seen("/value", { headers: ["Host: h", `X-V: ${value}`] }))]).toEqual([value, "400", ""]);
    }
    expect(origin.stats().requests).toBe(before);
    await expectTargets({ "/xx..y": "/y/x..y", "/x...": "/y/...", "/x": "/y/" });
  });

  test("several slashes at the beginning become one", () =>
    expectTargets({ "/slash/evil.example": "/evil.example", "/slash": "/" }));

  test("values are escaped: they end neither the path nor an argument", async () => {
    const headers = ["Host: h", 'X-V: a b?c#d&e+f"<>/g\th%20'];
    await expectTargets({ "/value/z": '/v/a%20b%3Fc%23d&e+f"<>/g%09h%20/z' }, headers);
    await expectTargets({ "/argument?q=1%262": '/a?v=a%20b?c%23d%26e%2Bf"<>/g%09h%20&1%262' }, headers);
  });

  test("a host that is none: 400", async () => {
    for (const host of ["a/b", "a@b", "a%zz", "a:1", "[::1]"]) {
      expect([host, ...(await seen(`/host?host=${host}`))]).toEqual([host, "400", ""]);
    }
  });

  test("a target that grows too long: 400", async () => {
    const [target] = await seen(`/grow/${"y".repeat(30_000)}`);
    expect(target).toBe("400");
    expect((await seen("/grow/ab"))[0]).toBe(`/${"ab".repeat(10)}`);
  });
});

test("a refusal costs no endpoint anything: no failure, and its connection is used again", async () => {
  await seen("/ok");
  const before = origin.stats().accepted;
  for (let i = 0; i < 5; i++) await seen("/x../secret");
  await seen("/ok");
  expect(origin.stats().accepted).toBe(before);
  const entry = await logged(sluice, ({ target }) => target === "/x../secret");
  expect([entry.status, entry.termination[0]]).toEqual([400, "C"]);
  expect((await sluice.metrics()).sum("sluice_endpoint_failures_total")).toBe(0);
});

test("OPTIONS * stays what it is", async () => {
  expect(await seen("*", { method: "OPTIONS" })).toEqual(["*", "h.example.internal:8080"]);
});

test("the log tells what the client asked for", async () => {
  await seen("/api/v1/ok?log");
  expect((await logged(sluice, ({ target }) => target.includes("?log"))).target).toBe("/api/v1/ok?log");
});

test("WebSockets are rewritten, too", async () => {
  using socket = await openWebSocket(`ws://${address}/api/v1/chat?x=1`);
  expect(await socket.echo("hello")).toBe("hello");
  expect(origin.last("/chat").target).toBe("/chat?x=1");
});

test("a further attempt at another endpoint is rewritten in the same way", async () => {
  for (const each of [origin, other]) each.on("/flaky", (exchange) => exchange.reset());
  expect((await request(address, { path: "/twice/flaky?a", headers: ["Host: h"] })).status).toBe(502);
  for (const each of [origin, other]) {
    const { target, headers } = each.last("/flaky");
    expect(target).toBe("/flaky?a");
    expect(headers).toContainEqual(["Host", "twice.example"]);
  }
});
