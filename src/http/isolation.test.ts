// What one request has must not reach another, nor what was taken from a head come back: shared heads, memory that is
// used again, connections that are given on. The test plays the kernels of clients and endpoints.

import { describe, expect, test } from "bun:test";
import { newPickState } from "../balance/pick-state.ts";
import { discardedAnswerBytesMax, replayChunkBytes } from "../base/limits.ts";
import { TICK_MS } from "../base/timer-wheel.ts";
import { defaultRetry } from "../model/defaults.ts";
import type { HeaderEdits, PathsConfig } from "../model/route-config.ts";
import { compilePathRules } from "../route/path.ts";
import type { Attempts } from "./attempts.ts";
import { compileEdits } from "./header-edits.ts";
import { ListenerRig } from "./listener-rig.ts";
import { PoolRig } from "./pool-rig.ts";
import { compileRetry } from "./retry.ts";

const none: HeaderEdits = { set: [], add: [], remove: [] };
const normal: PathsConfig = { mode: "normalize", slashes: "merge", encodedSlashes: "refuse" };

describe("a placeholder that looks at the request's head again", () => {
  const edits = { ...none, set: [{ name: "X-Id", value: "{requestId}" }], remove: ["x-secret"] };
  const head = [
    "GET /a/../b//c HTTP/1.1",
    "Host: h",
    "X-Request-Id: mine",
    "X-Secret: s",
    "X-Forwarded-For: 6.6.6.6",
    "X-Real-IP: 6.6.6.6",
    "",
    "",
  ].join("\r\n");

  test("leaves what was taken out of the request where it is, on new connections and kept ones", () => {
    const rig = new ListenerRig({ paths: normal, route: { requestEdits: compileEdits(edits, "request") } });
    for (const _ of ["new", "kept"]) {
      rig.ask(head);
      const endpoint = rig.pool.latest;
      if (!endpoint.opened) endpoint.open();
      const sent = endpoint.sent();
      expect(sent).toStartWith("GET /b/c HTTP/1.1\r\n");
      expect(sent).toContain("X-Id: mine\r\n");
      expect(sent).not.toContain("6.6.6.6");
      expect(sent).not.toContain("X-Secret");
      endpoint.receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    expect(rig.pool.connections.length).toBe(1);
  });
});

test("a body that is kept for repeats is not sent on to an endpoint that has answered already", () => {
  const retry = compileRetry({ ...defaultRetry, on: ["reset", 503], attempts: 2, bufferBytes: 10 * replayChunkBytes });
  const rig = new ListenerRig({ endpoints: [{}, {}, {}], route: { retry } });
  const size = 2 * replayChunkBytes;
  const put = (fill: string): string =>
    `PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${size}\r\n\r\n${fill.repeat(size)}`;
  rig.ask(put("a"));
  rig.pool.latest.open().break();
  const early = rig.pool.latest;
  early.room = 1000;
  early.open().receive("HTTP/1.1 503 no\r\nContent-Length: 5\r\n\r\n");
  const last = rig.pool.latest;
  expect(last).not.toBe(early);
  last.open().receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  expect([rig.log, rig.exchanges.inUse]).toEqual(["200 3 -- none\n", 0]);
  rig.ask(put("b")); // whose body takes the same memory
  early.drain(Number.POSITIVE_INFINITY);
  expect(early.sent()).not.toContain("bb");
  expect(early.ended).toBe("abort"); // nothing else is left to be done with it
});

test("a request's path is read by the rules under which it was routed, whatever rules come meanwhile", () => {
  const rig = new ListenerRig({ endpoints: [{}, {}], paths: normal });
  const { listener } = rig;
  rig.ask("GET /a/../b//c?x HTTP/1.1\r\nHost: h\r\n\r\n");
  for (const mode of ["raw", "strict"] as const) {
    listener.apply({ ...listener.plan, pathRules: compilePathRules({ ...normal, mode }) }, listener.generation);
    rig.pool.latest.open();
    expect(rig.pool.latest.sent()).toStartWith("GET /b/c?x HTTP/1.1\r\n");
    rig.pool.latest.break();
  }
});

test("a request that throws when its turn in the queue comes keeps nobody behind it waiting", () => {
  const { runtime, pool, time, columns } = new PoolRig([{ maxConnections: 1 }], { queue: { size: 9, timeoutMs: 0 } });
  const tried: string[] = [];
  const waiter = (name: string, fails: boolean): Attempts => {
    const self = {
      queueNext: null,
      queuePrevious: null,
      queued: false,
      tryAgain() {
        tried.push(name);
        runtime.leave(self as never);
        if (fails) throw new Error("a bug");
        return true;
      },
    };
    return self as never;
  };
  runtime.wait(waiter("first", true), false);
  runtime.wait(waiter("second", false), false);
  const state = newPickState(1);
  const index = pool.acquire(state);
  expect(() => pool.release(index, 0, 0)).toThrow("a bug");
  expect(tried).toEqual(["first"]);
  time.pass(TICK_MS * 2);
  expect(tried).toEqual(["first", "second"]);
  expect([runtime.waiting, columns.active[0]]).toEqual([0, 0]);
});

test("a place for a connection that a repeat was given is not given away before it connects", () => {
  const retry = compileRetry({ ...defaultRetry, on: [503], attempts: 2 });
  const circuit = { connections: 2, pending: 0, requests: 0 };
  const queue = { size: 9, timeoutMs: 0 };
  const rig = new ListenerRig({ endpoints: [{}, {}, {}], pool: { circuit, queue }, route: { retry } });
  const { pool } = rig;
  const places = (): number => pool.columns.poolConnections[1]!;
  const unwilling = "HTTP/1.1 503 no\r\nContent-Length: 1000000\r\n\r\n";
  rig.ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  const first = pool.latest.open();
  first.receive(unwilling);
  const second = pool.latest.open();
  rig.ask("GET /b HTTP/1.1\r\nHost: h\r\n\r\n"); // waits for a connection
  expect([pool.connections.length, places(), pool.runtime.waiting]).toEqual([2, 2, 1]);
  first.receive("x".repeat(discardedAnswerBytesMax + 1)); // nobody reads that much of it: there is a place again
  expect([first.ended, places()]).toEqual(["abort", 1]);
  second.receive(unwilling);
  expect(pool.connections.length).toBe(3);
  expect(places()).toBe(2);
});
