// The Huffman code: its table against values of RFC 7541 appendix B, both directions against a decoder that goes bit by
// bit, and what is no coding.

import { describe, expect, test } from "bun:test";
import { latin1Text } from "../../base/bytes.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { latin1 } from "../h1/tables.ts";
import { decodedLengthMax, decodeHuffman, encodeHuffman, huffmanBits, huffmanCodes, huffmanLength } from "./huffman.ts";
import { decodeHuffmanText } from "./reference.ts";
import { bytesOfHex, hexOf } from "./test-kit.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 7541);
const runs = Number(process.env["SLUICE_RUNS"] ?? 3000);
const same = Uint8Array.from({ length: 256 }, (_, byte) => byte);

function encode(text: string): Uint8Array {
  const plain = latin1(text);
  const target = new Uint8Array(plain.length * 4 + 8);
  const end = encodeHuffman(plain, 0, plain.length, same, target, 0);
  expect(end).toBe(huffmanLength(plain, 0, plain.length, same));
  return target.slice(0, end);
}

function decode(coded: Uint8Array): string | null {
  const target = new Uint8Array(5 + decodedLengthMax(coded.length));
  const source = new Uint8Array(coded.length + 4).fill(0xff);
  source.set(coded, 2);
  const end = decodeHuffman(source, 2, 2 + coded.length, target, 5);
  return end < 0 ? null : latin1Text(target, 5, end);
}

describe("the code (RFC 7541 appendix B)", () => {
  test.each([
    [0, 0x1ff8, 13],
    [10, 0x3ffffffc, 30],
    [48, 0x0, 5],
    [65, 0x21, 6],
    [92, 0x7fff0, 19],
    [122, 0x7b, 7],
    [127, 0xffffffc, 28],
    [195, 0x7fff1, 19],
    [202, 0x3ffffe4, 26],
    [249, 0xffffffe, 28],
    [255, 0x3ffffee, 26],
    [256, 0x3fffffff, 30],
  ])("symbol %i is %i in %i bits", (symbol, code, bits) => {
    expect([huffmanCodes[symbol]!, huffmanBits[symbol]!]).toEqual([code, bits]);
  });
  test("leaves no bits without a meaning", () => {
    expect([...huffmanBits].reduce((sum, bits) => sum + 2 ** -bits, 0)).toBe(1);
  });
});

describe("coding", () => {
  test.each([
    ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
    ["no-cache", "a8eb10649cbf"],
    ["Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"],
    ["", ""],
  ])("%s", (text, hex) => {
    expect(hexOf(encode(text))).toBe(hex);
    expect(decode(bytesOfHex(hex))).toBe(text);
  });
  test("every byte, alone and at every distance from the end", () => {
    for (let byte = 0; byte < 256; byte++) {
      for (const rest of ["", "a", "0", "Zz", "e\xff", "www.example.com"]) {
        const text = String.fromCharCode(byte);
        expect(decode(encode(text + rest))).toBe(text + rest);
        expect(decode(encode(rest + text))).toBe(rest + text);
      }
    }
  });
  test(`any text, seed ${seed}`, () => {
    const rng = seededRng(seed);
    for (let run = 0; run < runs; run++) {
      const rare = rng.below(4) === 0;
      const length = rng.below(60);
      const codes = Array.from({ length }, () => (rare ? rng.below(256) : 32 + rng.below(95)));
      const text = String.fromCharCode(...codes);
      expect(decode(encode(text))).toBe(text);
    }
  });
  test(`any bytes mean what they mean bit by bit, seed ${seed}`, () => {
    const rng = seededRng(seed);
    let coded = 0;
    for (let run = 0; run < runs * 3; run++) {
      const bytes = Uint8Array.from({ length: rng.below(12) }, () => rng.below(256));
      if (rng.below(2) === 0 && bytes.length > 0) bytes[bytes.length - 1]! |= 0x1f;
      const expected = decodeHuffmanText(bytes);
      if (expected !== null) coded++;
      expect(decode(bytes)).toBe(expected);
    }
    expect(coded).toBeGreaterThan(runs / 10);
  });
});

describe("what is no coding (RFC 7541 5.2)", () => {
  test.each([
    ["EOS", "ffffffff"],
    ["EOS behind a symbol", "1fffffffff"],
    ["EOS and padding", "fffffffc3f"],
    ["a byte of padding", "ff"],
    ["a byte of padding behind a whole one", "f1e3c2e5f23a6ba0ab90f4ffff"],
    ["padding of zeros", "00"],
    ["padding with one zero", "f1e3c2e5f23a6ba0ab90f4fe"],
    ["half of a long code", "fffe"],
  ])("%s", (_what, hex) => expect(decode(bytesOfHex(hex))).toBeNull());
  test("padding of three bits, of seven, and of none", () => {
    expect(decode(bytesOfHex("1f"))).toBe("a"); // 5 bits and 3
    expect(hexOf(encode("01201"))).toBe("004400ff"); // 25 bits and 7
    expect(decode(bytesOfHex("004400ff"))).toBe("01201");
    expect(decode(encode("&"))).toBe("&"); // 8 bits
  });
});
