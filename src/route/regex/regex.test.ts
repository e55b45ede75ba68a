// What matches and where, by a table; ranges of a larger buffer; and that work grows in proportion to the text, counted
// in steps, for the patterns that bring backtracking engines to a standstill.

import { describe, expect, test } from "bun:test";
import { regexCacheBytesMax, regexSizeMax } from "../../base/limits.ts";
import { parseRegex } from "../../base/regex/parse.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { bench } from "./regex.bench.ts";
import { BoundedBacktracker } from "./bounded-backtracker.ts";
import { LazyDfa } from "./lazy-dfa.ts";
import { buildOnePass } from "./one-pass.ts";
import { Pike } from "./pike.ts";
import { compileProgram, type Program } from "./program.ts";
import { compileRegex, type Regex } from "./regex.ts";
import { mustCompile } from "./test-kit.ts";

/** The texts of the match and its groups, null for groups that took no part; or null. Offsets are into the text. */
function find(regex: Regex, text: string | Uint8Array): (string | null)[] | null {
  const bytes = Buffer.from(text as string);
  const captures = new Int32Array(2 * (regex.groupCount + 1)).fill(-7);
  const matches = regex.exec(bytes, 0, bytes.length, captures);
  expect(regex.test(bytes, 0, bytes.length)).toBe(matches);
  if (!matches) return null;
  return Array.from({ length: regex.groupCount + 1 }, (_, g) => {
    const from = captures[2 * g]!;
    return from < 0 ? null : bytes.toString("utf8", from, captures[2 * g + 1]);
  });
}

function programOf(pattern: string): Program {
  const parsed = parseRegex(pattern, false);
  if ("message" in parsed) throw new Error(parsed.message);
  return compileProgram(parsed.node, parsed.groupCount);
}

describe("matches", () => {
  /** Pattern, text, the match with its groups. */
  const cases: readonly (readonly [string, string, (string | null)[] | null])[] = [
    ["", "abc", [""]],
    ["b", "abc", ["b"]],
    ["b", "acd", null],
    ["^b", "ab", null],
    ["b$", "ab", ["b"]],
    ["b$", "ab\n", null],
    ["^$", "", [""]],
    ["\\Aa\\z", "a", ["a"]],
    ["a.c", "a\nc abc", ["abc"]],
    ["(?s)a.c", "a\nc", ["a\nc"]],
    ["(?s:a.)c.", "a\nc\n", null],
    ["(?m)^b$", "a\nb\nc", ["b"]],
    ["(?m:^)b\\z", "a\nb", ["b"]],
    // a state of the automaton that is empty, but not for good
    ["(?m)^\\W", "b\n\n", ["\n"]],
    ["(?-m)(?m)^b", "a\nb", ["b"]],
    ["(?i)fOo", "xFoO", ["FoO"]],
    ["(?i)[a-c]+[^d]", "ABCDE", ["ABC"]],
    ["a(?i)b|c", "aB", ["aB"]],
    ["a(?i)b|c", "C", ["C"]],
    ["(a(?i)b)c", "aBC", null],
    ["(?i:a(?-i)b)c", "Ab c Abc", ["Abc"]],
    ["(?i)[[:upper:]]+", "aBc1", ["aBc"]],
    ["(?i)[[:^upper:]]+", "aBc1", ["1"]],
    ["(?i)é", "É", null],
    ["\\d+\\D\\w\\W\\s\\S", "x12-a. .", ["12-a. ."]],
    ["[\\s]+", "a \t\n\v\f\rb", [" \t\n\v\f\r"]],
    ["[[:alpha:]_]+[[:digit:][:space:]]+", "-ab_1 2-", ["ab_1 2"]],
    ["[[:punct:]]+", "a!/:@[`{~b", ["!/:@[`{~"]],
    ["[[:xdigit:]]{2}", "xgf0", ["f0"]],
    ["[]a]+", "b]a]", ["]a]"]],
    ["[^]a]+", "]ab-", ["b-"]],
    ["[\\w.-]+", "/a-b.c/", ["a-b.c"]],
    ["[a-c-e]+", "d-ace", ["-ace"]],
    ["[^/]+", "/a\nb/", ["a\nb"]],
    ["a{2}", "aaa", ["aa"]],
    ["a{2,}", "aaa", ["aaa"]],
    ["a{0,2}", "aaa", ["aa"]],
    ["a{1,2}?", "aaa", ["a"]],
    ["x{id}", "x{id}", ["x{id}"]],
    ["a*?b", "aab", ["aab"]],
    ["(a+?)(a*)", "aaa", ["aaa", "a", "aa"]],
    ["(a+)(a*)", "aaa", ["aaa", "aaa", ""]],
    ["(a??)(a)", "aa", ["a", "", "a"]],
    ["a|ab", "ab", ["a"]],
    ["(?:a|ab)(?:c|bcd)(d*)", "abcd", ["abcd", ""]],
    ["^(a|ab)(c|bcd)(d*)$", "abcd", ["abcd", "a", "bcd", ""]],
    ["(a)|(b)", "b", ["b", null, "b"]],
    ["(?:(a)|b)*", "ab", ["ab", "a"]],
    ["(a*)*", "b", ["", ""]],
    ["(a*)+", "aa", ["aa", "aa"]],
    ["(|a)*", "aa", ["", ""]],
    ["(|a)+?b", "aab", ["aab", "a"]],
    ["\\bfoo\\b", "afoo foo", ["foo"]],
    ["\\Boo\\b", "oo foo", ["oo"]],
    ["o\\B", "o oo", ["o"]],
    ["$^", "", [""]],
    ["(?m)$^", "a\n\nb", [""]],
    // ways that failed at a position that was then skipped
    ["(?:|-(?:))\\BA", ".a-_cA", ["A"]],
    ["é+", "aéé\xc3", ["éé"]],
    ["^/caf(é|e)/(.+)$", "/café/x", ["/café/x", "é", "x"]],
    ["\\xc3\\xa9", "é", ["é"]],
    ["\\x{e9}\\x{1f600}", "é😀", ["é😀"]],
    ["[\\x80-\\xff]+", "aéb", ["é"]],
    ["^...$", "aé", ["aé"]],
    ["\\t\\n\\r\\f\\a\\e\\x00\\\\\\/", "\t\n\r\f\x07\x1b\0\\/", ["\t\n\r\f\x07\x1b\0\\/"]],
    ["^/api/v([0-9]+)/users/([^/]+)$", "/api/v12/users/bob", ["/api/v12/users/bob", "12", "bob"]],
    ["^/api/v([0-9]+)/users/([^/]+)$", "/api/v12/users/bob/", null],
    ["^/v1(/.*)?$", "/v1", ["/v1", null]],
    ["^/v1(/.*)?$", "/v1/x/y", ["/v1/x/y", "/x/y"]],
    ["^/(?:(a)b)?(?:a(c))?", "/ab", ["/ab", "a", null]],
    ["\\.(?:php|aspx?)$", "/index.asp", [".asp"]],
    ["(.*)/([^/]*)$", "/a/b/c.txt", ["/a/b/c.txt", "/a/b", "c.txt"]],
  ];
  test.each(cases)("%s on %j", (pattern, text, expected) => {
    expect(find(mustCompile(pattern), text)).toEqual(expected);
  });

  test("the option ignores case", () => {
    expect(find(mustCompile("^/Api", true), "/aPI")).toEqual(["/aPI"]);
    expect(find(mustCompile("(?-i:^/Api)", true), "/aPI")).toBeNull();
    expect(find(mustCompile("^/Api"), "/aPI")).toBeNull();
  });

  test("a longer match that is preferred and comes to nothing leaves the shorter one", () => {
    expect(buildOnePass(programOf("^(a)(?:b(c)d)?"))).not.toBeNull();
    expect(find(mustCompile("^(a)(?:b(c)d)?"), "abcd")).toEqual(["abcd", "a", "c"]);
    expect(find(mustCompile("^(a)(?:b(c)d)?"), "abce")).toEqual(["a", "a", null]);
    expect(find(mustCompile("^(a)(?:b(c)d)?"), "abc")).toEqual(["a", "a", null]);
  });
});

test("a range of a larger buffer is the whole text, and offsets are the buffer's", () => {
  for (const pattern of ["^b(c)$", "(?:^|z)b(c)\\b(?:$|z)"]) {
    const regex = mustCompile(pattern);
    const bytes = Buffer.from("abcd");
    const captures = new Int32Array(4);
    expect(regex.test(bytes, 0, 4)).toBe(false);
    expect(regex.test(bytes, 1, 3)).toBe(true);
    expect(regex.exec(bytes, 0, 4, captures)).toBe(false);
    expect(regex.exec(bytes, 1, 3, captures)).toBe(true);
    expect([...captures]).toEqual([1, 3, 2, 3]);
    expect(regex.exec(bytes, 4, 4, captures)).toBe(false);
  }
});

test("a short array gets the first groups, a long one keeps what is behind", () => {
  for (const pattern of ["^(a)(b)", "(a)(b)"]) {
    const regex = mustCompile(pattern);
    const bytes = Buffer.from("ab");
    const short = new Int32Array(4);
    expect(regex.exec(bytes, 0, 2, short)).toBe(true);
    expect([...short]).toEqual([0, 2, 0, 1]);
    const long = new Int32Array(8).fill(-7);
    expect(regex.exec(bytes, 0, 2, long)).toBe(true);
    expect([...long]).toEqual([0, 2, 0, 1, 1, 2, -7, -7]);
  }
});

test("every byte is its own", () => {
  const hex = Array.from({ length: 256 }, (_, byte) => `\\x${byte.toString(16).padStart(2, "0")}`);
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  expect(mustCompile(`^${hex.join("")}$`).test(all, 0, 256)).toBe(true);
  expect(mustCompile(`^(?:${hex.join("|")})+$`).test(all, 0, 256)).toBe(true);
  const rising = mustCompile(
    hex
      .slice(1)
      .map((escape, byte) => `${hex[byte]}${escape}`)
      .join("|"),
  );
  for (let byte = 0; byte < 256; byte++) {
    expect(rising.test(Uint8Array.of(byte, byte + 1), 0, 2)).toBe(byte < 255);
    expect(rising.test(Uint8Array.of(byte, byte + 2), 0, 2)).toBe(false);
  }
});

test("names and groups are told, and mistakes have a place", () => {
  const regex = mustCompile("^/(?<tenant>[^/]+)/(.*)$");
  expect(regex.groupCount).toBe(2);
  expect(regex.names.get("tenant")).toBe(1);
  expect(compileRegex("a(")).toEqual({ message: "this ( is never closed", position: 1, hint: expect.any(String) });
});

test("paths with captures take the single pass", () => {
  const taken = ["^/api/v[0-9]+/users/([^/]+)$", "^/v1/(.*)$", "^/(a|b)/([^/]+)(?:/(.*))?$", "^/(.*?)$", "^$"];
  const left = ["/v1/(.*)", "^(.*)/x$", "^(a*)a", "^\\b", "(?m)^a", `^${"(a)".repeat(16)}`];
  for (const pattern of taken)
    expect({ pattern, isTaken: buildOnePass(programOf(pattern)) !== null }).toEqual({ pattern, isTaken: true });
  for (const pattern of left)
    expect({ pattern, isTaken: buildOnePass(programOf(pattern)) !== null }).toEqual({ pattern, isTaken: false });
});

describe("linear", () => {
  const many =
    (text: string) =>
    (length: number): string =>
      text.repeat(Math.ceil(length / text.length)).slice(0, length);
  const cases: readonly (readonly [string, (length: number) => string])[] = [
    ["(a+)+$", (length) => `${"a".repeat(length)}b`],
    ["^(a+)+$", (length) => `${"a".repeat(length)}b`],
    ["(a|a)*b", many("a")],
    ["^(a|a)*b", many("a")],
    ["(.*)*x", many("ab")],
    ["(.*)*x", (length) => `${"a".repeat(length)}x`],
    ["(a*)*(a*)*(a*)*b", many("a")],
    ["(x+x+)+y", many("x")],
    ["(?:.*a){12}$", (length) => `${"a".repeat(length)}b`],
    ["(?:a?){30}a{30}$", (length) => `${"a".repeat(length)}b`],
    ["(\\w+\\s?)*\\.", many("word ")],
    ["([ab]*a[ab]{11})c", many("abbaabab")],
    ["(\\b\\w+\\b|\\W+)*!", many("ab, ")],
    ["^(([a-z])+.)+[A-Z]([a-z])+$", many("a")],
  ];
  /** Each automaton alone: in a Regex the first would spare the others most of this. */
  const automata = {
    "lazy DFA": (program: Program) => {
      const dfa = new LazyDfa(program);
      return { fits: () => true, exec: dfa.test.bind(dfa), steps: () => dfa.steps };
    },
    Pike: (program: Program) => {
      const pike = new Pike(program);
      return { fits: () => true, exec: pike.exec.bind(pike), steps: () => pike.steps };
    },
    "bounded backtracker": (program: Program) => {
      const backtracker = new BoundedBacktracker(program);
      const fits = (length: number): boolean => backtracker.fits(length);
      return { fits, exec: backtracker.exec.bind(backtracker), steps: () => backtracker.steps };
    },
  };
  describe.each(Object.entries(automata))("%s", (_, create) => {
    test.each(cases)("%s", (pattern, textOf) => {
      const program = programOf(pattern);
      const stepsOf = (length: number): number => {
        const automaton = create(program);
        const bytes = Buffer.from(textOf(length));
        expect(automaton.fits(bytes.length)).toBe(true);
        automaton.exec(bytes, 0, bytes.length, new Int32Array(program.slotCount));
        expect(automaton.steps()).toBeGreaterThanOrEqual(length);
        expect(automaton.steps()).toBeLessThan(10 * program.length * (length + 2));
        return automaton.steps();
      };
      // The backtracker is for short texts only.
      const unit = create(program).fits(32_001) ? 4000 : 20;
      // Twice the text adds twice the work; were it the square, it would add four times as much.
      const early = stepsOf(4 * unit) - stepsOf(2 * unit);
      const late = stepsOf(8 * unit) - stepsOf(4 * unit);
      expect(late).toBeLessThan(2.5 * early + 10);
    });
  });

  test("the bound holds for the largest expression and a memory that is always full", () => {
    const regex = mustCompile("[ab]*a(?:[ab]{1000}){2}(?:[ab]{1000}|[bc]{1000})c");
    expect(regex.size).toBeGreaterThan(regexSizeMax * 0.97);
    const rng = seededRng(5);
    const bytes = Uint8Array.from({ length: 400 }, () => 0x61 + rng.below(2));
    regex.test(bytes, 0, bytes.length);
    regex.exec(bytes, 0, bytes.length, new Int32Array(2));
    expect(regex.steps).toBeLessThan(20 * regex.size * (bytes.length + 2));
  });
});

test("a full memory is forgotten, and answers stay right", () => {
  // The automaton has to remember which of the last 13 bytes were an a: 8192 states.
  const dfa = new LazyDfa(programOf("a[ab]{12}c"));
  const rng = seededRng(9);
  for (let run = 0; run < 60; run++) {
    const text = Array.from({ length: 300 }, () => "aabbc"[rng.below(run % 2 === 0 ? 4 : 5)]).join("");
    const bytes = Buffer.from(text);
    expect(dfa.test(bytes, 0, bytes.length)).toBe(/a[ab]{12}c/.test(text));
  }
  expect(dfa.oblivions).toBeGreaterThan(2);
  const held = Object.values(dfa).filter((value) => ArrayBuffer.isView(value));
  expect(held.reduce((sum, view) => sum + view.byteLength, 0)).toBeLessThan(2 * regexCacheBytesMax);
});

test("the benches run", () => {
  for (const name of ["test", "exec", "search"] as const) expect(bench(10, name)).toBeGreaterThan(0);
});
