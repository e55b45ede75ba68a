// Strict HTTP/1.x head parser (RFC 9110, RFC 9112): one pass over the bytes into a Head of spans. It keeps no state: a
// head that is not whole yet gives NEED_MORE and is parsed again from its start once its end has been seen (see
// head-buffer.ts). Wherever two parsers could disagree about framing (request smuggling), the message is refused, never
// repaired.

import { FailureCause } from "../../base/failure.ts";
import { connectionOptionsMax, targetBytesMax } from "../../base/limits.ts";
import {
  BODY_CHUNKED,
  BODY_UNTIL_CLOSE,
  FIELD_HOP,
  FIELD_ID,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  HeadFlag,
  Method,
  Name,
  type Head,
} from "../head.ts";
import {
  DIGIT,
  equalsLower,
  hexValue,
  HOST,
  kind,
  latin1,
  lower,
  nameOf,
  NameTable,
  TARGET,
  TCHAR,
  VCHAR,
} from "./tables.ts";

/** The head is not whole yet. */
export const NEED_MORE = 0;
// A refusal is the negative FailureCause.
const BAD = -FailureCause.Protocol;

const CR = 13;
const LF = 10;
const SP = 32;
const HT = 9;
const COLON = 58;
const PERCENT = 37;

const wordChunked = latin1("chunked");
const wordClose = latin1("close");
const wordKeepAlive = latin1("keep-alive");
const wordUpgrade = latin1("upgrade");
const wordContinue = latin1("100-continue");
const wordH2c = latin1("h2c");
const wordHttp = latin1("http://");
const wordHttps = latin1("https://");

// What the field pass found, for the framing rules. Module variables: parsing is synchronous and not re-entrant.
let contentLength = -1;
let chunked = false;
let transferEncoding = false;
let hosts = 0;
let upgradeField = false;
let upgradeToH2c = false;
let connectionUpgrade = false;
let connectionOptions = 0;
let inRequest = false;

/**
 * Parses a request head in bytes[start, end). Returns the position after it, NEED_MORE, or the negative FailureCause.
 * headBytesMax bounds the head with an empty line before it; fieldsMax the number of fields (and must fit head.fields).
 */
export function parseRequest(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: Head,
  headBytesMax: number,
  fieldsMax: number,
): number {
  const limited = end - start > headBytesMax ? start + headBytesMax : end;
  // RFC 9112 2.2: a server should ignore at least one empty line before the request line.
  if (start < end && bytes[start] === CR) {
    if (start + 1 === end) return NEED_MORE;
    if (bytes[start + 1] !== LF) return BAD;
    start += 2;
  }
  inRequest = true;
  head.bytes = bytes;
  head.start = start;
  head.flags = 0;
  const afterLine = requestLine(bytes, start, limited, head);
  if (afterLine <= 0) return afterLine === NEED_MORE && limited < end ? longLine(bytes, start, limited) : afterLine;
  const after = parseFields(bytes, afterLine, limited, head, fieldsMax);
  if (after <= 0) return after === NEED_MORE && limited < end ? -FailureCause.TooLarge : after;
  head.end = after;
  const verdict = requestFraming(head);
  return verdict < 0 ? verdict : after;
}

/**
 * Parses a response head. The request's method decides whether a body follows (HEAD has none).
 * Returns as parseRequest does.
 */
export function parseResponse(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: Head,
  requestMethod: Method,
  headBytesMax: number,
  fieldsMax: number,
): number {
  head.bytes = bytes;
  head.start = start;
  head.flags = 0;
  head.method = requestMethod;
  inRequest = false;
  const limited = end - start > headBytesMax ? start + headBytesMax : end;
  const afterLine = statusLine(bytes, start, limited, head);
  if (afterLine <= 0) return afterLine === NEED_MORE && limited < end ? -FailureCause.TooLarge : afterLine;
  const after = parseFields(bytes, afterLine, limited, head, fieldsMax);
  if (after <= 0) return after === NEED_MORE && limited < end ? -FailureCause.TooLarge : after;
  head.end = after;
  const verdict = responseFraming(head);
  return verdict < 0 ? verdict : after;
}

/**
 * Parses the trailer section after a last chunk: fields and an empty line. Framing and routing fields in it are marked
 * as hop-by-hop, so that they are not passed on (RFC 9110 6.5.1). Returns as parseRequest does.
 */
export function parseTrailers(bytes: Uint8Array, start: number, end: number, head: Head, fieldsMax: number): number {
  head.bytes = bytes;
  head.start = start;
  head.flags = 0;
  inRequest = false;
  const after = parseFields(bytes, start, end, head, fieldsMax);
  if (after <= 0) return after;
  head.end = after;
  markTrailers(head);
  return after;
}

/** Marks the fields that may not be passed on in a trailer section as hop-by-hop. */
export function markTrailers(head: Head): void {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    const forbidden = forbiddenInTrailers.find(bytes, fields[at + FIELD_NAME]!, fields[at + FIELD_NAME_END]!);
    if (forbidden !== 0) fields[at + FIELD_ID]! |= FIELD_HOP;
  }
}

// Fields that a recipient could act upon as if they had stood in the header section: framing, routing, request
// modifiers and conditions, authentication, payload format and response control (RFC 9110 6.5.1), and what proxies say
// about the client.
const forbiddenInTrailers = new NameTable<number>(
  0,
  [
    "age authorization cache-control connection content-encoding content-length content-range content-type cookie date",
    "expect expires forwarded host if-match if-modified-since if-none-match if-range if-unmodified-since location",
    "max-forwards pragma proxy-authenticate proxy-authorization range retry-after set-cookie te trailer",
    "transfer-encoding upgrade vary via www-authenticate x-forwarded-for x-forwarded-host x-forwarded-port",
    "x-forwarded-proto x-real-ip x-request-id",
  ].flatMap((line) => line.split(" ").map((name) => [name, 1] as const)),
);

/** The refusal of a request line that does not end within the head's limit. */
function longLine(bytes: Uint8Array, start: number, end: number): number {
  const method = bytes.indexOf(SP, start);
  if (method < 0 || method >= end) return -FailureCause.TooLarge;
  const target = bytes.indexOf(SP, method + 1);
  return target < 0 || target >= end ? -FailureCause.UriTooLong : -FailureCause.TooLarge;
}

function requestLine(bytes: Uint8Array, start: number, end: number, head: Head): number {
  let at = start;
  while (at < end && (kind[bytes[at]!]! & TCHAR) !== 0) at++;
  if (at === end) return NEED_MORE;
  if (bytes[at] !== SP || at === start) return BAD;
  head.methodStart = start;
  head.methodEnd = at;
  head.method = methodOf(bytes, start, at);
  const targetStart = ++at;
  const longest = targetStart + targetBytesMax;
  while (at < end && (kind[bytes[at]!]! & TARGET) !== 0) at++;
  if (at > longest) return -FailureCause.UriTooLong;
  if (at === end) return NEED_MORE;
  if (bytes[at] !== SP || at === targetStart) return BAD;
  head.targetStart = targetStart;
  head.targetEnd = at;
  const version = versionAt(bytes, at + 1, end, head);
  if (version <= 0) return version;
  head.startLineEnd = version;
  if (version === end) return NEED_MORE;
  if (bytes[version] !== CR) return BAD;
  if (version + 1 === end) return NEED_MORE;
  if (bytes[version + 1] !== LF) return BAD;
  const form = targetForm(bytes, head);
  return form < 0 ? form : version + 2;
}

/** "HTTP/1.1" or "HTTP/1.0" at `at`: the position after it, NEED_MORE or a refusal. */
function versionAt(bytes: Uint8Array, at: number, end: number, head: Head): number {
  if (at + 8 > end) {
    for (let i = at; i < end; i++) if (i - at < 5 && bytes[i] !== "HTTP/".charCodeAt(i - at)) return BAD;
    return NEED_MORE;
  }
  if (
    bytes[at] !== 72 ||
    bytes[at + 1] !== 84 ||
    bytes[at + 2] !== 84 ||
    bytes[at + 3] !== 80 ||
    bytes[at + 4] !== 47
  ) {
    return BAD;
  }
  const minor = bytes[at + 7]!;
  if ((kind[bytes[at + 5]!]! & DIGIT) === 0 || bytes[at + 6] !== 46 || (kind[minor]! & DIGIT) === 0) return BAD;
  if (bytes[at + 5] !== 49 || minor > 49) return -FailureCause.Version;
  if (minor === 48) head.flags |= HeadFlag.Http10;
  return at + 8;
}

/** The number of the method that bytes[start, end) spell; methods are case-sensitive. */
export function methodOf(bytes: Uint8Array, start: number, end: number): Method {
  const first = bytes[start]!;
  switch (end - start) {
    case 3:
      if (first === 71 && bytes[start + 1] === 69 && bytes[start + 2] === 84) return Method.Get;
      if (first === 80 && bytes[start + 1] === 85 && bytes[start + 2] === 84) return Method.Put;
      return Method.Other;
    case 4:
      if (spells(bytes, start, "POST")) return Method.Post;
      return spells(bytes, start, "HEAD") ? Method.Head : Method.Other;
    case 5:
      if (spells(bytes, start, "PATCH")) return Method.Patch;
      return spells(bytes, start, "TRACE") ? Method.Trace : Method.Other;
    case 6:
      return spells(bytes, start, "DELETE") ? Method.Delete : Method.Other;
    case 7:
      if (spells(bytes, start, "OPTIONS")) return Method.Options;
      return spells(bytes, start, "CONNECT") ? Method.Connect : Method.Other;
    default:
      return Method.Other;
  }
}

function spells(bytes: Uint8Array, start: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word.charCodeAt(i)) return false;
  return true;
}

/** Checks the form of the target (RFC 9112 3.2) and reduces the absolute form to path and query. */
function targetForm(bytes: Uint8Array, head: Head): number {
  const start = head.targetStart;
  // Wants the authority form, which only a forward proxy serves. In any other form it is malformed, and an endpoint
  // that took it at its word would begin a tunnel where we expect a response.
  if (head.method === Method.Connect) return -FailureCause.Unsupported;
  if (bytes[start] === 47) return 0; // origin form
  const length = head.targetEnd - start;
  if (length === 1 && bytes[start] === 42) {
    if (head.method !== Method.Options) return BAD;
    head.flags |= HeadFlag.Asterisk;
    return 0;
  }
  let authority = 0;
  if (length > 7 && equalsLower(bytes, start, wordHttp)) authority = start + 7;
  else if (length > 8 && equalsLower(bytes, start, wordHttps)) authority = start + 8;
  if (authority === 0) return BAD;
  let at = authority;
  while (at < head.targetEnd && bytes[at] !== 47 && bytes[at] !== 63) at++;
  if (!validHost(bytes, authority, at)) return BAD; // also refuses user information ("@")
  head.flags |= HeadFlag.Absolute;
  head.hostStart = authority;
  head.hostEnd = at;
  head.targetStart = at; // may be empty or begin with "?": the writer supplies the "/"
  return 0;
}

/** RFC 3986 host with optional port: not empty, no user information, brackets only around an IPv6 literal. */
export function validHost(bytes: Uint8Array, start: number, end: number): boolean {
  if (start >= end) return false;
  let at = start;
  if (bytes[at] === 91) {
    at++;
    const inner = at;
    while (at < end && bytes[at] !== 93) {
      const c = lower[bytes[at]!]!;
      if (!((c >= 48 && c <= 58) || (c >= 97 && c <= 102) || c === 46)) return false;
      at++;
    }
    if (at === end || at === inner) return false;
    at++;
  } else {
    for (; at < end; at++) {
      if ((kind[bytes[at]!]! & HOST) !== 0) continue;
      if (bytes[at] !== PERCENT) break;
      if (at + 2 >= end || hexValue[bytes[at + 1]!] === 255 || hexValue[bytes[at + 2]!] === 255) return false;
      at += 2;
    }
    if (at === start) return false;
  }
  if (at === end) return true;
  if (bytes[at] !== COLON) return false;
  let port = 0;
  const portStart = ++at;
  while (at < end && (kind[bytes[at]!]! & DIGIT) !== 0) port = port * 10 + bytes[at++]! - 48;
  return at === end && at - portStart <= 5 && port <= 65535; // no digits at all are allowed
}

function statusLine(bytes: Uint8Array, start: number, end: number, head: Head): number {
  let at = versionAt(bytes, start, end, head);
  if (at <= 0) return at;
  if (at + 4 > end) return NEED_MORE;
  if (bytes[at] !== SP) return BAD;
  let status = 0;
  for (let i = 1; i <= 3; i++) {
    const digit = bytes[at + i]!;
    if ((kind[digit]! & DIGIT) === 0) return BAD;
    status = status * 10 + digit - 48;
  }
  if (status < 100 || status > 599) return BAD;
  head.status = status;
  at += 4;
  if (at === end) return NEED_MORE;
  if (bytes[at] === SP) {
    at++;
    while (at < end && (kind[bytes[at]!]! & VCHAR) !== 0) at++;
    if (at === end) return NEED_MORE;
  }
  if (bytes[at] !== CR) return BAD;
  if (at + 1 === end) return NEED_MORE;
  if (bytes[at + 1] !== LF) return BAD;
  head.startLineEnd = at;
  return at + 2;
}

/** The field lines and the empty line after them. Fills the table and the module's framing variables. */
function parseFields(bytes: Uint8Array, start: number, end: number, head: Head, fieldsMax: number): number {
  contentLength = -1;
  chunked = false;
  transferEncoding = false;
  hosts = 0;
  upgradeField = false;
  upgradeToH2c = false;
  connectionUpgrade = false;
  connectionOptions = 0;
  const fields = head.fields;
  let at = start;
  let slot = 0;
  let count = 0;
  for (;;) {
    if (at === end) return NEED_MORE;
    if (bytes[at] === CR) {
      if (at + 1 === end) return NEED_MORE;
      if (bytes[at + 1] !== LF) return BAD;
      head.fieldCount = count;
      return at + 2;
    }
    if (count === fieldsMax) return -FailureCause.TooLarge;
    const nameStart = at;
    while (at < end && (kind[bytes[at]!]! & TCHAR) !== 0) at++;
    if (at === end) return NEED_MORE;
    if (bytes[at] !== COLON || at === nameStart) return BAD; // space before the colon, folded line, empty name
    const nameEnd = at++;
    while (at < end && (bytes[at] === SP || bytes[at] === HT)) at++;
    const valueStart = at;
    while (at < end && (kind[bytes[at]!]! & VCHAR) !== 0) at++;
    if (at === end) return NEED_MORE;
    if (bytes[at] !== CR) return BAD; // bare LF, NUL and other control bytes
    let valueEnd = at;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HT)) valueEnd--;
    if (at + 1 === end) return NEED_MORE;
    if (bytes[at + 1] !== LF) return BAD; // bare CR
    at += 2;
    const name = nameOf(bytes, nameStart, nameEnd);
    fields[slot] = nameStart;
    fields[slot + 1] = nameEnd;
    fields[slot + 2] = valueStart;
    fields[slot + 3] = valueEnd;
    fields[slot + 4] = at;
    fields[slot + 5] = name;
    if (name !== Name.Other && name <= Name.Expect) {
      const verdict = framingField(bytes, name, valueStart, valueEnd, head, slot + FIELD_ID);
      if (verdict < 0) return verdict;
    }
    slot += FIELD_WIDTH;
    count++;
  }
}

/** Looks at one field that has to do with framing or the connection (names up to Name.Expect). */
function framingField(bytes: Uint8Array, name: Name, start: number, end: number, head: Head, idAt: number): number {
  switch (name) {
    case Name.Host:
      if (!inRequest) return 0;
      hosts++;
      if (hosts > 1 || !validHost(bytes, start, end)) return BAD;
      if ((head.flags & HeadFlag.Absolute) === 0) {
        head.hostStart = start;
        head.hostEnd = end;
      }
      return 0;
    case Name.ContentLength: {
      const length = decodeLength(bytes, start, end);
      if (contentLength >= 0 || length < 0) return BAD;
      contentLength = length;
      head.flags |= HeadFlag.ContentLength;
      return 0;
    }
    case Name.TransferEncoding:
      if (transferEncoding || end === start) return BAD;
      transferEncoding = true;
      head.fields[idAt]! |= FIELD_HOP;
      if (end - start !== 7 || !equalsLower(bytes, start, wordChunked)) return -FailureCause.Unsupported;
      chunked = true;
      return 0;
    case Name.Connection:
      head.fields[idAt]! |= FIELD_HOP;
      connectionField(bytes, start, end, head);
      return connectionOptions > connectionOptionsMax ? -FailureCause.TooLarge : 0;
    case Name.Upgrade:
      // Never to cleartext HTTP/2: that tunnel would carry requests past every rule (and RFC 9113 3.1 dropped it).
      upgradeField = upgradeField || end > start;
      upgradeToH2c = upgradeToH2c || contains(bytes, start, end, wordH2c);
      head.fields[idAt]! |= FIELD_HOP;
      return 0;
    case Name.KeepAlive:
    case Name.ProxyConnection:
    case Name.Te:
      head.fields[idAt]! |= FIELD_HOP;
      return 0;
    case Name.Expect:
      if (!inRequest) return 0;
      if (end - start !== 12 || !equalsLower(bytes, start, wordContinue)) return -FailureCause.Expectation;
      head.flags |= HeadFlag.Expect100;
      return 0;
    default:
      return 0;
  }
}

/** The value of a Content-Length field, or -1 if it is none: digits only, at most 15. */
export function decodeLength(bytes: Uint8Array, start: number, end: number): number {
  if (end === start || end - start > 15) return -1;
  let length = 0;
  for (let i = start; i < end; i++) {
    if ((kind[bytes[i]!]! & DIGIT) === 0) return -1;
    length = length * 10 + bytes[i]! - 48;
  }
  return length;
}

function contains(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  for (let at = start; at + word.length <= end; at++) if (equalsLower(bytes, at, word)) return true;
  return false;
}

/** Connection options (RFC 9110 7.6.1): the ones we act on become flags; other names only raise HasConnectionNames. */
function connectionField(bytes: Uint8Array, start: number, end: number, head: Head): void {
  let at = start;
  while (at < end) {
    while (at < end && (bytes[at] === 44 || bytes[at] === SP || bytes[at] === HT)) at++;
    const token = at;
    while (at < end && bytes[at] !== 44 && bytes[at] !== SP && bytes[at] !== HT) at++;
    const length = at - token;
    if (length === 0) continue;
    connectionOptions++;
    if (length === 5 && equalsLower(bytes, token, wordClose)) head.flags |= HeadFlag.Close;
    else if (length === 10 && equalsLower(bytes, token, wordKeepAlive)) head.flags |= HeadFlag.KeepAlive;
    else if (length === 7 && equalsLower(bytes, token, wordUpgrade)) connectionUpgrade = true;
    else head.flags |= HeadFlag.HasConnectionNames;
  }
}

/** Marks the fields that Connection names as hop-by-hop (RFC 9110 7.6.1); never Host and Content-Length. */
function markConnectionNames(head: Head): void {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.Connection) continue;
    const end = fields[at + FIELD_VALUE_END]!;
    let position = fields[at + FIELD_VALUE]!;
    while (position < end) {
      while (position < end && (bytes[position] === 44 || bytes[position] === SP || bytes[position] === HT)) position++;
      const token = position;
      while (position < end && bytes[position] !== 44 && bytes[position] !== SP && bytes[position] !== HT) position++;
      if (position > token) markNamed(head, token, position);
    }
  }
}

function markNamed(head: Head, start: number, end: number): void {
  const { bytes, fields, fieldCount } = head;
  for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
    const nameStart = fields[at + FIELD_NAME]!;
    if (fields[at + FIELD_NAME_END]! - nameStart !== end - start) continue;
    const name = fields[at + FIELD_ID]! & FIELD_NAME_MASK;
    if (name === Name.Host || name === Name.ContentLength) continue; // removing these would change the meaning
    let same = true;
    for (let k = 0; k < end - start && same; k++) same = lower[bytes[nameStart + k]!] === lower[bytes[start + k]!];
    if (same) fields[at + FIELD_ID]! |= FIELD_HOP;
  }
}

/** Message body length of a request, RFC 9112 6.3, without any of its lenient branches. */
function requestFraming(head: Head): number {
  const http10 = (head.flags & HeadFlag.Http10) !== 0;
  if (hosts === 0 && !http10) return BAD;
  if (hosts === 0 && (head.flags & HeadFlag.Absolute) === 0) head.hostStart = head.hostEnd = head.end;
  if (chunked) {
    if (http10 || contentLength >= 0) return BAD; // RFC 9112 6.1: faulty framing
    head.bodyLength = BODY_CHUNKED;
  } else head.bodyLength = contentLength < 0 ? 0 : contentLength;
  connectionRules(head, http10);
  if (http10) head.flags &= ~HeadFlag.Expect100; // RFC 9110 10.1.1
  return 0;
}

/** Message body length of a response, RFC 9112 6.3; method and status are in the head. */
function responseFraming(head: Head): number {
  const http10 = (head.flags & HeadFlag.Http10) !== 0;
  const status = head.status;
  if (chunked && (http10 || contentLength >= 0)) return BAD;
  if (status < 200 || status === 204) {
    head.bodyLength = 0;
    for (let i = 0, at = FIELD_ID; contentLength >= 0 && i < head.fieldCount; i++, at += FIELD_WIDTH) {
      // RFC 9110 8.6: no Content-Length in 1xx and 204
      if ((head.fields[at]! & FIELD_NAME_MASK) === Name.ContentLength) head.fields[at]! |= FIELD_HOP;
    }
  } else if (status === 304 || head.method === Method.Head) head.bodyLength = 0;
  else if (chunked) head.bodyLength = BODY_CHUNKED;
  else if (contentLength >= 0) head.bodyLength = contentLength;
  else head.bodyLength = BODY_UNTIL_CLOSE;
  connectionRules(head, http10);
  return 0;
}

function connectionRules(head: Head, http10: boolean): void {
  if ((head.flags & HeadFlag.HasConnectionNames) !== 0) markConnectionNames(head);
  // Not with a body: the tunnel would begin with whatever of it is still on its way, in whatever coding.
  const upgrade = connectionUpgrade && upgradeField && !upgradeToH2c;
  if (upgrade && !http10 && head.bodyLength === 0) head.flags |= HeadFlag.Upgrade;
  if (http10 && (head.flags & HeadFlag.KeepAlive) === 0) head.flags |= HeadFlag.Close;
}
