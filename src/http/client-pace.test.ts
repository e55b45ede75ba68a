// Clients that send or take too slowly for their route, and those that only seem to.

import { describe, expect, test } from "bun:test";
import type { FakeConnection } from "../codec/test-kit.ts";
import type { MinRateConfig } from "../model/route-config.ts";
import { ListenerRig } from "./listener-rig.ts";
import type { RigConnection } from "./pool-rig.ts";

/** 100 bytes a second both ways, and a second of grace. */
class Rig extends ListenerRig {
  constructor(change: Partial<MinRateConfig> = {}) {
    super({ route: { minRate: { request: 100, response: 100, graceMs: 1000, ...change } } });
  }
  pass(ms: number): void {
    // Timers fire up to a tick late, and the rig lets that tick pass as well.
    this.pool.time.pass(ms - 100);
  }
  get endpoint(): RigConnection {
    return this.pool.latest;
  }
  /** A request of a body with this length, to an endpoint that is connected. */
  upload(length: number): FakeConnection {
    const client = this.ask(`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\n\r\n`);
    if (!this.endpoint.opened) this.endpoint.open();
    client.pump();
    return client;
  }
  /** A request whose answer, of 100,000 bytes, the client's kernel takes up to so many bytes. */
  download(room: number): FakeConnection {
    const client = this.ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    if (!this.endpoint.opened) this.endpoint.open();
    client.room = room;
    client.unsentBytes = room;
    this.endpoint.receive(`HTTP/1.1 200 x\r\nContent-Length: 100000\r\n\r\n${"x".repeat(60_000)}`);
    return client;
  }
}

const idle = [0, 0, 0, 0, 0, 0];

describe("a request's body", () => {
  test("that does not come is answered 408 after the grace, and the endpoint is not blamed", () => {
    const rig = new Rig();
    const client = rig.upload(1000);
    rig.pass(900);
    expect(client.sent()).toBe("");
    rig.pass(500);
    const answer = client.sent();
    expect(answer).toStartWith("HTTP/1.1 408 ");
    expect(answer).toContain("\r\nConnection: close\r\n");
    expect([rig.log, rig.count("timeouts"), rig.pool.sum("failures")]).toEqual(["408 1 cD timeout\n", 1, 0]);
    expect(rig.underWay).toEqual(idle);
  });

  test("at half the rate is cut after twice the grace, at the full rate never", () => {
    const rig = new Rig();
    const [slow, fast] = [rig.upload(1000), rig.upload(1000)];
    let answer = "";
    let answeredMs = 0;
    for (let ms = 200; ms <= 9000; ms += 200) {
      rig.pass(200);
      slow.receive("x".repeat(10));
      fast.receive("x".repeat(20));
      answer += slow.sent();
      if (answer !== "" && answeredMs === 0) answeredMs = ms;
    }
    expect(answer).toStartWith("HTTP/1.1 408 ");
    expect([1800, 2000, 2200, 2400]).toContain(answeredMs);
    expect(fast.sent()).toBe("");
    fast.receive("x".repeat(100));
    rig.pass(30_000);
    rig.endpoint.receive("HTTP/1.1 204 x\r\n\r\n");
    expect(fast.sent()).toStartWith("HTTP/1.1 204 ");
  });

  test("may be as slow as we are: while the connection is made, and while the endpoint does not read", () => {
    const rig = new Rig();
    const client = rig.ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    rig.pass(4000);
    rig.endpoint.open();
    client.pump();
    rig.endpoint.room = 100;
    rig.pass(700);
    client.receive("x".repeat(10_000));
    client.pump();
    rig.pass(20_000);
    rig.endpoint.drain(Infinity);
    rig.pass(900);
    expect(client.sent()).toBe("");
    rig.pass(500);
    expect(client.sent()).toStartWith("HTTP/1.1 408 ");
    expect(rig.underWay).toEqual(idle);
  });

  test("is not waited for before the client has been asked for it", () => {
    const rig = new Rig();
    const ask = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    const [asked, other] = [rig.ask(ask), rig.ask(ask)];
    for (const connection of rig.pool.connections) connection.open();
    rig.pass(5000);
    for (const connection of rig.pool.connections) connection.receive("HTTP/1.1 100 Continue\r\n\r\n");
    rig.pass(800);
    other.receive("x".repeat(9));
    rig.pass(800);
    expect(asked.sent()).toContain("HTTP/1.1 408 ");
    expect(other.sent()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  });

  test("in chunks, with trailers, is over with them", () => {
    const rig = new Rig();
    const client = rig.ask("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    rig.endpoint.open();
    client.receive("1\r\nx\r\n0\r\nA: b\r\n\r\n");
    rig.pass(10_000);
    expect([client.sent(), rig.exchanges.inUse]).toEqual(["", 1]);
  });

  test("has no rate where only responses have one", () => {
    const rig = new Rig({ request: 0 });
    const client = rig.upload(1000);
    rig.pass(20_000);
    expect(client.sent()).toBe("");
  });
});

describe("a response", () => {
  test("that the client does not take is reset after the grace, and the endpoint is not blamed", () => {
    const rig = new Rig();
    const client = rig.download(1000);
    rig.pass(900);
    expect(client.isOpen).toBe(true);
    rig.pass(500);
    expect(client.ended).toBe("abort");
    expect([rig.log, rig.count("timeouts"), rig.pool.sum("failures")]).toEqual(["200 1 cL timeout\n", 1, 0]);
    expect(rig.underWay).toEqual(idle);
  });

  test("that the kernel has and the client takes bit by bit is not cut, until it stops", () => {
    const rig = new Rig();
    const client = rig.download(50_000);
    for (; client.unsentBytes > 49_000; client.unsentBytes -= 20) rig.pass(200);
    expect(client.isOpen).toBe(true);
    rig.pass(900);
    expect(client.isOpen).toBe(true);
    rig.pass(700);
    expect(client.ended).toBe("abort");
  });

  test("is not waited for while the endpoint has nothing more, and over when all is taken", () => {
    const rig = new Rig();
    const client = rig.download(50_000);
    rig.pass(700);
    client.drain(Infinity);
    rig.pass(30_000);
    client.room = 0;
    rig.endpoint.receive("x".repeat(40_000)); // the whole rest: the endpoint is free, the client is waited for
    rig.pass(900);
    expect(client.isOpen).toBe(true);
    client.drain(Infinity);
    rig.pass(30_000);
    expect([client.isOpen, rig.log]).toEqual([true, "200 1 -- none\n"]);
    const other = rig.download(50_000);
    rig.pass(700);
    other.drain(Infinity);
    other.room = 0;
    rig.endpoint.receive("x".repeat(40_000));
    rig.pass(1500);
    expect(other.ended).toBe("abort");
    expect(rig.underWay).toEqual(idle);
  });

  test("has no rate where only requests have one", () => {
    const rig = new Rig({ response: 0 });
    const client = rig.download(1000);
    rig.pass(20_000);
    expect(client.isOpen).toBe(true);
  });
});
