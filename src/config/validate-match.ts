// The rules about a route's conditions: hosts, paths, names and patterns that can fit something.

import { parseIp } from "../base/ip.ts";
import type { FieldMatch, MatchConfig, PathsConfig } from "../model/route-config.ts";
import { isHostName } from "./address.ts";
import { checkBlocks, checkRegex } from "./check-text.ts";
import { tokenPattern } from "./fields.ts";
import { error, errorAtKey, warning, type Path, type Problem } from "./problem.ts";

/** Returns how many groups of the regular expressions capture: the most of any; -1 = one of them is wrong. */
export function validateMatch(match: MatchConfig, paths: PathsConfig, path: Path, problems: Problem[]): number {
  match.hosts.forEach((host, i) => checkHost(host, [...path, "host", i], problems));
  match.paths.forEach((text, i) => checkPath(text, paths, [...path, "path", i], problems));
  match.prefixes.forEach((text, i) => checkPrefix(text, paths, [...path, "prefix", i], problems));
  const groups = match.regexes.map((text, i) => checkRegex(text, [...path, "regex", i], problems));
  match.methods.forEach((method, i) => {
    if (tokenPattern.test(method)) return;
    problems.push(error([...path, "method", i], `expected a method such as GET, found ${JSON.stringify(method)}`));
  });
  checkFields(match.headers, "header", [...path, "headers"], problems);
  checkFields(match.cookies, "cookie", [...path, "cookies"], problems);
  checkFields(match.query, "query argument", [...path, "query"], problems);
  checkBlocks(match.sources, [...path, "source"], problems);
  return groups.includes(-1) ? -1 : Math.max(0, ...groups);
}

/** What was probably meant by a host that is none. */
function hostHint(host: string): string {
  const bare = host.replace(/^[a-z][a-z0-9+.-]*:\/\//, "").replace(/\/.*$/, "");
  if (host === "*") return "leave host out: every host fits then";
  if (/^[^:]+:\d+$/.test(bare)) return `leave out the port: ${bare.replace(/:\d+$/, "")}`;
  if (bare !== host) return `write only the host: ${bare}`;
  if (host.includes("*")) return "a star stands for whole labels in front: *.example.com";
  if (/[^\u0000-\u007f]/.test(host)) return "write names in other scripts in their ASCII form, which begins with xn--";
  return host.endsWith(".") ? `leave out the dot at the end: ${host.slice(0, -1)}` : "";
}

export function checkHost(host: string, path: Path, problems: Problem[]): void {
  const bracketed = /^\[(.*)\]$/.exec(host);
  if (bracketed !== null && parseIp(bracketed[1]!) !== null) return;
  const name = host.startsWith("*.") ? host.slice(2) : host;
  if (parseIp(name) !== null && name === host && !name.includes(":")) return;
  if (isHostName(name) && !name.endsWith(".")) return;
  const message = `expected a host such as app.example.com or *.example.com, found ${JSON.stringify(host)}`;
  problems.push(error(path, message, hostHint(host)));
}

function checkPath(text: string, paths: PathsConfig, path: Path, problems: Problem[]): void {
  if (!/^[/*?]/.test(text)) {
    const hint = /^https?:\/\//.test(text) ? "write the host under host, and here the path alone" : `write /${text}`;
    problems.push(error(path, `expected a path that begins with / or *, found ${JSON.stringify(text)}`, hint));
    return;
  }
  if (text.includes("#")) problems.push(error(path, "no path has a #", "browsers keep what follows it to themselves"));
  else if (/\?[\w.-]+=/.test(text)) {
    problems.push(warning(path, "? stands for one character here", "write conditions on the query under query"));
  }
  checkForm(text, paths, path, problems);
}

function checkPrefix(text: string, paths: PathsConfig, path: Path, problems: Problem[]): void {
  if (!text.startsWith("/")) {
    problems.push(error(path, `expected a path that begins with /, found ${JSON.stringify(text)}`, `write /${text}`));
    return;
  }
  if (/[?#]/.test(text)) problems.push(error(path, `no path has a ${/[?#]/.exec(text)![0]}`));
  else if (text.includes("*")) {
    problems.push(warning(path, "* has no special meaning in a prefix", "write wildcards under path"));
  }
  checkForm(text, paths, path, problems);
}

/** Conditions that no path fits once it is in its form. */
function checkForm(text: string, paths: PathsConfig, path: Path, problems: Problem[]): void {
  if (paths.mode === "raw") return;
  const say = (what: string, key: string): void => {
    problems.push(warning(path, `nothing fits this: ${what}`, `see paths.${key} of the listener`));
  };
  if (paths.slashes !== "keep" && text.includes("//")) say("paths have no // here", "slashes");
  if (/\/\.{1,2}(\/|$)/.test(text)) say("dot segments are resolved before paths are compared", "mode");
  if (paths.encodedSlashes === "refuse" && /%2f|%5c/i.test(text)) {
    say("escaped slashes are refused before paths are compared", "encodedSlashes");
  }
}

function checkFields(fields: readonly FieldMatch[], what: string, path: Path, problems: Problem[]): void {
  for (const { name } of fields) {
    const legal =
      what === "query argument" ? name !== "" && !/[\u0000-\u001f\u007f]/.test(name) : tokenPattern.test(name);
    if (!legal) problems.push(errorAtKey([...path, name], `${JSON.stringify(name)} is not the name of a ${what}`));
    else if (what === "header" && name === "host") {
      problems.push(errorAtKey([...path, name], "the host has a key of its own", "write match: { host: … }"));
    }
  }
}
