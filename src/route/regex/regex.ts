// Regular expressions over bytes in linear time: what matches, and where its groups lie. The time of a call is bounded
// by the size of the compiled expression times the length of the text, whatever either of them says; JavaScript's
// RegExp has no such bound. Syntax: base/regex/parse.ts and docs/guide/regular-expressions.md.

import type { ParsedRegex, RegexError } from "../../base/regex/ast.ts";
import { parseRegex } from "../../base/regex/parse.ts";
import { BoundedBacktracker } from "./bounded-backtracker.ts";
import { LazyDfa } from "./lazy-dfa.ts";
import { buildOnePass, execOnePass, type OnePass } from "./one-pass.ts";
import { Pike } from "./pike.ts";
import { compileProgram, type Program } from "./program.ts";

export interface RegexOptions {
  /** As if the pattern began with (?i); ASCII letters only. */
  readonly ignoreCase?: boolean;
}

/**
 * A compiled expression. Calls allocate nothing once its automata have met what they are given, and hold no reference
 * to the bytes. Not for recursive use: none of its calls calls back.
 */
export class Regex {
  readonly pattern: string;
  /** Groups that capture, numbered from 1; 0 is the whole match and not counted. */
  readonly groupCount: number;
  /** Name to number of the groups that have one. */
  readonly names: ReadonlyMap<string, number>;

  private readonly program: Program;
  private readonly dfa: LazyDfa;
  /** Answers exec if there is one; else it is the backtracker for short texts, or Pike, which is made when needed. */
  private readonly onePass: OnePass | null;
  private readonly backtracker: BoundedBacktracker;
  private pike: Pike | null = null;
  private readonly kept: Int32Array;

  constructor(pattern: string, parsed: ParsedRegex) {
    this.pattern = pattern;
    this.groupCount = parsed.groupCount;
    this.names = parsed.names;
    this.program = compileProgram(parsed.node, parsed.groupCount);
    this.dfa = new LazyDfa(this.program);
    this.onePass = buildOnePass(this.program);
    this.backtracker = new BoundedBacktracker(this.program);
    this.kept = new Int32Array(this.program.slotCount);
  }

  /** Is there a match anywhere in bytes[start, end)? The range is the whole text: ^ is its start and $ its end. */
  test(bytes: Uint8Array, start: number, end: number): boolean {
    return this.dfa.test(bytes, start, end);
  }

  /**
   * Finds the leftmost match in bytes[start, end), of several there the one that a backtracking engine finds first.
   * captures[2g] and captures[2g + 1] become the offsets in bytes where group g begins and ends, -1 where it took no
   * part; g = 0 is the match. An array of fewer than 2 * (groupCount + 1) numbers gets the first groups. On false it is
   * of no meaning.
   */
  exec(bytes: Uint8Array, start: number, end: number, captures: Int32Array): boolean {
    if (this.onePass !== null) return execOnePass(this.onePass, bytes, start, end, captures, this.kept);
    // The look at the table costs little beside the search, and spares it where nothing matches.
    if (!this.dfa.test(bytes, start, end)) return false;
    if (this.backtracker.fits(end - start)) return this.backtracker.exec(bytes, start, end, captures);
    this.pike ??= new Pike(this.program);
    return this.pike.exec(bytes, start, end, captures);
  }

  /** Work of all calls so far in steps of about equal size, but for the single pass, which takes one a byte. */
  get steps(): number {
    return this.dfa.steps + this.backtracker.steps + (this.pike?.steps ?? 0);
  }

  /** Instructions of the compiled expression. */
  get size(): number {
    return this.program.length;
  }
}

/** Compiles a pattern; never throws. What is refused is told with its place and what to write instead. */
export function compileRegex(pattern: string, options?: RegexOptions): Regex | RegexError {
  const parsed = parseRegex(pattern, options?.ignoreCase ?? false);
  return "message" in parsed ? parsed : new Regex(pattern, parsed);
}
