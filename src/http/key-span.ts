// Where the text stands that a request is told apart by: its path, a header, a cookie or a query argument. A span in
// the head's bytes, for whoever hashes it (hash-key.ts for balancers, limit-key.ts for limits).

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

/** What the last findKeySpan() found: bytes[start, end) of its head. */
export const keySpan = { start: 0, end: 0 };

/** Finds the key's text; false if the request has none. The client's address is not in the head: not to be asked. */
export function findKeySpan(key: HashKey, head: Head): boolean {
  switch (key.from) {
    case "source":
      return false;
    case "uri":
      return setSpan(head.targetStart, head.targetEnd);
    case "path":
      return setSpan(head.targetStart, pathEnd(head));
    case "header":
      return findHeader(head, key.name);
    case "cookie":
      return findCookie(head, key.name);
    case "query":
      return findPair(head.bytes, pathEnd(head) + 1, head.targetEnd, AMPERSAND, key.name);
  }
}

function setSpan(start: number, end: number): true {
  keySpan.start = start;
  keySpan.end = end;
  return true;
}

function pathEnd(head: Head): number {
  let at = head.targetStart;
  while (at < head.targetEnd && head.bytes[at] !== QUESTION) at++;
  return at;
}

/** Index of the first field from `from` on whose name is this one (in lower case), or -1. */
export function findNamed(head: Head, name: string, from: number): number {
  const { bytes, fields } = head;
  for (let i = from, at = from * FIELD_WIDTH; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    const start = fields[at + FIELD_NAME]!;
    if (fields[at + FIELD_NAME_END]! - start !== name.length) continue;
    let same = true;
    for (let k = 0; k < name.length && same; k++) same = lower[bytes[start + k]!] === name.charCodeAt(k);
    if (same) return i;
  }
  return -1;
}

function findHeader(head: Head, name: string): boolean {
  const index = findNamed(head, name, 0);
  if (index < 0) return false;
  const at = index * FIELD_WIDTH;
  return setSpan(head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
}

function findCookie(head: Head, name: string): boolean {
  const { fields } = head;
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.Cookie) continue;
    if (findPair(head.bytes, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!, SEMICOLON, name)) return true;
  }
  return false;
}

/** The value of name in "a=1<separator>name=value…"; blanks before a name are skipped. */
function findPair(bytes: Uint8Array, start: number, end: number, separator: number, name: string): boolean {
  let at = start;
  while (at < end) {
    while (at < end && bytes[at] === SPACE) at++;
    let stop = at;
    while (stop < end && bytes[stop] !== separator) stop++;
    if (stop - at > name.length && bytes[at + name.length] === EQUALS) {
      let same = true;
      for (let k = 0; k < name.length && same; k++) same = bytes[at + k] === name.charCodeAt(k);
      if (same) return setSpan(at + name.length + 1, stop);
    }
    at = stop + 1;
  }
  return false;
}
