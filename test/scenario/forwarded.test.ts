// What an endpoint is told about the client, whom of the proxies before it is believed, the request id from end to end,
// and Via.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { type RequestOptions, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  web: { bind: "127.0.0.1:0", forward: app }
  behind: { bind: "127.0.0.1:0", forward: app, trustedProxies: [127.0.0.2, "127.0.0.16/28", "fd00::/8"], via: edge-1 }
  broken: { bind: "127.0.0.1:0", forward: dead }
pools:
  app: { endpoints: ["${origin.address}"] }
  dead: { endpoints: ["127.0.0.1:1"] }
`);
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

/** The values of a field that the endpoint received, by name in any case. */
async function received(listener: string, name: string, options: RequestOptions): Promise<string[]> {
  expect((await request(sluice.address(listener), { path: "/echo", ...options })).status).toBe(200);
  const { headers } = origin.last("/echo");
  return headers.filter(([each]) => each.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

test("the endpoint learns address, scheme, host and port, and gets the Host of the client", async () => {
  const port = sluice.address("web").split(":")[1]!;
  const expected = {
    "X-Forwarded-For": "127.0.0.9",
    "X-Real-IP": "127.0.0.9",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "shop.example:8",
    "X-Forwarded-Port": port,
    Host: "shop.example:8",
  };
  for (const [name, value] of Object.entries(expected)) {
    const options = { from: "127.0.0.9", headers: ["Host: shop.example:8"] };
    expect([name, await received("web", name, options)]).toEqual([name, [value]]);
  }
});

test("claims of an untrusted client are replaced", async () => {
  const claims = [
    "X-Forwarded-For: 6.6.6.6",
    "x-forwarded-for: 7.7.7.7",
    "X-Real-IP: 6.6.6.6",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 443",
    "Forwarded: for=6.6.6.6",
  ];
  for (const [listener, from] of [
    ["web", "127.0.0.1"],
    ["behind", "127.0.0.1"],
    ["behind", "127.0.0.32"],
  ] as const) {
    const ask = (name: string): Promise<string[]> =>
      received(listener, name, { from, headers: ["Host: h.example", ...claims] });
    expect(await ask("X-Forwarded-For")).toEqual([from]);
    expect(await ask("X-Real-IP")).toEqual([from]);
    expect(await ask("X-Forwarded-Proto")).toEqual(["http"]);
    expect(await ask("X-Forwarded-Host")).toEqual(["h.example"]);
    expect(await ask("X-Forwarded-Port")).toEqual([sluice.address(listener).split(":")[1]!]);
    expect(await ask("Forwarded")).toEqual([]);
  }
});

test("a trusted proxy is believed and appended to", async () => {
  const headers = [
    "X-Forwarded-For: 6.6.6.6, 9.9.9.9",
    "X-Forwarded-For: 127.0.0.17",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Port: 443",
  ];
  for (const from of ["127.0.0.2", "127.0.0.31"]) {
    const ask = (name: string, more: readonly string[] = []): Promise<string[]> =>
      received("behind", name, { from, headers: [...headers, ...more] });
    expect(await ask("X-Forwarded-For")).toEqual([`6.6.6.6, 9.9.9.9, 127.0.0.17, ${from}`]);
    expect(await ask("X-Forwarded-Proto")).toEqual(["https"]);
    expect(await ask("X-Forwarded-Host")).toEqual(["shop.example"]);
    expect(await ask("X-Forwarded-Port")).toEqual(["443"]);
    // The last address that is no trusted proxy is the client, here and in the log.
    expect(await ask("X-Real-IP")).toEqual(["9.9.9.9"]);
    expect(await ask("X-Real-IP", ["X-Real-IP: 5.5.5.5"])).toEqual(["5.5.5.5"]);
  }
  const path = "/ok?behind";
  await request(sluice.address("behind"), { path, from: "127.0.0.2", headers });
  expect((await logged(sluice, ({ target }) => target === path)).client).toBe("9.9.9.9");
});

test("a trusted proxy that says nothing is a client like any other", async () => {
  const from = "127.0.0.2";
  expect(await received("behind", "X-Forwarded-For", { from })).toEqual([from]);
  expect(await received("behind", "X-Real-IP", { from })).toEqual([from]);
  expect(await received("behind", "X-Forwarded-Proto", { from })).toEqual(["http"]);
});

test("a good request id is kept, the same in the log; another is replaced by 32 hexadecimal digits", async () => {
  const good = ["abc-123_4.5~6", "Root=1-67891233-abcdef012345678912345678", "x".repeat(128)];
  const long = `X-Request-Id: ${"x".repeat(129)}`;
  const bad = [[], ["X-Request-Id:"], ["X-Request-Id: a b"], ['X-Request-Id: "'], [long]];
  const sent = new Map<string, string>();
  for (const id of good) {
    const path = `/echo?good=${good.indexOf(id)}`;
    expect(await received("web", "X-Request-Id", { path, headers: [`x-request-id: ${id}`] })).toEqual([id]);
    sent.set(path, id);
  }
  for (const headers of bad) {
    const path = `/echo?bad=${bad.indexOf(headers)}`;
    const [id = "", ...more] = await received("web", "X-Request-Id", { path, headers });
    expect(more).toEqual([]);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    sent.set(path, id);
  }
  expect(new Set(sent.values()).size).toBe(good.length + bad.length);
  for (const [path, id] of sent) expect((await logged(sluice, ({ target }) => target === path)).requestId).toBe(id);
});

test("a trace of the client goes on, and one begins where there is none", async () => {
  const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
  expect(await received("web", "traceparent", { headers: [`Traceparent: ${trace}`] })).toEqual([trace]);
  const begun = await received("web", "traceparent", { headers: ["traceparent: nonsense", "tracestate: a=b"] });
  expect(begun).toEqual([expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)]);
  expect(await received("web", "tracestate", { headers: ["tracestate: a=b"] })).toEqual([]);
});

test("error bodies carry the request id, in JSON if asked for, and no address of an endpoint", async () => {
  const address = sluice.address("broken");
  const text = await request(address, { path: "/text" });
  expect([text.status, text.header("content-type")]).toEqual([502, "text/plain"]);
  const id = /^502 Bad Gateway\nrequest id: ([0-9a-f]{32})\n$/.exec(text.text())?.[1] ?? "none";
  expect((await logged(sluice, ({ target }) => target === "/text")).requestId).toBe(id);
  const headers = ["Accept: application/json", "X-Request-Id: mine-1"];
  const json = await request(address, { path: "/json", headers });
  expect([json.status, json.header("content-type")]).toEqual([502, "application/json"]);
  expect(JSON.parse(json.text())).toEqual({ error: { status: 502, message: "Bad Gateway", requestId: "mine-1" } });
  expect((await logged(sluice, ({ target }) => target === "/json")).requestId).toBe("mine-1");
  for (const response of [text, json]) expect(response.head + response.text()).not.toContain("127.0.0.1");
  const nothing = await request(address, { method: "HEAD" });
  expect([nothing.status, nothing.body.length]).toEqual([502, 0]);
});

test("via names the balancer in both directions, behind those who were there before", async () => {
  expect(await received("web", "Via", {})).toEqual([]);
  expect((await request(sluice.address("web"))).header("via")).toBeNull();
  expect(await received("behind", "Via", { headers: ["Via: 1.0 fred"] })).toEqual(["1.0 fred", "1.1 edge-1"]);
  expect((await request(sluice.address("behind"))).header("via")).toBe("1.1 edge-1");
});
