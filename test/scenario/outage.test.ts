// When a whole pool fails: repeats do not multiply its load, whichever way it fails, and clients are told when to come
// again as far as anybody knows.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { becomes } from "./lib/admin.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import type { Behaviour, OriginExchange } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origins = ["a", "b", "c"].map((name) => startOrigin({ name }));
const gone = ["x", "y", "z"].map((name) => startOrigin({ name }));
const held = hold(origins[0]!);

let fails = true;
const answer = (exchange: OriginExchange, status: number): void => {
  exchange.send(`HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`);
  exchange.done();
};
const by503: Behaviour = (exchange) => answer(exchange, fails ? 503 : 200);
const byReset: Behaviour = (exchange) => (fails ? exchange.reset() : answer(exchange, 200));
for (const origin of origins) {
  origin.on("/503", by503);
  origin.on("/reset", byReset);
}
let sluice: Sluice;

beforeAll(async () => {
  for (const origin of gone) await origin.close();
  const list = (of: typeof origins): string => of.map(({ address }) => `"${address}"`).join(", ");
  const alive = `endpoints: [${list(origins)}], passive: off, keepAlive: { connections: 0 }`;
  const dead = `endpoints: [${list(gone)}]`;
  const one = `endpoints: [{ address: "${origins[0]!.address}", maxConnections: 1 }]`;
  const down = "interval: 30ms, unhealthyThreshold: 1";
  const pools: Readonly<Record<string, string>> = {
    status: alive,
    reset: alive,
    refused: `${dead}, passive: off`,
    held: `${dead}, passive: { maxFails: 1, failTimeout: 5m }`,
    down: `${dead}, health: { ${down} }`,
    full: `${one}, queue: { size: 0 }`,
    late: `${one}, queue: { size: 10, timeout: 100ms }`,
  };
  const names = Object.keys(pools);
  const retry = "{ attempts: 3, on: [connect, reset, 503], budget: 20%, budgetMin: 0 }";
  const listeners = names.map(
    (name) => `  ${name}: { bind: "127.0.0.1:0", routes: [{ forward: ${name}, retry: ${retry} }] }\n`,
  );
  const texts = Object.entries(pools).map(([name, pool]) => `  ${name}: { ${pool} }\n`);
  sluice = await startSluice(`workers: 2\naccessLog: off\nlisteners:\n${listeners.join("")}pools:\n${texts.join("")}`);
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
});

/** So many requests, eight at a time, each on a connection of its own; how many there were of each status. */
async function ask(pool: string, path: string, count: number): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  const some = async (): Promise<void> => {
    for (let i = 0; i < count / 8; i++) {
      const { status } = await request(sluice.address(pool), { path });
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 8 }, some));
  return statuses;
}

async function attemptsOf(pool: string): Promise<{ attempts: number; refused: number }> {
  const metrics = await sluice.metrics();
  return {
    attempts: metrics.sum("sluice_endpoint_requests_total", { pool }),
    refused: metrics.sum("sluice_pool_retries_refused_total", { pool }),
  };
}

test.each([
  ["status", "/503", 503],
  ["reset", "/reset", 502],
])("all fail by %s: attempts stay within the budget, and end with the outage", async (pool, path, status) => {
  fails = true;
  expect(await ask(pool, path, 400)).toEqual({ [status]: 400 });
  const seen = origins.reduce((sum, origin) => sum + (origin.stats().byPath[path] ?? 0), 0);
  expect(seen).toBeLessThanOrEqual(480);
  expect(seen).toBeGreaterThan(460); // it was used, too
  const { attempts, refused } = await attemptsOf(pool);
  expect(attempts).toBe(seen);
  expect(refused).toBeGreaterThan(300);
  fails = false;
  expect(await ask(pool, path, 80)).toEqual({ 200: 80 });
});

test("nobody can be connected to: moves are paid for as well, beyond ten a second", async () => {
  expect(await ask("refused", "/ok", 800)).toEqual({ 502: 800 });
  const { attempts, refused } = await attemptsOf("refused");
  expect(attempts).toBeLessThanOrEqual(800 * 1.2 + 2 * 100);
  expect(refused).toBeGreaterThan(500);
});

async function retryAfter(pool: string): Promise<[number, string | null]> {
  const response = await request(sluice.address(pool), { path: "/ok" });
  return [response.status, response.header("retry-after")];
}

test("Retry-After: when an endpoint may be back, a second where it is load, nothing if nobody knows", async () => {
  await waitFor(async () => (await retryAfter("held"))[0] === 503, { what: "all to be held" });
  const [, seconds] = await retryAfter("held");
  expect(Number(seconds)).toBeGreaterThan(200);
  expect(Number(seconds)).toBeLessThanOrEqual(300);
  for (const { address } of gone) await becomes(sluice, "down", address, { health: "down" });
  expect(await retryAfter("down")).toEqual([503, null]);
  for (const pool of ["full", "late"]) {
    using client = await connect(sluice.address(pool));
    await client.send(requestBytes("x", { path: "/hold" }));
    await waitFor(() => held.count === 1, { what: "the place to be taken" });
    expect([pool, ...(await retryAfter(pool))]).toEqual([pool, 503, "1"]);
    held.release();
    expect((await client.read()).status).toBe(200);
  }
});
