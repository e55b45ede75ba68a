// What the tests of this folder and of the codecs share: parsing text, and looking at a Head as plain values. Not used
// by the program.

import { latin1Text } from "../../base/bytes.ts";
import { causeWord } from "../../base/failure.ts";
import {
  FIELD_HOP,
  FIELD_ID,
  FIELD_LINE_END,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  Head,
  HeadFlag,
  Method,
} from "../head.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { NEED_MORE, parseRequest, parseResponse, parseTrailers } from "./parse.ts";
import { latin1 } from "./tables.ts";

export const headBytesMax = 4096;
export const fieldsMax = 64;

/** A field as it came; hop = it will not be forwarded. */
export interface SeenField {
  readonly name: string;
  readonly value: string;
  readonly hop: boolean;
}

/** A parsed head as plain values. */
export interface SeenHead {
  /** "ok", "more", or the refusal's cause as a word. */
  readonly verdict: string;
  /** Bytes the head took, from the first byte given. */
  readonly used: number;
  readonly method: string;
  readonly methodNumber: Method;
  readonly status: number;
  readonly target: string;
  readonly host: string;
  readonly fields: readonly SeenField[];
  readonly bodyLength: number;
  /** Names of the flags that are set. */
  readonly flags: readonly string[];
}

/** The value of parseRequest and its like as a word. */
export function verdictWord(after: number): string {
  return after > 0 ? "ok" : after === NEED_MORE ? "more" : causeWord(-after);
}

function see(head: Head, after: number, isRequest: boolean): SeenHead {
  const verdict = verdictWord(after);
  const { bytes, fields } = head;
  const text = (from: number, to: number): string => latin1Text(bytes, from, to);
  const whole = verdict === "ok";
  const seen: SeenField[] = [];
  for (let i = 0, at = 0; whole && i < head.fieldCount; i++, at += FIELD_WIDTH) {
    seen.push({
      name: text(fields[at + FIELD_NAME]!, fields[at + FIELD_NAME_END]!),
      value: text(fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!),
      hop: (fields[at + FIELD_ID]! & FIELD_HOP) !== 0,
    });
  }
  const withRequest = whole && isRequest;
  return {
    verdict,
    used: whole ? after : 0,
    method: withRequest ? text(head.methodStart, head.methodEnd) : "",
    methodNumber: head.method,
    status: whole && !isRequest ? head.status : 0,
    target: withRequest ? text(head.targetStart, head.targetEnd) : "",
    host: withRequest ? text(head.hostStart, head.hostEnd) : "",
    fields: seen,
    bodyLength: whole ? head.bodyLength : 0,
    flags: Object.entries(HeadFlag)
      .filter(([, bit]) => whole && (head.flags & bit) !== 0)
      .map(([name]) => name),
  };
}

/** Text is Latin-1. */
export function bytesOf(input: string | Uint8Array): Uint8Array {
  return typeof input === "string" ? latin1(input) : input;
}

/** Parses a request head out of the input. The Head is fresh, so that nothing of another test can shine through. */
export function seeRequest(input: string | Uint8Array, bytesMax = headBytesMax, countMax = fieldsMax): SeenHead {
  const bytes = bytesOf(input);
  const head = new Head(countMax);
  return see(head, parseRequest(bytes, 0, bytes.length, head, bytesMax, countMax), true);
}

export function seeResponse(
  input: string | Uint8Array,
  method: Method = Method.Get,
  bytesMax = headBytesMax,
  countMax = fieldsMax,
): SeenHead {
  const bytes = bytesOf(input);
  const head = new Head(countMax);
  return see(head, parseResponse(bytes, 0, bytes.length, head, method, bytesMax, countMax), false);
}

export function seeTrailers(input: string | Uint8Array, countMax = fieldsMax): SeenHead {
  const bytes = bytesOf(input);
  const head = new Head(countMax);
  return see(head, parseTrailers(bytes, 0, bytes.length, head, countMax), false);
}

/** Throws unless all spans of a whole head are inside [from, to), in order, and free of CR, LF and NUL. */
export function checkSpans(head: Head, from: number, to: number): void {
  const must = (condition: boolean, what: string): void => {
    if (!condition) throw new Error(`${what} in a head at ${from}..${to}`);
  };
  const clean = (start: number, end: number): boolean => {
    for (let i = start; i < end; i++) {
      const c = head.bytes[i];
      if (c === 13 || c === 10 || c === 0) return false;
    }
    return true;
  };
  must(head.start >= from && head.end <= to && head.start < head.end, "start and end");
  let at = head.start;
  for (let i = 0, slot = 0; i < head.fieldCount; i++, slot += FIELD_WIDTH) {
    const name = head.fields[slot + FIELD_NAME]!;
    const nameEnd = head.fields[slot + FIELD_NAME_END]!;
    const value = head.fields[slot + FIELD_VALUE]!;
    const valueEnd = head.fields[slot + FIELD_VALUE_END]!;
    const lineEnd = head.fields[slot + FIELD_LINE_END]!;
    must(at <= name && name < nameEnd && nameEnd < value, `order of field ${i}'s name`);
    must(value <= valueEnd && valueEnd + 2 <= lineEnd && lineEnd <= head.end, `order of field ${i}'s value`);
    must(clean(name, nameEnd) && clean(value, valueEnd), `line break or NUL in field ${i}`);
    must(head.bytes[lineEnd - 2] === 13 && head.bytes[lineEnd - 1] === 10, `line end of field ${i}`);
    at = lineEnd;
  }
  must(head.fieldCount === 0 || at === head.end - 2, "end of the fields");
}

/** The input cut into pieces at the given positions. */
export function cut(input: Uint8Array, at: readonly number[]): Uint8Array[] {
  const marks = [0, ...at, input.length].toSorted((a, b) => a - b);
  return marks.slice(1).map((end, i) => input.slice(marks[i]!, end));
}

/** What became of a head that came in pieces. */
export interface Collected {
  readonly after: number;
  /** Where the head begins and what it was parsed from: the first piece, or the collecting buffer. */
  readonly head: Head;
  /** How often the parser ran. */
  readonly parses: number;
}

type Parse = (bytes: Uint8Array, start: number, end: number, head: Head) => number;

/** Takes a head from pieces in the way the codecs do: straight from the first one if it is whole, else collected. */
export function collect(pieces: readonly Uint8Array[], parse: Parse, bytesMax = headBytesMax): Collected {
  const head = new Head(fieldsMax);
  let buffer: HeadBuffer | null = null;
  let parses = 0;
  for (const piece of pieces) {
    if (piece.length === 0) continue;
    if (buffer === null) {
      parses++;
      const after = parse(piece, 0, piece.length, head);
      if (after !== NEED_MORE) return { after, head, parses };
      buffer = new HeadBuffer();
      buffer.append(piece, 0, piece.length, bytesMax);
      continue;
    }
    if (!buffer.append(piece, 0, piece.length, bytesMax)) continue;
    parses++;
    const after = parse(buffer.bytes, 0, buffer.length, head);
    if (after !== NEED_MORE) return { after, head, parses };
    if (buffer.length > bytesMax) throw new Error("the parser wants more than the limit");
  }
  return { after: NEED_MORE, head, parses };
}

/** Everything a parse came to, as text: equal texts are equal results. */
export function summary(after: number, head: Head, isRequest: boolean): string {
  return JSON.stringify(see(head, after, isRequest));
}
