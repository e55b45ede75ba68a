// What a value may bring where it is put: nothing that ends a line into a header, nothing but characters of a URI into
// a Location, nothing that would end the path, or the argument, into a request target. All else stays as it is.

import type { Scratch } from "../base/bytes.ts";
import { kind, latin1, TARGET, VCHAR } from "../wire/h1/tables.ts";

/**
 * header = the value of a field; location = a URI reference in one; target = path and query of a request; body = bytes
 * that nobody interprets.
 */
export type TemplateUse = "header" | "location" | "target" | "body";

/** query = text that stood in a query; uri = a path with its query; text = anything else. */
export type Filling = "query" | "uri" | "text";

const DROP = 1;
const ENCODE = 2;
const QUESTION = 63;

/** The rules of one use: what is done with the bytes that `stays` refuses. */
function rulesOf(refused: number, stays: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (stays(byte) ? 0 : refused));
}

const uriBytes = new Set(
  latin1("!#$%&'()*+,-./:;=?@[]_~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
);
const queryEnders = new Set(latin1("&#+"));
const isTarget = (byte: number): boolean => (kind[byte]! & TARGET) !== 0;

const headerRules = rulesOf(DROP, (byte) => (kind[byte]! & VCHAR) !== 0);
const locationRules = rulesOf(ENCODE, (byte) => uriBytes.has(byte));
/** Behind the "?": the value is to stay within one argument. */
const locationQueryRules = rulesOf(ENCODE, (byte) => uriBytes.has(byte) && !queryEnders.has(byte));
/** Values came as targets do, so bytes above ASCII stay what they are. */
const targetRules = rulesOf(ENCODE, isTarget);
const targetTextRules = rulesOf(ENCODE, (byte) => isTarget(byte) && byte < 128);
const targetPathRules = rulesOf(ENCODE, (byte) => isTarget(byte) && byte !== QUESTION);
const targetQueryRules = rulesOf(ENCODE, (byte) => isTarget(byte) && !queryEnders.has(byte));

const hexDigits = latin1("0123456789ABCDEF");

/** For the operator's own text. null = all stays. */
export function literalRules(use: TemplateUse): Uint8Array | null {
  if (use === "body") return null;
  return use === "header" ? headerRules : use === "location" ? locationRules : targetTextRules;
}

/** For values. isQuery = they come behind a "?". null = all stays. */
export function valueRules(use: TemplateUse, filling: Filling, isQuery: boolean): Uint8Array | null {
  if (use === "body" || use === "header") return literalRules(use);
  const staysInside = isQuery && filling !== "query";
  if (use === "location") return staysInside ? locationQueryRules : locationRules;
  if (staysInside) return targetQueryRules;
  return isQuery || filling === "uri" ? targetRules : targetPathRules;
}

/** Drops or percent-encodes the bytes from `from` on that the rules do not let pass. */
export function makeSafe(out: Scratch, from: number, rules: Uint8Array): void {
  const { length } = out;
  let dropped = 0;
  let encoded = 0;
  for (let i = from; i < length; i++) {
    const rule = rules[out.bytes[i]!]!;
    if (rule === DROP) dropped++;
    else if (rule === ENCODE) encoded++;
  }
  if (encoded > 0) percentEncode(out, from, encoded, rules);
  else if (dropped > 0) {
    const { bytes } = out;
    let at = from;
    for (let i = from; i < length; i++) if (rules[bytes[i]!] === 0) bytes[at++] = bytes[i]!;
    out.length = at;
  }
}

/** Widens the text in place, from its end. */
function percentEncode(out: Scratch, from: number, count: number, rules: Uint8Array): void {
  out.reserve(2 * count);
  const { bytes } = out;
  let at = out.length + 2 * count;
  let i = out.length;
  out.length = at;
  while (i > from) {
    const c = bytes[--i]!;
    if (rules[c] === 0) {
      bytes[--at] = c;
      continue;
    }
    bytes[--at] = hexDigits[c & 15]!;
    bytes[--at] = hexDigits[c >> 4]!;
    bytes[--at] = 37;
  }
}
