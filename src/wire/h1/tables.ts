// Byte classes of HTTP/1.1 (RFC 9110 5.5, 5.6; RFC 3986) as 256-entry tables, and the names the proxy knows.

import { Name } from "../head.ts";

/** Bits of `kind`. */
export const TCHAR = 1; // token character, RFC 9110 5.6.2
export const VCHAR = 2; // allowed in a field value: visible, space, tab, obs-text
export const TARGET = 4; // allowed in a request target: visible ASCII but "#", and obs-text bytes untouched
export const HOST = 8; // allowed in a Host value outside brackets: reg-name characters but "%", RFC 3986 3.2.2
export const DIGIT = 16;

export const kind = new Uint8Array(256);
/** ASCII lower case, other bytes unchanged. */
export const lower = new Uint8Array(256);
/** Value of a hexadecimal digit, 255 for anything else. */
export const hexValue = new Uint8Array(256).fill(255);

for (let c = 0; c < 256; c++) {
  const ch = String.fromCharCode(c);
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(ch) && c < 128) kind[c]! |= TCHAR;
  if (c === 9 || (c >= 32 && c !== 127)) kind[c]! |= VCHAR;
  if (c > 32 && c !== 127 && ch !== "#") kind[c]! |= TARGET;
  if (/[A-Za-z0-9\-._~!$&'()*+,;=]/.test(ch) && c < 128) kind[c]! |= HOST;
  if (c >= 48 && c <= 57) kind[c]! |= DIGIT;
  lower[c] = c >= 65 && c <= 90 ? c + 32 : c;
}
for (let i = 0; i < 16; i++) {
  hexValue["0123456789abcdef".charCodeAt(i)] = i;
  hexValue["0123456789ABCDEF".charCodeAt(i)] = i;
}

/** Bytes of Latin-1 text. */
export function latin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const known: Readonly<Record<string, Name>> = {
  host: Name.Host,
  "content-length": Name.ContentLength,
  "transfer-encoding": Name.TransferEncoding,
  connection: Name.Connection,
  "keep-alive": Name.KeepAlive,
  "proxy-connection": Name.ProxyConnection,
  te: Name.Te,
  trailer: Name.Trailer,
  upgrade: Name.Upgrade,
  expect: Name.Expect,
  "x-forwarded-for": Name.XForwardedFor,
  "x-forwarded-proto": Name.XForwardedProto,
  "x-forwarded-host": Name.XForwardedHost,
  "x-forwarded-port": Name.XForwardedPort,
  "x-real-ip": Name.XRealIp,
  "x-request-id": Name.XRequestId,
  via: Name.Via,
  "user-agent": Name.UserAgent,
  referer: Name.Referer,
  "content-type": Name.ContentType,
  date: Name.Date,
  server: Name.Server,
  cookie: Name.Cookie,
  "set-cookie": Name.SetCookie,
  forwarded: Name.Forwarded,
  "proxy-authenticate": Name.ProxyAuthenticate,
  "proxy-authorization": Name.ProxyAuthorization,
  accept: Name.Accept,
  traceparent: Name.Traceparent,
  tracestate: Name.Tracestate,
  "retry-after": Name.RetryAfter,
};

interface NumberedName<N extends number> {
  readonly bytes: Uint8Array;
  readonly number: N;
}

const nameLengthMax = 31;

/** Field names of at most 31 bytes, each with a number, found in any case. A name that is not there costs little. */
export class NameTable<N extends number> {
  /** [length << 8 | first byte] -> a few candidates. */
  private readonly candidates = new Array<readonly NumberedName<N>[] | null>((nameLengthMax + 1) << 8).fill(null);
  private readonly none: N;

  /** Names in lower case. none = the number of all others. */
  constructor(none: N, names: Iterable<readonly [string, N]>) {
    this.none = none;
    for (const [text, number] of names) {
      const key = (text.length << 8) | text.charCodeAt(0);
      this.candidates[key] = [...(this.candidates[key] ?? []), { bytes: latin1(text), number }];
    }
  }

  find(bytes: Uint8Array, start: number, end: number): N {
    const length = end - start;
    if (length > nameLengthMax) return this.none;
    const list = this.candidates[(length << 8) | lower[bytes[start]!]!];
    if (list === null || list === undefined) return this.none;
    for (let c = 0; c < list.length; c++) {
      if (equalsLower(bytes, start, list[c]!.bytes)) return list[c]!.number;
    }
    return this.none;
  }
}

function* knownSpellings(): Generator<readonly [string, Name]> {
  for (const [text, name] of Object.entries(known)) {
    yield [text, name];
    if (name < Name.XForwardedFor || name > Name.XRequestId) continue;
    for (const spelling of spellings(text)) if (spelling !== text) yield [spelling, Name.Lookalike];
  }
}

/** The text with each of its dashes as it is, or as an underscore. */
function spellings(text: string): string[] {
  const [first = "", ...rest] = text.split("-");
  return rest.reduce((heads, word) => heads.flatMap((head) => [`${head}-${word}`, `${head}_${word}`]), [first]);
}

const knownNames = new NameTable<Name>(Name.Other, knownSpellings());

/** The known name spelled by bytes[start, end) in any case, or Name.Other. */
export function nameOf(bytes: Uint8Array, start: number, end: number): Name {
  return knownNames.find(bytes, start, end);
}

/** True if the bytes from start spell the (lower-case) word, ignoring ASCII case. The caller has checked the length. */
export function equalsLower(bytes: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) {
    if (lower[bytes[start + i]!] !== word[i]) return false;
  }
  return true;
}
