// Fuzzing of the HPACK decoder: any bytes, as blocks one behind another on one connection. It must agree with the plain
// reference about what is a block, which fields are in it and what the table holds then, and stay within its limits.

import type { FuzzTarget } from "../../../tools/fuzz.ts";
import { BlockKind, FieldBlock } from "../h2/field-block.ts";
import { HpackDecoder, HpackError } from "./decoder.ts";
import { ReferenceDecoder } from "./reference.ts";
import { bytesOfHex, fieldsOfBlock, indexed, literal, sizeUpdate, tableTexts } from "./test-kit.ts";

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

const listBytesMax = 4096;
const fieldsMax = 40;

/** The blocks of an input: each begins with its length. */
function blocksOf(input: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < input.length;) {
    const length = input[at]!;
    blocks.push(input.subarray(at + 1, at + 1 + length));
    at += 1 + length;
  }
  return blocks;
}

function sameTables(decoder: HpackDecoder, reference: ReferenceDecoder): boolean {
  return (
    tableTexts(decoder.table).join("\n") === reference.entries.map(([name, value]) => `${name}: ${value}`).join("\n")
  );
}

const seed = (...blocks: readonly (readonly number[])[]): Uint8Array =>
  Uint8Array.from(blocks.flatMap((block) => [block.length, ...block]));

export const target: FuzzTarget = {
  name: "hpack-decoder",
  seeds: [
    seed([...bytesOfHex("828684418cf1e3c2e5f23a6ba0ab90f4ff")], [...bytesOfHex("828684be5886a8eb10649cbf")]),
    seed([...bytesOfHex("4803333032580770726976617465")], [...bytesOfHex("4803333037c1c0bf")]),
    seed([...sizeUpdate(0), ...literal("never", "password", "secret")], [...sizeUpdate(100), 0x90]),
    seed([...literal("indexing", "x-long", "v".repeat(200), true)], Array<number>(60).fill(0xbe), [0xbe, 0xbf]),
    seed([...literal("without", 32, "a=b"), ...literal("never", 23, "x", true)], [...indexed(61), 0xff, 0x00]),
  ],
  run(input) {
    const decoder = new HpackDecoder(4096);
    const reference = new ReferenceDecoder(4096);
    const block = new FieldBlock(fieldsMax);
    for (const bytes of blocksOf(input)) {
      block.begin(BlockKind.Trailers, listBytesMax, fieldsMax);
      const error = decoder.decode(bytes, 0, bytes.length, block);
      const expected = reference.decode(bytes);
      must((error === HpackError.None) === (expected !== null), `error ${error} against the reference`);
      if (expected === null) return;
      must(sameTables(decoder, reference), "another table");
      must(block.out.length <= listBytesMax + 2 * bytes.length + 100, "more than the limit");
      if (block.rule !== 0) continue;
      const size = expected.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
      must(block.tooLarge === (size > listBytesMax || expected.length > fieldsMax), "the limit");
      if (block.tooLarge) continue;
      must(JSON.stringify(fieldsOfBlock(block)) === JSON.stringify(expected), "other fields");
    }
  },
};
