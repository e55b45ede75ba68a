// The encoder of HPACK (RFC 7541): one per connection, as it fills the dynamic table that the peer's decoder keeps. A
// field is entered into the table when it is sent the second time within a short while; so what repeats costs one or
// two bytes, and what is said once (dates, lengths, tags) does not push it out. What is secret is never entered.

import { hpackTableBytesMax } from "../../base/limits.ts";
import { copyBytes, type Scratch } from "../../base/bytes.ts";
import { latin1, lower } from "../h1/tables.ts";
import { FIELD_NAME_MASK, Name } from "../head.ts";
import {
  DynamicTable,
  ENTRY_NAME_LENGTH,
  ENTRY_OVERHEAD,
  ENTRY_START,
  ENTRY_TAG,
  ENTRY_VALUE_LENGTH,
  ENTRY_WIDTH,
} from "./dynamic-table.ts";
import { encodeHuffman, huffmanLength } from "./huffman.ts";
import { STATIC_COUNT, staticBytes, staticEntries, staticIndexOf, staticNames } from "./static-table.ts";

const COLON = 58;
const SP = 32;
const CR = 13;
const LF = 10;

/** Of these others must not learn by the size of a block (RFC 7541 7.1): never in a table, ours or a later one's. */
const isSecret = new Uint8Array(STATIC_COUNT + 1);
for (const name of ["authorization", "proxy-authorization", "cookie", "set-cookie"]) isSecret[staticIndexOf(name)] = 1;

/** The entry of the static table for each Name that has one. */
const indexOfName = new Uint8Array(FIELD_NAME_MASK + 1);
for (let index = STATIC_COUNT; index > 0; index--) {
  const name = staticEntries[index * ENTRY_WIDTH + ENTRY_TAG]! & FIELD_NAME_MASK;
  if (name !== Name.Other) indexOfName[name] = index;
}

const acceptEncoding = staticIndexOf("accept-encoding");
const gzipDeflate = latin1("gzip, deflate");
/** Values go out as they are. */
const asItIs = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** Pairs of hashes of the fields sent last, to tell which come again. */
const sightings = 64;
/** Places by which entries of the table are found, and how many of them in a row may have the one that is wanted. */
const places = 256;
const placesTried = 4;
/** A field that takes more than this part of the table is not entered. */
const tableParts = 4;

export class HpackEncoder {
  readonly table: DynamicTable;
  /** By a hash: the hash seen last and the one before it. */
  private readonly seen = new Int32Array(sightings * 2);
  /** By a hash, or in one of the next places: the number of the table's entry. */
  private readonly numbers = new Int32Array(places);
  /** The smallest size of the table since the last block, and whether the peer must hear of a change. */
  private smallest: number;
  private changed = false;

  /** Until the peer's SETTINGS come its table takes 4096 bytes (RFC 9113 6.5.2). */
  constructor() {
    this.table = new DynamicTable(hpackTableBytesMax);
    this.smallest = this.table.sizeMax;
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the peer has changed. Call it for each value, in the order they come. */
  setPeerTable(bytes: number): void {
    const size = Math.min(bytes, hpackTableBytesMax);
    if (size === this.table.sizeMax) return;
    this.smallest = this.changed ? Math.min(this.smallest, size) : size;
    this.changed = true;
    this.table.resize(size);
  }

  /** Begins a field block: appends what the peer has to hear of the table's size (RFC 7541 4.2). */
  begin(out: Scratch): void {
    if (!this.changed) return;
    this.changed = false;
    out.reserve(16);
    if (this.smallest < this.table.sizeMax) putInteger(out, 0x20, 0x1f, this.smallest);
    putInteger(out, 0x20, 0x1f, this.table.sizeMax);
  }

  /** Appends a field that is in the static table as it is. */
  putStatic(out: Scratch, index: number): void {
    out.putByte(0x80 | index);
  }

  /** Appends the value source[start, end) for the name that the static table has at index. */
  putValue(out: Scratch, index: number, source: Uint8Array, start: number, end: number): void {
    const at = index * ENTRY_WIDTH;
    const name = staticEntries[at + ENTRY_START]!;
    const nameEnd = name + staticEntries[at + ENTRY_NAME_LENGTH]!;
    this.put(out, index, isSecret[index] === 1, staticBytes, name, nameEnd, source, start, end);
  }

  /**
   * Appends the field source[nameStart, nameEnd): source[valueStart, valueEnd). Its name may be in any case and goes
   * out in lower case; name = its number. It is secret by its name, or if its value follows the colon at once: so the
   * decoder lays out what was never to be indexed, which an intermediary must leave so (RFC 7541 6.2.3).
   */
  putField(
    out: Scratch,
    source: Uint8Array,
    nameStart: number,
    nameEnd: number,
    valueStart: number,
    valueEnd: number,
    name: Name,
  ): void {
    const index = name === Name.Other ? staticNames.find(source, nameStart, nameEnd) : indexOfName[name]!;
    const secret = isSecret[index] === 1 || valueStart === nameEnd + 1;
    this.put(out, index, secret, source, nameStart, nameEnd, source, valueStart, valueEnd);
  }

  private put(
    out: Scratch,
    index: number,
    secret: boolean,
    names: Uint8Array,
    nameStart: number,
    nameEnd: number,
    values: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    out.reserve(nameEnd - nameStart + valueEnd - valueStart + 24);
    let enters = false;
    let tag = 0;
    if (!secret) {
      const isUsual = index === acceptEncoding && valueEnd - valueStart === gzipDeflate.length;
      if (isUsual && isSame(gzipDeflate, 0, values, valueStart, valueEnd)) {
        out.bytes[out.length++] = 0x80 | index;
        return;
      }
      const hash = hashOf(index === 0 ? hashOf(0, names, nameStart, nameEnd) : index, values, valueStart, valueEnd);
      tag = (hash & ~0xff) | index;
      const { table } = this;
      const number = this.find(tag, names, nameStart, nameEnd, values, valueStart, valueEnd);
      if (table.has(number)) {
        putInteger(out, 0x80, 0x7f, STATIC_COUNT + ((table.next - number) | 0));
        return;
      }
      const size = nameEnd - nameStart + valueEnd - valueStart + ENTRY_OVERHEAD;
      enters = size * tableParts <= table.sizeMax && this.comesAgain(tag);
    }
    if (enters) putInteger(out, 0x40, 0x3f, index);
    else putInteger(out, secret ? 0x10 : 0, 0x0f, index);
    if (index === 0) putString(out, names, nameStart, nameEnd, lower);
    putString(out, values, valueStart, valueEnd, asItIs);
    if (enters) this.enter(tag, names, nameStart, nameEnd, values, valueStart, valueEnd);
  }

  /** Notes that a field is sent; true if it was sent a short while before. */
  private comesAgain(tag: number): boolean {
    const { seen } = this;
    const at = ((tag >>> 24) & (sightings - 1)) * 2;
    if (seen[at] === tag || seen[at + 1] === tag) return true;
    seen[at + 1] = seen[at]!;
    seen[at] = tag;
    return false;
  }

  /** The number of the entry that is the field, or one that no entry has. */
  private find(
    tag: number,
    names: Uint8Array,
    nameStart: number,
    nameEnd: number,
    values: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): number {
    const { table } = this;
    const { entries } = table;
    for (let i = 0; i < placesTried; i++) {
      const number = this.numbers[((tag >>> 8) + i) & (places - 1)]!;
      if (!table.has(number)) continue;
      const slot = table.slotOf(number);
      if (entries[slot + ENTRY_TAG] !== tag || entries[slot + ENTRY_VALUE_LENGTH] !== valueEnd - valueStart) continue;
      const start = entries[slot + ENTRY_START]!;
      const nameLength = entries[slot + ENTRY_NAME_LENGTH]!;
      // With an entry of the static table in the tag, the name is known to be the same.
      if ((tag & 0xff) === 0 && !isName(table.bytes, start, nameLength, names, nameStart, nameEnd)) continue;
      if (isSame(table.bytes, start + nameLength + 2, values, valueStart, valueEnd)) return number;
    }
    return table.next;
  }

  private enter(
    tag: number,
    names: Uint8Array,
    nameStart: number,
    nameEnd: number,
    values: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const { table } = this;
    let place = (tag >>> 8) & (places - 1);
    for (let i = 0; i < placesTried; i++) {
      if (table.has(this.numbers[(place + i) & (places - 1)]!)) continue;
      place = (place + i) & (places - 1);
      break;
    }
    this.numbers[place] = table.next;
    let at = table.enter(nameEnd - nameStart, valueEnd - valueStart, tag);
    const { bytes } = table;
    for (let i = nameStart; i < nameEnd; i++) bytes[at++] = lower[names[i]!]!;
    bytes[at++] = COLON;
    bytes[at++] = SP;
    at = copyBytes(bytes, at, values, valueStart, valueEnd);
    bytes[at++] = CR;
    bytes[at] = LF;
  }
}

/** True if the name is the lower-case one at `at`. */
function isName(bytes: Uint8Array, at: number, length: number, names: Uint8Array, start: number, end: number): boolean {
  if (length !== end - start) return false;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== lower[names[start + i]!]) return false;
  return true;
}

/** True if the bytes at `at` are source[start, end). */
function isSame(bytes: Uint8Array, at: number, source: Uint8Array, start: number, end: number): boolean {
  const shift = at - start;
  for (let i = start; i < end; i++) if (bytes[i + shift]! !== source[i]!) return false;
  return true;
}

/**
 * A hash over the length and up to 16 bytes: those of both ends and of the middle. The upper bits are the best. Values
 * that differ only elsewhere meet, which costs a comparison. ASCII case is ignored, for the sake of names.
 */
function hashOf(seed: number, bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let hash = Math.imul(seed ^ 0x811c9dc5, 0x01000193) ^ length;
  if (length < 8) {
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i]! | 0x20), 0x9e3779b1);
    return mixed(hash);
  }
  hash = Math.imul(hash ^ word(bytes, start), 0x9e3779b1);
  hash = Math.imul(mixed(hash) ^ word(bytes, start + (length >> 1) - 2), 0x9e3779b1);
  hash = Math.imul(mixed(hash) ^ word(bytes, end - 8), 0x9e3779b1);
  return mixed(Math.imul(mixed(hash) ^ word(bytes, end - 4), 0x9e3779b1));
}

function mixed(hash: number): number {
  return hash ^ (hash >>> 15);
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24) | 0x20202020;
}

/** RFC 7541 5.1, behind the bits `first` of the first byte. There must be room for 6 bytes. */
function putInteger(out: Scratch, first: number, mask: number, value: number): void {
  const { bytes } = out;
  let at = out.length;
  if (value < mask) bytes[at++] = first | value;
  else {
    bytes[at++] = first | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) bytes[at++] = 0x80 | (rest & 0x7f);
    bytes[at++] = rest;
  }
  out.length = at;
}

/** RFC 7541 5.2: in Huffman coding where that is shorter. There must be room for the string and 6 bytes. */
function putString(out: Scratch, source: Uint8Array, start: number, end: number, map: Uint8Array): void {
  const length = end - start;
  const coded = huffmanLength(source, start, end, map);
  const { bytes } = out;
  if (coded < length) {
    putInteger(out, 0x80, 0x7f, coded);
    out.length = encodeHuffman(source, start, end, map, bytes, out.length);
    return;
  }
  putInteger(out, 0, 0x7f, length);
  let at = out.length;
  for (let i = start; i < end; i++) bytes[at++] = map[source[i]!]!;
  out.length = at;
}
