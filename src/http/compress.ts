// Compresses responses for clients that understand it (RFC 9110 8.4), as a route's `compress` says. Here it is decided
// which, and with what; a compressor of sys/ does the work. What is compressed is another representation: its validator
// is weak, its length unknown, there are no ranges of it, and its digests would be others.
//
// Every write is flushed: what an endpoint sent is never kept back until it sends more, so events and pages that are
// sent bit by bit arrive as before. Measured on 3.5 MB of HTML, JSON, JavaScript and CSS at level 4: writes of 16 KB
// grow the result by 0 to 1 % (and a receive of a body that goes on brings more), of 8 KB by 1 to 4 %, of 4 KB by 3 to
// 8 %, of 1 KB by 14 to 24 %.

import { copyOf, type Scratch } from "../base/bytes.ts";
import type { ByteCompressor, Compressors } from "../base/ports.ts";
import { Flow, type ServerStream } from "../codec/stream.ts";
import type { Coding, CompressConfig } from "../model/route-config.ts";
import { compileGlob, type Glob } from "../route/glob.ts";
import { equalsLower, latin1 } from "../wire/h1/tables.ts";
import { BODY_CHUNKED, FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, type Head, Method } from "../wire/head.ts";
import { findHeader } from "../wire/lookup.ts";
import { chooseCoding } from "./accept-encoding.ts";
import type { BodyFilter } from "./body-filter.ts";
import { ContentFacts, hasWord } from "./content-facts.ts";
import { FieldNames } from "./field-names.ts";

const QUOTE = 34;
const CAPITAL_W = 87;
const SLASH = 47;

const crlf = latin1("\r\n");
const varyLine = latin1("Vary: Accept-Encoding\r\n");
const etagName = latin1("ETag: ");
const weakName = latin1("ETag: W/");
const codingLines: Readonly<Record<Coding, Uint8Array>> = {
  zstd: latin1("Content-Encoding: zstd\r\n"),
  br: latin1("Content-Encoding: br\r\n"),
  gzip: latin1("Content-Encoding: gzip\r\n"),
};
const eventStream = latin1("text/event-stream");
const grpc = latin1("application/grpc");
const none = new Uint8Array(0);

/** What is said of the bytes of a content (RFC 9530, and RFC 3230 and 1864 before it). */
const digests = ["content-digest", "repr-digest", "digest", "content-md5"];
const digestFields = new FieldNames(digests, false);
/** What is not true of the compressed content. A Content-Encoding is "identity" there. */
const outdated = new FieldNames(["content-length", "content-encoding", "accept-ranges", ...digests], false);
const etagField = new FieldNames(["etag"], false);

const facts = new ContentFacts();

export class Compress {
  private readonly codings: readonly Coding[];
  private readonly types: readonly Glob[];
  private readonly minBytes: number;
  private readonly level: number;
  private readonly compressors: Compressors;

  constructor(config: CompressConfig, compressors: Compressors) {
    this.codings = config.codings;
    this.types = config.types.map((type) => compileGlob(type.toLowerCase(), latin1));
    this.minBytes = config.minBytes;
    this.level = config.level;
    this.compressors = compressors;
  }

  /**
   * Decides about a final response that is about to be sent with the lines `added`, which what the route does to fields
   * is part of already. Not null: the body goes through the filter. Then, and for HEAD where GET would be compressed
   * (RFC 9110 9.3.2), the fields are changed to what the compressed content is.
   */
  begin(request: Head, response: Head, method: Method, added: Scratch): BodyFilter | null {
    const { status } = response;
    if (status === 304) this.revalidate(request, response, added);
    if (isLeftAlone(status, method)) return null;
    facts.read(response, added);
    if (!this.isWorthwhile(facts)) return null;
    if (!facts.varies) added.putAll(varyLine); // as another client would be sent something else
    const coding = forbids(request) ? null : chooseCoding(request, this.codings);
    if (coding === null) return null;
    const isHead = method === Method.Head;
    const compressor = isHead ? null : this.compressors.open(coding, this.level);
    if (compressor === null && !isHead) return null;
    outdated.dropFrom(response);
    outdated.dropLines(added);
    added.putAll(codingLines[coding]);
    if (facts.etag.length > 0) weaken(facts.etag, response, added);
    if (compressor === null) return null;
    response.bodyLength = BODY_CHUNKED;
    return new CompressFilter(compressor);
  }

  /** True if there is a client for whom this content would be compressed. */
  private isWorthwhile(content: ContentFacts): boolean {
    if (content.isEncoded || content.isRange || content.noTransform) return false;
    if (content.length >= 0 && content.length < this.minBytes) return false;
    const { type, typeLength } = content;
    // Those who wait for single messages should not have to wait for a user who thought of pages when writing text/*.
    const mustBeNamed = isStream(type, typeLength);
    const { types } = this;
    for (let i = 0; i < types.length; i++) {
      const each = types[i]!;
      if (each.matches(type, 0, typeLength) && (each.isExact || !mustBeNamed)) return true;
    }
    return false;
  }

  /**
   * A client that holds the compressed content knows it by its weak tag, and a 304 has to name it by that (RFC 9111
   * 4.3.4). Of the content's type and length a 304 says nothing.
   */
  private revalidate(request: Head, response: Head, added: Scratch): void {
    facts.read(response, added);
    if (facts.etag.bytes[0] !== QUOTE || facts.etag.length === 0 || !holdsWeak(request, facts.etag)) return;
    if (chooseCoding(request, this.codings) === null) return;
    weaken(facts.etag, response, added);
    if (!facts.varies) added.putAll(varyLine);
  }
}

/** Nothing in it, a part of something, or none of our business. */
function isLeftAlone(status: number, method: Method): boolean {
  if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return true;
  return method === Method.Connect;
}

/** True if the client wants nobody to change the content (RFC 9111 5.2.1.6). */
function forbids(request: Head): boolean {
  const { bytes, fields } = request;
  let index = findHeader(request, "cache-control");
  for (; index >= 0; index = findHeader(request, "cache-control", index + 1)) {
    const at = index * FIELD_WIDTH;
    if (hasWord(bytes, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!, "no-transform")) return true;
  }
  return false;
}

function isStream(type: Uint8Array, length: number): boolean {
  if (length === eventStream.length && equalsLower(type, 0, eventStream)) return true;
  return length >= grpc.length && equalsLower(type, 0, grpc);
}

/** Puts W/ before an entity tag that says its content is the same to the byte. What is no entity tag goes. */
function weaken(etag: Scratch, response: Head, added: Scratch): void {
  const { bytes, length } = etag;
  const isWeak = bytes[0] === CAPITAL_W && bytes[1] === SLASH;
  etagField.dropFrom(response);
  etagField.dropLines(added);
  if (!isWeak && bytes[0] !== QUOTE) return;
  added.putAll(isWeak ? etagName : weakName);
  added.put(bytes, 0, length);
  added.putAll(crlf);
}

/** True if If-None-Match lists W/ and then this entity tag. */
function holdsWeak(request: Head, etag: Scratch): boolean {
  const { bytes, fields } = request;
  let index = findHeader(request, "if-none-match");
  for (; index >= 0; index = findHeader(request, "if-none-match", index + 1)) {
    const at = index * FIELD_WIDTH;
    const last = fields[at + FIELD_VALUE_END]! - etag.length;
    for (let start = fields[at + FIELD_VALUE]! + 2; start <= last; start++) {
      if (bytes[start - 1] !== SLASH || bytes[start - 2] !== CAPITAL_W) continue;
      let same = 0;
      while (same < etag.length && bytes[start + same] === etag.bytes[same]) same++;
      if (same === etag.length) return true;
    }
  }
  return false;
}

class CompressFilter implements BodyFilter {
  private compressor: ByteCompressor | null;

  constructor(compressor: ByteCompressor) {
    this.compressor = compressor;
  }

  write(bytes: Uint8Array, start: number, end: number, last: boolean, client: ServerStream): Flow {
    const { compressor } = this;
    if (compressor === null || (start === end && !last)) return Flow.Go;
    const out = compressor.write(bytes, start, end, last);
    const sent = copyOf(out, 0, out.length); // the client may keep it
    if (last) this.release();
    return client.sendData(sent, 0, sent.length, last);
  }

  trailers(head: Head, client: ServerStream): Flow {
    const { compressor } = this;
    if (compressor === null) return Flow.Go;
    const out = compressor.write(none, 0, 0, true);
    const flow = client.sendData(copyOf(out, 0, out.length), 0, out.length, false);
    this.release();
    if (flow === Flow.Closed) return flow;
    digestFields.dropFrom(head);
    return client.sendTrailers(head);
  }

  release(): void {
    if (this.compressor === null) return;
    this.compressor.close();
    this.compressor = null;
  }
}
