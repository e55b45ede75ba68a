// Which route a request takes: every condition of docs/guide/routing.md, as requests on real connections meet it. What
// the path looks like before it is compared is paths.test.ts, whose address counts is matching-source.test.ts.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type RequestOptions, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;

/** A route that forwards; its answers tell its name. */
const named = (name: string, match: string): string =>
  `      - { name: ${name}, match: ${match}, forward: app, responseHeaders: { set: { x-route: "{route}" } } }`;
const listener = (name: string, routes: Readonly<Record<string, string>>): string =>
  [
    `  ${name}:`,
    `    bind: "127.0.0.1:0"`,
    `    routes:`,
    ...Object.entries(routes).map(([route, match]) => named(route, match)),
  ].join("\n");

const yaml = [
  `workers: 1`,
  `listeners:`,
  listener("hosts", {
    exact: `{ host: www.example.com }`,
    wild: `{ host: "*.example.com" }`,
    list: `{ host: [example.com, "*.example.net"] }`,
    v6: `{ host: "[2001:db8::1]" }`,
    v4: `{ host: 127.0.0.1 }`,
  }),
  listener("paths", {
    exact: `{ path: /status }`,
    stars: `{ path: "/img/*/thumb-??.jpg" }`,
    endings: `{ path: ["*.php", "*.asp"] }`,
    literal: `{ path: '/what\\?/*' }`,
    people: `{ path: /café }`,
    static: `{ prefix: /static/ }`,
    several: `{ prefix: [/a/b, /c] }`,
    users: `{ regex: '^/v[0-9]+/(users|teams)/\\d+$' }`,
    anywhere: `{ regex: "needle" }`,
  }),
  listener("methods", {
    reads: `{ method: [GET, HEAD] }`,
    purge: `{ method: PURGE }`,
    post: `{ method: POST }`,
  }),
  listener("headers", {
    mobile: `{ headers: { user-agent: ["*Mobile*", "*Android*"] } }`,
    debug: `{ headers: { X-Debug: true, authorization: false } }`,
    literal: `{ headers: { x-star: 'a\\*b' } }`,
    empty: `{ headers: { x-empty: "" } }`,
    plain: `{ headers: { accept: { not: ["*html*", "*xml*"] } } }`,
  }),
  listener("cookies", {
    beta: `{ cookies: { beta: "1" } }`,
    both: `{ cookies: { x: "*", y: { not: n } } }`,
    members: `{ cookies: { session: true } }`,
    strangers: `{ cookies: { Session: false, quiet: false } }`,
  }),
  listener("queries", {
    next: `{ path: /search, query: { version: "2", preview: false } }`,
    snow: `{ query: { q: "*snow ?oot*" } }`,
    flag: `{ query: { flag: "" } }`,
    name: `{ query: { "a b": "c&d" } }`,
    umlaut: `{ query: { city: Köln } }`,
  }),
  listener("order", {
    narrow:
      `{ host: api.example.com, prefix: /v1, method: [GET, HEAD], headers: { x-a: "1" },` +
      ` cookies: { c: "1" }, query: { q: "1" }, source: 127.0.0.0/8 }`,
    api: `{ host: api.example.com, prefix: /v1 }`,
    short: `{ prefix: / , method: GET }`,
    long: `{ prefix: /very/long/and/exact }`,
  }),
  `pools: { app: { endpoints: ["${origin.address}"] } }`,
].join("\n");

beforeAll(async () => {
  sluice = await startSluice(yaml);
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

/** Name of the route that took the request, or the status of our refusal. */
async function routeOf(name: string, options: RequestOptions): Promise<string> {
  const response = await request(sluice.address(name), { path: "/", ...options });
  const route = response.header("x-route");
  if (route !== null) return route;
  expect(response.header("x-origin")).toBeNull(); // the endpoint has not seen it
  return String(response.status);
}

/** What each of several requests is taken by. */
async function routesOf(
  name: string,
  wanted: Readonly<Record<string, string>>,
  make: (text: string) => RequestOptions,
): Promise<void> {
  const found = await Promise.all(
    Object.keys(wanted).map(async (text): Promise<[string, string]> => [text, await routeOf(name, make(text))]),
  );
  expect(Object.fromEntries(found)).toEqual({ ...wanted });
}

const withPath = (path: string): RequestOptions => ({ path });
/** Field lines with bars between them. */
const withLines = (lines: string): RequestOptions => ({ headers: lines === "" ? [] : lines.split(" | ") });

describe("host", () => {
  test("names, wildcards and lists, without regard to case, port and the dot of the root", () =>
    routesOf(
      "hosts",
      {
        "www.example.com": "exact",
        "WWW.Example.COM": "exact",
        "www.example.com:8443": "exact",
        "www.example.com.": "exact",
        "www.example.com.:80": "exact",
        "api.example.com": "wild",
        "a.b.c.example.com": "wild",
        "www.example.com.example.com": "wild",
        "example.com": "list",
        "example.com.": "list",
        "x.example.net": "list",
        "example.net": "404",
        "badexample.com": "404",
        "www.example.com.evil.org": "404",
        "[2001:db8::1]": "v6",
        "[2001:DB8::1]:81": "v6",
        "127.0.0.1:9": "v4",
        "": "400", // no host at all is for HTTP/1.0
      },
      (host) => ({ headers: [`Host: ${host}`] }),
    ));

  test("that of the target counts, and is what the endpoint sees", async () => {
    const path = "http://www.example.com/ok?absolute";
    expect(await routeOf("hosts", { path, headers: ["Host: api.example.com"] })).toBe("exact");
    const { head } = origin.last("/ok");
    expect(head).toStartWith("GET /ok?absolute HTTP/1.1\r\n");
    expect(head).toContain("\r\nHost: www.example.com\r\n");
    expect(head).not.toContain("api.example.com");
  });

  test("HTTP/1.0 may come without one: then routes that ask for a host do not fit", async () => {
    using client = await connect(sluice.address("hosts"));
    await client.send("GET / HTTP/1.0\r\n\r\n");
    expect((await client.read()).status).toBe(404);
    using other = await connect(sluice.address("paths"));
    await other.send("GET /status HTTP/1.0\r\n\r\n");
    expect((await other.read()).header("x-route")).toBe("exact");
  });
});

test("path, prefix and regex", () =>
  routesOf(
    "paths",
    {
      "/status": "exact",
      "/status?a=/b": "exact",
      "/status/": "404",
      "/Status": "404",
      "/img/1/thumb-ab.jpg": "stars",
      "/img/1/2/3/thumb-ab.jpg": "stars",
      "/img//thumb-ab.jpg": "404", // one slash after normalising
      "/img/1/thumb-abc.jpg": "404",
      "/index.php": "endings",
      "/deep/er/x.asp?y": "endings",
      "/index.php5": "404",
      "/what%3F/now": "literal",
      "/what/now": "404",
      "/caf%C3%A9": "people",
      "/caf%c3%a9": "people",
      "/static": "static",
      "/static/": "static",
      "/static/x/y": "static",
      "/statics": "404",
      "/stati": "404",
      "/a/b/c": "several",
      "/a/bc": "404",
      "/c": "several",
      "/v12/teams/345": "users",
      "/v12/teams/345/": "404",
      "/x/v12/teams/345": "404",
      "/hay/needles/hay": "anywhere",
      "/hay?needle": "404",
    },
    withPath,
  ));

test("a regular expression that others need years for is done at once", async () => {
  const path = `/v1/users/${"1".repeat(30_000)}x`;
  expect(await routeOf("paths", { path })).toBe("404");
});

test("method: standard ones, others, and none in small letters", async () => {
  const wanted = { GET: "reads", HEAD: "reads", PURGE: "purge", POST: "post", PUT: "404", get: "404", purge: "404" };
  await routesOf("methods", wanted, (method) => ({ method }));
  expect(origin.requests().map(({ method }) => method)).toContain("PURGE");
});

test("headers: wildcards, presence, absence, not; several lines", () =>
  routesOf(
    "headers",
    {
      "User-Agent: Some Mobile/1": "mobile",
      "user-agent: Android": "mobile",
      "User-Agent: some mobile": "plain",
      "User-Agent: none | USER-AGENT: Android 9": "mobile",
      "X-Debug: | Accept: text/html": "debug",
      "X-Debug: 1 | Authorization: x | Accept: text/html": "404",
      "X-Star: a*b | Accept: text/html": "literal",
      "X-Star: axb | Accept: text/html": "404",
      "X-Empty: | Accept: text/html": "empty",
      "X-Empty: no | Accept: text/html": "404",
      "Accept: application/json": "plain",
      "Accept: application/json | Accept: text/xml": "404",
      "Accept: application/json, text/html": "404",
      "": "plain",
    },
    withLines,
  ));

test("cookies: names with case, values byte for byte, any of several", () =>
  routesOf(
    "cookies",
    {
      "Cookie: beta=1": "beta",
      "Cookie: a=b; beta=1;c=d": "beta",
      "Cookie: beta=0; beta=1": "beta",
      "Cookie: a=b | Cookie: beta=1": "beta",
      'Cookie: beta="1"': "strangers",
      "Cookie: Beta=1": "strangers",
      "Cookie: xbeta=1": "strangers",
      "Cookie: beta": "strangers",
      "Cookie: x=; y=m": "both",
      "Cookie: x=1": "both",
      "Cookie: x=1; y=n": "strangers",
      "Cookie: session=": "members",
      "Cookie: session=; quiet=1": "members",
      "Cookie: Session=1": "404",
      "Cookie: quiet=": "404",
      "": "strangers",
    },
    withLines,
  ));

test("query: decoded once, any of several, an argument without a value", () =>
  routesOf(
    "queries",
    {
      "/search?version=2": "next",
      "/search?%76ersion=%32": "next",
      "/search?version=1&version=2": "next",
      "/search?version=2&preview": "404",
      "/search?version=2&preview=": "404",
      "/search?version=%2532": "404",
      "/search?Version=2": "404",
      "/search?version=2;x": "404",
      "/?q=a+snow+boot": "snow",
      "/?x&q=snow%20root!": "snow",
      "/?q=snowboot": "404",
      "/?flag": "flag",
      "/?flag=": "flag",
      "/?flag=1": "404",
      "/?flags": "404",
      "/?a+b=c%26d": "name",
      "/?a%20b=c%26d": "name",
      "/?a+b=c&d": "404",
      "/?city=K%C3%B6ln": "umlaut",
      "/?city=K%F6ln": "404",
      "/?flag=%zz&flag": "flag",
    },
    withPath,
  ));

test("the query goes to the endpoint as it came", async () => {
  const path = "/ok?q=snow+boot&%76=%7e&&=%zz&q=a%2fb";
  expect(await routeOf("queries", { path })).toBe("snow");
  expect(origin.last("/ok").target).toBe(path);
});

test("all conditions of a route must hold; the first one wins, however special a later one is", async () => {
  const all = ["Host: api.example.com", "X-A: 1", "Cookie: c=1"];
  const path = "/v1/x?q=1";
  expect(await routeOf("order", { path, headers: all })).toBe("narrow");
  for (let i = 0; i < all.length; i++) {
    const headers = all.map((line, at) => (at === i ? `${line}2` : line));
    expect(await routeOf("order", { path, headers })).toBe(i === 0 ? "short" : "api");
  }
  expect(await routeOf("order", { path: "/v1/x?q=2", headers: all })).toBe("api");
  expect(await routeOf("order", { path: "/v2/x?q=1", headers: all })).toBe("short");
  expect(await routeOf("order", { path, headers: all, method: "POST", body: "x" })).toBe("api");
  expect(await routeOf("order", { path: "/very/long/and/exact" })).toBe("short");
  expect(await routeOf("order", { path: "/very/long/and/exact", method: "PUT" })).toBe("long");
  expect(await routeOf("order", { path: "/", method: "PUT" })).toBe("404");
});

test("requests on one connection each take their own route; a 404 leaves the connection open", async () => {
  const address = sluice.address("paths");
  using client = await connect(address);
  const paths = ["/status", "/nothing", "/static/1", "/nothing", "/c"];
  await client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
  const seen: string[] = [];
  while (seen.length < paths.length) {
    const response = await client.read();
    seen.push(response.header("x-route") ?? String(response.status));
  }
  expect(seen).toEqual(["exact", "404", "static", "404", "several"]);
});
