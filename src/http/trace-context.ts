// W3C Trace Context (Recommendation of 2021, level 1): a well-formed traceparent of the client goes on as it came, for
// we record no spans of our own; otherwise a trace begins here, so that what endpoints log of one request belongs
// together.

import type { Scratch } from "../base/bytes.ts";
import { mix32 } from "../base/hash.ts";
import { hexValue, latin1 } from "../wire/h1/tables.ts";
import {
  dropFields,
  FIELD_HOP,
  FIELD_ID,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
  Name,
} from "../wire/head.ts";

const nameAndVersion = latin1("traceparent: 00-");
/**
 * Sampled. Not sampled would turn tracing off in endpoints that follow their parent, which is what the SDKs of
 * OpenTelemetry do unless told otherwise.
 */
const flagsAndEnd = latin1("-01\r\n");
const hexDigits = latin1("0123456789abcdef");
const DASH = 45;
/** Of version 00: "00-" 32 digits "-" 16 digits "-" 2 digits. */
const length00 = 55;
const parent = new Uint32Array(2);

/** Begins a trace in `added` unless the request brings one. id = four random words: the trace's id. */
export function addTraceContext(added: Scratch, head: Head, id: Uint32Array): void {
  const sent = theOne(head);
  if (sent >= 0 && isWellFormed(head, sent)) return;
  // Ours takes the place of what is malformed or there twice; the state belongs to it (3.3) and goes with it.
  dropFields(head, Name.Traceparent);
  dropFields(head, Name.Tracestate);
  parent[0] = mix32(id[0]! ^ 0x9e3779b9) | 1; // anything but zero; another number for every trace is all it has to be
  parent[1] = mix32(id[1]! ^ id[2]!);
  added.putAll(nameAndVersion);
  putHexWords(added, id, 4);
  added.putByte(DASH);
  putHexWords(added, parent, 2);
  added.putAll(flagsAndEnd);
}

/** Index of the only traceparent that may be passed on, or -1. */
function theOne(head: Head): number {
  let index = -1;
  for (let i = 0, at = FIELD_ID; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    const id = head.fields[at]!;
    if ((id & FIELD_NAME_MASK) !== Name.Traceparent || (id & FIELD_HOP) !== 0) continue;
    if (index >= 0) return -1;
    index = i;
  }
  return index;
}

/** Section 3.2.2. Of a version that is not known yet only the beginning is. */
function isWellFormed(head: Head, index: number): boolean {
  const { bytes } = head;
  const start = head.fields[index * FIELD_WIDTH + FIELD_VALUE]!;
  const length = head.fields[index * FIELD_WIDTH + FIELD_VALUE_END]! - start;
  if (length < length00) return false;
  const version = hexOf(bytes, start, 2);
  if (version === NOT_HEX || (bytes[start] === 102 && bytes[start + 1] === 102)) return false; // ff is forbidden
  if (length > length00 && (version === ZERO || bytes[start + length00] !== DASH)) return false;
  if (bytes[start + 2] !== DASH || bytes[start + 35] !== DASH || bytes[start + 52] !== DASH) return false;
  return (
    hexOf(bytes, start + 3, 32) === NOT_ZERO &&
    hexOf(bytes, start + 36, 16) === NOT_ZERO &&
    hexOf(bytes, start + 53, 2) !== NOT_HEX
  );
}

const NOT_HEX = 0;
const ZERO = 1;
const NOT_ZERO = 2;

/** What count lower-case hexadecimal digits at `at` come to. */
function hexOf(bytes: Uint8Array, at: number, count: number): number {
  let isZero = true;
  for (let i = at; i < at + count; i++) {
    const c = bytes[i]!;
    if (hexValue[c] === 255 || (c >= 65 && c <= 70)) return NOT_HEX;
    if (c !== 48) isZero = false;
  }
  return isZero ? ZERO : NOT_ZERO;
}

/** Appends the first `count` words, each as 8 lower-case digits. */
export function putHexWords(out: Scratch, words: Uint32Array, count: number): void {
  out.reserve(8 * count);
  const { bytes } = out;
  let at = out.length;
  for (let i = 0; i < count; i++) {
    const word = words[i]!;
    for (let shift = 28; shift >= 0; shift -= 4) bytes[at++] = hexDigits[(word >>> shift) & 15]!;
  }
  out.length = at;
}
