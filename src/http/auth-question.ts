// What an authentication service is asked: a GET without a body that describes the client's request in the fields that
// such services read, with the client's own fields along. Whatever is said about the client is said by us; fields of
// those names that the client sent never go on, in no spelling.
//
// Where answers are remembered the service is told only what they are remembered by, apart from the request's id: an
// answer is never used for a request of which the service would have been told something else.

import { Scratch } from "../base/bytes.ts";
import { OFF } from "../model/config.ts";
import { parseTemplate } from "../model/placeholders.ts";
import type { ForwardAuthConfig } from "../model/route-config.ts";
import {
  FIELD_DROPPED,
  FIELD_HOP,
  FIELD_ID,
  FIELD_LINE_END,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_WIDTH,
  type Head,
} from "../wire/head.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { FieldNames } from "./field-names.ts";
import { type AskedFact, compileTemplate, type Template, type TemplateFacts } from "./template.ts";

const SLASH = 47;

/** What we say ourselves, or what would frame a body that is not there. */
const ours = new FieldNames(
  [
    "host",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "content-length",
    "expect",
    "trailer",
    "transfer-encoding",
  ],
  true,
);

/** Fields that describe a body. */
export const bodyFields: FieldNames = new FieldNames(
  [
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "digest",
    "repr-digest",
  ],
  true,
);

/** What is asked about the resource, not about the client: an answer 304 or 206 would be no verdict. */
const conditions = new FieldNames(
  ["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"],
  true,
);

const getWord = latin1("GET ");
const hostName = latin1(" HTTP/1.1\r\nHost: ");
const crlf = latin1("\r\n");
const uri = compileTemplate("{uri}", "header");

export class AuthQuestion {
  private readonly path: Template;
  /** Host for clients that sent none. */
  private readonly host: Uint8Array;
  /** The fields that are sent along; null = all but those that are not. */
  private readonly sent: FieldNames | null;
  private readonly tellsUri: boolean;

  /** pool: name of the one that is asked. */
  constructor(config: ForwardAuthConfig, pool: string) {
    const { path, requestHeaders, cacheKey } = config;
    const isCached = config.cacheMs !== OFF;
    const names = isCached ? [...requestHeaders, ...cacheKey] : requestHeaders;
    this.path = compileTemplate(path, "target");
    this.host = latin1(pool);
    this.sent = names.length === 0 && !isCached ? null : new FieldNames(names, false);
    const asksUri = parseTemplate(path).parts.some(({ hole }) => hole?.from === "plain" && hole.name === "uri");
    this.tellsUri = asksUri || !isCached;
  }

  /** Writes the head of the question; returns the length of its first part, which decides all the rest but the id. */
  put(out: Scratch, facts: TemplateFacts): number {
    const { head } = facts;
    out.length = 0;
    out.putAll(getWord);
    this.putPath(out, facts);
    out.putAll(hostName);
    this.putHost(out, head);
    out.putAll(crlf);
    this.putFacts(out, facts);
    this.putSent(out, head);
    const keyed = out.length;
    this.putAgain(out, facts);
    putFact(out, "X-Request-Id", "requestId", facts);
    out.putAll(crlf);
    return keyed;
  }

  /** A target in origin form: {path} of a question about the whole server is "*". */
  private putPath(out: Scratch, facts: TemplateFacts): void {
    const from = out.length;
    this.path.put(out, facts);
    if (out.length > from && out.bytes[from] === SLASH) return;
    out.putByte(SLASH);
    out.bytes.copyWithin(from + 1, from, out.length - 1);
    out.bytes[from] = SLASH;
  }

  private putHost(out: Scratch, head: Head): void {
    if (head.hostEnd > head.hostStart) out.put(head.bytes, head.hostStart, head.hostEnd);
    else out.putAll(this.host);
  }

  /** In the words of Traefik and Caddy. */
  private putFacts(out: Scratch, facts: TemplateFacts): void {
    const { head } = facts;
    putMethod(out, "X-Forwarded-Method: ", head);
    putFact(out, "X-Forwarded-Proto", "scheme", facts);
    putFact(out, "X-Forwarded-For", "source", facts);
    putFact(out, "X-Forwarded-Port", "port", facts);
    if (head.hostEnd > head.hostStart) {
      out.putText("X-Forwarded-Host: ");
      this.putHost(out, head);
      out.putAll(crlf);
    }
    if (this.tellsUri) putUri(out, "X-Forwarded-Uri: ", facts);
  }

  /** What can be told from the rest, in the words of nginx's auth_request. */
  private putAgain(out: Scratch, facts: TemplateFacts): void {
    putMethod(out, "X-Original-Method: ", facts.head);
    putFact(out, "X-Real-IP", "source", facts);
    if (!this.tellsUri) return;
    putUri(out, "X-Original-URI: ", facts);
    out.putText("X-Original-URL: ");
    facts.putFact("scheme", out);
    out.putText("://");
    this.putHost(out, facts.head);
    uri.put(out, facts);
    out.putAll(crlf);
  }

  private putSent(out: Scratch, head: Head): void {
    const { sent } = this;
    const { bytes, fields, fieldCount } = head;
    for (let i = 0, at = 0; i < fieldCount; i++, at += FIELD_WIDTH) {
      if ((fields[at + FIELD_ID]! & (FIELD_HOP | FIELD_DROPPED)) !== 0) continue;
      const start = fields[at + FIELD_NAME]!;
      const end = fields[at + FIELD_NAME_END]!;
      if (ours.has(bytes, start, end)) continue;
      const isSent =
        sent !== null
          ? sent.has(bytes, start, end)
          : !bodyFields.has(bytes, start, end) && !conditions.has(bytes, start, end);
      if (isSent) out.put(bytes, start, fields[at + FIELD_LINE_END]!);
    }
  }
}

function putMethod(out: Scratch, name: string, head: Head): void {
  out.putText(name);
  out.put(head.bytes, head.methodStart, head.methodEnd);
  out.putAll(crlf);
}

function putUri(out: Scratch, name: string, facts: TemplateFacts): void {
  out.putText(name);
  uri.put(out, facts);
  out.putAll(crlf);
}

/** A line, unless the fact is not known. */
function putFact(out: Scratch, name: string, fact: AskedFact, facts: TemplateFacts): void {
  const start = out.length;
  out.putText(`${name}: `);
  const from = out.length;
  facts.putFact(fact, out);
  if (out.length === from) out.length = start;
  else out.putAll(crlf);
}
