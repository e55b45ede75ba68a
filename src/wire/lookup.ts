// Finds values in a head by the user's names: a field, a cookie, a query argument. Spans of bytes as they came: nothing
// is decoded. What the proxy itself looks at has numbers instead (Name in head.ts).

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
} from "./head.ts";
import { lower } from "./h1/tables.ts";

const AMPERSAND = 38;
const SEMICOLON = 59;
const EQUALS = 61;
const QUESTION = 63;
const SPACE = 32;

/** Where a value stands; filled in by whoever finds one, and reused. */
export class Span {
  start = 0;
  end = 0;
}

/** True if bytes[start, end) spell the lower-case Latin-1 name, ignoring ASCII case. */
export function isNamed(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false;
  for (let k = 0; k < name.length; k++) if (lower[bytes[start + k]!] !== name.charCodeAt(k)) return false;
  return true;
}

/** Index of the first field from index `from` on with this (lower-case) name, or -1. Dropped fields count too. */
export function findHeader(head: Head, name: string, from = 0): number {
  const { bytes, fields, fieldCount } = head;
  for (let i = from, at = from * FIELD_WIDTH; i < fieldCount; i++, at += FIELD_WIDTH) {
    if (isNamed(bytes, fields[at + FIELD_NAME]!, fields[at + FIELD_NAME_END]!, name)) return i;
  }
  return -1;
}

/**
 * Finds the value of the first cookie with this (exact) name in the Cookie fields; with after = the end of a value, of
 * the next one behind it.
 */
export function findCookie(head: Head, name: string, found: Span, after = 0): boolean {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.Cookie) continue;
    const start = Math.max(fields[at + FIELD_VALUE]!, after);
    if (findPair(bytes, start, fields[at + FIELD_VALUE_END]!, SEMICOLON, name, found)) return true;
  }
  return false;
}

/** Finds the value of the first argument with this (exact) name in a query, bytes[start, end) without its "?". */
export function findArgument(bytes: Uint8Array, start: number, end: number, name: string, found: Span): boolean {
  return findPair(bytes, start, end, AMPERSAND, name, found);
}

/** Position of the "?" in a request target bytes[start, end), or its end. */
export function pathEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== QUESTION) at++;
  return at;
}

/** The value of name in "a=1<separator>name=value…"; blanks before a name are skipped. A name without "=" is none. */
function findPair(
  bytes: Uint8Array,
  start: number,
  end: number,
  separator: number,
  name: string,
  found: Span,
): boolean {
  let at = start;
  while (at < end) {
    while (at < end && bytes[at] === SPACE) at++;
    let stop = at;
    while (stop < end && bytes[stop] !== separator) stop++;
    if (stop - at > name.length && bytes[at + name.length] === EQUALS) {
      let same = true;
      for (let k = 0; k < name.length && same; k++) same = bytes[at + k] === name.charCodeAt(k);
      if (same) {
        found.start = at + name.length + 1;
        found.end = stop;
        return true;
      }
    }
    at = stop + 1;
  }
  return false;
}
