// Fuzzing of heads from HTTP/2: any names and values, taken as a request, as a response and as trailers. What is
// accepted must be, to the HTTP/1.1 parser, the very same head; and written as HPACK again, the same message. (Bytes
// that are no field block at all are the business of decoder.fuzz.ts.)

import type { FuzzTarget } from "../../../tools/fuzz.ts";
import { latin1Text, Scratch } from "../../base/bytes.ts";
import { FailureCause } from "../../base/failure.ts";
import { parseTrailers } from "../h1/parse.ts";
import { latin1 } from "../h1/tables.ts";
import { checkSpans } from "../h1/test-kit.ts";
import { BODY_CHUNKED, FIELD_HOP, FIELD_ID, FIELD_WIDTH, Head, HeadFlag, Method } from "../head.ts";
import { HpackDecoder, HpackError } from "../hpack/decoder.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import { BlockKind, FieldBlock } from "./field-block.ts";
import { FieldRule } from "./field-rules.ts";
import { readRequestHead, readResponseHead, readTrailers } from "./read-head.ts";
import { blockOf, checkAgainstText, type Line, webSocketAccept, webSocketKey } from "./test-kit.ts";
import { encodeRequestHead, encodeResponseHead } from "./write-head.ts";

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

const refusals: ReadonlySet<number> = new Set([
  -FailureCause.Protocol,
  -FailureCause.TooLarge,
  -FailureCause.UriTooLong,
  -FailureCause.Unsupported,
  -FailureCause.Expectation,
]);
const fieldsMax = 40;
const listBytesMax = 8192;
const none = new Uint8Array(0);
const noLines = new Scratch(16);
const block = new FieldBlock(fieldsMax);
const again = new FieldBlock(2 * fieldsMax);

function decode(target: FieldBlock, kind: BlockKind, bytes: Uint8Array, bytesMax: number): boolean {
  target.begin(kind, bytesMax, target === block ? fieldsMax : 2 * fieldsMax);
  return new HpackDecoder(4096).decode(bytes, 0, bytes.length, target) === HpackError.None;
}

function accepted(target: FieldBlock, verdict: number): boolean {
  must(verdict === 0 || refusals.has(verdict), `unknown refusal ${verdict}`);
  must(target.rule === FieldRule.None || verdict === -FailureCause.Protocol, "a broken rule, but no refusal");
  must(verdict !== -FailureCause.Protocol || target.rule !== FieldRule.None, "malformed without a rule");
  return verdict === 0;
}

/** Start line and end-to-end fields, in order. */
function meaning(head: Head, isRequest: boolean): string {
  const { bytes, fields } = head;
  const lines: string[] = [latin1Text(bytes, head.start, head.startLineEnd)];
  for (let at = 0; at < head.fieldCount * FIELD_WIDTH; at += FIELD_WIDTH) {
    if ((fields[at + FIELD_ID]! & FIELD_HOP) !== 0) continue;
    const name = latin1Text(bytes, fields[at]!, fields[at + 1]!);
    if (name !== "host") lines.push(`${name}: ${latin1Text(bytes, fields[at + 2]!, fields[at + 3]!)}`);
  }
  if (isRequest) lines.push(latin1Text(bytes, head.hostStart, head.hostEnd));
  return `${lines.join("\n")}\n${head.bodyLength}`;
}

function checkRequest(input: Uint8Array, endStream: boolean): void {
  if (!decode(block, BlockKind.Request, input, listBytesMax)) return;
  if (!accepted(block, readRequestHead(block, endStream, webSocketKey))) return;
  const { head } = block;
  checkSpans(head, 0, block.out.length);
  checkAgainstText(head, null);
  must(head.bodyLength !== BODY_CHUNKED || !endStream, "content behind the end of the stream");
  const before = meaning(head, true);
  const out = new Scratch(64);
  const upgrade = (head.flags & HeadFlag.Upgrade) !== 0;
  encodeRequestHead(new HpackEncoder(), out, head, noLines, true, none, upgrade);
  must(decode(again, BlockKind.Request, out.bytes.slice(0, out.length), 2 * listBytesMax), "no block");
  must(accepted(again, readRequestHead(again, endStream, webSocketKey)), `rule ${again.rule} when written again`);
  if (!upgrade) must(meaning(again.head, true) === before, "another request when written again");
}

function checkResponse(input: Uint8Array, endStream: boolean): void {
  for (const method of [Method.Get, Method.Head] as const) {
    for (const accept of [null, webSocketAccept]) {
      if (!decode(block, BlockKind.Response, input, listBytesMax)) return;
      if (!accepted(block, readResponseHead(block, method, endStream, accept))) continue;
      const { head } = block;
      checkSpans(head, 0, block.out.length);
      checkAgainstText(head, method);
      const before = meaning(head, false);
      if (head.status === 101) continue;
      const out = new Scratch(64);
      encodeResponseHead(new HpackEncoder(), out, head, noLines);
      must(decode(again, BlockKind.Response, out.bytes.slice(0, out.length), 2 * listBytesMax), "no block");
      must(accepted(again, readResponseHead(again, method, endStream, null)), `rule ${again.rule} when written again`);
      must(meaning(again.head, false) === before, "another response when written again");
    }
  }
}

function checkTrailers(input: Uint8Array): void {
  if (!decode(block, BlockKind.Trailers, input, listBytesMax)) return;
  if (!accepted(block, readTrailers(block))) return;
  const { head } = block;
  must(head.bytes[head.end - 1] === 10, "no end");
  const parsed = new Head(fieldsMax);
  const after = parseTrailers(head.bytes, head.start, head.end, parsed, fieldsMax);
  if (after < 0) return; // it wants Content-Length to be one, which is not passed on anyway
  must(after === head.end && parsed.fieldCount === head.fieldCount, "other trailers by their text");
  const hops = (of: Head): string => of.fields.slice(0, of.fieldCount * FIELD_WIDTH).join();
  must(hops(parsed) === hops(head), "other places by their text");
}

// An input is a list of fields: these bytes, which are wrong or of no interest in fields, stand between its parts.
const FIELD_END = 0xff;
const NAME_END = 0xfe;
const NEVER = 0xfd;

function textOf(lines: readonly Line[]): Uint8Array {
  return Uint8Array.from(
    lines.flatMap(([name, value, never]) => [
      ...(never === undefined ? [] : [NEVER]),
      ...latin1(name),
      NAME_END,
      ...latin1(value),
      FIELD_END,
    ]),
  );
}

function linesOf(input: Uint8Array): Line[] {
  const lines: Line[] = [];
  for (let at = 0; at < input.length;) {
    let end = input.indexOf(FIELD_END, at);
    if (end < 0) end = input.length;
    const nameEnd = input.subarray(at, end).indexOf(NAME_END);
    const valueStart = nameEnd < 0 ? end : at + nameEnd + 1;
    const never = input[at] === NEVER;
    const name = latin1Text(input, never ? at + 1 : at, nameEnd < 0 ? end : at + nameEnd);
    const value = latin1Text(input, valueStart, end);
    lines.push(never ? [name, value, "never"] : [name, value]);
    at = end + 1;
  }
  return lines;
}

const start: readonly Line[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "a.test"],
  [":path", "/a?b"],
];

export const target: FuzzTarget = {
  name: "h2-heads",
  seeds: (
    [
      [...start, ["cookie", "a=1"], ["x-a", "1"], ["cookie", "b=2", "never"], ["te", "trailers"]],
      [...start, ["host", "A.test"], ["content-length", "5"], ["expect", "100-continue"]],
      [
        [":method", "OPTIONS"],
        [":scheme", "http"],
        [":path", "*"],
        ["host", "[::1]:8"],
        ["x-b", ""],
      ],
      [...start.with(0, [":method", "CONNECT"]), [":protocol", "websocket"], ["sec-websocket-version", "13"]],
      [
        [":status", "200"],
        ["server", "x"],
        ["set-cookie", "a", "never"],
        ["content-length", "0"],
      ],
      [
        [":status", "204"],
        ["content-length", "9"],
        ["date", "Mon"],
      ],
      [
        ["grpc-status", "0"],
        ["grpc-message", "a b"],
        ["via", "1.1 x"],
      ],
    ] satisfies Line[][]
  ).map(textOf),
  run(input) {
    const bytes = blockOf(linesOf(input));
    for (const endStream of [true, false]) {
      checkRequest(bytes, endStream);
      checkResponse(bytes, endStream);
    }
    checkTrailers(bytes);
  },
};
