// What requests that fail do to an endpoint (passive checks), what happens to them (retries), how an endpoint comes
// back (slow start), and what is left when nobody is usable.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { becomes, endpoint } from "./lib/admin.ts";
import { logged } from "./lib/access-log.ts";
import { type RequestOptions, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import type { Behaviour } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const a = startOrigin({ name: "a" });
const b = startOrigin({ name: "b" });
const gone = startOrigin({ name: "gone" });
let sluice: Sluice;

/** Whether b answers requests, and checks. */
let works = true;
let healthy = true;
const ok: Behaviour = (exchange) => {
  exchange.send(`HTTP/1.1 200 OK\r\nX-Origin: ${exchange.name}\r\nContent-Length: 0\r\n\r\n`);
  exchange.done();
};
a.on("/work", ok);
b.on("/work", (exchange) => (works ? ok(exchange) : exchange.reset()));
b.on("/health", (exchange) => (healthy ? ok(exchange) : exchange.reset()));

beforeAll(async () => {
  await gone.close();
  const pair = (second: string): string =>
    `balance: round-robin, endpoints: [{ id: a, address: "${a.address}" }, { id: b, address: "${second}" }]`;
  const [two, dead] = [pair(b.address), pair(gone.address)];
  const pools: Readonly<Record<string, string>> = {
    trial: `{ ${two}, passive: { maxFails: 3, failTimeout: 2s } }`,
    status: `{ ${two}, passive: { maxFails: 1, failTimeout: 10m } }`,
    refused: `{ ${dead}, passive: { maxFails: 2, failTimeout: 10m } }`,
    off: `{ ${dead}, passive: off }`,
    single: `{ endpoints: ["${gone.address}"], passive: { maxFails: 1, failTimeout: 10m } }`,
    retries: `{ ${two}, passive: off }`,
    slow: `{ ${two}, passive: off, slowStart: 10m, health: { interval: 30ms, unhealthyThreshold: 1 } }`,
    fail: `{ endpoints: ["${gone.address}"], health: { interval: 30ms, unhealthyThreshold: 1 } }`,
    all: `{ ${two}, noneHealthy: all, health: { path: /none, interval: 30ms, unhealthyThreshold: 1 } }`,
  };
  const names = Object.keys(pools);
  const listeners = names.map((name) => `  ${name}: { bind: "127.0.0.1:0", forward: ${name} }\n`);
  const texts = Object.entries(pools).map(([name, pool]) => `  ${name}: ${pool}\n`);
  sluice = await startSluice(`workers: 1\nlisteners:\n${listeners.join("")}pools:\n${texts.join("")}`);
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of [a, b]) await origin.close();
});

const work: RequestOptions = { path: "/work" };
/** Not to be repeated: the failure comes through to the client. */
const once: RequestOptions = { method: "POST", path: "/work", body: "" };

/** Who answers so many requests, as one word; a status in brackets where it was the balancer. */
async function order(pool: string, count: number, options: RequestOptions = work): Promise<string> {
  let names = "";
  for (let i = 0; i < count; i++) {
    const response = await request(sluice.address(pool), options);
    names += response.header("x-origin") ?? `(${response.status})`;
  }
  return names;
}

test("passive: maxFails failures take an endpoint out for failTimeout; then a request decides", async () => {
  works = false;
  expect(await order("trial", 6, once)).toBe("a(502)a(502)a(502)");
  expect(await order("trial", 4, once)).toBe("aaaa");
  const view = await endpoint(sluice, "trial", "b");
  expect([view.usable, view.failures]).toEqual([false, 3]);
  expect(view.reason).toMatch(/^failed too often, for another [12]s$/);
  // It is tried again, and fails again: one request is enough to take it out once more.
  await becomes(sluice, "trial", "b", { usable: true });
  expect((await order("trial", 6, once)).replaceAll("a", "")).toBe("(502)");
  expect((await endpoint(sluice, "trial", "b")).usable).toBe(false);
  works = true;
  await becomes(sluice, "trial", "b", { usable: true });
  await waitFor(async () => (await order("trial", 4)).replaceAll(/(ab|ba)/g, "") === "", {
    what: "b to have its part",
  });
}, 20_000);

test("an answer of status 500 is no failure", async () => {
  const names = await order("status", 10, { path: "/status?code=500" });
  expect(names).toBe("ababababab");
  expect((await endpoint(sluice, "status", "b")).failures).toBe(0);
});

test("a refused connection moves on to another endpoint, also with a body; two of them take it out", async () => {
  expect(await order("refused", 20, { method: "POST", path: "/work", body: "x".repeat(1000) })).toBe("a".repeat(20));
  const metrics = await sluice.metrics();
  const labels = { pool: "refused", endpoint: "b" };
  expect(metrics.sum("sluice_endpoint_connect_failures_total", labels)).toBe(2);
  expect(metrics.sum("sluice_endpoint_retries_total", labels)).toBe(2);
  expect((await endpoint(sluice, "refused", "b")).usable).toBe(false);
});

test("what one worker learns of an endpoint, all of them know", async () => {
  await using three = await startSluice(`
workers: 3
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools:
  app:
    balance: round-robin
    endpoints: [ "${a.address}", "${gone.address}" ]
    passive: { maxFails: 2, failTimeout: 10m }
`);
  for (let i = 0; i < 40; i++) expect((await request(three.address("web"))).text()).toBe("a ok\n");
  expect((await three.metrics()).sum("sluice_endpoint_connect_failures_total")).toBe(2);
});

test("passive: off never takes an endpoint out; a pool of one has nobody else to turn to", async () => {
  expect(await order("off", 20)).toBe("a".repeat(20));
  expect((await sluice.metrics()).sum("sluice_endpoint_connect_failures_total", { pool: "off" })).toBeGreaterThan(9);
  expect(await order("single", 3)).toBe("(502)(502)(502)");
});

test("a request that may be repeated is, once, at another endpoint; others are not", async () => {
  works = false;
  for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
    expect([method, await order("retries", 2, { method, path: "/work" })]).toEqual([method, "aa"]);
  }
  for (const method of ["POST", "PATCH", "LOCK"]) {
    const names = await order("retries", 2, { method, path: "/work", headers: ["Content-Length: 0"] });
    expect([method, names.replace("a", "")]).toEqual([method, "(502)"]);
  }
  const path = "/work?repeated";
  expect(await order("retries", 2, { path })).toBe("aa");
  const entry = await logged(sluice, ({ target, attempts }) => target === path && attempts === 2);
  expect([entry.status, entry.termination, entry.endpoint]).toEqual([200, "--", "a"]);
  works = true;
  // Somebody who fails everywhere is not asked for ever.
  a.on("/bad", (exchange) => exchange.reset());
  b.on("/bad", (exchange) => exchange.reset());
  expect(await order("retries", 1, { path: "/bad" })).toBe("(502)");
  // Once more at the other, and once on a fresh connection if the first was a kept one.
  const asked = (a.stats().byPath["/bad"] ?? 0) + (b.stats().byPath["/bad"] ?? 0);
  expect(asked).toBeGreaterThanOrEqual(2);
  expect(asked).toBeLessThanOrEqual(3);
});

test("slowStart: an endpoint that came up begins with a small share; at the start of all there is none", async () => {
  expect(await order("slow", 10, { path: "/ok" })).toBe("ababababab");
  healthy = false;
  await becomes(sluice, "slow", "b", { health: "down" });
  expect(await order("slow", 4, { path: "/ok" })).toBe("aaaa");
  healthy = true;
  await becomes(sluice, "slow", "b", { health: "up" });
  const share = (await order("slow", 44, { path: "/ok" })).replaceAll("a", "").length;
  expect(share).toBeGreaterThanOrEqual(2);
  expect(share).toBeLessThanOrEqual(8);
});

test("noneHealthy: fail answers 503, all sends to everybody", async () => {
  const id = gone.address;
  await becomes(sluice, "fail", id, { health: "down" });
  const response = await request(sluice.address("fail"), { path: "/none-healthy" });
  expect(response.status).toBe(503);
  const entry = await logged(sluice, ({ target }) => target === "/none-healthy");
  expect([entry.termination, entry.cause, entry.attempts]).toEqual(["PQ", "no-endpoint", 0]);
  expect((await sluice.metrics()).sum("sluice_no_endpoint_total", { listener: "fail" })).toBe(1);
  for (const each of ["a", "b"]) await becomes(sluice, "all", each, { health: "down" });
  expect(await order("all", 4, { path: "/ok" })).toMatch(/^(abab|baba)$/);
});
