// The sealer's promises: what it sealed comes back, anything else is null, and a key may go out of use by and by.

import { describe, expect, test } from "bun:test";
import { SEAL_BYTES } from "../base/ports.ts";
import { createSealer, deriveKey, KEY_BYTES, randomBytes } from "./sealer.ts";

const plain = new TextEncoder().encode("endpoint seven");
const key = (fill: number): Uint8Array => new Uint8Array(KEY_BYTES).fill(fill);

test("opens what it sealed, wherever it stands in the bytes", () => {
  const sealer = createSealer([key(1)]);
  const sealed = sealer.seal(plain);
  expect(sealed.length).toBe(plain.length + SEAL_BYTES);
  const framed = new Uint8Array([9, 9, ...sealed, 9]);
  const opened = sealer.open(framed, 2, framed.length - 1);
  expect(opened?.outdated).toBe(false);
  expect(new Uint8Array(opened!.plain)).toEqual(plain);
});

test("equal plain texts come out different", () => {
  const sealer = createSealer([key(1)]);
  const seen = new Set(Array.from({ length: 100 }, () => sealer.seal(plain).join()));
  expect(seen.size).toBe(100);
});

test("nothing that was changed, cut or made up opens", () => {
  const sealer = createSealer([key(1), key(2)]);
  const sealed = sealer.seal(plain);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const forged = new Uint8Array(sealed);
    forged[bit >> 3]! ^= 1 << (bit & 7);
    expect(sealer.open(forged, 0, forged.length), `bit ${bit}`).toBeNull();
  }
  for (let length = 0; length < sealed.length; length++) {
    expect(sealer.open(sealed, 0, length), `${length} bytes`).toBeNull();
    expect(sealer.open(sealed, sealed.length - length, sealed.length), `last ${length} bytes`).toBeNull();
  }
  expect(createSealer([key(3)]).open(sealed, 0, sealed.length)).toBeNull();
});

test("after a change of keys the old one still opens, and says so; after two it does not", () => {
  const sealed = createSealer([key(1)]).seal(plain);
  const opened = createSealer([key(2), key(1)]).open(sealed, 0, sealed.length);
  expect(opened?.outdated).toBe(true);
  expect(new Uint8Array(opened!.plain)).toEqual(plain);
  expect(createSealer([key(3), key(2)]).open(sealed, 0, sealed.length)).toBeNull();
});

test("refuses to work without a whole key", () => {
  expect(() => createSealer([])).toThrow("a sealer wants keys of 32 bytes");
  expect(() => createSealer([key(1), new Uint8Array(16)])).toThrow("a sealer wants keys of 32 bytes");
});

describe("keys", () => {
  test("are those of HKDF-SHA-256: RFC 5869, test case 3 (no salt, no info)", () => {
    const secret = new Uint8Array(22).fill(0x0b);
    const expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d";
    expect(Buffer.from(deriveKey(secret, "")).toString("hex")).toBe(expected);
  });

  test("of different secrets and purposes differ, and random bytes do", () => {
    const keys = [deriveKey(key(1), "a"), deriveKey(key(1), "b"), deriveKey(key(2), "a"), randomBytes(32)];
    expect(new Set(keys.map((one) => one.join())).size).toBe(4);
    expect(keys.every((one) => one.length === KEY_BYTES)).toBe(true);
  });
});
