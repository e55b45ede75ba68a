// Reads a regular expression: the common part of PCRE and RE2, over bytes. What needs backtracking (back references,
// look-around, possessive and atomic parts) is refused, and so is what is known elsewhere under another meaning. The
// engine is in route/regex/; the syntax is described in docs/guide/regular-expressions.md.

import { regexDepthMax, regexGroupsMax, regexLengthMax, regexRepeatMax, regexSizeMax } from "../limits.ts";
import {
  Assert,
  assertNode,
  byteNode,
  choiceNode,
  groupNode,
  type ParsedRegex,
  type RegexError,
  type RegexNode,
  repeatNode,
  sequenceNode,
  setNode,
} from "./ast.ts";
import { allButNewline, allBytes, emptySet, isLetter, withBothCases } from "./byte-set.ts";
import { readClass } from "./character-class.ts";
import { readEscape, utf8Of } from "./escape.ts";
import { type Flags, peek, type Reader, Refusal, refuse, take, takeMatch } from "./reader.ts";

/** What a group's ? may be followed by and is refused here. The first that fits. */
const refusedGroups: readonly (readonly [RegExp, string, string])[] = [
  [/^\?=/, "look-ahead needs backtracking, whose time has no bound", "match what follows as part of the pattern"],
  [/^\?!/, "look-ahead needs backtracking, whose time has no bound", "put a rule for the exception before this one"],
  [
    /^\?<[=!]/,
    "look-behind needs backtracking, whose time has no bound",
    "match what precedes and put the rest into a group",
  ],
  [/^\?>/, "an atomic group belongs to backtracking, and there is none here", "write (?:…)"],
  [/^\?P=/, "a back reference needs backtracking, whose time has no bound", "write the repeated part out"],
  [/^\?(?:P>|&|R\)|[+-]?\d)/, "recursion is not part of this syntax", "write the repeated part out"],
  [/^\?\|/, "groups that share a number are not part of this syntax", "write (?:…)"],
  [/^\?\(/, "conditions are not part of this syntax", "write both cases as alternatives"],
  [/^\?#/, "comments are not part of this syntax", "leave it out"],
  [/^\?'/, "names in quotes are not part of this syntax", "write (?<name>…)"],
  [/^\*/, "verbs steer backtracking, and there is none here", "write \\* for an asterisk"],
];

const openEnded = "add ), or write \\( for a parenthesis";

/** A character of the pattern that stands for itself. */
function literal(bytes: readonly number[], flags: Flags): RegexNode {
  const first = bytes[0]!;
  if (bytes.length > 1) return sequenceNode(bytes.map(byteNode));
  if (!flags.ignoreCase || !isLetter(first)) return byteNode(first);
  const set = emptySet();
  set[first] = 1;
  return setNode(withBothCases(set));
}

/** Braces with a number in them: a quantifier, or an attempt at one. Other braces are literals. */
function looksLikeBounds(reader: Reader): boolean {
  const position = reader.at;
  const braces = takeMatch(reader, /\{[\d, ]*\}/y);
  reader.at = position;
  return braces !== null && /\d/.test(braces[0]);
}

/** Anything but a group; null where a quantifier or the end of a sequence stands. */
function readAtom(reader: Reader): RegexNode | null {
  const position = reader.at;
  const character = peek(reader);
  switch (character) {
    case "":
    case "|":
    case ")":
    case "*":
    case "+":
    case "?":
      return null;
    case "{":
      if (looksLikeBounds(reader)) return null;
      break;
    case "[":
      return setNode(readClass(reader));
    case "\\": {
      const escaped = readEscape(reader);
      if (escaped.kind === "set") return setNode(escaped.set);
      return escaped.kind === "assert" ? assertNode(escaped.assert) : literal(escaped.bytes, reader.flags);
    }
    default:
  }
  reader.at += character.length;
  const { flags } = reader;
  if (character === "^") return assertNode(flags.multiLine ? Assert.LineStart : Assert.TextStart);
  if (character === "$") return assertNode(flags.multiLine ? Assert.LineEnd : Assert.TextEnd);
  if (character === ".") return setNode(flags.dotAll ? allBytes : allButNewline);
  return literal(utf8Of(character, position), flags);
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** The quantifier that comes next, without its ? or +; null if there is none. */
function readBounds(reader: Reader): Bounds | null {
  const position = reader.at;
  if (take(reader, "*")) return { min: 0, max: Infinity };
  if (take(reader, "+")) return { min: 1, max: Infinity };
  if (take(reader, "?")) return { min: 0, max: 1 };
  if (!looksLikeBounds(reader)) return null;
  const numbers = takeMatch(reader, /\{(\d+)(?:(,)(\d*))?\}/y);
  if (numbers === null) refuse("this is no quantifier", position, "write {n}, {n,} or {n,m}; \\{ for a brace");
  const min = Number(numbers[1]);
  const max = numbers[2] === undefined ? min : numbers[3] === "" ? Infinity : Number(numbers[3]);
  if (max < min) refuse(`${numbers[0]}: the second number is smaller than the first`, position, "swap them");
  if (min > regexRepeatMax || (max > regexRepeatMax && max !== Infinity)) {
    refuse(
      `${numbers[0]} repeats too often`,
      position,
      `at most ${regexRepeatMax} times, or without a bound: *, +, {n,}`,
    );
  }
  return { min, max };
}

function checkSize(node: RegexNode, position: number): void {
  if (node.size <= regexSizeMax) return;
  const hint = "use fewer or smaller {n,m}, or split the expression";
  refuse(`the expression is too large: over ${regexSizeMax} instructions`, position, hint);
}

/** Reads the quantifier behind `node`, if there is one. */
function readQuantified(reader: Reader, node: RegexNode): RegexNode {
  const position = reader.at;
  const bounds = readBounds(reader);
  if (bounds === null) return node;
  if (node.kind === "assert") {
    refuse("a condition on the position cannot be repeated", position, "remove the quantifier, or escape it");
  }
  const greedy = !take(reader, "?");
  if (greedy && take(reader, "+")) {
    refuse("a possessive quantifier belongs to backtracking, and there is none here", position, "remove the second +");
  }
  const behind = reader.at;
  if (readBounds(reader) !== null)
    refuse("a quantifier behind a quantifier", behind, "put (?:…) around what is repeated");
  const repeated = repeatNode(node, bounds.min, bounds.max, greedy);
  checkSize(repeated, position);
  return repeated;
}

/** Flags such as i, s-m or -i; the letters are known to be letters and at most one hyphen. */
function changedFlags(flags: Flags, letters: string, position: number): Flags {
  const changed = { ...flags };
  let value = true;
  for (const letter of letters) {
    if (letter === "-") value = false;
    else if (letter === "i") changed.ignoreCase = value;
    else if (letter === "m") changed.multiLine = value;
    else if (letter === "s") changed.dotAll = value;
    else if (letter === "x")
      refuse("the flag x is not part of this syntax", position, "write the pattern without spaces");
    else if (letter === "U")
      refuse("the flag U is not part of this syntax", position, "write *? +? ?? for the lazy forms");
    else refuse(`there is no flag ${letter}`, position, "there are i, m and s");
  }
  return changed;
}

function nameGroup(reader: Reader, name: string, index: number, position: number): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    refuse(`"${name}" is no name for a group`, position, "letters, digits and _, not beginning with a digit");
  }
  if (reader.names.has(name)) refuse(`a second group called ${name}`, position, "give each group its own name");
  reader.names.set(name, index);
}

/** The number of the group that opens here. */
function openCapture(reader: Reader, start: number): number {
  const index = ++reader.groupCount;
  if (index > regexGroupsMax) {
    refuse(`more than ${regexGroupsMax} groups`, start, "write (?:…) for those whose text is not needed");
  }
  return index;
}

/** Reads a group, or flags for the rest of the group around it (null); its ( comes next. */
function readGroup(reader: Reader): RegexNode | null {
  const start = reader.at;
  const outer = reader.flags;
  reader.at++;
  const behind = reader.pattern.slice(reader.at, reader.at + 4);
  const refused = refusedGroups.find(([form]) => form.test(behind));
  if (refused !== undefined) refuse(refused[1], start, refused[2]);
  let index = 0;
  if (!take(reader, "?")) index = openCapture(reader, start);
  else if (takeMatch(reader, /P?</y) !== null) {
    const position = reader.at;
    const name = takeMatch(reader, /([^>()]*)>/y);
    if (name === null) refuse("the name of this group has no end", start, "write (?<name>…)");
    index = openCapture(reader, start);
    nameGroup(reader, name[1]!, index, position);
  } else {
    const position = reader.at;
    const letters = takeMatch(reader, /([A-Za-z]*(?:-[A-Za-z]*)?)([:)])/y);
    if (letters === null || letters[0] === ")" || letters[0] === "-)") {
      refuse("(? begins no known group", start, "write (?:…), (?<name>…), (?i) or (?i:…)");
    }
    reader.flags = changedFlags(outer, letters[1]!, position);
    if (letters[2] === ")") return null;
  }
  if (++reader.depth > regexDepthMax) {
    refuse(`groups nested more than ${regexDepthMax} deep`, start, "write it with fewer groups");
  }
  const node = readChoice(reader);
  reader.depth--;
  if (!take(reader, ")")) refuse("this ( is never closed", start, openEnded);
  reader.flags = outer;
  return index === 0 ? node : groupNode(index, node);
}

/** Reads alternatives up to a ) or the end. */
function readChoice(reader: Reader): RegexNode {
  const alternatives: RegexNode[] = [];
  do {
    const sequence: RegexNode[] = [];
    for (;;) {
      const isGroup = peek(reader) === "(";
      const node = isGroup ? readGroup(reader) : readAtom(reader);
      const position = reader.at;
      if (node !== null) sequence.push(readQuantified(reader, node));
      else if (readBounds(reader) !== null) {
        refuse("nothing stands before this quantifier", position, "write \\ before it for the character itself");
      } else if (!isGroup) break;
    }
    alternatives.push(sequenceNode(sequence));
  } while (take(reader, "|"));
  return choiceNode(alternatives);
}

/** Parses a pattern; never throws. ignoreCase = as if it began with (?i). */
export function parseRegex(pattern: string, ignoreCase: boolean): ParsedRegex | RegexError {
  if (pattern.length > regexLengthMax) {
    const message = `the pattern has ${pattern.length} characters; at most ${regexLengthMax}`;
    return { message, position: regexLengthMax, hint: "split it into several" };
  }
  const flags: Flags = { ignoreCase, multiLine: false, dotAll: false };
  const reader: Reader = { pattern, at: 0, flags, groupCount: 0, names: new Map(), depth: 0 };
  try {
    const node = readChoice(reader);
    if (reader.at < pattern.length) refuse("this ) closes nothing", reader.at, "write \\) for a parenthesis");
    checkSize(node, 0);
    return { node, groupCount: reader.groupCount, names: reader.names };
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
}

/** What is wrong with a pattern, or null: exactly the patterns that pass here can be compiled. */
export function checkRegex(pattern: string): RegexError | null {
  const parsed = parseRegex(pattern, false);
  return "message" in parsed ? parsed : null;
}
