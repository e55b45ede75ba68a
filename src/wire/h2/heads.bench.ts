// Cost of heads over HTTP/2: decoding a browser's request into a Head and encoding heads for the other side, when all
// is new to the tables, and when it comes again. `bun src/wire/h2/heads.bench.ts` prints nanoseconds per head and per
// field.

import { Scratch } from "../../base/bytes.ts";
import { sampleRequest, sampleResponse } from "../h1/parse.bench.ts";
import { parseRequest, parseResponse } from "../h1/parse.ts";
import { Head, Method } from "../head.ts";
import { HpackDecoder } from "../hpack/decoder.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import { BlockKind, FieldBlock } from "./field-block.ts";
import { readRequestHead } from "./read-head.ts";
import { encodeRequestHead, encodeResponseHead } from "./write-head.ts";

const none = new Uint8Array(0);
const noLines = new Scratch(16);
const out = new Scratch(4096);
const request = new Head(100);
parseRequest(sampleRequest, 0, sampleRequest.length, request, 65536, 100);
const response = new Head(100);
parseResponse(sampleResponse, 0, sampleResponse.length, response, Method.Get, 65536, 100);

function encode(encoder: HpackEncoder): Uint8Array {
  out.length = 0;
  encodeRequestHead(encoder, out, request, noLines, true, none, false);
  return out.bytes.slice(0, out.length);
}

/** Nanoseconds per call. */
function measure(iterations: number, run: () => void): number {
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) run();
  return (Bun.nanoseconds() - started) / iterations;
}

/** Each case with the fields it has; the pseudo-header fields of a request are four of them. */
export function bench(iterations: number): Readonly<Record<string, { readonly fields: number; readonly ns: number }>> {
  const encoder = new HpackEncoder();
  const first = encode(encoder);
  const blocks = [first, encode(encoder), encode(encoder)];
  const decoder = new HpackDecoder(4096);
  const block = new FieldBlock(100);
  const decode = (bytes: Uint8Array): void => {
    block.begin(BlockKind.Request, 65536, 100);
    decoder.decode(bytes, 0, bytes.length, block);
    readRequestHead(block, true, null);
  };
  blocks.forEach(decode);
  const again = blocks[2]!;
  const without = new HpackEncoder();
  without.setPeerTable(0);
  const put = (by: HpackEncoder): void => {
    out.length = 0;
    encodeRequestHead(by, out, request, noLines, true, none, false);
  };
  const answer = (by: HpackEncoder): void => {
    out.length = 0;
    encodeResponseHead(by, out, response, noLines);
  };
  const ofRequest = request.fieldCount - 2 + 4; // without Host and Connection
  const ofResponse = response.fieldCount - 1 + 1;
  const cases: readonly (readonly [string, number, () => void])[] = [
    ["request decoded, from the tables", ofRequest, () => decode(again)],
    ["request decoded, all literal", ofRequest, () => decode(first)],
    ["request encoded, by the tables", ofRequest, () => put(encoder)],
    ["request encoded, all literal", ofRequest, () => put(without)],
    ["response encoded, by the tables", ofResponse, () => answer(encoder)],
    ["response encoded, all literal", ofResponse, () => answer(without)],
  ];
  return Object.fromEntries(cases.map(([name, fields, run]) => [name, { fields, ns: measure(iterations, run) }]));
}

if (import.meta.main) {
  bench(20_000);
  for (const [name, { fields, ns }] of Object.entries(bench(200_000))) {
    console.log(`${name}: ${ns.toFixed(0)} ns, ${(ns / fields).toFixed(0)} ns a field`);
  }
}
