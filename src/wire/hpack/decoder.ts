// The decoder of HPACK (RFC 7541): one per connection, as it keeps the dynamic table that the peer's encoder fills. It
// takes whole field blocks (the fragments of HEADERS and CONTINUATION together) and appends each field to a FieldBlock.
// Every error is one of the connection (COMPRESSION_ERROR): the tables are no longer in step.

import { copyBytes } from "../../base/bytes.ts";
import { hpackIntegerBytesMax } from "../../base/limits.ts";
import type { FieldBlock } from "../h2/field-block.ts";
import { classify, classifyValue } from "../h2/field-rules.ts";
import {
  DynamicTable,
  ENTRY_NAME_LENGTH,
  ENTRY_START,
  ENTRY_TAG,
  ENTRY_VALUE_LENGTH,
  ENTRY_WIDTH,
  LINE_OVERHEAD,
} from "./dynamic-table.ts";
import { decodedLengthMax, decodeHuffman } from "./huffman.ts";
import { STATIC_COUNT, staticBytes, staticEntries } from "./static-table.ts";

/** Why a field block cannot be decoded. */
export const HpackError = {
  None: 0,
  Truncated: 1, // it ends inside a representation
  Integer: 2, // too long or too large (5.1)
  Index: 3, // of no entry (2.3.3)
  Huffman: 4, // no coding, or wrong padding (5.2)
  TableSize: 5, // an update above the limit, behind a field, or missing (4.2, 6.3)
} as const;
export type HpackError = (typeof HpackError)[keyof typeof HpackError];

const COLON = 58;
const SP = 32;
const CR = 13;
const LF = 10;

export class HpackDecoder {
  readonly table: DynamicTable;
  /** What SETTINGS allow the peer to choose as the size of its table. */
  private ceiling: number;
  private mustShrink = false;
  // The block under way: where decoding stands, where it ends, what is wrong, and the class of the last entry that gave
  // its name.
  private at = 0;
  private end = 0;
  private error: HpackError = HpackError.None;
  private nameClass = 0;

  /** tableBytesMax = what the peer's table may take until acknowledged() is called: 4096 at first (RFC 9113 6.5.2). */
  constructor(tableBytesMax: number) {
    this.table = new DynamicTable(tableBytesMax);
    this.ceiling = tableBytesMax;
  }

  /**
   * The peer has acknowledged SETTINGS_HEADER_TABLE_SIZE. If that is less than its table may take now, the next block
   * must begin with an update (RFC 9113 4.3.1).
   */
  acknowledged(tableBytesMax: number): void {
    this.ceiling = tableBytesMax;
    if (tableBytesMax < this.table.sizeMax) this.mustShrink = true;
  }

  /** Decodes the block bytes[start, end) into `block`, which has been begun. */
  decode(bytes: Uint8Array, start: number, end: number, block: FieldBlock): HpackError {
    this.at = start;
    this.end = end;
    this.error = HpackError.None;
    this.takeSizeUpdates(bytes);
    if (this.mustShrink && this.error === HpackError.None) return HpackError.TableSize;
    while (this.at < end && this.error === HpackError.None) {
      const first = bytes[this.at]!;
      if (first >= 0x80) this.takeIndexed(bytes, block);
      else if (first >= 0x40) this.takeLiteral(bytes, block, 0x3f, true, false);
      else if (first < 0x20) this.takeLiteral(bytes, block, 0x0f, false, first >= 0x10);
      else this.error = HpackError.TableSize; // 4.2: at the beginning of a block only
    }
    return this.error;
  }

  /** RFC 7541 6.3 */
  private takeSizeUpdates(bytes: Uint8Array): void {
    while (this.at < this.end && bytes[this.at]! >> 5 === 1) {
      const size = this.takeInteger(bytes, 0x1f);
      if (size < 0) return;
      if (size > this.ceiling) {
        this.error = HpackError.TableSize;
        return;
      }
      this.table.resize(size);
      this.mustShrink = false;
    }
  }

  /** RFC 7541 6.1 */
  private takeIndexed(bytes: Uint8Array, block: FieldBlock): void {
    const index = this.takeInteger(bytes, 0x7f);
    if (index <= STATIC_COUNT) {
      const at = index * ENTRY_WIDTH;
      if (index > 0) {
        block.addLine(
          staticBytes,
          staticEntries[at + ENTRY_START]!,
          staticEntries[at + ENTRY_NAME_LENGTH]!,
          staticEntries[at + ENTRY_VALUE_LENGTH]!,
          staticEntries[at + ENTRY_TAG]!,
        );
      } else if (index === 0) this.error = HpackError.Index;
      return;
    }
    const { table } = this;
    const number = (table.next - (index - STATIC_COUNT)) | 0;
    if (!table.has(number)) {
      this.error = HpackError.Index;
      return;
    }
    const { entries } = table;
    const at = table.slotOf(number);
    block.addLine(
      table.bytes,
      entries[at + ENTRY_START]!,
      entries[at + ENTRY_NAME_LENGTH]!,
      entries[at + ENTRY_VALUE_LENGTH]!,
      entries[at + ENTRY_TAG]!,
    );
  }

  /**
   * RFC 7541 6.2. The line is written where it will stay if the block takes it. A field that is never to be indexed
   * (6.2.3) gets no space behind its colon, which is how the encoder of the other side knows it.
   */
  private takeLiteral(bytes: Uint8Array, block: FieldBlock, mask: number, enters: boolean, sensitive: boolean): void {
    const { out } = block;
    const lineStart = out.length;
    const index = this.takeInteger(bytes, mask);
    if (index < 0) return;
    const nameEnd = index === 0 ? this.takeString(bytes, block, lineStart) : this.putName(block, lineStart, index);
    if (nameEnd < 0) return;
    out.bytes[nameEnd] = COLON;
    let valueStart = nameEnd + 1;
    if (!sensitive) out.bytes[valueStart++] = SP;
    const valueEnd = this.takeString(bytes, block, valueStart);
    if (valueEnd < 0) return;
    const line = out.bytes;
    line[valueEnd] = CR;
    line[valueEnd + 1] = LF;
    out.length = valueEnd + 2;
    const fieldClass =
      index === 0
        ? classify(line, lineStart, nameEnd, valueStart, valueEnd)
        : classifyValue(this.nameClass, line, lineStart, nameEnd, valueStart, valueEnd);
    if (enters) this.enter(line, lineStart, nameEnd - lineStart, valueEnd - valueStart, fieldClass);
    block.takeLine(lineStart, nameEnd, valueStart, valueEnd, fieldClass);
  }

  private enter(line: Uint8Array, start: number, nameLength: number, valueLength: number, fieldClass: number): void {
    const { table } = this;
    const to = table.enter(nameLength, valueLength, fieldClass);
    if (to >= 0) copyBytes(table.bytes, to, line, start, start + nameLength + valueLength + LINE_OVERHEAD);
  }

  /** Copies the name of an entry to the block's buffer at `at` and notes its class. Returns its end there, or -1. */
  private putName(block: FieldBlock, at: number, index: number): number {
    const { table } = this;
    let source: Uint8Array = staticBytes;
    let entries: Int32Array = staticEntries;
    let slot = index * ENTRY_WIDTH;
    if (index > STATIC_COUNT) {
      const number = (table.next - (index - STATIC_COUNT)) | 0;
      if (!table.has(number)) {
        this.error = HpackError.Index;
        return -1;
      }
      source = table.bytes;
      entries = table.entries;
      slot = table.slotOf(number);
    }
    const start = entries[slot + ENTRY_START]!;
    const length = entries[slot + ENTRY_NAME_LENGTH]!;
    this.nameClass = entries[slot + ENTRY_TAG]!;
    block.out.reserve(length + LINE_OVERHEAD);
    return copyBytes(block.out.bytes, at, source, start, start + length);
  }

  /**
   * RFC 7541 5.2: decodes a string to the block's buffer at `at`, with room for a line's end behind it. Returns its end
   * there, or -1. What it takes is bounded by the block's length.
   */
  private takeString(bytes: Uint8Array, block: FieldBlock, at: number): number {
    if (this.at >= this.end) {
      this.error = HpackError.Truncated;
      return -1;
    }
    const huffman = bytes[this.at]! >= 0x80;
    const length = this.takeInteger(bytes, 0x7f);
    if (length < 0) return -1;
    const start = this.at;
    if (length > this.end - start) {
      this.error = HpackError.Truncated;
      return -1;
    }
    this.at = start + length;
    const { out } = block;
    out.length = at;
    out.reserve((huffman ? decodedLengthMax(length) : length) + LINE_OVERHEAD);
    if (!huffman) return copyBytes(out.bytes, at, bytes, start, start + length);
    const end = decodeHuffman(bytes, start, start + length, out.bytes, at);
    if (end < 0) this.error = HpackError.Huffman;
    return end;
  }

  /** RFC 7541 5.1: an integer whose prefix is the masked bits of the next byte; -1 and an error if it is none. */
  private takeInteger(bytes: Uint8Array, mask: number): number {
    let value = bytes[this.at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < 7 * hpackIntegerBytesMax; shift += 7) {
      if (this.at >= this.end) {
        this.error = HpackError.Truncated;
        return -1;
      }
      const byte = bytes[this.at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.error = HpackError.Integer;
    return -1;
  }
}
