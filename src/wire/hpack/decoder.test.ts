// The HPACK decoder: the examples of RFC 7541 appendix C, every rule as a named case with its section, limits at their
// value and one above, and random blocks against the plain reference.

import { describe, expect, test } from "bun:test";
import { hpackIntegerBytesMax, hpackTableBytesMax } from "../../base/limits.ts";
import type { Rng } from "../../base/ports.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { BlockKind, FieldBlock } from "../h2/field-block.ts";
import { HpackDecoder, HpackError } from "./decoder.ts";
import { ReferenceDecoder } from "./reference.ts";
import {
  bytesOfHex,
  decodeFields,
  errorWord,
  type Field,
  fieldsOfBlock,
  indexed,
  type Kind,
  literal,
  randomField,
  sizeUpdate,
  string,
  tableTexts,
} from "./test-kit.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 75410);
const runs = Number(process.env["SLUICE_RUNS"] ?? 400);
const zeros = (count: number): number[] => new Array<number>(count).fill(0x80);

/** One message of an example: the block, its fields and the table behind it. */
interface Step {
  readonly hex: string;
  readonly fields: string;
  readonly table: readonly string[];
  readonly size: number;
}

function follow(decoder: HpackDecoder, steps: readonly Step[], kind: BlockKind): void {
  for (const { hex, fields, table, size } of steps) {
    const decoded = decodeFields(decoder, bytesOfHex(hex), kind);
    if (typeof decoded === "string") throw new Error(decoded);
    expect(decoded.map(({ name, value }) => `${name}: ${value}`).join("\n")).toBe(fields);
    expect(tableTexts(decoder.table)).toEqual([...table]);
    expect(decoder.table.size).toBe(size);
  }
}

describe("the examples of RFC 7541 appendix C.2", () => {
  const one = (hex: string): readonly Field[] | string => decodeFields(new HpackDecoder(4096), bytesOfHex(hex));
  test("C.2.1, a literal with indexing", () => {
    const decoder = new HpackDecoder(4096);
    const block = bytesOfHex("400a637573746f6d2d6b65790d637573746f6d2d686561646572");
    expect(decodeFields(decoder, block)).toEqual([{ name: "custom-key", value: "custom-header" }]);
    expect(tableTexts(decoder.table)).toEqual(["custom-key: custom-header"]);
    expect(decoder.table.size).toBe(55);
  });
  test("C.2.2, a literal without indexing", () => {
    expect(one("040c2f73616d706c652f70617468")).toEqual([{ name: ":path", value: "/sample/path" }]);
  });
  test("C.2.3, a literal that is never indexed", () => {
    expect(one("100870617373776f726406736563726574")).toEqual([{ name: "password", value: "secret", secret: true }]);
  });
  test("C.2.4, an indexed field", () => expect(one("82")).toEqual([{ name: ":method", value: "GET" }]));
});

const start = ":method: GET\n:scheme: http\n:authority: www.example.com\n:path: /";
const startHttps = ":method: GET\n:scheme: https\n:authority: www.example.com\n:path: /index.html";
const requests = (first: string, second: string, third: string): Step[] => [
  { hex: first, fields: start, table: [":authority: www.example.com"], size: 57 },
  {
    hex: second,
    fields: `${start}\ncache-control: no-cache`,
    table: ["cache-control: no-cache", ":authority: www.example.com"],
    size: 110,
  },
  {
    hex: third,
    fields: `${startHttps}\ncustom-key: custom-value`,
    table: ["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"],
    size: 164,
  },
];
const location = "location: https://www.example.com";
const date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const laterDate = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const common = (at: string): string => `cache-control: private\n${at}\n${location}`;
const responses = (first: string, second: string, third: string): Step[] => [
  {
    hex: first,
    fields: `:status: 302\n${common(date)}`,
    table: [location, date, "cache-control: private", ":status: 302"],
    size: 222,
  },
  {
    hex: second,
    fields: `:status: 307\n${common(date)}`,
    table: [":status: 307", location, date, "cache-control: private"],
    size: 222,
  },
  {
    hex: third,
    fields: `:status: 200\n${common(laterDate)}\ncontent-encoding: gzip\n${cookie}`,
    table: [cookie, "content-encoding: gzip", laterDate],
    size: 215,
  },
];

describe("the examples of RFC 7541 appendix C", () => {
  test("C.3, requests without Huffman coding", () => {
    const steps = requests(
      "828684410f7777772e6578616d706c652e636f6d",
      "828684be58086e6f2d6361636865",
      "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    );
    follow(new HpackDecoder(4096), steps, BlockKind.Request);
  });
  test("C.4, requests with Huffman coding", () => {
    const steps = requests(
      "828684418cf1e3c2e5f23a6ba0ab90f4ff",
      "828684be5886a8eb10649cbf",
      "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    );
    follow(new HpackDecoder(4096), steps, BlockKind.Request);
  });
  test("C.5, responses without Huffman coding, evictions", () => {
    const steps = responses(
      "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17687474" +
        "70733a2f2f7777772e6578616d706c652e636f6d",
      "4803333037c1c0bf",
      "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a" +
        "4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    );
    follow(new HpackDecoder(256), steps, BlockKind.Response);
  });
  test("C.6, responses with Huffman coding, evictions", () => {
    const steps = responses(
      "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae" +
        "82ae43d3",
      "4883640effc1c0bf",
      "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960" +
        "d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    );
    follow(new HpackDecoder(256), steps, BlockKind.Response);
  });
});

describe("what is no block", () => {
  type Case = readonly [section: string, what: string, block: readonly number[], error: keyof typeof HpackError];
  const cases: readonly Case[] = [
    ["6.1", "index 0", [0x80], "Index"],
    ["2.3.3", "index 62 of an empty table", indexed(62), "Index"],
    ["2.3.3", "a name at 62 of an empty table", literal("without", 62, "x"), "Index"],
    ["2.3.3", "the largest index", indexed(127 + 0xfff_ffff), "Index"],
    ["2.3.3", "a name at the largest index", literal("indexing", 63 + 0xfff_ffff, "x"), "Index"],
    ["5.1", "an integer that ends early", [0xff], "Truncated"],
    ["5.1", "an integer that goes on and ends early", [0xff, 0x80], "Truncated"],
    ["5.1", "an integer of zeros without an end", [0xff, 0x80, 0x80, 0x80, 0x80, 0x00], "Integer"],
    ["5.1", "an integer of 2^32", [0x1f, 0xe1, 0xff, 0xff, 0xff, 0x0f], "Integer"],
    ["5.2", "a literal without a name", [0x40], "Truncated"],
    ["5.2", "a literal without a value", [0x40, 1, 97], "Truncated"],
    ["5.2", "an indexed name without a value", [0x04], "Truncated"],
    ["5.2", "a name beyond the end", [0x40, 5, 97], "Truncated"],
    ["5.2", "a value beyond the end", [0x04, 2, 97], "Truncated"],
    ["5.2", "a length of more than there can be", [0x04, 0x7f, 0xff, 0xff, 0xff, 0x7f], "Truncated"],
    ["5.2", "EOS in a value", [0x04, 0x84, 0xff, 0xff, 0xff, 0xff], "Huffman"],
    ["5.2", "padding of zeros", [0x04, 0x81, 0], "Huffman"],
    ["5.2", "a byte of padding", [0x04, 0x81, 0xff], "Huffman"],
    ["5.2", "a name that is no coding", [0x00, 0x81, 0xff, 1, 97], "Huffman"],
    ["6.3", "a table above the limit", sizeUpdate(hpackTableBytesMax + 1), "TableSize"],
    ["4.2", "an update behind a field", [0x82, ...sizeUpdate(0)], "TableSize"],
    ["4.2", "an update between two fields", [0x82, ...sizeUpdate(100), 0x86], "TableSize"],
    ["6.3", "an update that ends early", [0x3f], "Truncated"],
  ];
  test.each(cases)("%s: %s", (_section, _what, block, error) => {
    expect(decodeFields(new HpackDecoder(hpackTableBytesMax), block)).toBe(error);
  });
  test("5.1: the longest integer is taken, in any padding", () => {
    expect(hpackIntegerBytesMax).toBe(4);
    expect(decodeFields(new HpackDecoder(4096), [0x7f, 0x80, 0x80, 0x80, 0x00, 0])).toBe("Index"); // 63, and no error
    expect(decodeFields(new HpackDecoder(4096), [0x0f, 0xb0 - 15, 0x80, 0x80, 0x00, 0])).toBeArray();
  });
});

describe("the size of the table (RFC 7541 4.2, RFC 9113 4.3.1)", () => {
  const filled = (): HpackDecoder => {
    const decoder = new HpackDecoder(hpackTableBytesMax);
    decodeFields(decoder, [...literal("indexing", "a", "1"), ...literal("indexing", "b", "2")]);
    return decoder;
  };
  test("the limit itself, and several updates in a row", () => {
    const decoder = filled();
    const block = [...sizeUpdate(34), ...sizeUpdate(hpackTableBytesMax), ...indexed(62)];
    expect(decodeFields(decoder, block)).toEqual([{ name: "b", value: "2" }]);
    expect(decoder.table.count).toBe(1);
  });
  test("0 empties it, and nothing is entered any more", () => {
    const decoder = filled();
    expect(decodeFields(decoder, [...sizeUpdate(0), ...literal("indexing", "c", "3")])).toHaveLength(1);
    expect(decoder.table).toMatchObject({ count: 0, size: 0 });
    expect(decodeFields(decoder, indexed(62))).toBe("Index");
  });
  test("4.4: a field as large as the table stays, one byte more empties it", () => {
    const decoder = filled();
    decodeFields(decoder, [...sizeUpdate(100), ...literal("indexing", "x", "v".repeat(67))]);
    expect(decoder.table).toMatchObject({ count: 1, size: 100 });
    decodeFields(decoder, literal("indexing", "x", "v".repeat(68)));
    expect(decoder.table).toMatchObject({ count: 0, size: 0 });
  });
  test("4.4: a field may take its name from the entry that it evicts", () => {
    const decoder = filled();
    decodeFields(decoder, [...sizeUpdate(100), ...literal("indexing", "name", "v".repeat(64))]);
    const block = literal("indexing", 62, "w".repeat(60));
    expect(decodeFields(decoder, block)).toEqual([{ name: "name", value: "w".repeat(60) }]);
    expect(tableTexts(decoder.table)).toEqual([`name: ${"w".repeat(60)}`]);
  });
  test("a smaller limit must be followed by the next block", () => {
    const decoder = filled();
    decoder.acknowledged(100);
    expect(decodeFields(decoder, [0x82])).toBe("TableSize");
    expect(decodeFields(filled(), [0x82])).toBeArray();
    const other = filled();
    other.acknowledged(100);
    expect(decodeFields(other, [...sizeUpdate(101), 0x82])).toBe("TableSize");
    const third = filled();
    third.acknowledged(100);
    expect(decodeFields(third, [...sizeUpdate(100), 0x82])).toBeArray();
    expect(decodeFields(third, [0x82])).toBeArray();
  });
  test("a smaller limit that the table keeps already asks for nothing", () => {
    const decoder = filled();
    decodeFields(decoder, sizeUpdate(50));
    decoder.acknowledged(100);
    expect(decodeFields(decoder, [0x82])).toBeArray();
  });
  test("a larger limit is there to be used", () => {
    const decoder = filled();
    decoder.acknowledged(8192);
    expect(decodeFields(decoder, sizeUpdate(8192))).toEqual([]);
    expect(decodeFields(decoder, sizeUpdate(8193))).toBe("TableSize");
  });
});

describe("the size of the field section (RFC 9113 6.5.2)", () => {
  const size = 4 + 6 + 32 + (7 + 3 + 32); // x-ab: secret, :method: GET
  const block = [0x82, ...literal("indexing", "x-ab", "secret")];
  const decode = (bytesMax: number, fieldsMax: number, bytes: readonly number[]): FieldBlock => {
    const target = new FieldBlock(fieldsMax);
    target.begin(BlockKind.Request, bytesMax, fieldsMax);
    const decoder = new HpackDecoder(4096);
    expect(errorWord(decoder.decode(Uint8Array.from(bytes), 0, bytes.length, target))).toBe("None");
    expect(decoder.table.count).toBe(bytes === block ? 1 : decoder.table.count);
    return target;
  };
  test("bytes: the limit and one less", () => {
    expect(decode(size, 100, block)).toMatchObject({ tooLarge: false, rule: 0 });
    expect(decode(size - 1, 100, block)).toMatchObject({ tooLarge: true });
    expect(fieldsOfBlock(decode(size - 1, 100, block))).toEqual([{ name: ":method", value: "GET" }]);
  });
  test("fields: the limit and one less", () => {
    expect(decode(1e6, 2, block)).toMatchObject({ tooLarge: false, rule: 0 });
    expect(decode(1e6, 1, block)).toMatchObject({ tooLarge: true });
  });
  test("what is too large is decoded all the same, for the table's sake", () => {
    const target = new FieldBlock(10);
    const decoder = new HpackDecoder(4096);
    for (const bytesMax of [0, 50, 1e6]) {
      target.begin(BlockKind.Trailers, bytesMax, bytesMax === 0 ? 0 : 10);
      const bytes = Uint8Array.from([...literal("indexing", "x-ab", "secret"), ...indexed(62)]);
      expect(decoder.decode(bytes, 0, bytes.length, target)).toBe(HpackError.None);
    }
    expect(decoder.table.count).toBe(3);
    expect(fieldsOfBlock(target)).toHaveLength(2);
  });
  test("a bomb of references to one large entry takes no memory", () => {
    const target = new FieldBlock(1000);
    const decoder = new HpackDecoder(4096);
    const bytes = Uint8Array.from([...literal("indexing", "x", "v".repeat(4000)), ...zeros(16_000).map(() => 0xbe)]);
    target.begin(BlockKind.Trailers, 65_536, 1000);
    expect(decoder.decode(bytes, 0, bytes.length, target)).toBe(HpackError.None);
    expect(target.tooLarge).toBe(true);
    expect(target.out.bytes.length).toBeLessThanOrEqual(2 * 65_536);
  });
});

/** A block of random representations; references reach a little behind what there is. */
function randomBlock(rng: Rng, entries: number): number[] {
  const block: number[] = [];
  while (rng.below(6) === 0) block.push(...sizeUpdate([0, 64, 300, 4096][rng.below(4)]!));
  for (let fields = rng.below(10); fields > 0; fields--) {
    const { name, value } = randomField(rng);
    const kind = (["indexing", "without", "never"] satisfies Kind[])[rng.below(3)]!;
    const choice = rng.below(8);
    if (choice < 3) block.push(...indexed(15 + rng.below(47 + entries)));
    else if (choice < 5) block.push(...literal(kind, 15 + rng.below(47 + entries), value, rng.below(2) === 0));
    else block.push(...literal(kind, name, value, rng.below(2) === 0));
  }
  return block;
}

test(`random blocks mean what the reference says, table after table, seed ${seed}`, () => {
  const rng = seededRng(seed);
  let decoded = 0;
  for (let run = 0; run < runs; run++) {
    const decoder = new HpackDecoder(4096);
    const reference = new ReferenceDecoder(4096);
    for (let i = 0; i < 12; i++) {
      const block = randomBlock(rng, reference.entries.length);
      const expected = reference.decode(Uint8Array.from(block));
      const target = new FieldBlock(1000);
      target.begin(BlockKind.Trailers, 1 << 20, 1000);
      const error = decoder.decode(Uint8Array.from(block), 0, block.length, target);
      expect(error === HpackError.None).toBe(expected !== null);
      if (expected === null) break;
      decoded++;
      if (target.rule === 0) expect(fieldsOfBlock(target)).toEqual(expected);
      expect(tableTexts(decoder.table)).toEqual(reference.entries.map(([name, value]) => `${name}: ${value}`));
    }
  }
  expect(decoded).toBeGreaterThan(runs);
});

test("the helpers write what the RFC shows (C.1)", () => {
  expect(string("www.example.com", true)).toEqual([0x8c, ...bytesOfHex("f1e3c2e5f23a6ba0ab90f4ff")]);
  expect(sizeUpdate(1337)).toEqual([0x3f, 0x9a, 0x0a]);
});
