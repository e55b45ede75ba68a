// Answers of an authentication service that are remembered: for which requests, for how long, and what is never
// remembered. Counted at the service.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type RawClient, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { headerOf } from "./lib/request-reader.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const [app, auth] = [startOrigin({ name: "app" }), startOrigin({ name: "auth" })];
/** What the service answers, besides a user of its own for each question. */
let answer = "200 x";
auth.on("/verify", (exchange) => {
  const { sequence, connection } = exchange.request;
  exchange.send(`HTTP/1.1 ${answer}\r\nX-User: user-${connection}-${sequence}\r\nContent-Length: 0\r\n\r\n`);
  exchange.done();
});
let sluice: Sluice;
/** All requests but a few go over this connection: a worker remembers for itself. */
let client: RawClient;

const ask = "pool: auth, copyHeaders: [x-user]";
const routes: Readonly<Record<string, string>> = {
  session: `path: /verify, cache: 1h`,
  key: `path: /verify, cache: 1h, cacheKey: [x-key]`,
  sent: `path: /verify, cache: 1h, cacheKey: [x-key], requestHeaders: [x-sent]`,
  uri: `path: "/verify?{uri}", cache: 1h`,
  method: `path: /verify, cache: 300ms`,
  never: `path: /verify`,
  lax: `path: /verify, cache: 1h, onError: allow`,
};
const yaml = (rest: string, hours = "1h"): string => `
workers: 2
accessLog: off
listeners:
  web:
    bind: "127.0.0.1:0"
    trustedProxies: [127.0.0.0/8]
    routes:
${Object.entries(routes)
  .map(([host, text]) => `      - { match: { host: "*.${host}" }, forward: app, forwardAuth: { ${ask}, ${text} } }\n`)
  .join("")
  .replaceAll("1h", hours)}
      - { name: ${rest}, forward: app }
pools:
  app: { endpoints: ["${app.address}"] }
  auth: { endpoints: ["${auth.address}"], passive: off }
`;

beforeAll(async () => {
  sluice = await startSluice(yaml("rest"));
  client = await connect(sluice.address("web"));
});
afterAll(async () => {
  client.close();
  await sluice.kill();
  await app.close();
  await auth.close();
});

/** One request: its status, who it is for by the service's word, and whether the service was asked. */
async function send(host: string, line = "GET /ok", ...fields: string[]): Promise<string> {
  const [method = "", path = ""] = line.split(" ");
  const before = auth.stats().requests;
  await client.send(requestBytes("", { method, path, headers: [`Host: ${host}`, ...fields] }));
  const { status } = await client.read({ method });
  const asked = auth.stats().requests - before;
  return `${status}${asked === 0 ? "" : ` asked ${asked}`}`;
}

/** The user that the endpoint was told last. */
const user = (): string | undefined => headerOf(app.requests().at(-1)!, "x-user");

let hosts = 0;
/** A host of the route that nobody has asked about yet. */
const fresh = (route: string): string => `host-${++hosts}.${route}`;

test("the same session is asked about once, whatever the path; its fields are set each time", async () => {
  const host = fresh("session");
  expect(await send(host, "GET /ok", "Cookie: a=1")).toBe("200 asked 1");
  const known = user();
  expect(known).toStartWith("user-");
  for (const line of ["GET /ok", "GET /size?n=5", "GET /status?code=404"]) {
    expect(await send(host, line, "Cookie: a=1", "X-User: eve", "X-Request-Id: 7")).toMatch(/^(200|404)$/);
    expect([
      user(),
      app
        .requests()
        .at(-1)!
        .headers.filter(([name]) => name.toLowerCase() === "x-user").length,
    ]).toEqual([known, 1]);
  }
});

const others: Readonly<Record<string, readonly [one: readonly string[], two: readonly string[]]>> = {
  "another cookie": [
    ["GET /ok", "Cookie: a=1"],
    ["GET /ok", "Cookie: a=2"],
  ],
  "no cookie": [["GET /ok", "Cookie: a=1"], ["GET /ok"]],
  "another Authorization": [
    ["GET /ok", "Authorization: Bearer a"],
    ["GET /ok", "Authorization: Bearer b"],
  ],
  "two cookies, or one": [
    ["GET /ok", "Cookie: a=1", "Cookie: b=2"],
    ["GET /ok", "Cookie: a=1; b=2"],
  ],
  "another method": [["GET /ok"], ["POST /ok", "Content-Length: 0"]],
  "another address": [
    ["GET /ok", "X-Forwarded-For: 192.0.2.1"],
    ["GET /ok", "X-Forwarded-For: 192.0.2.2"],
  ],
  "another scheme": [
    ["GET /ok", "X-Forwarded-Proto: http"],
    ["GET /ok", "X-Forwarded-Proto: https"],
  ],
};

test.each(Object.entries(others))("another question: %s", async (_name, [one, two]) => {
  const host = fresh("session");
  for (const [line = "", ...fields] of [one, two]) {
    expect(await send(host, line, ...fields)).toBe("200 asked 1");
    const known = user();
    expect([await send(host, line, ...fields), user()]).toEqual(["200", known]);
  }
  expect(await send(fresh("session"), ...(one as [string]))).toBe("200 asked 1"); // another host
});

test("cacheKey and requestHeaders make the question, and all that the service is told", async () => {
  const host = fresh("key");
  expect(await send(host, "GET /ok", "X-Key: 1", "Cookie: a=1", "X-More: 1")).toBe("200 asked 1");
  const question = auth.requests().at(-1)!;
  const told = ["x-key", "cookie", "x-more", "x-forwarded-uri", "x-original-uri", "x-original-url"];
  expect(told.map((name) => headerOf(question, name))).toEqual(["1", ...told.slice(1).map(() => undefined)]);
  expect(await send(host, "GET /ok", "X-Key: 1", "Cookie: a=2")).toBe("200");
  expect(await send(host, "GET /ok", "X-Key: 2", "Cookie: a=2")).toBe("200 asked 1");
  const sent = fresh("sent");
  expect(await send(sent, "GET /ok", "X-Key: 1", "X-Sent: 1")).toBe("200 asked 1");
  expect(await send(sent, "GET /ok", "X-Key: 1", "X-Sent: 2")).toBe("200 asked 1");
  expect(await send(sent, "GET /ok", "X-Key: 1", "X-Sent: 1", "X-More: 3")).toBe("200");
});

test("with {uri} each path is a question of its own; spellings of one path are one", async () => {
  const host = fresh("uri");
  expect(await send(host, "GET /size?n=1")).toBe("200 asked 1");
  expect(headerOf(auth.requests().at(-1)!, "x-forwarded-uri")).toBe("/size?n=1");
  expect(await send(host, "GET /size?n=2")).toBe("200 asked 1");
  expect(await send(host, "GET /ok/../%73ize?n=2")).toBe("200");
  expect(await send(host, "GET /size?n=1")).toBe("200");
});

test("for as long as it says, and without cache not at all", async () => {
  const host = fresh("method");
  expect(await send(host)).toBe("200 asked 1");
  await waitFor(async () => (await send(host)) === "200 asked 1", { what: "the answer to be too old" });
  const never = fresh("never");
  for (let i = 0; i < 3; i++) expect(await send(never)).toBe("200 asked 1");
});

test("Cache-Control is obeyed where it is stricter", async () => {
  const kept = ["max-age=60", "private, s-maxage=99999999", "public"];
  const not = [
    "no-store",
    "No-Cache",
    "private, max-age=0",
    'max-age="0"',
    "max-age=x",
    "public\r\nCache-Control: no-store",
  ];
  try {
    for (const control of [...kept, ...not]) {
      answer = `200 x\r\nCache-Control: ${control}`;
      const host = fresh("session");
      expect([control, await send(host)]).toEqual([control, "200 asked 1"]);
      expect([control, await send(host)]).toEqual([control, kept.includes(control) ? "200" : "200 asked 1"]);
    }
  } finally {
    answer = "200 x";
  }
});

test("neither refusals nor failures are remembered, nor what passes in spite of one", async () => {
  try {
    for (const [route, status, got] of [
      ["session", 401, 401],
      ["session", 302, 302],
      ["session", 500, 503],
      ["lax", 403, 403],
      ["lax", 503, 200],
    ] as const) {
      answer = `${status} x\r\nCache-Control: max-age=60`;
      const host = fresh(route);
      for (let i = 0; i < 2; i++) expect(await send(host, "GET /ok", "X-User: eve")).toBe(`${got} asked 1`);
      if (got === 200) expect(user()).toBeUndefined();
      answer = "200 x";
      expect(await send(host)).toBe("200 asked 1");
      answer = "401 x";
      expect(await send(host)).toBe("200");
    }
  } finally {
    answer = "200 x";
  }
});

test("each worker asks for itself; a reload forgets nothing but what has changed", async () => {
  const host = fresh("session");
  const address = sluice.address("web");
  const before = auth.stats().requests;
  const all = await Promise.all(Array.from({ length: 16 }, () => connect(address)));
  const bytes = requestBytes("", { headers: [`Host: ${host}`] });
  const round = async (): Promise<number> => {
    for (const each of all) await each.send(bytes);
    for (const each of all) expect((await each.read()).status).toBe(200);
    return auth.stats().requests - before;
  };
  const asked = await round();
  expect(asked).toBeLessThanOrEqual(2);
  expect(await round()).toBe(asked);
  expect((await sluice.reload(yaml("one"))).status).toBe(200);
  expect(await round()).toBe(asked);
  expect((await sluice.reload(yaml("two", "2h"))).status).toBe(200);
  expect([await round(), await round()]).toEqual([2 * asked, 2 * asked]);
  for (const each of all) each.close();
  expect((await sluice.metrics()).sum("sluice_worker_exceptions_total")).toBe(0);
});
