// One of three endpoints dies under load: killed, and separately frozen. No request fails that could be retried safely;
// all of these are GETs, so none may fail at all. The count is printed.

import { expect, test } from "bun:test";
import { lacks } from "../support/needs.ts";
import { spawnOrigin } from "./lib/origin-child.ts";
import { startSluice } from "./lib/sluice.ts";
import { startLoad } from "./lib/tool.ts";
import { waitFor } from "./lib/wait.ts";

async function loseOne(signal: "SIGKILL" | "SIGSTOP"): Promise<void> {
  await using a = await spawnOrigin({ name: "a" });
  await using b = await spawnOrigin({ name: "b" });
  await using c = await spawnOrigin({ name: "c" });
  await using sluice = await startSluice(`
workers: 2
accessLog: off
listeners:
  web: { bind: "127.0.0.1:0", protocol: http, routes: [ { forward: app, timeouts: { connect: 1s, response: 1s } } ] }
pools:
  app:
    balance: round-robin
    endpoints:
      - { id: a, address: "${a.address}" }
      - { id: b, address: "${b.address}" }
      - { id: c, address: "${c.address}" }
    health: { path: /health, interval: 500ms, timeout: 300ms, unhealthyThreshold: 2, healthyThreshold: 1 }
`);
  const url = `http://${sluice.address("web")}/ok`;
  using load = startLoad({ url, connections: 32, seconds: 5 });
  await waitFor(async () => (await b.stats()).requests > 200, { what: "traffic on b" });
  b.signal(signal);
  await waitFor(async () => (await sluice.metrics()).sum("sluice_endpoint_usable", { endpoint: "b" }) === 0, {
    what: "b to be down",
  });
  const report = await load.report;
  console.log(`${signal}: ${report.requests} requests answered, ${report.errors} failed`);
  expect(report.requests).toBeGreaterThan(1000);
  expect(report.errors).toBe(0);
  const [withA, withC] = [await a.stats(), await c.stats()];
  expect(withA.requests).toBeGreaterThan(200);
  expect(withC.requests).toBeGreaterThan(200);
  b.signal("SIGCONT");
}

test.skipIf(lacks("wrk"))(
  "kill -9 of one of three endpoints under load fails no request",
  () => loseOne("SIGKILL"),
  60_000,
);

test.skipIf(lacks("wrk"))(
  "SIGSTOP of one of three endpoints under load fails no request",
  () => loseOne("SIGSTOP"),
  60_000,
);
