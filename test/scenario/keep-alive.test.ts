// Connections to endpoints: kept and used again within the limits of keepAlive, closed beyond them, and replaced
// without the client noticing when the endpoint has closed one.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, request } from "./lib/client.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const names = ["unlimited", "two", "none", "brief", "three", "fickle", "gone"] as const;
type Name = (typeof names)[number];
const origins = Object.fromEntries(names.map((name) => [name, startOrigin({ name })])) as Record<Name, Origin>;
const settings: Record<Name, string> = {
  unlimited: "",
  two: "keepAlive: { connections: 2 }",
  none: "keepAlive: { connections: 0 }",
  brief: "keepAlive: { idle: 100ms }",
  three: "keepAlive: { requests: 3 }",
  fickle: "passive: off",
  gone: "",
};
let sluice: Sluice;

beforeAll(async () => {
  const listeners = names.map((name) => `  ${name}: { bind: "127.0.0.1:0", forward: ${name} }\n`);
  const pools = names.map((name) => `  ${name}: { endpoints: ["${origins[name].address}"], ${settings[name]} }\n`);
  sluice = await startSluice(`workers: 1\nlisteners:\n${listeners.join("")}pools:\n${pools.join("")}`);
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of Object.values(origins)) await origin.close();
});

/** So many requests, at once or one after the other. */
async function send(name: Name, count: number, how: "at once" | "in turn"): Promise<void> {
  const one = async (): Promise<void> => {
    const response = await request(sluice.address(name), { path: how === "at once" ? "/slow?ms=150" : "/ok" });
    expect(response.status).toBe(200);
  };
  if (how === "at once") await Promise.all(Array.from({ length: count }, one));
  else for (let i = 0; i < count; i++) await one();
}

const idle = async (name: Name): Promise<number> =>
  (await sluice.metrics()).sum("sluice_endpoint_idle_connections", { pool: name });

test("by default every connection is kept and used again, by whatever client", async () => {
  const origin = origins.unlimited;
  await send("unlimited", 6, "in turn");
  expect(origin.stats().accepted).toBe(1);
  await send("unlimited", 5, "at once");
  const { accepted } = origin.stats();
  expect(accepted).toBeGreaterThan(1);
  await waitFor(async () => (await idle("unlimited")) === accepted, { what: "all to be idle" });
  await send("unlimited", 5, "at once");
  expect(origin.stats().accepted).toBeLessThanOrEqual(5);
  const metrics = await sluice.metrics();
  const of = (name: string): number => metrics.sum(`sluice_endpoint_${name}_total`, { pool: "unlimited" });
  expect(of("connects")).toBe(origin.stats().accepted);
  expect(of("connects") + of("reused")).toBe(16);
});

test("keepAlive.connections: no more than that are kept idle", async () => {
  const origin = origins.two;
  await send("two", 6, "at once");
  await waitFor(() => origin.stats().open === 2, { what: "all but two to be closed" });
  expect(await idle("two")).toBe(2);
});

test("keepAlive.connections: 0 closes each connection after its request", async () => {
  const origin = origins.none;
  await send("none", 3, "in turn");
  expect(origin.stats().accepted).toBe(3);
  await waitFor(() => origin.stats().open === 0, { what: "all to be closed" });
});

test("keepAlive.idle: a connection that has rested for that long is closed", async () => {
  const origin = origins.brief;
  await send("brief", 1, "in turn");
  await waitFor(() => origin.stats().open === 0, { what: "it to be closed" });
  await send("brief", 1, "in turn");
  expect(origin.stats().accepted).toBe(2);
});

test("keepAlive.requests: a connection is closed after that many", async () => {
  await send("three", 7, "in turn");
  expect(origins.three.requests().map(({ connection, sequence }) => `${connection}.${sequence}`)).toEqual([
    "1.1",
    "1.2",
    "1.3",
    "2.1",
    "2.2",
    "2.3",
    "3.1",
  ]);
});

test("an endpoint's Connection: close is obeyed, and not passed on to the client", async () => {
  const origin = origins.unlimited;
  using client = await connect(sluice.address("unlimited"));
  for (const path of ["/close", "/ok"]) {
    await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const response = await client.read();
    expect([response.status, response.header("connection")]).toEqual([200, null]);
  }
  expect(origin.last("/ok").connection).not.toBe(origin.last("/close").connection);
});

test("a kept connection that the endpoint has closed is replaced, for a request that may be repeated", async () => {
  const origin = origins.fickle;
  const before = (await sluice.metrics()).sum("sluice_endpoint_failures_total", { pool: "fickle" });
  for (let i = 0; i < 30; i++) {
    // The answer allows another request, and then the connection is closed: the next one often meets it half closed.
    const response = await request(sluice.address("fickle"), { path: "/hang-up" });
    expect(response.status).toBe(200);
  }
  // Bytes behind an answer, an endpoint that resets all it has: a kept connection is never trusted with the next
  // answer.
  origin.dropConnections();
  expect((await request(sluice.address("fickle"), { path: "/ok" })).text()).toBe("fickle ok\n");
  const after = (await sluice.metrics()).sum("sluice_endpoint_failures_total", { pool: "fickle" });
  expect(after).toBe(before);
});

test("an answer that comes unasked never becomes the answer to the next request", async () => {
  const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
  const twice = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood${evil}`).toString("base64url");
  for (let i = 0; i < 5; i++) {
    using client = await connect(sluice.address("fickle"));
    await client.send(`GET /raw?base64=${twice} HTTP/1.1\r\nHost: x\r\n\r\nGET /ok HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect((await client.read()).text()).toBe("good");
    expect((await client.read()).text()).toBe("fickle ok\n");
  }
});

test("an endpoint that answers and closes at once is answered for in every case", async () => {
  const paths = { "/no-answer": 502, "/reset": 502, "/close-early?n=100&sent=10": 0 } as const;
  for (const [path, status] of Object.entries(paths)) {
    const target = `${path}${path.includes("?") ? "&" : "?"}post`;
    using client = await connect(sluice.address("fickle"));
    await client.send(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
    if (status === 0) await client.waitForEnd();
    else expect((await client.read()).status).toBe(status);
    const entry = await logged(sluice, (each) => each.target === target);
    expect([path, entry.termination, entry.cause]).toEqual([path, status === 0 ? "SL" : "SH", "reset"]);
  }
});

test("an endpoint that refuses connections is a 502 without a word about its address", async () => {
  await origins.gone.close();
  const response = await request(sluice.address("gone"), { path: "/refused" });
  expect(response.status).toBe(502);
  expect(response.head + response.text()).not.toContain(origins.gone.address);
  const entry = await logged(sluice, ({ target }) => target === "/refused");
  expect([entry.termination, entry.cause, entry.endpoint]).toEqual(["SC", "refused", origins.gone.address]);
});
