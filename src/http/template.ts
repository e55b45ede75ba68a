// Templates of routes, compiled: literal bytes and holes that each message fills with its own values. What a value may
// bring depends on where it goes: nothing that ends a line into a header, nothing but characters of a URI into a
// Location, nothing that would end the path into a rewritten target. Apart from that values are copied byte by byte and
// never decoded. How a template is written, and which placeholders there are: model/placeholders.ts.

import { Scratch } from "../base/bytes.ts";
import { parseTemplate, type Placeholder, type TemplatePart } from "../model/placeholders.ts";
import type { MatchInput } from "../route/match-input.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, type Head } from "../wire/head.ts";
import { findArgument, findCookie, findHeader, Span } from "../wire/lookup.ts";
import { latin1, lower } from "../wire/h1/tables.ts";
import { literalRules, makeSafe, type TemplateUse, valueRules } from "./safe-bytes.ts";

/** Placeholders that only the exchange can tell. {client} is {source}. */
export type AskedFact =
  | "source"
  | "sourcePort"
  | "requestId"
  | "scheme"
  | "port"
  | "listener"
  | "route"
  | "pool"
  | "endpoint"
  | "time"
  | "tls.sni"
  | "tls.version"
  | "tls.cipher";

/** What fills the holes. The exchange implements it. */
export interface TemplateFacts {
  /** The request as it came; fields that are marked as dropped still tell their values. */
  readonly head: Head;
  /** Where its path and query are, as they were matched: of this very parse of the head, for positions differ. */
  readonly input: MatchInput;
  /** Pairs of positions in input.path of what the route's regular expression captured, pair 0 the whole match. */
  readonly captures: Int32Array | null;
  /** Appends the text of one fact; nothing if it is not known. Any byte is allowed: the template makes it safe. */
  putFact(fact: AskedFact, out: Scratch): void;
}

const Kind = {
  Literal: 0,
  Asked: 1,
  Method: 2,
  Host: 3,
  Hostname: 4,
  Uri: 5,
  Path: 6,
  Query: 7,
  Header: 8,
  Cookie: 9,
  Argument: 10,
  Capture: 11,
  RewriteCapture: 12,
} as const;
type Kind = (typeof Kind)[keyof typeof Kind];

interface Part {
  readonly kind: Kind;
  /** A literal's bytes, already safe where they go. */
  readonly bytes: Uint8Array;
  /** The asked fact, or the name of a header, cookie or argument. */
  readonly name: string;
  /** Number of a capture. */
  readonly index: number;
  /** What to do with each byte of a value; null = all stay. */
  readonly rules: Uint8Array | null;
}

const COLON = 58;
const BRACKET = 93;
const SLASH = 47;
const QUESTION = 63;

const none = new Uint8Array(0);
const comma = latin1(", ");
const semicolon = latin1("; ");
const utf8 = new TextEncoder();
const found = new Span();

export class Template {
  /** There are no holes: put() asks for no facts. */
  readonly isLiteral: boolean;
  /** It begins or ends with this text, if with any. */
  readonly firstText: string;
  readonly lastText: string;
  /** It says what the query is: there is a literal "?" in it, or {uri}. */
  readonly saysQuery: boolean;
  private readonly parts: readonly Part[];
  private readonly use: TemplateUse;

  constructor(parts: readonly Part[], use: TemplateUse, texts: readonly string[]) {
    this.parts = parts;
    this.use = use;
    this.isLiteral = parts.every((part) => part.kind === Kind.Literal);
    this.firstText = texts[0] ?? "";
    this.lastText = texts.at(-1) ?? "";
    this.saysQuery = texts.some((text) => text.includes("?")) || parts.some((part) => part.kind === Kind.Uri);
  }

  /**
   * Appends the filled template. facts may be null if it isLiteral. captures = pairs of positions in facts.input.path
   * for $0 to $9, in a template compiled with them.
   */
  put(out: Scratch, facts: TemplateFacts | null, captures: Int32Array | null = null): void {
    const { parts } = this;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      if (part.kind === Kind.Literal) {
        out.putAll(part.bytes);
        continue;
      }
      const from = out.length;
      this.putValue(part, out, facts!, captures);
      if (part.rules !== null) makeSafe(out, from, part.rules);
    }
  }

  private putValue(part: Part, out: Scratch, facts: TemplateFacts, captures: Int32Array | null): void {
    const { head, input } = facts;
    switch (part.kind) {
      case Kind.Asked:
        return facts.putFact(part.name as AskedFact, out);
      case Kind.Method:
        return out.put(head.bytes, head.methodStart, head.methodEnd);
      case Kind.Host:
        return putLower(out, head.bytes, head.hostStart, head.hostEnd);
      case Kind.Hostname:
        return putLower(out, head.bytes, head.hostStart, portStart(head));
      case Kind.Uri:
        this.putPath(out, input);
        return out.put(head.bytes, questionOf(head, input), head.targetEnd);
      case Kind.Path:
        return this.putPath(out, input);
      case Kind.Query:
        return out.put(head.bytes, input.queryStart, head.targetEnd);
      case Kind.Header:
        return putHeader(out, head, part.name);
      case Kind.Cookie:
        if (findCookie(head, part.name, found)) out.put(head.bytes, found.start, found.end);
        return;
      case Kind.Argument:
        if (findArgument(head.bytes, input.queryStart, head.targetEnd, part.name, found)) {
          out.put(head.bytes, found.start, found.end);
        }
        return;
      case Kind.Capture:
        return putCapture(out, input, facts.captures, part.index);
      default:
        return putCapture(out, input, captures, part.index);
    }
  }

  /** The path. A Location has no use for the "*" of a client that asks about the whole server. */
  private putPath(out: Scratch, input: MatchInput): void {
    if (this.use === "location" && input.path[input.pathStart] !== SLASH) out.putByte(SLASH);
    else out.put(input.path, input.pathStart, input.pathEnd);
  }
}

/** Position of the question mark before the query, or the end of the target. */
export function questionOf(head: Head, input: MatchInput): number {
  const at = input.queryStart - 1;
  return at >= head.targetStart && head.bytes[at] === QUESTION ? at : head.targetEnd;
}

function putLower(out: Scratch, bytes: Uint8Array, start: number, end: number): void {
  out.reserve(end - start);
  const to = out.bytes;
  let at = out.length;
  for (let i = start; i < end; i++) to[at++] = lower[bytes[i]!]!;
  out.length = at;
}

/** Position of the colon before the port in the request's Host, or its end. */
function portStart(head: Head): number {
  for (let at = head.hostEnd - 1; at >= head.hostStart; at--) {
    if (head.bytes[at] === COLON) return at;
    if (head.bytes[at] === BRACKET) break;
  }
  return head.hostEnd;
}

/** All values of the field, joined as RFC 9110 5.3 allows; those of Cookie as RFC 6265 wants them. */
function putHeader(out: Scratch, head: Head, name: string): void {
  for (let index = findHeader(head, name), isFirst = true; index >= 0; index = findHeader(head, name, index + 1)) {
    if (!isFirst) out.putAll(name === "cookie" ? semicolon : comma);
    isFirst = false;
    const at = index * FIELD_WIDTH;
    out.put(head.bytes, head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
  }
}

function putCapture(out: Scratch, input: MatchInput, captures: Int32Array | null, index: number): void {
  if (captures === null || 2 * index + 1 >= captures.length) return;
  const start = captures[2 * index]!;
  if (start >= 0) out.put(input.path, start, captures[2 * index + 1]!);
}

/**
 * Compiles a template that the validator has passed; throws if it cannot be used. withDollars = $0 to $9 are captures
 * of a rewrite and $$ is a dollar.
 */
export function compileTemplate(text: string, use: TemplateUse, withDollars = false): Template {
  const parsed = parseTemplate(text);
  if (parsed.unknown.length > 0) throw new Error(`template "${text}": no placeholder {${parsed.unknown[0]}}`);
  const items = withDollars ? splitDollars(parsed.parts) : parsed.parts;
  let isQuery = false;
  const parts = items.map(({ text: literal, hole }): Part => {
    isQuery ||= literal.includes("?");
    return hole === null ? literalPart(literal, use) : valuePart(hole, use, isQuery);
  });
  return new Template(
    parts,
    use,
    items.map((item) => item.text),
  );
}

type Hole = Placeholder | { readonly from: "rewrite"; readonly index: number };
interface Item {
  readonly text: string;
  readonly hole: Hole | null;
}

function splitDollars(parts: readonly TemplatePart[]): Item[] {
  const items: Item[] = [];
  let text = "";
  const add = (hole: Hole | null): void => {
    if (text !== "") items.push({ text, hole: null });
    text = "";
    if (hole !== null) items.push({ text: "", hole });
  };
  for (const part of parts) {
    if (part.hole !== null) add(part.hole);
    for (const piece of part.text.split(/(\$[0-9$])/)) {
      if (/^\$[0-9]$/.test(piece)) add({ from: "rewrite", index: Number(piece[1]) });
      else text += piece === "$$" ? "$" : piece;
    }
  }
  add(null);
  return items;
}

function literalPart(text: string, use: TemplateUse): Part {
  const safe = new Scratch(text.length * 3 + 1);
  safe.putAll(utf8.encode(text));
  const rules = literalRules(use);
  if (rules !== null) makeSafe(safe, 0, rules);
  return { kind: Kind.Literal, bytes: safe.bytes.slice(0, safe.length), name: "", index: 0, rules: null };
}

const derived: Readonly<Record<string, Kind>> = {
  method: Kind.Method,
  host: Kind.Host,
  hostname: Kind.Hostname,
  uri: Kind.Uri,
  path: Kind.Path,
  query: Kind.Query,
};
const named = { header: Kind.Header, cookie: Kind.Cookie, query: Kind.Argument } as const;

function valuePart(hole: Hole, use: TemplateUse, isQuery: boolean): Part {
  switch (hole.from) {
    case "plain": {
      const kindOf = derived[hole.name] ?? Kind.Asked;
      const name = kindOf !== Kind.Asked ? "" : hole.name === "client" ? "source" : hole.name;
      const fills = kindOf === Kind.Uri ? "uri" : kindOf === Kind.Query ? "query" : "text";
      return { kind: kindOf, bytes: none, name, index: 0, rules: valueRules(use, fills, isQuery) };
    }
    case "capture":
    case "rewrite": {
      const kindOf = hole.from === "capture" ? Kind.Capture : Kind.RewriteCapture;
      return { kind: kindOf, bytes: none, name: "", index: hole.index, rules: valueRules(use, "text", isQuery) };
    }
    default: {
      const fills = hole.from === "query" ? "query" : "text";
      return { kind: named[hole.from], bytes: none, name: hole.name, index: 0, rules: valueRules(use, fills, isQuery) };
    }
  }
}
