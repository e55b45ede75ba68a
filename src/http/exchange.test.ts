// An exchange between a client and an endpoint whose kernels the test plays: when it is over, and what is counted and
// logged then.

import { expect, test } from "bun:test";
import { FakeConnection } from "../codec/test-kit.ts";
import { EC } from "../stats/columns.ts";
import { ListenerRig } from "./listener-rig.ts";

const writeMs = 3000;

/** A listener with one endpoint, and a client connected to it. */
class Rig extends ListenerRig {
  readonly client: FakeConnection;

  constructor() {
    super({ timeouts: { writeMs }, log: "{target} {status} {bytesSent} {durationMs} {termination}" });
    this.client = this.ask("");
  }

  /** Sends a request whose whole response, of this many bytes, the client's kernel takes in part. */
  respond(bytes: number, room: number): void {
    this.client.receive("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    const [endpoint] = this.pool.connections;
    if (endpoint!.accepted === 0) endpoint!.events.onOpen();
    this.client.room = room;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`;
    endpoint!.receive(head + "x".repeat(bytes));
  }
  /** Exchanges, requests at the endpoint, its idle connections. */
  get open(): number[] {
    const { columns } = this.pool;
    return [this.exchanges.inUse, columns.active[0]!, columns.endpoint(0, 0)[EC.idle]!];
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
  rig.pool.time.pass(900);
  rig.client.drain(30_000);
  expect([rig.log, rig.open]).toEqual(["", [1, 0, 1]]);
  rig.client.drain(Number.POSITIVE_INFINITY);
  expect(rig.open).toEqual([0, 0, 1]);
  expect(rig.client.accepted).toBeGreaterThan(100_000);
  expect(rig.log).toBe(`/a 200 ${rig.client.accepted} 1000.000 --\n`);
  expect([rig.count("status2xx"), rig.count("bytesSent")]).toEqual([1, rig.client.accepted]);
  rig.respond(10, Number.POSITIVE_INFINITY); // both connections go on
  expect([rig.pool.connections.length, rig.open]).toEqual([1, [0, 0, 1]]);
});

test("one that the client never takes ends as what it is: aborted, or too slow", () => {
  const gone = new Rig();
  gone.respond(100_000, 30_000);
  gone.client.break();
  expect(gone.log).toBe("/a 200 30000 0.000 CL\n");
  expect([gone.count("clientAborts"), gone.open]).toEqual([1, [0, 0, 1]]);
  const slow = new Rig();
  slow.respond(100_000, 30_000);
  slow.pool.time.pass(writeMs);
  expect(slow.log).toStartWith("/a 200 30000 ");
  expect(slow.log).toEndWith(" cL\n");
  expect([slow.count("timeouts"), slow.open, slow.client.ended]).toEqual([1, [0, 0, 1], "abort"]);
});

test("a response cut short by its endpoint ends with FIN, so that what was sent arrives", () => {
  const rig = new Rig();
  rig.client.receive("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  const [endpoint] = rig.pool.connections;
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
  const [endpoint] = rig.pool.connections;
  endpoint!.events.onOpen();
  endpoint!.receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
  endpoint!.break();
  expect([rig.client.ended, rig.client.finished]).toEqual(["abort", false]);
  expect(rig.open).toEqual([0, 0, 0]);
});

test("what the drain deadline breaks is our doing, not the client's", () => {
  const rig = new Rig();
  rig.client.receive("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  rig.pool.connections[0]!.events.onOpen();
  rig.listener.drain();
  rig.listener.abort();
  expect(rig.log).toBe("/a 0 0 0.000 PH\n");
  expect([rig.count("clientAborts"), rig.count("open"), rig.open]).toEqual([0, 0, [0, 0, 0]]);
});
