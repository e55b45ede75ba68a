// From a request to the 32-bit hash that a hashing balancer wants: of the client address, the path, a header, a cookie
// or a query argument. A request without the key hashes to NO_KEY, and hashing balancers then take turns
// (balance/balancer.ts): one endpoint for all of them would be a hot spot.

import { hashBytes, hashText } from "../base/hash.ts";
import type { HashKey } from "../model/config.ts";
import {
  FIELD_ID,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
  Name,
} from "../wire/head.ts";
import { lower } from "../wire/h1/tables.ts";

const QUESTION = 63;
const AMPERSAND = 38;
const SEMICOLON = 59;
const EQUALS = 61;
const SPACE = 32;

/** The hash of a request that has no such key. A key that happens to hash to it takes turns too: one in 2^32. */
const NO_KEY = 0;

/** address = the client's address as text, for the source key; "unix:" is none. */
export function hashOf(key: HashKey, head: Head, address: string): number {
  switch (key.from) {
    case "source":
      return address.startsWith("unix:") ? NO_KEY : hashText(address);
    case "uri":
      return hashBytes(head.bytes, head.targetStart, head.targetEnd);
    case "path":
      return hashBytes(head.bytes, head.targetStart, pathEnd(head));
    case "header":
      return hashOfHeader(head, key.name);
    case "cookie":
      return hashOfCookie(head, key.name);
    case "query":
      return hashOfPair(head.bytes, pathEnd(head) + 1, head.targetEnd, AMPERSAND, key.name);
  }
}

function pathEnd(head: Head): number {
  let at = head.targetStart;
  while (at < head.targetEnd && head.bytes[at] !== QUESTION) at++;
  return at;
}

function hashOfHeader(head: Head, name: string): number {
  const { bytes, fields } = head;
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    const start = fields[at + FIELD_NAME]!;
    if (fields[at + FIELD_NAME_END]! - start !== name.length) continue;
    let same = true;
    for (let k = 0; k < name.length && same; k++) same = lower[bytes[start + k]!] === name.charCodeAt(k);
    if (same) return hashBytes(bytes, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!);
  }
  return NO_KEY;
}

function hashOfCookie(head: Head, name: string): number {
  const { fields } = head;
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.Cookie) continue;
    const hash = hashOfPair(head.bytes, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!, SEMICOLON, name);
    if (hash !== NO_KEY) return hash;
  }
  return NO_KEY;
}

/** Hash of the value of name in "a=1<separator>name=value…"; blanks before a name are skipped. */
function hashOfPair(bytes: Uint8Array, start: number, end: number, separator: number, name: string): number {
  let at = start;
  while (at < end) {
    while (at < end && bytes[at] === SPACE) at++;
    let stop = at;
    while (stop < end && bytes[stop] !== separator) stop++;
    if (stop - at > name.length && bytes[at + name.length] === EQUALS) {
      let same = true;
      for (let k = 0; k < name.length && same; k++) same = bytes[at + k] === name.charCodeAt(k);
      if (same) return hashBytes(bytes, at + name.length + 1, stop);
    }
    at = stop + 1;
  }
  return NO_KEY;
}
