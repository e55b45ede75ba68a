// Character classes: [a-z], [^/], [\w.-], [[:alpha:]]. The result is a set of bytes.

import type { ByteSet } from "./ast.ts";
import { addAll, addRange, emptySet, negated, posixSets, withBothCases } from "./byte-set.ts";
import { readEscape, utf8Of } from "./escape.ts";
import { peek, type Reader, refuse, take, takeMatch } from "./reader.ts";

/** A byte may begin or end a range, a set may not. */
type Item = number | ByteSet;

function oneByte(bytes: readonly number[], position: number): number {
  if (bytes.length === 1) return bytes[0]!;
  const hint = "write the characters as alternatives: (?:é|ü|[a-z])";
  return refuse("a class holds single bytes, and this character is several in UTF-8", position, hint);
}

function readPosix(reader: Reader): ByteSet | null {
  const position = reader.at;
  if (takeMatch(reader, /\[([.=])[^\]]{1,20}\1\]/y) !== null) {
    refuse("collating elements are not part of this syntax", position, "write \\[ for a bracket");
  }
  const name = takeMatch(reader, /\[:(\^?)([A-Za-z]*):\]/y);
  if (name === null) return null;
  const known = posixSets.get(name[2]!);
  if (known === undefined) {
    refuse(`there is no class ${name[0]}`, position, `there are ${[...posixSets.keys()].join(", ")}`);
  }
  // Before the complement, so that [[:^upper:]] without regard to case is what is no letter.
  const set = reader.flags.ignoreCase ? withBothCases(known) : known;
  return name[1] === "^" ? negated(set) : set;
}

function readItem(reader: Reader): Item {
  const position = reader.at;
  const character = peek(reader);
  if (character === "\\") {
    const escaped = readEscape(reader);
    if (escaped.kind === "set") return escaped.set;
    if (escaped.kind === "bytes") return oneByte(escaped.bytes, position);
    const hint = reader.pattern[position + 1] === "b" ? "write \\x08 for a backspace" : "put it before the class";
    return refuse("a condition on the position means nothing in a class", position, hint);
  }
  if (character === "[") {
    const posix = readPosix(reader);
    if (posix !== null) return posix;
  }
  reader.at += character.length;
  return oneByte(utf8Of(character, position), position);
}

/** Reads one item or range into the set. */
function readMember(reader: Reader, set: ByteSet): void {
  const position = reader.at;
  const first = readItem(reader);
  // A hyphen is a range only between two bytes; behind a set, and before the ], it is itself.
  const isRange = typeof first === "number" && /^-[^\]]/.test(reader.pattern.slice(reader.at, reader.at + 2));
  if (!isRange) {
    if (typeof first === "number") set[first] = 1;
    else addAll(set, first);
    return;
  }
  reader.at++;
  const last = readItem(reader);
  if (typeof last !== "number") {
    refuse("a range ends with a byte, not with a class", position, "write \\- for a hyphen");
  }
  if (last < first) {
    const range = reader.pattern.slice(position, reader.at);
    refuse(`the range ${range} is backwards`, position, "put the lower end first, or write \\- for a hyphen");
  }
  addRange(set, first, last);
}

/** Reads a class; its [ comes next. */
export function readClass(reader: Reader): ByteSet {
  const start = reader.at;
  const outside = takeMatch(reader, /\[:\^?[A-Za-z]+:\]/y);
  if (outside !== null) refuse(`${outside[0]} stands for itself only in a class`, start, `write [${outside[0]}]`);
  reader.at++;
  const isNegated = take(reader, "^");
  const set = emptySet();
  // A ] that comes first is a member.
  for (let isFirst = true; isFirst || peek(reader) !== "]"; isFirst = false) {
    if (peek(reader) === "")
      refuse("this [ is never closed", start, "add ] (one that comes first is a member), or write \\[ for a bracket");
    readMember(reader, set);
  }
  reader.at++;
  const members = reader.flags.ignoreCase ? withBothCases(set) : set;
  return isNegated ? negated(members) : members;
}
