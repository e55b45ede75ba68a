// What RFC 9113 8.2 and 8.3 demand of a single field, in one number per field: which name it has, which pseudo-header
// it is, which rule it breaks. It depends on the field alone, so a table entry is judged once, when it is entered. What
// depends on the other fields of a message is judged in read-head.ts. No field is ever repaired.

import { FIELD_HOP, FIELD_NAME_MASK, Name } from "../head.ts";
import { equalsLower, kind, latin1, nameOf, NameTable, TCHAR, VCHAR } from "../h1/tables.ts";

export const Pseudo = { None: 0, Method: 1, Scheme: 2, Authority: 3, Path: 4, Protocol: 5, Status: 6 } as const;
export type Pseudo = (typeof Pseudo)[keyof typeof Pseudo];

/** Why a message is malformed (RFC 9113 8.1.1). All of these are stream errors of type PROTOCOL_ERROR. */
export const FieldRule = {
  None: 0,
  Name: 1,
  UpperCase: 2,
  Value: 3,
  ValueBlanks: 4,
  Connection: 5,
  Te: 6,
  PseudoUnknown: 7,
  PseudoKind: 8,
  PseudoOrder: 9,
  PseudoTwice: 10,
  PseudoMissing: 11,
  Method: 12,
  Scheme: 13,
  Authority: 14,
  Path: 15,
  Status: 16,
  Connect: 17,
  Protocol: 18,
  Host: 19,
  HostDiffers: 20,
  ContentLength: 21,
  ContentLengthEnd: 22,
  Interim: 23,
} as const;
export type FieldRule = (typeof FieldRule)[keyof typeof FieldRule];

const ruleTexts: Readonly<Record<FieldRule, string>> = {
  [FieldRule.None]: "none",
  [FieldRule.Name]: "a field name that is empty or not a token (8.2.1)",
  [FieldRule.UpperCase]: "a field name with upper-case letters (8.2.1)",
  [FieldRule.Value]: "a control character in a field value (8.2.1)",
  [FieldRule.ValueBlanks]: "a field value that begins or ends with white space (8.2.1)",
  [FieldRule.Connection]: "a connection-specific field (8.2.2)",
  [FieldRule.Te]: "a te field other than trailers (8.2.2)",
  [FieldRule.PseudoUnknown]: "an undefined pseudo-header field (8.3)",
  [FieldRule.PseudoKind]: "a pseudo-header field of another kind of message (8.3)",
  [FieldRule.PseudoOrder]: "a pseudo-header field behind a regular one (8.3)",
  [FieldRule.PseudoTwice]: "a pseudo-header field twice (8.3)",
  [FieldRule.PseudoMissing]: "a missing pseudo-header field (8.3.1, 8.3.2)",
  [FieldRule.Method]: "a :method that is no token",
  [FieldRule.Scheme]: "a :scheme that is none (8.3.1)",
  [FieldRule.Authority]: "an empty or invalid :authority (8.3.1)",
  [FieldRule.Path]: "an empty or invalid :path (8.3.1)",
  [FieldRule.Status]: "a :status that is none, or 101 (8.3.2, 8.6)",
  [FieldRule.Connect]: "a CONNECT without :authority, or with :scheme or :path (8.5)",
  [FieldRule.Protocol]: "a :protocol where none was offered, or without CONNECT (RFC 8441 4)",
  [FieldRule.Host]: "a host field that is invalid, missing or there twice",
  [FieldRule.HostDiffers]: "a host field that differs from :authority (8.3.1)",
  [FieldRule.ContentLength]: "a content-length that is none, or there twice",
  [FieldRule.ContentLengthEnd]: "a content-length, but no content (8.1.1)",
  [FieldRule.Interim]: "an interim response that ends the stream (8.1)",
};

/** The rule in words, for logs. */
export function fieldRuleText(rule: FieldRule): string {
  return ruleTexts[rule];
}

/**
 * A judged field: Name and FIELD_HOP as in the FIELD_ID column of a Head | Pseudo << 12 | FieldRule << 16. A regular
 * field that breaks no rule is below CLASS_SPECIAL.
 */
export type FieldClass = number;
export const CLASS_SPECIAL = 1 << 12;

export function nameOfClass(fieldClass: FieldClass): Name {
  return (fieldClass & FIELD_NAME_MASK) as Name;
}
export function pseudoOfClass(fieldClass: FieldClass): Pseudo {
  return ((fieldClass >> 12) & 0xf) as Pseudo;
}
export function ruleOfClass(fieldClass: FieldClass): FieldRule {
  return (fieldClass >> 16) as FieldRule;
}

const COLON = 58;
const SP = 32;
const HT = 9;

const pseudos = new NameTable<Pseudo>(Pseudo.None, [
  [":method", Pseudo.Method],
  [":scheme", Pseudo.Scheme],
  [":authority", Pseudo.Authority],
  [":path", Pseudo.Path],
  [":protocol", Pseudo.Protocol],
  [":status", Pseudo.Status],
]);
const wordTrailers = latin1("trailers");

/** 1 = may stand in a field name, 2 = is an upper-case letter. */
const nameKind = new Uint8Array(256);
for (let c = 0; c < 256; c++) {
  if ((kind[c]! & TCHAR) !== 0) nameKind[c] = c >= 65 && c <= 90 ? 2 : 1;
}

/** Judges the field bytes[nameStart, nameEnd): bytes[valueStart, valueEnd). */
export function classify(
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): FieldClass {
  const isPseudo = bytes[nameStart] === COLON && nameEnd > nameStart;
  const rule = nameRule(bytes, isPseudo ? nameStart + 1 : nameStart, nameEnd) || valueRule(bytes, valueStart, valueEnd);
  if (rule !== FieldRule.None) return rule << 16;
  if (isPseudo) {
    const pseudo = pseudos.find(bytes, nameStart, nameEnd);
    return pseudo === Pseudo.None ? FieldRule.PseudoUnknown << 16 : pseudo << 12;
  }
  const name = nameOf(bytes, nameStart, nameEnd);
  return name === Name.Other || name > Name.Upgrade ? name : regularClass(name, bytes, valueStart, valueEnd);
}

/** The same for a field whose name is that of a field with the class `known`. */
export function classifyValue(
  known: FieldClass,
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): FieldClass {
  // A rule may have been broken by the other value, and te is judged by it.
  if (ruleOfClass(known) !== FieldRule.None || nameOfClass(known) === Name.Te) {
    return classify(bytes, nameStart, nameEnd, valueStart, valueEnd);
  }
  const rule = valueRule(bytes, valueStart, valueEnd);
  return rule === FieldRule.None ? known : rule << 16;
}

function isBlank(byte: number): boolean {
  return byte === SP || byte === HT;
}

function nameRule(bytes: Uint8Array, start: number, end: number): FieldRule {
  if (start === end) return FieldRule.Name;
  let upper = false;
  for (let i = start; i < end; i++) {
    const k = nameKind[bytes[i]!]!;
    if (k === 0) return FieldRule.Name;
    if (k === 2) upper = true;
  }
  return upper ? FieldRule.UpperCase : FieldRule.None;
}

function valueRule(bytes: Uint8Array, start: number, end: number): FieldRule {
  for (let i = start; i < end; i++) if ((kind[bytes[i]!]! & VCHAR) === 0) return FieldRule.Value;
  const blanks = end > start && (isBlank(bytes[start]!) || isBlank(bytes[end - 1]!));
  return blanks ? FieldRule.ValueBlanks : FieldRule.None;
}

/** The fields that HTTP/1.1 manages its connections with (8.2.2). */
function regularClass(name: Name, bytes: Uint8Array, start: number, end: number): FieldClass {
  switch (name) {
    case Name.Connection:
    case Name.KeepAlive:
    case Name.ProxyConnection:
    case Name.TransferEncoding:
    case Name.Upgrade:
      return FieldRule.Connection << 16;
    case Name.Te:
      if (end - start !== wordTrailers.length || !equalsLower(bytes, start, wordTrailers)) return FieldRule.Te << 16;
      return name | FIELD_HOP;
    default:
      return name;
  }
}
