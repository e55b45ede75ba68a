// The state of the parser while it reads one pattern, and how it gives up. Not for use outside base/regex/.

import type { RegexError } from "./ast.ts";

export interface Reader {
  readonly pattern: string;
  /** Index of the next code unit. */
  at: number;
  /** The flags in force here; a group ends what it changed. */
  flags: Flags;
  /** Groups opened so far. */
  groupCount: number;
  readonly names: Map<string, number>;
  /** How many groups are open. */
  depth: number;
}

export interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
}

/** Thrown by refuse() and caught by parseRegex(); leaves this folder as a RegexError. */
export class Refusal extends Error {
  readonly reason: RegexError;

  constructor(reason: RegexError) {
    super(reason.message);
    this.reason = reason;
  }
}

export function refuse(message: string, position: number, hint: string): never {
  throw new Refusal({ message, position, hint });
}

/** The next character, a whole code point; "" at the end. */
export function peek(reader: Reader): string {
  const code = reader.pattern.codePointAt(reader.at);
  return code === undefined ? "" : String.fromCodePoint(code);
}

/** Takes the text if it comes next. */
export function take(reader: Reader, text: string): boolean {
  if (!reader.pattern.startsWith(text, reader.at)) return false;
  reader.at += text.length;
  return true;
}

/** Takes what the expression (sticky, y) matches here; null = nothing. It must work in linear time. */
export function takeMatch(reader: Reader, sticky: RegExp): RegExpExecArray | null {
  sticky.lastIndex = reader.at;
  const match = sticky.exec(reader.pattern);
  if (match !== null) reader.at += match[0].length;
  return match;
}
