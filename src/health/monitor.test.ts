// The health monitor on a net whose other end the test plays, with time under its control.

import { beforeEach, describe, expect, test } from "bun:test";
import { probesInFlightMax } from "../base/limits.ts";
import {
  Cause,
  type Connection,
  type ConnectionEvents,
  type Env,
  type Moved,
  NOTHING_MOVED,
  type Target,
  RECEIVE_MAX,
} from "../base/ports.ts";
import { TimerWheel } from "../base/timer-wheel.ts";
import type { HealthConfig } from "../model/config.ts";
import { Admin, columnsBytes, Health, openColumns, type Columns } from "../stats/columns.ts";
import { Monitor, type HealthEvent, type Subject } from "./monitor.ts";

/** A connection whose other end the test plays. */
class FakeConnection implements Connection {
  receiveMax = RECEIVE_MAX;
  readonly remotePort = 0;
  isOpen = false;
  sent = "";
  ended: "" | "close" | "abort" = "";
  readonly target: Target;
  events: ConnectionEvents;

  constructor(target: Target, events: ConnectionEvents) {
    this.target = target;
    this.events = events;
  }

  get remoteAddress(): string {
    return this.target.ip;
  }

  read(): number {
    return 0;
  }

  moveTo(): Moved {
    return NOTHING_MOVED;
  }

  unsent(): number {
    return -1;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    this.sent += new TextDecoder().decode(bytes.subarray(start, end));
    return end - start;
  }

  pause(): void {}
  resume(): void {}
  finish(): void {}

  close(): void {
    this.ended ||= "close";
  }

  abort(): void {
    this.ended ||= "abort";
  }

  answer(text: string): void {
    this.events.onOpen();
    this.events.onData(new TextEncoder().encode(text));
  }
}

let nowMs = 0;
let connections: FakeConnection[] = [];
let logged: { event: string; reason: unknown }[] = [];
let events: HealthEvent[] = [];
let columns: Columns;
let monitor: Monitor;
let env: Env;

beforeEach(() => {
  nowMs = 1000;
  connections = [];
  logged = [];
  events = [];
  const size = { workers: 1, listeners: 1, endpoints: 512 };
  columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
  env = {
    clock: { nowMs: () => nowMs, cachedMs: 0, wallMs: () => 1_700_000_000_000 + nowMs },
    rng: { u32: () => 0, below: (bound) => Math.floor(bound / 2) },
    timers: new TimerWheel(nowMs),
    net: {
      adopt: () => {
        throw new Error("not used");
      },
      connect: (target, handlers) => {
        const connection = new FakeConnection(target, handlers);
        connections.push(connection);
        return connection;
      },
    },
    log: { write: (_level, event, fields) => logged.push({ event, reason: fields?.["reason"] }) },
  };
  monitor = new Monitor(env, columns, (event) => events.push(event));
});

function advance(ms: number): void {
  for (const end = nowMs + ms; nowMs < end;) {
    nowMs += 50;
    env.timers.advance(nowMs);
  }
}

const settings: HealthConfig = {
  protocol: "http",
  path: "/health",
  method: "GET",
  host: null,
  headers: {},
  port: null,
  intervalMs: 10_000,
  timeoutMs: 5000,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
  expectStatus: [[200, 299]],
  expectBody: null,
  initial: "up",
};

function subject(id: string, more: Partial<Subject> = {}): Subject {
  const target = { ip: "10.0.0.1", port: 3001, unixPath: null };
  return { pool: "users", id, row: 3, target, authority: "10.0.0.1:3001", settings, ...more };
}

/** Waits for the next check and answers it: a status, or "refused". */
function answerNext(what: number | "refused"): void {
  const before = connections.length;
  for (let i = 0; i < 300 && connections.length === before; i++) advance(50);
  const connection = connections[before]!;
  if (what === "refused") connection.events.onClose(Cause.Refused);
  else connection.answer(`HTTP/1.1 ${what} x\r\nContent-Length: 0\r\n\r\n`);
}

describe("verdicts", () => {
  test("the first success takes an endpoint up, the columns and the epoch follow", () => {
    monitor.reconcile([subject("u1")]);
    expect(columns.health[3]).toBe(Health.Unknown);
    const epoch = columns.control[0]!;
    answerNext(200);
    expect(nowMs).toBeLessThan(1500);
    expect(columns.health[3]).toBe(Health.Up);
    expect(columns.control[0]).toBe(epoch + 1);
    expect(columns.upSinceMs[3]).toBe(0);
    expect(connections[0]!.sent).toBe(
      "GET /health HTTP/1.1\r\nHost: 10.0.0.1:3001\r\n" +
        "User-Agent: Sluice-HealthCheck\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    );
    expect(connections[0]!.ended).toBe("close");
  });

  test("down after three failures, up after two successes, slow start from then", () => {
    monitor.reconcile([subject("u1")]);
    answerNext(200);
    for (const status of [500, 500]) answerNext(status);
    expect(columns.health[3]).toBe(Health.Up);
    answerNext("refused");
    expect(columns.health[3]).toBe(Health.Down);
    answerNext(200);
    expect(columns.health[3]).toBe(Health.Down);
    answerNext(200);
    expect(columns.health[3]).toBe(Health.Up);
    expect(columns.upSinceMs[3]).toBe(nowMs);
    expect(events.map((e) => `${e.from}>${e.to} ${e.reason}`)).toEqual([
      "unknown>up check passed in 0ms",
      "up>down connection refused",
      "down>up check passed in 0ms",
    ]);
    expect(monitor.report("users", "u1")).toMatchObject({ health: "up", transitionCount: 3, lastCheck: { ok: true } });
  });

  test("equal results are logged once", () => {
    monitor.reconcile([subject("u1")]);
    for (const what of [200, 200, 500, 500, "refused", "refused", 200, 200] as const) answerNext(what);
    expect(logged.filter((l) => l.event.startsWith("check")).map((l) => `${l.event}: ${l.reason}`)).toEqual([
      "check failed: status 500, expected 200-299",
      "check failed: connection refused",
      "check passed: ",
    ]);
  });

  test("a check that gets no answer times out and is aborted", () => {
    monitor.reconcile([subject("u1", { settings: { ...settings, unhealthyThreshold: 1 } })]);
    advance(200);
    connections[0]!.events.onOpen();
    advance(5200);
    expect(connections[0]!.ended).toBe("abort");
    expect(monitor.report("users", "u1")!.lastCheck).toMatchObject({ ok: false, reason: "timed out after 5s" });
    expect(columns.health[3]).toBe(Health.Down);
  });

  test("tcp checks pass on connect; a port of their own is used", () => {
    monitor.reconcile([subject("u1", { settings: { ...settings, protocol: "tcp", port: 9999 } })]);
    advance(200);
    expect(connections[0]!.target.port).toBe(9999);
    connections[0]!.events.onOpen();
    expect(columns.health[3]).toBe(Health.Up);
    expect(connections[0]!.ended).toBe("close");
  });
});

describe("schedule", () => {
  test("one check at a time, an interval apart from due time to due time", () => {
    monitor.reconcile([subject("u1", { settings: { ...settings, intervalMs: 1000, timeoutMs: 5000 } })]);
    advance(3000);
    expect(connections.length).toBe(1);
    connections[0]!.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    advance(200);
    expect(connections.length).toBe(2);
  });

  test("never more than probesInFlightMax at once, and everyone gets a turn", () => {
    const count = probesInFlightMax + 50;
    monitor.reconcile(Array.from({ length: count }, (_, i) => subject(`u${i}`, { row: i })));
    advance(9000);
    for (const c of connections.slice(0, 10)) expect(c.ended).toBe("abort"); // timed out after 5 s
    expect(connections.filter((c) => c.ended === "").length).toBeLessThanOrEqual(probesInFlightMax);
    expect(connections.length).toBeGreaterThanOrEqual(count);
  });

  test("an endpoint in maintenance is not checked until it is back", () => {
    monitor.reconcile([subject("u1")]);
    answerNext(200);
    columns.admin[3] = Admin.Maint;
    advance(60_000);
    expect(connections.length).toBe(1);
    columns.admin[3] = Admin.Ready;
    monitor.recheck("users", "u1");
    expect(connections.length).toBe(2);
    monitor.recheck("users", "u1");
    expect(connections.length).toBe(2);
    connections[1]!.answer("HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n");
    answerNext(200);
    expect(connections.length).toBe(3);
  });

  test("stop ends everything", () => {
    monitor.reconcile([subject("u1")]);
    advance(200);
    monitor.stop();
    expect(connections[0]!.ended).toBe("abort");
    expect(env.timers.size).toBe(0);
    connections[0]!.events.onClose(Cause.Reset);
    advance(30_000);
    expect(connections.length).toBe(1);
    expect(events).toEqual([]);
  });
});

describe("reconcile", () => {
  test("equal settings keep state and schedule", () => {
    monitor.reconcile([subject("u1")]);
    answerNext(200);
    answerNext(500);
    answerNext(500);
    const before = connections.length;
    monitor.reconcile([subject("u1", { settings: { ...settings } })]);
    advance(5000);
    expect(connections.length).toBe(before);
    answerNext(500);
    expect(columns.health[3]).toBe(Health.Down);
  });

  test("other settings keep the verdict, check soon and count anew", () => {
    monitor.reconcile([subject("u1")]);
    answerNext(200);
    answerNext(500);
    answerNext(500);
    monitor.reconcile([subject("u1", { settings: { ...settings, path: "/ready" } })]);
    const before = connections.length;
    advance(200);
    expect(connections.length).toBe(before + 1);
    connections[before]!.answer("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n");
    expect(columns.health[3]).toBe(Health.Up);
  });

  test("another address is another machine", () => {
    monitor.reconcile([subject("u1")]);
    answerNext(200);
    monitor.reconcile([subject("u1", { target: { ip: "10.0.0.9", port: 3001, unixPath: null } })]);
    expect(columns.health[3]).toBe(Health.Unknown);
    advance(200);
    expect(connections.at(-1)!.target.ip).toBe("10.0.0.9");
  });

  test("a removed endpoint is forgotten, its check given up", () => {
    monitor.reconcile([subject("u1"), subject("u2", { row: 4 })]);
    advance(200);
    monitor.reconcile([subject("u2", { row: 4 })]);
    expect(connections.map((c) => c.ended).sort()).toEqual(["", "abort"]);
    expect(monitor.report("users", "u1")).toBeNull();
    expect(monitor.report("users", "u2")).not.toBeNull();
  });

  test("without checks an endpoint is unknown, whatever it was", () => {
    monitor.reconcile([subject("u1")]);
    answerNext(200);
    monitor.reconcile([subject("u1", { settings: null })]);
    expect(columns.health[3]).toBe(Health.Unknown);
    advance(30_000);
    expect(connections.length).toBe(1);
  });

  test("a name without address is down until it has one", () => {
    monitor.reconcile([subject("u1", { target: null, settings: null, authority: "db.internal:80" })]);
    expect(columns.health[3]).toBe(Health.Down);
    expect(events[0]!.reason).toBe("host name of db.internal:80 does not resolve");
    nowMs = 5000;
    monitor.reconcile([subject("u1", { settings: null, authority: "db.internal:80" })]);
    expect(columns.health[3]).toBe(Health.Unknown);
    expect(columns.upSinceMs[3]).toBe(5000);
  });

  test("a row used before starts at unknown", () => {
    columns.health[3] = Health.Down;
    monitor.reconcile([subject("u1")]);
    expect(columns.health[3]).toBe(Health.Unknown);
  });
});
