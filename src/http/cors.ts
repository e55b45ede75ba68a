// Cross-origin resource sharing (the Fetch standard, "HTTP extensions"), decided here instead of by endpoints:
// preflight requests are answered, other responses get the fields that let scripts of allowed origins read them. It
// tells browsers what scripts may do and keeps nobody out: requests are forwarded whatever their origin is.

import type { Scratch } from "../base/bytes.ts";
import type { CorsConfig } from "../model/route-config.ts";
import { compileGlob, type Glob } from "../route/glob.ts";
import { validHost } from "../wire/h1/parse.ts";
import { kind, latin1, TCHAR } from "../wire/h1/tables.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, type Head, Method } from "../wire/head.ts";
import { findHeader, isNamed, Span } from "../wire/lookup.ts";
import { FieldNames } from "./field-names.ts";
import { beginOwn, endOwn } from "./own-answer.ts";

const COLON = 58;
const SLASH = 47;
const COMMA = 44;
const SPACE = 32;
const TAB = 9;

const crlf = latin1("\r\n");
const anyOriginLine = latin1("Access-Control-Allow-Origin: *\r\n");
const originName = latin1("Access-Control-Allow-Origin: ");
const credentialsLine = latin1("Access-Control-Allow-Credentials: true\r\n");
const methodsName = latin1("Access-Control-Allow-Methods: ");
const headersName = latin1("Access-Control-Allow-Headers: ");
const varyOrigin = latin1("Vary: Origin\r\n");
const none = new Uint8Array(0);

/** What an endpoint may have said about it itself; of two opinions browsers take neither. */
const theirs = new FieldNames(
  [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
  ],
  false,
);

const value = new Span();

/** Finds the value of a field that is there once and not empty. */
function findOne(head: Head, name: string): boolean {
  const index = findHeader(head, name);
  if (index < 0 || findHeader(head, name, index + 1) >= 0) return false;
  const at = index * FIELD_WIDTH;
  value.start = head.fields[at + FIELD_VALUE]!;
  value.end = head.fields[at + FIELD_VALUE_END]!;
  return value.end > value.start;
}

/** True for a CORS-preflight request: to be answered before anybody is asked for a password. */
export function isPreflight(head: Head): boolean {
  return (
    head.method === Method.Options &&
    findHeader(head, "origin") >= 0 &&
    findHeader(head, "access-control-request-method") >= 0
  );
}

export class Cors {
  private readonly anybody: boolean;
  private readonly origins: readonly Glob[];
  private readonly credentials: boolean;
  /** Complete lines; empty where what is asked for is allowed. */
  private readonly methods: Uint8Array;
  private readonly headers: Uint8Array;
  private readonly maxAge: Uint8Array;
  private readonly expose: Uint8Array;
  /** The Vary line of answers to preflights. */
  private readonly varyPreflight: Uint8Array;
  /** What is said depends on who asks. */
  private readonly dependsOnOrigin: boolean;

  constructor(config: CorsConfig) {
    this.anybody = config.origins.includes("*");
    this.origins = config.origins
      .filter((origin) => origin !== "*")
      .map((origin) => compileGlob(origin.toLowerCase(), latin1));
    this.credentials = config.credentials;
    this.dependsOnOrigin = this.origins.length > 0 && !(this.anybody && !config.credentials);
    const anyMethod = config.methods.includes("*");
    const anyHeader = config.headers.includes("*");
    this.methods = anyMethod ? none : lineOf("Access-Control-Allow-Methods", config.methods);
    this.headers = anyHeader ? none : lineOf("Access-Control-Allow-Headers", config.headers);
    this.expose = lineOf("Access-Control-Expose-Headers", config.expose);
    this.maxAge = latin1(`Access-Control-Max-Age: ${Math.floor(config.maxAgeMs / 1000)}\r\n`);
    const vary = [
      ...(this.dependsOnOrigin ? ["Origin"] : []),
      ...(anyMethod ? ["Access-Control-Request-Method"] : []),
      ...(anyHeader ? ["Access-Control-Request-Headers"] : []),
    ];
    this.varyPreflight = lineOf("Vary", vary);
  }

  /**
   * Makes the answer to a preflight request, to be sent by sendOwn(): 204, and what is allowed if the origin is. The
   * browser draws the conclusions.
   */
  preflight(request: Head, wallMs: number): Head {
    const lines = beginOwn(204, wallMs);
    if (this.allow(request, lines)) {
      if (this.methods.length > 0) lines.putAll(this.methods);
      else echo(request, "access-control-request-method", methodsName, lines);
      if (this.headers.length > 0) lines.putAll(this.headers);
      else echo(request, "access-control-request-headers", headersName, lines);
      lines.putAll(this.maxAge);
    }
    lines.putAll(this.varyPreflight);
    return endOwn(204, request.method, none, 0, true);
  }

  /**
   * Any other response: marks what the endpoint said about it as dropped, and appends our lines to `added`. response is
   * null where only lines are wanted, for an error answer of ours.
   */
  decorate(request: Head, response: Head | null, added: Scratch): void {
    if (response !== null) theirs.dropFrom(response);
    if (this.allow(request, added)) added.putAll(this.expose);
    if (this.dependsOnOrigin && (response === null || !variesByOrigin(response))) added.putAll(varyOrigin);
  }

  /** Appends who may read the answer. False if the origin of this request may not. */
  private allow(request: Head, out: Scratch): boolean {
    const isListed = this.origins.length > 0 && findOne(request, "origin") && this.lists(request.bytes);
    if (isListed && (this.credentials || !this.anybody)) {
      out.putAll(originName);
      out.put(request.bytes, value.start, value.end);
      out.putAll(crlf);
      if (this.credentials) out.putAll(credentialsLine);
      return true;
    }
    if (!this.anybody) return false;
    out.putAll(anyOriginLine); // never with credentials
    return true;
  }

  /** True if the origin at `value` is in the list. A wildcard never stands for what an origin cannot have in it. */
  private lists(bytes: Uint8Array): boolean {
    const { start, end } = value;
    const isPlain = isOrigin(bytes, start, end);
    for (let i = 0; i < this.origins.length; i++) {
      const glob = this.origins[i]!;
      if ((isPlain || glob.isExact) && glob.matches(bytes, start, end)) return true;
    }
    return false;
  }
}

/** scheme "://" host [":" port] and nothing else (RFC 6454 6.2). "null" is not one. */
function isOrigin(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && bytes[at] !== COLON) at++;
  return at > start && bytes[at + 1] === SLASH && bytes[at + 2] === SLASH && validHost(bytes, at + 3, end);
}

/** Appends a field that allows what another asks for, if that is a list of tokens. */
function echo(request: Head, asks: string, name: Uint8Array, out: Scratch): void {
  if (!findOne(request, asks)) return;
  const { bytes } = request;
  for (let i = value.start; i < value.end; i++) {
    const c = bytes[i]!;
    if ((kind[c]! & TCHAR) === 0 && c !== COMMA && c !== SPACE && c !== TAB) return;
  }
  out.putAll(name);
  out.put(bytes, value.start, value.end);
  out.putAll(crlf);
}

/** True if the response says already that it depends on the origin, or on everything. */
function variesByOrigin(response: Head): boolean {
  const { bytes, fields } = response;
  for (let index = findHeader(response, "vary"); index >= 0; index = findHeader(response, "vary", index + 1)) {
    const end = fields[index * FIELD_WIDTH + FIELD_VALUE_END]!;
    for (let at = fields[index * FIELD_WIDTH + FIELD_VALUE]!; at < end; at++) {
      const start = at;
      while (at < end && (kind[bytes[at]!]! & TCHAR) !== 0) at++;
      if (isNamed(bytes, start, at, "origin") || isNamed(bytes, start, at, "*")) return true;
    }
  }
  return false;
}

function lineOf(name: string, values: readonly string[]): Uint8Array {
  return values.length === 0 ? none : latin1(`${name}: ${values.join(", ")}\r\n`);
}
