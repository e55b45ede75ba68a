// What one client may have at once, over all workers: requests in progress (concurrency) and connections
// (connectionsPerClient). Places are given back however a request or connection ends, a worker's crash included.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, type RawClient, request, requestBytes, type RequestOptions } from "./lib/client.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const origin = startOrigin({ name: "a" });
const held = hold(origin);
let sluice: Sluice;
let web: string;
let door: string;
const clients: RawClient[] = [];

function yaml(requests = 4, connections = 3): string {
  return `
workers: 2
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { name: all, match: { headers: { x-all: "*" } }, forward: app, concurrency: { requests: 5, by: route } }
      - name: key
        match: { headers: { x-key: "*" } }
        forward: app
        concurrency: { requests: 2, by: "header:x-key" }
      - { name: rest, forward: app, concurrency: { requests: ${requests} } }
  door: { bind: "127.0.0.1:0", forward: app, limits: { connectionsPerClient: ${connections} } }
pools: { app: { endpoints: ["${origin.address}"] } }
`;
}

beforeAll(async () => {
  sluice = await startSluice(yaml());
  web = sluice.address("web");
  door = sluice.address("door");
});
afterAll(async () => {
  for (const client of clients) client[Symbol.dispose]();
  await sluice.kill();
  await origin.close();
});

/** A request that the origin holds, on a connection of its own, which goes to either worker; null if it is refused. */
async function askOnce(options: RequestOptions): Promise<RawClient | null> {
  const before = held.count;
  const client = await connect(web, options);
  clients.push(client);
  await client.send(requestBytes("x", { path: "/hold", ...options }));
  await waitFor(() => held.count > before || client.received() > 0, { what: "a request to be held or refused" });
  return client.received() > 0 ? null : client;
}

/** So many of them. Those whose place is not free yet, because its last request ended just now, are repeated. */
async function ask(count: number, options: RequestOptions): Promise<RawClient[]> {
  const some: RawClient[] = [];
  for (let i = 0; i < count; i++) some.push(await waitFor(() => askOnce(options), { what: "a place" }));
  return some;
}

const statusOf = async (options: RequestOptions): Promise<number> => (await request(web, options)).status;

/** The place comes back a moment after the client has its answer, or is gone. */
const comesBack = (options: RequestOptions): Promise<boolean> =>
  waitFor(async () => (await statusOf(options)) === 200, { what: "the place to be free" });

async function finish(some: readonly RawClient[]): Promise<void> {
  held.releaseAll();
  for (const client of some) expect((await client.read()).status).toBe(200);
}

test("concurrency: so many of one client at once, whichever worker; one more is 429", async () => {
  const [one, two]: [RequestOptions, RequestOptions] = [{ from: "127.0.1.1" }, { from: "127.0.1.2" }];
  const some = await ask(4, one);
  const path = "/ok?beyond";
  const refused = await request(web, { ...one, path });
  expect([refused.status, refused.header("retry-after")]).toEqual([429, "1"]);
  const entry = await logged(sluice, ({ target }) => target === path);
  expect([entry.termination, entry.cause, entry.attempts]).toEqual(["PR", "limited", 0]);
  some.push(...(await ask(4, two)));
  expect(await statusOf(two)).toBe(429);
  await finish(some);
  await comesBack(one);
});

test("by header, and by the whole route", async () => {
  const key = (value: string): RequestOptions => ({ headers: [`X-Key: ${value}`] });
  const some = [...(await ask(2, key("a"))), ...(await ask(2, key("b")))];
  expect([await statusOf(key("a")), await statusOf(key("b")), await statusOf(key("c"))]).toEqual([429, 429, 200]);
  const all = (from: string): RequestOptions => ({ from, headers: ["X-All: 1"] });
  for (let i = 1; i <= 5; i++) some.push(...(await ask(1, all(`127.0.2.${i}`))));
  expect(await statusOf(all("127.0.2.6"))).toBe(429);
  await finish(some);
  await comesBack(all("127.0.2.6"));
});

test("a place is free when the client leaves, when the endpoint fails, when a WebSocket closes", async () => {
  const one: RequestOptions = { from: "127.0.3.1" };
  const some = await ask(4, one);
  for (const client of some) client.reset();
  await comesBack(one);
  held.releaseAll();
  const again = await ask(4, { ...one, method: "POST", body: "x" }); // not to be repeated
  origin.dropConnections();
  for (const client of again) expect((await client.read()).status).toBe(502);
  await comesBack(one);
  held.releaseAll();
  // A WebSocket is a request in progress for as long as it is open. All of these come from 127.0.0.1.
  const sockets = await Promise.all(Array.from({ length: 4 }, () => openWebSocket(`ws://${web}/`)));
  expect(await statusOf({})).toBe(429);
  for (const socket of sockets) await socket.close();
  await comesBack({});
});

/** Whether a further connection to the door is closed without an answer. */
const isRefused = (from: string): Promise<boolean> =>
  request(door, { from }).then(
    () => false,
    () => true,
  );

test("connectionsPerClient: one more is closed before it says anything; a place is free when one closes", async () => {
  const from = "127.0.4.1";
  const some = [await connect(door, { from }), await connect(door, { from }), await connect(door, { from })];
  clients.push(...some);
  for (const client of some) {
    await client.send(requestBytes("x"));
    expect((await client.read()).status).toBe(200);
  }
  expect(await isRefused(from)).toBe(true);
  expect((await request(door, { from: "127.0.4.2" })).status).toBe(200);
  expect((await sluice.metrics()).sum("sluice_connections_refused_total", { listener: "door" })).toBe(1);
  some[0]!.close();
  await waitFor(async () => !(await isRefused(from)), { what: "a place to be free" });
  // A WebSocket is a connection, too. All of these come from 127.0.0.1.
  const sockets = await Promise.all([1, 2, 3].map(() => openWebSocket(`ws://${door}/`)));
  expect(await isRefused("127.0.0.1")).toBe(true);
  for (const socket of sockets) await socket.close();
  await waitFor(async () => !(await isRefused("127.0.0.1")), { what: "their places to be free" });
});

test("a reload may change the numbers while requests and connections count on", async () => {
  const one: RequestOptions = { from: "127.0.5.1" };
  const some = await ask(3, one);
  const from = "127.0.5.2";
  const open = [await connect(door, { from }), await connect(door, { from })];
  for (const client of open) {
    clients.push(client);
    await client.send(requestBytes("x"));
    await client.read();
  }
  expect((await sluice.reload(yaml(3, 2))).status).toBe(200);
  expect(await statusOf(one)).toBe(429);
  expect(await isRefused(from)).toBe(true);
  expect((await sluice.reload(yaml(4, 3))).status).toBe(200);
  expect(await statusOf(one)).toBe(200);
  expect((await request(door, { from })).status).toBe(200);
  await finish(some);
});

test("a worker that crashes gives back what its clients held", async () => {
  const one: RequestOptions = { from: "127.0.6.1" };
  await ask(4, one);
  const open = await Promise.all([1, 2, 3].map(() => connect(door, { from: "127.0.6.1" })));
  for (const client of open) await client.send(requestBytes("x"));
  for (const client of open) expect((await client.read()).status).toBe(200);
  expect(await statusOf(one)).toBe(429);
  const pids = sluice.workerPids();
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await waitFor(() => sluice.workerPids().filter((pid) => !pids.includes(pid)).length === 2, { what: "new workers" });
  held.releaseAll();
  await comesBack(one);
  await ask(4, one);
  expect(await statusOf(one)).toBe(429);
  for (let i = 0; i < 3; i++) {
    const client = await connect(door, { from: "127.0.6.1" });
    clients.push(client);
    await client.send(requestBytes("x"));
    expect((await client.read()).status).toBe(200);
  }
  held.releaseAll();
}, 20_000);
