// Tokens: what was sealed comes back, from the memory of the box as from the cipher, and nothing else is ever taken for
// one of ours.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../../base/bytes.ts";
import type { Sealer } from "../../base/ports.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { createSealer } from "../../sys/sealer.ts";
import { latin1 } from "../../wire/h1/tables.ts";
import { bench } from "./token.bench.ts";
import { hashName } from "./id-index.ts";
import { testKey, written } from "./test-kit.ts";
import { TokenBox, TokenKind } from "./token.ts";

const scope = hashName("users");
const id = hashName("10.0.0.1:80");

/** A sealer that counts what it is asked to open. */
class CountingSealer implements Sealer {
  opened = 0;
  private readonly sealer: Sealer;

  constructor(...fills: readonly number[]) {
    this.sealer = createSealer(fills.map(testKey));
  }

  seal(plain: Uint8Array): Uint8Array {
    return this.sealer.seal(plain);
  }

  open(bytes: Uint8Array, start: number, end: number): ReturnType<Sealer["open"]> {
    this.opened++;
    return this.sealer.open(bytes, start, end);
  }
}

function sealed(box: TokenBox, issuedS = 1_700_000_000): Uint8Array {
  return latin1(written((into) => box.seal(into, TokenKind.Endpoint, scope, id, issuedS)));
}

function opens(box: TokenBox, text: Uint8Array | string): ReturnType<TokenBox["open"]> {
  const bytes = latin1(`<${typeof text === "string" ? text : String.fromCharCode(...text)}>`);
  return box.open(bytes, 1, bytes.length - 1);
}

describe("a token", () => {
  test("is 68 characters of base64url, never the same twice, and says nothing by itself", () => {
    const box = new TokenBox(createSealer([testKey(1)]));
    const texts = new Set(Array.from({ length: 50 }, () => String.fromCharCode(...sealed(box))));
    expect(texts.size).toBe(50);
    for (const text of texts) expect(text).toMatch(/^[A-Za-z0-9_-]{68}$/);
  });

  test.each([0, 1_700_000_000, 2 ** 32 - 1, 2 ** 32 + 5, 2 ** 40 - 1])("keeps its time: %d s", (issuedS) => {
    const text = sealed(new TokenBox(createSealer([testKey(1)])), issuedS);
    const expected = { kind: TokenKind.Endpoint, scope, id, issuedS, outdated: false };
    expect(opens(new TokenBox(createSealer([testKey(1)])), text)).toEqual(expected);
  });

  test("appended to what the scratch holds already", () => {
    const box = new TokenBox(createSealer([testKey(1)]));
    const into = new Scratch(4);
    into.putText("Set-Cookie: A=");
    box.seal(into, TokenKind.Arm, scope, id, 5);
    expect(box.open(into.bytes, 14, into.length)?.kind).toBe(TokenKind.Arm);
  });
});

describe("the memory of a box", () => {
  test("a token that was opened or sealed before costs no cryptography", () => {
    const sealer = new CountingSealer(1);
    const box = new TokenBox(sealer);
    const own = sealed(box);
    expect(opens(box, own)?.issuedS).toBe(1_700_000_000);
    expect(sealer.opened).toBe(0);
    const other = sealed(new TokenBox(createSealer([testKey(1)])), 77);
    for (let k = 0; k < 3; k++) expect(opens(box, other)?.issuedS).toBe(77);
    expect(sealer.opened).toBe(1);
  });

  test("keeps who is who when two share a slot", () => {
    const sealer = new CountingSealer(1);
    const box = new TokenBox(sealer, 1);
    const texts = Array.from({ length: 5 }, (_, i) => sealed(box, i));
    for (const [i, text] of texts.entries()) expect(opens(box, text)?.issuedS).toBe(i);
    expect(opens(box, texts[4]!)).toEqual({ kind: TokenKind.Endpoint, scope, id, issuedS: 4, outdated: false });
  });

  test("remembers that a token was sealed under the old key", () => {
    const text = sealed(new TokenBox(createSealer([testKey(1)])));
    const sealer = new CountingSealer(2, 1);
    const box = new TokenBox(sealer);
    for (let k = 0; k < 3; k++) expect(opens(box, text)?.outdated).toBe(true);
    expect(sealer.opened).toBe(1);
    expect(opens(box, sealed(box))?.outdated).toBe(false);
    expect(opens(new TokenBox(createSealer([testKey(3), testKey(2)])), text)).toBeNull();
  });
});

test("forged, truncated, lengthened, respelled and made-up values are none of ours, and nothing throws", () => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(seed);
  const box = new TokenBox(createSealer([testKey(1), testKey(2)]), 16);
  const good = Array.from({ length: 8 }, (_, i) => sealed(box, i));
  const alphabet = latin1("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=% \t\u0000\u00ff");
  for (let step = 0; step < 5000; step++) {
    const original = good[rng.below(good.length)]!;
    let bytes = new Uint8Array(original);
    const way = rng.below(5);
    if (way === 0) bytes = bytes.subarray(rng.below(2), 67 + rng.below(2));
    else if (way === 1) bytes = new Uint8Array([...bytes, alphabet[rng.below(alphabet.length)]!]);
    else if (way === 2) bytes = bytes.map(() => alphabet[rng.below(alphabet.length)]!);
    else if (way === 3) bytes = new Uint8Array(rng.below(200)).map(() => rng.below(256));
    else for (let k = rng.below(3); k >= 0; k--) bytes[rng.below(68)] = alphabet[rng.below(alphabet.length)]!;
    const isSame = bytes.length === original.length && bytes.every((byte, i) => byte === original[i]);
    const label = `seed ${seed} step ${step}`;
    if (isSame) expect(opens(box, bytes), label).not.toBeNull();
    else expect(opens(box, bytes), label).toBeNull();
  }
  for (const [i, text] of good.entries()) expect(opens(box, text)?.issuedS).toBe(i);
});

test("authentic texts that are no token of this version are none of ours", () => {
  const sealer = createSealer([testKey(1)]);
  const box = new TokenBox(sealer);
  const value = (plain: Uint8Array): string => Buffer.from(sealer.seal(plain)).toString("base64url");
  expect(opens(box, value(new Uint8Array(23)))).toBeNull();
  expect(opens(box, value(new Uint8Array(23).fill(1)))?.kind).toBe(1);
  expect(opens(box, value(new Uint8Array(23).fill(2)))).toBeNull();
  expect(opens(box, value(new Uint8Array(22).fill(1)))).toBeNull();
});

test("the bench runs", () => expect(bench(100)).toBeGreaterThan(0));
