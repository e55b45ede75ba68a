// The dynamic table of HPACK (RFC 7541 2.3.2, 4): fields in the order they were entered, the oldest ones evicted when
// their sizes exceed the limit. Entries are kept as whole lines ("name: value" CRLF) behind one another in one piece of
// memory, so that using one is a single copy. The memory grows with what is entered. Decoder and encoder both have one.

import { copyBytes } from "../../base/bytes.ts";

/** What an entry counts besides its name and its value (RFC 7541 4.1). */
export const ENTRY_OVERHEAD = 32;
/**
 * Bytes of a line besides its name and its value: ": " and CRLF. Fewer than ENTRY_OVERHEAD, so a full table has room.
 */
export const LINE_OVERHEAD = 4;

/** Columns of `entries`; the place of an entry is what slotOf() says. */
export const ENTRY_WIDTH = 4;
export const ENTRY_START = 0; // of the line in `bytes`
export const ENTRY_NAME_LENGTH = 1;
export const ENTRY_VALUE_LENGTH = 2;
export const ENTRY_TAG = 3; // a number of the user's

const entriesMin = 16;
const bytesMin = 512;

export class DynamicTable {
  /** Lines of the entries. Replaced when it grows, moved when it is full: ask again after each enter(). */
  bytes: Uint8Array = empty;
  entries: Int32Array = noEntries;
  /** Sum of the entries' sizes, and what it may come to. */
  size = 0;
  sizeMax: number;
  /** Number of the oldest entry and of the next one, counted from the connection's first; modulo 2^32. */
  oldest = 0;
  next = 0;
  private tail = 0;

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
  }

  get count(): number {
    return (this.next - this.oldest) | 0;
  }

  /** The place in `entries` of the entry with this number. */
  slotOf(number: number): number {
    return (number & (this.entries.length / ENTRY_WIDTH - 1)) * ENTRY_WIDTH;
  }

  /** True if the entry with this number has not been evicted. Numbers that are 2^31 old are not told apart. */
  has(number: number): boolean {
    return ((number - this.oldest) | 0) >= 0 && ((this.next - number) | 0) > 0;
  }

  /** Changes the limit and evicts what exceeds it. */
  resize(sizeMax: number): void {
    this.sizeMax = sizeMax;
    this.evict(sizeMax);
  }

  /**
   * Makes an entry and returns where in `bytes` its line is to be written, or -1: a field larger than the table empties
   * it and is not entered (RFC 7541 4.4).
   */
  enter(nameLength: number, valueLength: number, tag: number): number {
    const size = nameLength + valueLength + ENTRY_OVERHEAD;
    this.evict(this.sizeMax - size);
    if (size > this.sizeMax) return -1;
    const line = nameLength + valueLength + LINE_OVERHEAD;
    if (this.tail + line > this.bytes.length) this.makeRoom(line);
    if (this.count * ENTRY_WIDTH === this.entries.length) this.growEntries();
    const { entries } = this;
    const start = this.tail;
    const slot = this.slotOf(this.next);
    entries[slot + ENTRY_START] = start;
    entries[slot + ENTRY_NAME_LENGTH] = nameLength;
    entries[slot + ENTRY_VALUE_LENGTH] = valueLength;
    entries[slot + ENTRY_TAG] = tag;
    this.next = (this.next + 1) | 0;
    this.size += size;
    this.tail = start + line;
    return start;
  }

  /** Evicts the oldest entries until the others' sizes come to at most sizeMax. */
  private evict(sizeMax: number): void {
    while (this.size > sizeMax && this.oldest !== this.next) {
      const slot = this.slotOf(this.oldest);
      const length = this.entries[slot + ENTRY_NAME_LENGTH]! + this.entries[slot + ENTRY_VALUE_LENGTH]!;
      this.size -= length + ENTRY_OVERHEAD;
      this.oldest = (this.oldest + 1) | 0;
    }
    if (this.oldest === this.next) this.tail = 0;
  }

  /**
   * Moves the lines to the front, of wider memory unless they take less than half of it: what is moved has been entered
   * before and is moved again only after as much, so an entry costs a constant number of copies.
   */
  private makeRoom(line: number): void {
    const first = this.count === 0 ? this.tail : this.entries[this.slotOf(this.oldest) + ENTRY_START]!;
    const live = this.tail - first;
    const from = this.bytes;
    let length = Math.max(from.length, bytesMin);
    while ((live + line) * 2 > length) length *= 2;
    if (length > from.length) {
      this.bytes = new Uint8Array(length);
      copyBytes(this.bytes, 0, from, first, this.tail);
    } else from.copyWithin(0, first, this.tail);
    for (let number = this.oldest; number !== this.next; number = (number + 1) | 0) {
      this.entries[this.slotOf(number) + ENTRY_START]! -= first;
    }
    this.tail = live;
  }

  private growEntries(): void {
    const from = this.entries;
    const wider = new Int32Array(Math.max(entriesMin * ENTRY_WIDTH, from.length * 2));
    const { oldest, next } = this;
    const count = from.length / ENTRY_WIDTH;
    for (let number = oldest; number !== next; number = (number + 1) | 0) {
      const at = (number & (count - 1)) * ENTRY_WIDTH;
      const to = (number & (wider.length / ENTRY_WIDTH - 1)) * ENTRY_WIDTH;
      for (let k = 0; k < ENTRY_WIDTH; k++) wider[to + k] = from[at + k]!;
    }
    this.entries = wider;
  }
}

const empty = new Uint8Array(0);
const noEntries = new Int32Array(0);
