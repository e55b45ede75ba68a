// Which content coding a client likes best, by its Accept-Encoding fields (RFC 9110 12.5.3). Those that have none get
// what the endpoint sent: by the RFC they take anything, but many of them only never thought about it.

import type { Coding } from "../model/route-config.ts";
import { DIGIT, kind, TCHAR } from "../wire/h1/tables.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, type Head } from "../wire/head.ts";
import { findHeader, isNamed } from "../wire/lookup.ts";

const COMMA = 44;
const SEMICOLON = 59;
const EQUALS = 61;
const DOT = 46;
const ZERO = 48;
const SPACE = 32;
const TAB = 9;

/** What one request says: weights in thousandths, -1 = not mentioned. Filled anew by each choice. */
const weights = { gzip: -1, br: -1, zstd: -1, identity: -1, any: -1 };

/**
 * The best of these codings, in our order of preference where the client likes several equally; null = none of them is
 * wanted.
 */
export function chooseCoding(request: Head, codings: readonly Coding[]): Coding | null {
  let index = findHeader(request, "accept-encoding");
  if (index < 0) return null;
  weights.gzip = weights.br = weights.zstd = weights.identity = weights.any = -1;
  for (; index >= 0; index = findHeader(request, "accept-encoding", index + 1)) {
    const at = index * FIELD_WIDTH;
    readList(request.bytes, request.fields[at + FIELD_VALUE]!, request.fields[at + FIELD_VALUE_END]!);
  }
  let best: Coding | null = null;
  let least = Math.max(weights.identity, 1); // liked as much as being left alone is enough
  for (let i = 0; i < codings.length; i++) {
    const coding = codings[i]!;
    const weight = weights[coding] < 0 ? weights.any : weights[coding];
    if (weight < least) continue;
    best = coding;
    least = weight + 1;
  }
  return best;
}

/** Reads "coding [;q=weight], …". What is malformed counts as not said. */
function readList(bytes: Uint8Array, start: number, end: number): void {
  let at = start;
  while (at < end) {
    at = skipBlanks(bytes, at, end);
    const nameStart = at;
    while (at < end && (kind[bytes[at]!]! & TCHAR) !== 0) at++;
    const nameEnd = at;
    let stop = at;
    while (stop < end && bytes[stop] !== COMMA) stop++;
    const weight = readWeight(bytes, skipBlanks(bytes, at, stop), stop);
    if (weight >= 0 && nameEnd > nameStart) note(bytes, nameStart, nameEnd, weight);
    at = stop + 1;
  }
}

function skipBlanks(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  return at;
}

/** The weight in bytes[start, end) = [";" OWS "q=" qvalue OWS], in thousandths; -1 if it is malformed. */
function readWeight(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return 1000;
  if (bytes[start] !== SEMICOLON) return -1;
  let at = skipBlanks(bytes, start + 1, end);
  if (!isNamed(bytes, at, Math.min(at + 1, end), "q") || bytes[at + 1] !== EQUALS) return -1;
  at += 2;
  if (at >= end || (bytes[at] !== ZERO && bytes[at] !== ZERO + 1)) return -1;
  let weight = (bytes[at++]! - ZERO) * 1000;
  if (at < end && bytes[at] === DOT) {
    at++;
    // More digits than the three that are allowed say nothing that matters.
    for (let unit = 100; at < end && (kind[bytes[at]!]! & DIGIT) !== 0; unit = Math.floor(unit / 10)) {
      weight += (bytes[at++]! - ZERO) * unit;
    }
  }
  return skipBlanks(bytes, at, end) === end ? Math.min(weight, 1000) : -1;
}

/** What is said twice counts as the lower of the two. */
function note(bytes: Uint8Array, start: number, end: number, weight: number): void {
  if (isNamed(bytes, start, end, "gzip") || isNamed(bytes, start, end, "x-gzip")) {
    weights.gzip = lower(weights.gzip, weight);
  } else if (isNamed(bytes, start, end, "br")) weights.br = lower(weights.br, weight);
  else if (isNamed(bytes, start, end, "zstd")) weights.zstd = lower(weights.zstd, weight);
  else if (isNamed(bytes, start, end, "identity")) weights.identity = lower(weights.identity, weight);
  else if (isNamed(bytes, start, end, "*")) weights.any = lower(weights.any, weight);
}

function lower(before: number, weight: number): number {
  return before < 0 ? weight : Math.min(before, weight);
}
