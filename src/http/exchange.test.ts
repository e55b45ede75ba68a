// An exchange between a client and an endpoint whose kernels the test plays: when it is over, and what is counted and
// logged then.

import { expect, test } from "bun:test";
import { FakeConnection, TestTime } from "../codec/test-kit.ts";
import { latin1Text } from "../base/bytes.ts";
import type { Net } from "../base/ports.ts";
import { defaultListener, defaultListenerLimits, defaultListenerTimeouts } from "../model/defaults.ts";
import type { ListenerConfig } from "../model/config.ts";
import { Connector } from "../pool/connector.ts";
import { Pool } from "../pool/pool.ts";
import { sampleColumns, sampleMembers, samplePoolConfig } from "../pool/sample-pool.ts";
import { EC, LC } from "../stats/columns.ts";
import { AcceptGate } from "./accept-gate.ts";
import { AccessLog } from "./access-log.ts";
import { ExchangePool } from "./exchange-pool.ts";
import type { Generation, ListenerPlan } from "./generation.ts";
import { Listener } from "./listener.ts";
import { LimitBook } from "../limit/limit-book.ts";
import { compilePathRules } from "../route/path.ts";
import { ReplayMemory } from "./replay-buffer.ts";
import { plainRoute, routerOf } from "./test-kit.ts";
import { PoolRuntime } from "./pool-runtime.ts";

const writeMs = 3000;

/** A listener with one endpoint, and a client connected to it. */
class Rig {
  readonly time = new TestTime();
  readonly columns = sampleColumns();
  readonly endpoints: FakeConnection[] = [];
  readonly exchanges = new ExchangePool(this.columns.worker(0));
  readonly listener: Listener;
  readonly client = new FakeConnection();
  log = "";

  constructor() {
    const { time, columns } = this;
    const rng = { u32: () => 7, below: () => 0 };
    const members = sampleMembers(columns, [{}]);
    const pool = new Pool(samplePoolConfig({}), members, columns, 0, rng, time);
    const runtime = new PoolRuntime("app", "", pool, time, time.timers);
    const config: ListenerConfig = {
      name: "web",
      bind: [],
      ...defaultListener,
      protocol: "http",
      trustedProxies: [],
      via: null,
      timeouts: { ...defaultListenerTimeouts, writeMs },
      limits: defaultListenerLimits,
      routes: [],
    };
    const plan: ListenerPlan = {
      name: "web",
      row: 0,
      config,
      trustedProxies: [],
      viaLine: null,
      connectionsMax: 100,
      access: null,
      connectionsPerClient: null,
      pathRules: compilePathRules(config.paths),
      router: routerOf(plainRoute(runtime)),
    };
    const generation: Generation = {
      number: 1,
      accessLog: null,
      listeners: new Map([["web", plan]]),
      pools: new Map([["app", runtime]]),
      limits: new LimitBook(
        { listeners: [] } as never,
        { arena: new Int32Array(0), tables: {}, workers: 1, worker: 0 },
        null,
      ),
      tokens: { keys: "", box: null },
      exchanges: 0,
    };
    const net: Net = {
      adopt: () => {
        throw new Error("not here");
      },
      connect: (_target, events) => {
        const connection = new FakeConnection();
        connection.events = events;
        this.endpoints.push(connection);
        return connection;
      },
    };
    const connector = new Connector(net, time, time.timers, columns, 0);
    connector.setTarget(0, members[0]!.target);
    const shared = {
      clock: time,
      timers: time.timers,
      rng,
      connector,
      exchanges: this.exchanges,
      replayMemory: new ReplayMemory(),
    };
    const gate = new AcceptGate(0, () => {});
    this.listener = new Listener(plan, generation, columns.listener(0, 0), { ...shared, gate, seed: columns.seed });
    const append = (bytes: Uint8Array, start: number, end: number): void =>
      void (this.log += latin1Text(bytes, start, end));
    const template = "{target} {status} {bytesSent} {durationMs} {termination}";
    this.listener.accessLog = new AccessLog({ format: "template", template, file: "-" }, { append }, time);
    this.client.events = this.listener.acceptOn(80)(this.client);
  }

  /** Sends a request whose whole response, of this many bytes, the client's kernel takes in part. */
  respond(bytes: number, room: number): void {
    this.client.receive("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    const [endpoint] = this.endpoints;
    if (endpoint!.accepted === 0) endpoint!.events.onOpen();
    this.client.room = room;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`;
    endpoint!.receive(head + "x".repeat(bytes));
  }
  get open(): number[] {
    const { active } = this.columns;
    return [this.exchanges.inUse, active[0]!, this.columns.endpoint(0, 0)[EC.idle]!];
  }
  count(what: keyof typeof LC): number {
    return this.columns.listener(0, 0)[LC[what]]!;
  }
}

test("a response the client's kernel takes whole is over at once", () => {
  const rig = new Rig();
  rig.respond(1000, Number.POSITIVE_INFINITY);
  expect(rig.open).toEqual([0, 0, 1]);
  expect(rig.log).toBe(`/a 200 ${rig.client.accepted} 0.000 --\n`);
});

test("one that the client has still to take frees the endpoint at once, and is over when the client has it", () => {
  const rig = new Rig();
  rig.respond(100_000, 30_000);
  expect(rig.open).toEqual([1, 0, 1]); // in progress, but not at the endpoint
  rig.time.pass(900);
  rig.client.drain(30_000);
  expect([rig.log, rig.open]).toEqual(["", [1, 0, 1]]);
  rig.client.drain(Number.POSITIVE_INFINITY);
  expect(rig.open).toEqual([0, 0, 1]);
  expect(rig.client.accepted).toBeGreaterThan(100_000);
  expect(rig.log).toBe(`/a 200 ${rig.client.accepted} 1000.000 --\n`);
  expect([rig.count("status2xx"), rig.count("bytesSent")]).toEqual([1, rig.client.accepted]);
  rig.respond(10, Number.POSITIVE_INFINITY); // both connections go on
  expect([rig.endpoints.length, rig.open]).toEqual([1, [0, 0, 1]]);
});

test("one that the client never takes ends as what it is: aborted, or too slow", () => {
  const gone = new Rig();
  gone.respond(100_000, 30_000);
  gone.client.break();
  expect(gone.log).toBe("/a 200 30000 0.000 CL\n");
  expect([gone.count("clientAborts"), gone.open]).toEqual([1, [0, 0, 1]]);
  const slow = new Rig();
  slow.respond(100_000, 30_000);
  slow.time.pass(writeMs);
  expect(slow.log).toStartWith("/a 200 30000 ");
  expect(slow.log).toEndWith(" cL\n");
  expect([slow.count("timeouts"), slow.open, slow.client.ended]).toEqual([1, [0, 0, 1], "abort"]);
});

test("a response cut short by its endpoint ends with FIN, so that what was sent arrives", () => {
  const rig = new Rig();
  rig.client.receive("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  const [endpoint] = rig.endpoints;
  endpoint!.events.onOpen();
  endpoint!.receive("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole");
  endpoint!.receive("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npar");
  rig.client.room = 0;
  endpoint!.receive("t");
  endpoint!.break();
  expect([rig.client.ended, rig.client.finished]).toEqual(["", false]); // a byte is still to be taken
  rig.client.drain(Number.POSITIVE_INFINITY);
  expect([rig.client.ended, rig.client.finished]).toEqual(["", true]);
  expect(rig.client.sent()).toEndWith("\r\n\r\npart");
  expect(rig.log).toEndWith(" SL\n");
  rig.client.receiveFin();
  expect(rig.open).toEqual([0, 0, 0]);
  expect(rig.count("open")).toBe(0);
});

test("one to HTTP/1.0 whose end is the close is reset, for nothing else tells", () => {
  const rig = new Rig();
  rig.client.receive("GET /a HTTP/1.0\r\nHost: h\r\n\r\n");
  const [endpoint] = rig.endpoints;
  endpoint!.events.onOpen();
  endpoint!.receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
  endpoint!.break();
  expect([rig.client.ended, rig.client.finished]).toEqual(["abort", false]);
  expect(rig.open).toEqual([0, 0, 0]);
});

test("what the drain deadline breaks is our doing, not the client's", () => {
  const rig = new Rig();
  rig.client.receive("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  rig.endpoints[0]!.events.onOpen();
  rig.listener.drain();
  rig.listener.abort();
  expect(rig.log).toBe("/a 0 0 0.000 PH\n");
  expect([rig.count("clientAborts"), rig.count("open"), rig.open]).toEqual([0, 0, [0, 0, 0]]);
});
