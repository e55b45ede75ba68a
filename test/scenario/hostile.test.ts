// Slow and silent peers: memory stays bounded and everybody else is served.

import { expect, test } from "bun:test";
import { lacks } from "../support/needs.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { spawnOrigin } from "./lib/origin-child.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { startSlowClients } from "./lib/tool.ts";
import { waitFor } from "./lib/wait.ts";

const mebibyte = 1024 * 1024;
/** What a balancer may grow by while it holds slow peers: a few buffers, and what the collector has not freed yet. */
const growthMax = 96 * mebibyte;

function yaml(endpoints: readonly string[], more = ""): string {
  return `
workers: 1
accessLog: off
listeners:
  web: { bind: "127.0.0.1:0", routes: [ { forward: app, timeouts: { response: 2s } } ], timeouts: { requestHead: 3s } }
pools: { app: { balance: round-robin, endpoints: [${endpoints.map((e) => `"${e}"`).join(", ")}] ${more} } }
`;
}

/** Asks for /ok until stop() and fails on the first answer that is not 200. */
async function everyoneElse(sluice: Sluice, done: Promise<unknown>): Promise<number> {
  let served = 0;
  let over = false;
  void done.finally(() => (over = true));
  while (!over) {
    const answer = await request(sluice.address("web"), { path: "/ok" });
    expect(answer.status).toBe(200);
    served++;
  }
  return served;
}

test("a slow reader of a 1 GB answer costs no memory", async () => {
  await using origin = await spawnOrigin({ name: "big" });
  await using sluice = await startSluice(yaml([origin.address]));
  const address = sluice.address("web");
  await request(address, { path: "/ok" });
  const before = sluice.memory().pss;
  using slow = await connect(address);
  slow.discard();
  slow.pause();
  await slow.send(requestBytes(address, { path: "/size?n=1073741824" }));
  // 1 KB a second: a read of a little, then a long pause; the kernel's buffers fill and stay full.
  const reading = (async (): Promise<void> => {
    for (let i = 0; i < 6; i++) {
      await Bun.sleep(1000);
      slow.resume();
      await Bun.sleep(0);
      slow.pause();
    }
  })();
  const served = await everyoneElse(sluice, reading);
  const grown = sluice.memory().pss - before;
  console.log(`slow reader: grew by ${(grown / mebibyte).toFixed(1)} MiB, ${served} others served`);
  expect(slow.ending()).toBeNull();
  expect(grown).toBeLessThan(growthMax);
  expect(served).toBeGreaterThan(10);
}, 60_000);

test.skipIf(lacks("slowhttptest"))(
  "1,000 slowloris clients are cut off and hurt nobody",
  async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(yaml([origin.address]));
    await request(sluice.address("web"), { path: "/ok" });
    const before = sluice.memory().pss;
    using attack = startSlowClients({
      url: `http://${sluice.address("web")}/ok`,
      connections: 1000,
      kind: "head",
      seconds: 8,
    });
    const listener = { listener: "web" };
    await waitFor(async () => (await sluice.metrics()).sum("sluice_connections_open", listener) > 800, {
      what: "the attack to be under way",
      timeoutMs: 10_000,
    });
    const served = await everyoneElse(sluice, attack.finished);
    const grown = sluice.memory().pss - before;
    console.log(`slowloris: grew by ${(grown / mebibyte).toFixed(1)} MiB, ${served} others served`);
    expect(grown).toBeLessThan(growthMax);
    expect(served).toBeGreaterThan(10);
    await waitFor(async () => (await sluice.metrics()).sum("sluice_client_timeouts_total", listener) >= 900, {
      what: "the deadline to have cut them off",
      timeoutMs: 10_000,
    });
    expect(origin.requests().every((seen) => seen.target === "/ok")).toBe(true);
  },
  60_000,
);

test("a back end that never answers is answered for, and the others go on", async () => {
  await using origin = startOrigin({ name: "a" });
  await using sluice = await startSluice(yaml([origin.address], ", passive: off"));
  const address = sluice.address("web");
  await request(address, { path: "/ok" });
  const before = sluice.memory().pss;
  const stuck = Array.from({ length: 200 }, () =>
    request(address, { method: "POST", path: "/never", timeoutMs: 20_000 }),
  );
  const all = Promise.all(stuck);
  const served = await everyoneElse(sluice, all);
  const statuses = new Set((await all).map((answer) => answer.status));
  expect([...statuses]).toEqual([504]);
  expect(served).toBeGreaterThan(10);
  expect(sluice.memory().pss - before).toBeLessThan(growthMax);
}, 60_000);
