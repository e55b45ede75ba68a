// Wildcard patterns: tables, and the bound of the work for a pattern that is hard on backtracking matchers.

import { describe, expect, test } from "bun:test";
import { latin1 } from "../wire/h1/tables.ts";
import { compileGlob } from "./glob.ts";

/** The text stands between other bytes, so that a look past its ends shows. */
function fits(pattern: string, text: string): boolean {
  const bytes = Buffer.from(`##${text}##`);
  return compileGlob(pattern).matches(bytes, 2, bytes.length - 2);
}

describe("a pattern", () => {
  test.each([
    ["", ""],
    ["*", ""],
    ["*", "anything"],
    ["**", "x"],
    ["a*", "a"],
    ["*a", "a"],
    ["*a*", "a"],
    ["a*b*c", "abc"],
    ["a*b*c", "a1b2b3c"],
    ["*aab", "aaab"],
    ["*ab*ab*", "xabyabz"],
    ["/img/*.jpg", "/img/.jpg"],
    ["/img/*/pic?", "/img/a/b/pic1"],
    ["?", "x"],
    ["?*?", "xy"],
    ["*?", "x"],
    ["a\\*b", "a*b"],
    ["a\\?", "a?"],
    ["a\\\\", "a\\"],
    ["a\\", "a\\"],
    ["\\a", "a"],
    ["caf??", "café"],
    ["*é*", "été"],
  ])("%j fits %j", (pattern, text) => {
    expect(fits(pattern, text)).toBe(true);
  });

  test.each([
    ["", "x"],
    ["a", ""],
    ["a", "ab"],
    ["a", "ba"],
    ["a*", "b"],
    ["*a", "ab"],
    ["ab*ba", "aba"],
    ["a*b*c", "acb"],
    ["*ab*ab*", "xabz"],
    ["?", ""],
    ["?", "xy"],
    ["?*?", "x"],
    ["a\\*b", "axb"],
    ["a?c", "a\\?c"],
    ["#*", ""],
    ["*#", ""],
    ["caf?", "café"], // one byte, and é has two
    ["A", "a"],
  ])("%j does not fit %j", (pattern, text) => {
    expect(fits(pattern, text)).toBe(false);
  });

  test("of many stars is done after text times pattern steps at most", () => {
    const pattern = "*a".repeat(40) + "*b";
    expect(fits(pattern, "a".repeat(30_000))).toBe(false); // a backtracking matcher would not come back
    expect(fits(pattern, "a".repeat(30_000) + "b")).toBe(true);
  });

  test("tells what is known of it beforehand", () => {
    const told = (pattern: string): unknown => {
      const glob = compileGlob(pattern);
      const prefix = Buffer.from(glob.literalPrefix()).toString();
      return [prefix, glob.isExact, glob.isPrefix, glob.matchesAll];
    };
    expect(told("/a")).toEqual(["/a", true, false, false]);
    expect(told("/a*")).toEqual(["/a", false, true, false]);
    expect(told("/a**")).toEqual(["/a", false, true, false]);
    expect(told("/a?*")).toEqual(["/a", false, false, false]);
    expect(told("/a*b")).toEqual(["/a", false, false, false]);
    expect(told("/a\\*")).toEqual(["/a*", true, false, false]);
    expect(told("*")).toEqual(["", false, true, true]);
    expect(told("?")).toEqual(["", false, false, false]);
    expect(told("")).toEqual(["", true, false, false]);
  });

  test("is written in the encoding it is given", () => {
    const glob = compileGlob("/é*", latin1);
    expect(glob.matches(latin1("/é!"), 0, 3)).toBe(true);
  });
});
