// Active checks: what is asked, what counts as a good answer, when the verdict changes, and where it can be seen.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { becomes, endpoint, events } from "./lib/admin.ts";
import { request } from "./lib/client.ts";
import { startFullListener } from "./lib/full-listener.ts";
import { startOrigin } from "./lib/origin.ts";
import type { OriginExchange } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
const checked = startOrigin({ name: "checked" });
const counted = startOrigin({ name: "counted" });
const gone = startOrigin({ name: "gone" });
const full = await startFullListener();
let sluice: Sluice;

function answer(exchange: OriginExchange, status: number, body: string): void {
  exchange.send(`HTTP/1.1 ${status} X\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
  exchange.done();
}

/** Answers to /thresholds in order: p passes, f fails; then all pass. */
let script = "";
origin.on("/thresholds", (exchange) => {
  answer(exchange, script.startsWith("f") ? 500 : 200, "");
  script = script.slice(1);
});

let waiting: OriginExchange | null = null;
origin.on("/wait", (exchange) => {
  if (waiting === null) waiting = exchange;
  else answer(exchange, 200, "");
});

const countedSince = performance.now();
const countedIntervalMs = 100;

beforeAll(async () => {
  await gone.close();
  const often = "interval: 30ms, timeout: 2s";
  const one = (name: string, address: string, health: string): string =>
    `  ${name}: { endpoints: [ { id: e, address: "${address}" } ], health: ${health} }\n`;
  const elsewhere =
    `{ path: "/ready?full=1", method: OPTIONS, host: app.example.com, headers: { x-probe: "yes", user-agent: mine }, ` +
    `port: ${checked.port}, expect: { status: 404 }, ${often} }`;
  sluice = await startSluice(`
workers: 3
accessLog: off
listeners:
  web: { bind: "127.0.0.1:0", forward: good }
  later: { bind: "127.0.0.1:0", forward: later }
  trusting: { bind: "127.0.0.1:0", forward: trusting }
pools:
${one("good", origin.address, `{ ${often} }`)}
${one("defaults", checked.address, "{}")}
${one("thresholds", origin.address, `{ path: /thresholds, healthyThreshold: 2, unhealthyThreshold: 3, ${often} }`)}
${one("status", origin.address, `{ path: "/status?code=404", expect: { status: [204, 400-404] }, ${often} }`)}
${one("wrongStatus", origin.address, `{ path: "/status?code=404", unhealthyThreshold: 2, ${often} }`)}
${one("body", origin.address, `{ path: /ok, expect: { body: "a ok" }, ${often} }`)}
${one("wrongBody", origin.address, `{ path: /ok, expect: { body: "b ok" }, unhealthyThreshold: 1, ${often} }`)}
${one("silent", origin.address, "{ path: /never, interval: 50ms, timeout: 100ms, unhealthyThreshold: 1 }")}
${one("tcp", origin.address, `{ protocol: tcp, ${often} }`)}
${one("refused", gone.address, `{ protocol: tcp, unhealthyThreshold: 1, ${often} }`)}
${one("full", full.address, "{ protocol: tcp, interval: 50ms, timeout: 100ms, unhealthyThreshold: 1 }")}
${one("elsewhere", gone.address, elsewhere)}
${one("later", origin.address, `{ path: /wait, initial: wait, ${often} }`)}
${one("trusting", origin.address, "{ path: /never, initial: up, timeout: 1m }")}
${one("counted", counted.address, `{ interval: ${countedIntervalMs}ms }`)}
`);
});
afterAll(async () => {
  await sluice.kill();
  for (const each of [origin, checked, counted]) await each.close();
  await full[Symbol.asyncDispose]();
});

const health = (pool: string, word: "up" | "down"): ReturnType<typeof endpoint> =>
  becomes(sluice, pool, "e", { health: word, usable: word === "up" });

test("the verdict changes at the thresholds, neither before nor after", async () => {
  await health("thresholds", "up");
  script = "ffpffpfffpfppfp";
  await waitFor(() => script === "", { what: "all of the script to be asked for" });
  const view = await endpoint(sluice, "thresholds", "e");
  expect(view.transitions.map(({ from, to }) => `${from} ${to}`)).toEqual(["unknown up", "up down", "down up"]);
  expect(view.transitions[1]!.reason).toContain("500");
  const seen = (await events(sluice, "health changed")).filter(({ fields }) => fields["pool"] === "thresholds");
  expect(seen.map(({ level, fields }) => `${level} ${fields["to"]}`).slice(-2)).toEqual(["warn down", "info up"]);
  expect(sluice.stderr()).toMatch(/event="health changed" pool=thresholds endpoint=e from=up to=down reason=.*500/);
  const metrics = await sluice.metrics();
  const labels = { pool: "thresholds", endpoint: "e" };
  expect(metrics.sum("sluice_endpoint_health_changes_total", labels)).toBe(3);
  expect(metrics.sum("sluice_endpoint_health", { ...labels, state: "up" })).toBe(1);
  expect(metrics.sum("sluice_endpoint_health", { ...labels, state: "down" })).toBe(0);
});

test("expect.status and expect.body decide what is a good answer", async () => {
  await health("status", "up");
  await health("body", "up");
  expect((await health("wrongStatus", "down")).lastCheck).toMatchObject({ ok: false });
  expect((await health("wrongBody", "down")).reason).toContain("body");
  expect((await endpoint(sluice, "wrongStatus", "e")).reason).toContain("404");
});

test("an endpoint that is silent, refuses, or takes no connection is down, and the reason says so", async () => {
  expect((await health("silent", "down")).reason).toBe("timed out after 100ms");
  expect((await health("refused", "down")).reason).toBe("connection refused");
  expect((await health("full", "down")).reason).toBe("timed out after 100ms while connecting");
});

test("a tcp check is satisfied by a connection, and sends nothing", async () => {
  expect((await health("tcp", "up")).lastCheck).toMatchObject({ ok: true, reason: "" });
  expect(origin.stats().errors).toEqual([]);
});

test("what is asked: by default, and with every key", async () => {
  await health("defaults", "up");
  await health("elsewhere", "up");
  const [plain, own] = ["/health", "/ready"].map((path) => checked.last(path));
  expect(plain!.head).toStartWith("GET /health HTTP/1.1\r\n");
  expect(plain!.headers).toContainEqual(["Host", checked.address]);
  expect(plain!.headers).toContainEqual(["Connection", "close"]);
  expect(own!.head).toStartWith("OPTIONS /ready?full=1 HTTP/1.1\r\n");
  const fields = new Map(own!.headers);
  expect(fields.get("Host")).toBe("app.example.com");
  expect([fields.get("x-probe"), fields.get("user-agent")]).toEqual(["yes", "mine"]);
});

test("initial: wait uses an endpoint only after its first good check; initial: up does not wait", async () => {
  await waitFor(() => waiting !== null, { what: "the first check to arrive" });
  expect(await endpoint(sluice, "later", "e")).toMatchObject({ health: "unknown", reason: "not checked yet" });
  expect((await request(sluice.address("later"))).status).toBe(503);
  expect((await request(sluice.address("trusting"))).status).toBe(200);
  expect(await endpoint(sluice, "trusting", "e")).toMatchObject({ health: "unknown", usable: true });
  answer(waiting!, 200, "");
  await health("later", "up");
  expect((await request(sluice.address("later"))).status).toBe(200);
});

test("checks are made once for all workers: one per interval, give or take a tenth", async () => {
  await waitFor(() => counted.stats().accepted > 8, { what: "some checks" });
  const elapsedMs = performance.now() - countedSince;
  // Never more than one each 0.9 intervals; each worker on its own would make three times as many.
  expect(counted.stats().accepted).toBeLessThanOrEqual(elapsedMs / (0.9 * countedIntervalMs) + 2);
});

test("an endpoint that dies is found by its check and comes back when it does", async () => {
  const before = startOrigin({ name: "x" });
  const { port } = before;
  const yaml = `
workers: 2
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools:
  app:
    endpoints: [ { id: e, address: "${before.address}" } ]
    health: { protocol: tcp, interval: 30ms, unhealthyThreshold: 2, healthyThreshold: 2 }
`;
  await using alone = await startSluice(yaml);
  await becomes(alone, "app", "e", { health: "up" });
  await before.close();
  await becomes(alone, "app", "e", { health: "down", usable: false });
  expect((await request(alone.address("web"))).status).toBe(503);
  await using after = startOrigin({ name: "x", port });
  await becomes(alone, "app", "e", { health: "up", usable: true });
  expect((await request(alone.address("web"))).text()).toBe("x ok\n");
  expect(after.stats().requests).toBe(1);
});
