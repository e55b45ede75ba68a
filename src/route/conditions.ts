// The conditions of one route, compiled, each as a question to a request. Who asks which of them, and in what order, is
// the business of router.ts (fast) and explain.ts (in words).

import { CidrSet } from "../base/cidr-set.ts";
import { type Cidr, parseCidr } from "../base/ip.ts";
import type { MatchConfig } from "../model/route-config.ts";
import { type Head, Method } from "../wire/head.ts";
import { latin1, lower } from "../wire/h1/tables.ts";
import { argumentHolds, cookieHolds, FieldTest, headerHolds } from "./fields.ts";
import { compileGlob, type Glob } from "./glob.ts";
import type { MatchInput } from "./match-input.ts";
import { normalPathBytes, type PathRules } from "./path.ts";
import { compileRegex, type Regex } from "./regex/regex.ts";

/** What is wrong with a condition. The configuration's own checks come first, so that a person rarely sees this. */
export interface MatchProblem {
  /** Index of the route. */
  readonly route: number;
  readonly key: "host" | "regex" | "source";
  readonly value: string;
  readonly message: string;
}

export interface HostPattern {
  /** Lower case. Of "*.example.com" what stands behind the star. */
  readonly name: Uint8Array;
  readonly wild: boolean;
}

/** A MatchConfig, compiled. An empty list is no condition. */
export interface Conditions {
  readonly config: MatchConfig;
  readonly hosts: readonly HostPattern[];
  readonly paths: readonly Glob[];
  /** Without a slash at the end: "" is the prefix of all paths. */
  readonly prefixes: readonly Uint8Array[];
  readonly regexes: readonly Regex[];
  /** Bit 1 << Method for each method known by number; 0 = none of those. */
  readonly methodMask: number;
  /** The other ones. */
  readonly methodNames: readonly Uint8Array[];
  readonly headers: readonly FieldTest[];
  readonly cookies: readonly FieldTest[];
  readonly query: readonly FieldTest[];
  /** null = no condition. */
  readonly sources: CidrSet | null;
}

const SLASH = 47;
const DOT = 46;
const COLON = 58;
const BRACKET = 91;
const CLOSING_BRACKET = 93;

export function compileConditions(
  config: MatchConfig,
  rules: PathRules,
  report: (key: MatchProblem["key"], value: string, message: string) => void,
): Conditions {
  const encode = (text: string): Uint8Array => normalPathBytes(text, rules);
  const regexes: Regex[] = [];
  for (const text of config.regexes) {
    const regex = compileRegex(text);
    if ("message" in regex) report("regex", text, regex.message);
    else regexes.push(regex);
  }
  const blocks: Cidr[] = [];
  for (const text of config.sources) {
    const block = parseCidr(text);
    if (block === null) report("source", text, "not an address block like 10.0.0.0/8");
    else blocks.push(block);
  }
  const methods = config.methods.map((name) => ({ name, number: methodNumbers.get(name) }));
  const globs = config.paths.map((path) => compileGlob(path, encode));
  return {
    config,
    hosts: config.hosts.map((host) => compileHost(host, report)),
    paths: globs.some((glob) => glob.matchesAll) ? [] : globs,
    prefixes: config.prefixes.map((prefix) => encode(prefix.replace(/\/+$/, ""))),
    regexes,
    methodMask: methods.reduce((mask, { number }) => mask | (number === undefined ? 0 : 1 << number), 0),
    methodNames: methods.filter(({ number }) => number === undefined).map(({ name }) => latin1(name)),
    headers: config.headers.map((field) => new FieldTest(field)),
    cookies: config.cookies.map((field) => new FieldTest(field)),
    query: config.query.map((field) => new FieldTest(field)),
    sources: config.sources.length === 0 ? null : new CidrSet(blocks),
  };
}

const methodNumbers: ReadonlyMap<string, Method> = new Map(
  Object.entries(Method)
    .filter(([, number]) => number !== Method.Other)
    .map(([name, number]) => [name.toUpperCase(), number]),
);

function compileHost(
  host: string,
  report: (key: MatchProblem["key"], value: string, message: string) => void,
): HostPattern {
  const wild = host.startsWith("*.");
  const name = (wild ? host.slice(1) : host).toLowerCase();
  if (name.includes("*")) report("host", host, 'a star may only stand for whole labels in front: "*.example.com"');
  return { name: new TextEncoder().encode(name), wild };
}

/** Where the name in Host ends: before the port, and before the dot of the DNS root. */
export function hostNameEnd(head: Head): number {
  const { bytes, hostStart } = head;
  let end = hostStart;
  const closing = hostStart < head.hostEnd && bytes[hostStart] === BRACKET ? CLOSING_BRACKET : COLON;
  while (end < head.hostEnd && bytes[end] !== closing) end++;
  if (closing === CLOSING_BRACKET) return Math.min(end + 1, head.hostEnd);
  return end > hostStart && bytes[end - 1] === DOT ? end - 1 : end;
}

export function hostHolds(conditions: Conditions, head: Head): boolean {
  const end = hostNameEnd(head);
  return conditions.hosts.some((pattern) => {
    const { name, wild } = pattern;
    const start = end - name.length;
    if (wild ? start <= head.hostStart : start !== head.hostStart) return false;
    return name.every((byte, i) => lower[head.bytes[start + i]!] === byte);
  });
}

export function pathHolds(conditions: Conditions, input: MatchInput): boolean {
  const { paths } = conditions;
  for (let i = 0; i < paths.length; i++) {
    if (paths[i]!.matches(input.path, input.pathStart, input.pathEnd)) return true;
  }
  return false;
}

export function prefixHolds(conditions: Conditions, input: MatchInput): boolean {
  const { prefixes } = conditions;
  for (let i = 0; i < prefixes.length; i++) if (isPrefix(prefixes[i]!, input)) return true;
  return false;
}

function isPrefix(prefix: Uint8Array, input: MatchInput): boolean {
  const { path, pathStart, pathEnd } = input;
  const end = pathStart + prefix.length;
  if (end > pathEnd || (end < pathEnd && path[end] !== SLASH)) return false;
  for (let i = 0; i < prefix.length; i++) if (prefix[i] !== path[pathStart + i]) return false;
  return true;
}

export function regexHolds(conditions: Conditions, input: MatchInput): boolean {
  const { regexes } = conditions;
  for (let i = 0; i < regexes.length; i++) {
    if (regexes[i]!.test(input.path, input.pathStart, input.pathEnd)) return true;
  }
  return false;
}

/** Methods are case-sensitive (RFC 9110 9.1). */
export function methodHolds(conditions: Conditions, head: Head): boolean {
  if (head.method !== Method.Other) return ((conditions.methodMask >> head.method) & 1) !== 0;
  const { methodNames } = conditions;
  for (let i = 0; i < methodNames.length; i++) if (isMethod(methodNames[i]!, head)) return true;
  return false;
}

function isMethod(name: Uint8Array, head: Head): boolean {
  if (head.methodEnd - head.methodStart !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (head.bytes[head.methodStart + i] !== name[i]) return false;
  return true;
}

export function headersHold(conditions: Conditions, head: Head): boolean {
  const { headers } = conditions;
  for (let i = 0; i < headers.length; i++) if (!headerHolds(headers[i]!, head)) return false;
  return true;
}

export function cookiesHold(conditions: Conditions, head: Head): boolean {
  const { cookies } = conditions;
  for (let i = 0; i < cookies.length; i++) if (!cookieHolds(cookies[i]!, head)) return false;
  return true;
}

export function queryHolds(conditions: Conditions, head: Head, input: MatchInput): boolean {
  const { query } = conditions;
  for (let i = 0; i < query.length; i++) {
    if (!argumentHolds(query[i]!, head.bytes, input.queryStart, head.targetEnd)) return false;
  }
  return true;
}

export function sourceHolds(conditions: Conditions, input: MatchInput): boolean {
  return input.address !== null && conditions.sources!.holds(input.address);
}
