// Why a request takes the route it takes: for each route up to that one, the first condition that failed, what it
// wanted and what the request has. For people (sluice explain, route tests), in strings, and not for the traffic path;
// the decisions are those of the same conditions that the router asks.

import { latin1Text } from "../base/bytes.ts";
import { formatIp } from "../base/ip.ts";
import type { FieldMatch } from "../model/route-config.ts";
import { FIELD_ID, FIELD_NAME_MASK, FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, type Head, Name } from "../wire/head.ts";
import { findHeader } from "../wire/lookup.ts";
import { type Conditions, hostHolds, hostNameEnd, methodHolds, pathHolds, prefixHolds } from "./conditions.ts";
import { regexHolds, sourceHolds } from "./conditions.ts";
import { argumentHolds, cookieHolds, type FieldTest, headerHolds } from "./fields.ts";
import type { MatchInput } from "./match-input.ts";
import type { Router } from "./router.ts";

export interface RouteVerdict {
  /** Of the route, from 0. */
  readonly index: number;
  /** The condition that the request does not meet; null = it meets all, and takes this route. */
  readonly failed: FailedCondition | null;
}

export interface FailedCondition {
  readonly condition: "host" | "path" | "prefix" | "regex" | "method" | "header" | "cookie" | "query" | "source";
  /** Of the header field, cookie or argument; "" of other conditions. */
  readonly name: string;
  /** What the route wants, any one of them; empty = any value. */
  readonly wanted: readonly string[];
  /** True: the route wants that there is no such value. */
  readonly absent: boolean;
  /** What the request has; empty = nothing. */
  readonly found: readonly string[];
}

/** Every route up to the one that the request takes, or all of them. What find() wants of the input is wanted here. */
export function explain(router: Router<unknown>, head: Head, input: MatchInput): readonly RouteVerdict[] {
  const verdicts: RouteVerdict[] = [];
  for (const [index, conditions] of router.conditions.entries()) {
    const failed = firstFailure(conditions, head, input);
    verdicts.push({ index, failed });
    if (failed === null) break;
  }
  return verdicts;
}

/** A failure in words: 'host is "b.example", not "a.example"'. */
export function describeFailure(failed: FailedCondition): string {
  const { condition, name, wanted, absent, found } = failed;
  const quoted = (texts: readonly string[]): string => texts.map((text) => JSON.stringify(text)).join(" or ");
  const what = name === "" ? condition : `${condition} ${name}`;
  const is = found.length === 0 ? `${what} is not there` : `${what} is ${quoted(found)}`;
  if (absent) return wanted.length === 0 ? `${is}, and should not be there` : `${is}, and should not be`;
  return wanted.length === 0 ? is : `${is}, not ${quoted(wanted)}`;
}

function firstFailure(conditions: Conditions, head: Head, input: MatchInput): FailedCondition | null {
  const { config, headers, cookies, query } = conditions;
  const plain = (
    condition: FailedCondition["condition"],
    wanted: readonly string[],
    found: readonly string[],
  ): FailedCondition => ({ condition, name: "", wanted, absent: false, found });
  const path = latin1Text(input.path, input.pathStart, input.pathEnd);
  if (config.hosts.length > 0 && !hostHolds(conditions, head)) {
    const host = latin1Text(head.bytes, head.hostStart, hostNameEnd(head));
    return plain("host", config.hosts, host === "" ? [] : [host]);
  }
  if (conditions.paths.length > 0 && !pathHolds(conditions, input)) return plain("path", config.paths, [path]);
  if (conditions.prefixes.length > 0 && !prefixHolds(conditions, input)) {
    return plain("prefix", config.prefixes, [path]);
  }
  if (conditions.regexes.length > 0 && !regexHolds(conditions, input)) return plain("regex", config.regexes, [path]);
  if (config.methods.length > 0 && !methodHolds(conditions, head)) {
    return plain("method", config.methods, [latin1Text(head.bytes, head.methodStart, head.methodEnd)]);
  }
  const header = failedField("header", headers, (test) => headerHolds(test, head));
  if (header !== null) return { ...header, found: headerValues(head, header.name) };
  const cookie = failedField("cookie", cookies, (test) => cookieHolds(test, head));
  if (cookie !== null) return { ...cookie, found: cookieValues(head, cookie.name) };
  const { bytes, targetEnd } = head;
  const argument = failedField("query", query, (test) => argumentHolds(test, bytes, input.queryStart, targetEnd));
  if (argument !== null) {
    return { ...argument, found: argumentValues(latin1Text(bytes, input.queryStart, targetEnd), argument.name) };
  }
  if (conditions.sources !== null && !sourceHolds(conditions, input)) {
    return plain("source", config.sources, input.address === null ? [] : [formatIp(input.address)]);
  }
  return null;
}

function failedField(
  condition: FailedCondition["condition"],
  tests: readonly FieldTest[],
  holds: (test: FieldTest) => boolean,
): FailedCondition | null {
  const failed: FieldMatch | undefined = tests.find((test) => !holds(test))?.config;
  if (failed === undefined) return null;
  return { condition, name: failed.name, wanted: failed.patterns, absent: failed.absent, found: [] };
}

function valueOf(head: Head, field: number): string {
  const at = field * FIELD_WIDTH;
  return latin1Text(head.bytes, head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
}

function headerValues(head: Head, name: string): string[] {
  const values: string[] = [];
  for (let i = findHeader(head, name); i >= 0; i = findHeader(head, name, i + 1)) values.push(valueOf(head, i));
  return values;
}

function cookieValues(head: Head, name: string): string[] {
  const lines: string[] = [];
  for (let i = 0; i < head.fieldCount; i++) {
    const isCookie = (head.fields[i * FIELD_WIDTH + FIELD_ID]! & FIELD_NAME_MASK) === Name.Cookie;
    if (isCookie) lines.push(valueOf(head, i));
  }
  return lines
    .flatMap((line) => line.split(";").map((pair) => pair.trim()))
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
}

function argumentValues(query: string, name: string): string[] {
  return query
    .split("&")
    .map((pair) => /^([^=]*)=?(.*)$/s.exec(pair)!)
    .filter(([pair, key]) => pair !== "" && decodeArgument(key!) === name)
    .map(([, , value]) => decodeArgument(value!));
}

/** Latin-1 text of a query with its escapes decoded, read as UTF-8. */
function decodeArgument(text: string): string {
  const decoded = text
    .replaceAll("+", " ")
    .replaceAll(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return new TextDecoder().decode(Uint8Array.from(decoded, (ch) => ch.charCodeAt(0)));
}
