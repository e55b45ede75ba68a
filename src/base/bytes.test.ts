// The byte helpers against plain JavaScript.

import { expect, test } from "bun:test";
import { copyBytes, latin1Text, Scratch } from "./bytes.ts";

const textOf = (scratch: Scratch): string => latin1Text(scratch.bytes, 0, scratch.length);

test("copies ranges of every length, short loops and long moves alike", () => {
  const source = Uint8Array.from({ length: 600 }, (_, i) => i % 251);
  for (const length of [0, 1, 31, 32, 33, 34, 400, 500]) {
    const target = new Uint8Array(600).fill(255);
    expect(copyBytes(target, 7, source, 3, 3 + length)).toBe(7 + length);
    expect(target.subarray(7, 7 + length)).toEqual(source.subarray(3, 3 + length));
    expect([target[6], target[7 + length]]).toEqual([255, 255]);
  }
});

test("copies within one array, as a subarray too", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  copyBytes(bytes, 0, bytes.subarray(50), 0, 50);
  expect(bytes[0]).toBe(50);
  expect(bytes[49]).toBe(99);
});

test("Latin-1 text is exact for every byte", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const text = latin1Text(all, 0, 256);
  expect([...text].map((c) => c.charCodeAt(0))).toEqual([...all]);
  expect(latin1Text(all, 65, 68)).toBe("ABC");
});

test("a scratch buffer grows and keeps what is in it", () => {
  const scratch = new Scratch(1);
  scratch.putText("ab");
  scratch.putByte(99);
  scratch.putAll(new Uint8Array([100, 101]));
  scratch.put(new Uint8Array([1, 102, 103, 2]), 1, 3);
  const long = new Uint8Array(10_000).fill(120);
  scratch.putAll(long);
  expect(textOf(scratch)).toBe(`abcdefg${"x".repeat(10_000)}`);
  scratch.length = 0;
  scratch.putText("z");
  expect(textOf(scratch)).toBe("z");
});

test("reserve makes the room it promises", () => {
  const scratch = new Scratch(16);
  scratch.putText("x".repeat(10));
  scratch.reserve(6);
  expect(scratch.bytes.length).toBe(16);
  scratch.reserve(7);
  expect(scratch.bytes.length).toBeGreaterThanOrEqual(17);
});

test("numbers in decimal and hexadecimal", () => {
  const values = [0, 1, 9, 10, 11, 15, 16, 99, 100, 255, 256, 4095, 4096, 65535, 65536, 2 ** 31, 2 ** 32 - 1, 2 ** 32];
  for (const value of [...values, 10 ** 15 - 1, 10 ** 15, 2 ** 52 - 1, 2 ** 52, 2 ** 53 - 1, 2 ** 53]) {
    const scratch = new Scratch(4);
    scratch.putDecimal(value);
    scratch.putText("|");
    scratch.putHex(value);
    expect(textOf(scratch)).toBe(`${value}|${value.toString(16)}`);
  }
});
