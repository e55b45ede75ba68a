// The matching rules of docs/guide/routing.md written the plain way, on strings, route by route: what the property test
// compares the compiled router with. Shares no code with it but the path's normal form. Not used by the program.

import type { FieldMatch, MatchConfig, PathsConfig } from "../model/route-config.ts";
import { naivePath } from "./test-kit.ts";

export interface PlainRequest {
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  /** A dotted quad. */
  readonly source: string;
}

const quoted = (text: string): string => text.replaceAll(/[.+^${}()|[\]\\/*?]/g, "\\$&");

/** The pattern with its backslashes gone, and private characters for the wildcards. */
function readPattern(pattern: string): string {
  return pattern.replaceAll(/\\.|[*?]/gs, (piece) => {
    if (piece === "*") return "\u{e000}";
    return piece === "?" ? "\u{e001}" : piece.slice(1);
  });
}

function readFits(read: string, text: string): boolean {
  const source = quoted(read).replaceAll("\u{e000}", ".*").replaceAll("\u{e001}", ".");
  return new RegExp(`^${source}$`, "s").test(text);
}

function globFits(pattern: string, text: string): boolean {
  return readFits(readPattern(pattern), text);
}

/** A "%" that begins no escape means itself, which is %25 in a path. */
function pathFits(pattern: string, path: string, raw: boolean): boolean {
  const read = readPattern(pattern);
  return readFits(raw ? read : read.replaceAll(/%(?![0-9a-fA-F]{2})/g, "%25"), path);
}

function hostFits(pattern: string, host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/:\d*$/, "")
    .replace(/(.)\.$/, "$1");
  return pattern.startsWith("*.")
    ? name.length > pattern.length - 1 && name.endsWith(pattern.slice(1))
    : name === pattern;
}

function prefixFits(prefix: string, path: string): boolean {
  const bare = prefix.replace(/\/+$/, "");
  return path === bare || path.startsWith(`${bare}/`);
}

function fieldHolds(condition: FieldMatch, values: readonly string[]): boolean {
  const { patterns, absent } = condition;
  const fits = values.some((value) => patterns.length === 0 || patterns.some((pattern) => globFits(pattern, value)));
  return fits !== absent;
}

function decode(text: string): string {
  return text
    .replaceAll("+", " ")
    .replaceAll(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

function sourceFits(block: string, source: string): boolean {
  const number = (quad: string): number => quad.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const [base = "", prefix = "32"] = block.split("/");
  const size = 2 ** (32 - Number(prefix));
  return Math.floor(number(base) / size) === Math.floor(number(source) / size);
}

function matches(match: MatchConfig, request: PlainRequest, path: string, raw: boolean): boolean {
  const query = request.target.includes("?") ? request.target.slice(request.target.indexOf("?") + 1) : "";
  const values = (name: string): string[] =>
    request.fields.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value);
  const cookies = values("cookie").flatMap((line) => line.split(";").map((pair) => pair.trim()));
  const pairs = query.split("&").filter((pair) => pair !== "");
  const pairValues = (all: readonly string[], name: string, read: (text: string) => string, bare: boolean): string[] =>
    all
      .filter((pair) => bare || pair.includes("="))
      .map((pair) => [pair.split("=", 1)[0]!, pair.includes("=") ? pair.slice(pair.indexOf("=") + 1) : ""] as const)
      .filter(([key]) => read(key) === name)
      .map(([, value]) => read(value));
  const any = (list: readonly string[], fits: (item: string) => boolean): boolean =>
    list.length === 0 || list.some(fits);
  return (
    any(match.hosts, (host) => hostFits(host, request.host)) &&
    any(match.paths, (pattern) => pathFits(pattern, path, raw)) &&
    any(match.prefixes, (prefix) => prefixFits(prefix, path)) &&
    any(match.regexes, (regex) => new RegExp(regex).test(path)) &&
    any(match.methods, (method) => method === request.method) &&
    any(match.sources, (block) => sourceFits(block, request.source)) &&
    match.headers.every((condition) => fieldHolds(condition, values(condition.name))) &&
    match.cookies.every((condition) =>
      fieldHolds(
        condition,
        pairValues(cookies, condition.name, (t) => t, false),
      ),
    ) &&
    match.query.every((condition) => fieldHolds(condition, pairValues(pairs, condition.name, decode, true)))
  );
}

/** Index of the first route that matches, -1 = none, null = the path is refused. The target begins with "/". */
export function naiveFind(table: readonly MatchConfig[], request: PlainRequest, config: PathsConfig): number | null {
  const path = naivePath(request.target.split("?", 1)[0]!, config);
  return path === null ? null : table.findIndex((match) => matches(match, request, path, config.mode === "raw"));
}
