// What a response says about its content, as far as compression wants to know: the fields of its head that are still
// to be sent, and the lines of ours behind them.

import { copyBytes, Scratch } from "../base/bytes.ts";
import { DIGIT, kind, lower, TCHAR } from "../wire/h1/tables.ts";
import {
  FIELD_DROPPED,
  FIELD_HOP,
  FIELD_ID,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
} from "../wire/head.ts";
import { isNamed } from "../wire/lookup.ts";

const COLON = 58;
const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;

/** A media type is two names of at most 127 characters (RFC 6838 4.2). */
const typeBytesMax = 255;

/** One object is filled over and over: what read() found is valid until the next read(). */
export class ContentFacts {
  /** Media type in lower case, without parameters: type[0, typeLength); 0 = none is given, or several, or none such. */
  readonly type = new Uint8Array(typeBytesMax);
  typeLength = 0;
  /** By Content-Length; -1 = not given. */
  length = -1;
  /** There is a content coding other than identity. */
  isEncoded = false;
  /** There is a Content-Range. */
  isRange = false;
  /** Cache-Control forbids changes of the content. */
  noTransform = false;
  /** Vary names Accept-Encoding, or everything. */
  varies = false;
  /** The (first) entity tag as it stands; empty = none. */
  readonly etag = new Scratch(64);
  private types = 0;

  read(response: Head, added: Scratch): void {
    this.typeLength = 0;
    this.length = -1;
    this.isEncoded = false;
    this.isRange = false;
    this.noTransform = false;
    this.varies = false;
    this.etag.length = 0;
    this.types = 0;
    const { bytes, fields, fieldCount } = response;
    for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
      if ((fields[at + FIELD_ID]! & (FIELD_HOP | FIELD_DROPPED)) !== 0) continue;
      const nameEnd = fields[at + FIELD_NAME_END]!;
      this.note(bytes, fields[at + FIELD_NAME]!, nameEnd, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!);
    }
    this.readLines(added);
    if (this.types !== 1) this.typeLength = 0;
  }

  private readLines(lines: Scratch): void {
    const { bytes, length } = lines;
    for (let at = 0; at < length;) {
      const nameStart = at;
      while (at < length && bytes[at] !== COLON) at++;
      const nameEnd = at;
      let start = at + 1;
      while (at < length && bytes[at] !== LF) at++;
      let end = at++;
      while (start < end && isBlank(bytes[start]!)) start++;
      while (end > start && (bytes[end - 1] === CR || isBlank(bytes[end - 1]!))) end--;
      this.note(bytes, nameStart, nameEnd, start, end);
    }
  }

  private note(bytes: Uint8Array, nameStart: number, nameEnd: number, start: number, end: number): void {
    switch (nameEnd - nameStart) {
      case 4:
        if (isNamed(bytes, nameStart, nameEnd, "vary")) {
          this.varies ||= hasWord(bytes, start, end, "accept-encoding") || hasWord(bytes, start, end, "*");
        } else if (this.etag.length === 0 && isNamed(bytes, nameStart, nameEnd, "etag")) {
          this.etag.put(bytes, start, end);
        }
        return;
      case 12:
        if (isNamed(bytes, nameStart, nameEnd, "content-type")) this.noteType(bytes, start, end);
        return;
      case 13:
        if (isNamed(bytes, nameStart, nameEnd, "cache-control")) {
          this.noTransform ||= hasWord(bytes, start, end, "no-transform");
        } else if (isNamed(bytes, nameStart, nameEnd, "content-range")) this.isRange = true;
        return;
      case 14:
        if (isNamed(bytes, nameStart, nameEnd, "content-length")) this.length = numberOf(bytes, start, end);
        return;
      case 16:
        if (isNamed(bytes, nameStart, nameEnd, "content-encoding")) {
          this.isEncoded ||= end > start && !isNamed(bytes, start, end, "identity");
        }
    }
  }

  private noteType(bytes: Uint8Array, start: number, end: number): void {
    this.types++;
    let at = start;
    while (at < end && isTypeByte(bytes[at]!)) at++;
    const length = at - start;
    if (length > typeBytesMax) return;
    copyBytes(this.type, 0, bytes, start, at);
    for (let i = 0; i < length; i++) this.type[i] = lower[this.type[i]!]!;
    this.typeLength = length;
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

function isTypeByte(byte: number): boolean {
  return byte === 47 || (kind[byte]! & TCHAR) !== 0; // a slash
}

/** The digits in bytes[start, end), which are not too many: the parser has seen them. */
function numberOf(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end && (kind[bytes[i]!]! & DIGIT) !== 0; i++) value = value * 10 + bytes[i]! - 48;
  return value;
}

/**
 * True if the (lower-case) word stands in bytes[start, end) by itself, in any case: as an element of a list is said.
 */
export function hasWord(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  for (let at = start; at < end; at++) {
    const from = at;
    while (at < end && (kind[bytes[at]!]! & TCHAR) !== 0) at++;
    if (isNamed(bytes, from, at, word)) return true;
  }
  return false;
}
