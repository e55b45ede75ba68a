// For the tests of this folder: the facts of a request for templates, and random values with everything in them that
// could do harm. Not part of the program.

import { Scratch } from "../base/bytes.ts";
import type { Rng } from "../base/ports.ts";
import type { Head } from "../wire/head.ts";
import { MatchInput } from "../route/match-input.ts";
import { compilePathRules, isRefused, preparePath } from "../route/path.ts";
import type { AskedFact, TemplateFacts } from "./template.ts";

const raw = compilePathRules({ mode: "raw", slashes: "keep", encodedSlashes: "keep" });

export interface FakeFacts extends TemplateFacts {
  /** What was asked for, in order. */
  readonly asked: AskedFact[];
}

/** asked = the text of facts that only an exchange knows, Latin-1. The path is as it came unless there are rules. */
export function factsOf(
  head: Head,
  asked: Readonly<Partial<Record<AskedFact, string>>> = {},
  captures: Int32Array | null = null,
  rules = raw,
): FakeFacts {
  const input = new MatchInput();
  if (isRefused(preparePath(head, rules, new Scratch(64), input))) throw new Error("the path is refused");
  const log: AskedFact[] = [];
  return {
    head,
    input,
    captures,
    asked: log,
    putFact(fact, out: Scratch) {
      log.push(fact);
      out.putText(asked[fact] ?? "");
    },
  };
}

const pieces = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  "\t",
  "%",
  "%0d%0A",
  "/",
  "..",
  "?",
  "#",
  "&",
  "a",
  "Set-Cookie: x",
  ":",
];

/** Any bytes, above all those that end lines, paths and arguments. */
export function wildText(rng: Rng, length: number): string {
  let text = "";
  while (text.length < length) {
    text += rng.below(3) === 0 ? String.fromCharCode(rng.below(256)) : pieces[rng.below(pieces.length)]!;
  }
  return text;
}

/** What a request target or the value of a field may hold, for requests that the parser accepts. */
export function wildTarget(rng: Rng, length: number): string {
  return wildText(rng, length).replaceAll(/[\0-\x20\x7f#]/g, "%41");
}

export function wildValue(rng: Rng, length: number): string {
  return `v${wildText(rng, length).replaceAll(/[\0-\x08\x0a-\x1f\x7f]/g, ".")}v`;
}
