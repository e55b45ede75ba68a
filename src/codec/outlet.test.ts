// The shared sending side: every split of head, body and tail over every kernel, corks, and memory that is only lent.

import { describe, expect, test } from "bun:test";
import { bodyCopyMax } from "../base/limits.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { lent } from "../base/lending.ts";
import { begin, discardCork, flush, noteUnsent, offer, type Outlet, peerReads, proceed, send } from "./outlet.ts";
import { sendBody, takePending, uncork } from "./outlet.ts";
import { Flow } from "./stream.ts";
import { FakeConnection } from "./test-kit.ts";

class TestOutlet implements Outlet {
  readonly connection = new FakeConnection();
  pending: Uint8Array | null = null;
  pendingAt = 0;
  unsentBefore = 0;
  bytesOut = 0;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.connection.room = room;
  }
  /** Lets the kernel take so much at a time, until nothing is pending. */
  drainAll(step: number): string {
    for (let turns = 0; this.pending !== null; turns++) {
      if (turns > 1_000_000) throw new Error("pending without end");
      this.connection.room = step;
      flush(this);
    }
    return this.connection.sent();
  }
}

const tail = latin1("\r\n");

describe("head, body and tail", () => {
  for (const bodyLength of [0, 1, 10, bodyCopyMax, bodyCopyMax + 1]) {
    test(`arrive whole with a body of ${bodyLength} bytes, wherever the kernel stops`, () => {
      const body = latin1("b".repeat(bodyLength));
      const whole = `head${"b".repeat(bodyLength)}\r\n`;
      const stops = bodyLength > 100 ? [0, 1, 4, 5, bodyLength, bodyLength + 4, bodyLength + 5] : [...whole, ""].keys();
      for (const room of stops) {
        const outlet = new TestOutlet(room);
        begin().putText("head");
        expect(send(outlet, true)).toBe(Flow.Go);
        expect(outlet.connection.accepted).toBe(0);
        const flow = sendBody(outlet, body, 0, body.length, tail);
        expect(flow).toBe(room >= whole.length ? Flow.Go : Flow.Pause);
        const early = outlet.connection.sent();
        expect(early).toBe(whole.slice(0, room));
        expect(early + outlet.drainAll(bodyLength > 100 ? 5000 : 1)).toBe(whole);
        expect(outlet.bytesOut).toBe(whole.length);
      }
    });
  }
  test("a part of an array is sent as that part", () => {
    for (const length of [5, bodyCopyMax + 5]) {
      const outlet = new TestOutlet(3);
      const bytes = latin1(`<<${"b".repeat(length)}>>`);
      sendBody(outlet, bytes, 2, length + 2, new Uint8Array(0));
      expect(outlet.connection.sent() + outlet.drainAll(1000)).toBe("b".repeat(length));
    }
  });
  test("to a closed connection: told so", () => {
    const outlet = new TestOutlet();
    outlet.connection.close();
    begin().putText("head");
    expect(send(outlet, false)).toBe(Flow.Closed);
    expect(sendBody(outlet, tail, 0, 2, tail)).toBe(Flow.Closed);
    expect(sendBody(outlet, new Uint8Array(bodyCopyMax + 1), 0, bodyCopyMax + 1, tail)).toBe(Flow.Closed);
    expect(outlet.pending).toBe(null);
  });
});

describe("corks", () => {
  test("a waiting head leaves before another outlet's", () => {
    const one = new TestOutlet();
    const two = new TestOutlet();
    begin().putText("one");
    send(one, true);
    proceed(two).putText("two");
    expect(one.connection.sent()).toBe("one");
    send(two, false);
    expect(two.connection.sent()).toBe("two");
  });
  test("and before another outlet's body", () => {
    const one = new TestOutlet();
    const two = new TestOutlet();
    begin().putText("one");
    send(one, true);
    sendBody(two, tail, 0, 2, new Uint8Array(0));
    expect([one.connection.sent(), two.connection.sent()]).toEqual(["one", "\r\n"]);
  });
  test("uncork sends it, once", () => {
    const outlet = new TestOutlet();
    begin().putText("head");
    send(outlet, true);
    uncork();
    uncork();
    expect(outlet.connection.sent()).toBe("head");
  });
  test("a discarded one leaves nothing behind, and only its own owner can discard it", () => {
    const outlet = new TestOutlet();
    begin().putText("head");
    send(outlet, true);
    discardCork(new TestOutlet());
    proceed(outlet).putText(" more");
    discardCork(outlet);
    uncork();
    expect(outlet.connection.sent()).toBe("");
    begin().putText("next");
    send(outlet, false);
    expect(outlet.connection.sent()).toBe("next");
  });
});

describe("pending bytes", () => {
  test("further ones queue behind them", () => {
    const outlet = new TestOutlet(1);
    for (const text of ["abc", "def", "ghi"]) expect(offer(outlet, latin1(text), 0, 3, true)).toBe(Flow.Pause);
    outlet.connection.room = 1;
    expect(flush(outlet)).toBe(Flow.Pause);
    offer(outlet, latin1("jkl"), 0, 3, false);
    expect(outlet.connection.sent() + outlet.drainAll(2)).toBe("abcdefghijkl");
    expect(flush(outlet)).toBe(Flow.Go);
  });
  test("arrays that may be kept are kept, others and lent ones copied", () => {
    for (const [bytes, keep, copied] of [
      [latin1("hello"), true, false],
      [latin1("hello"), false, true],
      [lent, true, true],
    ] as const) {
      bytes.set(latin1("hello"));
      const outlet = new TestOutlet(1);
      offer(outlet, bytes, 0, 5, keep);
      bytes.set(latin1("XXXXX"));
      expect(outlet.connection.sent() + outlet.drainAll(1)).toBe(copied ? "hello" : "hXXXX");
    }
  });
  test("lent bytes behind pending ones are copied, too", () => {
    const outlet = new TestOutlet(0);
    offer(outlet, latin1("a"), 0, 1, true);
    lent.set(latin1("hello"));
    offer(outlet, lent, 0, 5, true);
    lent.fill(0, 0, 5);
    expect(outlet.drainAll(10)).toBe("ahello");
  });
  test("can be taken away", () => {
    const outlet = new TestOutlet(2);
    offer(outlet, latin1("hello"), 0, 5, true);
    expect(Buffer.from(takePending(outlet)!).toString()).toBe("llo");
    expect([takePending(outlet), outlet.pending]).toEqual([null, null]);
  });
  test("a flush on a closed connection is told so", () => {
    const outlet = new TestOutlet(0);
    offer(outlet, latin1("x"), 0, 1, true);
    outlet.connection.close();
    expect(flush(outlet)).toBe(Flow.Closed);
  });
});

test("a peer reads when less than before is unacknowledged, and something is pending", () => {
  const outlet = new TestOutlet(0);
  outlet.connection.unsentBytes = 10;
  noteUnsent(outlet);
  outlet.connection.unsentBytes = 5;
  expect(peerReads(outlet)).toBe(false);
  offer(outlet, latin1("x"), 0, 1, true);
  expect(peerReads(outlet)).toBe(true);
  for (const unsent of [10, 11, -1]) {
    outlet.connection.unsentBytes = unsent;
    expect(peerReads(outlet)).toBe(false);
  }
});
