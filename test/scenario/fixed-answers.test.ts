// The action respond: statuses, templates in bodies and fields, HEAD, statuses without a body, and the connection
// behind such an answer.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { patternBody } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

let sluice: Sluice;
let address = "";

const bodyless = [204, 205, 304] as const;
const long = 40_000;

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { name: ping, match: { path: /ping }, respond: { body: "pong\\n" } }
      - { match: { path: /nothing }, respond: {} }
      - match: { prefix: /shop }
        respond:
          status: 503
          headers: { content-type: application/json, retry-after: "600", x-empty: "{query.none}", x-path: "{path}" }
          body: '{"error": {"path": "{path}", "id": "{requestId}", "q": "{query.q}", "b": "{{path}"}}'
      - { match: { path: /odd }, respond: { status: 599, body: "grün {header.x-v}", headers: { Server: mine } } }
      - { match: { path: /long }, respond: { body: "${"0123456789".repeat(long / 10)}" } }
      - { match: { path: /template }, respond: { body: "${"{path}".repeat(1000)}", headers: { x-v: "{header.x-v}!" } } }
      - { match: { path: /s204-template }, respond: { status: 204, headers: { x-path: "{path}" } } }
${bodyless.map((status) => `      - { match: { path: /s${status} }, respond: { status: ${status} } }`).join("\n")}
`);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
});

test("status 200 and text in UTF-8 unless it says otherwise", async () => {
  const ping = await request(address, { path: "/ping" });
  expect([ping.status, ping.reason, ping.text()]).toEqual([200, "OK", "pong\n"]);
  expect(ping.headers.map(([name]) => name.toLowerCase()).sort()).toEqual(["content-length", "content-type", "date"]);
  expect(ping.header("content-type")).toBe("text/plain; charset=utf-8");
  const nothing = await request(address, { path: "/nothing" });
  expect([nothing.status, nothing.header("content-length"), nothing.header("content-type")]).toEqual([200, "0", null]);
});

test("placeholders in body and fields; a field of nothing but empty ones is not sent", async () => {
  const headers = ["X-Request-Id: id-1"];
  const answer = await request(address, { path: "/shop/a?q=%22&r", headers });
  expect([answer.status, answer.reason, answer.header("retry-after")]).toEqual([503, "Service Unavailable", "600"]);
  expect(answer.headers.filter(([name]) => name.toLowerCase() === "content-type")).toHaveLength(1);
  expect([answer.header("x-empty"), answer.header("x-path")]).toEqual([null, "/shop/a"]);
  expect(JSON.parse(answer.text())).toEqual({ error: { path: "/shop/a", id: "id-1", q: "%22", b: "{path}" } });
});

test("any status, any bytes; the length is that of the bytes", async () => {
  const answer = await request(address, { path: "/odd", headers: ["X-V: \xe4\t{path}"] });
  expect([answer.status, answer.header("server")]).toEqual([599, "mine"]);
  expect(answer.body).toEqual(Buffer.concat([Buffer.from("grün "), Buffer.from("\xe4\t{path}", "latin1")]));
  const template = await request(address, { path: "/template", headers: ["X-V: a\tb"] });
  expect(template.text()).toBe("/template".repeat(1000));
  expect(template.header("x-v")).toBe("a\tb!");
});

test("HEAD gets the head of a GET", async () => {
  for (const path of ["/ping", "/shop/x", "/long", "/template"]) {
    const get = await request(address, { path });
    const head = await request(address, { path, method: "HEAD" });
    expect([head.status, head.header("content-length")]).toEqual([get.status, String(get.body.length)]);
    expect(head.header("content-type")).toBe(get.header("content-type"));
  }
});

test("204, 205 and 304 have no body, and the connection goes on right behind them", async () => {
  using client = await connect(address);
  for (const status of bodyless) {
    await client.send(requestBytes(address, { path: `/s${status}` }));
    const answer = await client.read();
    expect([answer.status, answer.body.length]).toEqual([status, 0]);
    expect(answer.header("content-length")).toBe(status === 205 ? "0" : null);
    expect(answer.header("transfer-encoding")).toBeNull();
  }
  await client.send(requestBytes(address, { path: "/s204-template" }));
  expect((await client.read()).header("x-path")).toBe("/s204-template");
  await client.send(requestBytes(address, { path: "/ping" }));
  expect((await client.read()).text()).toBe("pong\n");
});

test("pipelined requests get their answers in order", async () => {
  using client = await connect(address);
  const paths = ["/ping", "/s204", "/long", "/nothing", "/template", "/ping"];
  await client.send(Buffer.concat(paths.map((path) => requestBytes(address, { path }))));
  const lengths: number[] = [];
  while (lengths.length < paths.length) lengths.push((await client.read()).body.length);
  expect(lengths).toEqual([5, 0, long, 0, 9000, 5]);
});

test("a body that nobody asked for is read away, or costs the connection; never the answer", async () => {
  using client = await connect(address);
  await client.send(requestBytes(address, { method: "POST", path: "/ping", body: patternBody(50_000) }));
  expect((await client.read()).text()).toBe("pong\n");
  await client.send(requestBytes(address, { path: "/ping" }));
  expect((await client.read()).text()).toBe("pong\n");
  using other = await connect(address);
  await other.send("POST /ping HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
  const answer = await other.read();
  expect([answer.status, answer.interim.length]).toEqual([200, 0]);
});

test("HTTP/1.0: answered, and closed", async () => {
  using client = await connect(address);
  await client.send("GET /ping HTTP/1.0\r\n\r\n");
  const answer = await client.read();
  expect([answer.status, answer.text()]).toEqual([200, "pong\n"]);
  expect(await client.waitForEnd()).toBe("fin");
});

test("the log has the route, no pool and what was sent", async () => {
  const answer = await request(address, { path: "/ping?log" });
  const entry = await logged(sluice, ({ target }) => target === "/ping?log");
  expect([entry.status, entry.route, entry.pool, entry.attempts, entry.termination]).toEqual([
    200,
    "ping",
    "",
    0,
    "--",
  ]);
  expect(entry.bytesSent).toBe(answer.head.length + answer.body.length);
});
