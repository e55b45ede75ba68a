// The frame reader: every rule that a peer can break, one named case each with its section of RFC 9113; limits at their
// value and one above; and any chunking gives the same frames.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../../base/bytes.ts";
import { h2ContinuationsMax, h2FrameBytesMax, h2SettingsMax } from "../../base/limits.ts";
import type { Rng } from "../../base/ports.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { cut } from "../h1/test-kit.ts";
import { latin1 } from "../h1/tables.ts";
import { clientPreface, FrameFlag, FrameType, H2Error, h2ErrorName, matchPreface, Setting } from "./frame.ts";
import { FrameEvent, FrameReader } from "./frame-reader.ts";
import {
  beginHeaders,
  endHeaders,
  putDataHeader,
  putGoAway,
  putPing,
  putRstStream,
  putSettings,
  putSettingsAck,
  putWindowUpdate,
} from "./frame-writer.ts";
import { frame, readFrames, type SeenFrame, u32 } from "./test-kit.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 91130);
const runs = Number(process.env["SLUICE_RUNS"] ?? 300);
const { EndStream, EndHeaders, Padded, Priority, Ack } = FrameFlag;
const settings = frame(FrameType.Settings, 0, 0);
const text = (value: string): number[] => [...latin1(value)];

/** Frames behind an empty SETTINGS frame. */
function read(...frames: readonly (readonly number[])[]): SeenFrame[] {
  return readFrames([Uint8Array.from([...settings, ...frames.flat()])]).slice(1);
}
/** The last event in short. */
function last(...frames: readonly (readonly number[])[]): string {
  const seen = read(...frames).at(-1);
  return seen === undefined ? "nothing" : `${seen.event} ${seen.facts.replace(/:.*/, "")}`.trim();
}
const failed = (error: H2Error): string => `ConnectionError error ${error}`;
const reset = (error: H2Error): string => `StreamError error ${error}`;

describe("frames that are right", () => {
  test("DATA", () => {
    expect(read(frame(FrameType.Data, EndStream, 1, text("hello")))).toEqual([
      { event: "Data", streamId: 1, payload: "hello", facts: "5 bytes, 0 overhead, end" },
    ]);
  });
  test("DATA with padding: the padding is counted, not given out", () => {
    expect(read(frame(FrameType.Data, Padded, 3, [2, ...text("hello"), 0, 0]))).toEqual([
      { event: "Data", streamId: 3, payload: "hello", facts: "8 bytes, 3 overhead" },
    ]);
    expect(read(frame(FrameType.Data, Padded | EndStream, 3, [3, 1, 2, 3]))[0]).toMatchObject({ payload: "" });
    expect(read(frame(FrameType.Data, Padded, 3, [0]))[0]).toMatchObject({ facts: "1 bytes, 1 overhead" });
  });
  test("empty DATA", () => {
    expect(read(frame(FrameType.Data, EndStream, 1), frame(FrameType.Data, 0, 3))).toHaveLength(2);
  });
  test("HEADERS", () => {
    expect(read(frame(FrameType.Headers, EndHeaders | EndStream, 1, [1, 2, 3]))).toEqual([
      { event: "Headers", streamId: 1, payload: "\x01\x02\x03", facts: "end" },
    ]);
  });
  test("HEADERS with padding and priority", () => {
    const payload = [2, ...u32(0x8000_0003), 200, 1, 2, 3, 0, 0];
    expect(read(frame(FrameType.Headers, EndHeaders | Padded | Priority, 5, payload))).toEqual([
      { event: "Headers", streamId: 5, payload: "\x01\x02\x03", facts: "" },
    ]);
  });
  test("HEADERS and CONTINUATION are one block", () => {
    const frames = [
      frame(FrameType.Headers, EndStream | Padded, 1, [1, 1, 2, 0]),
      frame(FrameType.Continuation, 0, 1, [3]),
      frame(FrameType.Continuation, EndHeaders, 1, [4, 5]),
    ];
    expect(read(...frames)).toEqual([{ event: "Headers", streamId: 1, payload: "\x01\x02\x03\x04\x05", facts: "end" }]);
    expect(read(...frames.slice(0, 2))).toEqual([]);
  });
  test("empty field blocks", () => {
    expect(last(frame(FrameType.Headers, EndHeaders, 1))).toBe("Headers");
    expect(last(frame(FrameType.Headers, 0, 1), frame(FrameType.Continuation, EndHeaders, 1))).toBe("Headers");
  });
  test("PRIORITY, on any stream, is told and otherwise of no interest", () => {
    for (const stream of [1, 2, 0x7fff_ffff])
      expect(last(frame(FrameType.Priority, 0, stream, [...u32(0), 1]))).toBe("Priority");
  });
  test("RST_STREAM with any code", () => {
    expect(last(frame(FrameType.RstStream, 0, 1, u32(0xffff_ffff)))).toBe("RstStream 4294967295");
  });
  test("SETTINGS and its acknowledgement", () => {
    const [first, second] = read(frame(FrameType.Settings, 0, 0, [0, 1, ...u32(7)]), frame(FrameType.Settings, Ack, 0));
    expect(first).toMatchObject({ event: "Settings", payload: "\0\x01\0\0\0\x07" });
    expect(second).toMatchObject({ event: "SettingsAck", payload: "" });
  });
  test("PING and its answer", () => {
    const payload = text("12345678");
    expect(read(frame(FrameType.Ping, 0, 0, payload))[0]).toMatchObject({ event: "Ping", payload: "12345678" });
    expect(read(frame(FrameType.Ping, Ack, 0, payload))[0]).toMatchObject({ event: "PingAck", payload: "12345678" });
  });
  test("GOAWAY", () => {
    const payload = [...u32(0x8000_0009), ...u32(11), ...text("bye")];
    expect(read(frame(FrameType.GoAway, 0, 0, payload))).toEqual([
      { event: "GoAway", streamId: 0, payload: "bye", facts: "9, error 11" },
    ]);
  });
  test("WINDOW_UPDATE", () => {
    expect(last(frame(FrameType.WindowUpdate, 0, 0, u32(1)))).toBe("WindowUpdate 1");
    expect(last(frame(FrameType.WindowUpdate, 0, 1, u32(0xffff_ffff)))).toBe("WindowUpdate 2147483647");
  });
  test("4.1: the reserved bit and flags without a meaning are ignored", () => {
    expect(read(frame(FrameType.Data, 0xf6, 0x8000_0001, text("x")))[0]).toMatchObject({ streamId: 1, payload: "x" });
    expect(last(frame(FrameType.Ping, 0xfe, 0x8000_0000, text("12345678")))).toBe("Ping");
  });
  test("4.1: unknown frames are passed over", () => {
    const frames = [frame(0xee, 0xff, 4, text("junk")), frame(10, 0, 0), frame(FrameType.Data, 0, 1, text("x"))];
    expect(read(...frames).map(({ event }) => event)).toEqual(["Ignored", "Ignored", "Data"]);
  });
});

type Case = readonly [section: string, what: string, expected: string, ...frames: readonly number[][]];
const ping = text("12345678");
const dependsOnItself = [...u32(1), 9];
const cases: readonly Case[] = [
  ["3.4", "the first frame is none of SETTINGS", failed(H2Error.Protocol), frame(FrameType.Ping, 0, 0, ping)],
  ["3.4", "the first frame is an acknowledgement", failed(H2Error.Protocol), frame(FrameType.Settings, Ack, 0)],
  ["3.4", "the first frame is unknown", failed(H2Error.Protocol), frame(0xee, 0, 0)],
];
const behindSettings: readonly Case[] = [
  [
    "4.2",
    "a frame larger than allowed",
    failed(H2Error.FrameSize),
    frame(FrameType.Data, 0, 1, text("x".repeat(h2FrameBytesMax + 1))),
  ],
  [
    "4.2",
    "an unknown frame larger than allowed",
    failed(H2Error.FrameSize),
    frame(99, 0, 1, text("x".repeat(h2FrameBytesMax + 1))),
  ],
  [
    "4.3",
    "DATA within a field block",
    failed(H2Error.Protocol),
    frame(FrameType.Headers, 0, 1),
    frame(FrameType.Data, 0, 1),
  ],
  [
    "4.3",
    "an unknown frame within a field block",
    failed(H2Error.Protocol),
    frame(FrameType.Headers, 0, 1),
    frame(99, 0, 1),
  ],
  [
    "4.3",
    "CONTINUATION of another stream",
    failed(H2Error.Protocol),
    frame(FrameType.Headers, 0, 1),
    frame(FrameType.Continuation, 4, 3),
  ],
  ["5.1.1", "HEADERS on an even stream", failed(H2Error.Protocol), frame(FrameType.Headers, EndHeaders, 2)],
  ["5.1", "DATA on an even stream", failed(H2Error.Protocol), frame(FrameType.Data, 0, 2)],
  ["5.1", "RST_STREAM on an even stream", failed(H2Error.Protocol), frame(FrameType.RstStream, 0, 2, u32(8))],
  ["5.1", "WINDOW_UPDATE on an even stream", failed(H2Error.Protocol), frame(FrameType.WindowUpdate, 0, 2, u32(8))],
  ["6.1", "DATA on stream 0", failed(H2Error.Protocol), frame(FrameType.Data, 0, 0, text("x"))],
  ["6.1", "DATA with as much padding as payload", failed(H2Error.Protocol), frame(FrameType.Data, Padded, 1, [2, 0])],
  [
    "6.1",
    "DATA with more padding than payload",
    failed(H2Error.Protocol),
    frame(FrameType.Data, Padded, 1, [255, 0, 0]),
  ],
  ["6.1", "padded DATA without a length of padding", failed(H2Error.FrameSize), frame(FrameType.Data, Padded, 1)],
  ["6.2", "HEADERS on stream 0", failed(H2Error.Protocol), frame(FrameType.Headers, EndHeaders, 0)],
  [
    "6.2",
    "HEADERS with more padding than payload",
    failed(H2Error.Protocol),
    frame(FrameType.Headers, EndHeaders | Padded, 1, [2, 0]),
  ],
  [
    "6.2",
    "HEADERS whose padding reaches into the priority",
    failed(H2Error.Protocol),
    frame(FrameType.Headers, EndHeaders | Padded | Priority, 1, [1, 0, 0, 0, 0, 0]),
  ],
  [
    "6.2",
    "padded HEADERS without a length of padding",
    failed(H2Error.FrameSize),
    frame(FrameType.Headers, EndHeaders | Padded, 1),
  ],
  [
    "6.2",
    "HEADERS with half a priority",
    failed(H2Error.FrameSize),
    frame(FrameType.Headers, EndHeaders | Priority, 1, [0, 0, 0, 0]),
  ],
  [
    "7540 5.3.1",
    "HEADERS that depend on themselves",
    "Headers error 1",
    frame(FrameType.Headers, EndHeaders | Priority, 1, [...dependsOnItself, 1]),
  ],
  [
    "7540 5.3.1",
    "PRIORITY that depends on itself",
    reset(H2Error.Protocol),
    frame(FrameType.Priority, 0, 1, dependsOnItself),
  ],
  ["6.3", "PRIORITY on stream 0", failed(H2Error.Protocol), frame(FrameType.Priority, 0, 0, [...u32(0), 1])],
  ["6.3", "PRIORITY of four bytes", reset(H2Error.FrameSize), frame(FrameType.Priority, 0, 1, u32(0))],
  ["6.3", "PRIORITY of none", reset(H2Error.FrameSize), frame(FrameType.Priority, 0, 1)],
  ["6.4", "RST_STREAM on stream 0", failed(H2Error.Protocol), frame(FrameType.RstStream, 0, 0, u32(8))],
  ["6.4", "RST_STREAM of three bytes", failed(H2Error.FrameSize), frame(FrameType.RstStream, 0, 1, [0, 0, 8])],
  ["6.5", "SETTINGS on a stream", failed(H2Error.Protocol), frame(FrameType.Settings, 0, 1)],
  ["6.5", "SETTINGS of five bytes", failed(H2Error.FrameSize), frame(FrameType.Settings, 0, 0, [0, 1, 0, 0, 0])],
  [
    "6.5",
    "an acknowledgement with a payload",
    failed(H2Error.FrameSize),
    frame(FrameType.Settings, Ack, 0, [0, 1, ...u32(0)]),
  ],
  ["6.6", "PUSH_PROMISE", failed(H2Error.Protocol), frame(FrameType.PushPromise, EndHeaders, 1, u32(2))],
  ["6.7", "PING on a stream", failed(H2Error.Protocol), frame(FrameType.Ping, 0, 1, ping)],
  ["6.7", "PING of seven bytes", failed(H2Error.FrameSize), frame(FrameType.Ping, 0, 0, ping.slice(1))],
  ["6.8", "GOAWAY on a stream", failed(H2Error.Protocol), frame(FrameType.GoAway, 0, 1, [...u32(0), ...u32(0)])],
  ["6.8", "GOAWAY of seven bytes", failed(H2Error.FrameSize), frame(FrameType.GoAway, 0, 0, ping.slice(1))],
  ["6.9", "WINDOW_UPDATE of three bytes", failed(H2Error.FrameSize), frame(FrameType.WindowUpdate, 0, 1, [0, 0, 1])],
  [
    "6.9",
    "WINDOW_UPDATE by 0 on a stream",
    reset(H2Error.Protocol),
    frame(FrameType.WindowUpdate, 0, 1, u32(0x8000_0000)),
  ],
  [
    "6.9",
    "WINDOW_UPDATE by 0 on the connection",
    failed(H2Error.Protocol),
    frame(FrameType.WindowUpdate, 0, 0, u32(0)),
  ],
  ["6.10", "CONTINUATION without HEADERS", failed(H2Error.Protocol), frame(FrameType.Continuation, EndHeaders, 1)],
  [
    "6.10",
    "CONTINUATION behind the end of the block",
    failed(H2Error.Protocol),
    frame(FrameType.Headers, EndHeaders, 1),
    frame(FrameType.Continuation, EndHeaders, 1),
  ],
  ["6.10", "CONTINUATION on stream 0", failed(H2Error.Protocol), frame(FrameType.Continuation, EndHeaders, 0)],
];

describe("frames that are wrong (RFC 9113)", () => {
  for (const [section, what, expected, ...frames] of cases) {
    test(`${section}: ${what}`, () => {
      const [seen] = readFrames([Uint8Array.from(frames.flat())]);
      expect(`${seen!.event} ${seen!.facts}`).toStartWith(expected);
    });
  }
  for (const [section, what, expected, ...frames] of behindSettings) {
    test(`${section}: ${what}`, () => expect(last(...frames)).toBe(expected));
  }
  test("a stream error leaves the frames behind it readable", () => {
    const seen = read(
      frame(FrameType.Priority, 0, 1, text("xxxxxxx")),
      frame(FrameType.WindowUpdate, 0, 1, u32(0)),
      frame(FrameType.Data, 0, 1, text("x")),
    );
    expect(seen.map(({ event }) => event)).toEqual(["StreamError", "StreamError", "Data"]);
  });
  test("an error of the connection is the end", () => {
    const reader = new FrameReader(1000);
    const bytes = Uint8Array.from(frame(FrameType.Ping, 0, 0, ping));
    for (let i = 0; i < 3; i++) {
      const after = reader.take(bytes, 0, bytes.length);
      expect([reader.event, reader.error]).toEqual([FrameEvent.ConnectionError, H2Error.Protocol]);
      expect(after).toBe(i === 0 ? 9 : bytes.length);
    }
  });
});

describe("limits", () => {
  test("h2FrameBytesMax: a frame of that size", () => {
    expect(last(frame(FrameType.Data, 0, 1, text("x".repeat(h2FrameBytesMax))))).toStartWith("Data");
  });
  test("h2ContinuationsMax and one more, empty or not", () => {
    for (const payload of [[], [1]]) {
      const more = (count: number): number[][] =>
        Array.from({ length: count }, () => frame(FrameType.Continuation, 0, 1, payload));
      const end = frame(FrameType.Continuation, EndHeaders, 1);
      expect(last(frame(FrameType.Headers, 0, 1), ...more(h2ContinuationsMax - 1), end)).toBe("Headers");
      expect(last(frame(FrameType.Headers, 0, 1), ...more(h2ContinuationsMax), end)).toBe(
        failed(H2Error.EnhanceYourCalm),
      );
    }
  });
  test("the size of a field block and one more, in one frame and in several", () => {
    const verdict = (...frames: readonly number[][]): string =>
      readFrames([Uint8Array.from([...settings, ...frames.flat()])], 100).at(-1)!.event;
    const one = (length: number): number[] => frame(FrameType.Headers, EndHeaders, 1, text("x".repeat(length)));
    expect([verdict(one(100)), verdict(one(101))]).toEqual(["Headers", "ConnectionError"]);
    const two = (length: number): number[][] => [
      frame(FrameType.Headers, 0, 1, text("x".repeat(60))),
      frame(FrameType.Continuation, EndHeaders, 1, text("x".repeat(length - 60))),
    ];
    expect([verdict(...two(100)), verdict(...two(101))]).toEqual(["Headers", "ConnectionError"]);
  });
  test("h2SettingsMax and one more", () => {
    const many = (count: number): string =>
      last(frame(FrameType.Settings, 0, 0, Array.from({ length: count }, () => [0, 1, ...u32(5)]).flat()));
    expect([many(h2SettingsMax), many(h2SettingsMax + 1)]).toEqual(["Settings", failed(H2Error.EnhanceYourCalm)]);
  });
});

/** Mostly right frames; now and then something odd. */
function randomFrame(rng: Rng): number[] {
  const stream = 1 + 2 * rng.below(4);
  const some = text("abcdefghijklmnopqrstuvwxyz".slice(0, rng.below(20)));
  switch (rng.below(12)) {
    case 0:
    case 1:
      return frame(FrameType.Data, rng.below(2), stream, some);
    case 2:
      return frame(FrameType.Data, Padded, stream, [rng.below(4), ...some, 0, 0, 0]);
    case 3:
      return frame(FrameType.Headers, EndHeaders | rng.below(2), stream, some);
    case 4:
      return [
        ...frame(FrameType.Headers, Priority | Padded, stream, [2, ...u32(0), 1, ...some, 0, 0]),
        ...frame(FrameType.Continuation, 0, stream, some),
        ...frame(FrameType.Continuation, EndHeaders, stream, some),
      ];
    case 5:
      return frame(FrameType.Settings, 0, 0, [0, 3, ...u32(rng.below(100))]);
    case 6:
      return frame(FrameType.Ping, rng.below(2), 0, ping);
    case 7:
      return frame(FrameType.WindowUpdate, 0, stream, u32(rng.below(3)));
    case 8:
      return frame(FrameType.RstStream, 0, stream, u32(rng.below(14)));
    case 9:
      return frame(20 + rng.below(200), rng.below(256), rng.below(9), some);
    case 10:
      return frame(FrameType.GoAway, 0, 0, [...u32(stream), ...u32(0), ...some]);
    default:
      return frame(FrameType.Priority, 0, stream, [...u32(rng.below(9)), 1]);
  }
}

test(`any chunking gives the same frames, seed ${seed}`, () => {
  const rng = seededRng(seed);
  for (let run = 0; run < runs; run++) {
    const input = Uint8Array.from([
      ...settings,
      ...Array.from({ length: 1 + rng.below(8) }, () => randomFrame(rng)).flat(),
    ]);
    const whole = readFrames([input]);
    expect(readFrames([...input].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
    const marks = Array.from({ length: 1 + rng.below(5) }, () => rng.below(input.length + 1));
    expect(readFrames(cut(input, marks))).toEqual(whole);
  }
});

test("DATA is given out where it is, not copied", () => {
  const bytes = Uint8Array.from([...settings, ...frame(FrameType.Data, 0, 1, text("hello"))]);
  const reader = new FrameReader(1000);
  const at = reader.take(bytes, 0, bytes.length);
  expect(reader.event).toBe(FrameEvent.Settings);
  expect(reader.take(bytes, at, bytes.length - 2)).toBe(bytes.length - 2);
  expect([reader.bytes === bytes, reader.start, reader.end, reader.ends]).toEqual([true, at + 9, at + 12, false]);
  expect(reader.isBetweenFrames).toBe(false);
  expect(reader.take(bytes, bytes.length - 2, bytes.length)).toBe(bytes.length);
  expect([reader.begins, reader.ends, reader.isBetweenFrames]).toEqual([false, true, true]);
});

describe("the writer", () => {
  const written = (put: (out: Scratch) => void): SeenFrame[] => {
    const out = new Scratch(1);
    out.putAll(Uint8Array.from(settings));
    put(out);
    return readFrames([out.bytes.slice(0, out.length)]).slice(1);
  };
  test("every kind of frame is read back", () => {
    const seen = written((out) => {
      putSettings(out, [
        [Setting.MaxConcurrentStreams, 100],
        [Setting.InitialWindowSize, 0xffff_ffff],
      ]);
      putSettingsAck(out);
      putPing(out, false, latin1("xx12345678"), 2);
      putPing(out, true, latin1("12345678"), 0);
      putRstStream(out, 0x7fff_ffff, H2Error.Cancel);
      putWindowUpdate(out, 0, 0x7fff_ffff);
      putDataHeader(out, 5, 3, true);
      out.putText("abc");
      putGoAway(out, 7, H2Error.EnhanceYourCalm, "calm");
    });
    expect(seen.map(({ event, streamId, facts }) => `${event} ${streamId} ${facts}`.trim())).toEqual([
      "Settings 0",
      "SettingsAck 0",
      "Ping 0",
      "PingAck 0",
      "RstStream 2147483647 8",
      "WindowUpdate 0 2147483647",
      "Data 5 3 bytes, 0 overhead, end",
      "GoAway 0 7, error 11",
    ]);
    expect(seen.map(({ payload }) => payload)).toEqual([
      "\0\x03\0\0\0\x64\0\x04\xff\xff\xff\xff",
      "",
      "12345678",
      "12345678",
      "",
      "",
      "abc",
      "calm",
    ]);
  });
  test("a field block in as many frames as it needs", () => {
    for (const length of [0, 1, 9, 10, 11, 19, 20, 21, 95]) {
      for (const endStream of [false, true]) {
        const block = Array.from({ length }, (_, i) => String.fromCharCode(33 + i)).join("");
        const frames: string[] = [];
        const seen = written((out) => {
          const before = out.length;
          const at = beginHeaders(out);
          out.putText(block);
          endHeaders(out, at, 3, endStream, 10);
          for (let i = before; i < out.length; i += 9 + out.bytes[i + 2]!) {
            frames.push(`${out.bytes[i + 3]}/${out.bytes[i + 4]}/${out.bytes[i + 2]}`);
          }
          out.putAll(Uint8Array.from(frame(FrameType.Ping, 0, 0, ping)));
        });
        expect(seen.map(({ event }) => event)).toEqual(["Headers", "Ping"]);
        expect(seen[0]).toMatchObject({ streamId: 3, payload: block, facts: endStream ? "end" : "" });
        const pieces = Math.max(1, Math.ceil(length / 10));
        expect(frames).toHaveLength(pieces);
        const flags = (i: number): number => (i === 0 && endStream ? 1 : 0) | (i === pieces - 1 ? 4 : 0);
        const size = (i: number): number => Math.min(10, length - i * 10);
        expect(frames).toEqual(frames.map((_, i) => `${i === 0 ? 1 : 9}/${flags(i)}/${size(i)}`));
      }
    }
  });
});

describe("the preface (RFC 9113 3.4)", () => {
  const match = (value: string, matched = 0): number => matchPreface(latin1(value), 0, value.length, matched);
  const whole = Buffer.from(clientPreface).toString("latin1");
  test("whole, with something behind it", () => expect(match(`${whole}xyz`)).toBe(24));
  test("byte by byte", () => {
    let matched = 0;
    for (const byte of whole) matched = match(byte, matched);
    expect(matched).toBe(24);
  });
  test("something else", () => {
    expect(match("GET / HTTP/1.1\r\n")).toBe(-1);
    expect(match("PRI * HTTP/2.0\r\n\r\nSX")).toBe(-1);
    expect(match("X", 23)).toBe(-1);
  });
});

test("error codes have names, unknown ones their number", () => {
  expect([H2Error.Protocol, H2Error.Http11Required, 0xbeef].map(h2ErrorName)).toEqual([
    "PROTOCOL_ERROR",
    "HTTP_1_1_REQUIRED",
    "0xbeef",
  ]);
});
