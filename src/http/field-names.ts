// A set of field names of the user's, asked about each field of a message. The names that the proxy itself looks at
// have numbers instead (Name in wire/head.ts).

import type { Scratch } from "../base/bytes.ts";
import { FIELD_DROPPED, FIELD_ID, FIELD_NAME, FIELD_NAME_END, FIELD_WIDTH, type Head } from "../wire/head.ts";
import { latin1, lower } from "../wire/h1/tables.ts";

const DASH = 45;
const UNDERSCORE = 95;
const COLON = 58;
const LF = 10;

export class FieldNames {
  private readonly names: readonly Uint8Array[];
  /** Bit (length modulo 32) is set if a name has such a length. */
  private readonly lengths: number;
  /** Spellings with underscores instead of dashes count too. */
  private readonly withLookalikes: boolean;

  /** Names in any case. */
  constructor(names: Iterable<string>, withLookalikes: boolean) {
    const unique = new Set([...names].map((name) => name.toLowerCase()));
    this.names = [...unique].map(latin1);
    this.lengths = this.names.reduce((bits, name) => bits | (1 << (name.length & 31)), 0);
    this.withLookalikes = withLookalikes;
  }

  get isEmpty(): boolean {
    return this.names.length === 0;
  }

  /** True if bytes[start, end) spell one of the names in any case. */
  has(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (((this.lengths >>> (length & 31)) & 1) === 0) return false;
    for (let i = 0; i < this.names.length; i++) {
      const name = this.names[i]!;
      if (name.length === length && this.spells(bytes, start, name)) return true;
    }
    return false;
  }

  private spells(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
    for (let k = 0; k < name.length; k++) {
      const c = lower[bytes[start + k]!]!;
      if (c !== name[k]! && !(this.withLookalikes && c === UNDERSCORE && name[k] === DASH)) return false;
    }
    return true;
  }

  /** Marks the fields of the head with such a name as dropped. */
  dropFrom(head: Head): void {
    const { bytes, fields, fieldCount } = head;
    for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
      if (this.has(bytes, fields[at + FIELD_NAME]!, fields[at + FIELD_NAME_END]!)) {
        fields[at + FIELD_ID]! |= FIELD_DROPPED;
      }
    }
  }

  /** Takes the lines with such a name out of whole field lines. */
  dropLines(lines: Scratch): void {
    const { bytes, length } = lines;
    let to = 0;
    for (let at = 0; at < length;) {
      let nameEnd = at;
      while (nameEnd < length && bytes[nameEnd] !== COLON) nameEnd++;
      let next = nameEnd;
      while (next < length && bytes[next] !== LF) next++;
      next++;
      if (!this.has(bytes, at, nameEnd)) {
        if (to !== at) bytes.copyWithin(to, at, next);
        to += next - at;
      }
      at = next;
    }
    lines.length = to;
  }
}
