// Shared tables under a supervisor: workers are told where they are, and what is sticky outlives reload and restart.

import { beforeEach, describe, expect, test } from "bun:test";
import { LogLevel } from "../base/ports.ts";
import { loadText } from "../config/load.ts";
import { limitTables } from "../limit/limit-book.ts";
import type { Plan } from "../model/plan.ts";
import { sessionTableName, sessionTableWish } from "../pool/stickiness/build.ts";
import { columnsBytes, openColumns, setSeed, type Columns } from "../stats/columns.ts";
import type { SharedTable } from "../stats/shared-table.ts";
import { openTable } from "../stats/table-arena.ts";
import type { FakeState } from "./fake-state.ts";
import { FakeHost, FakeWorld, settle } from "./fakes.ts";
import { LevelLog } from "./level-log.ts";
import { Supervisor } from "./supervisor.ts";

const size = { workers: 2, listeners: 4, endpoints: 16, tableBytes: 4 * 1024 * 1024 };

function text(sticky: string, route = ""): string {
  return `
admin: off
workers: 2
listeners: { web: { bind: 127.0.0.1:80, routes: [{ forward: app, ${route} }] } }
pools: { app: { endpoints: [10.0.0.1:80], sticky: ${sticky} } }`;
}

/** One run of the balancer, on a machine of objects with this state directory. */
class Run {
  readonly world = new FakeWorld();
  readonly host = new FakeHost();
  readonly supervisor: Supervisor;
  readonly memory = new ArrayBuffer(columnsBytes(size));
  readonly columns: Columns;
  file = "";

  constructor(state: FakeState | null) {
    if (state !== null) Object.assign(this.host, { state });
    setSeed(this.memory, Uint32Array.of(state === null ? 1 : 99, 2));
    this.columns = openColumns(this.memory, size);
    const log = new LevelLog(this.world.env.log, LogLevel.Warn);
    this.supervisor = new Supervisor({
      env: { ...this.world.env, log },
      host: this.host,
      columns: this.columns,
      log,
      cpuCount: 2,
      load: () => Promise.resolve(loadText(this.file, "sluice.yaml")),
      startAdmin: () => {
        throw new Error("there is none");
      },
    });
  }

  async start(file: string): Promise<void> {
    this.file = file;
    expect(await this.supervisor.start()).toEqual({ ok: true });
  }

  async reload(file: string): Promise<string> {
    this.file = file;
    return (await this.supervisor.reload()).reason;
  }

  /** The plan as every worker has got it. */
  get plan(): Plan {
    const plans = this.host.alive.map(
      ({ received }) => received.findLast((message) => message.kind === "prepare")!.plan,
    );
    expect(new Set(plans.map((plan) => JSON.stringify(plan))).size).toBe(1);
    return plans[0]!;
  }

  get sessions(): SharedTable {
    const wish = sessionTableWish(this.plan.config.pools[0]!)!;
    return openTable(this.columns.arena, this.plan.tables[sessionTableName("app")]!, wish);
  }
}

let run: Run;
beforeEach(() => {
  run = new Run(null);
});

describe("a plan", () => {
  test("says where tables are: of sessions and of limits, the same through reloads", async () => {
    const limits = "rateLimit: { requests: 10, per: 1s }";
    await run.start(text("{ by: source-ip, size: 100 }", limits));
    const { tables } = run.plan;
    expect(Object.keys(tables).length).toBe(2);
    expect(new Set(Object.values(tables)).size).toBe(2);
    expect(await run.reload(text("{ by: source-ip, size: 100, ttl: 5m }"))).toBe("");
    expect(run.plan.tables).toEqual({ [sessionTableName("app")]: tables[sessionTableName("app")]! });
    expect(run.plan.cookieKeys).toEqual([]);
  });

  test("has the keys of cookies where there are cookies, the same through reloads", async () => {
    await run.start(text("off"));
    expect(run.plan.cookieKeys).toEqual([]);
    expect(run.host.state.files.size).toBe(0);
    expect(await run.reload(text("{ by: cookie }"))).toBe("");
    const { cookieKeys } = run.plan;
    expect(cookieKeys.length).toBe(1);
    expect(await run.reload(text("{ by: cookie, ttl: 5m }"))).toBe("");
    expect(run.plan.cookieKeys).toEqual(cookieKeys);
    const secret = "secret: a-secret-of-thirty-two-characters";
    expect(await run.reload(secret + text("{ by: cookie }"))).toBe("");
    expect(run.plan.cookieKeys[1]).toBe(cookieKeys[0]!);
  });

  test("with more tables than there is memory is refused, and the old one goes on", async () => {
    await run.start(text("{ by: source-ip, size: 100 }"));
    const reason = await run.reload(text("{ by: source-ip, size: 1000000 }"));
    expect(reason).toStartWith("the tables of limits and sticky sessions need more than");
    expect(run.plan.generation).toBe(1);
    expect(await run.reload(text("{ by: source-ip, size: 2000 }"))).toBe("");
  });
});

test("sessions move to a table of another size, and the old memory is used again once nobody needs it", async () => {
  await run.start(text("{ by: source-ip, size: 30000 }"));
  const { sessions } = run;
  sessions.store(sessions.claim(5, 6, run.world.nowMs), 0, 77);
  const places = [run.plan.tables];
  for (const keys of [35_000, 31_000, 36_000, 32_000]) {
    expect(await run.reload(text(`{ by: source-ip, size: ${keys} }`))).toBe("");
    await settle();
    expect(run.sessions.load(run.sessions.find(5, 6), 0)).toBe(77);
    places.push(run.plan.tables);
  }
  expect(new Set(places.map((place) => JSON.stringify(place))).size).toBeLessThan(places.length);
});

test("sessions and keys outlive a restart", async () => {
  await run.start(text("{ by: source-ip, size: 100 }", "name: a"));
  run.sessions.store(run.sessions.claim(5, 6, run.world.nowMs), 0, 77);
  await run.supervisor.drain();
  expect([...run.host.state.files.keys()]).toEqual(["sessions"]);
  const next = new Run(run.host.state);
  await next.start(text("{ by: source-ip, size: 500 }"));
  expect(next.sessions.load(next.sessions.find(5, 6), 0)).toBe(77);
  expect(openColumns(next.memory, size).seed).toEqual({ k0: 1, k1: 2 });
  await next.supervisor.kill();
  expect(next.world.lines.filter((line) => line.includes("session"))).toEqual([]);
});

test("what a worker that died had counted is taken off", async () => {
  await run.start(text("off", "concurrency: { requests: 5 }"));
  const [wish] = limitTables(run.plan.config, 2);
  const table = openTable(run.columns.arena, run.plan.tables[wish!.name]!, wish!);
  const slot = table.claim(5, 6, run.world.nowMs);
  table.store(slot, 0, 2);
  table.store(slot, 1, 3);
  run.host.alive[1]!.kill();
  await settle();
  expect([table.load(slot, 0), table.load(slot, 1)]).toEqual([2, 0]);
});
