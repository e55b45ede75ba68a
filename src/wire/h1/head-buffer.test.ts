// Heads in pieces: the same result as in one piece, mistakes included, and linear work for dribbled input.

import { expect, test } from "bun:test";
import { seededRng } from "../../base/seeded-rng.ts";
import { type Head, Method } from "../head.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { parseRequest, parseResponse } from "./parse.ts";
import { bytesOf, collect, cut, fieldsMax, headBytesMax, summary, verdictWord } from "./test-kit.ts";

const asRequest = (bytes: Uint8Array, start: number, end: number, head: Head): number =>
  parseRequest(bytes, start, end, head, headBytesMax, fieldsMax);
const asResponse = (bytes: Uint8Array, start: number, end: number, head: Head): number =>
  parseResponse(bytes, start, end, head, Method.Get, headBytesMax, fieldsMax);

const good = "POST /p?q HTTP/1.1\r\nHost: a.example\r\nConnection: x, close\r\nX: 1\r\nContent-Length: 5\r\n\r\n";
const requests: readonly string[] = [
  good,
  `${good}hello`,
  `\r\n${good}`,
  "GET http://b/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  "GET / HTTP/1.1\r\n\r\n",
  "GET / HTTP/1.1\nHost: a\r\n\r\n",
  "GET / HTTP/\n",
  "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n\n",
  "GET / HTTP/3.1\r\nHost: a\r\n\r\n",
  "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
  `GET /${"x".repeat(headBytesMax)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(headBytesMax)}\r\n\r\n`,
  `\r\nGET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(headBytesMax - 34)}\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: a\r\n${"X: 1\r\n".repeat(fieldsMax)}\r\n`,
];
const responses: readonly string[] = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
  "HTTP/1.0 200\r\n\r\n",
  "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n",
  "HTTP/1.1 2x0 OK\r\n\r\n",
  "HTTP/1.1 200 OK\r\nX:1\r\n\t2\r\n\r\n",
  `HTTP/1.1 200 ${"x".repeat(headBytesMax)}\r\n\r\n`,
];

// Behind these nothing is left undecided: "\n\n" holds a bare LF whatever was before it.
const settled = (text: string): Uint8Array => bytesOf(`${text}\n\n`);

for (const [kind, parse, inputs] of [
  ["request", asRequest, requests],
  ["response", asResponse, responses],
] as const) {
  inputs.forEach((text, i) => {
    test(`${kind} ${i}, cut in two anywhere, gives what the whole gives`, () => {
      const input = settled(text);
      const whole = collect([input], parse);
      expect(verdictWord(whole.after)).not.toBe("more");
      const expected = summary(whole.after, whole.head, kind === "request");
      for (let at = 1; at < Math.min(input.length, 400); at++) {
        const halves = collect(cut(input, [at]), parse);
        expect([at, summary(halves.after, halves.head, kind === "request")]).toEqual([at, expected]);
      }
    });
  });

  test(`${kind}s with random changes, cut at random, give what the whole gives`, () => {
    const seed = 20_231;
    const rng = seededRng(seed);
    for (let round = 0; round < 3000; round++) {
      const source = inputs[rng.below(inputs.length)]!;
      const changed = [...source];
      for (let k = rng.below(4); k > 0; k--) {
        const at = rng.below(Math.min(changed.length, 120));
        const odd = ["\r", "\n", " ", "\t", ":", "\0", "\r\n", "", "x"][rng.below(9)]!;
        changed[at] = rng.below(2) === 0 ? odd : changed[at]! + odd;
      }
      const input = settled(changed.join(""));
      const cuts = Array.from({ length: 1 + rng.below(6) }, () => rng.below(rng.below(2) === 0 ? 100 : input.length));
      const whole = collect([input], parse);
      const pieces = collect(cut(input, cuts), parse);
      const text = (of: typeof whole): string => summary(of.after, of.head, kind === "request");
      if (text(pieces) !== text(whole)) {
        throw new Error(`seed ${seed}, round ${round}, cut at ${cuts}: ${text(pieces)} instead of ${text(whole)}`);
      }
    }
  });
}

test("a head in single bytes is parsed at its first byte and at its end, not between", () => {
  for (const text of [good, `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(3000)}\r\n\r\n`]) {
    const input = bytesOf(text);
    const result = collect(cut(input, [...input.keys()]), asRequest);
    expect(result.after).toBe(input.length);
    expect(result.parses).toBe(2);
  }
});

test("no input in single bytes is parsed again and again", () => {
  for (const text of requests) {
    const input = settled(text);
    expect(collect(cut(input, [...input.keys()]), asRequest).parses).toBeLessThan(5);
  }
});

test("looks at each byte of dribbled input a bounded number of times", () => {
  const buffer = new HeadBuffer();
  let reads = 0;
  buffer.bytes = new Proxy(buffer.bytes, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) reads++;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  const input = bytesOf(good);
  for (const byte of input) buffer.append(new Uint8Array([byte]), 0, 1, headBytesMax);
  expect(buffer.length).toBe(input.length);
  expect(reads).toBeGreaterThanOrEqual(input.length);
  expect(reads).toBeLessThanOrEqual(3 * input.length);
});

test("keeps everything, grows, and says when the limit is passed", () => {
  const buffer = new HeadBuffer();
  const piece = bytesOf(`..${"x".repeat(700)}..`);
  expect(buffer.append(piece, 2, 702, 2000)).toBe(false);
  expect(buffer.append(piece, 2, 702, 2000)).toBe(false);
  expect(buffer.append(piece, 2, 602, 2000)).toBe(false);
  expect(buffer.append(piece, 2, 3, 2000)).toBe(true);
  expect(buffer.length).toBe(2001);
  expect(Buffer.from(buffer.bytes.subarray(0, 2001)).toString()).toBe("x".repeat(2001));
});

test("an empty line counts, also across pieces; a leading one does not", () => {
  const ends = (...pieces: readonly string[]): boolean[] => {
    const buffer = new HeadBuffer();
    return pieces.map((piece) => buffer.append(bytesOf(piece), 0, piece.length, headBytesMax));
  };
  expect(ends("a\r\n\r", "\n")).toEqual([false, true]);
  expect(ends("a\r\n", "\r\n")).toEqual([false, true]);
  expect(ends("a\r", "\n\r", "\n")).toEqual([false, false, true]);
  expect(ends("\r\n", "a\r\n", "\r\n")).toEqual([false, false, true]);
  expect(ends("a\r\nb\r\n")).toEqual([false]);
  expect(ends("a", "\n")).toEqual([false, true]);
  expect(ends("\n")).toEqual([true]);
});
