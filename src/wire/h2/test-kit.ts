// What the tests and fuzz targets of HTTP/2 heads and frames share: reading heads from plain field lists, comparing
// them with what the HTTP/1.1 parser makes of their text, and frames as plain values. Not used by the program.

import { latin1Text } from "../../base/bytes.ts";
import { causeWord } from "../../base/failure.ts";
import { parseRequest, parseResponse } from "../h1/parse.ts";
import { latin1 } from "../h1/tables.ts";
import { FIELD_WIDTH, Head, HeadFlag, Method } from "../head.ts";
import { HpackDecoder, HpackError } from "../hpack/decoder.ts";
import { fieldsMax, listBytesMax, literal } from "../hpack/test-kit.ts";
import { BlockKind, FieldBlock } from "./field-block.ts";
import { FieldRule } from "./field-rules.ts";
import { FrameEvent, FrameReader } from "./frame-reader.ts";
import { readRequestHead, readResponseHead, readTrailers } from "./read-head.ts";

/** A name and a value; "never" = never to be indexed. */
export type Line = readonly [name: string, value: string, never?: "never"];

export const webSocketKey = latin1("dGhlIHNhbXBsZSBub25jZQ==");
export const webSocketAccept = latin1("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

export function blockOf(lines: readonly Line[]): Uint8Array {
  return Uint8Array.from(lines.flatMap(([name, value, never]) => literal(never ?? "without", name, value)));
}

/** What became of a field section: "ok", the name of the rule that it breaks, or another cause. */
export interface SeenSection {
  readonly verdict: string;
  /** The head's text from start to end, if there is one. */
  readonly text: string;
  readonly block: FieldBlock;
}

function see(block: FieldBlock, verdict: number): SeenSection {
  const { head } = block;
  const rule = Object.entries(FieldRule).find(([, number]) => number === block.rule)![0];
  if (block.rule !== FieldRule.None && causeWord(-verdict) !== "protocol") throw new Error("a rule without an error");
  if (verdict < 0) return { verdict: block.rule === FieldRule.None ? causeWord(-verdict) : rule, text: "", block };
  return { verdict: "ok", text: latin1Text(head.bytes, head.start, head.end), block };
}

function decode(kind: BlockKind, bytes: Uint8Array, bytesMax: number, countMax: number): FieldBlock {
  const block = new FieldBlock(countMax);
  block.begin(kind, bytesMax, countMax);
  const error = new HpackDecoder(4096).decode(bytes, 0, bytes.length, block);
  if (error !== HpackError.None) throw new Error(`HPACK error ${error}`);
  return block;
}

export interface SeeOptions {
  readonly endStream?: boolean;
  /** Extended CONNECT is offered or was asked for. */
  readonly webSocket?: boolean;
  /** Of the request. */
  readonly method?: Method;
  readonly bytesMax?: number;
  readonly countMax?: number;
}

export function seeRequest(lines: readonly Line[], options: SeeOptions = {}): SeenSection {
  const { endStream = true, webSocket = false, bytesMax = listBytesMax, countMax = fieldsMax } = options;
  const block = decode(BlockKind.Request, blockOf(lines), bytesMax, countMax);
  const seen = see(block, readRequestHead(block, endStream, webSocket ? webSocketKey : null));
  if (seen.verdict === "ok") checkAgainstText(block.head, null);
  return seen;
}

export function seeResponse(lines: readonly Line[], options: SeeOptions = {}): SeenSection {
  const { endStream = true, webSocket = false, method = Method.Get } = options;
  const block = decode(BlockKind.Response, blockOf(lines), listBytesMax, fieldsMax);
  const seen = see(block, readResponseHead(block, method, endStream, webSocket ? webSocketAccept : null));
  if (seen.verdict === "ok") checkAgainstText(block.head, method);
  return seen;
}

export function seeTrailers(lines: readonly Line[]): SeenSection {
  const block = decode(BlockKind.Trailers, blockOf(lines), listBytesMax, fieldsMax);
  return see(block, readTrailers(block));
}

const requestNumbers = ["methodStart", "methodEnd", "targetStart", "targetEnd", "hostStart", "hostEnd"] as const;
const numbers = ["start", "end", "method", "startLineEnd", "fieldCount", "bodyLength", "flags"] as const;

/**
 * Throws unless the HTTP/1.1 parser makes the same head of the text. method = the request's; null = it is a request.
 */
export function checkAgainstText(head: Head, method: Method | null): void {
  const parsed = new Head(head.fieldCount);
  const { bytes, start, end } = head;
  const after =
    method === null
      ? parseRequest(bytes, start, end, parsed, end - start, head.fieldCount)
      : parseResponse(bytes, start, end, parsed, method, end - start, head.fieldCount);
  const text = JSON.stringify(latin1Text(bytes, start, end));
  if (after !== end) throw new Error(`the parser says ${after > 0 ? after : causeWord(-after)}: ${text}`);
  for (const key of method === null ? [...numbers, ...requestNumbers] : [...numbers, "status" as const]) {
    if (head[key] !== parsed[key]) throw new Error(`${key} is ${head[key]}, by the text ${parsed[key]}: ${text}`);
  }
  for (let i = 0; i < head.fieldCount * FIELD_WIDTH; i++) {
    if (head.fields[i] !== parsed.fields[i]) {
      const at = `${Math.floor(i / FIELD_WIDTH)}, column ${i % FIELD_WIDTH}`;
      throw new Error(`field ${at} is ${head.fields[i]}, by the text ${parsed.fields[i]}: ${text}`);
    }
  }
}

/** Names of the flags that are set. */
export function flagsOf(head: Head): string[] {
  return Object.entries(HeadFlag)
    .filter(([, bit]) => (head.flags & bit) !== 0)
    .map(([name]) => name);
}

/** A frame as its header and payload say it. */
export function frame(type: number, flags: number, streamId: number, payload: readonly number[] = []): number[] {
  const { length } = payload;
  return [length >> 16, length >> 8, length, type, flags, ...u32(streamId), ...payload].map((byte) => byte & 0xff);
}

export function u32(value: number): number[] {
  return [value >>> 24, value >>> 16, value >>> 8, value].map((byte) => byte & 0xff);
}

/** A frame as the reader tells it. DATA in pieces is one of them. */
export interface SeenFrame {
  readonly event: string;
  readonly streamId: number;
  readonly payload: string;
  readonly facts: string;
}

const spanned: ReadonlySet<number> = new Set([
  FrameEvent.Data,
  FrameEvent.Headers,
  FrameEvent.Settings,
  FrameEvent.Ping,
  FrameEvent.PingAck,
  FrameEvent.GoAway,
]);

function factsOf(reader: FrameReader): string {
  const { event, endStream, length, overhead, error, reason, value } = reader;
  switch (event) {
    case FrameEvent.Data:
      return `${length} bytes, ${overhead} overhead${endStream ? ", end" : ""}`;
    case FrameEvent.Headers:
      return `${endStream ? "end" : ""}${error === 0 ? "" : ` error ${error}`}`.trim();
    case FrameEvent.RstStream:
    case FrameEvent.WindowUpdate:
      return `${value}`;
    case FrameEvent.GoAway:
      return `${value}, error ${error}`;
    case FrameEvent.StreamError:
    case FrameEvent.ConnectionError:
      return `error ${error}: ${reason}`;
    default:
      return "";
  }
}

/** Everything that a reader tells of the pieces; ends with the first error of the connection. */
export function readFrames(pieces: readonly Uint8Array[], blockBytesMax = 65_536): SeenFrame[] {
  const reader = new FrameReader(blockBytesMax);
  const seen: SeenFrame[] = [];
  let data: number[] | null = null;
  for (const piece of pieces) {
    for (let at = 0; at <= piece.length;) {
      const after = reader.take(piece, at, piece.length);
      if (after < at || after > piece.length) throw new Error("a position outside");
      if (reader.event === FrameEvent.None) {
        if (after !== piece.length) throw new Error("stopped without an event");
        break;
      }
      at = after;
      if (reader.event === FrameEvent.Data) {
        if (reader.begins !== (data === null)) throw new Error("a piece of DATA out of order");
        data = [...(data ?? []), ...reader.bytes.subarray(reader.start, reader.end)];
        if (!reader.ends) continue;
      } else if (data !== null) throw new Error("DATA without an end");
      const bytes = data ?? reader.bytes.subarray(reader.start, reader.end);
      seen.push({
        event: Object.entries(FrameEvent).find(([, number]) => number === reader.event)![0],
        streamId: reader.streamId,
        payload: spanned.has(reader.event) ? Buffer.from(bytes).toString("latin1") : "",
        facts: factsOf(reader),
      });
      data = null;
      if (reader.event === FrameEvent.ConnectionError) return seen;
    }
  }
  if (data !== null) seen.push({ event: "Data", streamId: reader.streamId, payload: "unfinished", facts: "" });
  return seen;
}
