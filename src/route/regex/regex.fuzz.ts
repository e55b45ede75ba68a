// Any bytes as a pattern, up to the first zero byte, and the rest as the text: never thrown, never more work than the
// bound, and the automata agree about what they find.

import type { FuzzTarget } from "../../../tools/fuzz.ts";
import { checkRegex, parseRegex } from "../../base/regex/parse.ts";
import { BoundedBacktracker } from "./bounded-backtracker.ts";
import { buildOnePass, execOnePass } from "./one-pass.ts";
import { Pike } from "./pike.ts";
import { compileProgram } from "./program.ts";
import { compileRegex, Regex } from "./regex.ts";

/** Longer texts would only take longer. */
const textBytesMax = 300;

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** Every pair is unset or lies in the text, and groups lie in the order in which a text is read. */
function checkCaptures(captures: Int32Array, start: number, end: number): void {
  must(captures[0]! >= start, "a match without a beginning");
  for (let slot = 0; slot < captures.length; slot += 2) {
    const [from, to] = [captures[slot]!, captures[slot + 1]!];
    must((from === -1 && to === -1) || (start <= from && from <= to && to <= end), "a group outside the text");
  }
}

function checkMatching(regex: Regex, bytes: Uint8Array, start: number): void {
  const end = bytes.length;
  const parsed = parseRegex(regex.pattern, false);
  if ("message" in parsed) throw new Error("compiled, but not parsed");
  const program = compileProgram(parsed.node, parsed.groupCount);
  const captures = new Int32Array(program.slotCount);
  const matches = regex.exec(bytes, start, end, captures);
  must(regex.test(bytes, start, end) === matches, "test and exec disagree");
  must(regex.steps <= 10 * regex.size * (end - start + 2), `${regex.steps} steps`);
  if (matches) checkCaptures(captures, start, end);
  const mustAgree = (who: string, exec: (other: Int32Array) => boolean): void => {
    const other = new Int32Array(program.slotCount);
    must(exec(other) === matches, `${who} disagrees`);
    must(!matches || other.every((at, slot) => at === captures[slot]), `${who} finds other groups`);
  };
  mustAgree("Pike", (other) => new Pike(program).exec(bytes, start, end, other));
  const backtracker = new BoundedBacktracker(program);
  if (backtracker.fits(end - start)) mustAgree("backtracker", (other) => backtracker.exec(bytes, start, end, other));
  const onePass = buildOnePass(program);
  if (onePass === null) return;
  const kept = new Int32Array(program.slotCount);
  mustAgree("single pass", (other) => execOnePass(onePass, bytes, start, end, other, kept));
}

export const target: FuzzTarget = {
  name: "regex",
  seeds: [
    "^/api/v[0-9]+/users/([^/]+)$\0/api/v12/users/bob",
    "(?i)\\.(?:php|aspx?|jsp)(?:\\?.*)?$\0/a/b/index.ASP?x=1",
    "^(?<tenant>[a-z][a-z0-9-]{0,30})\\.example\\.com(?::\\d{1,5})?$\0shop.example.com:8080",
    "(a+)+$|(b|b)*c|(.*)*x\0aaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "[[:alpha:]_][[:^space:]\\w.-]*?\\b(?s:.{2,3})\\B(?m:^$)?\0ab_c-d\n\ne f",
    "((a|)(b*)*?)+?(|c)*(?:(d)|e?){0,3}\\z\0abbcded",
    "[]a-z\\]^-]+[^]\\x41-\\x{5A}\\\\]\\x{e9}é{2}\0]a^-é",
    "(?=a)(?!b)(?<=c)(?<!d)(?>e)\\1\\k<n>(?P=n)a++(?R)\0x",
    "(?:(?:x{0,9}){0,9}){0,9}y{3,}\0xxxxxxxxyyyy",
  ].map((text) => Buffer.from(text)),
  run(input) {
    const zero = input.indexOf(0);
    const split = zero < 0 ? input.length : zero;
    const bytes = input.slice(split + 1, split + 1 + textBytesMax);
    for (const encoding of ["utf8", "latin1"] as const) {
      const pattern = Buffer.from(input.subarray(0, split)).toString(encoding);
      const regex = compileRegex(pattern);
      const error = checkRegex(pattern);
      must((error === null) === regex instanceof Regex, "checked and compiled differ");
      if (regex instanceof Regex) {
        checkMatching(regex, bytes, Math.min(1, bytes.length));
        continue;
      }
      must(regex.message !== "" && regex.hint !== "", "a refusal that says nothing");
      must(regex.position >= 0 && regex.position <= pattern.length, "a place outside the pattern");
      must(JSON.stringify(regex) === JSON.stringify(error), "two refusals");
    }
  },
};
