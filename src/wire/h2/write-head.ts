// Heads as HPACK field blocks, from whatever protocol they came: the counterpart of wire/h1/write.ts. Hop-by-hop fields
// and those dropped by the exchange are left out, names go out in lower case, an upgrade to WebSocket becomes an
// extended CONNECT (RFC 8441) and its 101 a 200. It writes the block only; frames are put around it by frame-writer.ts.

import { Scratch } from "../../base/bytes.ts";
import { putTarget } from "../h1/write.ts";
import { equalsLower, latin1, nameOf } from "../h1/tables.ts";
import {
  FIELD_DROPPED,
  FIELD_HOP,
  FIELD_ID,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
  HeadFlag,
  Method,
  Name,
} from "../head.ts";
import type { HpackEncoder } from "../hpack/encoder.ts";
import { staticIndexOf } from "../hpack/static-table.ts";
import { isNamed } from "../lookup.ts";

const SLASH = 47;
const COLON = 58;
const CR = 13;
const SP = 32;

const authorityIndex = 1;
const getIndex = 2;
const postIndex = 3;
const rootIndex = 4;
const httpIndex = 6;
const httpsIndex = 7;
/** Entries of the static table by status; all others are literal. */
const statusIndex = new Uint8Array(600);
[200, 204, 206, 304, 400, 404, 500].forEach((status, i) => (statusIndex[status] = staticIndexOf(":status") + i));

const connect = latin1("CONNECT");
const protocolField = latin1(":protocol: websocket");
const teField = latin1("te: trailers");
const wordTrailers = latin1("trailers");

const target = new Scratch(256);
const digits = new Scratch(16);

/**
 * Appends the field block of a request. added = further whole field lines; fallbackAuthority = what stands for Host if
 * the request has none (HTTP/1.0). extendedConnect = a request with HeadFlag.Upgrade asks for a WebSocket, and the peer
 * takes extended CONNECT; otherwise it must not have that flag.
 */
export function encodeRequestHead(
  encoder: HpackEncoder,
  out: Scratch,
  head: Head,
  added: Scratch,
  https: boolean,
  fallbackAuthority: Uint8Array,
  extendedConnect: boolean,
): void {
  const { bytes } = head;
  encoder.begin(out);
  if (extendedConnect) {
    encoder.putValue(out, getIndex, connect, 0, connect.length);
    encoder.putField(out, protocolField, 0, 9, 11, protocolField.length, Name.Other);
  } else if (head.method === Method.Get) encoder.putStatic(out, getIndex);
  else if (head.method === Method.Post) encoder.putStatic(out, postIndex);
  else encoder.putValue(out, getIndex, bytes, head.methodStart, head.methodEnd);
  encoder.putStatic(out, https ? httpsIndex : httpIndex);
  if ((head.flags & HeadFlag.NewHost) !== 0) {
    encoder.putValue(out, authorityIndex, head.newHost!.bytes, 0, head.newHost!.length);
  } else if (head.hostEnd > head.hostStart) encoder.putValue(out, authorityIndex, bytes, head.hostStart, head.hostEnd);
  else encoder.putValue(out, authorityIndex, fallbackAuthority, 0, fallbackAuthority.length);
  encodePath(encoder, out, head);
  encodeFields(encoder, out, head, extendedConnect ? "sec-websocket-key" : "");
  encodeLines(encoder, out, added);
}

function encodePath(encoder: HpackEncoder, out: Scratch, head: Head): void {
  const { targetStart, targetEnd } = head;
  if ((head.flags & HeadFlag.NewTarget) === 0 && head.bytes[targetStart] === SLASH && targetEnd > targetStart) {
    if (targetEnd === targetStart + 1) encoder.putStatic(out, rootIndex);
    else encoder.putValue(out, rootIndex, head.bytes, targetStart, targetEnd);
    return;
  }
  target.length = 0;
  putTarget(target, head);
  encoder.putValue(out, rootIndex, target.bytes, 0, target.length);
}

/** Appends the field block of a response, interim ones too; 101 becomes 200. added = further whole field lines. */
export function encodeResponseHead(encoder: HpackEncoder, out: Scratch, head: Head, added: Scratch): void {
  encoder.begin(out);
  const upgraded = head.status === 101;
  const status = upgraded ? 200 : head.status;
  const index = statusIndex[status]!;
  if (index !== 0) encoder.putStatic(out, index);
  else {
    digits.length = 0;
    digits.putDecimal(status);
    encoder.putValue(out, statusIndex[200]!, digits.bytes, 0, digits.length);
  }
  encodeFields(encoder, out, head, upgraded ? "sec-websocket-accept" : "");
  encodeLines(encoder, out, added);
}

/** Appends the field block of trailers. */
export function encodeTrailers(encoder: HpackEncoder, out: Scratch, head: Head): void {
  encoder.begin(out);
  encodeFields(encoder, out, head, "");
}

/** The fields that go on, without Host (which is :authority) and those named `except` ("" = none). */
function encodeFields(encoder: HpackEncoder, out: Scratch, head: Head, except: string): void {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    const id = fields[at + FIELD_ID]!;
    const name = (id & FIELD_NAME_MASK) as Name;
    const valueStart = fields[at + FIELD_VALUE]!;
    const valueEnd = fields[at + FIELD_VALUE_END]!;
    if ((id & (FIELD_HOP | FIELD_DROPPED)) !== 0) {
      // Hop-by-hop, and yet HTTP/2 has it: gRPC wants it.
      if (name === Name.Te && (id & FIELD_DROPPED) === 0 && saysTrailers(bytes, valueStart, valueEnd)) {
        encoder.putField(out, teField, 0, 2, 4, teField.length, Name.Te);
      }
      continue;
    }
    if (name === Name.Host) continue;
    const nameStart = fields[at + FIELD_NAME]!;
    const nameEnd = fields[at + FIELD_NAME_END]!;
    if (except !== "" && isNamed(bytes, nameStart, nameEnd, except)) continue;
    encoder.putField(out, bytes, nameStart, nameEnd, valueStart, valueEnd, name);
  }
}

/** True if one of the codings in a TE value is "trailers". */
function saysTrailers(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at + wordTrailers.length <= end; at++) {
    const before = at === start || isSeparator(bytes[at - 1]!);
    const after = at + wordTrailers.length;
    if (before && equalsLower(bytes, at, wordTrailers) && (after === end || isSeparator(bytes[after]!))) return true;
  }
  return false;
}

function isSeparator(byte: number): boolean {
  return byte === SP || byte === 9 || byte === 44 || byte === 59;
}

/** Whole field lines of ours. What HTTP/2 does not have is left out. */
function encodeLines(encoder: HpackEncoder, out: Scratch, lines: Scratch): void {
  const { bytes, length } = lines;
  for (let at = 0; at < length;) {
    const nameStart = at;
    while (at < length && bytes[at] !== COLON) at++;
    const nameEnd = at++;
    while (at < length && bytes[at] === SP) at++;
    const valueStart = at;
    while (at < length && bytes[at] !== CR) at++;
    const name = nameOf(bytes, nameStart, nameEnd);
    if (!isConnectionName(name)) encoder.putField(out, bytes, nameStart, nameEnd, valueStart, at, name);
    at += 2;
  }
}

function isConnectionName(name: Name): boolean {
  switch (name) {
    case Name.Host:
    case Name.Connection:
    case Name.KeepAlive:
    case Name.ProxyConnection:
    case Name.TransferEncoding:
    case Name.Upgrade:
    case Name.Te:
      return true;
    default:
      return false;
  }
}
