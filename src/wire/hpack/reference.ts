// A second decoder of HPACK, by the book and slow: strings, arrays, one bit at a time. Tests and fuzz targets compare
// the real one with it. Not used by the program.

import { hpackIntegerBytesMax } from "../../base/limits.ts";
import { latin1Text } from "../../base/bytes.ts";
import { ENTRY_NAME_LENGTH, ENTRY_START, ENTRY_VALUE_LENGTH, ENTRY_WIDTH } from "./dynamic-table.ts";
import { huffmanBits, huffmanCodes } from "./huffman.ts";
import { STATIC_COUNT, staticBytes, staticEntries } from "./static-table.ts";
import type { Field } from "./test-kit.ts";

const symbols = new Map<string, number>();
for (let symbol = 0; symbol <= 256; symbol++) {
  symbols.set(huffmanCodes[symbol]!.toString(2).padStart(huffmanBits[symbol]!, "0"), symbol);
}

/** The text that the bytes are the coding of, or null (RFC 7541 5.2). */
export function decodeHuffmanText(bytes: Uint8Array): string | null {
  let text = "";
  let code = "";
  for (const byte of bytes) {
    for (const bit of byte.toString(2).padStart(8, "0")) {
      code += bit;
      const symbol = symbols.get(code);
      if (symbol === undefined) continue;
      if (symbol === 256) return null;
      text += String.fromCharCode(symbol);
      code = "";
    }
  }
  return code.length < 8 && !code.includes("0") ? text : null;
}

const staticFields: readonly (readonly [string, string])[] = Array.from({ length: STATIC_COUNT }, (_, i) => {
  const at = (i + 1) * ENTRY_WIDTH;
  const start = staticEntries[at + ENTRY_START]!;
  const nameEnd = start + staticEntries[at + ENTRY_NAME_LENGTH]!;
  const valueEnd = nameEnd + 2 + staticEntries[at + ENTRY_VALUE_LENGTH]!;
  return [latin1Text(staticBytes, start, nameEnd), latin1Text(staticBytes, nameEnd + 2, valueEnd)];
});

class Refusal extends Error {}

/** The state of one direction. */
export class ReferenceDecoder {
  entries: (readonly [string, string])[] = [];
  sizeMax: number;
  private readonly ceiling: number;
  private input: Uint8Array = new Uint8Array(0);
  private at = 0;

  constructor(tableBytesMax: number) {
    this.sizeMax = tableBytesMax;
    this.ceiling = tableBytesMax;
  }

  /** The fields of a block in their order, or null for an error of the connection. */
  decode(block: Uint8Array): Field[] | null {
    this.input = block;
    this.at = 0;
    try {
      return this.fields();
    } catch (error) {
      if (error instanceof Refusal) return null;
      throw error;
    }
  }

  private fields(): Field[] {
    const list: Field[] = [];
    while (this.at < this.input.length) {
      const first = this.input[this.at]!;
      if (first >= 0x80) {
        const [name, value] = this.entry(this.integer(7));
        list.push({ name, value });
      } else if (first >= 0x40) {
        const [name, value] = this.literal(6);
        list.push({ name, value });
        this.entries.unshift([name, value]);
        this.evict();
      } else if (first >= 0x20) {
        if (list.length > 0) throw new Refusal("an update behind a field");
        this.sizeMax = this.integer(5);
        if (this.sizeMax > this.ceiling) throw new Refusal("too large a table");
        this.evict();
      } else {
        const [name, value] = this.literal(4);
        list.push(first >= 0x10 ? { name, value, secret: true } : { name, value });
      }
    }
    return list;
  }

  private evict(): void {
    let size = 0;
    const kept = this.entries.findIndex(([name, value]) => (size += name.length + value.length + 32) > this.sizeMax);
    if (kept >= 0) this.entries.length = kept;
  }

  private entry(index: number): readonly [string, string] {
    const entry = index <= STATIC_COUNT ? staticFields[index - 1] : this.entries[index - STATIC_COUNT - 1];
    if (entry === undefined) throw new Refusal("no such entry");
    return entry;
  }

  private literal(prefixBits: number): readonly [string, string] {
    const index = this.integer(prefixBits);
    const name = index === 0 ? this.string() : this.entry(index)[0];
    return [name, this.string()];
  }

  private string(): string {
    const huffman = this.at < this.input.length && this.input[this.at]! >= 0x80;
    const length = this.integer(7);
    const bytes = this.input.slice(this.at, this.at + length);
    if (bytes.length < length) throw new Refusal("a string beyond the end");
    this.at += length;
    const text = huffman ? decodeHuffmanText(bytes) : latin1Text(bytes, 0, length);
    if (text === null) throw new Refusal("no Huffman coding");
    return text;
  }

  private integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.byte() & mask;
    if (value < mask) return value;
    for (let i = 0; ; i++) {
      if (i === hpackIntegerBytesMax) throw new Refusal("too long an integer");
      const byte = this.byte();
      value += (byte & 0x7f) * 128 ** i;
      if (byte < 0x80) return value;
    }
  }

  private byte(): number {
    if (this.at === this.input.length) throw new Refusal("the block ends");
    return this.input[this.at++]!;
  }
}
