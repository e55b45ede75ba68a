// Requests that are repeated: by failure and by status, with their body, within deadlines and limits. The test plays
// the kernels of client and endpoints.

import { describe, expect, test } from "bun:test";
import type { PoolConfig } from "../model/config.ts";
import { defaultRetry } from "../model/defaults.ts";
import type { RetryConfig } from "../model/route-config.ts";
import { EC, PC } from "../stats/columns.ts";
import { ListenerRig } from "./listener-rig.ts";
import type { RigConnection } from "./pool-rig.ts";
import { compileRetry } from "./retry.ts";
import { Rewrite } from "./rewrite.ts";

/** A listener whose route retries so, over three endpoints or as many as are wanted. */
class Rig extends ListenerRig {
  constructor(retry: Partial<RetryConfig>, pool: Partial<PoolConfig> = {}, count = 3) {
    const route = { retry: compileRetry({ ...defaultRetry, ...retry }) };
    super({ endpoints: Array.from({ length: count }, () => ({})), pool, route });
  }

  get opened(): readonly RigConnection[] {
    return this.pool.connections;
  }
  get latest(): RigConnection {
    return this.pool.latest;
  }
  open(): RigConnection {
    return this.latest.open();
  }
  /** A counter of each endpoint. */
  each(what: keyof typeof EC): number[] {
    return this.pool.pool.members.map(({ row }) => this.pool.columns.endpoint(0, row)[EC[what]]!);
  }
}

const get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const put = (body: string): string => `PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const answer = (status: number, more = ""): string => `HTTP/1.1 ${status} x\r\n${more}Content-Length: 2\r\n\r\nok`;
const by503: Partial<RetryConfig> = { on: ["connect", "refused", "reset", "timeout", 503], attempts: 2 };
const idle = [0, 0, 0, 0, 0, 0];

describe("a status that is to be repeated", () => {
  test("goes to another endpoint, its connection is kept, and the last answer passes", () => {
    const rig = new Rig(by503);
    const client = rig.ask(get);
    rig.open().receive(answer(503, "Retry-After: 9\r\n"));
    expect(rig.opened.length).toBe(2);
    expect(client.sent()).toBe("");
    rig.open().receive(answer(503));
    rig.open().receive(answer(503, "Retry-After: 7\r\n"));
    expect(new Set(rig.opened.map(({ row }) => row)).size).toBe(3);
    expect(client.sent()).toContain("Retry-After: 7");
    expect(rig.log).toBe("503 3 -- none\n");
    expect(rig.opened.every(({ isOpen }) => isOpen)).toBe(true);
    expect([rig.each("idle"), rig.each("status5xx"), rig.each("retries").toSorted()]).toEqual([
      [1, 1, 1],
      [1, 1, 1],
      [0, 1, 1],
    ]);
    expect(rig.underWay).toEqual(idle);
    expect(rig.pool.columns.pool(0, 1)[PC.repeats]).toBe(2);
  });

  test("passes where there is nobody else", () => {
    const rig = new Rig(by503, {}, 1);
    const client = rig.ask(get);
    rig.open().receive(answer(503, "Retry-After: 9\r\n"));
    expect(client.sent()).toContain("Retry-After: 9");
    expect(rig.underWay).toEqual(idle);
  });

  test("ejects, from 500 up", () => {
    const outlier = { consecutiveFailures: 2, intervalMs: 1000, ejectionMs: 9000, maxEjectionMs: 9000 };
    const change = { outlier: { ...outlier, maxEjectedPercent: 50, successRate: null } };
    const rig = new Rig({ attempts: 0, on: [] }, { ...change, balance: { by: "round-robin" } });
    for (let k = 0; k < 12; k++) {
      rig.ask(get);
      if (!rig.latest.opened) rig.open();
      for (const one of rig.opened) if (one.sent() !== "") one.receive(answer(one.row === 0 ? 500 : 200));
    }
    expect([...rig.pool.columns.ejections.subarray(0, 3)]).toEqual([1, 0, 0]);
    expect(rig.each("status5xx")).toEqual([2, 0, 0]);
  });
});

describe("a body", () => {
  test("that was sent is sent again, and its rest after it", () => {
    const rig = new Rig(by503);
    const body = "abcdefghij";
    const client = rig.ask("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n");
    rig.open();
    client.receive(body);
    client.pump();
    expect(rig.latest.sent()).toEndWith(body);
    rig.latest.break();
    expect(rig.opened.length).toBe(2);
    rig.open();
    expect(rig.latest.sent()).toEndWith(`\r\n\r\n${body}`);
    client.pump();
    client.receive("0123456789");
    expect(rig.latest.sent()).toBe("0123456789");
    rig.latest.receive(answer(200));
    expect(client.sent()).toStartWith("HTTP/1.1 200");
    expect(rig.log).toBe("200 2 -- none\n");
    expect(rig.underWay).toEqual(idle);
  });

  test("in chunks goes to an endpoint that takes it slowly", () => {
    const rig = new Rig({ ...by503, bufferBytes: 200_000 });
    const client = rig.ask("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    rig.open();
    const chunk = `c350\r\n${"x".repeat(50_000)}\r\n`;
    client.receive(chunk + chunk);
    client.pump();
    client.receive("0\r\n\r\n");
    client.pump();
    rig.latest.receive(answer(503));
    rig.latest.room = 30_000;
    rig.open();
    let text = rig.latest.sent();
    for (let k = 0; k < 20; k++) {
      rig.latest.drain(9000);
      text += rig.latest.sent();
    }
    expect(text.split("x").length - 1).toBe(100_000);
    expect(text).toEndWith("0\r\n\r\n");
    rig.latest.receive(answer(200));
    expect(client.sent()).toStartWith("HTTP/1.1 200");
    expect(rig.underWay).toEqual(idle);
  });

  test("that is too long to keep is not repeated", () => {
    const rig = new Rig({ ...by503, bufferBytes: 5 });
    const client = rig.ask(put("abcdefghij"));
    rig.open();
    client.pump();
    rig.latest.receive(answer(503));
    expect(client.sent()).toStartWith("HTTP/1.1 503");
    const other = rig.ask(put("abc"));
    rig.open();
    other.pump();
    rig.latest.receive(answer(503));
    rig.open();
    expect(rig.latest.sent()).toEndWith("abc");
    rig.latest.receive(answer(200));
    expect(other.sent()).toStartWith("HTTP/1.1 200");
    expect(rig.underWay).toEqual(idle);
  });
});

describe("each attempt has its deadline", () => {
  test("for the answer, and for its connection", () => {
    const rig = new Rig({ attempts: 1, attemptMs: 500 });
    const client = rig.ask(get);
    rig.open();
    rig.pool.time.pass(500);
    expect(rig.opened.length).toBe(2);
    rig.pool.time.pass(500); // not connected in time: that costs no attempt
    expect(rig.opened.length).toBe(3);
    rig.open();
    rig.pool.time.pass(500);
    expect(client.sent()).toStartWith("HTTP/1.1 504");
    expect(rig.log).toBe("504 3 sH timeout\n");
    expect(rig.underWay).toEqual(idle);
  });

  test.each(["Content-Length: 4", "Transfer-Encoding: chunked"])(
    "not while the client sends its body: %s",
    (framing) => {
      const chunked = framing.endsWith("chunked");
      const piece = (text: string): string => (chunked ? `2\r\n${text}\r\n` : text);
      for (const bufferBytes of [0, 100]) {
        const rig = new Rig({ attempts: 1, attemptMs: 500, bufferBytes });
        const client = rig.ask(`PUT /a HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n`);
        rig.open();
        client.moves = true;
        rig.pool.time.pass(1000);
        client.receive(piece("ab"));
        rig.pool.time.pass(1000);
        expect(rig.opened.length).toBe(1);
        client.receive(piece("cd"));
        if (chunked) client.receive("0\r\n\r\n");
        rig.pool.time.pass(500);
        // Now the endpoint has had its time.
        if (bufferBytes === 0) expect(client.sent()).toStartWith("HTTP/1.1 504");
        else {
          expect(rig.opened.length).toBe(2);
          rig.open();
          rig.pool.time.pass(500);
          expect(client.sent()).toStartWith("HTTP/1.1 504");
        }
        expect(rig.underWay).toEqual(idle);
      }
    },
  );

  test("not once the answer has begun, though the body goes on", () => {
    const rig = new Rig({ attempts: 1, attemptMs: 500 });
    const client = rig.ask("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    rig.open().receive("HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\no");
    client.pump();
    client.receive("cd");
    rig.pool.time.pass(5000);
    rig.latest.receive("k");
    expect(client.sent()).toEndWith("\r\n\r\nok");
    expect(rig.underWay).toEqual(idle);
  });
});

test("the end of the whole request tells what it was at: connection, request or response", () => {
  const rig = new ListenerRig({ endpoints: [{}], pool: {}, route: { totalMs: 500 } });
  const upload = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab";
  for (const [request, opens, line] of [
    [get, false, "504 1 pC timeout\n"],
    [get, true, "504 1 pH timeout\n"],
    [upload, true, "504 1 pD timeout\n"],
  ] as const) {
    rig.log = "";
    const client = rig.ask(request);
    if (opens) rig.pool.latest.open();
    rig.pool.time.pass(1000);
    expect(client.sent()).toStartWith("HTTP/1.1 504");
    expect([rig.log, rig.underWay]).toEqual([line, idle]);
  }
});

describe("circuit", () => {
  test("requests beyond are refused", () => {
    const rig = new Rig({}, { circuit: { connections: 0, pending: 0, requests: 1 } });
    rig.ask(get);
    const refused = rig.ask(get).sent();
    expect(refused).toStartWith("HTTP/1.1 503");
    expect(refused).toContain("\r\nRetry-After: 1\r\n");
    expect(rig.log).toBe("503 0 PQ circuit\n");
  });

  test("connections beyond are refused, or wait", () => {
    const none = new Rig({}, { circuit: { connections: 1, pending: 0, requests: 0 } });
    none.ask(get);
    expect(none.ask(get).sent()).toStartWith("HTTP/1.1 503");
    expect(none.log).toBe("503 0 PC circuit\n");
    const queue = { size: 10, timeoutMs: 60_000 };
    const rig = new Rig({}, { circuit: { connections: 1, pending: 2, requests: 0 }, queue });
    const { columns, time } = rig.pool;
    const clients = [rig.ask(get), rig.ask(get), rig.ask(get)];
    expect(rig.ask(get).sent()).toStartWith("HTTP/1.1 503");
    expect([rig.log, columns.poolPending[1]]).toEqual(["503 0 PQ circuit\n", 2]);
    for (const client of clients) {
      if (!rig.latest.opened) rig.open();
      rig.latest.receive(answer(200));
      expect(client.sent()).toStartWith("HTTP/1.1 200");
      time.pass(100);
    }
    expect([columns.poolPending[1], columns.poolConnections[1]]).toEqual([0, 1]);
    expect(rig.opened.filter(({ isOpen }) => isOpen).length).toBe(1);
    expect(rig.underWay).toEqual(idle);
  });
});

test("a request that a rewrite makes no path of leaves the connection it was to have to the next one", () => {
  const rewrite = new Rewrite({ path: "^/x(.*)$", to: "/y/$1", host: null });
  const rig = new ListenerRig({ endpoints: [{}], pool: {}, route: { rewrite } });
  const bad = "GET /x../secret HTTP/1.1\r\nHost: h\r\n\r\n";
  for (let k = 0; k < 3; k++) {
    const client = rig.ask(bad);
    if (k === 0) rig.pool.latest.open();
    expect(client.sent()).toStartWith("HTTP/1.1 400");
    expect([rig.pool.connections.length, rig.pool.latest.isOpen, rig.pool.latest.sent()]).toEqual([1, true, ""]);
  }
  const client = rig.ask("GET /xa HTTP/1.1\r\nHost: h\r\n\r\n");
  expect(rig.pool.latest.sent()).toStartWith("GET /y/a HTTP/1.1\r\n");
  rig.pool.latest.receive(answer(200));
  expect(client.sent()).toStartWith("HTTP/1.1 200");
  expect([rig.pool.connections.length, rig.underWay]).toEqual([1, idle]);
});
