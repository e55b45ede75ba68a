// What stands behind a backslash. Escapes that PCRE and RE2 read differently are refused rather than guessed at.

import { Assert, type ByteSet } from "./ast.ts";
import { escapedSets } from "./byte-set.ts";
import { peek, type Reader, refuse, takeMatch } from "./reader.ts";

export type Escaped =
  /** One character: its bytes. */
  | { readonly kind: "bytes"; readonly bytes: readonly number[] }
  | { readonly kind: "set"; readonly set: ByteSet }
  | { readonly kind: "assert"; readonly assert: Assert };

const controls: ReadonlyMap<string, number> = new Map([
  ["a", 0x07],
  ["e", 0x1b],
  ["f", 0x0c],
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
]);

const asserts: ReadonlyMap<string, Assert> = new Map([
  ["A", Assert.TextStart],
  ["z", Assert.TextEnd],
  ["b", Assert.WordEdge],
  ["B", Assert.NotWordEdge],
]);

const backReference = "a back reference needs backtracking, whose time has no bound";

/** What is known elsewhere and refused here, and what to write instead. */
const refused: ReadonlyMap<string, readonly [string, string]> = new Map([
  ["c", ["\\c is not part of this syntax", "write the byte as \\xHH"]],
  ["C", ["\\C is not part of this syntax", "write . under the flag s: (?s:.)"]],
  ["E", ["\\E is not part of this syntax", "escape each special character with a backslash"]],
  ["g", [backReference, "write the repeated part out, or compare what was captured afterwards"]],
  ["G", ["\\G is not part of this syntax", "write \\A for the beginning"]],
  ["h", ["\\h is not part of this syntax", "write [ \\t]"]],
  ["H", ["\\H is not part of this syntax", "write [^ \\t]"]],
  ["k", [backReference, "write the repeated part out, or compare what was captured afterwards"]],
  ["K", ["\\K is not part of this syntax", "put what you want into a group"]],
  ["N", ["\\N is not part of this syntax", "write [^\\n]"]],
  ["p", ["\\p is not part of this syntax: patterns match bytes", "write a POSIX class such as [[:alpha:]]"]],
  ["P", ["\\P is not part of this syntax: patterns match bytes", "write a POSIX class such as [[:^alpha:]]"]],
  ["Q", ["\\Q is not part of this syntax", "escape each special character with a backslash"]],
  ["R", ["\\R is not part of this syntax", "write \\r?\\n"]],
  ["u", ["\\u is not part of this syntax", "write \\x{HHHH}"]],
  ["v", ["\\v means one byte in RE2 and several in PCRE", "write \\x0b, or [\\n\\x0b\\f\\r]"]],
  ["V", ["\\V is not part of this syntax", "write [^\\n\\x0b\\f\\r]"]],
  ["X", ["\\X is not part of this syntax", "write . or a class"]],
  ["Z", ["\\Z is not part of this syntax", "write \\z for the end, or \\n?\\z"]],
]);

const encoder = new TextEncoder();

/** The bytes of a character in UTF-8. */
export function utf8Of(character: string, position: number): readonly number[] {
  const code = character.codePointAt(0)!;
  if (code < 0x80) return [code];
  if (code >= 0xd800 && code <= 0xdfff) {
    refuse("half of a surrogate pair is no character", position, "write the bytes as \\xHH");
  }
  return [...encoder.encode(character)];
}

/** \xHH is the byte; \x{H…} is the code point, in UTF-8. */
function readHex(reader: Reader, position: number): Escaped {
  const pair = takeMatch(reader, /[0-9A-Fa-f]{2}/y);
  if (pair !== null) return { kind: "bytes", bytes: [Number.parseInt(pair[0], 16)] };
  const braced = takeMatch(reader, /\{([0-9A-Fa-f]{1,8})\}/y);
  if (braced === null) {
    refuse("\\x wants two hexadecimal digits", position, "write \\xHH for a byte, \\x{HHHH} for a code point");
  }
  const code = Number.parseInt(braced[1]!, 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    refuse(`${braced[0]} is not a Unicode character`, position, "code points end at 10FFFF");
  }
  return { kind: "bytes", bytes: utf8Of(String.fromCodePoint(code), position) };
}

/** Reads an escape; the backslash comes next. */
export function readEscape(reader: Reader): Escaped {
  const position = reader.at;
  reader.at++;
  const character = peek(reader);
  if (character === "") refuse("a backslash with nothing behind it", position, "write \\\\ for a backslash");
  reader.at += character.length;
  const control = controls.get(character);
  if (control !== undefined) return { kind: "bytes", bytes: [control] };
  const set = escapedSets.get(character);
  if (set !== undefined) return { kind: "set", set };
  const assert = asserts.get(character);
  if (assert !== undefined) return { kind: "assert", assert };
  if (character === "x") return readHex(reader, position);
  if (character === "0") refuse("octal escapes are not part of this syntax", position, "write \\x00");
  if (/[1-9]/.test(character)) {
    refuse(backReference, position, "write the repeated part out, or compare what was captured afterwards");
  }
  const [message, hint] = refused.get(character) ?? [];
  if (message !== undefined && hint !== undefined) refuse(message, position, hint);
  if (/[A-Za-z]/.test(character)) refuse(`\\${character} has no meaning`, position, `write ${character}`);
  return { kind: "bytes", bytes: utf8Of(character, position) };
}
