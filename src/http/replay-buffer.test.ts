// Request bodies that are kept: what goes in comes out, however it was cut and however slowly it is taken; what is too
// much is let go; memory comes back, but never while a stream still reads it.

import { describe, expect, test } from "bun:test";
import { latin1Text } from "../base/bytes.ts";
import { replayChunkBytes } from "../base/limits.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { ClientRig, nothing, requestHead } from "../codec/test-kit.ts";
import { Flow, type HttpStream } from "../codec/stream.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { ReplayBuffer, ReplayMemory } from "./replay-buffer.ts";

const firstSeed = Number(process.env["SLUICE_SEED"] ?? 1);
const runs = Number(process.env["SLUICE_RUNS"] ?? 25);

/** A stream that says Pause when asked to, and holds the bytes of its last Pause as a codec may. */
class SlowStream {
  text = "";
  ends = 0;
  calls = 0;
  held: Uint8Array | null = null;
  heldText = "";
  pauses: () => boolean = () => false;

  get stream(): HttpStream {
    return this as unknown as HttpStream;
  }
  sendData(bytes: Uint8Array, start: number, end: number, last: boolean): Flow {
    if (this.held !== null) throw new Error("sent to while it is paused");
    this.calls++;
    this.text += latin1Text(bytes, start, end);
    if (last) this.ends++;
    if (!this.pauses()) return Flow.Go;
    this.held = bytes.subarray(start, end);
    this.heldText = latin1Text(bytes, start, end);
    return Flow.Pause;
  }
  /** It has taken what it held, which must not have changed meanwhile. */
  drain(): void {
    if (this.held !== null) expect(latin1Text(this.held, 0, this.held.length)).toBe(this.heldText);
    this.held = null;
  }
}

function note(buffer: ReplayBuffer, text: string, last = false): void {
  const bytes = latin1(`<${text}>`);
  buffer.note(bytes, 1, bytes.length - 1, last);
  bytes.fill(0); // the caller's memory is used again
}

test("what was noted is replayed, as often as is wanted", () => {
  const buffer = new ReplayBuffer(new ReplayMemory());
  buffer.begin(100);
  expect([buffer.canReplay, buffer.isEmpty]).toEqual([true, true]);
  note(buffer, "abc");
  note(buffer, "de");
  for (let k = 0; k < 2; k++) {
    const to = new SlowStream();
    expect(buffer.replay(to.stream)).toBe(Flow.Go);
    expect([to.text, to.ends]).toEqual(["abcde", 0]);
  }
  note(buffer, "f", true);
  const to = new SlowStream();
  buffer.replay(to.stream);
  expect([to.text, to.ends, buffer.isReplaying]).toEqual(["abcdef", 1, false]);
});

test("the end alone is replayed too, and nothing is not", () => {
  const buffer = new ReplayBuffer(new ReplayMemory());
  buffer.begin(100);
  const none = new SlowStream();
  buffer.replay(none.stream);
  expect(none.calls).toBe(0);
  note(buffer, "", true);
  expect(buffer.isEmpty).toBe(false);
  const end = new SlowStream();
  expect(buffer.replay(end.stream)).toBe(Flow.Go);
  expect([end.text, end.ends]).toEqual(["", 1]);
});

test("one byte too many: no replay any more, and no memory", () => {
  const memory = new ReplayMemory();
  const buffer = new ReplayBuffer(memory);
  buffer.begin(5);
  note(buffer, "12345");
  expect([buffer.canReplay, memory.bytes]).toEqual([true, replayChunkBytes]);
  note(buffer, "6");
  expect([buffer.canReplay, buffer.size, memory.bytes]).toEqual([false, 0, 0]);
  note(buffer, "7", true);
  expect([buffer.canReplay, buffer.size]).toEqual([false, 0]);
  buffer.begin(5);
  expect([buffer.canReplay, buffer.isEmpty]).toEqual([true, true]);
});

test("begun with nothing to keep, it keeps nothing", () => {
  const memory = new ReplayMemory();
  const buffer = new ReplayBuffer(memory);
  buffer.begin(0);
  note(buffer, "abc", true);
  expect([buffer.canReplay, buffer.size, memory.bytes]).toEqual([false, 0, 0]);
});

test("the memory of all is bounded: who finds none cannot replay, the others can", () => {
  const memory = new ReplayMemory(2 * replayChunkBytes);
  const [a, b, c] = [new ReplayBuffer(memory), new ReplayBuffer(memory), new ReplayBuffer(memory)];
  for (const buffer of [a, b, c]) buffer.begin(10 * replayChunkBytes);
  for (const buffer of [a, b, c]) note(buffer, "x");
  expect([a.canReplay, b.canReplay, c.canReplay]).toEqual([true, true, false]);
  note(a, "y".repeat(replayChunkBytes));
  expect([a.canReplay, b.canReplay, memory.bytes]).toEqual([false, true, replayChunkBytes]);
  b.release();
  expect([b.canReplay, memory.bytes]).toEqual([false, 0]);
});

test("memory that a stream still reads is not used again", () => {
  const memory = new ReplayMemory();
  const first = new ReplayBuffer(memory);
  first.begin(100);
  note(first, "secret");
  const slow = new SlowStream();
  slow.pauses = () => true;
  expect(first.replay(slow.stream)).toBe(Flow.Pause);
  first.release(); // the exchange is over while the endpoint has still to take the body
  const second = new ReplayBuffer(memory);
  second.begin(100);
  note(second, "others");
  slow.drain(); // checks that it is unchanged
  // One that has been drained is used again.
  const third = new ReplayBuffer(memory);
  third.begin(100);
  note(third, "abc");
  third.replay(slow.stream);
  slow.drain();
  third.onDrained();
  third.release();
  const piece = memory.take()!;
  expect(latin1Text(piece, 0, 3)).toBe("abc");
});

test("to a real connection: held back by the kernel, and whole in the end", () => {
  const body = "0123456789".repeat(5000);
  const rig = new ClientRig();
  rig.client.onOpen();
  rig.connection.room = 20_000;
  const head = requestHead(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
  rig.client.sendHead(head, nothing, false, false);
  const buffer = new ReplayBuffer(new ReplayMemory());
  buffer.begin(body.length);
  note(buffer, body.slice(0, 30_000));
  note(buffer, body.slice(30_000), true);
  let pauses = 0;
  rig.sink.also = (what) => {
    if (what === "drain" && buffer.isReplaying && buffer.replayInto(rig.client) === Flow.Pause) pauses++;
  };
  expect(buffer.replay(rig.client)).toBe(Flow.Pause);
  while (buffer.isReplaying) rig.connection.drain(7000);
  rig.connection.drain(100_000);
  expect(rig.connection.sent().split("\r\n\r\n")[1]).toBe(body);
  expect(pauses).toBeGreaterThan(0);
});

describe("at random", () => {
  test.each(Array.from({ length: runs }, (_, i) => firstSeed + i))("nothing is lost or mixed up (seed %d)", (seed) => {
    const rng = seededRng(seed);
    const memory = new ReplayMemory(40 * replayChunkBytes);
    const all = Array.from({ length: 4 }, () => {
      return { buffer: new ReplayBuffer(memory), text: "", max: 0, ended: false, to: new SlowStream() };
    });
    const slow: SlowStream[] = [];
    for (let k = 0; k < 300; k++) {
      const one = all[rng.below(all.length)]!;
      const { buffer } = one;
      const what = rng.below(10);
      if (what === 0 || one.max === 0) {
        if (rng.below(2) === 0) buffer.release();
        slow.push(one.to); // perhaps it holds its last piece for long
        one.to = new SlowStream();
        one.max = 1 + rng.below(5 * replayChunkBytes);
        one.text = "";
        one.ended = false;
        buffer.begin(one.max);
      } else if (what < 7 && !one.ended) {
        const length = rng.below(4) === 0 ? rng.below(2 * replayChunkBytes) : rng.below(200);
        const text = String.fromCharCode(97 + rng.below(26)).repeat(length);
        const last = rng.below(20) === 0;
        note(buffer, text, last);
        one.text += text;
        one.ended = last && buffer.canReplay;
        if (one.text.length > one.max) expect(buffer.canReplay).toBe(false);
        if (!buffer.canReplay) one.max = 0;
      } else {
        const to = new SlowStream(); // the one before it has failed
        one.to = to;
        to.pauses = () => rng.below(3) === 0;
        let flow = buffer.replay(to.stream);
        while (buffer.isReplaying) {
          expect(flow).toBe(Flow.Pause);
          to.drain();
          flow = buffer.replayInto(to.stream);
        }
        expect(to.text).toBe(one.text);
        expect(to.ends).toBe(one.ended ? 1 : 0);
      }
      expect(memory.bytes).toBeLessThanOrEqual(40 * replayChunkBytes);
    }
    for (const stream of slow) stream.drain();
    for (const { buffer } of all) buffer.release();
    expect(memory.bytes).toBe(0);
  });
});
