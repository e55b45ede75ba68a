// Two connections in memory joined by a tunnel: bytes, back-pressure, half-close, breaks and silence, in both
// directions.

import { describe, expect, test } from "bun:test";
import { Cause } from "../base/ports.ts";
import type { Failure } from "../base/failure.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { latin1 } from "../wire/h1/tables.ts";
import type { Detached } from "./stream.ts";
import { failureWords, FakeConnection, TestTime } from "./test-kit.ts";
import { Tunnel } from "./tunnel.ts";

const fresh: Detached = { received: null, unsent: null, finished: false };

class TunnelRig {
  readonly time = new TestTime();
  readonly client = new FakeConnection();
  readonly endpoint = new FakeConnection();
  readonly ends: string[] = [];
  readonly tunnel: Tunnel;

  constructor(idleMs = 1000, client: Partial<Detached> = {}, endpoint: Partial<Detached> = {}) {
    // As they come from the codecs: stopped.
    this.client.pause();
    this.endpoint.pause();
    this.tunnel = new Tunnel(this.client, this.endpoint, this.time, this.time.timers, idleMs, {
      onTunnelEnd: (f: Failure, fromClient, fromEndpoint) =>
        void this.ends.push(`${f === 0 ? "in order" : failureWords(f)}, ${fromClient} and ${fromEndpoint} bytes`),
    });
    this.tunnel.start({ ...fresh, ...client }, { ...fresh, ...endpoint });
    this.pump();
  }

  pump(): void {
    while (this.client.pump() || this.endpoint.pump());
  }
  get state(): string {
    const of = (connection: FakeConnection): string =>
      connection.isOpen ? (connection.finished ? "finished" : "open") : connection.ended;
    return `${of(this.client)} ${of(this.endpoint)}`;
  }
}

describe("bytes", () => {
  test("pass both ways", () => {
    const rig = new TunnelRig();
    rig.client.receive("ping", "\0\xff");
    rig.endpoint.receive("pong");
    expect([rig.endpoint.sent(), rig.client.sent(), rig.state]).toEqual(["ping\0\xff", "pong", "open open"]);
  });
  test("what came early, and what had not gone out yet, comes first on both sides", () => {
    const rig = new TunnelRig(
      1000,
      { received: latin1("early from client "), unsent: latin1("head to client ") },
      { received: latin1("early from endpoint "), unsent: latin1("head to endpoint ") },
    );
    rig.client.events.onDrain();
    rig.endpoint.events.onDrain();
    rig.client.receive("more");
    rig.endpoint.receive("more");
    rig.pump();
    expect(rig.endpoint.sent()).toBe("head to endpoint early from client more");
    expect(rig.client.sent()).toBe("head to client early from endpoint more");
  });
  test("a slow side stops the other, and only that", () => {
    const rig = new TunnelRig();
    rig.endpoint.room = 3;
    rig.client.receive("hello", "held");
    expect([rig.client.paused, rig.endpoint.paused, rig.client.waiting]).toEqual([true, false, 4]);
    rig.endpoint.receive("still flows");
    expect(rig.client.sent()).toBe("still flows");
    rig.endpoint.drain(1);
    expect(rig.client.paused).toBe(true);
    rig.endpoint.drain(100);
    rig.pump();
    expect([rig.endpoint.sent(), rig.client.paused]).toEqual(["helloheld", false]);
  });
});

describe("endings", () => {
  test("FIN is passed on; the other direction goes on until its own", () => {
    for (const [from, to] of [
      ["client", "endpoint"],
      ["endpoint", "client"],
    ] as const) {
      const rig = new TunnelRig();
      rig[from].receive("bye");
      rig[from].receiveFin();
      expect([rig[to].finished, rig[from].finished, rig.ends]).toEqual([true, false, []]);
      rig[to].receive("answer");
      expect(rig[from].sent()).toBe("answer");
      rig[to].receiveFin();
      expect([rig.client.isOpen, rig.endpoint.isOpen]).toEqual([false, false]);
      expect(rig.ends).toEqual([from === "client" ? "in order, 3 and 6 bytes" : "in order, 6 and 3 bytes"]);
      expect(rig.time.timers.size).toBe(0);
    }
  });
  test("FIN waits for bytes that are still on their way", () => {
    const rig = new TunnelRig();
    rig.endpoint.room = 2;
    rig.client.receive("hello");
    rig.client.events.onFinish();
    expect(rig.endpoint.finished).toBe(false);
    rig.endpoint.drain(100);
    expect([rig.endpoint.sent(), rig.endpoint.finished]).toEqual(["hello", true]);
  });
  test("the last bytes go out to a slow side though the other is gone", () => {
    const rig = new TunnelRig();
    rig.client.receiveFin();
    rig.client.room = 2;
    rig.endpoint.receive("hello");
    rig.endpoint.events.onFinish();
    rig.endpoint.break(Cause.None);
    expect([rig.client.isOpen, rig.ends]).toEqual([true, []]);
    rig.client.drain(100);
    expect([rig.client.sent(), rig.state, rig.ends]).toEqual(["hello", "close peer", ["in order, 0 and 5 bytes"]]);
  });
  test("a break on one side is a reset on the other, and told with its side", () => {
    for (const [side, other, word] of [
      ["client", "endpoint", "Client"],
      ["endpoint", "client", "Endpoint"],
    ] as const) {
      const rig = new TunnelRig();
      rig[side].break(Cause.Reset);
      expect([rig[other].ended, rig.ends]).toEqual(["abort", [`${word} Tunnel reset, 0 and 0 bytes`]]);
      expect(rig.time.timers.size).toBe(0);
      const late = new TunnelRig();
      late[side].break(Cause.TimedOut);
      expect(late.ends).toEqual([`${word} Tunnel timeout, 0 and 0 bytes`]);
    }
  });
  test("a FIN heard before the tunnel began is passed on by it", () => {
    const client = new TunnelRig(1000, { finished: true });
    expect(client.state).toBe("open finished");
    client.endpoint.receiveFin();
    expect(client.ends).toEqual(["in order, 0 and 0 bytes"]);
    const pending = new TunnelRig(1000, {}, { finished: true, received: latin1("x") });
    expect([pending.client.sent(), pending.state]).toEqual(["x", "finished open"]);
    pending.client.receiveFin();
    expect(pending.ends).toEqual(["in order, 0 and 1 bytes"]);
  });
  test("cut off from outside it ends once, with resets", () => {
    const rig = new TunnelRig();
    rig.tunnel.end(1);
    rig.tunnel.end(1);
    rig.client.receive("late");
    expect([rig.state, rig.ends.length, rig.endpoint.sent()]).toEqual(["abort abort", 1, ""]);
  });
});

describe("silence", () => {
  test("is ended after its time, counted from the last byte of either side", () => {
    const rig = new TunnelRig(1000);
    for (const side of ["client", "endpoint", "client"] as const) {
      rig.time.pass(500);
      rig[side].receive("x");
    }
    rig.time.pass(500);
    expect(rig.ends).toEqual([]);
    rig.time.pass(500);
    expect([rig.ends, rig.state]).toEqual([["Proxy Tunnel timeout, 2 and 1 bytes"], "abort abort"]);
  });
  test("is never too long where it may last", () => {
    const rig = new TunnelRig(0);
    rig.time.pass(100_000_000);
    expect(rig.state).toBe("open open");
  });
});

test("any pieces through any kernels arrive whole and in order, on both sides", () => {
  const seed = 5150;
  const rng = seededRng(seed);
  for (let round = 0; round < 300; round++) {
    const rig = new TunnelRig();
    const given = { client: "", endpoint: "" };
    const got = { client: "", endpoint: "" };
    rig.client.room = rig.endpoint.room = 0;
    const sides = ["client", "endpoint"] as const;
    const step = (): void => {
      const side = sides[rng.below(2)]!;
      if (rng.below(2) === 0) {
        const text = String.fromCharCode(97 + rng.below(26)).repeat(1 + rng.below(3000));
        given[side] += text;
        rig[side].receive(text);
      } else rig[side].drain(rng.below(2000));
      rig.pump();
    };
    for (let k = 20 + rng.below(30); k > 0; k--) step();
    for (const side of sides) rig[side].receiveFin();
    for (let k = 0; k < 300 && rig.ends.length === 0; k++) {
      for (const side of sides) rig[side].drain(1000 + rng.below(5000));
      rig.pump();
    }
    got.client = rig.client.sent();
    got.endpoint = rig.endpoint.sent();
    const where = `seed ${seed}, round ${round}`;
    if (got.client !== given.endpoint || got.endpoint !== given.client) throw new Error(`bytes: ${where}`);
    const end = `in order, ${given.client.length} and ${given.endpoint.length} bytes`;
    if (rig.ends.join() !== end) throw new Error(`end ${rig.ends.join()}: ${where}`);
  }
});
