// The life of the processes: start and its failures, signals, reloads that succeed, fail or move things, the death of
// the supervisor.

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { connect, request, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { sluiceCommand, startSluice, type Sluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

interface WorkerStatus {
  readonly worker: number;
  readonly pid: number;
  readonly state: string;
}

interface Status {
  readonly state: string;
  readonly generation: number;
  readonly workers: readonly WorkerStatus[];
  readonly listeners: readonly { readonly name: string; readonly addresses: readonly string[] }[];
}

const simple = (address: string, more = ""): string => `
workers: 2
accessLog: off
timeouts: { drain: 3s }
${more}
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: ["${address}"] } }
`;

const bound = (address: string): string => `
admin: off
listeners: { web: { bind: "${address}", forward: app } }
pools: { app: { endpoints: [127.0.0.1:1] } }
`;

const status = (sluice: Sluice): Promise<Status> => sluice.status<Status>();

async function isRefused(address: string): Promise<boolean> {
  try {
    const client = await connect(address);
    client.close();
    return false;
  } catch {
    return true;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ");
  } catch {
    return false;
  }
}

describe.concurrent("stop", () => {
  test("TERM refuses new clients, finishes requests under way with Connection: close, and exits with 0", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address));
    const address = sluice.address("web");
    using idle = await connect(address);
    await idle.send(requestBytes(address, { path: "/ok" }));
    expect((await idle.read()).status).toBe(200);
    using busy = await connect(address);
    await busy.send(requestBytes(address, { path: "/slow?ms=600" }));
    await waitFor(() => origin.stats().byPath["/slow"] === 1, { what: "the request to arrive" });
    sluice.signal("SIGTERM");
    await waitFor(() => isRefused(address), { what: "new clients to be refused" });
    expect(await idle.waitForEnd()).toBe("fin");
    expect((await sluice.admin("/health/ready")).status).toBe(503);
    const response = await busy.read();
    expect(response.status).toBe(200);
    expect(response.headers.filter(([name]) => name.toLowerCase() === "connection")).toEqual([["Connection", "close"]]);
    expect(await sluice.exited()).toBe(0);
  });

  test("what is not finished by timeouts.drain is cut off", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address).replace("drain: 3s", "drain: 1s"));
    const address = sluice.address("web");
    using stuck = await connect(address);
    await stuck.send(requestBytes(address, { path: "/never" }));
    await waitFor(() => origin.stats().byPath["/never"] === 1, { what: "the request to arrive" });
    expect(await sluice.stop()).toBe(0);
    await stuck.waitForEnd();
    expect(sluice.logs()).toContain("drain timeout, connections closed");
  });

  test("a second signal ends it at once", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address).replace("drain: 3s", "drain: 10m"));
    const address = sluice.address("web");
    using stuck = await connect(address);
    await stuck.send(requestBytes(address, { path: "/never" }));
    await waitFor(() => origin.stats().byPath["/never"] === 1, { what: "the request to arrive" });
    sluice.signal("SIGINT");
    await waitFor(() => sluice.logs().includes("draining"), { what: "the drain to begin" });
    sluice.signal("SIGINT");
    expect(await sluice.exited()).toBe(0);
  });

  test("the workers of a supervisor that is killed finish their requests, and go", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address));
    const address = sluice.address("web");
    const pids = sluice.workerPids();
    using busy = await connect(address);
    await busy.send(requestBytes(address, { path: "/slow?ms=400" }));
    await waitFor(() => origin.stats().byPath["/slow"] === 1, { what: "the request to arrive" });
    sluice.signal("SIGKILL");
    expect((await busy.read()).status).toBe(200);
    await waitFor(() => pids.every((pid) => !isAlive(pid)), { what: "the workers to be gone" });
    expect(sluice.logs()).toContain("the supervisor is gone");
  });
});

describe.concurrent("start", () => {
  async function runToEnd(yaml: string): Promise<{ code: number; text: string }> {
    const file = `/tmp/sluice-start-${process.pid}-${Math.random().toString(16).slice(2)}.yaml`;
    await Bun.write(file, yaml);
    const child = Bun.spawn([...sluiceCommand("run"), file], { stdio: ["ignore", "pipe", "pipe"] });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    await Bun.file(file).delete();
    return { code, text: out + err };
  }

  test("with mistakes in the file exits with 1, having printed them all", async () => {
    const { code, text } = await runToEnd("listenrs: {}\npoools: {}\n");
    expect(code).toBe(1);
    expect(text).toContain("did you mean listeners");
    expect(text).toContain("did you mean pools");
  });

  test("on an address that is in use exits with 3 and says so", async () => {
    await using origin = startOrigin({ name: "a" });
    const { code, text } = await runToEnd(bound(origin.address));
    expect(code).toBe(3);
    expect(text).toContain(`cannot listen on ${origin.address}: the address is in use`);
  });

  test("a second one on the same address is refused too, although the sockets could share it", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address));
    const { code, text } = await runToEnd(bound(sluice.address("web")));
    expect(code).toBe(3);
    expect(text).toContain("in use");
  });

  test("with a user that does not exist exits with 3", async () => {
    const { code, text } = await runToEnd(`user: no-such-user\n${bound("127.0.0.1:0")}`);
    expect(code).toBe(3);
    expect(text).toContain("no-such-user");
  });

  test.skipIf(process.getuid!() !== 0)(
    "the workers become another user, the sockets and the log stay usable",
    async () => {
      await using origin = startOrigin({ name: "a" });
      await using sluice = await startSluice(
        simple(origin.address, "user: nobody").replace("accessLog: off", "accessLog: { file: ./access.log }"),
      );
      expect((await request(sluice.address("web"), { path: "/ok" })).status).toBe(200);
      for (const pid of sluice.workerPids()) {
        const uid = /^Uid:\t(\d+)\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))!;
        expect(Number(uid[1])).toBeGreaterThan(0);
        expect(uid[1]).toBe(uid[2]);
      }
      const log = join(sluice.dir, "access.log");
      renameSync(log, `${log}.1`);
      sluice.signal("SIGUSR1");
      await waitFor(() => existsSync(log), { what: "the new log" });
      await waitFor(
        async () => {
          await request(sluice.address("web"), { path: "/ok" });
          return readFileSync(log, "utf8").includes('"/ok"');
        },
        { what: "lines in the new log" },
      );
    },
  );
});

describe.concurrent("reload", () => {
  test("HUP takes the new file", async () => {
    await using origin = startOrigin({ name: "a" });
    await using other = startOrigin({ name: "b" });
    await using sluice = await startSluice(simple(origin.address));
    sluice.writeConfig(simple(other.address));
    sluice.signal("SIGHUP");
    await waitFor(async () => (await status(sluice)).generation === 2, { what: "the second generation" });
    expect((await request(sluice.address("web"), { path: "/ok" })).body.toString()).toContain("b ok");
  });

  test("a broken file leaves everything as it is and says why", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address));
    const answer = await sluice.reload(simple(origin.address).replace("forward: app", "forward: appp"));
    expect(answer.status).toBe(422);
    expect(answer.text).toContain("appp");
    expect(answer.text).toContain('"line": ');
    expect((await status(sluice)).generation).toBe(1);
    expect((await sluice.metrics()).sum("sluice_reloads_total", { result: "refused" })).toBe(1);
    expect((await request(sluice.address("web"), { path: "/ok" })).status).toBe(200);
    expect(sluice.logs()).toContain("configuration refused");
  });

  test("an address that cannot be had refuses the whole", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address));
    const more = `{ extra: { bind: "${origin.address}", forward: app }, web:`;
    const answer = await sluice.reload(simple(origin.address).replace("{ web:", more));
    expect(answer.status).toBe(422);
    expect(answer.text).toContain("in use");
    expect((await request(sluice.address("web"), { path: "/ok" })).status).toBe(200);
  });

  test("a listener that goes refuses new clients and lets its others finish; one that comes serves", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address));
    const old = sluice.address("web");
    using idle = await connect(old);
    await idle.send(requestBytes(old, { path: "/ok" }));
    await idle.read();
    using busy = await connect(old);
    await busy.send(requestBytes(old, { path: "/slow?ms=500" }));
    await waitFor(() => origin.stats().byPath["/slow"] === 1, { what: "the request to arrive" });
    expect((await sluice.reload(simple(origin.address).replace("{ web:", "{ site:"))).status).toBe(200);
    await waitFor(() => isRefused(old), { what: "new clients to be refused" });
    expect(await idle.waitForEnd()).toBe("fin");
    expect((await busy.read()).status).toBe(200);
    expect(await busy.waitForEnd()).toBe("fin");
    const { listeners } = await status(sluice);
    expect(listeners.map(({ name }) => name)).toEqual(["site"]);
    expect((await request(listeners[0]!.addresses[0]!, { path: "/ok" })).status).toBe(200);
  });

  test("a listener that loses one of two addresses goes on at the other", async () => {
    await using origin = startOrigin({ name: "a" });
    const two = simple(origin.address).replace('"127.0.0.1:0"', '["127.0.0.1:0", "127.0.0.2:0"]');
    await using sluice = await startSluice(two);
    const [kept = "", gone = ""] = sluice.ports()["web"]!;
    expect((await sluice.reload(simple(origin.address))).status).toBe(200);
    await waitFor(() => isRefused(gone), { what: "the address to be given up" });
    for (let i = 0; i < 8; i++) expect((await request(kept, { path: "/ok" })).status).toBe(200);
  });

  test("the number of workers changes both ways without a failed request", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address).replace("workers: 2", "workers: 1"));
    const address = sluice.address("web");
    const running = async (count: number): Promise<boolean> => {
      const { workers } = await status(sluice);
      return workers.length === count && workers.every(({ state }) => state === "running");
    };
    for (const count of [3, 1, 2]) {
      expect((await sluice.reload(simple(origin.address).replace("workers: 2", `workers: ${count}`))).status).toBe(200);
      await waitFor(() => running(count), { what: `${count} workers` });
      for (let i = 0; i < 12; i++) expect((await request(address, { path: "/ok" })).status).toBe(200);
    }
    expect((await sluice.metrics()).sum("sluice_requests_total")).toBe(36);
    expect((await sluice.metrics()).sum("sluice_worker_restarts_total")).toBe(0);
  });

  test("the admin interface moves", async () => {
    await using origin = startOrigin({ name: "a" });
    const socket = `/tmp/sluice-admin-${process.pid}.sock`;
    await using sluice = await startSluice(simple(origin.address));
    const answer = await sluice.reload(`admin: { bind: "unix:${socket}" }\n${simple(origin.address)}`);
    expect(answer.status).toBe(200);
    const moved = await fetch("http://localhost/api/v1/status", { unix: socket });
    expect(((await moved.json()) as Status).generation).toBe(2);
    await waitFor(
      async () =>
        await sluice.admin("/health").then(
          () => false,
          () => true,
        ),
      { what: "the old admin address to be closed" },
    );
  });
});

describe.concurrent("workers", () => {
  test("that are stopped for too long are killed and replaced", async () => {
    await using origin = startOrigin({ name: "a" });
    await using sluice = await startSluice(simple(origin.address));
    const victim = (await status(sluice)).workers[0]!;
    process.kill(victim.pid, "SIGSTOP");
    const next = await waitFor(
      async () => {
        const { workers } = await status(sluice);
        return workers.find(
          ({ worker, pid, state }) => worker === victim.worker && pid !== victim.pid && state === "running",
        );
      },
      { what: "the worker to be replaced", timeoutMs: 20_000, everyMs: 200 },
    );
    expect(next.pid).not.toBe(victim.pid);
    expect(sluice.logs()).toContain("does not respond and is killed");
  }, 30_000);
});
