// Conditions on header fields, cookies and arguments, one by one.

import { describe, expect, test } from "bun:test";
import type { FieldMatch } from "../model/route-config.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { argumentHolds, cookieHolds, FieldTest, headerHolds } from "./fields.ts";
import { field, headOf } from "./test-kit.ts";

const absent = (name: string, ...patterns: readonly string[]): FieldMatch => ({ name, patterns, absent: true });

describe("a header", () => {
  const holds = (condition: FieldMatch, ...fields: readonly (readonly [string, string])[]): boolean =>
    headerHolds(new FieldTest(condition), headOf({ fields }));

  test("is found by its name in any case, known or not", () => {
    expect(holds(field("user-agent", "*Mobile*"), ["USER-Agent", "Mozilla Mobile 1"])).toBe(true);
    expect(holds(field("x-tenant", "a"), ["X-Tenant", "a"])).toBe(true);
    expect(holds(field("x-tenant", "a"), ["X-Tenants", "a"])).toBe(false);
    expect(holds(field("x-tenant", "a"), ["X_Tenant", "a"])).toBe(false);
    expect(holds(field("x_forwarded_for", "a"), ["X_Forwarded_For", "a"])).toBe(true);
    expect(holds(field("x-forwarded_for", "a"), ["X_Forwarded_For", "a"])).toBe(false);
    expect(holds(field("host", "app.*"))).toBe(true);
  });

  test("values are compared with case, and each line is one", () => {
    expect(holds(field("accept", "text/html"), ["Accept", "Text/html"])).toBe(false);
    expect(holds(field("accept", "b"), ["Accept", "a, b"])).toBe(false);
    expect(holds(field("accept", "*b"), ["Accept", "a, b"])).toBe(true);
    expect(holds(field("x-a", "2"), ["X-A", "1"], ["x-b", "2"], ["X-A", "2"])).toBe(true);
    expect(holds(field("x-a", "3", "1"), ["X-A", "1"], ["X-A", "2"])).toBe(true);
    expect(holds(field("x-a", ""), ["X-A", ""])).toBe(true);
  });

  test("without patterns has to be there", () => {
    expect(holds(field("x-a"), ["X-A", ""])).toBe(true);
    expect(holds(field("x-a"))).toBe(false);
  });

  test("that has to be absent", () => {
    expect(holds(absent("x-a"))).toBe(true);
    expect(holds(absent("x-a"), ["x-a", "1"])).toBe(false);
    expect(holds(absent("x-a", "1"), ["x-a", "2"])).toBe(true);
    expect(holds(absent("x-a", "1"), ["x-a", "2"], ["x-a", "1"])).toBe(false);
  });
});

describe("a cookie", () => {
  const holds = (condition: FieldMatch, ...lines: readonly string[]): boolean =>
    cookieHolds(new FieldTest(condition), headOf({ fields: lines.map((line) => ["Cookie", line] as const) }));

  test("is found among others, by its exact name", () => {
    expect(holds(field("beta", "1"), "a=b; beta=1; c=d")).toBe(true);
    expect(holds(field("beta", "1"), "a=b;beta=1")).toBe(true);
    expect(holds(field("beta", "1"), "a=beta=1; Beta=1; beta2=1; xbeta=1")).toBe(false);
    expect(holds(field("beta", "1"), "beta=0", "beta=1")).toBe(true);
    expect(holds(field("beta", "1"), "beta=0; beta=1")).toBe(true);
  });

  test("values end before blanks, and keep quotes and equal signs", () => {
    expect(holds(field("a", "1"), "a=1 \t; b=2")).toBe(true);
    expect(holds(field("a", '"1"'), 'a="1"')).toBe(true);
    expect(holds(field("a", "1=2="), "a=1=2=")).toBe(true);
    expect(holds(field("a", ""), "a=; b")).toBe(true);
    expect(holds(field("b"), "a=; b")).toBe(false);
  });

  test("that has to be absent", () => {
    expect(holds(absent("a"))).toBe(true);
    expect(holds(absent("a"), "b=1")).toBe(true);
    expect(holds(absent("a"), "b=1; a=")).toBe(false);
  });
});

describe("an argument", () => {
  const holds = (condition: FieldMatch, query: string): boolean => {
    const head = headOf({ target: `/?${query}` });
    return argumentHolds(new FieldTest(condition), head.bytes, head.targetStart + 2, head.targetEnd);
  };

  test("is found by its exact name, which may be escaped", () => {
    expect(holds(field("version", "2"), "a=1&version=2")).toBe(true);
    expect(holds(field("version", "2"), "Version=2&versions=2&ver=2&version=1")).toBe(false);
    expect(holds(field("version", "2"), "v%65rsion=2")).toBe(true);
    expect(holds(field("a b", "2"), "a+b=2")).toBe(true);
    expect(holds(field("a b", "2"), "a%20b=2")).toBe(true);
    expect(holds(field("a+b", "2"), "a+b=2")).toBe(false);
    expect(holds(field("a+b", "2"), "a%2bb=2")).toBe(true);
    expect(holds(field("a", "2"), "a;a=2")).toBe(false);
  });

  test("values are decoded once, and any of several counts", () => {
    expect(holds(field("q", "a b"), "q=a+b")).toBe(true);
    expect(holds(field("q", "a b"), "q=a%20b")).toBe(true);
    expect(holds(field("q", "é"), "q=%C3%a9")).toBe(true);
    expect(holds(field("q", "a&b=c"), "q=a%26b=c")).toBe(true);
    expect(holds(field("q", "%41"), "q=%2541")).toBe(true);
    expect(holds(field("q", "A"), "q=%2541")).toBe(false);
    expect(holds(field("q", "2"), "q=1&q=2")).toBe(true);
    expect(holds(field("q", "x*y"), `q=${"%78".repeat(2000)}%79`)).toBe(true);
  });

  test("escapes that are none stand for themselves", () => {
    for (const value of ["%", "%4", "%4g", "100%"]) expect(holds(field("q", value), `q=${value}`)).toBe(true);
    expect(holds(field("%4", "1"), "%4=1")).toBe(true);
  });

  test("an escape does not reach past its part", () => {
    expect(holds(field("q", "%4"), "q=%4&1=1")).toBe(true);
    expect(holds(field("q%3", "D"), "q%3=D")).toBe(true);
    const bytes = latin1("q=%41");
    expect(argumentHolds(new FieldTest(field("q", "%4")), bytes, 0, 4)).toBe(true);
    expect(argumentHolds(new FieldTest(field("q", "A")), bytes, 0, 4)).toBe(false);
  });

  test("without a value is empty", () => {
    expect(holds(field("q", ""), "q")).toBe(true);
    expect(holds(field("q", ""), "a&q&b")).toBe(true);
    expect(holds(field("q"), "q")).toBe(true);
    expect(holds(field(""), "&&")).toBe(false);
    expect(holds(field("", "x"), "=x")).toBe(true);
  });

  test("that has to be absent", () => {
    expect(holds(absent("q"), "")).toBe(true);
    expect(holds(absent("q"), "a=q")).toBe(true);
    expect(holds(absent("q"), "%71")).toBe(false);
    expect(holds(absent("q", "1"), "q=2")).toBe(true);
  });
});
