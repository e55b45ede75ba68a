// What a route puts in place of a request's path and Host before it goes to an endpoint. The new path is what the
// configuration makes of a match of its expression; whatever the values in it are, it is one path, with no dot segments
// that the client's had not.

import { Scratch } from "../base/bytes.ts";
import { targetBytesMax } from "../base/limits.ts";
import type { RewriteConfig } from "../model/route-config.ts";
import { compileRegex, Regex } from "../route/regex/regex.ts";
import { validHost } from "../wire/h1/parse.ts";
import { hexValue } from "../wire/h1/tables.ts";
import { type Head, HeadFlag } from "../wire/head.ts";
import { pathEnd } from "../wire/lookup.ts";
import { compileTemplate, questionOf, type Template, type TemplateFacts } from "./template.ts";

const SLASH = 47;
const DOT = 46;
const PERCENT = 37;
const SEMICOLON = 59;
const BACKSLASH = 92;

/** $0 to $9. */
const captures = new Int32Array(20);
const filled = new Scratch(512);
const target = new Scratch(512);
const host = new Scratch(64);

export class Rewrite {
  private readonly path: Regex | null;
  private readonly to: Template;
  private readonly host: Template | null;

  /** Throws if expression or templates cannot be used; the validator has seen them. */
  constructor(config: RewriteConfig) {
    const regex = config.path === null ? null : compileRegex(config.path);
    if (regex !== null && !(regex instanceof Regex)) throw new Error(`rewrite "${config.path}": ${regex.message}`);
    this.path = regex;
    this.to = compileTemplate(config.to, "target", true);
    this.host = config.host === null ? null : compileTemplate(config.host, "header");
  }

  /**
   * Puts the new target and Host into the head, by flags that hold until it is parsed again; their bytes are shared and
   * hold until the next call. False if the values make no target or no host: 400, and the head is not to be sent.
   */
  apply(head: Head, facts: TemplateFacts): boolean {
    if (this.path !== null && !this.rewritePath(this.path, head, facts)) return false;
    if (this.host === null) return true;
    host.length = 0;
    this.host.put(host, facts);
    if (!validHost(host.bytes, 0, host.length)) return false;
    head.newHost = host;
    head.flags |= HeadFlag.NewHost;
    return true;
  }

  /** What is before and behind the match stays. So does the query, unless the new path brings its own. */
  private rewritePath(regex: Regex, head: Head, facts: TemplateFacts): boolean {
    const { path, pathStart, pathEnd: end } = facts.input;
    captures.fill(-1); // groups that this expression has not
    if (path[pathStart] !== SLASH || !regex.exec(path, pathStart, end, captures)) return true; // "*" is no path
    filled.length = 0;
    this.to.put(filled, facts, captures);
    const question = this.to.saysQuery ? pathEnd(filled.bytes, 0, filled.length) : filled.length;
    target.length = 0;
    target.putByte(SLASH);
    target.put(path, pathStart, captures[0]!);
    target.put(filled.bytes, 0, question);
    target.put(path, captures[1]!, end);
    dropExtraSlashes(target, path[pathStart + 1] === SLASH);
    if (hasDotSegment(target.bytes, 0, target.length) && !hasDotSegment(path, pathStart, end)) return false;
    if (!this.to.saysQuery) target.put(head.bytes, questionOf(head, facts.input), head.targetEnd);
    else if (question + 1 < filled.length) target.put(filled.bytes, question, filled.length);
    if (target.length > targetBytesMax) return false;
    head.newTarget = target;
    head.flags |= HeadFlag.NewTarget;
    return true;
  }
}

/**
 * The path was written behind a slash that it needs if it brings none. Of several at the beginning one stays, for some
 * programs take what follows two for a host; two if the client sent it so.
 */
function dropExtraSlashes(path: Scratch, keepTwo: boolean): void {
  const { bytes } = path;
  let extra = 0;
  while (extra + 1 < path.length && bytes[extra + 1] === SLASH) extra++;
  if (keepTwo && extra > 1) extra = 1;
  if (extra === 0) return;
  bytes.copyWithin(0, extra, path.length);
  path.length -= extra;
}

/** How many bytes at `at` are a separator of segments, or would be one when decoded; 0 if they are none. */
function separatorAt(bytes: Uint8Array, at: number, end: number): number {
  const byte = byteAt(bytes, at, end);
  if (byte !== SLASH && byte !== BACKSLASH) return 0;
  return bytes[at] === PERCENT ? 3 : 1;
}

/** The byte at `at`, or what it stands for if it begins an escape. */
function byteAt(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== PERCENT || at + 2 >= end) return bytes[at]!;
  return (hexValue[bytes[at + 1]!]! << 4) | hexValue[bytes[at + 2]!]!;
}

/** True if a segment of the path is "." or "..", escaped or not, also with a parameter behind it (";…"). */
export function hasDotSegment(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    let dots = 0;
    while (at < end && byteAt(bytes, at, end) === DOT) {
      at += bytes[at] === PERCENT ? 3 : 1;
      dots++;
    }
    const isWhole = at === end || byteAt(bytes, at, end) === SEMICOLON || separatorAt(bytes, at, end) > 0;
    if (isWhole && (dots === 1 || dots === 2)) return true;
    while (at < end && separatorAt(bytes, at, end) === 0) at++;
    if (at < end) at += separatorAt(bytes, at, end);
  }
  return false;
}
