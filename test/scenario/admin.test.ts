// The admin listener: who may call, what it shows, and that what it counts is what happened.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ReadinessView, StatusView } from "../../src/runtime/views.ts";
import { patch } from "./lib/admin.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor, within } from "./lib/wait.ts";

const a = startOrigin({ name: "a" });
const b = startOrigin({ name: "b" });
const token = "a-token-of-the-tests";
let sluice: Sluice;

const yaml = (admin: string): string => `
admin: ${admin}
workers: 2
accessLog: off
listeners:
  web: { bind: "127.0.0.1:0", forward: app }
  dead: { bind: "127.0.0.1:0", forward: dead }
pools:
  app: { balance: round-robin, endpoints: [ { id: a, address: "${a.address}" }, { id: b, address: "${b.address}" } ] }
  dead: { endpoints: ["127.0.0.1:1"], health: { unhealthyThreshold: 1, headers: { authorization: "Basic x" } } }
`;
beforeAll(async () => {
  sluice = await startSluice(yaml(`{ bind: "127.0.0.1:0" }`));
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of [a, b]) await origin.close();
});

/** Bytes that clients sent and got, kept by hand. */
const bytes = { sent: 0, received: 0 };

async function send(listener: string, path: string, body: string | null = null): Promise<number> {
  const address = sluice.address(listener);
  const options = body === null ? { path } : { method: "POST", path, body };
  using client = await connect(address);
  const text = requestBytes(address, options);
  await client.send(text);
  const { status } = await client.read();
  bytes.sent += text.length;
  bytes.received += client.received();
  return status;
}

test("the counters add up to what was sent", async () => {
  const statuses: number[] = [];
  for (let i = 0; i < 30; i++) statuses.push(await send("web", "/ok"));
  for (let i = 0; i < 6; i++) statuses.push(await send("web", `/status?code=${[204, 302, 404][i % 3]}`));
  for (let i = 0; i < 4; i++) statuses.push(await send("web", "/upload", "x".repeat(10_000)));
  for (let i = 0; i < 4; i++) statuses.push(await send("web", "/size?n=100000"));
  const web = { listener: "web" };
  const scrape = async (): ReturnType<Sluice["metrics"]> => {
    const metrics = await sluice.metrics();
    return metrics.sum("sluice_connections_open", web) === 0 ? metrics : Promise.reject(new Error("still open"));
  };
  const metrics = await waitFor(scrape, { what: "all clients to be gone" });
  expect(metrics.sum("sluice_connections_accepted_total", web)).toBe(44);
  expect(metrics.sum("sluice_requests_total", web)).toBe(44);
  expect(metrics.sum("sluice_received_bytes_total", web)).toBe(bytes.sent);
  expect(metrics.sum("sluice_sent_bytes_total", web)).toBe(bytes.received);
  for (const digit of [1, 2, 3, 4, 5]) {
    const count = statuses.filter((status) => Math.floor(status / 100) === digit).length;
    const labels = { class: `${digit}xx` };
    expect(metrics.sum("sluice_responses_total", { ...web, ...labels })).toBe(count);
    expect(metrics.sum("sluice_endpoint_responses_total", { pool: "app", ...labels })).toBe(count);
  }
  for (const origin of [a, b]) {
    const labels = { pool: "app", endpoint: origin.name };
    const { requests, accepted } = origin.stats();
    expect(requests).toBeGreaterThan(15);
    expect(metrics.sum("sluice_endpoint_requests_total", labels)).toBe(requests);
    expect(metrics.sum("sluice_endpoint_connects_total", labels)).toBe(accepted);
    expect(metrics.sum("sluice_endpoint_reused_total", labels)).toBe(requests - accepted);
    expect(metrics.sum("sluice_endpoint_latency_seconds_count", labels)).toBe(requests);
    expect(metrics.sum("sluice_endpoint_latency_seconds_bucket", { ...labels, le: "+Inf" })).toBe(requests);
    expect(metrics.sum("sluice_endpoint_latency_seconds_sum", labels)).toBeGreaterThan(0);
    expect(metrics.sum("sluice_endpoint_failures_total", labels)).toBe(0);
    expect(metrics.sum("sluice_endpoint_active_requests", labels)).toBe(0);
  }
  expect(metrics.sum("sluice_endpoint_sent_bytes_total", { pool: "app" })).toBeGreaterThan(bytes.sent);
  expect(metrics.sum("sluice_worker_up")).toBe(2);
  expect(metrics.sum("sluice_worker_exceptions_total")).toBe(0);
});

test("/metrics has every metric that the guide names, and no other", async () => {
  const guide = readFileSync(join(import.meta.dir, "../../docs/guide/operations.md"), "utf8");
  const named = [...guide.matchAll(/^\| `(sluice_\w+)` +\| (gauge|counter|histogram) +\|/gm)].map((match) => match[1]!);
  const { types } = await sluice.metrics();
  expect(Object.keys(types).sort()).toEqual(named.sort());
});

test("status, pools and configuration are shown; secrets are not", async () => {
  const status = await sluice.status<StatusView>();
  expect(status).toMatchObject({ state: "running", generation: 1, reloads: { ok: 0, refused: 0 }, lastReload: null });
  expect(status.listeners.map(({ name }) => name)).toEqual(["web", "dead"]);
  expect(status.listeners[0]!.addresses).toEqual([sluice.address("web")]);
  expect(status.workers.map(({ pid }) => pid).sort()).toEqual(sluice.workerPids().sort());
  const { pools } = (await sluice.admin("/api/v1/pools")).json<{ pools: unknown[] }>();
  expect(pools).toMatchObject([
    { name: "app", balance: "round-robin", usable: 2, endpoints: [{ id: "a" }, { id: "b" }] },
    { name: "dead" },
  ]);
  expect((await sluice.admin("/api/v1/pools/app")).json()).toMatchObject({ name: "app", usable: 2 });
  const { text } = await sluice.admin("/api/v1/config");
  expect(text).toContain('"authorization": "***"');
  expect(text).not.toContain("Basic x");
});

test("/health and /health/ready answer without a token; ready tells of pools that nobody serves", async () => {
  expect(await sluice.admin("/health")).toMatchObject({ status: 200, text: "ok\n" });
  const dead = await waitFor(
    async () => {
      const answer = await sluice.admin("/health/ready");
      return answer.json<ReadinessView>().pools.length === 1 ? answer : null;
    },
    { what: "the dead pool to be found" },
  );
  expect(dead.status).toBe(200);
  expect(dead.json()).toEqual({
    ready: true,
    state: "running",
    workers: { running: 2, wanted: 2 },
    pools: [{ name: "dead", usable: 0, endpoints: 1 }],
  });
});

test("what is not there, and what is not possible, is said in JSON with a hint", async () => {
  const calls: readonly (readonly [string, string, number, string])[] = [
    ["GET", "/api/v1/statsu", 404, "did you mean /api/v1/status"],
    ["POST", "/api/v1/status", 405, "GET"],
    ["PUT", "/api/v1/pools/app/endpoints/a", 405, "PATCH"],
    ["GET", "/api/v1/pools/apps", 404, "did you mean app"],
    ["PATCH", "/api/v1/pools/app/endpoints/a", 400, "not JSON"],
    ["GET", "/api/v1/events?after=x", 400, "after"],
  ];
  for (const [method, path, status, words] of calls) {
    const answer = await sluice.admin(path, { method });
    expect([path, answer.status]).toEqual([path, status]);
    const { error, hint } = answer.json<{ error: string; hint: string }>();
    expect(`${error} ${hint}`).toContain(words);
  }
  expect((await sluice.admin("/")).text).toContain("/api/v1/events");
});

test("events are streamed as they happen, and from where one has left off", async () => {
  const { admin } = await sluice.status<StatusView>();
  const stream = async (after: string): Promise<() => Promise<string>> => {
    const response = await fetch(`http://${admin}/api/v1/events`, { headers: { "last-event-id": after } });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body!.getReader();
    let text = "";
    return async () => {
      const { value } = await within(reader.read(), 5000, () => `more than ${text}`);
      return (text += new TextDecoder().decode(value));
    };
  };
  const next = await stream("0");
  let text = "";
  while (!text.includes("event: running\n")) text = await next();
  await patch(sluice, "app", "a", { weight: 7 });
  while (!text.includes("event: endpoint-set\n")) text = await next();
  const last = [...text.matchAll(/^id: (\d+)\nevent: (\S+)\ndata: (.*)$/gm)].at(-1)!;
  expect(JSON.parse(last[3]!)).toMatchObject({ event: "endpoint set", fields: { endpoint: "a", weight: 7 } });
  const later = await stream(last[1]!);
  await patch(sluice, "app", "a", { weight: 1 });
  text = "";
  while (!text.includes("id: ")) text = await later();
  expect(text).toContain(`id: ${Number(last[1]) + 1}\n`);
});

test("without a token, web pages of other names and origins are refused", async () => {
  const foreign: readonly Record<string, string>[] = [{ host: "evil.example" }, { origin: "http://evil.example" }];
  for (const headers of foreign) {
    const answer = await sluice.admin("/api/v1/status", { headers });
    expect([headers, answer.status]).toEqual([headers, 403]);
    expect(answer.json<{ hint: string }>().hint).toContain("admin.token");
  }
  expect((await sluice.admin("/health", { headers: { host: "evil.example" } })).status).toBe(200);
});

test("with a token every call but health needs it; a reload changes it; admin: off takes everything away", async () => {
  await using guarded = await startSluice(yaml(`{ bind: "127.0.0.1:0", token: ${token} }`));
  const get = async (path: string, given?: string): Promise<number> => {
    const init = given === undefined ? {} : { headers: { authorization: `Bearer ${given}` } };
    return (await guarded.admin(path, init)).status;
  };
  for (const path of ["/", "/metrics", "/api/v1/status", "/api/v1/pools", "/api/v1/config", "/nothing"]) {
    expect([path, await get(path), await get(path, `${token}x`)]).toEqual([path, 401, 401]);
  }
  expect([await get("/health"), await get("/health/ready"), await get("/metrics", token)]).toEqual([200, 200, 200]);
  expect((await guarded.reload()).status).toBe(401);
  const authorized = { method: "POST", headers: { authorization: `Bearer ${token}` } };
  guarded.writeConfig(yaml(`{ bind: "127.0.0.1:0", token: another-${token} }`));
  expect((await guarded.admin("/api/v1/reload", authorized)).status).toBe(200);
  expect([await get("/metrics", token), await get("/metrics", `another-${token}`)]).toEqual([401, 200]);
  guarded.writeConfig(yaml("off"));
  guarded.signal("SIGHUP");
  await waitFor(
    () =>
      get("/health").then(
        () => false,
        () => true,
      ),
    { what: "the admin listener to be gone" },
  );
  expect((await request(guarded.address("web"))).status).toBe(200);
});
