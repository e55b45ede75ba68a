// What the tests, fuzz targets and benches of this folder share: requests from text, and a path normaliser written the
// plain way, from the words of RFC 3986 and docs/guide/routing.md, to compare the fast one with. Not used by the
// program.

import { latin1Text, Scratch } from "../base/bytes.ts";
import type { FieldMatch, PathsConfig } from "../model/route-config.ts";
import { Head } from "../wire/head.ts";
import { parseRequest } from "../wire/h1/parse.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { MatchInput } from "./match-input.ts";
import { compilePathRules, isRefused, PathVerdict, preparePath } from "./path.ts";

export const paths = (
  mode: PathsConfig["mode"],
  slashes: PathsConfig["slashes"] = "merge",
  encodedSlashes: PathsConfig["encodedSlashes"] = "refuse",
): PathsConfig => ({ mode, slashes, encodedSlashes });

/** All modes with all their options. */
export const allPathsConfigs: readonly PathsConfig[] = (["normalize", "strict", "raw"] as const).flatMap((mode) =>
  (["merge", "keep", "refuse"] as const).flatMap((slashes) =>
    (["refuse", "keep"] as const).map((encodedSlashes) => paths(mode, slashes, encodedSlashes)),
  ),
);

export const field = (name: string, ...patterns: readonly string[]): FieldMatch => ({ name, patterns, absent: false });

export interface SampleRequest {
  readonly method?: string;
  /** Latin-1. */
  readonly target?: string;
  /** "" = none; only HTTP/1.0 may do without. */
  readonly host?: string;
  /** Name and value each. */
  readonly fields?: readonly (readonly [string, string])[];
}

/** The parsed head of a request; throws if the parser refuses it. */
export function headOf(request: SampleRequest): Head {
  const { method = "GET", target = "/", host = "app.example.com", fields = [] } = request;
  const first = host === "" ? [`${method} ${target} HTTP/1.0`] : [`${method} ${target} HTTP/1.1`, `Host: ${host}`];
  const lines = [...first, ...fields.map(([name, value]) => `${name}: ${value}`)];
  const bytes = latin1(`${lines.join("\r\n")}\r\n\r\n`);
  const head = new Head(100);
  const after = parseRequest(bytes, 0, bytes.length, head, 65_536, 100);
  if (after !== bytes.length) throw new Error(`not a request (${after}): ${JSON.stringify(request)}`);
  return head;
}

/** What preparePath makes of a target; path and target as Latin-1 text, "" where it was refused. */
export interface Prepared {
  readonly verdict: PathVerdict;
  readonly path: string;
  readonly query: string;
  readonly target: string;
}

/** A head with this target and nothing else, also one that the parser would refuse. */
function bareHead(target: Uint8Array): Head {
  const head = new Head(1);
  head.bytes = target;
  head.targetEnd = target.length;
  return head;
}

export function prepare(target: Uint8Array | Head, config: PathsConfig): Prepared {
  const head = target instanceof Head ? target : bareHead(target);
  const input = new MatchInput();
  const out = new Scratch(4);
  const verdict = preparePath(head, compilePathRules(config), out, input);
  if (isRefused(verdict)) return { verdict, path: "", query: "", target: "" };
  const { bytes, targetStart, targetEnd } = head;
  return {
    verdict,
    path: latin1Text(input.path, input.pathStart, input.pathEnd),
    query: latin1Text(bytes, input.queryStart, targetEnd),
    target:
      verdict === PathVerdict.Rewritten
        ? latin1Text(out.bytes, 0, out.length)
        : latin1Text(bytes, targetStart, targetEnd),
  };
}

const escape = (ch: string): string => `%${ch.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

/** RFC 3986 5.2.4, step by step as it is written there. */
function removeDotSegments(path: string): string {
  let input = path;
  let output = "";
  while (input !== "") {
    if (input.startsWith("/./")) input = input.slice(2);
    else if (input === "/.") input = "/";
    else if (input.startsWith("/../") || input === "/..") {
      input = input === "/.." ? "/" : input.slice(3);
      output = output.slice(0, Math.max(0, output.lastIndexOf("/")));
    } else {
      const end = input.indexOf("/", 1);
      output += end < 0 ? input : input.slice(0, end);
      input = end < 0 ? "" : input.slice(end);
    }
  }
  return output;
}

/** The normal form of a Latin-1 path that begins with "/"; null = refused. */
export function naivePath(path: string, config: PathsConfig): string | null {
  if (config.mode === "raw") return path;
  if (/%(?![0-9a-fA-F]{2})/.test(path)) return null;
  const whole = path.replaceAll(/[^!$&'()*+,;=:@/%A-Za-z0-9\-._~]/g, escape).replaceAll(/%../g, (text) => {
    const ch = String.fromCharCode(Number.parseInt(text.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(ch) ? ch : text.toUpperCase();
  });
  if (/%[01].|%7F/.test(whole)) return null;
  if (config.encodedSlashes === "refuse" && /%2F|%5C/.test(whole)) return null;
  if (config.slashes === "refuse" && whole.includes("//")) return null;
  for (const segment of whole.split("/")) {
    const parts = segment.split(/%2F|%5C/);
    if (parts.some((part) => /^\.\.?(;|%3B)/.test(part))) return null;
    if (parts.length > 1 && parts.some((part) => /^\.\.?$/.test(part))) return null;
  }
  const normal = removeDotSegments(config.slashes === "merge" ? whole.replaceAll(/\/+/g, "/") : whole);
  return config.mode === "strict" && normal !== path ? null : normal;
}
