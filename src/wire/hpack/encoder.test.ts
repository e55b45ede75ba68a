// The HPACK encoder: what it writes is read back as it was, by our decoder and by the reference, over tables of every
// size; what is secret is never entered; what repeats becomes short; the table stays within its bounds.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../../base/bytes.ts";
import { hpackTableBytesMax } from "../../base/limits.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { BlockKind } from "../h2/field-block.ts";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { ReferenceDecoder } from "./reference.ts";
import {
  decodeFields,
  encodeFields,
  type Field,
  hexOf,
  indexed,
  literal,
  randomField,
  randomText,
  sizeUpdate,
  string,
  tableTexts,
} from "./test-kit.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 75411);
const runs = Number(process.env["SLUICE_RUNS"] ?? 150);
const secretNames = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

const encode = (encoder: HpackEncoder, ...fields: readonly Field[]): number[] => [...encodeFields(encoder, fields)];
/** What comes out at the other end, where names are in lower case and some fields secret by their names. */
const arrived = ({ name, value, secret }: Field): Field => {
  const lower = name.toLowerCase();
  return secret === true || secretNames.includes(lower) ? { name: lower, value, secret: true } : { name: lower, value };
};

describe("representations", () => {
  const tag = { name: "etag", value: "1" };
  const own = { name: "X-Own", value: "@" };
  const ownText = [...string("x-own", true), ...string("@", false)];
  test("a new field is a literal without indexing, with the name's index", () => {
    expect(encode(new HpackEncoder(), tag)).toEqual(literal("without", 34, "1"));
  });
  test("a name without an index goes out in lower case", () => {
    expect(encode(new HpackEncoder(), own)).toEqual([0, ...ownText]);
  });
  test("the second time it is entered, from then on it is an index", () => {
    const encoder = new HpackEncoder();
    encode(encoder, tag, own);
    expect(encode(encoder, own)).toEqual([0x40, ...ownText]);
    expect(encode(encoder, tag)).toEqual(literal("indexing", 34, "1"));
    expect(encode(encoder, tag, own, { name: "x-own", value: "@" })).toEqual([62, 63, 63].flatMap(indexed));
    expect(tableTexts(encoder.table)).toEqual(["etag: 1", "x-own: @"]);
  });
  test("a field of the static table as it stands there", () => {
    expect(encode(new HpackEncoder(), { name: "Accept-Encoding", value: "gzip, deflate" })).toEqual([0x90]);
  });
  test("Huffman coding only where it is shorter", () => {
    expect(encode(new HpackEncoder(), { name: "age", value: "{}" })).toEqual(literal("without", 21, "{}"));
    expect(encode(new HpackEncoder(), { name: "age", value: "" })).toEqual(literal("without", 21, ""));
    expect(encode(new HpackEncoder(), { name: "age", value: "{}aaaaaaaaa" })).toEqual(
      literal("without", 21, "{}aaaaaaaaa", true),
    );
  });
  test.each(secretNames)("%s is never indexed, however often it comes", (name) => {
    const encoder = new HpackEncoder();
    const blocks = [1, 2, 3].map(() => hexOf(encodeFields(encoder, [{ name, value: "abc" }])));
    expect(new Set(blocks).size).toBe(1);
    expect(decodeFields(new HpackDecoder(4096), Buffer.from(blocks[0]!, "hex"))).toEqual([
      { name, value: "abc", secret: true },
    ]);
    expect(encoder.table.count).toBe(0);
  });
  test("6.2.3: what came as never to be indexed goes on so", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 3; i++) {
      expect(encode(encoder, { name: "x-key", value: "abc", secret: true })[0]).toBe(0x10);
    }
    expect(encoder.table.count).toBe(0);
  });
  test("a value that says the secret of another field does not find it", () => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 3; i++) encode(encoder, { name: "x-key", value: "abc", secret: true });
    expect(encode(encoder, { name: "x-key", value: "abc" })[0]).toBe(0);
  });
});

describe("the size of the table (RFC 7541 4.2)", () => {
  const field = { name: "x-own", value: "@" };
  const filled = (): HpackEncoder => {
    const encoder = new HpackEncoder();
    for (let i = 0; i < 3; i++) encode(encoder, field);
    return encoder;
  };
  test("a change is told at the beginning of the next block, once", () => {
    const encoder = filled();
    encoder.setPeerTable(100);
    expect(encode(encoder, field)).toEqual([...sizeUpdate(100), ...indexed(62)]);
    expect(encode(encoder, field)).toEqual(indexed(62));
  });
  test("of several changes the smallest and the last are told", () => {
    const encoder = filled();
    for (const size of [200, 0, 160]) encoder.setPeerTable(size);
    expect(encode(encoder, field).slice(0, 5)).toEqual([...sizeUpdate(0), ...sizeUpdate(160), 0x40]);
  });
  test("a change there and back is told too: the peer has evicted", () => {
    const encoder = filled();
    encoder.setPeerTable(0);
    encoder.setPeerTable(4096);
    expect(encode(encoder, field).slice(0, 4)).toEqual([...sizeUpdate(0), ...sizeUpdate(4096)]);
    expect(encoder.table.count).toBe(1);
  });
  test("0 means that nothing is ever entered", () => {
    const encoder = filled();
    encoder.setPeerTable(0);
    const blocks = [1, 2, 3].map(() => encode(encoder, field));
    expect(blocks[0]!.slice(0, 2)).toEqual([...sizeUpdate(0), 0]);
    expect(blocks[2]![0]).toBe(0);
    expect(encoder.table.count).toBe(0);
  });
  test("more than we want to remember is not used, and not told", () => {
    const encoder = filled();
    encoder.setPeerTable(hpackTableBytesMax + 1);
    expect(encode(encoder, field)).toEqual(indexed(62));
    encoder.setPeerTable(hpackTableBytesMax - 1);
    encoder.setPeerTable(2 ** 32 - 1);
    expect(encoder.table.sizeMax).toBe(hpackTableBytesMax);
  });
  test("a field of a quarter of the table is entered, a larger one never", () => {
    for (const [length, count] of [
      [1024 - 32 - 5, 1],
      [1024 - 32 - 4, 0],
    ] as const) {
      const encoder = new HpackEncoder();
      for (let i = 0; i < 3; i++) encode(encoder, { name: "x-own", value: "v".repeat(length) });
      expect(encoder.table.count).toBe(count);
    }
  });
});

test(`any fields come back as they were, over tables of any size, seed ${seed}`, () => {
  const rng = seededRng(seed);
  let references = 0;
  for (let run = 0; run < runs; run++) {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096);
    const reference = new ReferenceDecoder(4096);
    const own = Array.from({ length: 1 + rng.below(12) }, () => randomField(rng));
    for (let i = 0; i < 20; i++) {
      while (rng.below(5) === 0) encoder.setPeerTable(rng.below(3) === 0 ? rng.below(200) : rng.below(5000));
      const sent = Array.from({ length: rng.below(12) }, () => {
        const field = rng.below(3) > 0 ? own[rng.below(own.length)]! : randomField(rng);
        return rng.below(4) === 0 ? { ...field, name: field.name.toUpperCase() } : field;
      });
      const block = encodeFields(encoder, sent);
      const expected = sent.map(arrived);
      expect(decodeFields(decoder, block, BlockKind.Trailers)).toEqual(expected);
      expect(reference.decode(block)).toEqual(expected);
      expect(tableTexts(decoder.table)).toEqual(tableTexts(encoder.table));
      expect(encoder.table.size).toBeLessThanOrEqual(encoder.table.sizeMax);
      references += encoder.table.count;
    }
  }
  expect(references).toBeGreaterThan(runs * 10);
});

test("the memory of a table is bounded, whatever is sent", () => {
  const rng = seededRng(seed);
  const encoder = new HpackEncoder();
  const out = new Scratch(4096);
  for (let run = 0; run < 3000; run++) {
    out.length = 0;
    encode(encoder, { name: `x-${rng.below(40)}`, value: randomText(rng, rng.below(300)) });
    const again = { name: `x-${rng.below(40)}`, value: "v".repeat(rng.below(900)) };
    encode(encoder, again, again, again);
  }
  expect(encoder.table.bytes.length).toBeLessThanOrEqual(2 * hpackTableBytesMax);
  expect(encoder.table.entries.length).toBeLessThanOrEqual((4 * 2 * hpackTableBytesMax) / 32);
});
