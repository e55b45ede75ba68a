// Answers that are dropped because their request is repeated elsewhere: short ones leave the connection to others.

import { expect, test } from "bun:test";
import { discardedAnswerBytesMax } from "../base/limits.ts";
import type { Net } from "../base/ports.ts";
import { FakeConnection, nothing, RecordingSink, requestHead, TestTime } from "../codec/test-kit.ts";
import type { H1Client } from "../codec/h1-client.ts";
import { Connector } from "../pool/connector.ts";
import { sampleColumns } from "../pool/sample-pool.ts";
import { EC } from "../stats/columns.ts";
import { discardAnswer } from "./discard.ts";

const target = { ip: "192.0.2.1", port: 80, unixPath: null };
const keepAlive = { connections: 8, idleMs: 60_000, requests: 0 };
const timeouts = { connectMs: 1000, sendMs: 1000, responseMs: 1000 };

/** A request under way whose answer is discarded as its head comes. */
class Rig {
  readonly time = new TestTime();
  readonly columns = sampleColumns();
  readonly connection = new FakeConnection();
  readonly connector: Connector;
  readonly client: H1Client;
  readonly sink = new RecordingSink();

  constructor() {
    const net: Net = {
      adopt: () => {
        throw new Error("not here");
      },
      connect: (_target, events) => {
        this.connection.events = events;
        return this.connection;
      },
    };
    this.connector = new Connector(net, this.time, this.time.timers, this.columns, 0);
    this.connector.setTarget(0, target);
    this.client = this.connector.connect(0, target, this.sink, timeouts);
    this.connection.events.onOpen();
    this.client.sendHead(requestHead("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), nothing, true, false);
    const { sink, client, connector } = this;
    sink.onHead = (_head, last = false) => discardAnswer(client, connector, keepAlive, last);
  }
  get idle(): number {
    return this.columns.endpoint(0, 0)[EC.idle]!;
  }
  get counted(): number {
    return this.columns.endpoint(0, 0)[EC.bytesReceived]!;
  }
}

const head = (length: number): string => `HTTP/1.1 503 no\r\nContent-Length: ${length}\r\n\r\n`;

test("without a body, with one that comes along or late, with trailers: the connection is kept", () => {
  const bare = new Rig();
  bare.connection.receive(head(0));
  expect([bare.idle, bare.connection.isOpen]).toEqual([1, true]);
  const along = new Rig();
  along.connection.receive(`${head(4)}body`);
  expect([along.idle, along.sink.body]).toEqual([1, ""]);
  const late = new Rig();
  late.connection.receive(head(8), "late");
  expect(late.idle).toBe(0);
  late.connection.receive("body");
  expect([late.idle, late.counted]).toEqual([1, 8]);
  const chunked = new Rig();
  chunked.connection.receive("HTTP/1.1 503 no\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  chunked.connection.receive("0\r\nX: y\r\n\r\n");
  expect([chunked.idle, chunked.connection.isOpen]).toEqual([1, true]);
});

test("a long one is not read to its end", () => {
  const rig = new Rig();
  const piece = "x".repeat(10_000);
  rig.connection.receive(head(10_000_000));
  let sent = 0;
  for (; rig.connection.isOpen && sent < 10_000_000; sent += piece.length) rig.connection.receive(piece);
  expect(sent).toBeLessThanOrEqual(discardedAnswerBytesMax + piece.length);
  expect([rig.idle, rig.connection.ended, rig.connector.open, rig.counted]).toEqual([0, "abort", 0, sent]);
});

test("one that breaks off, or never ends, is nobody's trouble", () => {
  const broken = new Rig();
  broken.connection.receive(head(8), "late");
  broken.connection.break();
  expect([broken.idle, broken.connector.open, broken.counted]).toEqual([0, 0, 4]);
  const silent = new Rig();
  silent.connection.receive(head(8), "late");
  silent.time.pass(timeouts.responseMs);
  expect([silent.connection.isOpen, silent.connector.open]).toEqual([false, 0]);
});
