// A message head as numbers: spans into the bytes it came in, no strings. One Head object per parser is reused for
// every message: whoever wants to keep something keeps the bytes (they are private and immutable) and parses again.
// Protocol-neutral: h1 fills it from text, h2 will fill it from decoded fields laid out in a scratch buffer.

import type { Scratch } from "../base/bytes.ts";

/** Known field names: everything the proxy itself looks at. 0 = any other name. */
export const Name = {
  Other: 0,
  Host: 1,
  ContentLength: 2,
  TransferEncoding: 3,
  Connection: 4,
  KeepAlive: 5,
  ProxyConnection: 6,
  Te: 7,
  Trailer: 8,
  Upgrade: 9,
  Expect: 10,
  XForwardedFor: 11,
  XForwardedProto: 12,
  XForwardedHost: 13,
  XForwardedPort: 14,
  XRealIp: 15,
  XRequestId: 16,
  Via: 17,
  UserAgent: 18,
  Referer: 19,
  ContentType: 20,
  Date: 21,
  Server: 22,
  Cookie: 23,
  SetCookie: 24,
  Forwarded: 25,
  ProxyAuthenticate: 26,
  ProxyAuthorization: 27,
  Accept: 28,
  Traceparent: 29,
  RetryAfter: 30,
  /** X_Forwarded_For and the like: to programs that read fields as CGI variables the same as with dashes. */
  Lookalike: 31,
  Tracestate: 32,
} as const;
export type Name = (typeof Name)[keyof typeof Name];

export const Method = {
  Other: 0,
  Get: 1,
  Head: 2,
  Post: 3,
  Put: 4,
  Delete: 5,
  Options: 6,
  Patch: 7,
  Connect: 8,
  Trace: 9,
} as const;
export type Method = (typeof Method)[keyof typeof Method];

/** bodyLength of a message whose end is told by chunked coding, or by the close of the connection. */
export const BODY_CHUNKED = -1;
export const BODY_UNTIL_CLOSE = -2;

export const HeadFlag = {
  Http10: 1, // the message's version is HTTP/1.0
  Close: 2, // "Connection: close", or HTTP/1.0 without keep-alive
  KeepAlive: 4, // "Connection: keep-alive" was said
  Upgrade: 8, // "Connection: upgrade" and an Upgrade field
  Expect100: 16, // "Expect: 100-continue"
  HasConnectionNames: 32, // Connection names further fields: they are marked as hop-by-hop in the table
  ContentLength: 64, // a Content-Length field was there
  Absolute: 128, // request target was in absolute form; host is from the target
  Asterisk: 256, // "OPTIONS *"
  // Set by the exchange after parsing; another parse of the head clears them.
  NewTarget: 512, // newTarget goes out in place of the target
  NewHost: 1024, // newHost goes out in place of the Host field
} as const;

/**
 * Columns of the field table: field i occupies [i * FIELD_WIDTH, +FIELD_WIDTH). The field's line begins at its name.
 */
export const FIELD_WIDTH = 6;
export const FIELD_NAME = 0; // start of the name (and of the line)
export const FIELD_NAME_END = 1;
export const FIELD_VALUE = 2; // start of the value, white space trimmed
export const FIELD_VALUE_END = 3;
export const FIELD_LINE_END = 4; // after the line's CRLF
export const FIELD_ID = 5; // Name | flags below

/** In the FIELD_ID column: a hop-by-hop field that must not be forwarded. */
export const FIELD_HOP = 0x100;
/** In the FIELD_ID column: not forwarded by decision of the exchange (replaced by a field of ours). */
export const FIELD_DROPPED = 0x200;
export const FIELD_NAME_MASK = 0xff;

export class Head {
  bytes: Uint8Array = empty;
  /** First byte of the start line and first byte after the empty line that ends the head. */
  start = 0;
  end = 0;
  method: Method = Method.Other;
  status = 0;
  methodStart = 0;
  methodEnd = 0;
  /** Request target as it is to be forwarded: origin form or "*"; an absolute form is reduced to its path and query. */
  targetStart = 0;
  targetEnd = 0;
  /** Value of Host, or the authority of an absolute-form target (which wins, RFC 9112 3.2.2). */
  hostStart = 0;
  hostEnd = 0;
  /** Start line end (before CRLF) of a response: bytes[start, startLineEnd) is the status line. */
  startLineEnd = 0;
  fieldCount = 0;
  fields: Int32Array;
  /** Bytes of body, or BODY_CHUNKED, or BODY_UNTIL_CLOSE. */
  bodyLength = 0;
  flags = 0;
  /**
   * What HeadFlag.NewTarget and NewHost speak of: a whole target in origin form or "*", and a whole Host value. The
   * spans above go on telling what came. Borrowed: whoever sets the flag keeps the bytes until the head is written.
   */
  newTarget: Scratch | null = null;
  newHost: Scratch | null = null;

  constructor(fieldsMax: number) {
    this.fields = new Int32Array(fieldsMax * FIELD_WIDTH);
  }
}

const empty = new Uint8Array(0);

/** Index of the first field with this known name, or -1. */
export function findField(head: Head, name: Name): number {
  const fields = head.fields;
  for (let i = 0, at = FIELD_ID; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at]! & FIELD_NAME_MASK) === name) return i;
  }
  return -1;
}

/** Marks all fields with this known name as dropped. */
export function dropFields(head: Head, name: Name): void {
  const fields = head.fields;
  for (let i = 0, at = FIELD_ID; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at]! & FIELD_NAME_MASK) === name) fields[at]! |= FIELD_DROPPED;
  }
}
