// The supervisor over a machine of objects: start, reload, workers that die, endpoints, stop. No process, no real time.

import { beforeEach, describe, expect, test } from "bun:test";
import { LogLevel } from "../base/ports.ts";
import { loadText } from "../config/load.ts";
import type { AdminConfig } from "../model/config.ts";
import type { HookModule } from "../model/plan.ts";
import { Admin, columnsBytes, EC, Health, LC, openColumns, WC, type Columns } from "../stats/columns.ts";
import { FakeHost, FakeWorld, settle, type FakeWorker } from "./fakes.ts";
import { LevelLog } from "./level-log.ts";
import type { ToWorker } from "./messages.ts";
import { Supervisor, type AdminServer } from "./supervisor.ts";

class FakeAdmin implements AdminServer {
  readonly address: string;
  stopped = false;
  token: string | null = null;
  constructor(address: string) {
    this.address = address;
  }
  setToken(token: string | null): void {
    this.token = token;
  }
  stop(): void {
    this.stopped = true;
  }
}

let world: FakeWorld;
let host: FakeHost;
let columns: Columns;
let supervisor: Supervisor;
let admins: FakeAdmin[] = [];
let file = "";
let hooks: HookModule | null = null;

const size = { workers: 8, listeners: 256, endpoints: 512 };

beforeEach(() => {
  world = new FakeWorld();
  host = new FakeHost();
  columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
  admins = [];
  hooks = null;
  const log = new LevelLog(world.env.log, LogLevel.Info);
  supervisor = new Supervisor({
    env: { ...world.env, log },
    host,
    columns,
    log,
    cpuCount: 2,
    load: () => Promise.resolve({ ...loadText(file, "sluice.yaml"), hooks }),
    startAdmin: ({ bind }: AdminConfig) => {
      const address = `${bind.ip}:${bind.port}`;
      if (host.taken.has(address)) throw new Error(`cannot listen on ${address}`);
      admins.push(new FakeAdmin(address));
      return admins.at(-1)!;
    },
  });
});

const base = `
listeners: { web: { bind: 127.0.0.1:80, forward: users } }
pools:
  users:
    endpoints: [{ address: 10.0.0.1:80, id: a, weight: 3 }, { address: 10.0.0.2:80, id: b }]
`;

async function start(text = base): Promise<void> {
  file = text;
  expect(await supervisor.start()).toEqual({ ok: true });
}

/** Reloads; "" or the reason of refusal. */
async function reload(text: string): Promise<string> {
  file = text;
  return (await supervisor.reload()).reason;
}

function row(id: string, pool = "users"): number {
  return supervisor.findEndpoint(pool, id)!.row;
}

const prepares = (worker: FakeWorker): Extract<ToWorker, { kind: "prepare" }>[] =>
  worker.received.filter((message) => message.kind === "prepare");

/** Has the workers never say that a generation is over. */
function holdGenerations(): void {
  for (const worker of host.workers) {
    const send = worker.send.bind(worker);
    worker.send = (message, fds) => {
      if (message.kind !== "commit") return send(message, fds);
      worker.say({ kind: "committed", generation: message.generation });
      return true;
    };
  }
}

/** Lets the workers of the machine show signs of life while time passes. */
async function pass(ms: number, beating: (worker: FakeWorker) => boolean = () => true): Promise<void> {
  for (let at = 0; at < ms; at += 100) {
    for (const worker of host.alive) if (beating(worker)) columns.worker(worker.worker)[WC.heartbeatMs] = world.nowMs;
    await world.pass(100);
  }
}

describe("start", () => {
  test("binds, spawns a worker per CPU, puts the plan in force on each", async () => {
    await start();
    expect(host.opened).toBe("2x 127.0.0.1:80 shared");
    expect(host.workers.map((worker) => worker.kinds)).toEqual(["prepare commit", "prepare commit"]);
    expect(host.workers.map((worker) => worker.fds.length)).toEqual([1, 1]);
    expect(host.workers[0]!.fds[0]).not.toBe(host.workers[1]!.fds[0]);
    expect(supervisor.state).toBe("running");
    expect(columns.weight[row("a")]).toBe(3);
    expect(supervisor.adminAddress).toBe("127.0.0.1:9900");
  });

  test("a broken file is a configuration fault, with every diagnostic", async () => {
    file = "listeners: { web: { bind: 127.0.0.1:80, forward: nowhere } }\nworkers: many\n";
    const result = await supervisor.start();
    expect(result).toMatchObject({ ok: false, fault: "config" });
    expect(host.workers.length).toBe(0);
    expect(host.opened).toBe("");
  });

  test("an address in use is a runtime fault that leaves nothing behind", async () => {
    file = base;
    host.taken.add("127.0.0.1:80");
    expect(await supervisor.start()).toMatchObject({ ok: false, fault: "runtime" });
    expect(host.opened).toBe("");
  });

  test("so is an admin address in use", async () => {
    file = base;
    host.taken.add("127.0.0.1:9900");
    expect(await supervisor.start()).toMatchObject({ ok: false, reason: "cannot listen on 127.0.0.1:9900" });
    expect(host.opened).toBe("");
  });

  test("so is a plan that a worker refuses", async () => {
    file = base;
    host.onSpawn = (worker) => {
      if (worker.worker === 1) worker.refuse = "no";
      worker.say({ kind: "hello" });
    };
    expect(await supervisor.start()).toMatchObject({ ok: false, fault: "runtime", reason: "worker 1: no" });
    expect(host.alive.length).toBe(0);
    expect(host.opened).toBe("");
    expect(admins[0]!.stopped).toBe(true);
  });

  test("so is a worker that ends before it is ready", async () => {
    file = base;
    host.onSpawn = (worker) => worker.exit(1);
    expect(await supervisor.start()).toMatchObject({ ok: false, fault: "runtime" });
  });

  test("being told to stop meanwhile ends it", async () => {
    file = base;
    host.onSpawn = () => {};
    const started = supervisor.start();
    await settle();
    void supervisor.drain();
    expect(await started).toMatchObject({ ok: false });
    expect(host.alive.length).toBe(0);
    expect(world.env.timers.size).toBeLessThan(5);
  });
});

describe("reload", () => {
  test("keeps sockets, rows and counts of what stays", async () => {
    await start();
    const [a, b] = [row("a"), row("b")];
    columns.endpoint(0, a)[EC.requests] = 7;
    const before = host.opened;
    expect(await reload(base.replace("10.0.0.2:80, id: b", "10.0.0.2:80, id: c"))).toBe("");
    expect(host.opened).toBe(before);
    expect(row("a")).toBe(a);
    expect(row("c")).not.toBe(b);
    expect(columns.endpoint(0, a)[EC.requests]).toBe(7);
    expect(prepares(host.workers[0]!)[1]).toMatchObject({ grants: [], releases: [] });
    expect(supervisor.reloads).toEqual({ ok: 1, refused: 0 });
    expect(supervisor.plan!.generation).toBe(2);
  });

  test("a broken file changes nothing and says why", async () => {
    await start();
    expect(await reload("listeners: [")).toBe("the configuration has errors");
    expect(supervisor.lastReload!.diagnostics.length).toBeGreaterThan(0);
    expect(supervisor.plan!.generation).toBe(1);
    expect(host.workers[0]!.kinds).toBe("prepare commit");
    expect(world.lines.join("\n")).toContain("configuration refused, the old one goes on");
  });

  test("a worker's no is everybody's no, and what was bound for it is closed again", async () => {
    await start();
    host.workers[1]!.refuse = "pool users: impossible";
    const text = base.replace("web: {", "more: { bind: 127.0.0.1:81, forward: users }, web: {");
    expect(await reload(text)).toBe("worker 1: pool users: impossible");
    expect(host.opened).toBe("2x 127.0.0.1:80 shared");
    expect(host.workers.map((worker) => worker.kinds)).toEqual([
      "prepare commit prepare discard",
      "prepare commit prepare discard",
    ]);
    host.workers[1]!.refuse = "";
    expect(await reload(text)).toBe("");
    expect(host.opened).toBe("2x 127.0.0.1:80 shared, 2x 127.0.0.1:81 shared");
    expect(supervisor.plan!.generation).toBe(2);
  });

  test("code of hooks goes to a worker when it has other code, also with a change of endpoints", async () => {
    const codes = (worker: number): (string | undefined)[] =>
      prepares(host.workers[worker]!).map(({ plan }) => plan.hooks?.code);
    const changes = async (text: string): Promise<readonly string[]> => {
      file = text;
      return (await supervisor.reload()).changes;
    };
    hooks = { code: "one", version: "1" };
    await start();
    const more = base.replace("b }]", "b }, 10.0.0.3:80]");
    expect(await changes(more)).toHaveLength(1);
    expect(codes(0)).toEqual(["one", ""]);
    host.workers[0]!.exit(1);
    await settle();
    expect(codes(2)).toEqual(["one"]); // its successor
    hooks = { code: "two", version: "2" };
    expect(await changes(more)).toEqual(["the code of hooks is another"]);
    expect([codes(1), codes(2)]).toEqual([
      ["one", "", "two"],
      ["one", "two"],
    ]);
    host.workers[1]!.refuse = "no";
    hooks = { code: "three", version: "3" };
    expect(await changes(more)).toEqual([]);
    expect(supervisor.plan!.hooks!.version).toBe("2");
    host.workers[1]!.refuse = "";
    hooks = { code: "two", version: "2" };
    expect(await changes(base)).toHaveLength(1);
    expect(codes(1)).toEqual(["one", "", "two", "three", ""]);
    hooks = null;
    await reload(base);
    hooks = { code: "two", version: "2" };
    await reload(base);
    expect(codes(1).slice(-2)).toEqual([undefined, "two"]);
  });

  test("a listener that comes is granted, one that goes is released, then closed", async () => {
    await start();
    expect(await reload(base.replace("web:", "site:").replace(":80,", ":8080,"))).toBe("");
    expect(prepares(host.workers[0]!)[1]).toMatchObject({ grants: [{ listener: "site" }], releases: ["web"] });
    expect(host.opened).toBe("2x 127.0.0.1:8080 shared");
  });

  test("a listener that loses one of two addresses keeps the other's sockets", async () => {
    await start(base.replace("bind: 127.0.0.1:80", "bind: [127.0.0.1:80, 127.0.0.2:80]"));
    expect(await reload(base)).toBe("");
    expect(prepares(host.workers[0]!)[1]).toMatchObject({ grants: [{ listener: "web" }], releases: ["web"] });
    expect(host.opened).toBe("2x 127.0.0.1:80 shared");
  });

  test("more workers, then fewer", async () => {
    await start(`workers: 1\n${base}`);
    expect(host.alive.length).toBe(1);
    expect(await reload(`workers: 3\n${base}`)).toBe("");
    await settle();
    expect(host.alive.map((worker) => worker.kinds)).toEqual([
      "prepare commit prepare commit",
      "prepare commit",
      "prepare commit",
    ]);
    expect(await reload(`workers: 2\n${base}`)).toBe("");
    await settle();
    expect(host.alive.map(({ worker }) => worker)).toEqual([0, 1]);
    expect(host.workers[2]!.kinds).toBe("prepare commit drain");
    // The third socket stays, and whoever is left accepts on it.
    expect(host.opened).toBe("3x 127.0.0.1:80 shared");
    const [key] = prepares(host.workers[2]!)[0]!.grants.map((grant) => grant.key);
    for (const worker of host.alive) {
      expect(prepares(worker).at(-1)).toMatchObject({ grants: [{ listener: "web", key }], returns: [] });
      expect(worker.fds.at(-1)).toBe(host.workers[2]!.fds[0]);
    }
    expect(await reload(`workers: 3\n${base}`)).toBe("");
    for (const worker of host.alive.slice(0, 2)) {
      expect(prepares(worker).at(-1)).toMatchObject({ grants: [], returns: [{ listener: "web", key }] });
    }
    expect(prepares(host.alive[2]!)).toMatchObject([{ grants: [{ listener: "web", key }], returns: [] }]);
    await pass(20_000);
    expect(host.alive.length).toBe(3);
  });

  test("a row is used again only when nothing is under way there, or no worker holds the old generation", async () => {
    await start();
    const b = row("b");
    columns.active[b] = 1;
    holdGenerations();
    const other = (id: string): string => base.replace("id: b", `id: ${id}`);
    await reload(other("c"));
    await reload(other("d"));
    expect(row("d")).not.toBe(b);
    columns.endpoint(0, b)[EC.requests] = 5;
    for (const worker of host.workers) worker.say({ kind: "retired", oldestGeneration: 3 });
    await settle();
    await reload(other("e"));
    expect([b, 2]).toContain(row("e"));
    await reload(base.replace("id: b", "id: e }, { address: 10.0.0.3:80, id: f"));
    const rows = [row("e"), row("f")];
    expect(rows).toContain(b);
    expect(columns.endpoint(0, b)[EC.requests]).toBe(0);
  });

  test("a row where nothing is under way is used again though its generation is held for long", async () => {
    await start();
    holdGenerations();
    const other = (id: string): string => base.replace("id: b", `id: ${id}`);
    const rows = new Set<number>();
    for (let i = 0; i < 20; i++) {
      await reload(other(`n${i}`));
      rows.add(row(`n${i}`));
    }
    expect(rows.size).toBe(2);
    const held = row("n19");
    columns.active[held] = 1;
    for (let i = 20; i < 40; i++) {
      await reload(other(`n${i}`));
      expect(row(`n${i}`)).not.toBe(held);
    }
  });

  test("the admin interface moves only when its address does", async () => {
    await start();
    await reload(`${base}\nadmin: { bind: 127.0.0.1:9900, token: sixteen-letters-long }\n`);
    expect(admins.length).toBe(1);
    expect(admins[0]!.token).toBe("sixteen-letters-long");
    host.taken.add("127.0.0.1:9911");
    expect(await reload(`${base}\nadmin: { bind: 127.0.0.1:9911 }\n`)).toContain("9911");
    expect(admins[0]!.stopped).toBe(false);
    await reload(`${base}\nadmin: { bind: 127.0.0.1:9922 }\n`);
    expect(admins.map(({ stopped }) => stopped)).toEqual([true, false]);
    expect(supervisor.adminAddress).toBe("127.0.0.1:9922");
  });

  test("the user cannot change", async () => {
    await start();
    expect(await reload(`user: nobody\n${base}`)).toContain("user cannot be changed");
  });

  test("asked for many times at once it runs once more, not many times", async () => {
    await start();
    const results = await Promise.all(Array.from({ length: 10 }, () => supervisor.reload()));
    expect(new Set(results).size).toBe(1);
    expect(supervisor.plan!.generation).toBe(2);
  });

  test("the access log's file goes to the workers, once", async () => {
    await start(`accessLog: { file: /log/a }\n${base}`);
    expect(host.opened).toContain("1x log /log/a");
    expect(host.workers[0]!.fds.length).toBe(2);
    await reload(`accessLog: { file: /log/a }\n${base}`);
    expect(host.workers[0]!.fds.length).toBe(2);
    await reload(`accessLog: { file: /log/b }\n${base}`);
    expect(host.workers[0]!.fds.length).toBe(3);
    expect(host.opened).not.toContain("/log/a");
    supervisor.reopenLog();
    await settle();
    expect(host.workers[0]!.received.at(-1)!.kind).toBe("reopen");
    expect(host.opened).toContain("1x log /log/b");
  });
});

describe("workers that die", () => {
  test("are replaced at once, with the same sockets, and their gauges are settled", async () => {
    await start();
    const a = row("a");
    columns.active[a] = 5;
    columns.endpoint(0, a)[EC.activeOwn] = 3;
    columns.endpoint(0, a)[EC.requests] = 100;
    columns.listener(0, 0)[LC.open] = 9;
    host.workers[0]!.exit(null, "SIGKILL");
    await settle();
    expect(columns.active[a]).toBe(2);
    expect(columns.endpoint(0, a)[EC.activeOwn]).toBe(0);
    expect(columns.endpoint(0, a)[EC.requests]).toBe(100);
    expect(columns.listener(0, 0)[LC.open]).toBe(0);
    expect(host.alive.length).toBe(2);
    expect(host.workers[2]!.kinds).toBe("prepare commit");
    expect(host.workers[2]!.fds).toEqual(host.workers[0]!.fds);
    expect(supervisor.workforce.workers[0]!).toMatchObject({ state: "running", restarts: 1 });
  });

  test("again and again: at once, then after 100 ms, 200 ms and so on; anew after ten good seconds", async () => {
    await start(`workers: 1\n${base}`);
    const delays: number[] = [];
    for (let i = 0; i < 5; i++) {
      const count = host.workers.length;
      host.workers.at(-1)!.exit(1);
      const from = world.nowMs;
      await settle();
      while (host.workers.length === count) await world.pass(100);
      delays.push(world.nowMs - from);
      await settle();
    }
    // The timer wheel is up to a tick late.
    expect(delays[0]).toBe(0);
    [100, 200, 400, 800].forEach((wanted, i) => {
      expect(delays[i + 1]!).toBeGreaterThanOrEqual(wanted);
      expect(delays[i + 1]!).toBeLessThanOrEqual(wanted + 200);
    });
    await pass(10_500);
    const count = host.workers.length;
    host.workers.at(-1)!.exit(1);
    await settle();
    expect(host.workers.length).toBe(count + 1);
  });

  test("during a reload refuse it, and the next one works", async () => {
    await start();
    host.workers[1]!.refuse = null;
    const result = supervisor.reload();
    await settle();
    host.workers[1]!.exit(null, "SIGSEGV");
    expect((await result).reason).toBe("worker 1: the worker ended");
    await settle();
    expect(host.alive.length).toBe(2);
    expect((await supervisor.reload()).ok).toBe(true);
    expect(supervisor.workforce.workers.map(({ generation }) => generation)).toEqual([2, 2]);
  });

  test("start with the plan that is in force by then", async () => {
    await start();
    host.onSpawn = () => {};
    host.workers[0]!.exit(1);
    await settle();
    expect(await reload(base.replace("weight: 3", "weight: 5"))).toBe("");
    host.workers[2]!.say({ kind: "hello" });
    await settle();
    expect(supervisor.workforce.workers.map(({ generation }) => generation)).toEqual([2, 2]);
  });

  test("or stand still for ten seconds are killed, but not when the whole machine stood still", async () => {
    await start();
    await pass(9000, (worker) => worker.worker === 0);
    expect(host.workers.length).toBe(2);
    await pass(4000, (worker) => worker.worker === 0);
    expect(host.workers.map(({ alive }) => alive)).toEqual([true, false, true]);
    await pass(2000);
    world.nowMs += 60_000; // nobody ran
    world.env.timers.advance(world.nowMs);
    await settle();
    await pass(5000);
    expect(host.workers.length).toBe(3);
  });
});

describe("endpoints", () => {
  test("are set at run time, and keep that through reloads until the file itself changes them", async () => {
    await start();
    expect(supervisor.patchEndpoint("users", "a", { weight: 0, admin: "drain" }, "test")).toEqual({
      weight: 0,
      admin: "drain",
    });
    expect([columns.weight[row("a")], columns.admin[row("a")]]).toEqual([0, Admin.Drain]);
    await reload(base.replace("id: b", "id: b, weight: 9"));
    expect([columns.weight[row("a")], columns.admin[row("a")], columns.weight[row("b")]]).toEqual([0, Admin.Drain, 9]);
    await reload(base.replace("weight: 3", "weight: 4"));
    expect([columns.weight[row("a")], columns.admin[row("a")]]).toEqual([4, Admin.Drain]);
    supervisor.patchEndpoint("users", "a", { admin: "ready" }, "test");
    expect(columns.admin[row("a")]).toBe(Admin.Ready);
    expect(supervisor.patchEndpoint("users", "x", { weight: 1 }, "test")).toBeNull();
  });

  test("by name get their address, and a new one, everywhere", async () => {
    host.names.set("db.internal", { addresses: ["10.9.9.9"], ttlMs: 1000 });
    await start(base.replace("10.0.0.1:80", "db.internal:80"));
    expect(supervisor.plan!.resolved).toEqual({ [row("a")]: "10.9.9.9" });
    host.names.set("db.internal", { addresses: ["10.9.9.8"], ttlMs: 1000 });
    await pass(60_000);
    expect(host.workers[0]!.received.at(-1)).toEqual({ kind: "resolved", resolved: { [row("a")]: "10.9.9.8" } });
    expect(supervisor.plan!.resolved).toEqual({ [row("a")]: "10.9.9.8" });
  });

  test("by a name that does not resolve are down, and the start goes on", async () => {
    await start(base.replace("10.0.0.1:80", "nowhere.invalid:80"));
    expect(columns.health[row("a")]).toBe(Health.Down);
    expect(columns.health[row("b")]).toBe(Health.Unknown);
    host.names.set("nowhere.invalid", { addresses: ["10.9.9.9"], ttlMs: null });
    await pass(60_000);
    expect(columns.health[row("a")]).toBe(Health.Unknown);
  });
});

describe("stop", () => {
  test("closes the sockets, drains the workers, ends", async () => {
    await start(`accessLog: { file: /log/a }\n${base}`);
    await supervisor.drain();
    expect(host.opened).toBe("");
    expect(host.workers.map((worker) => worker.kinds)).toEqual(["prepare commit drain", "prepare commit drain"]);
    expect(supervisor.state).toBe("stopped");
    expect(admins[0]!.stopped).toBe(true);
    expect((await supervisor.reload()).reason).toBe("not possible while stopped");
  });

  test("a worker that does not leave is killed after the drain timeout", async () => {
    await start(`timeouts: { drain: 5s }\n${base}`);
    for (const worker of host.workers) worker.send = () => true;
    let done = false;
    void supervisor.drain().then(() => (done = true));
    await pass(6500);
    expect(done).toBe(false);
    await pass(1000);
    expect(done).toBe(true);
    expect(host.alive.length).toBe(0);
  });

  test("in the middle of a reload", async () => {
    await start();
    host.workers[1]!.refuse = null;
    const result = supervisor.reload();
    await settle();
    await supervisor.drain();
    expect((await result).ok).toBe(false);
    expect(host.opened).toBe("");
    expect(host.alive.length).toBe(0);
  });

  test("at once", async () => {
    await start();
    await supervisor.kill();
    expect(host.alive.length).toBe(0);
    expect(supervisor.state).toBe("stopped");
  });
});
