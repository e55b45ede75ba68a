// Is this text what it should be? Header names and values, templates, address blocks, regular expressions, hosts: what
// several parts of a configuration have in common, with the words for what is wrong.

import { parseCidr } from "../base/ip.ts";
import { parseRegex } from "../base/regex/parse.ts";
import { fixedFields } from "../model/fixed-fields.ts";
import { parseTemplate, plainPlaceholders, type ParsedTemplate } from "../model/placeholders.ts";
import { tokenPattern } from "./fields.ts";
import { error, errorAtKey, show, type Path, type Problem } from "./problem.ts";
import { didYouMean, listWords } from "./suggest.ts";

export function checkBlocks(blocks: readonly string[], path: Path, problems: Problem[]): void {
  blocks.forEach((block, i) => {
    if (parseCidr(block) !== null) return;
    problems.push(error([...path, i], `expected an address block such as 10.0.0.0/8, found ${show(block)}`));
  });
}

/** The names are unknown ones of pools. */
export function checkPool(pool: string, pools: readonly string[], path: Path, problems: Problem[]): void {
  if (pools.includes(pool)) return;
  const near = didYouMean(pool, pools);
  const known = pools.length === 0 ? "there are no pools" : `there are ${listWords(pools)}`;
  problems.push(error(path, `there is no pool called ${JSON.stringify(pool)}`, near === "" ? known : near));
}

/** Number of groups that capture, or -1 and a problem. */
export function checkRegex(pattern: string, path: Path, problems: Problem[]): number {
  const parsed = parseRegex(pattern, false);
  if (!("message" in parsed)) return parsed.groupCount;
  const { message, position, hint } = parsed;
  const at = position === 0 ? "" : ` (at character ${position + 1})`;
  problems.push(error(path, `${message}${at}`, hint));
  return -1;
}

/** Where a template stands, and so what it may say. */
export interface TemplateUse {
  /** A request is forwarded, and an endpoint is chosen by then. */
  readonly forwarded: boolean;
  /** Groups of the route's match.regex; -1 = there is a mistake in it, which is said elsewhere. */
  readonly captures: number;
}

export function checkTemplate(template: string, use: TemplateUse, path: Path, problems: Problem[]): ParsedTemplate {
  const parsed = parseTemplate(template);
  for (const name of parsed.unknown) {
    const near = didYouMean(name, [...plainPlaceholders, "query.NAME", "header.NAME", "cookie.NAME"]);
    const literal = `docs/configuration.md lists them; for the text itself write {{${name}}`;
    problems.push(error(path, `there is no placeholder {${name}}`, near === "" ? literal : near));
  }
  for (const { hole } of parsed.parts) {
    if (hole === null) continue;
    if (hole.from === "capture") {
      if (use.captures < 0 || hole.index <= use.captures) continue;
      const has = use.captures === 0 ? "has no parentheses" : `has only ${use.captures} in parentheses`;
      const message = `{${hole.index}} is a part of match.regex, which ${has}`;
      problems.push(error(path, message, `for the text itself write {{${hole.index}}`));
    } else if (hole.from === "plain") {
      if (use.forwarded || (hole.name !== "pool" && hole.name !== "endpoint")) continue;
      problems.push(error(path, `{${hole.name}} is not known here: it is chosen when a request is forwarded`));
    } else if (hole.from !== "query" && !tokenPattern.test(hole.name)) {
      problems.push(error(path, `${JSON.stringify(hole.name)} is not the name of a ${hole.from}`));
    }
  }
  return parsed;
}

/** A name of a header field in a place where fields are set, added or removed. */
export function checkHeaderName(name: string, path: Path, atKey: boolean, hostHint: string, problems: Problem[]): void {
  const say = atKey ? errorAtKey : error;
  const lower = name.toLowerCase();
  if (!tokenPattern.test(name)) problems.push(say(path, `${JSON.stringify(name)} is not the name of a header`));
  else if (lower === "host" && hostHint !== "") {
    problems.push(say(path, `the header ${name} cannot be changed here`, hostHint));
  } else if (fixedFields.has(lower)) {
    problems.push(
      say(path, `the header ${name} cannot be changed`, "it belongs to the connection, not to the message"),
    );
  }
}

/** Only the names: what is asked for, sent along or matched. */
export function checkNames(names: readonly string[], what: string, path: Path, problems: Problem[]): void {
  names.forEach((name, i) => {
    if (!tokenPattern.test(name))
      problems.push(error([...path, i], `${JSON.stringify(name)} is not the name of a ${what}`));
  });
}

/** RFC 9110 5.5, as far as what is written in a configuration is concerned: no control bytes, no spaces at the ends. */
export function checkHeaderValue(value: string, path: Path, problems: Problem[]): void {
  if (/[^\t -~\u0080-\u{10ffff}]/u.test(value)) {
    problems.push(error(path, "the value of a header has no line ends and no control characters"));
  } else if (value.trim() !== value) {
    problems.push(error(path, "the value of a header has no spaces at its ends"));
  }
}
