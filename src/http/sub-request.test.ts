// Requests of our own: what is sent, what is counted, when another endpoint is tried, and that nothing is left behind
// whatever happens.

import { describe, expect, test } from "bun:test";
import { latin1Text } from "../base/bytes.ts";
import { type Failure, failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { Cause } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { failureWords, fieldLines } from "../codec/test-kit.ts";
import { defaultRetry } from "../model/defaults.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { type Head, Method } from "../wire/head.ts";
import { anyAnswer, PoolRig } from "./pool-rig.ts";
import { compileRetry } from "./retry.ts";
import { hashFor, SubRequest, type SubRequestOwner, type SubRequestTerms } from "./sub-request.ts";
import { factsOf } from "./test-facts.ts";
import { requestHead } from "./test-kit.ts";

const firstSeed = Number(process.env["SLUICE_SEED"] ?? 1);
const runs = Number(process.env["SLUICE_RUNS"] ?? 25);

const timeouts = { connectMs: 1000, sendMs: 2000, responseMs: 3000 };
const policy = compileRetry(defaultRetry);
const terms: SubRequestTerms = { timeouts, totalMs: 5000, answerBytesMax: 1000, policy };
const question = "GET /verify HTTP/1.1\r\nHost: a\r\n\r\n";

interface Body {
  readonly body?: string;
  readonly trailers?: string;
  readonly change?: Partial<SubRequestTerms>;
}

/** A request that is sent at once, and what its owner heard. */
class Asked implements SubRequestOwner {
  readonly request: SubRequest;
  answer = "";
  body = "";
  ends: Failure[] = [];
  onHeard: () => void = () => {};

  constructor(rig: PoolRig, text = question, { body, trailers, change }: Body = {}) {
    const method = text.startsWith("GET") ? Method.Get : text.startsWith("PUT") ? Method.Put : Method.Post;
    const whole = body === undefined ? null : latin1(body);
    const rest = trailers === undefined ? null : latin1(trailers);
    const message = { head: latin1(text), body: whole, trailers: rest, hash: 0 };
    this.request = new SubRequest(rig.parts, rig.runtime, { ...terms, ...change }, method, message, rig.holder, this);
    this.request.start();
  }
  get ended(): string {
    return this.ends.map((f) => (f === 0 ? "well" : failureWords(f))).join();
  }
  onAnswer(head: Head): void {
    this.answer += `${head.status} ${fieldLines(head)}`;
    this.onHeard();
  }
  onBody(bytes: Uint8Array, start: number, end: number): void {
    this.body += latin1Text(bytes, start, end);
  }
  onEnd(f: Failure): void {
    this.ends.push(f);
    this.onHeard();
  }
}

const hint = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

describe("what is sent", () => {
  test("the head as it is, over a new connection and then over the kept one", () => {
    const rig = new PoolRig();
    const first = new Asked(rig);
    expect(rig.underWay).toEqual([1, 1, 0, 0, 1]);
    rig.latest.open();
    expect(rig.latest.sent()).toBe(question);
    rig.time.cachedMs += 5;
    rig.latest.receive(hint, ok);
    expect([first.answer, first.body, first.ended]).toEqual(["200 Content-Length: 2\r\n", "hi", "well"]);
    expect(rig.underWay).toEqual([0, 0, 0, 0, 0]);
    const second = new Asked(rig);
    expect(rig.latest.sent()).toBe(question);
    rig.latest.receive(ok);
    expect([second.ended, rig.connections.length]).toEqual(["well", 1]);
    expect([rig.sum("requests"), rig.sum("connects"), rig.sum("reused"), rig.sum("status2xx")]).toEqual([2, 1, 1, 2]);
    expect([rig.sum("bytesSent"), rig.sum("latencyUsSum"), rig.sum("idle")]).toEqual([2 * question.length, 5001, 1]);
    expect(rig.sum("bytesReceived")).toBe(hint.length + 2 * ok.length);
    expect(rig.end()).toEqual([0, 0, 0]);
  });

  test("a body of known length in the same write, a chunked one with its trailers, none of either", () => {
    const rig = new PoolRig();
    const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    void new Asked(rig, post, { body: "abc" });
    rig.latest.open();
    expect(rig.latest.sent()).toBe(`${post}abc`);
    rig.latest.receive(ok);
    const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    void new Asked(rig, chunked, { body: "abc" });
    expect(rig.latest.sent()).toBe(`${chunked}3\r\nabc\r\n0\r\n\r\n`);
    rig.latest.receive(ok);
    void new Asked(rig, chunked, { body: "" });
    expect(rig.latest.sent()).toBe(`${chunked}0\r\n\r\n`);
    rig.latest.receive(ok);
    const asked = new Asked(rig, chunked, { body: "abc", trailers: "X-Sum: 1\r\n\r\n" });
    expect(rig.latest.sent()).toBe(`${chunked}3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`);
    rig.latest.receive(ok);
    expect([asked.ended, rig.connections.length]).toEqual(["well", 1]);
  });

  test("no expectation: the body goes along", () => {
    const rig = new PoolRig();
    void new Asked(rig, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", {
      body: "x",
    });
    rig.latest.open();
    expect(rig.latest.sent()).toBe("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
  });

  test("nothing, if the head is no request", () => {
    const rig = new PoolRig();
    const long = new Asked(rig, `GET /${"x".repeat(40_000)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(long.ended).toBe("Client RequestHead uri-too-long");
    expect(new Asked(rig, "GET / HTTP/1.1\r\n\r\n").ended).toBe("Client RequestHead protocol");
    expect(new Asked(rig, "GET / HTTP/1.1\r\nHost: a\r\n").ended).toBe("Client RequestHead protocol");
    expect([rig.connections.length, ...rig.underWay]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("to the endpoint that the request's own hash picks", () => {
    const rig = new PoolRig([{}, {}, {}], { balance: { by: "ip-hash" } });
    expect(hashFor(new PoolRig().pool, factsOf(requestHead("GET / HTTP/1.1\nHost: a")))).toBe(0);
    const hashes = ["192.0.2.1", "192.0.2.2"].map((source) =>
      hashFor(rig.pool, factsOf(requestHead("GET / HTTP/1.1\nHost: a"), { source })),
    );
    expect(hashes[0]).not.toBe(hashes[1]);
  });
});

describe("another endpoint", () => {
  test("is tried when one cannot be connected to", () => {
    const rig = new PoolRig([{}, {}]);
    const asked = new Asked(rig);
    const [first] = rig.connections;
    first!.break(Cause.Refused);
    rig.latest.open().receive(ok);
    expect([asked.ended, rig.latest.row === first!.row]).toEqual(["well", false]);
    expect([rig.sum("connectFailures"), rig.sum("retries"), rig.sum("failures")]).toEqual([1, 1, 1]);
    expect(rig.underWay).toEqual([0, 0, 0, 0, 0]);
  });

  test("is tried once when one breaks before it answers, never after", () => {
    const rig = new PoolRig([{}, {}, {}]);
    const asked = new Asked(rig);
    rig.latest.open().break();
    rig.latest.open().break();
    expect(asked.ended).toBe("Endpoint ResponseHead reset");
    const late = new Asked(rig);
    rig.latest.open().receive(ok.slice(0, -1));
    rig.latest.break();
    expect([late.ended, rig.connections.length]).toEqual(["Endpoint ResponseBody reset", 3]);
    expect([rig.sum("requests"), ...rig.underWay]).toEqual([3, 0, 0, 0, 0, 0]);
  });

  test("is not tried by who must not be sent twice; but a connection that had been closed is replaced", () => {
    const rig = new PoolRig([{}, {}]);
    const once = { change: { policy: compileRetry({ ...defaultRetry, attempts: 0 }) } };
    const asked = new Asked(rig, question, once);
    rig.latest.open().break();
    expect([asked.ended, rig.connections.length]).toEqual(["Endpoint ResponseHead reset", 1]);
    void new Asked(rig, question, once);
    rig.latest.open().receive(ok);
    void new Asked(rig, question, once);
    rig.latest.open().receive(ok);
    for (const connection of rig.connections) connection.write = () => -1; // closed, and nobody has said so yet
    const again = new Asked(rig, question, once);
    rig.latest.open().receive(ok);
    expect([again.ended, rig.sum("retries"), ...rig.underWay]).toEqual(["well", 1, 0, 0, 0, 0, 0]);
  });

  test("is nobody when all have been tried: the last failure tells", () => {
    const rig = new PoolRig([{}, {}]);
    const asked = new Asked(rig);
    rig.connections[0]!.break(Cause.Refused);
    rig.connections[1]!.break(Cause.TimedOut);
    expect([asked.ended, rig.connections.length]).toEqual(["Endpoint Connect timeout", 2]);
  });

  test("is not tried once an answer has begun, though the request could not be sent whole", () => {
    const rig = new PoolRig([{}, {}]);
    const asked = new Asked(rig, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", { body: "abc" });
    rig.latest.write = () => -1;
    rig.latest.open().receive("HTTP/1.1 413 no\r\nContent-Length: 9\r\n\r\n", "too long");
    rig.latest.receiveFin();
    expect([asked.answer, asked.ended]).toEqual(["413 Content-Length: 9\r\n", "Endpoint ResponseHead reset"]);
    expect([rig.connections.length, ...rig.underWay]).toEqual([1, 0, 0, 0, 0, 0]);
  });

  test("is not tried for a request that was cancelled by whoever took its place", () => {
    const rig = new PoolRig([{ maxConnections: 1 }, { maxConnections: 1 }]);
    const asked = new Asked(rig);
    rig.pool.onCapacity = () => asked.request.cancel();
    rig.latest.break();
    expect([asked.ended, rig.connections.length, ...rig.underWay]).toEqual(["", 1, 0, 0, 0, 0, 0]);
    expect(rig.end()).toEqual([0, 0, 0]);
  });
});

test("goes on in the pool that took this one's place, if its endpoints were all replaced", () => {
  const [rig, empty, newer] = [new PoolRig([{}, {}]), new PoolRig([{ weight: 0 }]), new PoolRig([{}, {}, {}])];
  const early = new Asked(rig);
  rig.latest.open();
  rig.pool.members.forEach((_, index) => rig.pool.setTarget(index, null));
  rig.runtime.successor = empty.runtime;
  expect(new Asked(rig).ended).toBe("Proxy Queue no-endpoint");
  empty.runtime.successor = newer.runtime;
  const late = new Asked(rig);
  rig.latest.open().receive(ok);
  expect([late.ended, newer.sum("requests")]).toEqual(["well", 1]);
  rig.connections[0]!.break(Cause.Reset);
  rig.latest.open().receive(ok);
  expect([early.ended, newer.sum("requests"), rig.connections.length]).toEqual(["well", 2, 3]);
  expect([...rig.underWay, ...newer.underWay]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

describe("without waiting", () => {
  test("nobody there, all full, over a limit of the pool", () => {
    const circuit = { connections: 0, pending: 0, requests: 1 };
    expect(new Asked(new PoolRig([{ weight: 0 }])).ended).toBe("Proxy Queue no-endpoint");
    const full = new PoolRig([{ maxConnections: 1 }]);
    const over = new PoolRig([{}], { circuit });
    const few = new PoolRig([{}], { circuit: { connections: 1, pending: 0, requests: 0 } });
    for (const [rig, words] of [
      [full, "Proxy Queue full"],
      [over, "Proxy Queue circuit"],
      [few, "Proxy Connect circuit"],
    ] as const) {
      const first = new Asked(rig);
      const before = rig.underWay;
      expect(new Asked(rig).ended).toBe(words);
      expect([rig.underWay, rig.connections.length]).toEqual([before, 1]);
      rig.latest.open().receive(ok);
      expect([first.ended, ...rig.underWay]).toEqual(["well", 0, 0, 0, 0, 0]);
      const again = new Asked(rig);
      rig.latest.receive(ok);
      expect([again.ended, rig.connections.length]).toEqual(["well", 1]);
      expect(rig.end()).toEqual([0, 0, 0]);
    }
  });
});

test("a limit of connections that the pool's own generation did not have yet", () => {
  const rig = new PoolRig();
  const newer = new PoolRig([{}], { circuit: { connections: 1, pending: 0, requests: 0 } });
  rig.connector.setShare(0, newer.share);
  const first = new Asked(rig);
  expect([new Asked(rig).ended, ...rig.underWay]).toEqual(["Proxy Queue full", 1, 1, 0, 0, 1]);
  rig.latest.open().receive(ok);
  expect(first.ended).toBe("well");
});

describe("too late, too long, unwanted", () => {
  test("the deadline holds for everything together, and blames whoever it was waited for", () => {
    const connecting = new PoolRig();
    const long = { change: { timeouts: { connectMs: 0, sendMs: 0, responseMs: 0 } } };
    const one = new Asked(connecting, question, long);
    connecting.time.pass(terms.totalMs);
    expect([one.ended, connecting.sum("failures")]).toEqual(["Endpoint Connect timeout", 1]);
    const waiting = new PoolRig();
    const two = new Asked(waiting, question, long);
    waiting.latest.open();
    waiting.time.pass(terms.totalMs);
    expect([two.ended, waiting.sum("failures")]).toEqual(["Endpoint ResponseHead timeout", 1]);
    const reading = new PoolRig();
    const three = new Asked(reading, question, long);
    reading.latest.open().receive(ok.slice(0, -1));
    reading.time.pass(terms.totalMs);
    expect([three.ended, reading.sum("failures")]).toEqual(["Proxy ResponseBody timeout", 0]);
    expect([three.answer, reading.sum("status2xx")]).toEqual(["200 Content-Length: 2\r\n", 1]);
    for (const rig of [connecting, waiting, reading]) {
      expect([rig.latest.ended, ...rig.underWay, ...rig.end()]).toEqual(["abort", 0, 0, 0, 0, 0, 0, 0, 0]);
    }
  });

  test("a longer body than is wanted ends the connection, not the endpoint's good name", () => {
    const rig = new PoolRig();
    const asked = new Asked(rig);
    rig.latest.open().receive("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", "x".repeat(1000), "x");
    const tooLong = failure(Side.Proxy, Phase.ResponseBody, FailureCause.BodyTooLarge);
    expect([asked.ends, asked.body.length, rig.latest.ended]).toEqual([[tooLong], 1000, "abort"]);
    expect([rig.sum("failures"), ...rig.underWay]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("one that is cancelled says nothing any more, wherever it was", () => {
    for (let step = 0; step < 4; step++) {
      const rig = new PoolRig();
      const asked = new Asked(rig);
      if (step > 0) rig.latest.open();
      if (step > 1) rig.latest.receive(ok.slice(0, step === 2 ? 20 : -1));
      const heard = asked.answer;
      asked.request.cancel();
      asked.request.cancel();
      rig.latest.receive(ok);
      expect([asked.answer, asked.ended]).toEqual([heard, ""]);
      expect([rig.latest.ended, rig.sum("failures"), ...rig.underWay]).toEqual(["abort", 0, 0, 0, 0, 0, 0]);
      expect(rig.end()).toEqual([0, 0, 0]);
    }
  });

  test("one that is cancelled by its owner as it hears of the answer", () => {
    for (const text of [ok, "HTTP/1.1 204 no\r\n\r\n"]) {
      const rig = new PoolRig();
      const asked = new Asked(rig);
      asked.onHeard = () => asked.request.cancel();
      rig.latest.open().receive(text);
      expect([asked.ended, rig.latest.isOpen, ...rig.underWay]).toEqual(["", false, 0, 0, 0, 0, 0]);
    }
  });
});

test("whatever happens, everything that was acquired is released once", () => {
  for (let seed = firstSeed; seed < firstSeed + runs * 4; seed++) {
    const rng = seededRng(seed);
    const circuit = { connections: rng.below(2) * 3, pending: 0, requests: rng.below(2) * 4 };
    const maxConnections = rng.below(3);
    const rig = new PoolRig([{ maxConnections }, {}, { maxConnections }], { circuit }, rng);
    const asked: Asked[] = [];
    const cancelled = new Set<Asked>();
    for (let step = 0; step < 60; step++) {
      if (rng.below(3) === 0) {
        const change = { answerBytesMax: rng.below(60), totalMs: rng.below(2) * 700 };
        if (rng.below(3) !== 0) asked.push(new Asked(rig, question, { change }));
        else {
          const text = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n";
          asked.push(new Asked(rig, text, { change, body: "y".repeat(900) }));
        }
      } else rig.trouble(rng, () => anyAnswer(rng));
      if (rng.below(20) !== 0 || asked.length === 0) continue;
      const one = asked[rng.below(asked.length)]!;
      if (one.ends.length === 0) cancelled.add(one);
      one.request.cancel();
    }
    const left = rig.end();
    const where = `seed ${seed}`;
    expect([where, ...rig.underWay, ...left]).toEqual([where, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (const one of asked) expect([where, one.ends.length]).toEqual([where, cancelled.has(one) ? 0 : 1]);
  }
});
