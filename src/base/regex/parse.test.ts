// What the parser accepts and refuses, with the place and a remedy, and the limits at their edges.

import { describe, expect, test } from "bun:test";
import { regexDepthMax, regexGroupsMax, regexLengthMax, regexRepeatMax, regexSizeMax } from "../limits.ts";
import type { ParsedRegex } from "./ast.ts";
import { checkRegex, parseRegex } from "./parse.ts";

function parse(pattern: string): ParsedRegex {
  const parsed = parseRegex(pattern, false);
  if ("message" in parsed) throw new Error(`${pattern}: ${parsed.message}`);
  return parsed;
}

describe("refused", () => {
  /** Pattern, position, a part of the message, a part of the hint. */
  const cases: readonly (readonly [string, number, string, string])[] = [
    ["a(?=b)", 1, "look-ahead", "part of the pattern"],
    ["(?!b)", 0, "look-ahead", "rule for the exception"],
    ["x(?<=b)", 1, "look-behind", "precedes"],
    ["x(?<!b)", 1, "look-behind", "precedes"],
    ["(?>a)", 0, "atomic", "(?:"],
    ["(a)\\1", 3, "back reference", "repeated part out"],
    ["(?<n>a)\\k<n>", 7, "back reference", "repeated part out"],
    ["(?P<n>a)(?P=n)", 8, "back reference", "repeated part out"],
    ["(a)\\g1", 3, "back reference", "repeated part out"],
    ["(?R)", 0, "recursion", "repeated part out"],
    ["(?1)", 0, "recursion", "repeated part out"],
    ["(?&n)", 0, "recursion", "repeated part out"],
    ["(?P>n)", 0, "recursion", "repeated part out"],
    ["(?|a)", 0, "share a number", "(?:"],
    ["(?(1)a)", 0, "conditions", "alternatives"],
    ["(?#a)", 0, "comments", "leave it out"],
    ["(?'n'a)", 0, "names in quotes", "(?<name>"],
    ["(*ACCEPT)", 0, "verbs", "\\*"],
    ["(?", 0, "no known group", "(?:"],
    ["(?)", 0, "no known group", "(?:"],
    ["(?-)", 0, "no known group", "(?:"],
    ["(?^:a)", 0, "no known group", "(?:"],
    ["(?x)a b", 2, "flag x", "without spaces"],
    ["(?U)a*", 2, "flag U", "*?"],
    ["(?iq:a)", 2, "flag q", "i, m and s"],
    ["(?<n", 0, "no end", "(?<name>"],
    ["(?<1>a)", 3, "no name", "letters"],
    ["(?<>a)", 3, "no name", "letters"],
    ["(?<a>.)(?<a>.)", 10, "second group", "its own"],
    ["ab(cd", 2, "never closed", "\\("],
    ["((a)", 0, "never closed", "\\("],
    ["ab)", 2, "closes nothing", "\\)"],
    ["a[bc", 1, "never closed", "\\["],
    ["[]", 0, "never closed", "comes first"],
    ["[^]", 0, "never closed", "comes first"],
    ["[a\\", 2, "nothing behind", "\\\\"],
    ["[z-a]", 1, "z-a is backwards", "lower end"],
    ["[a-\\d]", 1, "ends with a byte", "\\-"],
    ["[\\b]", 1, "condition", "\\x08"],
    ["[\\z]", 1, "condition", "before the class"],
    ["[aé]", 2, "single bytes", "alternatives"],
    ["[[:letter:]]", 1, "no class [:letter:]", "alpha"],
    ["[[.a.]]", 1, "collating", "\\["],
    ["[[=a=]]", 1, "collating", "\\["],
    ["[:alpha:]", 0, "only in a class", "[[:alpha:]]"],
    ["*a", 0, "nothing stands", "\\"],
    ["a|+", 2, "nothing stands", "\\"],
    ["(?i)*", 4, "nothing stands", "\\"],
    ["{2}", 0, "nothing stands", "\\"],
    ["a**", 2, "behind a quantifier", "(?:"],
    ["a{2}{3}", 4, "behind a quantifier", "(?:"],
    ["a+??", 3, "behind a quantifier", "(?:"],
    ["a*+", 1, "possessive", "second +"],
    ["a{2}+", 1, "possessive", "second +"],
    ["^*", 1, "cannot be repeated", "remove"],
    ["a\\b?", 3, "cannot be repeated", "remove"],
    ["a{,3}", 1, "no quantifier", "{n,m}"],
    ["a{1, 3}", 1, "no quantifier", "{n,m}"],
    ["a{3,1}", 1, "smaller", "swap"],
    ["a\\", 1, "nothing behind", "\\\\"],
    ["\\x4", 0, "hexadecimal", "\\xHH"],
    ["\\x{}", 0, "hexadecimal", "\\xHH"],
    ["\\x{110000}", 0, "Unicode", "10FFFF"],
    ["\\x{d800}", 0, "Unicode", "10FFFF"],
    ["\\0", 0, "octal", "\\x00"],
    ["\\v", 0, "\\v", "\\x0b"],
    ["\\Z", 0, "\\Z", "\\z"],
    ["\\pL", 0, "\\p", "[[:alpha:]]"],
    ["\\Qa\\E", 0, "\\Q", "escape"],
    ["\\y", 0, "\\y has no meaning", "write y"],
    ["\ud800", 0, "surrogate", "\\xHH"],
  ];
  test.each(cases)("%s", (pattern, position, message, hint) => {
    const error = checkRegex(pattern);
    expect(error).toMatchObject({ position, message: expect.stringContaining(message) });
    expect(error!.hint).toContain(hint);
    expect(parseRegex(pattern, true)).toEqual(error!);
  });
});

test("accepted", () => {
  const patterns = [
    ...["", "|", "()", "a||b", "(?:)", "a{", "a{b}", "{", "{}", "{,}", "a}", "]", "a-b", "[a-]", "[-a]", "[a-c-e]"],
    ...["[]a]", "[^]a]", "[[]", "[a[:]", "[[.]", "[\\w-.]", "[\\]\\[]", "[^\\n]", "[a-\\x7f]", "[\\x80-\\xff]", "[^]]"],
    ...[
      "\\/\\-\\_\\ \\é",
      "\\a\\e\\f\\n\\r\\t",
      "\\x{1F600}",
      "(?i)",
      "(?i-s:a)",
      "(?-i)a",
      "(?-:a)",
      "a{2,}?",
      "é{2}",
    ],
    ...["(?<n>a)(?P<m>b)", "(^a|b$)*", "\\A\\z\\b\\B", "[[:alpha:][:^digit:]_]"],
  ];
  for (const pattern of patterns) expect({ pattern, error: checkRegex(pattern) }).toEqual({ pattern, error: null });
});

test("groups are numbered by their opening parenthesis, and names are known", () => {
  const { groupCount, names } = parse("(a(?:b)(?<inner>c))(?P<last_1>d)");
  expect(groupCount).toBe(3);
  expect([...names]).toEqual([
    ["inner", 2],
    ["last_1", 3],
  ]);
});

describe("limits", () => {
  const remedied = (pattern: string): void => {
    const error = checkRegex(pattern);
    expect(error).not.toBeNull();
    expect(error!.hint).not.toBe("");
  };

  test("length", () => {
    expect(checkRegex("a".repeat(regexLengthMax))).toBeNull();
    remedied("a".repeat(regexLengthMax + 1));
  });

  test("repetition", () => {
    expect(checkRegex(`a{${regexRepeatMax}}`)).toBeNull();
    expect(checkRegex(`a{1,${regexRepeatMax}}`)).toBeNull();
    remedied(`a{${regexRepeatMax + 1}}`);
    remedied(`a{1,${regexRepeatMax + 1}}`);
    remedied(`a{${"9".repeat(400)},}`);
  });

  test("size after expansion, told at the quantifier that went too far", () => {
    expect(parse("(?:a{512}){8}").node.size).toBe(regexSizeMax);
    expect(checkRegex("b(?:a{512}){8}")).toMatchObject({ position: 0 });
    expect(checkRegex("x(?:(?:a{1000}){2}){1000}y")).toMatchObject({ position: 19 });
    remedied("(?:(?:(?:(?:a{1000}){1000}){1000}){1000}){1000}");
    // What takes no part, or does nothing, is not copied.
    expect(parse("(?:a{1000}){0}").node.size).toBe(0);
    expect(parse("(?:(?:(?:(?:){1000}){1000}){1000}){1000}").node.size).toBe(0);
  });

  test("nesting", () => {
    const nested = (depth: number): string => `${"(?:".repeat(depth)}a${")*".repeat(depth)}`;
    expect(checkRegex(nested(regexDepthMax))).toBeNull();
    remedied(nested(regexDepthMax + 1));
    // Groups beside each other are not nested.
    expect(checkRegex("(?:a)".repeat(regexDepthMax * 2))).toBeNull();
  });

  test("groups", () => {
    expect(checkRegex("(a)".repeat(regexGroupsMax))).toBeNull();
    remedied("(a)".repeat(regexGroupsMax + 1));
  });
});
