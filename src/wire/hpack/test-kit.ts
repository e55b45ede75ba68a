// What the tests, fuzz targets and benches of HPACK and of HTTP/2 heads share: field lists as plain values, a plain
// reference encoder that can write every representation, and decoding into plain values. Not used by the program.

import { latin1Text, Scratch } from "../../base/bytes.ts";
import type { Rng } from "../../base/ports.ts";
import { BlockKind, FieldBlock } from "../h2/field-block.ts";
import { Pseudo } from "../h2/field-rules.ts";
import { latin1, nameOf } from "../h1/tables.ts";
import { FIELD_LINE_END, FIELD_NAME, FIELD_NAME_END, FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH } from "../head.ts";
import { type HpackDecoder, HpackError } from "./decoder.ts";
import type { HpackEncoder } from "./encoder.ts";
import { encodeHuffman } from "./huffman.ts";

export interface Field {
  readonly name: string;
  readonly value: string;
  /** Never to be indexed. */
  readonly secret?: boolean;
}

export function bytesOfHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replace(/\s+/g, ""), "hex"));
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

const same = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** RFC 7541 5.1, by the book. */
export function integer(first: number, prefixBits: number, value: number): number[] {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) return [first | value];
  const bytes = [first | mask];
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

/** RFC 7541 5.2. */
export function string(text: string, huffman: boolean): number[] {
  const plain = latin1(text);
  if (!huffman) return [...integer(0, 7, plain.length), ...plain];
  const coded = new Uint8Array(plain.length * 4 + 8);
  const length = encodeHuffman(plain, 0, plain.length, same, coded, 0);
  return [...integer(0x80, 7, length), ...coded.subarray(0, length)];
}

export type Kind = "indexing" | "without" | "never";
const kinds: Readonly<Record<Kind, readonly [first: number, prefixBits: number]>> = {
  indexing: [0x40, 6],
  without: [0, 4],
  never: [0x10, 4],
};

/** A literal field (6.2); name = the text, or the index of an entry that has it. */
export function literal(kind: Kind, name: string | number, value: string, huffman = false): number[] {
  const [first, bits] = kinds[kind];
  const named = typeof name === "number" ? integer(first, bits, name) : [first, ...string(name, huffman)];
  return [...named, ...string(value, huffman)];
}

export function indexed(index: number): number[] {
  return integer(0x80, 7, index);
}

export function sizeUpdate(bytes: number): number[] {
  return integer(0x20, 5, bytes);
}

const pseudoNames: readonly (readonly [Pseudo, string])[] = [
  [Pseudo.Method, ":method"],
  [Pseudo.Scheme, ":scheme"],
  [Pseudo.Authority, ":authority"],
  [Pseudo.Path, ":path"],
  [Pseudo.Protocol, ":protocol"],
  [Pseudo.Status, ":status"],
];

/** The fields of a block before it is made a head: pseudo-header fields in the order of Pseudo, then the others. */
export function fieldsOfBlock(block: FieldBlock): Field[] {
  const { bytes } = block.out;
  const { fields } = block.head;
  const list: Field[] = [];
  for (const [pseudo, name] of pseudoNames) {
    if (!block.has(pseudo)) continue;
    list.push({ name, value: latin1Text(bytes, block.pseudoStart[pseudo]!, block.pseudoEnd[pseudo]!) });
  }
  for (let at = block.kind === BlockKind.Request ? FIELD_WIDTH : 0; at < block.slot; at += FIELD_WIDTH) {
    const nameEnd = fields[at + FIELD_NAME_END]!;
    const valueStart = fields[at + FIELD_VALUE]!;
    const valueEnd = fields[at + FIELD_VALUE_END]!;
    if (bytes[nameEnd] !== 58 || fields[at + FIELD_LINE_END] !== valueEnd + 2) throw new Error("no line");
    const name = latin1Text(bytes, fields[at + FIELD_NAME]!, nameEnd);
    const value = latin1Text(bytes, valueStart, valueEnd);
    list.push(valueStart === nameEnd + 1 ? { name, value, secret: true } : { name, value });
  }
  return list;
}

export const errorWord = (error: HpackError): string =>
  Object.entries(HpackError).find(([, number]) => number === error)![0];

/** The largest field section that decodeFields takes, and its number of fields. */
export const listBytesMax = 1 << 20;
export const fieldsMax = 1000;
const block = new FieldBlock(fieldsMax);

/** Decodes a whole block: its fields, or the error as a word. A block with a broken rule is an error in the test. */
export function decodeFields(
  decoder: HpackDecoder,
  bytes: Uint8Array | readonly number[],
  kind: BlockKind = BlockKind.Request,
): readonly Field[] | string {
  const input = Uint8Array.from(bytes);
  block.begin(kind, listBytesMax, fieldsMax);
  const error = decoder.decode(input, 0, input.length, block);
  if (error !== HpackError.None) return errorWord(error);
  if (block.rule !== 0) throw new Error(`rule ${block.rule}`);
  return fieldsOfBlock(block);
}

/** Encodes a list as one block. */
export function encodeFields(encoder: HpackEncoder, fields: readonly Field[]): Uint8Array {
  const out = new Scratch(16);
  encoder.begin(out);
  for (const { name, value, secret } of fields) {
    const line = latin1(secret === true ? `${name}:${value}` : `${name}: ${value}`);
    const nameEnd = name.length;
    const valueStart = line.length - value.length;
    encoder.putField(out, line, 0, nameEnd, valueStart, line.length, nameOf(line, 0, nameEnd));
  }
  return out.bytes.slice(0, out.length);
}

/** The table's entries, the newest first, as "name: value". */
export function tableTexts(table: HpackDecoder["table"]): string[] {
  const texts: string[] = [];
  for (let number = table.next - 1; number >= table.oldest; number--) {
    const slot = table.slotOf(number);
    const start = table.entries[slot]!;
    const length = table.entries[slot + 1]! + table.entries[slot + 2]! + 2;
    texts.push(latin1Text(table.bytes, start, start + length));
  }
  return texts;
}

const words = (
  "accept accept-encoding cache-control content-type content-length cookie set-cookie authorization date etag x-a " +
  "x-long-name-of-ours user-agent location vary grpc-status te-x server via x-request-id"
).split(" ");
const values = ["", "a", "gzip, deflate", "text/html; charset=utf-8", "no-cache", "x".repeat(200), "\xe4\xff{}~|", "0"];

/** A random field that breaks no rule; some come again and again. */
export function randomField(rng: Rng): Field {
  const name = words[rng.below(words.length)]!;
  const plain = rng.below(3) > 0 ? values[rng.below(values.length)]! : randomText(rng, 1 + rng.below(40));
  return rng.below(8) === 0 ? { name, value: plain, secret: true } : { name, value: plain };
}

/** Any bytes that a field value may have, no blanks at the ends. */
export function randomText(rng: Rng, length: number): string {
  const any = Array.from({ length }, () => {
    const c = 33 + rng.below(223);
    return String.fromCharCode(c === 127 ? 65 : c);
  });
  return any.join("");
}
