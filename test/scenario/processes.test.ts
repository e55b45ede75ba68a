// Processes and their rights: as many workers as asked for, another user for them, Ctrl-C, and clients that wait while
// nobody accepts.

import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { readTree } from "../../bench/lib/proc-stat.ts";
import { closeFd, createListener } from "../../src/sys/listen-socket.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
afterAll(() => origin.close());

const yaml = (more: string, bind = "127.0.0.1:0"): string => `
${more}
accessLog: off
timeouts: { drain: 10s }
listeners: { web: { bind: [${bind}], forward: app } }
pools: { app: { endpoints: ["${origin.address}"] } }
`;

test("workers: auto is one per CPU, and each serves", async () => {
  await using sluice = await startSluice(yaml("workers: auto"));
  expect(sluice.workerPids().length).toBe(availableParallelism());
  const { workers } = await sluice.status<{ workers: { state: string }[] }>();
  expect(workers.map(({ state }) => state)).toEqual(workers.map(() => "running"));
  await waitFor(
    async () => {
      for (let i = 0; i < 8; i++) await request(sluice.address("web"));
      const now = await sluice.status<{ workers: { requests: number }[] }>();
      return now.workers.every(({ requests }) => requests > 0);
    },
    { what: "every worker to have had requests" },
  );
});

test("Ctrl-C reaches every process of the terminal: requests under way end well, and nobody is left", async () => {
  await using sluice = await startSluice(yaml("workers: 2"));
  const pids = [sluice.pid, ...sluice.workerPids()];
  const address = sluice.address("web");
  using busy = await connect(address);
  await busy.send(requestBytes(address, { path: "/slow?ms=400" }));
  await waitFor(() => origin.stats().byPath["/slow"] === 1, { what: "the request to arrive" });
  process.kill(-sluice.pid, "SIGINT");
  const response = await busy.read();
  expect([response.status, response.header("connection")]).toEqual([200, "close"]);
  busy.close();
  expect(await sluice.exited()).toBe(0);
  for (const pid of pids) expect(readTree(pid)).toEqual([]);
});

test("clients that come while a worker is stopped wait, and are served when it goes on", async () => {
  await using sluice = await startSluice(yaml("workers: 1"));
  const address = sluice.address("web");
  const [worker = 0] = sluice.workerPids();
  process.kill(worker, "SIGSTOP");
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(address)));
  for (const client of clients) await client.send(requestBytes(address));
  expect(clients.filter((client) => client.received() > 0).length).toBe(0);
  process.kill(worker, "SIGCONT");
  for (const client of clients) {
    expect((await client.read()).status).toBe(200);
    client.close();
  }
});

test("a worker that is killed loses only its own requests", async () => {
  await using sluice = await startSluice(yaml("workers: 2"));
  const address = sluice.address("web");
  const clients = await Promise.all(Array.from({ length: 24 }, () => connect(address)));
  for (const client of clients) await client.send(requestBytes(address, { path: "/slow?ms=700" }));
  await waitFor(async () => (await sluice.metrics()).sum("sluice_worker_exchanges") === 24, {
    what: "all to be under way",
  });
  const shares = (await sluice.status<{ workers: { pid: number; exchanges: number }[] }>()).workers;
  process.kill(shares[0]!.pid, "SIGKILL");
  const outcomes = await Promise.all(
    clients.map((client) =>
      client.read({ timeoutMs: 10_000 }).then(
        ({ status }) => status,
        () => 0,
      ),
    ),
  );
  expect(outcomes.filter((status) => status === 200).length).toBe(shares[1]!.exchanges);
  expect(outcomes.filter((status) => status === 0).length).toBe(shares[0]!.exchanges);
  await waitFor(
    async () => {
      const metrics = await sluice.metrics();
      return metrics.sum("sluice_worker_up") === 2 && metrics.sum("sluice_endpoint_active_requests") === 0;
    },
    { what: "its successor, and its books to be settled" },
  );
});

function uidsOf(pid: number): number[] {
  const line = /^Uid:\t(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]!;
  return [...new Set(line.split("\t").map(Number))];
}

async function answers(sluice: Sluice, address: string): Promise<void> {
  for (let i = 0; i < 6; i++) expect((await request(address)).status).toBe(200);
  for (const pid of sluice.workerPids()) expect(uidsOf(pid)).toEqual([65_534]);
}

/** Two addresses with ports that only root may bind, free a moment ago. */
function freeLowAddresses(): string[] {
  const addresses: string[] = [];
  for (let port = 600; addresses.length < 2; port++) {
    if (port === 1024) throw new Error("no low port is free");
    try {
      closeFd(createListener({ ip: "127.0.0.81", port, unixPath: null }, { backlog: 1, reusePort: false }).fd);
      addresses.push(`127.0.0.81:${port}`);
    } catch {
      // in use
    }
  }
  return addresses;
}

// Only root may become somebody else and bind low ports.
test.skipIf(process.getuid?.() !== 0)(
  "user: workers give up root, yet low ports can be bound, by a reload too",
  async () => {
    const [first, second] = freeLowAddresses();
    await using sluice = await startSluice(yaml("workers: 2\nuser: nobody", `"${first}"`));
    expect(uidsOf(sluice.pid)).toEqual([0]);
    await answers(sluice, first!);
    expect((await sluice.reload(yaml("workers: 2\nuser: nobody", `"${first}", "${second}"`))).status).toBe(200);
    await answers(sluice, second!);
    // A worker that is started again gives up its rights again, and has the low ports all the same.
    process.kill(sluice.workerPids()[0]!, "SIGKILL");
    await waitFor(async () => (await sluice.metrics()).sum("sluice_worker_restarts_total") === 1, {
      what: "a restart",
    });
    await waitFor(async () => (await sluice.metrics()).sum("sluice_worker_up") === 2, { what: "both workers" });
    await answers(sluice, first!);
    await answers(sluice, second!);
  },
);
