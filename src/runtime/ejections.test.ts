// The supervisor's part of outlier ejection: intervals, records of what workers did, and the books of dead workers.

import { beforeEach, expect, test } from "bun:test";
import { loadText } from "../config/load.ts";
import type { Config, PoolConfig } from "../model/config.ts";
import type { Plan } from "../model/plan.ts";
import type { OutlierConfig } from "../model/route-config.ts";
import { eject, type OutlierGroup } from "../pool/outlier.ts";
import { type Columns, columnsBytes, EC, EjectReason, openColumns, PC } from "../stats/columns.ts";
import { clearEndpointRow, clearPoolRow, settleDeadWorker } from "./counters.ts";
import { Ejections } from "./ejections.ts";
import { FakeWorld } from "./fakes.ts";
import { Journal } from "./journal.ts";

const size = { workers: 2, listeners: 1, endpoints: 8, pools: 2 };
const outlier: OutlierConfig = {
  consecutiveFailures: 5,
  intervalMs: 10_000,
  ejectionMs: 20_000,
  maxEjectionMs: 60_000,
  maxEjectedPercent: 50,
  successRate: { minEndpoints: 3, minRequests: 10, stdevFactor: 1 },
};

let world: FakeWorld;
let columns: Columns;
let journal: Journal;
let ejections: Ejections;

beforeEach(() => {
  world = new FakeWorld();
  columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
  journal = new Journal(world.env.clock, world.env.log);
  ejections = new Ejections(world.env.clock, world.env.timers, columns, journal);
});

function plan(ids: readonly string[], judge: PoolConfig["outlier"] = outlier): Plan {
  const list = ids.map((id, i) => `{ address: 10.0.0.${i + 1}:80, id: ${id} }`).join(", ");
  const { config } = loadText(`pools: { app: { endpoints: [${list}] } }\n`, "t");
  const pools = config!.pools.map((pool) => ({ ...pool, outlier: judge }));
  const rows = Object.fromEntries(ids.map((id, row) => [id, row]));
  const places = { listenerRows: {}, endpointRows: { app: rows }, poolRows: { app: 1 } };
  const tables = { ...places, tables: {}, cookieKeys: [], hooks: null };
  return { generation: 1, workers: 2, config: { ...config!, pools } satisfies Config, ...tables, resolved: {} };
}

const group: OutlierGroup = { config: outlier, row: 1, endpoints: [0, 1, 2, 3] };

function events(): string[] {
  return journal.latest(100).map(({ event, level, fields }) => {
    const { endpoint, reason, times } = fields;
    return [level, event, endpoint, reason, times].filter((word) => word !== undefined).join(" ");
  });
}

test("an ejection by a worker is recorded, with its end; so is the return, once", async () => {
  ejections.reconcile(plan(["a", "b", "c", "d"]), 2);
  await world.pass(500);
  eject(columns, group, 2, 1, EjectReason.Consecutive, world.nowMs);
  const until = new Date(1_700_000_000_000 + world.nowMs + outlier.ejectionMs).toISOString();
  await world.pass(2000);
  expect(events()).toEqual(["warn ejected b 5 failures in a row 1"]);
  expect(journal.latest(1)[0]!.fields).toMatchObject({ pool: "app", until });
  expect(world.lines.at(-1)).toStartWith("W ejected pool=app endpoint=b reason=5 failures in a row");
  await world.pass(outlier.ejectionMs);
  expect(events()).toEqual(["warn ejected b 5 failures in a row 1", "info readmitted b"]);
  await world.pass(30_000);
  expect(events().length).toBe(2);
});

test("success rates are compared at the end of each interval", async () => {
  ejections.reconcile(plan(["a", "b", "c", "d"]), 2);
  for (const row of [0, 1, 2, 3]) columns.endpoint(row % 2, row)[row === 2 ? EC.judgedBad : EC.judgedGood] = 20;
  await world.pass(9800);
  expect(events()).toEqual([]);
  await world.pass(400);
  expect(events()).toEqual(["warn ejected c success rate far below the others 1"]);
});

test("a reload forgets nothing: neither the interval, nor what was recorded", async () => {
  ejections.reconcile(plan(["a", "b", "c", "d"]), 2);
  eject(columns, group, 1, 0, EjectReason.Consecutive, world.nowMs);
  await world.pass(6000);
  expect(events().length).toBe(1);
  for (const row of [0, 1, 2, 3]) columns.endpoint(0, row)[row === 2 ? EC.judgedBad : EC.judgedGood] = 20;
  ejections.reconcile(plan(["a", "b", "c", "d", "e"]), 2);
  await world.pass(4300);
  expect(events()).toEqual([
    "warn ejected a 5 failures in a row 1",
    "warn ejected c success rate far below the others 1",
  ]);
});

test("pools without ejection, pools of one and a stopped supervisor cost no timer", () => {
  const none = world.env.timers.size;
  ejections.reconcile(plan(["a", "b"], null), 2);
  expect(world.env.timers.size).toBe(none);
  ejections.reconcile(plan(["a"]), 2);
  expect(world.env.timers.size).toBe(none);
  ejections.reconcile(plan(["a", "b"]), 2);
  expect(world.env.timers.size).toBe(none + 1);
  ejections.stop();
  expect(world.env.timers.size).toBe(none);
});

test("a dead worker's share of the pools' counts and its lock are taken back, its counters stay", () => {
  const counters = columns.pool(1, 1);
  counters.set([7, 3], PC.repeats);
  counters.set([4, 5, 6], PC.connectionsOwn);
  columns.poolConnections[1] = 10;
  columns.poolPending[1] = 5;
  columns.poolRequests[1] = 8;
  columns.poolLock[1] = 1 + 1;
  columns.poolLock[0] = 0 + 1;
  settleDeadWorker(columns, 1, [], [], [0, 1]);
  expect([columns.poolConnections[1], columns.poolPending[1], columns.poolRequests[1]]).toEqual([6, 0, 2]);
  expect([columns.poolLock[0], columns.poolLock[1]]).toEqual([1, 0]);
  expect([counters[PC.repeats], counters[PC.retriesRefused], counters[PC.connectionsOwn]]).toEqual([7, 3, 0]);
});

test("rows that are given out again are as new", () => {
  eject(columns, group, 1, 2, EjectReason.SuccessRate, 5000);
  columns.streak[2] = 3;
  columns.pool(0, 1).fill(9);
  columns.poolConnections[1] = 4;
  columns.poolWantedMs[1] = 77;
  clearEndpointRow(columns, 2, 2);
  clearPoolRow(columns, 2, 1);
  const { ejectedUntilMs, ejectedTimes, ejections: count, streak, ejectReason } = columns;
  expect([ejectedUntilMs[2], ejectedTimes[2], count[2], streak[2], ejectReason[2]]).toEqual([0, 0, 0, 0, 0]);
  expect([columns.poolConnections[1], columns.poolWantedMs[1], columns.pool(0, 1)[0]]).toEqual([0, 0, 0]);
});
