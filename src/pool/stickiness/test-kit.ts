// What the tests of this folder share: heads from text, keys, cookies, and the lines a response would get. Not used by
// the program.

import { latin1Text, Scratch } from "../../base/bytes.ts";
import type { CookieConfig } from "../../model/route-config.ts";
import { parseRequest, parseResponse } from "../../wire/h1/parse.ts";
import { latin1 } from "../../wire/h1/tables.ts";
import { Head, Method } from "../../wire/head.ts";

const fieldsMax = 100;
const bytesMax = 65_536;

/** A request with these field lines. */
export function requestHead(...lines: readonly string[]): Head {
  const bytes = latin1(["GET / HTTP/1.1", "Host: h", ...lines, "", ""].join("\r\n"));
  const head = new Head(fieldsMax);
  const after = parseRequest(bytes, 0, bytes.length, head, bytesMax, fieldsMax);
  if (after !== bytes.length) throw new Error(`request refused: ${after}`);
  return head;
}

/** A response with these field lines. */
export function responseHead(...lines: readonly string[]): Head {
  const bytes = latin1(["HTTP/1.1 200 OK", "Content-Length: 0", ...lines, "", ""].join("\r\n"));
  const head = new Head(fieldsMax);
  const after = parseResponse(bytes, 0, bytes.length, head, Method.Get, bytesMax, fieldsMax);
  if (after !== bytes.length) throw new Error(`response refused: ${after}`);
  return head;
}

export function testKey(fill: number): Uint8Array {
  return new Uint8Array(32).fill(fill);
}

export function cookieConfig(change: Partial<CookieConfig> = {}): CookieConfig {
  const attributes = { secure: "auto", httpOnly: true, sameSite: "lax", path: "/", domain: "" } as const;
  return { name: "SLUICE", ttlMs: 3_600_000, ...attributes, ...change };
}

/** What was written by `write`, as text. */
export function written(write: (into: Scratch) => void): string {
  const into = new Scratch(16);
  write(into);
  return latin1Text(into.bytes, 0, into.length);
}

/** "name=value" of a Set-Cookie line. */
export function pairOf(line: string): string {
  const match = /^Set-Cookie: ([^;]+);/.exec(line);
  if (match === null) throw new Error(`no Set-Cookie line: ${JSON.stringify(line)}`);
  return match[1]!;
}
