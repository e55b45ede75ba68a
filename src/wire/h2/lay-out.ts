// Lays the text of a Head out in a FieldBlock: start line, Host, one Cookie line, lines of ours. What these are to be
// is decided in read-head.ts; here is only where they go, and the table that tells.

import { Scratch } from "../../base/bytes.ts";
import { latin1 } from "../h1/tables.ts";
import {
  FIELD_ID,
  FIELD_LINE_END,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  Name,
} from "../head.ts";
import type { FieldBlock } from "./field-block.ts";
import { Pseudo } from "./field-rules.ts";

const SP = 32;
const versionLine = latin1(" HTTP/1.1\r\n");
const hostStart = latin1("host: ");
const crlf = latin1("\r\n");
const get = latin1("GET");
const statusStart = latin1("HTTP/1.1 ");
const cookieStart = latin1("cookie: ");
const cookieStartSensitive = latin1("cookie:");
const cookieSeparator = latin1("; ");

// Copies of what stands where the text is to be. Of no use between two calls.
const copied = new Scratch(1024);

/**
 * Puts request line and Host in front of the fields, over the pseudo-header lines; extended = the method is GET. With a
 * Host field of its own at hostSlot (else -1), the fields move into the place in the table that was kept for it.
 */
export function layRequestLine(block: FieldBlock, hostSlot: number, extended: boolean): void {
  const { head, out, pseudoStart, pseudoEnd } = block;
  const { fields } = head;
  const linesStart = block.linesStart < 0 ? out.length : block.linesStart;
  copied.length = 0;
  copied.put(out.bytes, 0, linesStart);
  const from = copied.bytes;
  const authorityStart = pseudoStart[Pseudo.Authority]!;
  const addsHost = hostSlot < 0;
  const authorityLength = addsHost ? pseudoEnd[Pseudo.Authority]! - authorityStart : 0;
  const method = extended ? get : from;
  const methodStart = extended ? 0 : pseudoStart[Pseudo.Method]!;
  const methodLength = extended ? get.length : pseudoEnd[Pseudo.Method]! - methodStart;
  const pathStart = pseudoStart[Pseudo.Path]!;
  const pathLength = pseudoEnd[Pseudo.Path]! - pathStart;
  const hostLine = addsHost ? hostStart.length + authorityLength + crlf.length : 0;
  const start = linesStart - hostLine - versionLine.length - pathLength - 1 - methodLength;
  const length = out.length;
  out.length = start;
  head.start = start;
  head.methodStart = start;
  out.put(method, methodStart, methodStart + methodLength);
  head.methodEnd = out.length;
  out.putByte(SP);
  head.targetStart = out.length;
  out.put(from, pathStart, pathStart + pathLength);
  head.targetEnd = out.length;
  out.putAll(versionLine);
  head.startLineEnd = out.length - crlf.length;
  if (addsHost) {
    const lineStart = out.length;
    out.putAll(hostStart);
    head.hostStart = out.length;
    out.put(from, authorityStart, authorityStart + authorityLength);
    head.hostEnd = out.length;
    out.putAll(crlf);
    setField(fields, 0, lineStart, lineStart + 4, head.hostStart, head.hostEnd, Name.Host);
  } else {
    head.hostStart = fields[hostSlot + FIELD_VALUE]!;
    head.hostEnd = fields[hostSlot + FIELD_VALUE_END]!;
    fields.copyWithin(0, FIELD_WIDTH, block.slot);
    block.slot -= FIELD_WIDTH;
  }
  out.length = length;
}

/** Puts a status line in front of the fields. */
export function layStatusLine(block: FieldBlock, status: number): void {
  const { head, out } = block;
  const linesStart = block.linesStart < 0 ? out.length : block.linesStart;
  const length = out.length;
  const start = linesStart - statusStart.length - 3 - crlf.length;
  out.length = start;
  out.putAll(statusStart);
  out.putDecimal(status);
  head.start = start;
  head.startLineEnd = out.length;
  out.putAll(crlf);
  out.length = length;
}

/** Appends a line of ours with this value; start = name, colon and space. */
export function addField(block: FieldBlock, start: Uint8Array, value: Uint8Array): void {
  const { head, out } = block;
  const lineStart = out.length;
  out.putAll(start);
  const valueStart = out.length;
  out.putAll(value);
  setField(head.fields, block.slot, lineStart, valueStart - 2, valueStart, out.length, Name.Other);
  out.putAll(crlf);
  block.slot += FIELD_WIDTH;
}

function setField(
  fields: Int32Array,
  slot: number,
  start: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
  id: number,
): void {
  fields[slot + FIELD_NAME] = start;
  fields[slot + FIELD_NAME_END] = nameEnd;
  fields[slot + FIELD_VALUE] = valueStart;
  fields[slot + FIELD_VALUE_END] = valueEnd;
  fields[slot + FIELD_LINE_END] = valueEnd + crlf.length;
  fields[slot + FIELD_ID] = id;
}

/** Appends a whole line of ours. */
export function addLine(block: FieldBlock, line: Uint8Array, nameLength: number, id: number): void {
  const { head, out } = block;
  const start = out.length;
  out.putAll(line);
  const nameEnd = start + nameLength;
  setField(head.fields, block.slot, start, nameEnd, nameEnd + 2, out.length - crlf.length, id);
  block.slot += FIELD_WIDTH;
}

/**
 * Cookies may come one by one, which only HTTP/2 knows (8.2.3): makes one line of them, where the first one stood. If
 * one of them was never to be indexed, neither is the line. Returns where in the table hostSlot has come to.
 */
export function joinCookies(block: FieldBlock, hostSlot: number): number {
  const { head, out } = block;
  const { fields } = head;
  const { bytes } = out;
  copied.length = 0;
  let first = -1;
  let hostTo = hostSlot;
  let to = FIELD_WIDTH;
  for (let slot = FIELD_WIDTH; slot < block.slot; slot += FIELD_WIDTH) {
    const start = fields[slot + FIELD_NAME]!;
    const shift = block.linesStart + copied.length - start;
    if ((fields[slot + FIELD_ID]! & FIELD_NAME_MASK) !== Name.Cookie) {
      copied.put(bytes, start, fields[slot + FIELD_LINE_END]!);
      for (let k = 0; k < FIELD_ID; k++) fields[to + k] = fields[slot + k]! + shift;
      fields[to + FIELD_ID] = fields[slot + FIELD_ID]!;
    } else if (first < 0) {
      first = slot;
      const lineStart = start + shift;
      const sensitive = hasSensitiveCookie(block, slot);
      copied.putAll(sensitive ? cookieStartSensitive : cookieStart);
      const valueStart = block.linesStart + copied.length;
      putCookies(block, slot);
      const valueEnd = block.linesStart + copied.length;
      copied.putAll(crlf);
      setField(fields, to, lineStart, lineStart + 6, valueStart, valueEnd, Name.Cookie);
    } else continue;
    if (hostSlot === slot) hostTo = to;
    to += FIELD_WIDTH;
  }
  block.slot = to;
  out.length = block.linesStart;
  out.put(copied.bytes, 0, copied.length);
  return hostTo;
}

function hasSensitiveCookie(block: FieldBlock, from: number): boolean {
  const { fields } = block.head;
  for (let slot = from; slot < block.slot; slot += FIELD_WIDTH) {
    const isCookie = (fields[slot + FIELD_ID]! & FIELD_NAME_MASK) === Name.Cookie;
    const gap = fields[slot + FIELD_VALUE]! - fields[slot + FIELD_NAME_END]!;
    if (isCookie && gap === 1) return true;
  }
  return false;
}

/** Appends the cookies to `copied`; empty ones, which would leave blanks at an end, are left out. */
function putCookies(block: FieldBlock, from: number): void {
  const { fields } = block.head;
  const start = copied.length;
  for (let slot = from; slot < block.slot; slot += FIELD_WIDTH) {
    if ((fields[slot + FIELD_ID]! & FIELD_NAME_MASK) !== Name.Cookie) continue;
    const valueStart = fields[slot + FIELD_VALUE]!;
    const valueEnd = fields[slot + FIELD_VALUE_END]!;
    if (valueStart === valueEnd) continue;
    if (copied.length > start) copied.putAll(cookieSeparator);
    copied.put(block.out.bytes, valueStart, valueEnd);
  }
}
