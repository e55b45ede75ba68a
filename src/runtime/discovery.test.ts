// Discovery through the supervisor: what workers, health checks and rows see of endpoints that come and go.

import { beforeEach, describe, expect, test } from "bun:test";
import { poolEndpointsMax } from "../base/limits.ts";
import { LogLevel } from "../base/ports.ts";
import { loadText } from "../config/load.ts";
import { columnsBytes, EC, Health, openColumns, WC, type Columns } from "../stats/columns.ts";
import { RecordType } from "../wire/dns/message.ts";
import { endpointKey } from "./endpoints.ts";
import { FakeHost, FakeWorld, settle, type FakeWorker } from "./fakes.ts";
import { LevelLog } from "./level-log.ts";
import { Supervisor } from "./supervisor.ts";

let world: FakeWorld;
let host: FakeHost;
let columns: Columns;
let supervisor: Supervisor;
let file = "";
const size = { workers: 4, listeners: 256, endpoints: 64 };
const many = { workers: 2, listeners: 4, endpoints: 2 * poolEndpointsMax };

beforeEach(() => {
  world = new FakeWorld();
  host = new FakeHost();
  columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
  supervisor = newSupervisor();
});

function newSupervisor(): Supervisor {
  const log = new LevelLog(world.env.log, LogLevel.Info);
  return new Supervisor({
    env: { ...world.env, log },
    host,
    columns,
    log,
    cpuCount: 2,
    load: () => Promise.resolve(loadText(file, "sluice.yaml")),
    startAdmin: () => ({ address: "127.0.0.1:9900", setToken() {}, stop() {} }),
  });
}

const yaml = (more = ""): string => `
listeners: { web: { bind: 127.0.0.1:80, forward: app } }
pools:
  app:
    endpoints: [10.0.0.9:80]
    discovery: [{ from: dns, name: api.test, port: 80 }, { from: file, path: more.yaml }]
    resolve: { min: 1s }
    ${more}
`;

async function start(text = yaml()): Promise<void> {
  file = text;
  const started = supervisor.start();
  await settle();
  await world.pass(100);
  expect(await started).toEqual({ ok: true });
}

function resolveTo(...addresses: readonly string[]): void {
  const answers = addresses.map((address) => ({ type: RecordType.A, name: "api.test", ttl: 1, address }));
  host.records.set(`${RecordType.A} api.test`, { answers });
  host.records.set(`${RecordType.AAAA} api.test`, {});
}

/** Lets time pass while the workers show signs of life. */
async function pass(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 100) {
    for (const worker of host.alive) columns.worker(worker.worker)[WC.heartbeatMs] = world.nowMs;
    await world.pass(100);
  }
}

/** Ids that a worker was given last. */
function known(worker: FakeWorker): string {
  const prepares = worker.received.filter((message) => message.kind === "prepare");
  return prepares
    .at(-1)!
    .plan.config.pools[0]!.endpoints.map(({ id }) => id)
    .join(" ");
}

const row = (id: string): number => supervisor.findEndpoint("app", id)!.row;

describe("start", () => {
  test("waits for the first answers", async () => {
    resolveTo("10.0.0.1", "10.0.0.2");
    host.write("more.yaml", "[10.0.0.3:80]");
    await start();
    for (const worker of host.alive) expect(known(worker)).toBe("10.0.0.9:80 10.0.0.3:80 10.0.0.1:80 10.0.0.2:80");
    expect(supervisor.plan!.generation).toBe(1);
    expect(supervisor.membership.originOf(endpointKey("app", "10.0.0.3:80"))).toBe("file");
  });

  test("but not for ever: sources that are silent or absent cost their endpoints only", async () => {
    host.ask = () => new Promise(() => {});
    file = yaml();
    const started = supervisor.start();
    await pass(4000);
    expect(await started).toEqual({ ok: true });
    expect(known(host.alive[0]!)).toBe("10.0.0.9:80");
    expect(world.lines.join("\n")).toContain("cannot read more.yaml: no such file");
  });

  test("one that fails leaves nothing that asks on", async () => {
    resolveTo("10.0.0.1");
    host.taken.add("127.0.0.1:80");
    file = yaml();
    expect(await supervisor.start()).toMatchObject({ ok: false });
    const asked = host.questions.length;
    await pass(10_000);
    expect(host.questions.length).toBe(asked);
  });
});

describe("changes", () => {
  test("reach every worker as one generation, and are told", async () => {
    resolveTo("10.0.0.1", "10.0.0.2");
    host.write("more.yaml", "[]");
    await start();
    resolveTo("10.0.0.2", "10.0.0.3");
    await pass(1500);
    for (const worker of host.alive) {
      expect(known(worker)).toBe("10.0.0.9:80 10.0.0.2:80 10.0.0.3:80");
      expect(worker.kinds).toBe("prepare commit prepare commit");
    }
    const told =
      "endpoints changed generation=2 pool=app added=1 removed=1 changed=0 examples=+10.0.0.3:80 -10.0.0.1:80";
    expect(world.lines).toContain(`I ${told}`);
    await pass(10_000);
    expect(supervisor.plan!.generation).toBe(2);
  });

  test("a storm of them is a bounded number of generations", async () => {
    resolveTo("10.0.0.1");
    host.write("more.yaml", "[]");
    await start(yaml("slowStart: 10s"));
    for (let i = 0; i < 50; i++) {
      void supervisor.endpoints.add("app", supervisor.findEndpoint("app", "10.0.0.9:80")!.endpoint, "test"); // refused
      const endpoint = { ...supervisor.findEndpoint("app", "10.0.0.9:80")!.endpoint, id: `n${i}` };
      void supervisor.endpoints.add("app", endpoint, "test");
      await settle();
    }
    await pass(1000);
    expect(known(host.alive[0]!).split(" ").length).toBe(52);
    expect(supervisor.plan!.generation).toBeLessThanOrEqual(4);
  });

  test("keep rows, counters, health and run-time settings of all others", async () => {
    resolveTo("10.0.0.1", "10.0.0.2");
    host.write("more.yaml", "[]");
    await start(yaml("health: { protocol: tcp }"));
    const before = row("10.0.0.2:80");
    columns.endpoint(0, before)[EC.requests] = 5;
    columns.health[before] = Health.Up;
    supervisor.patchEndpoint("app", "10.0.0.2:80", { weight: 7, admin: "drain" }, "test");
    resolveTo("10.0.0.2", "10.0.0.3");
    await pass(1500);
    expect(row("10.0.0.2:80")).toBe(before);
    expect([columns.endpoint(0, before)[EC.requests], columns.weight[before]]).toEqual([5, 7]);
    expect(columns.health[before]).toBe(Health.Up);
    expect(supervisor.monitor.report("app", "10.0.0.3:80")).not.toBeNull();
    expect(supervisor.monitor.report("app", "10.0.0.1:80")).toBeNull();
  });

  test("whoever joins a pool that serves is given its load step by step; those of the start are not", async () => {
    resolveTo("10.0.0.1");
    host.write("more.yaml", "[]");
    await start();
    resolveTo("10.0.0.1", "10.0.0.2");
    await pass(1500);
    expect(columns.upSinceMs[row("10.0.0.1:80")]).toBe(0);
    expect(columns.upSinceMs[row("10.0.0.2:80")]).toBeGreaterThan(1000);
  });

  test("that a worker refuses are tried again, and harm nothing meanwhile", async () => {
    resolveTo("10.0.0.1");
    host.write("more.yaml", "[]");
    await start();
    host.alive[1]!.refuse = "out of memory";
    resolveTo("10.0.0.2");
    await pass(1500);
    expect(supervisor.plan!.config.pools[0]!.endpoints.map(({ id }) => id)).toEqual(["10.0.0.9:80", "10.0.0.1:80"]);
    expect(world.lines.join("\n")).toContain("E endpoints cannot be changed generation=1 reason=worker 1: out of");
    host.alive[1]!.refuse = "";
    await pass(6000);
    expect(known(host.alive[1]!)).toBe("10.0.0.9:80 10.0.0.2:80");
  });

  test("beyond what a pool may have are left out, with a warning", async () => {
    columns = openColumns(new ArrayBuffer(columnsBytes(many)), many);
    supervisor = newSupervisor();
    resolveTo("10.0.0.1");
    host.write("more.yaml", "[]");
    await start();
    resolveTo(...Array.from({ length: poolEndpointsMax }, (_, i) => `10.1.${i >> 8}.${i & 255}`));
    host.write("more.yaml", JSON.stringify(["10.0.0.2:80", "10.0.0.3:80"]));
    await pass(3000);
    expect(world.lines).toContain(`W pool has too many endpoints pool=app max=${poolEndpointsMax} leftOut=3`);
    const ids = known(host.alive[0]!).split(" ");
    expect([ids.length, ids.slice(0, 3)]).toEqual([poolEndpointsMax, ["10.0.0.9:80", "10.0.0.2:80", "10.0.0.3:80"]]);
  });
});

describe("reload", () => {
  test("keeps what sources know, opens new ones, closes those that are gone", async () => {
    resolveTo("10.0.0.1");
    host.write("more.yaml", "[10.0.0.3:80]");
    await start();
    const kept = row("10.0.0.1:80");
    const asked = host.questions.length;
    file = yaml("slowStart: 5s").replace("more.yaml", "other.yaml");
    host.write("other.yaml", "[10.0.0.4:80]");
    const result = await supervisor.reload();
    expect([result.reason, known(host.alive[0]!)]).toEqual(["", "10.0.0.9:80 10.0.0.4:80 10.0.0.1:80"]);
    expect([row("10.0.0.1:80"), host.questions.length]).toEqual([kept, asked]);
    expect(result.changes.join("; ")).not.toContain("10.0.0.4");
    file = yaml().replace(/discovery:.*/, "");
    await supervisor.reload();
    expect(known(host.alive[0]!)).toBe("10.0.0.9:80");
    const { length } = host.questions;
    await pass(5000);
    expect(host.questions.length).toBe(length);
  });

  test("one that is refused leaves the sources as they were", async () => {
    resolveTo("10.0.0.1");
    host.write("more.yaml", "[]");
    await start();
    host.alive[0]!.refuse = "no";
    file = yaml().replace("api.test", "other.test");
    expect((await supervisor.reload()).reason).toBe("worker 0: no");
    host.alive[0]!.refuse = "";
    resolveTo("10.0.0.2");
    const before = host.questions.filter((question) => question.includes("other.test")).length;
    await pass(3000);
    expect(known(host.alive[0]!)).toBe("10.0.0.9:80 10.0.0.2:80");
    expect(host.questions.filter((question) => question.includes("other.test")).length).toBe(before);
  });

  test("a written endpoint that discovery names too stays when it is no longer written", async () => {
    resolveTo("10.0.0.9");
    host.write("more.yaml", "[]");
    await start();
    const before = row("10.0.0.9:80");
    expect(supervisor.membership.originOf(endpointKey("app", "10.0.0.9:80"))).toBe("config");
    file = yaml().replace("endpoints: [10.0.0.9:80]", "");
    await supervisor.reload();
    expect(supervisor.membership.originOf(endpointKey("app", "10.0.0.9:80"))).toBe("dns");
    expect(row("10.0.0.9:80")).toBe(before);
  });
});

test("names of endpoints in a file are resolved before they are used", async () => {
  resolveTo();
  host.names.set("db.test", { addresses: ["10.5.0.1"], ttlMs: 60_000 });
  host.write("more.yaml", "[]");
  await start();
  host.write("more.yaml", "[db.test:80]");
  await pass(2000);
  const prepare = host.alive[0]!.received.findLast((message) => message.kind === "prepare")!;
  expect(prepare.plan.resolved[row("db.test:80")]).toBe("10.5.0.1");
});

test("a stopped supervisor asks nobody", async () => {
  resolveTo("10.0.0.1");
  host.write("more.yaml", "[]");
  await start();
  const drained = supervisor.drain();
  await pass(500);
  await drained;
  const asked = host.questions.length;
  await pass(10_000);
  expect(host.questions.length).toBe(asked);
});
