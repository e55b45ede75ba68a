// The chunked decoder: every rule as a named case, then random messages against a plain reference decoder.

import { describe, expect, test } from "bun:test";
import type { Rng } from "../../base/ports.ts";
import { chunkLineBytesMax, trailerBytesMax } from "../../base/limits.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { decodePieces, decodeReference, RecordingSink } from "./chunked-kit.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { bytesOf, cut } from "./test-kit.ts";

/** "ok", "more" or "bad", and the data. */
function decode(text: string, raw = false): { verdict: string; output: string; trailers: string; used: number } {
  const { sink, decoder, used } = decodePieces([bytesOf(text)], raw);
  const verdict = decoder.failed ? "bad" : decoder.done ? "ok" : "more";
  expect(sink.ends).toBe(decoder.done ? 1 : 0);
  return { verdict, output: Buffer.from(sink.output).toString("latin1"), trailers: sink.trailers, used };
}
const verdict = (text: string): string => decode(text).verdict;

describe("decoding (RFC 9112 7.1)", () => {
  test("chunks, in one output", () => {
    expect(decode("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")).toMatchObject({ verdict: "ok", output: "hello world" });
  });
  test("hexadecimal sizes in any case, with leading zeros", () => {
    expect(decode(`A\r\n${"x".repeat(10)}\r\n0f\r\n${"y".repeat(15)}\r\n000\r\n\r\n`).output).toHaveLength(25);
  });
  test("an empty body", () => expect(decode("0\r\n\r\n")).toMatchObject({ verdict: "ok", output: "", used: 5 }));
  test("data that looks like the coding", () => {
    expect(decode("5\r\n0\r\n\r\n\r\n0\r\n\r\n")).toMatchObject({ verdict: "ok", output: "0\r\n\r\n" });
  });
  test("any bytes are data", () => {
    const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
    expect(decode(`100\r\n${all}\r\n0\r\n\r\n`).output).toBe(all);
  });

  const cases: readonly (readonly [what: string, text: string, expected: string])[] = [
    ["an empty size", "\r\nhello\r\n0\r\n\r\n", "bad"],
    ["only an extension", ";a=b\r\n", "bad"],
    ["a minus sign", "-5\r\nhello\r\n", "bad"],
    ["a plus sign", "+5\r\nhello\r\n", "bad"],
    ["a hexadecimal prefix", "0x5\r\nhello\r\n", "bad"],
    ["an underscore", "1_0\r\n", "bad"],
    ["a letter beyond F", "5g\r\nhello\r\n", "bad"],
    ["a space before the size", " 5\r\nhello\r\n", "bad"],
    ["a space behind the size", "5 \r\nhello\r\n", "bad"],
    ["a tab behind the size", "5\t\r\nhello\r\n", "bad"],
    ["a space before an extension", "5 ;a\r\nhello\r\n", "bad"],
    ["13 digits", "0000000000005\r\nhello\r\n0\r\n\r\n", "ok"],
    ["14 digits", "00000000000005\r\nhello\r\n0\r\n\r\n", "bad"],
    ["the largest size", "fffffffffffff\r\nx", "more"],
    ["a size that wraps in 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n", "bad"],
    ["bare LF behind the size", "5\nhello\r\n0\r\n\r\n", "bad"],
    ["bare CR behind the size", "5\rhello\r\n", "bad"],
    ["CR CR LF behind the size", "5\r\r\nhello\r\n", "bad"],
    ["NUL behind the size", "5\0\r\nhello\r\n", "bad"],
    ["no CRLF behind the data", "5\r\nhello0\r\n\r\n", "bad"],
    ["bare LF behind the data", "5\r\nhello\n0\r\n\r\n", "bad"],
    ["bare CR behind the data", "5\r\nhello\r0\r\n\r\n", "bad"],
    ["one byte more than announced", "5\r\nhello!\r\n0\r\n\r\n", "bad"],
    ["one byte less than announced", "5\r\nhell\r\n0\r\n\r\n", "bad"],
    ["bare CR ends the message", "0\r\n\rX", "bad"],
    ["bare LF behind the last chunk", "0\n\r\n", "bad"],
    ["nothing behind the last chunk", "0\r\n", "more"],
  ];
  for (const [what, text, expected] of cases) {
    test(`${what}: ${expected}`, () => expect(verdict(text)).toBe(expected));
  }
  test("bare LF behind the last chunk line is left to the trailer parser, which refuses it", () => {
    expect(decode("0\r\n\n")).toMatchObject({ verdict: "ok", trailers: "\n" });
  });
});

describe("extensions (RFC 9112 7.1.1)", () => {
  test("are dropped", () => {
    const text = '5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n';
    expect(decode(text)).toMatchObject({ verdict: "ok", output: "hello" });
    expect(decode(text, true)).toMatchObject({ verdict: "ok", output: "5\r\nhello\r\n0\r\n\r\n" });
  });
  test("an empty one", () => expect(verdict("5;\r\nhello\r\n0\r\n\r\n")).toBe("ok"));
  for (const [what, text] of [
    ["bare LF", "5;a\nhello\r\n"],
    ["bare CR", "5;a\rb\r\nhello\r\n"],
    ["NUL", "5;a\0\r\nhello\r\n"],
    ["DEL", "5;a\x7f\r\nhello\r\n"],
    ["a control byte", "5;a\x01\r\nhello\r\n"],
  ] as const) {
    test(`with ${what}: bad`, () => expect(verdict(text)).toBe("bad"));
  }
  test(`of ${chunkLineBytesMax} bytes, and one more`, () => {
    const of = (count: number): string => `1;${"x".repeat(count)}\r\ny\r\n0\r\n\r\n`;
    expect(verdict(of(chunkLineBytesMax))).toBe("ok");
    expect(verdict(of(chunkLineBytesMax + 1))).toBe("bad");
  });
  test("the limit is the same when the sink stops before the extension", () => {
    const of = (count: number): string => {
      const input = bytesOf(`1\r\nx\r\n1;${"x".repeat(count)}\r\ny\r\n0\r\n\r\n`);
      const { decoder } = decodePieces([input], false, () => false);
      return decoder.failed ? "bad" : "ok";
    };
    expect(of(chunkLineBytesMax)).toBe("ok");
    expect(of(chunkLineBytesMax + 1)).toBe("bad");
  });
});

describe("trailers (RFC 9112 7.1.2)", () => {
  test("are given out whole, with their empty line, the data before them", () => {
    const { sink } = decodePieces([bytesOf("2\r\nab\r\n0\r\nX: 1\r\nY: 2\r\n\r\nGET")], false);
    expect(sink.trailers).toBe("X: 1\r\nY: 2\r\n\r\n");
    expect(Buffer.from(sink.output).toString()).toBe("ab");
    expect(sink.endPosition).toBe("2\r\nab\r\n0\r\nX: 1\r\nY: 2\r\n\r\n".length);
  });
  test("are no part of what raw mode gives out, but the last chunk is", () => {
    const raw = decode("2\r\nab\r\n0\r\nX: 1\r\n\r\n", true);
    expect(raw).toMatchObject({ output: "2\r\nab\r\n0\r\n", trailers: "X: 1\r\n\r\n" });
  });
  test(`of ${trailerBytesMax} bytes, and one more`, () => {
    const of = (size: number): string => `0\r\nX: ${"x".repeat(size - 7)}\r\n\r\n`;
    expect(decode(of(trailerBytesMax))).toMatchObject({ verdict: "ok", used: trailerBytesMax + 3 });
    expect(verdict(of(trailerBytesMax + 1))).toBe("bad");
    expect(verdict(`0\r\nX: ${"x".repeat(trailerBytesMax)}`)).toBe("bad");
    expect(verdict(`0\r\n${"X: 1\r\n".repeat(trailerBytesMax)}`)).toBe("bad");
  });
  test("the limit is the same for dribbled ones", () => {
    for (const [size, failed] of [
      [trailerBytesMax, false],
      [trailerBytesMax + 1, true],
    ] as const) {
      const input = bytesOf(`0\r\nX: ${"x".repeat(size - 7)}\r\n\r\n`);
      const { decoder } = decodePieces(cut(input, [5, 100, 5000, 16_000, input.length - 3, input.length - 1]), false);
      expect(decoder.failed).toBe(failed);
    }
  });
});

describe("position", () => {
  const message = "3\r\nabc\r\n0\r\n\r\n";
  for (const raw of [false, true]) {
    test(`the message's end is told before what follows it, raw ${raw}`, () => {
      const input = bytesOf(`${message}GET / HTTP/1.1\r\n`);
      const { sink, used } = decodePieces([input], raw);
      expect([used, sink.endPosition, sink.ends]).toEqual([message.length, message.length, 1]);
    });
    test(`counts in the bytes of the call that ends it, raw ${raw}`, () => {
      const input = bytesOf(`${message}GET`);
      for (let at = 1; at < message.length; at++) {
        const { sink } = decodePieces(cut(input, [at]), raw);
        expect(sink.endPosition).toBe(message.length);
      }
    });
  }
  test("nothing is used once the message is done, or broken", () => {
    for (const text of [message, "x"]) {
      const decoder = new ChunkedDecoder();
      const sink = new RecordingSink(decoder);
      decoder.decode(bytesOf(text), 0, text.length, sink);
      expect(decoder.done || decoder.failed).toBe(true);
      expect(decoder.decode(bytesOf(message), 3, message.length, sink)).toBe(3);
    }
  });
  test("reset() makes it ready for another message, also after a broken one", () => {
    const decoder = new ChunkedDecoder();
    for (const text of ["2\r\nabX", "5;xxx", "0\r\nX: 1\r\n", message, message]) {
      decoder.reset();
      expect(decoder.raw).toBe(false);
      const sink = new RecordingSink(decoder);
      decoder.decode(bytesOf(text), 0, text.length, sink);
      if (text === message) expect(Buffer.from(sink.output).toString()).toBe("abc");
      decoder.raw = true;
    }
  });
});

// ---- properties

/** A random chunked message and its data. */
function randomMessage(rng: Rng): { text: string; data: string; plain: boolean } {
  const letters = "\r\n0;aF \xff";
  const some = (count: number): string =>
    Array.from({ length: count }, () => letters[rng.below(letters.length)]).join("");
  const extensions = rng.below(3) === 0;
  const extension = (): string =>
    extensions && rng.below(2) === 0 ? `;${some(rng.below(20)).replace(/[\r\n]/g, "x")}` : "";
  let text = "";
  let data = "";
  for (let count = rng.below(6); count > 0; count--) {
    const piece = some(1 + rng.below(rng.below(4) === 0 ? 5000 : 20));
    const size = piece.length.toString(16).padStart(1 + rng.below(4), "0");
    text += `${rng.below(2) === 0 ? size : size.toUpperCase()}${extension()}\r\n${piece}\r\n`;
    data += piece;
  }
  const trailers = rng.below(4) === 0 ? "X: 1\r\nY-Z: 2\r\n" : "";
  text += `${"0".repeat(1 + rng.below(3))}${extension()}\r\n${trailers}\r\n`;
  return { text, data, plain: !extensions };
}

test("any message, cut anywhere, stopped anywhere, gives its data; and raw a valid coding of it", () => {
  const seed = 77;
  const rng = seededRng(seed);
  for (let round = 0; round < 1500; round++) {
    const { text, data, plain } = randomMessage(rng);
    const input = bytesOf(`${text}GET /next`);
    const reference = decodeReference(input)!;
    expect(Buffer.from(reference.data).toString("latin1")).toBe(data);
    const cuts = Array.from({ length: rng.below(8) }, () => rng.below(input.length));
    const goOn = rng.below(2) === 0 ? () => true : () => rng.below(2) === 0;
    const where = `seed ${seed}, round ${round}, cut at ${cuts}: ${JSON.stringify(text.slice(0, 200))}`;
    for (const raw of [false, true]) {
      const { sink, used, decoder } = decodePieces(cut(input, cuts), raw, goOn);
      const output = Buffer.from(sink.output);
      if (!decoder.done || used !== text.length || sink.endPosition !== text.length) throw new Error(`end: ${where}`);
      if (sink.trailers !== reference.trailers) throw new Error(`trailers: ${where}`);
      if (!raw) {
        if (output.toString("latin1") !== data) throw new Error(`data: ${where}`);
        continue;
      }
      const again = decodeReference(reference.trailers === "" ? output : Buffer.concat([output, Buffer.from("\r\n")]));
      if (again === null || again.hasExtensions) throw new Error(`raw coding: ${where}`);
      if (!again.data.every((byte, i) => byte === reference.data[i])) throw new Error(`raw data: ${where}`);
      if (again.data.length !== reference.data.length) throw new Error(`raw length: ${where}`);
      if (plain && output.toString("latin1") !== text.slice(0, output.length)) throw new Error(`changed: ${where}`);
    }
  }
});

test("any broken message gets the same verdict however it is cut, and the reference agrees", () => {
  const seed = 78;
  const rng = seededRng(seed);
  let broken = 0;
  for (let round = 0; round < 3000; round++) {
    const changed = [...randomMessage(rng).text];
    for (let k = 1 + rng.below(3); k > 0; k--) {
      const at = rng.below(Math.min(changed.length, 60));
      const odd = ["\r", "\n", " ", ";", "0", "g", "f", "\0", "", "\t"][rng.below(10)]!;
      changed[at] = rng.below(2) === 0 ? odd : changed[at]! + odd;
    }
    const input = bytesOf(changed.join(""));
    const cuts = Array.from({ length: 1 + rng.below(6) }, () => rng.below(input.length + 1));
    const outcome = (pieces: readonly Uint8Array[], raw: boolean, goOn?: () => boolean): string => {
      const { decoder, sink } = decodePieces(pieces, raw, goOn);
      const word = decoder.failed ? "bad" : decoder.done ? `ok ${sink.endPosition}` : "more";
      return raw || decoder.failed ? word : `${word} ${Buffer.from(sink.output).toString("latin1")} ${sink.trailers}`;
    };
    const where = `seed ${seed}, round ${round}, cut at ${cuts}: ${JSON.stringify(changed.join("").slice(0, 200))}`;
    for (const raw of [false, true]) {
      const whole = outcome([input], raw);
      const pieces = outcome(cut(input, cuts), raw, () => rng.below(3) > 0);
      if (pieces !== whole) throw new Error(`${pieces} instead of ${whole}: ${where}`);
      if (whole === "bad") broken++;
    }
    const reference = decodeReference(input);
    const { decoder, sink } = decodePieces([input], false);
    const takes = decoder.done && !/^\n|[^\r]\n|\r(?!\n)/.test(sink.trailers); // left to the trailer parser
    if (takes !== (reference !== null)) throw new Error(`reference: ${where}`);
    if (reference !== null && sink.endPosition !== reference.used) throw new Error(`reference's end: ${where}`);
  }
  expect(broken).toBeGreaterThan(1000);
});
