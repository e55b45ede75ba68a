// Circuit limits: how much of a pool may be in progress, waiting and connected, all workers together; what is beyond is
// refused at once, and what a crashed worker held is free again.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, type RawClient, request, requestBytes } from "./lib/client.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
const held = hold(origin);
let sluice: Sluice;
const clients: RawClient[] = [];

beforeAll(async () => {
  const pools: Readonly<Record<string, string>> = {
    requests: `endpoints: ["${origin.address}"], circuit: { requests: 6 }`,
    pending: `endpoints: [{ address: "${origin.address}", maxConnections: 1 }], circuit: { pending: 4 }`,
    connections: `endpoints: ["${origin.address}"], circuit: { connections: 4, pending: 6 }`,
    unqueued: `endpoints: ["${origin.address}"], circuit: { connections: 2 }, queue: { size: 0 }`,
  };
  const listeners = Object.keys(pools).map((name) => `  ${name}: { bind: "127.0.0.1:0", forward: ${name} }\n`);
  const texts = Object.entries(pools).map(([name, pool]) => `  ${name}: { ${pool} }\n`);
  sluice = await startSluice(`workers: 2\nlisteners:\n${listeners.join("")}pools:\n${texts.join("")}`);
});
afterAll(async () => {
  for (const client of clients) client[Symbol.dispose]();
  await sluice.kill();
  await origin.close();
});

/** Clients that ask for what the origin holds, each on a connection of its own, which goes to either worker. */
async function ask(pool: string, count: number): Promise<RawClient[]> {
  const some: RawClient[] = [];
  for (let i = 0; i < count; i++) {
    const client = await connect(sluice.address(pool));
    await client.send(requestBytes("x", { path: "/hold" }));
    some.push(client);
    clients.push(client);
  }
  return some;
}

const used = async (pool: string, limit: string): Promise<number> =>
  (await sluice.metrics()).sum("sluice_pool_circuit_used", { pool, limit });
const refused = async (pool: string, limit: string): Promise<number> =>
  (await sluice.metrics()).sum("sluice_pool_circuit_refused_total", { pool, limit });
const isHeld = (count: number): Promise<boolean> =>
  waitFor(() => held.count === count, { what: `${count} requests to be held` });

/** Releases whatever is held, until all of these have been answered. */
async function finish(some: readonly RawClient[]): Promise<void> {
  const isAnswered = (): boolean => {
    held.releaseAll();
    return some.every((client) => client.received() > 0);
  };
  await waitFor(isAnswered, { what: "all to be answered" });
  for (const client of some) expect((await client.read()).status).toBe(200);
}

test("requests: as many as may are in progress, one more is 503 at once; a place that is free is taken", async () => {
  const some = await ask("requests", 6);
  await isHeld(6);
  const path = "/hold?beyond";
  const answer = await request(sluice.address("requests"), { path });
  expect([answer.status, answer.header("retry-after")]).toEqual([503, "1"]);
  const entry = await logged(sluice, ({ target }) => target === path);
  expect([entry.termination, entry.cause, entry.attempts]).toEqual(["PQ", "circuit", 0]);
  expect([await used("requests", "requests"), await refused("requests", "requests")]).toEqual([6, 1]);
  const answered = waitFor(() => some.find((client) => client.received() > 0), { what: "one to be answered" });
  held.release();
  expect((await (await answered).read()).status).toBe(200);
  await waitFor(async () => (await used("requests", "requests")) === 5, { what: "its place to be free" });
  await ask("requests", 1);
  await isHeld(6);
  held.releaseAll();
  await waitFor(async () => (await used("requests", "requests")) === 0, { what: "all to be free" });
});

test("pending: so many wait, whichever worker they are in", async () => {
  const first = await ask("pending", 1);
  await isHeld(1);
  const waiting = await ask("pending", 4);
  await waitFor(async () => (await used("pending", "pending")) === 4, { what: "four to wait" });
  expect((await request(sluice.address("pending"), { path: "/hold" })).status).toBe(503);
  expect(await refused("pending", "pending")).toBe(1);
  await finish([...first, ...waiting]);
  expect(await used("pending", "pending")).toBe(0);
});

test("connections: no more are open, idle ones included; others wait, in either worker, and are served", async () => {
  const opened = origin.stats().open;
  const some = await ask("connections", 10);
  await isHeld(4);
  await waitFor(async () => (await used("connections", "pending")) === 6, { what: "six to wait" });
  expect([await used("connections", "connections"), origin.stats().open - opened]).toEqual([4, 4]);
  await finish(some);
  expect(await used("connections", "connections")).toBeLessThanOrEqual(4);
  // What one worker keeps idle, the other one gets when it lacks it.
  for (let i = 0; i < 20; i++) expect((await request(sluice.address("connections"))).status).toBe(200);
});

test("connections, and nowhere to wait: 503", async () => {
  const some = await ask("unqueued", 2);
  await isHeld(2);
  const path = "/hold?unqueued";
  expect((await request(sluice.address("unqueued"), { path })).status).toBe(503);
  const entry = await logged(sluice, ({ target }) => target === path);
  expect([entry.termination, entry.cause]).toEqual(["PC", "circuit"]);
  await finish(some);
});

test("a worker that crashes gives its places back", async () => {
  await ask("requests", 6);
  await isHeld(6);
  expect((await request(sluice.address("requests"))).status).toBe(503);
  for (const pid of sluice.workerPids()) process.kill(pid, "SIGKILL");
  await waitFor(async () => (await used("requests", "requests")) === 0, { what: "the books to be put in order" });
  await waitFor(async () => (await request(sluice.address("requests"))).status === 200, { what: "a new worker" });
  held.releaseAll();
}, 20_000);
