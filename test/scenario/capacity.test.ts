// What endpoints can take: maxConnections over all workers together, the queue before it, and connections counted as
// load.

import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { connect, type RawClient, request } from "./lib/client.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";
import { openWebSocket, type WebSocketClient } from "./lib/websocket-client.ts";

const origins = ["a", "b", "c"].map((name) => startOrigin({ name }));
const held = origins.map(hold);
let sluice: Sluice;
let alone: Sluice;

const endpoints = (more: string): string =>
  origins.map(({ name, address }) => `{ id: ${name}, address: "${address}"${more} }`).join(", ");

beforeAll(async () => {
  sluice = await startSluice(`
workers: 2
accessLog: off
listeners:
  bounded: { bind: "127.0.0.1:0", forward: bounded }
  sockets: { bind: "127.0.0.1:0", forward: sockets }
pools:
  bounded: { endpoints: [${endpoints(", maxConnections: 2")}], queue: { size: 1000, timeout: 20s } }
  sockets: { balance: least-connections, endpoints: [${endpoints("")}] }
`);
  // Turns and queues are each worker's own: their exact places are seen with one.
  alone = await startSluice(`
workers: 1
accessLog: off
listeners:
  queue: { bind: "127.0.0.1:0", forward: queue }
  noQueue: { bind: "127.0.0.1:0", forward: noQueue }
pools:
  queue: { endpoints: [ { address: "${origins[0]!.address}", maxConnections: 1 } ], queue: { size: 2, timeout: 20s } }
  noQueue: { endpoints: [ { address: "${origins[0]!.address}", maxConnections: 1 } ], queue: { size: 0 } }
`);
});
afterAll(async () => {
  await Promise.all([sluice.kill(), alone.kill()]);
  for (const origin of origins) await origin.close();
});

const clients: RawClient[] = [];
afterEach(() => {
  for (const each of held) each.releaseAll();
  for (const client of clients.splice(0)) client[Symbol.dispose]();
});

async function begin(at: Sluice, listener: string, path = "/hold"): Promise<RawClient> {
  const client = await connect(at.address(listener));
  clients.push(client);
  await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return client;
}

const total = (): number => held.reduce((sum, { count }) => sum + count, 0);
const queued = async (at: Sluice, listener: string): Promise<number> =>
  (await at.metrics()).sum("sluice_queued_requests", { listener });

test("maxConnections is never exceeded, all workers together, and nobody who waits is forgotten", async () => {
  const waiting = await Promise.all(Array.from({ length: 60 }, () => begin(sluice, "bounded")));
  await waitFor(() => total() === 6, { what: "all places to be taken" });
  await waitFor(async () => (await queued(sluice, "bounded")) === 54, { what: "all others to be queued" });
  const done = Promise.all(waiting.map(async (client) => (await client.read({ timeoutMs: 20_000 })).status));
  let released = 0;
  await waitFor(
    () => {
      for (const each of held) {
        if (each.count === 0) continue;
        each.release();
        released++;
      }
      return released === 60;
    },
    { what: "all 60 to be served", timeoutMs: 20_000, everyMs: 2 },
  );
  expect(new Set(await done)).toEqual(new Set([200]));
  for (const each of held) expect(each.most).toBe(2);
  expect(await queued(sluice, "bounded")).toBe(0);
}, 30_000);

test("whoever waits longest comes first, and a client that leaves gives up its place in the queue", async () => {
  await begin(alone, "queue");
  await waitFor(() => total() === 1, { what: "the place to be taken" });
  const leaver = await begin(alone, "queue", "/ok?leaver");
  await waitFor(async () => (await queued(alone, "queue")) === 1, { what: "one to be queued" });
  const second = await begin(alone, "queue", "/ok?second");
  await waitFor(async () => (await queued(alone, "queue")) === 2, { what: "two to be queued" });
  // The queue is full: the next one hears so at once.
  const refused = await request(alone.address("queue"));
  expect([refused.status, refused.header("connection")]).toEqual([503, null]);
  expect((await alone.metrics()).sum("sluice_queue_full_total", { listener: "queue" })).toBe(1);
  leaver.reset();
  await waitFor(async () => (await queued(alone, "queue")) === 1, { what: "the leaver to be gone" });
  const third = await begin(alone, "queue", "/ok?third");
  await waitFor(async () => (await queued(alone, "queue")) === 2, { what: "two to be queued again" });
  held[0]!.release();
  expect((await second.read()).status).toBe(200);
  expect((await third.read()).status).toBe(200);
  const targets = origins[0]!.requests().map(({ target }) => target);
  expect(targets.filter((target) => target.startsWith("/ok?"))).toEqual(["/ok?second", "/ok?third"]);
});

test("a request with a body waits as well, and its body arrives whole", async () => {
  await begin(alone, "queue");
  await waitFor(() => total() === 1, { what: "the place to be taken" });
  const body = "x".repeat(300_000);
  const response = request(alone.address("queue"), { method: "POST", path: "/upload", body });
  await waitFor(async () => (await queued(alone, "queue")) === 1, { what: "it to be queued" });
  held[0]!.release();
  expect(JSON.parse((await response).text())).toMatchObject({ length: body.length });
});

test("queue.size: 0 refuses at once", async () => {
  await begin(alone, "noQueue");
  await waitFor(() => total() === 1, { what: "the place to be taken" });
  expect((await request(alone.address("noQueue"))).status).toBe(503);
});

test("WebSockets are load: least-connections counts them over both workers", async () => {
  const sockets: WebSocketClient[] = [];
  try {
    for (let i = 0; i < 12; i++) sockets.push(await openWebSocket(`ws://${sluice.address("sockets")}/echo`));
    const metrics = await sluice.metrics();
    const active = origins.map(({ name }) =>
      metrics.sum("sluice_endpoint_active_requests", { pool: "sockets", endpoint: name }),
    );
    expect(active).toEqual([4, 4, 4]);
    expect(metrics.sum("sluice_tunnels_open", { listener: "sockets" })).toBe(12);
    for (const socket of sockets) expect(await socket.echo("hello")).toBe("hello");
    for (const socket of sockets) expect(await socket.close()).toBe(1000);
    await waitFor(
      async () => (await sluice.metrics()).sum("sluice_endpoint_active_requests", { pool: "sockets" }) === 0,
      { what: "nothing to be in progress" },
    );
  } finally {
    for (const socket of sockets) socket[Symbol.dispose]();
  }
});
