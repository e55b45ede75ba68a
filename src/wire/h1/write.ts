// HTTP/1.1 head writer: from a parsed Head and a block of fields of ours to the bytes of an outgoing head. Field lines
// that are passed on are copied as they came, in runs as long as possible; hop-by-hop fields and those dropped by the
// exchange are left out.

import type { Scratch } from "../../base/bytes.ts";
import {
  BODY_CHUNKED,
  FIELD_DROPPED,
  FIELD_HOP,
  FIELD_ID,
  FIELD_LINE_END,
  FIELD_NAME,
  FIELD_NAME_MASK,
  FIELD_WIDTH,
  HeadFlag,
  Method,
  Name,
  type Head,
} from "../head.ts";
import { latin1 } from "./tables.ts";

const http11Line = latin1(" HTTP/1.1\r\n");
const http11 = latin1("HTTP/1.1");
const slash = latin1("/");
const asterisk = latin1("*");
const crlf = latin1("\r\n");
const hostName = latin1("Host: ");
const chunkedLine = latin1("Transfer-Encoding: chunked\r\n");
const closeLine = latin1("Connection: close\r\n");
const keepAliveLine = latin1("Connection: keep-alive\r\n");
const upgradeLine = latin1("Connection: upgrade\r\n");
const space = 32;
const rebuilt = HeadFlag.Http10 | HeadFlag.Absolute | HeadFlag.NewTarget | HeadFlag.NewHost;
const hostWritten = HeadFlag.Absolute | HeadFlag.NewHost;
/** "HTTP/1.1 200" */
const bareStatusLineBytes = 12;

/** What the Connection field of an outgoing head says. */
export const ConnectionSays = { Nothing: 0, Close: 1, KeepAlive: 2, Upgrade: 3 } as const;
export type ConnectionSays = (typeof ConnectionSays)[keyof typeof ConnectionSays];

/**
 * Appends the request head: request line in origin form, Host first if it had to be rebuilt, the kept fields, the added
 * ones (complete lines), framing and connection fields. A Content-Length field is passed on as it came. The target and
 * the Host that the exchange put in place of the client's are taken where the flags say so.
 */
export function writeRequestHead(out: Scratch, head: Head, added: Scratch, says: ConnectionSays): void {
  const bytes = head.bytes;
  const { flags } = head;
  let runStart = head.start;
  if ((flags & rebuilt) !== 0) {
    out.put(bytes, head.methodStart, head.methodEnd);
    out.putByte(space);
    putTarget(out, head);
    out.putAll(http11Line);
    runStart = head.startLineEnd + 2;
    if ((flags & hostWritten) !== 0) putHost(out, head);
  }
  putFields(out, head, runStart, (flags & hostWritten) !== 0 ? Name.Host : Name.Other);
  finishHead(out, head, added, head.bodyLength === BODY_CHUNKED, says);
}

/** The target in origin form or as "*". */
export function putTarget(out: Scratch, head: Head): void {
  const { bytes, targetStart, targetEnd } = head;
  if ((head.flags & HeadFlag.NewTarget) !== 0) {
    const target = head.newTarget!;
    out.put(target.bytes, 0, target.length);
    return;
  }
  if (targetStart === targetEnd && head.method === Method.Options) {
    out.putAll(asterisk); // RFC 9112 3.2.4: what an absolute form with neither path nor query asks about
    return;
  }
  if (targetStart === targetEnd || (bytes[targetStart] !== 47 && bytes[targetStart] !== 42)) out.putAll(slash);
  out.put(bytes, targetStart, targetEnd);
}

function putHost(out: Scratch, head: Head): void {
  out.putAll(hostName);
  if ((head.flags & HeadFlag.NewHost) === 0) out.put(head.bytes, head.hostStart, head.hostEnd);
  else out.put(head.newHost!.bytes, 0, head.newHost!.length);
  out.putAll(crlf);
}

/** Appends the response head. chunked = the body that follows will be in chunked coding. */
export function writeResponseHead(
  out: Scratch,
  head: Head,
  added: Scratch,
  chunked: boolean,
  says: ConnectionSays,
): void {
  const { bytes } = head;
  let runStart = head.start;
  if ((head.flags & HeadFlag.Http10) !== 0) {
    out.putAll(http11);
    runStart += http11.length; // the rest of the status line goes with the first run
  }
  if (head.startLineEnd - head.start === bareStatusLineBytes) {
    out.put(bytes, runStart, head.startLineEnd);
    out.putByte(space); // RFC 9112 4: it is there even when the reason is not
    runStart = head.startLineEnd;
  }
  putFields(out, head, runStart, Name.Other);
  finishHead(out, head, added, chunked, says);
}

/** Appends the trailer fields that may be passed on and the empty line that ends a chunked message. */
export function writeTrailers(out: Scratch, head: Head): void {
  putFields(out, head, head.start, Name.Other);
  out.putAll(crlf);
}

function finishHead(out: Scratch, head: Head, added: Scratch, chunked: boolean, says: ConnectionSays): void {
  if (added.length > 0) out.put(added.bytes, 0, added.length);
  if (chunked) out.putAll(chunkedLine);
  if (says !== ConnectionSays.Nothing) {
    if (says === ConnectionSays.Close) out.putAll(closeLine);
    else if (says === ConnectionSays.KeepAlive) out.putAll(keepAliveLine);
    else {
      out.putAll(upgradeLine);
      putUpgrade(out, head);
    }
  }
  out.putAll(crlf);
}

/** The lines from runStart on, without the hop-by-hop and dropped ones and those named `except` (Other = none). */
function putFields(out: Scratch, head: Head, runStart: number, except: Name): void {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    const id = fields[at + FIELD_ID]!;
    const leaveOut =
      (id & (FIELD_HOP | FIELD_DROPPED)) !== 0 || (except !== Name.Other && (id & FIELD_NAME_MASK) === except);
    if (!leaveOut) continue;
    const lineStart = fields[at + FIELD_NAME]!;
    if (lineStart > runStart) out.put(bytes, runStart, lineStart);
    runStart = fields[at + FIELD_LINE_END]!;
  }
  const end = head.end - 2; // without the empty line
  if (end > runStart) out.put(bytes, runStart, end);
}

/** The Upgrade fields themselves, which were taken out as hop-by-hop. */
function putUpgrade(out: Scratch, head: Head): void {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.Upgrade) continue;
    out.put(bytes, fields[at + FIELD_NAME]!, fields[at + FIELD_LINE_END]!);
  }
}

/** Appends "size CRLF" before a chunk's data. */
export function writeChunkSize(out: Scratch, size: number): void {
  out.putHex(size);
  out.putAll(crlf);
}
