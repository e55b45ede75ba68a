// Cross-origin requests as browsers make them: preflights, credentials, origins that are listed and those that pretend,
// and what endpoints have to say about it themselves.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, type RequestOptions, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import type { RawResponse } from "./lib/response-reader.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;
let address = "";
// bcrypt of "secret"
const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { prefix: /public }, forward: app, cors: true, rewrite: { path: "^/public", to: "" } }
      - match: { prefix: /api }
        forward: app
        rewrite: { path: "^/api", to: "" }
        cors:
          origins: ["https://app.example.com", "https://*.preview.example.com", "http://localhost:*"]
          methods: [GET, POST, DELETE]
          headers: [content-type, x-api-key]
          expose: [x-total-count, x-origin]
          credentials: true
          maxAge: 1h
      - { match: { prefix: /files }, forward: app, cors: { origins: ["null", "https://a.example"], methods: ["*"] } }
      - match: { prefix: /closed }
        forward: app
        cors: { origins: ["https://app.example.com"] }
        basicAuth: { users: { ann: '${hash}' } }
        rewrite: { path: "^/closed", to: "" }
      - { match: { prefix: /dead }, forward: dead, cors: { origins: ["https://app.example.com"] } }
      - { match: { prefix: /fixed }, respond: { body: x }, cors: true }
      - { match: { prefix: /moved }, redirect: /there, cors: { origins: ["https://app.example.com"] } }
      - match: { prefix: /edited }
        forward: app
        rewrite: { path: "^/edited", to: "" }
        cors: { origins: ["https://app.example.com"] }
        responseHeaders: { set: { access-control-allow-origin: "https://own.example" } }
      - { forward: app }
pools: { app: { endpoints: ["${origin.address}"] }, dead: { endpoints: ["127.0.0.1:1"] } }
`);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

const home = "https://app.example.com";

/** The fields that browsers look at, without their prefix, by lower-case name. */
function said(response: RawResponse): Record<string, string> {
  const fields = response.headers.map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const prefix = "access-control-";
  const told = fields.filter(([name]) => name.startsWith(prefix) || name === "vary");
  const names = told.map(([name]) => name);
  expect(names).toEqual([...new Set(names)]); // browsers take no field that comes twice
  return Object.fromEntries(told.map(([name, value]) => [name.replace(prefix, ""), value]));
}

const from = (who: string | null, options: RequestOptions): Promise<RawResponse> =>
  request(address, { ...options, headers: [...(who === null ? [] : [`Origin: ${who}`]), ...(options.headers ?? [])] });

async function preflight(path: string, who: string, method: string, fields?: string): Promise<Record<string, string>> {
  const asks = fields === undefined ? [] : [`Access-Control-Request-Headers: ${fields}`];
  const headers = [`Access-Control-Request-Method: ${method}`, ...asks];
  const before = origin.stats().requests;
  const response = await from(who, { method: "OPTIONS", path, headers });
  expect([response.status, response.body.length, response.header("content-length")]).toEqual([204, 0, null]);
  expect(origin.stats().requests).toBe(before);
  return said(response);
}

describe("preflights are answered here", () => {
  test("cors: true allows everybody everything, without credentials", async () => {
    expect(await preflight("/public/x", "https://any.example", "PUT", "X-A, content-type")).toEqual({
      "allow-origin": "*",
      "allow-methods": expect.any(String),
      "allow-headers": "X-A, content-type",
      "max-age": expect.stringMatching(/^\d+$/),
      vary: "Access-Control-Request-Headers",
    });
  });

  test("what is listed is allowed, whatever is asked for: the browser draws the conclusion", async () => {
    for (const who of [home, "https://x.preview.example.com", "http://localhost:3000"]) {
      expect(await preflight("/api/ok", who, "PATCH", "x-other")).toEqual({
        "allow-origin": who,
        "allow-credentials": "true",
        "allow-methods": "GET, POST, DELETE",
        "allow-headers": "content-type, x-api-key",
        "max-age": "3600",
        vary: "Origin",
      });
    }
  });

  test("origins that are not are told nothing but that it depends", async () => {
    const strangers = [
      "https://evil.example",
      "http://app.example.com",
      "https://app.example.com:8443",
      "https://app.example.com.evil.example",
      "https://preview.example.com",
      "https://evil.example/.preview.example.com",
      "https://evil.example?.preview.example.com",
      "https://evil.example#.preview.example.com",
      "https://a@evil.example:x.preview.example.com",
      "https://a b.preview.example.com",
      "http://localhost:3000/",
      "http://localhost:evil.example",
      "null",
      "",
      "*",
    ];
    for (const who of strangers)
      expect([who, await preflight("/api/ok", who, "GET")]).toEqual([who, { vary: "Origin" }]);
  });

  test("null only where it is written out; a method that was asked for, where all are", async () => {
    const told = await preflight("/files/x", "null", "BREW");
    expect([told["allow-origin"], told["allow-methods"]]).toEqual(["null", "BREW"]);
    expect(told["vary"]).toBe("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
  });

  test("before anybody is asked for a password", async () => {
    expect((await preflight("/closed/ok", home, "GET"))["allow-origin"]).toBe(home);
  });

  test("also for routes that do not forward", async () => {
    expect((await preflight("/fixed", "https://any.example", "GET"))["allow-origin"]).toBe("*");
    expect((await preflight("/moved", home, "GET"))["allow-origin"]).toBe(home);
  });

  test("an OPTIONS that is none goes to the endpoint, and so does one where nothing says cors", async () => {
    const asks = ["Access-Control-Request-Method: GET"];
    for (const [path, headers] of [
      ["/api/ok", [`Origin: ${home}`]],
      ["/api/ok", asks],
      ["/ok", [`Origin: ${home}`, ...asks]],
    ] as const) {
      const response = await request(address, { method: "OPTIONS", path, headers });
      expect([path, response.status, response.header("x-origin")]).toEqual([path, 200, "a"]);
    }
  });

  test("nothing is echoed that is no list of names", async () => {
    const told = await preflight("/public/x", "https://any.example", "GET", 'x"y, <script>');
    expect(told["allow-headers"]).toBeUndefined();
  });

  test("the connection goes on behind one, and the log has the route", async () => {
    using client = await connect(address);
    const asks = `Origin: ${home}\r\nAccess-Control-Request-Method: GET\r\n`;
    await client.send(`OPTIONS /api/log HTTP/1.1\r\nHost: x\r\n${asks}\r\nGET /ok HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect((await client.read()).status).toBe(204);
    expect((await client.read()).text()).toBe("a ok\n");
    const entry = await logged(sluice, ({ target }) => target === "/api/log");
    expect([entry.status, entry.route, entry.attempts]).toEqual([204, "1", 0]);
  });
});

describe("other answers", () => {
  const allowed = {
    "allow-origin": home,
    "allow-credentials": "true",
    "expose-headers": "x-total-count, x-origin",
    vary: "Origin",
  };

  test("say who may read them; to others, and to nobody, only that it depends", async () => {
    expect(said(await from(home, { path: "/api/ok" }))).toEqual(allowed);
    expect(said(await from("https://evil.example", { path: "/api/ok" }))).toEqual({ vary: "Origin" });
    expect(said(await from(null, { path: "/api/ok" }))).toEqual({ vary: "Origin" });
    expect(said(await from(null, { path: "/public/ok" }))).toEqual({ "allow-origin": "*" });
    expect(said(await from(home, { path: "/ok" }))).toEqual({});
    expect(said(await from(home, { path: "/api/size?n=5", method: "HEAD" }))).toEqual(allowed);
  });

  test("the request is forwarded whoever asks", async () => {
    const { status, header } = await from("https://evil.example", { path: "/api/ok", method: "DELETE" });
    expect([status, header("x-origin")]).toEqual([200, "a"]);
    expect(origin.last("/ok").headers).toContainEqual(["Origin", "https://evil.example"]);
  });

  test("lose what the endpoint says about it, and keep its other Vary", async () => {
    const lines = [
      "Access-Control-Allow-Origin: *",
      "access-control-allow-credentials: true",
      "Access-Control-Expose-Headers: all",
      "Access-Control-Allow-Methods: ALL",
      "Access-Control-Allow-Headers: all",
      "Access-Control-Max-Age: 9",
    ];
    const answering = (...more: string[]): string => {
      const answer = `HTTP/1.1 200 OK\r\n${[...lines, ...more].join("\r\n")}\r\nContent-Length: 0\r\n\r\n`;
      return `/raw?base64=${Buffer.from(answer).toString("base64url")}`;
    };
    expect(said(await from("https://evil.example", { path: `/api${answering()}` }))).toEqual({ vary: "Origin" });
    expect(said(await from(home, { path: `/api${answering("Vary: accept, ORIGIN")}` }))).toEqual({
      ...allowed,
      vary: "accept, ORIGIN",
    });
    const both = await from(home, { path: `/api${answering("Vary: accept")}` });
    expect(both.headers.filter(([name]) => name.toLowerCase() === "vary").map(([, value]) => value)).toEqual([
      "accept",
      "Origin",
    ]);
    // Where cors is not the balancer's business, all that is the endpoint's.
    expect(said(await from(home, { path: answering() }))["max-age"]).toBe("9");
  });

  test("errors can be read as well: refusals, redirects, fixed answers and what no endpoint could answer", async () => {
    const told = { "allow-origin": home, vary: "Origin" };
    const refused = await from(home, { path: "/closed/ok" });
    expect([refused.status, said(refused)]).toEqual([401, told]);
    const dead = await from(home, { path: "/dead" });
    expect([dead.status, said(dead)]).toEqual([502, told]);
    expect(said(await from("https://evil.example", { path: "/dead" }))).toEqual({ vary: "Origin" });
    const moved = await from(home, { path: "/moved" });
    expect([moved.status, said(moved)]).toEqual([302, told]);
    expect(said(await from(home, { path: "/fixed" }))).toEqual({ "allow-origin": "*" });
    const inside = await from(home, { path: "/closed/ok", headers: [`Authorization: Basic ${btoa("ann:secret")}`] });
    expect([inside.status, said(inside)]).toEqual([200, told]);
  });

  test("an edit of the route has the last word", async () => {
    expect(said(await from(home, { path: "/edited/ok" }))["allow-origin"]).toBe("https://own.example");
  });
});
