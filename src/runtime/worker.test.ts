// The worker's shell with a data plane that only writes down what it is told.

import { beforeEach, describe, expect, test } from "bun:test";
import type { Config } from "../model/config.ts";
import { loadText } from "../config/load.ts";
import type { Plan } from "../model/plan.ts";
import { columnsBytes, openColumns, WC, type Columns } from "../stats/columns.ts";
import { sealerOf } from "../sys/sealer.ts";
import { FakeWorld } from "./fakes.ts";
import type { FromWorker } from "./messages.ts";
import type { Plane } from "./plane.ts";
import { WorkerShell, type WorkerHost } from "./worker.ts";
import { PasswordDesk } from "../http/password-desk.ts";
import { CompressorSupply } from "../sys/compressors.ts";

/** No password is right. */
const passwords = new PasswordDesk({ check: () => Promise.resolve(false) }, new Uint8Array(16));

class FakePlane implements Plane<number> {
  readonly did: string[] = [];
  openConnections = 0;
  oldestGeneration = 0;
  apply(generation: number): void {
    this.did.push(`apply ${generation}`);
    this.oldestGeneration ||= generation;
  }
  /** Descriptors that cannot be adopted now. */
  readonly stuck = new Set<number>();
  adopt(listener: string, fd: number, port: number): void {
    if (this.stuck.has(fd)) throw new Error("no descriptor");
    this.did.push(`adopt ${listener} ${fd} ${port}`);
  }
  giveBack(listener: string, key: string): void {
    this.did.push(`give back ${listener} ${key}`);
  }
  release(listener: string): void {
    this.did.push(`release ${listener}`);
  }
  setResolved(resolved: Plan["resolved"]): void {
    this.did.push(`resolved ${JSON.stringify(resolved)}`);
  }
  drain(): void {
    this.did.push("drain");
  }
  abortAll(): void {
    this.did.push("abort");
  }
}

let world: FakeWorld;
let plane: FakePlane;
let columns: Columns;
let shell: WorkerShell<number>;
let sent: FromWorker[] = [];
let did: string[] = [];
let channel: number[] = [];
let fault = "";
/** Modules whose code is being loaded. */
let loading: PromiseWithResolvers<unknown>[] = [];
/** How many hooks each compiled plan was given. */
let hooked: number[] = [];

beforeEach(() => {
  world = new FakeWorld();
  plane = new FakePlane();
  sent = [];
  did = plane.did;
  channel = [];
  fault = "";
  loading = [];
  hooked = [];
  const size = { workers: 2, listeners: 2, endpoints: 2 };
  columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
  const host: WorkerHost = {
    send: (message) => sent.push(message),
    takeDescriptors: (count) => channel.splice(0, count),
    closeDescriptor: (fd) => did.push(`close ${fd}`),
    switchLog: (fd) => did.push(`log ${fd ?? "stdout"}`),
    setLogLevel: () => {},
    checkUser: (user) => {
      if (user === "nobody2") throw new Error('user "nobody2" is not in /etc/passwd');
    },
    becomeUser: (user) => did.push(`become ${user}`),
    evaluateModule: () => {
      loading.push(Promise.withResolvers<unknown>());
      return loading.at(-1)!.promise;
    },
    rssBytes: () => 5_000_000,
    pid: () => 4711,
    exit: (code) => did.push(`exit ${code}`),
  };
  const context = {
    env: world.env,
    columns,
    worker: 1,
    accessLog: null,
    connectionsMax: 0,
    newSealer: sealerOf,
    compressors: new CompressorSupply(),
    passwords,
  };
  shell = new WorkerShell(context, host, {
    compile: ({ generation }, _previous, _context, hooks) => {
      if (fault !== "") throw new Error(fault);
      hooked.push(hooks.length);
      return generation;
    },
    create: () => plane,
  });
});

function plan(generation: number, more: Partial<Config> = {}, version = ""): Plan {
  const { config } = loadText(
    "listeners: { web: { bind: 127.0.0.1:80, forward: p } }\npools: { p: { endpoints: [127.0.0.1:81] } }\n",
    "t",
  );
  const rows = { listenerRows: {}, endpointRows: {}, poolRows: {}, tables: {}, cookieKeys: [] };
  const hooks = version === "" ? null : { code: "", version };
  return { generation, workers: 1, config: { ...config!, ...more }, ...rows, hooks, resolved: {} };
}

function prepare(
  generation: number,
  listeners: string[] = [],
  releases: string[] = [],
  more: Partial<Config> = {},
  version = "",
): void {
  const grants = listeners.map((listener) => ({ listener, port: 80, key: listener }));
  shell.receive({
    kind: "prepare",
    plan: plan(generation, more, version),
    grants,
    releases,
    returns: [],
    logFd: false,
  });
}

test("says hello with its pid in the columns", () => {
  expect(sent).toEqual([{ kind: "hello" }]);
  expect(columns.worker(1)[WC.pid]).toBe(4711);
});

describe("a socket that cannot be adopted", () => {
  beforeEach(() => {
    channel = [10, 11];
    plane.stuck.add(10);
    prepare(1, ["web", "old"]);
    shell.receive({ kind: "commit", generation: 1 });
  });

  test("keeps nobody from committing, and is adopted when it can be", () => {
    expect(sent.at(-1)).toEqual({ kind: "committed", generation: 1 });
    expect(did).toEqual(["log stdout", "apply 1", "adopt old 11 80"]);
    shell.tick(100, 0);
    plane.stuck.clear();
    shell.tick(200, 0);
    shell.tick(300, 0);
    expect(did.slice(3)).toEqual(["adopt web 10 80"]);
  });
  test("is closed when its listener goes, the socket is another's, or all ends", () => {
    prepare(2, [], ["web"]);
    shell.receive({ kind: "commit", generation: 2 });
    expect(did.slice(3)).toContain("close 10");
    plane.stuck.clear();
    shell.tick(100, 0);
    expect(did.filter((line) => line.startsWith("adopt web"))).toEqual([]);
  });
  test("is closed by a drain", () => {
    shell.receive({ kind: "drain", timeoutMs: 1000 });
    expect(did).toContain("close 10");
  });
});

describe("two phases", () => {
  test("prepare touches nothing, commit releases, switches and adopts in this order", () => {
    channel = [10, 11];
    prepare(1, ["web", "old"]);
    expect(did).toEqual([]);
    shell.receive({ kind: "commit", generation: 1 });
    expect(did).toEqual(["log stdout", "apply 1", "adopt web 10 80", "adopt old 11 80"]);
    did.length = 0;
    channel = [12];
    prepare(2, ["new"], ["old"]);
    shell.receive({ kind: "commit", generation: 2 });
    expect(did).toEqual(["log stdout", "release old", "apply 2", "adopt new 12 80"]);
    expect(sent.map((m) => m.kind)).toEqual(["hello", "prepared", "committed", "prepared", "committed"]);
    expect(columns.worker(1)[WC.generation]).toBe(2);
  });

  test("a plan that does not compile is refused with the reason, its sockets are closed", () => {
    channel = [10];
    fault = "pool users: no such algorithm";
    prepare(1, ["web"]);
    expect(sent.at(-1)).toEqual({ kind: "refused", generation: 1, reason: "pool users: no such algorithm" });
    expect(did).toEqual(["close 10"]);
    shell.receive({ kind: "commit", generation: 1 });
    expect(did).toEqual(["close 10"]);
  });

  test("a discarded plan is forgotten", () => {
    channel = [10];
    prepare(1, ["web"]);
    shell.receive({ kind: "discard", generation: 1 });
    shell.receive({ kind: "commit", generation: 1 });
    expect(did).toEqual(["close 10"]);
  });

  test("missing descriptors are a refusal", () => {
    channel = [10];
    prepare(1, ["web", "api"]);
    expect(sent.at(-1)).toMatchObject({ kind: "refused", reason: "1 of 2 descriptors arrived" });
    expect(did).toEqual(["close 10"]);
  });

  test("the access log's descriptor comes last", () => {
    channel = [10, 20];
    const config = plan(1, { accessLog: { format: "json", template: "", file: "/a.log" } });
    shell.receive({
      kind: "prepare",
      plan: config,
      grants: [{ listener: "web", port: 80, key: "web" }],
      releases: [],
      returns: [],
      logFd: true,
    });
    shell.receive({ kind: "commit", generation: 1 });
    expect(did).toEqual(["log 20", "apply 1", "adopt web 10 80"]);
    channel = [21];
    shell.receive({ kind: "reopen" });
    expect(did.at(-1)).toBe("log 21");
  });

  test("privileges are given up once, before the first client is let in", () => {
    channel = [10];
    prepare(1, ["web"], [], { user: "www" });
    shell.receive({ kind: "commit", generation: 1 });
    expect(did).toEqual(["log stdout", "apply 1", "become www", "adopt web 10 80"]);
    prepare(2, [], [], { user: "www" });
    shell.receive({ kind: "commit", generation: 2 });
    expect(did.filter((d) => d === "become www").length).toBe(1);
  });

  test("an unknown user is refused before anything happens", () => {
    prepare(1, [], [], { user: "nobody2" });
    expect(sent.at(-1)).toMatchObject({ kind: "refused", reason: 'user "nobody2" is not in /etc/passwd' });
  });
});

describe("a plan with hooks", () => {
  const value = { listeners: { web: { routes: [{ hooks: {} }] } } };
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 6; i++) await Promise.resolve();
  };
  const prepareHooked = (generation: number, version: string): void => prepare(generation, ["web"], [], {}, version);

  test("is accepted once they are loaded, and they are not loaded again for the next one", async () => {
    channel = [10];
    prepareHooked(1, "a");
    expect(sent.length).toBe(1);
    loading[0]!.resolve(value);
    await settled();
    expect(sent.at(-1)).toEqual({ kind: "prepared", generation: 1 });
    shell.receive({ kind: "commit", generation: 1 });
    expect(did.at(-1)).toBe("adopt web 10 80");
    prepare(2, [], [], {}, "a");
    expect(sent.at(-1)).toEqual({ kind: "prepared", generation: 2 });
    shell.receive({ kind: "commit", generation: 2 });
    prepare(3);
    expect([hooked, loading.length]).toEqual([[1, 1, 0], 1]);
  });

  test("is refused when they cannot be loaded, or not in time; the old one goes on", async () => {
    prepare(1);
    shell.receive({ kind: "commit", generation: 1 });
    channel = [10, 11];
    prepareHooked(2, "a");
    loading[0]!.reject(new Error("no database"));
    await settled();
    const reason = "the module with the hooks failed: Error: no database";
    expect(sent.at(-1)).toEqual({ kind: "refused", generation: 2, reason });
    prepareHooked(3, "b");
    world.env.timers.advance(world.nowMs + 11_000);
    expect(sent.at(-1)).toMatchObject({ kind: "refused", generation: 3 });
    expect(did.slice(-2)).toEqual(["close 10", "close 11"]);
    expect(hooked).toEqual([0]);
  });

  test("is forgotten while they are loaded", async () => {
    for (const by of ["another", "drain"] as const) {
      channel = [10];
      const before = sent.length;
      prepareHooked(1, by);
      if (by === "another") prepare(2);
      else shell.receive({ kind: "drain", timeoutMs: 0 });
      expect(did).toContain("close 10");
      loading.at(-1)!.resolve(value);
      await settled();
      expect(sent.slice(before)).toEqual(by === "another" ? [{ kind: "prepared", generation: 2 }] : []);
    }
  });
});

describe("ticks", () => {
  test("are the heartbeat, and refresh the gauges once a second", () => {
    shell.tick(7000, 12);
    expect(columns.worker(1)[WC.heartbeatMs]).toBe(7000);
    expect(columns.worker(1)[WC.rssBytes]).toBe(5_000_000);
    shell.tick(7100, 99);
    expect(columns.worker(1)[WC.loopLagMs]).toBe(12);
  });

  test("tell the supervisor when old generations have retired", () => {
    prepare(1);
    shell.receive({ kind: "commit", generation: 1 });
    shell.tick(2000, 0);
    expect(sent.at(-1)).toEqual({ kind: "retired", oldestGeneration: 1 });
    prepare(2);
    shell.receive({ kind: "commit", generation: 2 });
    shell.tick(2100, 0);
    expect(sent.at(-1)).toEqual({ kind: "committed", generation: 2 });
    plane.oldestGeneration = 2;
    shell.tick(2200, 0);
    expect(sent.at(-1)).toEqual({ kind: "retired", oldestGeneration: 2 });
  });
});

describe("leaving", () => {
  test("an idle worker goes at once", () => {
    shell.receive({ kind: "drain", timeoutMs: 30_000 });
    expect(did).toEqual(["drain", "exit 0"]);
  });

  test("a busy one when its last connection is gone", () => {
    plane.openConnections = 2;
    shell.receive({ kind: "drain", timeoutMs: 30_000 });
    shell.tick(2000, 0);
    expect(did).toEqual(["drain"]);
    plane.openConnections = 0;
    shell.tick(2100, 0);
    shell.tick(2200, 0);
    expect(did).toEqual(["drain", "exit 0"]);
  });

  test("or at the deadline, with what is left aborted", () => {
    plane.openConnections = 2;
    shell.receive({ kind: "drain", timeoutMs: 500 });
    shell.tick(world.nowMs + 400, 0);
    expect(did).toEqual(["drain"]);
    shell.tick(world.nowMs + 500, 0);
    expect(did).toEqual(["drain", "abort", "exit 0"]);
    expect(world.lines).toEqual(["W drain timeout, connections closed open=2"]);
  });

  test("when the supervisor is gone it drains by itself", () => {
    prepare(1);
    shell.receive({ kind: "commit", generation: 1 });
    plane.openConnections = 1;
    shell.orphaned();
    shell.tick(world.nowMs + 29_000, 0);
    expect(did.at(-1)).toBe("drain");
    shell.tick(world.nowMs + 30_000, 0);
    expect(did.at(-1)).toBe("exit 0");
  });
});
