// Conditions on named values of a request: header fields, cookies, arguments of the query. Any one of a condition's
// patterns has to fit any one of the name's occurrences; without patterns the name has to be there. Reads bytes where
// they stand; only an argument with escapes is decoded, into one buffer that is reused.

import type { FieldMatch } from "../model/route-config.ts";
import {
  FIELD_ID,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
  Name,
} from "../wire/head.ts";
import { equalsLower, hexValue, nameOf } from "../wire/h1/tables.ts";
import { compileGlob, type Glob } from "./glob.ts";

const TAB = 9;
const SPACE = 32;
const PERCENT = 37;
const AMPERSAND = 38;
const PLUS = 43;
const SEMICOLON = 59;
const EQUALS = 61;

/** A FieldMatch, compiled. */
export class FieldTest {
  readonly config: FieldMatch;
  readonly name: Uint8Array;
  /** As a header field. */
  readonly id: Name;
  readonly globs: readonly Glob[];
  readonly absent: boolean;

  constructor(config: FieldMatch) {
    this.config = config;
    this.name = new TextEncoder().encode(config.name);
    this.id = nameOf(this.name, 0, this.name.length);
    this.globs = config.patterns.map((pattern) => compileGlob(pattern));
    this.absent = config.absent;
  }

  /** True if a value bytes[start, end) is what the condition speaks of. */
  fits(bytes: Uint8Array, start: number, end: number): boolean {
    const { globs } = this;
    if (globs.length === 0) return true;
    for (let i = 0; i < globs.length; i++) if (globs[i]!.matches(bytes, start, end)) return true;
    return false;
  }
}

/** Each line of a field by itself: "a, b" in one line is one value. */
export function headerHolds(test: FieldTest, head: Head): boolean {
  const { bytes, fields, fieldCount } = head;
  const { id, name } = test;
  const ambiguous = id === Name.Other || id === Name.Lookalike;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== id) continue;
    if (ambiguous) {
      const start = fields[at + FIELD_NAME]!;
      if (fields[at + FIELD_NAME_END]! - start !== name.length || !equalsLower(bytes, start, name)) continue;
    }
    if (test.fits(bytes, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!)) return !test.absent;
  }
  return test.absent;
}

/** RFC 6265 5.4: pairs between semicolons. A pair without "=" is no cookie; quotes are part of the value. */
export function cookieHolds(test: FieldTest, head: Head): boolean {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.Cookie) continue;
    if (anyCookie(test, bytes, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!)) return !test.absent;
  }
  return test.absent;
}

function anyCookie(test: FieldTest, bytes: Uint8Array, start: number, end: number): boolean {
  const { name } = test;
  for (let at = start; at < end;) {
    while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
    let stop = at;
    while (stop < end && bytes[stop] !== SEMICOLON) stop++;
    const value = at + name.length + 1;
    if (value <= stop && bytes[value - 1] === EQUALS && spells(bytes, at, name)) {
      let valueEnd = stop;
      while (valueEnd > value && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--;
      if (test.fits(bytes, value, valueEnd)) return true;
    }
    at = stop + 1;
  }
  return false;
}

function spells(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return true;
}

/**
 * Arguments between "&" in the query bytes[start, end). Names and values are compared after decoding escapes and "+",
 * as forms are read (WHATWG URL, application/x-www-form-urlencoded); a "%" that begins no escape stands for itself. An
 * argument without "=" has an empty value.
 */
export function argumentHolds(test: FieldTest, bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end;) {
    let equals = -1;
    let stop = at;
    for (; stop < end && bytes[stop] !== AMPERSAND; stop++) if (bytes[stop] === EQUALS && equals < 0) equals = stop;
    if (stop > at) {
      const nameEnd = equals < 0 ? stop : equals;
      if (isArgument(test.name, bytes, at, nameEnd) && argumentFits(test, bytes, nameEnd + 1, stop)) {
        return !test.absent;
      }
    }
    at = stop + 1;
  }
  return test.absent;
}

/** True if bytes[at, end), decoded, spell the name. */
function isArgument(name: Uint8Array, bytes: Uint8Array, at: number, end: number): boolean {
  for (let i = 0; i < name.length; i++) {
    if (at >= end) return false;
    const escaped = escapeAt(bytes, at, end);
    if ((escaped < 0 ? plain(bytes[at]!) : escaped) !== name[i]) return false;
    at += escaped < 0 ? 1 : 3;
  }
  return at === end;
}

function plain(byte: number): number {
  return byte === PLUS ? SPACE : byte;
}

/** The byte that an escape at `at` stands for, or -1 if there is none. */
function escapeAt(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== PERCENT || at + 2 >= end) return -1;
  const high = hexValue[bytes[at + 1]!]!;
  const low = hexValue[bytes[at + 2]!]!;
  return (high | low) > 15 ? -1 : (high << 4) | low;
}

/** Decoded values; grows to the longest there was, and a request's head bounds that. */
let decoded = new Uint8Array(256);

function argumentFits(test: FieldTest, bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && bytes[at] !== PERCENT && bytes[at] !== PLUS) at++;
  if (at >= end) return test.fits(bytes, start, Math.max(start, end));
  if (decoded.length < end - start) decoded = new Uint8Array(2 * (end - start));
  let length = 0;
  for (at = start; at < end; length++) {
    const escaped = escapeAt(bytes, at, end);
    decoded[length] = escaped < 0 ? plain(bytes[at]!) : escaped;
    at += escaped < 0 ? 1 : 3;
  }
  return test.fits(decoded, 0, length);
}
