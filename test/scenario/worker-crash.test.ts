// kill -9 of a worker: only its own requests fail, it is back within a second, health and counters are kept.

import { expect, test } from "bun:test";
import { request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

test("a killed worker is replaced; counters, health and the other worker are untouched", async () => {
  await using origin = startOrigin({ name: "a" });
  await using dead = startOrigin({ name: "dead" });
  const deadAddress = dead.address;
  await dead.close();
  await using sluice = await startSluice(`
workers: 2
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", protocol: http, forward: app } }
pools:
  app:
    balance: round-robin
    endpoints: [ { id: a, address: "${origin.address}" }, { id: dead, address: "${deadAddress}" } ]
    health: { protocol: tcp, interval: 200ms, timeout: 100ms, unhealthyThreshold: 2 }
`);
  const address = sluice.address("web");
  await waitFor(async () => (await sluice.metrics()).sum("sluice_endpoint_usable", { endpoint: "dead" }) === 0, {
    what: "dead to be down",
  });
  for (let i = 0; i < 50; i++) expect((await request(address, { path: "/ok" })).status).toBe(200);
  const requestsBefore = (await sluice.metrics()).sum("sluice_requests_total", { listener: "web" });
  expect(requestsBefore).toBe(50);

  const [victim, survivor] = sluice.workerPids();
  process.kill(victim!, "SIGKILL");
  const killedAt = performance.now();
  const pids = await waitFor(
    async () => {
      const { workers } = await sluice.status<{ workers: { pid: number; state: string }[] }>();
      const serving = workers.filter((worker) => worker.state === "running").map((worker) => worker.pid);
      return serving.length === 2 && !serving.includes(victim!) ? serving : null;
    },
    { what: "a new worker" },
  );
  console.log(`worker back after ${(performance.now() - killedAt).toFixed(0)} ms`);
  expect(pids).toContain(survivor!);

  // Its queue was kept: every new connection is served, by either of them, and the dead endpoint is still known to be
  // dead.
  for (let i = 0; i < 50; i++) expect((await request(address, { path: "/ok" })).status).toBe(200);
  const metrics = await sluice.metrics();
  expect(metrics.sum("sluice_requests_total", { listener: "web" })).toBe(100);
  expect(metrics.sum("sluice_endpoint_usable", { endpoint: "dead" })).toBe(0);
  expect(metrics.sum("sluice_worker_restarts_total")).toBe(1);
  // The client has the last answer a moment before the worker has put its books in order.
  const active = async (): Promise<number> =>
    (await sluice.metrics()).sum("sluice_endpoint_active_requests", { endpoint: "a" });
  await waitFor(async () => (await active()) === 0, { what: "nothing to be in progress" });
}, 60_000);
