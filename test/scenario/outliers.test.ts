// Endpoints that answer, but badly, are left out for a while: by failures in a row and by their success rate, over all
// workers, and never more of them than may be. The status, the metrics and the log say so.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { becomes, endpoint, events } from "./lib/admin.ts";
import { request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const names = ["a", "b", "c", "d", "e"];
const origins = names.map((name) => startOrigin({ name }));
/** What each does with the next request for /work. */
const conduct = new Map<string, () => boolean>(names.map((name) => [name, () => true]));
for (const origin of origins) {
  origin.on("/work", (exchange) => {
    const status = conduct.get(exchange.name)!() ? 200 : 500;
    exchange.send(`HTTP/1.1 ${status} x\r\nX-Origin: ${exchange.name}\r\nContent-Length: 0\r\n\r\n`);
    exchange.done();
  });
}
let sluice: Sluice;

beforeAll(async () => {
  const list = origins.map(({ name, address }) => `{ id: ${name}, address: "${address}" }`);
  const pools: Readonly<Record<string, string>> = {
    row: `endpoints: [${list.slice(0, 3).join(", ")}], outlier: { consecutiveFailures: 6, ejection: 1500ms }`,
    most: `endpoints: [${list.join(", ")}], outlier: { consecutiveFailures: 2, ejection: 5m, maxEjected: 40% }`,
    rate: `endpoints: [${list.join(", ")}],
      outlier: { consecutiveFailures: 1000, interval: 500ms, ejection: 5m, successRate: { minRequests: 20 } }`,
  };
  const listeners = Object.keys(pools).map((name) => `  ${name}: { bind: "127.0.0.1:0", forward: ${name} }\n`);
  const texts = Object.entries(pools).map(([name, pool]) => `  ${name}: { balance: round-robin, ${pool} }\n`);
  sluice = await startSluice(`workers: 2\naccessLog: off\nlisteners:\n${listeners.join("")}pools:\n${texts.join("")}`);
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
});

/** So many requests, each on a connection of its own; how many each endpoint was given. */
async function work(pool: string, count: number): Promise<Record<string, number>> {
  const given: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const { headers } = await request(sluice.address(pool), { path: "/work" });
    const [, name] = headers.find(([field]) => field === "X-Origin")!;
    given[name] = (given[name] ?? 0) + 1;
  }
  return given;
}

test("failures in a row, seen by several workers, eject; then the endpoint is back", async () => {
  conduct.set("b", () => false);
  const given = await work("row", 60);
  expect(given["b"]).toBe(6);
  const view = await endpoint(sluice, "row", "b");
  expect([view.usable, view.ejected, view.ejections]).toEqual([false, true, 1]);
  expect(view.reason).toMatch(/^ejected: 6 failures in a row, for another [12]s$/);
  const labels = { pool: "row", endpoint: "b" };
  const metrics = await sluice.metrics();
  expect(metrics.sum("sluice_endpoint_ejected", labels)).toBe(1);
  expect(metrics.sum("sluice_endpoint_ejections_total", labels)).toBe(1);
  conduct.set("b", () => true);
  await becomes(sluice, "row", "b", { usable: true, ejected: false, ejections: 1, reason: "" });
  expect((await work("row", 30))["b"]).toBeGreaterThan(7);
  await waitFor(async () => (await events(sluice, "readmitted")).length === 1, { what: "the log to have it" });
  const [out] = await events(sluice, "ejected");
  expect(out!.fields).toMatchObject({ pool: "row", endpoint: "b", reason: "6 failures in a row", times: 1 });
  expect(sluice.stderr()).toMatch(/level=warn .*event=ejected pool=row endpoint=b reason="6 failures/);
  expect(sluice.stderr()).toMatch(/level=info .*event=readmitted pool=row endpoint=b/);
}, 20_000);

test("a good answer in between begins the count anew; a client's own faults do not count", async () => {
  let turn = 0;
  conduct.set("c", () => ++turn % 6 === 0);
  expect((await work("row", 90))["c"]).toBeGreaterThan(20);
  conduct.set("c", () => true);
  for (let i = 0; i < 30; i++) await request(sluice.address("row"), { path: "/status?code=404" });
  expect(await endpoint(sluice, "row", "c")).toMatchObject({ usable: true, ejections: 0 });
});

test("at most maxEjected of the pool are out at once, though more of them fail", async () => {
  for (const name of ["a", "b", "c"]) conduct.set(name, () => false);
  await work("most", 60);
  const views = await Promise.all(names.map((name) => endpoint(sluice, "most", name)));
  expect(views.filter(({ ejected }) => ejected).length).toBe(2);
  const given = await work("most", 30);
  expect(Object.keys(given).length).toBe(3);
  for (const name of ["a", "b", "c"]) conduct.set(name, () => true);
});

test("by success rate: the one that fails now and then, and never in a row", async () => {
  let turn = 0;
  conduct.set("d", () => ++turn % 3 !== 0);
  await waitFor(
    async () => {
      await work("rate", 100);
      return (await endpoint(sluice, "rate", "d")).ejected;
    },
    { what: "d to be ejected", everyMs: 0 },
  );
  const { reason } = await endpoint(sluice, "rate", "d");
  expect(reason).toMatch(/^ejected: success rate far below the others, for another \d+s$/);
  expect(Object.keys(await work("rate", 40)).toSorted()).toEqual(["a", "b", "c", "e"]);
}, 20_000);
