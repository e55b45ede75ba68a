// Sets of bytes for character classes, and the named ones: \d \w \s and POSIX's. ASCII throughout: a byte of 128 or
// more is no letter, no digit and no space, and has no other case.

import type { ByteSet } from "./ast.ts";

export function emptySet(): ByteSet {
  return new Uint8Array(256);
}

/** Both ends included. */
export function addRange(set: ByteSet, first: number, last: number): void {
  set.fill(1, first, last + 1);
}

export function addAll(set: ByteSet, more: ByteSet): void {
  for (let byte = 0; byte < 256; byte++) if (more[byte] === 1) set[byte] = 1;
}

export function negated(set: ByteSet): ByteSet {
  return set.map((member) => 1 - member);
}

/** The set with the other case of each of its letters. */
export function withBothCases(set: ByteSet): ByteSet {
  const both = set.slice();
  for (let upper = 0x41; upper <= 0x5a; upper++) {
    const lower = upper | 0x20;
    if (set[upper] === 1 || set[lower] === 1) both[upper] = both[lower] = 1;
  }
  return both;
}

export function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

/** "azAZ__" = a to z, A to Z and the underscore. */
function setOf(ranges: string): ByteSet {
  const set = emptySet();
  for (let i = 0; i < ranges.length; i += 2) addRange(set, ranges.charCodeAt(i), ranges.charCodeAt(i + 1));
  return set;
}

/** What \b sees as a word: letters, digits, underscore. */
export const wordBytes: ByteSet = setOf("azAZ09__");

/** `.` without the flag s. */
export const allButNewline: ByteSet = negated(setOf("\n\n"));
export const allBytes: ByteSet = setOf("\0\xff");

/** By the letter behind the backslash; capitals are the complements. */
export const escapedSets: ReadonlyMap<string, ByteSet> = new Map([
  ["d", setOf("09")],
  ["w", wordBytes],
  ["s", setOf("\t\r  ")],
  ["D", negated(setOf("09"))],
  ["W", negated(wordBytes)],
  ["S", negated(setOf("\t\r  "))],
]);

/** By the name between [: and :]. */
export const posixSets: ReadonlyMap<string, ByteSet> = new Map([
  ["alnum", setOf("azAZ09")],
  ["alpha", setOf("azAZ")],
  ["ascii", setOf("\0\x7f")],
  ["blank", setOf("\t\t  ")],
  ["cntrl", setOf("\0\x1f\x7f\x7f")],
  ["digit", setOf("09")],
  ["graph", setOf("!~")],
  ["lower", setOf("az")],
  ["print", setOf(" ~")],
  ["punct", setOf("!/:@[`{~")],
  ["space", setOf("\t\r  ")],
  ["upper", setOf("AZ")],
  ["word", wordBytes],
  ["xdigit", setOf("09AFaf")],
]);
