// What the access log and the gauges say after unusual ends: tunnels, attempts that failed, waits that were
// interrupted.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { readTreeCpuSeconds } from "../../bench/lib/proc-stat.ts";
import { logged } from "./lib/access-log.ts";
import { connect, request } from "./lib/client.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Sluice, sluiceCommand, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const dead = "127.0.0.1:1";
let a: Origin;
let b: Origin;
let sluice: Sluice;

const yaml = (waiting: string): string => `workers: 1
listeners:
  plain: { bind: "127.0.0.1:0", forward: plain }
  lost: { bind: "127.0.0.1:0", forward: lost }
  twice: { bind: "127.0.0.1:0", forward: twice }
  waiting: { bind: "127.0.0.1:0", forward: waiting }
pools:
  plain: { endpoints: ["${a.address}"] }
  lost: { endpoints: ["${dead}"] }
  twice:
    { balance: round-robin, passive: off, queue: { size: 10, timeout: 300ms }, keepAlive: { connections: 0 },
      endpoints: [{ address: "${a.address}", maxConnections: 1 }, { address: "${b.address}", maxConnections: 1 }] }
  waiting: { balance: round-robin, passive: off, queue: { size: 10, timeout: 400ms }, endpoints: [${waiting}] }
`;
const full = (): string => `{ address: "${a.address}", maxConnections: 1 }`;

beforeAll(async () => {
  a = startOrigin({ name: "a" });
  b = startOrigin({ name: "b" });
  sluice = await startSluice(yaml(`${full()}, "${dead}"`));
});
afterAll(async () => {
  await sluice.kill();
  await a.close();
  await b.close();
});

/** Waits until the origin has had one more request for the path than before. */
async function arrived(origin: Origin, path: string, count = 1): Promise<void> {
  await waitFor(() => (origin.stats().byPath[path] ?? 0) >= count, { what: `${path} at ${origin.name}` });
}

test("a tunnel's bytes are logged and counted in both directions, its heads too", async () => {
  using client = await connect(sluice.address("plain"));
  const head = "GET /upgrade?tunnel HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
  await client.send(head + "early"); // the tunnel's first bytes may come with the head
  await client.send("x".repeat(5000));
  await waitFor(() => client.unread().length >= 5005, { what: "the echo" });
  client.finish();
  await client.waitForEnd();
  const entry = await logged(sluice, ({ target }) => target === "/upgrade?tunnel");
  expect(entry).toMatchObject({ status: 101, attempts: 1, termination: "--" });
  expect(entry.bytesSent).toBe(client.received());
  expect(entry.bytesReceived).toBe(head.length + 5005);
  const metrics = await sluice.metrics();
  const plain = { listener: "plain" };
  expect(metrics.sum("sluice_sent_bytes_total", plain)).toBe(client.received());
  expect(metrics.sum("sluice_received_bytes_total", plain)).toBe(head.length + 5005);
  expect(metrics.sum("sluice_tunnels_open", plain)).toBe(0);
});

test("attempts are counted as they are made", async () => {
  expect((await request(sluice.address("lost"))).status).toBe(502);
  const entry = await logged(sluice, ({ listener }) => listener === "lost");
  expect(entry).toMatchObject({ status: 502, attempts: 1, endpoint: dead, termination: "SC", cause: "refused" });
});

test("a request that waits again after a failed attempt has a deadline again", async () => {
  const address = sluice.address("twice");
  for (const origin of [a, b]) origin.on("/drops", (exchange) => setTimeout(() => exchange.reset(), 600));
  // One place is taken for long, the other one for a moment.
  let over = false;
  const long = request(address, { path: "/slow?ms=2000" }).finally(() => (over = true));
  await waitFor(() => a.stats().byPath["/slow"] ?? b.stats().byPath["/slow"], { what: "the long one" });
  const short = request(address, { path: "/slow?ms=150" });
  // Waits, gets the second place, loses it after longer than a wait may last, and finds the first one still taken.
  expect((await request(address, { path: "/drops" })).status).toBe(503);
  expect(over).toBe(false);
  expect((await short).status).toBe(200);
  const entry = await logged(sluice, ({ target }) => target === "/drops");
  expect(entry).toMatchObject({ attempts: 1, termination: "pQ", cause: "timeout" });
  expect((await long).status).toBe(200);
});

test("a pool that shrinks under a request that waits after a failed attempt", async () => {
  const address = sluice.address("waiting");
  const before = a.stats().byPath["/slow"] ?? 0;
  const long = request(address, { path: "/slow?ms=1500" });
  await arrived(a, "/slow", before + 1);
  const waits = request(address, { path: "/ok?waits" });
  await waitFor(async () => (await sluice.metrics()).sum("sluice_queued_requests", { listener: "waiting" }) === 1, {
    what: "it to wait",
  });
  expect((await sluice.reload(yaml(full()))).status).toBe(200);
  expect((await waits).status).toBe(503);
  const entry = await logged(sluice, ({ target }) => target === "/ok?waits");
  expect(entry).toMatchObject({ endpoint: dead, attempts: 1, termination: "pQ" });
  expect((await long).status).toBe(200);
  await waitFor(async () => (await sluice.metrics()).sum("sluice_worker_exchanges", {}) === 0, {
    what: "all to be over",
  });
  expect((await sluice.metrics()).sum("sluice_worker_exceptions_total", {})).toBe(0);
});

test("connections are counted once while their listener moves to another address", async () => {
  await using other = await startSluice(moving("127.0.0.1:0"));
  const open = async (): Promise<number> =>
    (await other.metrics()).sum("sluice_connections_open", { listener: "moves" });
  using old = await connect(other.address("moves"));
  await old.send("GET /slow?ms=700 HTTP/1.1\r\nHost: x\r\n\r\n");
  await waitFor(async () => (await open()) === 1, { what: "the first to be counted" });
  const path = join(other.dir, "moves.sock");
  expect((await other.reload(moving(`unix:${path}`))).status).toBe(200);
  using first = await connect(`unix:${path}`);
  using second = await connect(`unix:${path}`);
  for (const client of [first, second]) {
    await client.send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
    expect((await client.read()).status).toBe(200);
  }
  expect(await open()).toBe(3);
  expect((await old.read()).status).toBe(200);
  old.close();
  await waitFor(async () => (await open()) === 2, { what: "the old one to be gone" });
  first.close();
  second.close();
  await waitFor(async () => (await open()) === 0, { what: "all to be gone" });
});

const moving = (bind: string): string => `workers: 1
listeners:
  moves: { bind: "${bind}", forward: plain }
pools:
  plain: { endpoints: ["${a.address}"] }
`;

test("out of descriptors: no endless accepting, and who waits is served when there is room", async () => {
  const command = ["sh", "-c", 'ulimit -n 120; exec "$@"', "sh", ...sluiceCommand("run")];
  await using small = await startSluice(moving("127.0.0.1:0"), { command });
  const address = small.address("moves");
  const before = a.stats().byPath["/slow"] ?? 0;
  // Each takes two descriptors, which is more than there are.
  const clients = await Promise.all(Array.from({ length: 95 }, () => connect(address)));
  for (const client of clients) await client.send("GET /slow?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n");
  await arrived(a, "/slow", before + 10);
  using late = await connect(address);
  await late.send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
  const [pid] = small.workerPids();
  const begun = performance.now();
  const cpuBefore = readTreeCpuSeconds(pid!);
  const statuses = await Promise.all(clients.map(async (client) => (await client.read()).status));
  expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
  expect(statuses).toContain(200);
  // All that time it had nothing to do; a loop over failing accepts would have taken all of it.
  const share = (readTreeCpuSeconds(pid!) - cpuBefore) / ((performance.now() - begun) / 1000);
  expect(share).toBeLessThan(0.7);
  for (const client of clients) client.close();
  expect((await late.read()).status).toBe(200);
  expect((await small.metrics()).sum("sluice_worker_exceptions_total", {})).toBe(0);
});
