// Circuit limits: requests in progress, requests waiting and connections, over several workers; that they hold, that
// nothing of them is left when all is over, and that no worker starves while another keeps connections idle.

import { describe, expect, test } from "bun:test";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import { causeWord, formatTermination, ruleOf } from "../base/failure.ts";
import type { Net } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { FakeConnection, nothing, RecordingSink, requestHead, TestTime } from "../codec/test-kit.ts";
import type { H1Client } from "../codec/h1-client.ts";
import type { CircuitConfig } from "../model/route-config.ts";
import { type Columns, EC, PC } from "../stats/columns.ts";
import { Circuit, circuitOf } from "./circuit.ts";
import { ConnectionShare } from "./connection-share.ts";
import { Connector } from "./connector.ts";
import { ALL_FULL, OVER_LIMIT, Pool } from "./pool.ts";
import { sampleColumns, sampleMembers, samplePoolConfig, SetClock } from "./sample-pool.ts";

const firstSeed = Number(process.env["SLUICE_SEED"] ?? 1);
const runs = Number(process.env["SLUICE_RUNS"] ?? 25);
const seeds = Array.from({ length: runs }, (_, i) => firstSeed + i);
const off: CircuitConfig = { connections: 0, pending: 0, requests: 0 };
const size = { workers: 4, listeners: 1, endpoints: 8, pools: 2 };

describe("requests", () => {
  function bed(circuit: CircuitConfig, columns: Columns, worker: number, maxConnections = 0): () => number {
    const members = sampleMembers(columns, [{ maxConnections }, { maxConnections }]);
    const pool = new Pool(samplePoolConfig({ circuit }), members, columns, worker, seededRng(1), new SetClock(), 1);
    const state = newPickState(2);
    pools.push(pool);
    return () => {
      resetPickState(state, 2, 100_000);
      return pool.acquire(state);
    };
  }
  let pools: Pool[] = [];

  test("so many in progress, all workers together; released places are anybody's", () => {
    pools = [];
    const columns = sampleColumns(undefined, size);
    const [a, b] = [0, 1].map((worker) => bed({ ...off, requests: 3 }, columns, worker));
    expect([a!(), b!(), a!()].every((i) => i >= 0)).toBe(true);
    expect([a!(), b!()]).toEqual([OVER_LIMIT, OVER_LIMIT]);
    expect([columns.poolRequests[0], columns.poolRequests[1]]).toEqual([0, 3]);
    expect([columns.pool(0, 1)[PC.requestsOwn], columns.pool(1, 1)[PC.requestsOwn]]).toEqual([2, 1]);
    let room = 0;
    pools[0]!.onCapacity = () => room++;
    pools[0]!.release(0, 0, 1000);
    expect(room).toBe(1); // those who wait for other reasons may be let in
    expect(b!()).toBeGreaterThanOrEqual(0);
    expect(a!()).toBe(OVER_LIMIT);
  });

  test("who finds no endpoint holds no place", () => {
    pools = [];
    const columns = sampleColumns(undefined, size);
    const take = bed({ ...off, requests: 5 }, columns, 0, 1);
    expect([take(), take(), take(), take()].toSorted()).toEqual([ALL_FULL, ALL_FULL, 0, 1].toSorted());
    expect(columns.poolRequests[1]).toBe(2);
  });

  test("an acquire that came to nothing is as if it had not been", () => {
    pools = [];
    const columns = sampleColumns(undefined, size);
    const take = bed({ ...off, requests: 1 }, columns, 0);
    pools[0]!.undo(take());
    expect([columns.poolRequests[1], columns.active[0], columns.active[1]]).toEqual([0, 0, 0]);
    const counters = columns.endpoint(0, 0);
    expect([counters[EC.requests], counters[EC.activeOwn]]).toEqual([0, 0]);
    expect(take()).toBeGreaterThanOrEqual(0);
  });

  test("without limits there is nothing to ask", () => {
    pools = [];
    const columns = sampleColumns(undefined, size);
    const take = bed(off, columns, 0);
    expect(pools[0]!.circuit).toBeNull();
    take();
    expect(columns.poolRequests[1]).toBe(0);
  });
});

describe("waiting", () => {
  test("so many, all workers together", () => {
    const columns = sampleColumns(undefined, size);
    const [a, b] = [0, 1].map((worker) => new Circuit({ ...off, pending: 2 }, columns, worker, 0));
    expect([a!.enterQueue(), b!.enterQueue(), a!.enterQueue(), b!.enterQueue()]).toEqual([true, true, false, false]);
    a!.leaveQueue();
    expect([b!.enterQueue(), a!.enterQueue(), columns.poolPending[0]]).toEqual([true, false, 2]);
    for (let k = 0; k < 9; k++) expect(a!.enter()).toBe(true); // no limit on these
    expect(columns.poolRequests[0]).toBe(0);
  });

  test("refusals are counted by what was full, and are 503 with a cause of their own", () => {
    const columns = sampleColumns(undefined, size);
    const circuit = circuitOf({ ...off, pending: 2 }, columns, 1, 0)!;
    const failures = (["requests", "pending", "connections", "connections"] as const).map((w) => circuit.refuse(w));
    expect(failures.map((f) => `${ruleOf(f).status} ${formatTermination(f)} ${causeWord(f)}`)).toEqual([
      "503 PQ circuit",
      "503 PQ circuit",
      "503 PC circuit",
      "503 PC circuit",
    ]);
    const counters = columns.pool(1, 0);
    expect([PC.circuitRequests, PC.circuitPending, PC.circuitConnections].map((field) => counters[field])).toEqual([
      1, 1, 2,
    ]);
    expect(failures.some((f) => ruleOf(f).blamesEndpoint || ruleOf(f).retry !== "never")).toBe(false);
  });

  test.each(seeds)("at random, over four workers: never more, and nothing left at the end (seed %d)", (seed) => {
    const rng = seededRng(seed);
    const columns = sampleColumns(undefined, size);
    const limits = { ...off, pending: 1 + rng.below(8), requests: 1 + rng.below(8) };
    const circuits = [0, 1, 2, 3].map((worker) => new Circuit(limits, columns, worker, 0));
    const inside: Circuit[] = [];
    const waiting: Circuit[] = [];
    const takeOut = (from: Circuit[]): Circuit | undefined => from.splice(rng.below(from.length || 1), 1)[0];
    for (let k = 0; k < 500; k++) {
      const circuit = circuits[rng.below(4)]!;
      const what = rng.below(4);
      if (what === 0) expect(circuit.enter()).toBe(inside.length < limits.requests && inside.push(circuit) > 0);
      if (what === 1) expect(circuit.enterQueue()).toBe(waiting.length < limits.pending && waiting.push(circuit) > 0);
      if (what === 2) takeOut(inside)?.leave();
      if (what === 3) takeOut(waiting)?.leaveQueue();
      expect([columns.poolRequests[0], columns.poolPending[0]]).toEqual([inside.length, waiting.length]);
    }
    for (const circuit of inside) circuit.leave();
    for (const circuit of waiting) circuit.leaveQueue();
    expect([columns.poolRequests[0], columns.poolPending[0]]).toEqual([0, 0]);
    for (const worker of [0, 1, 2, 3]) expect(Array.from(columns.pool(worker, 0)).every((n) => n === 0)).toBe(true);
  });
});

const keepAlive = { connections: 100, idleMs: 3_600_000, requests: 0 };
const timeouts = { connectMs: 0, sendMs: 0, responseMs: 0 };

/** Workers with connectors of their own over the same columns; rows 0 and 1 are endpoints of one limited pool. */
class Workers {
  readonly time = new TestTime();
  readonly columns = sampleColumns(undefined, size);
  readonly connectors: Connector[];
  readonly shares: ConnectionShare[];
  private readonly opened: FakeConnection[] = [];

  constructor(count: number, max: number) {
    const { time, columns } = this;
    const net: Net = {
      adopt: () => {
        throw new Error("not here");
      },
      connect: (_target, events) => {
        const connection = new FakeConnection();
        connection.events = events;
        this.opened.push(connection);
        return connection;
      },
    };
    const numbers = Array.from({ length: count }, (_, worker) => worker);
    this.connectors = numbers.map((worker) => new Connector(net, time, time.timers, columns, worker));
    this.shares = numbers.map((worker) => this.newShare(worker, count, max));
    for (const [worker, connector] of this.connectors.entries()) {
      for (const row of [0, 1, 2]) connector.setTarget(row, target(row));
      for (const row of [0, 1]) connector.setShare(row, this.shares[worker]!);
    }
  }

  newShare(worker: number, workers: number, max: number): ConnectionShare {
    const { time, columns } = this;
    const shared = { columns, row: 0, endpoints: [0, 1], clock: time, timers: time.timers };
    return new ConnectionShare({ ...shared, max, workers, worker });
  }

  /** A request of a worker to a row, that is over when done() says so; null = no connection is to be had. */
  ask(worker: number, row: number, fresh = false): H1Client | null {
    const connector = this.connectors[worker]!;
    if (!connector.reserve(row, fresh)) return null;
    const sink = new RecordingSink();
    let client = fresh ? null : connector.take(row, sink, timeouts);
    if (client === null) {
      client = connector.connect(row, target(row), sink, timeouts);
      client.connection.events.onOpen();
    }
    client.sendHead(requestHead("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), nothing, true, false);
    return client;
  }

  done(worker: number, client: H1Client): void {
    (client.connection as FakeConnection).receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    this.connectors[worker]!.give(client, keepAlive);
  }

  /** Really open; of the limited rows as long as only those are asked. */
  get real(): number {
    return this.opened.filter(({ isOpen }) => isOpen).length;
  }
  get counted(): number {
    return this.columns.poolConnections[0]!;
  }
  get own(): number[] {
    return this.shares.map((share) => share.own);
  }
}

function target(row: number): { readonly ip: string; readonly port: number; readonly unixPath: null } {
  return { ip: `192.0.2.${row + 1}`, port: 80, unixPath: null };
}

describe("connections", () => {
  test("so many are opened, idle ones are used again, and their places by others of the pool", () => {
    const w = new Workers(1, 2);
    const a = w.ask(0, 0)!;
    const b = w.ask(0, 1)!;
    expect([w.ask(0, 0), w.ask(0, 1), w.counted, w.real]).toEqual([null, null, 2, 2]);
    w.done(0, a);
    expect(w.ask(0, 0)).toBe(a);
    w.done(0, a);
    const c = w.ask(0, 1)!; // the idle one of the other endpoint makes room
    expect([c === null, a.connection.isOpen, w.counted, w.real]).toEqual([false, false, 2, 2]);
    w.done(0, b);
    const d = w.ask(0, 1, true)!; // a fresh one is wanted: an idle one goes for it
    expect([d === b, b.connection.isOpen, w.counted, w.real]).toEqual([false, false, 2, 2]);
  });

  test("other pools are not concerned, nor is anybody without a limit", () => {
    const w = new Workers(1, 1);
    w.ask(0, 0);
    for (let k = 0; k < 5; k++) expect(w.ask(0, 2)).not.toBeNull();
    expect([w.counted, w.real]).toEqual([1, 6]);
  });

  test("one worker may have them all, as long as no other wants any", () => {
    const w = new Workers(2, 4);
    for (let k = 0; k < 4; k++) expect(w.ask(0, 0)).not.toBeNull();
    expect([w.ask(0, 0), w.own]).toEqual([null, [4, 0]]);
  });

  test("who lacks one gets its share of what others keep idle, and no more than that", () => {
    const w = new Workers(2, 4);
    const clients = [0, 1, 0, 1].map((row) => w.ask(0, row)!);
    for (const client of clients) w.done(0, client);
    expect(w.own).toEqual([4, 0]);
    expect(w.ask(1, 0)).toBeNull();
    w.time.pass(100);
    expect(w.own).toEqual([2, 0]);
    const mine = [w.ask(1, 0), w.ask(1, 1), w.ask(1, 0)];
    expect(mine.map((client) => client !== null)).toEqual([true, true, false]);
    w.time.pass(1000);
    expect([w.own, w.counted, w.real]).toEqual([[2, 2], 4, 4]);
  });

  test("and of what others have in use, as it becomes free", () => {
    const w = new Workers(2, 4);
    const clients = [0, 1, 0, 1].map((row) => w.ask(0, row)!);
    expect(w.ask(1, 0)).toBeNull();
    w.done(0, clients[0]!); // is closed, and not opened again by the one that has enough
    expect([w.own, w.ask(0, 0) === null]).toEqual([[3, 0], true]);
    expect(w.ask(1, 0)).not.toBeNull();
    w.time.pass(1000); // nobody has asked for long: whoever wants may have it
    w.done(0, clients[1]!);
    expect([w.own, clients[1]!.connection.isOpen]).toEqual([[3, 1], true]);
  });

  test("a place that was taken and not used is given back", () => {
    const w = new Workers(1, 2);
    const [connector] = w.connectors;
    expect([connector!.reserve(0, false), connector!.reserve(1, false), connector!.reserve(0, false)]).toEqual([
      true,
      true,
      true,
    ]);
    expect(w.counted).toBe(1);
  });

  test("a connect that fails, a connection that breaks, one that idles too long: each frees its place", () => {
    const w = new Workers(1, 3);
    const a = w.ask(0, 0)!;
    const b = w.ask(0, 0)!;
    const c = w.ask(0, 0)!;
    w.done(0, b);
    (a.connection as FakeConnection).break();
    (b.connection as FakeConnection).break();
    c.reset(0);
    expect([w.counted, w.own, w.real]).toEqual([0, [0], 0]);
  });

  test("a tunnel's connection counts as long as the tunnel lives", () => {
    const w = new Workers(1, 1);
    const client = w.ask(0, 0)!;
    client.detach();
    w.connectors[0]!.tunnelOpened(0);
    expect([w.counted, w.ask(0, 0)]).toEqual([1, null]);
    w.connectors[0]!.tunnelClosed(0);
    expect(w.counted).toBe(0);
  });

  test("a limit that comes, changes or goes with a reload finds the connections that are there", () => {
    const w = new Workers(1, 3);
    const [connector] = w.connectors;
    w.ask(0, 0);
    w.ask(0, 1);
    for (const row of [0, 1]) connector!.setShare(row, null);
    expect(w.counted).toBe(0);
    const third = w.ask(0, 0);
    const narrower = w.newShare(0, 1, 2);
    for (const row of [0, 1]) connector!.setShare(row, narrower);
    expect([third === null, w.counted, w.ask(0, 0)]).toEqual([false, 3, null]);
  });

  test.each(seeds)("at random: never more than the limit, and nothing left at the end (seed %d)", (seed) => {
    const rng = seededRng(seed);
    const count = 1 + rng.below(4);
    const max = 1 + rng.below(10);
    const w = new Workers(count, max);
    const busy: { readonly worker: number; readonly client: H1Client }[] = [];
    for (let k = 0; k < 400; k++) {
      const what = rng.below(10);
      if (what < 5) {
        const worker = rng.below(count);
        const client = w.ask(worker, rng.below(2), rng.below(5) === 0);
        if (client !== null) busy.push({ worker, client });
      } else if (what < 9) {
        const [one] = busy.splice(rng.below(busy.length || 1), 1);
        if (one !== undefined && rng.below(4) > 0) w.done(one.worker, one.client);
        else if (one !== undefined) (one.client.connection as FakeConnection).break();
      } else w.time.pass(rng.below(300));
      expect(w.real).toBeLessThanOrEqual(max);
      expect(w.counted).toBe(w.real);
      expect(w.own.reduce((sum, n) => sum + n, 0)).toBe(w.real);
    }
    for (const { worker, client } of busy) w.done(worker, client);
    for (const connector of w.connectors) connector.closeAllIdle();
    w.time.pass(200);
    expect([w.counted, w.real, w.time.timers.size]).toEqual([0, 0, 0]);
  });
});
