// Request paths in one form, for matching and forwarding alike: what a route decided about is what the endpoint sees.
// Works on bytes, in one pass without any allocation where the path is in that form already. It does not touch the
// query, and it never decodes twice: %252e stays what it is.
//
// Normal form (RFC 3986 6.2.2): dot segments are gone, also those spelled with escapes; unreserved characters stand for
// themselves; every other byte that a path may not hold raw is an escape in capitals. Beyond the RFC, paths that
// programs are known to read in different ways are refused: escapes that are none, escaped control bytes, escaped
// slashes and backslashes (by default), and dot segments with a parameter ("..;"), which servlet containers take for
// dot segments and others do not.

import type { Scratch } from "../base/bytes.ts";
import type { PathsConfig } from "../model/route-config.ts";
import { type Head, Method } from "../wire/head.ts";
import { hexValue, latin1 } from "../wire/h1/tables.ts";
import { pathEnd } from "../wire/lookup.ts";
import type { MatchInput } from "./match-input.ts";

/** What became of a path. Everything from BadEscape on is a refusal: status 400. */
export const PathVerdict = {
  /** It may be forwarded as it came. */
  Unchanged: 0,
  /** The target to forward is in the scratch. */
  Rewritten: 1,
  /** "%" without two hexadecimal digits. */
  BadEscape: 2,
  /** A control byte, as an escape or raw. */
  ControlByte: 3,
  /** %2F, %5C or a backslash where they are refused. */
  EncodedSlash: 4,
  /** "//" where it is refused. */
  EmptySegment: 5,
  /** "." or ".." in front of ";", or beside an escaped slash: some programs take it for a dot segment. */
  HiddenDots: 6,
  /** Not in normal form, where nothing else is taken (mode strict). */
  NotNormal: 7,
} as const;
export type PathVerdict = (typeof PathVerdict)[keyof typeof PathVerdict];

const refusals: readonly string[] = [
  "",
  "",
  "% without two hexadecimal digits in the path",
  "a control character in the path",
  "an escaped slash or a backslash in the path",
  "an empty segment (//) in the path",
  "a hidden dot segment in the path",
  "the path is not in normal form",
];

/** Why a path was refused, for people; "" if it was not. */
export function pathRefusal(verdict: PathVerdict): string {
  return refusals[verdict] ?? "";
}

/** True if the verdict is a refusal. */
export function isRefused(verdict: PathVerdict): boolean {
  return verdict > PathVerdict.Rewritten;
}

/** PathsConfig, for the hot path. */
export interface PathRules {
  readonly raw: boolean;
  readonly strict: boolean;
  readonly slashes: Slashes;
  readonly keepEncodedSlashes: boolean;
}

const Slashes = { Merge: 0, Keep: 1, Refuse: 2 } as const;
type Slashes = (typeof Slashes)[keyof typeof Slashes];

export function compilePathRules(config: PathsConfig): PathRules {
  return {
    raw: config.mode === "raw",
    strict: config.mode === "strict",
    slashes: { merge: Slashes.Merge, keep: Slashes.Keep, refuse: Slashes.Refuse }[config.slashes],
    keepEncodedSlashes: config.encodedSlashes === "keep",
  };
}

const SLASH = 47;
const DOT = 46;
const PERCENT = 37;
const QUESTION = 63;
const SEMICOLON = 59;

/** Bits of byteKind. */
const RAW = 1; // may stand in a path for itself: pchar of RFC 3986 without "%"
const UNRESERVED = 2; // RFC 3986 2.3: the same escaped or not
const CONTROL = 4;
const SEPARATOR = 8; // "/", and what some take for it

const byteKind = new Uint8Array(256);
for (let c = 0; c < 128; c++) {
  const ch = String.fromCharCode(c);
  if (/[A-Za-z0-9\-._~!$&'()*+,;=:@]/.test(ch)) byteKind[c]! |= RAW;
  if (/[A-Za-z0-9\-._~]/.test(ch)) byteKind[c]! |= UNRESERVED;
  if (c < 32 || c === 127) byteKind[c]! |= CONTROL;
  if (ch === "/" || ch === "\\") byteKind[c]! |= SEPARATOR;
}

const root = latin1("/");
const asterisk = latin1("*");

/**
 * Brings the target's path into the form that the rules want, and fills in the input's path and query. When the verdict
 * is Rewritten, out holds the whole target to forward (path and query) from its beginning, and the input's path points
 * into it; otherwise out is left alone or in disorder. A refused path leaves the input without meaning.
 */
export function preparePath(head: Head, rules: PathRules, out: Scratch, input: MatchInput): PathVerdict {
  const { bytes, targetStart, targetEnd } = head;
  if (targetStart === targetEnd || bytes[targetStart] === QUESTION) {
    // Absolute form without a path: it means "/", or "*" of the server (RFC 9112 3.2.4). The writer supplies it.
    input.path = targetStart === targetEnd && head.method === Method.Options ? asterisk : root;
    input.pathStart = 0;
    input.pathEnd = 1;
    input.queryStart = targetStart === targetEnd ? targetEnd : targetStart + 1;
    return PathVerdict.Unchanged;
  }
  input.path = bytes;
  input.pathStart = targetStart;
  const asIs = rules.raw || bytes[targetStart] !== SLASH; // "*" is no path
  const end = asIs ? pathEnd(bytes, targetStart, targetEnd) : normalEnd(bytes, targetStart, targetEnd, rules);
  if (end >= 0) {
    input.pathEnd = end;
    input.queryStart = end < targetEnd ? end + 1 : targetEnd;
    return PathVerdict.Unchanged;
  }
  return rewriteTarget(head, rules, out, input);
}

/**
 * The end of the path in bytes[start, end), which begins with a slash, if it is in normal form; -1 if it is not, or
 * needs a closer look.
 */
function normalEnd(bytes: Uint8Array, start: number, end: number, rules: PathRules): number {
  const keepEmpty = rules.slashes === Slashes.Keep;
  for (let at = start; at < end; at++) {
    const c = bytes[at]!;
    if ((byteKind[c]! & RAW) !== 0) continue;
    if (c === SLASH) {
      if (at + 1 === end) continue;
      const next = bytes[at + 1]!;
      if (next === SLASH && !keepEmpty) return -1;
      if (next === DOT && maybeDots(bytes, at + 1, end)) return -1;
    } else if (c === QUESTION) return at;
    else if (c === PERCENT && at + 2 < end && isNormalEscape(bytes[at + 1]!, bytes[at + 2]!)) at += 2;
    else return -1;
  }
  return end;
}

/** True unless the segment at `at`, which begins with a dot, is plainly no dot segment. */
function maybeDots(bytes: Uint8Array, at: number, end: number): boolean {
  let after = at + 1;
  if (after < end && bytes[after] === DOT) after++;
  if (after === end) return true;
  const c = bytes[after]!;
  return c === SLASH || c === QUESTION || c === SEMICOLON || c === PERCENT;
}

/** True for an escape that stays as it is. Escaped separators are none here: they want a closer look. */
function isNormalEscape(high: number, low: number): boolean {
  if (high > 70 || low > 70) return false; // lower case, or no digit at all
  const h = hexValue[high]!;
  const l = hexValue[low]!;
  return (h | l) < 16 && (byteKind[(h << 4) | l]! & (UNRESERVED | CONTROL | SEPARATOR)) === 0;
}

/** The slow way: writes the normal form and sees whether it differs. */
function rewriteTarget(head: Head, rules: PathRules, out: Scratch, input: MatchInput): PathVerdict {
  const { bytes, targetStart, targetEnd } = head;
  const end = pathEnd(bytes, targetStart, targetEnd);
  out.length = 0;
  out.reserve(3 * (end - targetStart)); // every byte may become an escape
  const length = putNormal(bytes, targetStart, end, rules, out.bytes);
  if (length < 0) return -length as PathVerdict;
  input.queryStart = end < targetEnd ? end + 1 : targetEnd;
  if (same(bytes, targetStart, end, out.bytes, length)) {
    input.pathEnd = end;
    return PathVerdict.Unchanged;
  }
  if (rules.strict) return PathVerdict.NotNormal;
  out.length = length;
  out.put(bytes, end, targetEnd);
  input.path = out.bytes;
  input.pathStart = 0;
  input.pathEnd = length;
  return PathVerdict.Rewritten;
}

function same(bytes: Uint8Array, start: number, end: number, other: Uint8Array, length: number): boolean {
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== other[i]) return false;
  return true;
}

/**
 * Writes the normal form of the path bytes[start, end), which begins with a slash, to the beginning of `to`, which has
 * the room. Returns its length, or the negative refusal. RFC 3986 5.2.4 in one pass: "to" is the RFC's output buffer.
 */
function putNormal(bytes: Uint8Array, start: number, end: number, rules: PathRules, to: Uint8Array): number {
  let length = 0;
  let open = false; // the output ends with the slash that the next segment is to stand behind
  for (let at = start; at < end;) {
    if (!open) to[length++] = SLASH;
    open = false;
    const segment = length;
    const first = ++at;
    while (at < end && bytes[at] !== SLASH) at++;
    if (first === at && at < end) {
      if (rules.slashes === Slashes.Refuse) return -PathVerdict.EmptySegment;
      open = rules.slashes === Slashes.Merge;
      continue;
    }
    length = putSegment(bytes, first, at, rules, to, segment);
    if (length < 0) return length;
    const dots = dotsAt(to, segment, length);
    if (dots === Dots.Hidden) return -PathVerdict.HiddenDots;
    if (dots === Dots.None) continue;
    open = true;
    length = segment;
    if (dots === Dots.Two && length > 1) {
      length--; // its own slash; then back to the one before the segment it takes away
      while (to[length - 1] !== SLASH) length--;
    }
  }
  return length;
}

/** Appends the segment bytes[at, end) to `to`. Returns the length after it, or the negative refusal. */
function putSegment(
  bytes: Uint8Array,
  at: number,
  end: number,
  rules: PathRules,
  to: Uint8Array,
  length: number,
): number {
  const segment = length;
  let part = segment; // of those that escaped separators make
  while (at < end) {
    let value = bytes[at++]!;
    let kind = byteKind[value]!;
    if ((kind & RAW) !== 0) {
      to[length++] = value;
      continue;
    }
    if (value === PERCENT) {
      if (at + 2 > end) return -PathVerdict.BadEscape;
      const high = hexValue[bytes[at]!]!;
      const low = hexValue[bytes[at + 1]!]!;
      if ((high | low) > 15) return -PathVerdict.BadEscape;
      at += 2;
      value = (high << 4) | low;
      kind = byteKind[value]!;
      if ((kind & UNRESERVED) !== 0) {
        to[length++] = value;
        continue;
      }
    }
    if ((kind & CONTROL) !== 0) return -PathVerdict.ControlByte;
    if ((kind & SEPARATOR) !== 0) {
      if (!rules.keepEncodedSlashes) return -PathVerdict.EncodedSlash;
      if (dotsAt(to, part, length) !== Dots.None) return -PathVerdict.HiddenDots;
      part = length + 3;
    }
    to[length++] = PERCENT;
    to[length++] = upperHex[value >> 4]!;
    to[length++] = upperHex[value & 15]!;
  }
  if (part !== segment && dotsAt(to, part, length) !== Dots.None) return -PathVerdict.HiddenDots;
  return length;
}

const upperHex = latin1("0123456789ABCDEF");

const Dots = { None: 0, One: 1, Two: 2, Hidden: 3 } as const;
type Dots = (typeof Dots)[keyof typeof Dots];

/** Whether the normalised bytes[start, end) are a dot segment, or one with a parameter behind it. */
function dotsAt(bytes: Uint8Array, start: number, end: number): Dots {
  let at = start;
  while (at < end && at < start + 2 && bytes[at] === DOT) at++;
  if (at === start) return Dots.None;
  if (at === end) return at === start + 1 ? Dots.One : Dots.Two;
  if (bytes[at] === SEMICOLON) return Dots.Hidden;
  // Escaped as well: a proxy in between that decodes would make it one.
  if (at + 2 < end && bytes[at] === PERCENT && bytes[at + 1] === 51 && bytes[at + 2] === 66) return Dots.Hidden;
  return Dots.None;
}

/**
 * The bytes of a path, or a piece of one, that a configuration names, in the form that the rules give request paths: so
 * "/café" and "/caf%C3%A9" name the same. Dot segments and slashes are left alone.
 */
export function normalPathBytes(text: string, rules: PathRules): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (rules.raw) return bytes;
  const normal: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    let value = bytes[at]!;
    let plain = (byteKind[value]! & RAW) !== 0 || value === SLASH;
    if (value === PERCENT) {
      const high = hexValue[bytes[at + 1] ?? 0]!;
      const low = hexValue[bytes[at + 2] ?? 0]!;
      if ((high | low) < 16) {
        at += 2;
        value = (high << 4) | low;
        plain = (byteKind[value]! & UNRESERVED) !== 0;
      }
    }
    if (plain) normal.push(value);
    else normal.push(PERCENT, upperHex[value >> 4]!, upperHex[value & 15]!);
  }
  return Uint8Array.from(normal);
}
