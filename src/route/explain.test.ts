// Explanations: which condition is named for which request, and in which words. That they agree with find() is tested
// in agree.test.ts.

import { expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import { defaultMatch } from "../model/defaults.ts";
import type { MatchConfig } from "../model/route-config.ts";
import { compileRouter } from "./compile-router.ts";
import { describeFailure, explain } from "./explain.ts";
import { MatchInput } from "./match-input.ts";
import { compilePathRules, preparePath } from "./path.ts";
import { field, headOf, paths, type SampleRequest } from "./test-kit.ts";

function words(table: readonly Partial<MatchConfig>[], request: SampleRequest, source?: string): string[] {
  const config = paths("normalize");
  const { router } = compileRouter(
    table.map((match, value) => ({ match: { ...defaultMatch, ...match }, value })),
    config,
  );
  const head = headOf(request);
  const input = new MatchInput();
  input.address = source === undefined ? null : parseIp(source);
  preparePath(head, compilePathRules(config), new Scratch(8), input);
  return explain(router!, head, input).map(({ index, failed }) =>
    failed === null ? `${index} matches` : `${index} ${describeFailure(failed)}`,
  );
}

test("each kind of condition is told with what was wanted and what came", () => {
  const table = [
    { hosts: ["a.test", "*.b.test"] },
    { paths: ["/x/*"] },
    { prefixes: ["/y"] },
    { regexes: ["^/z"] },
    { methods: ["GET", "HEAD"] },
    { headers: [field("x-a", "1")] },
    { cookies: [field("c", "1", "2")] },
    { query: [field("é b", "1")] },
    { sources: ["10.0.0.0/8"] },
    { methods: ["POST"] },
    { paths: ["/never reached"] },
  ];
  const request = {
    method: "POST",
    host: "C.test:80",
    target: "/a/../q%41?%c3%a9+b=%32&v&%c3%a9+b",
    fields: [
      ["X-A", "3"],
      ["X-A", "4"],
      ["Cookie", "c=8; d=1"],
      ["Cookie", "c=9"],
    ],
  } as const;
  expect(words(table, request, "192.0.2.1")).toEqual([
    '0 host is "C.test", not "a.test" or "*.b.test"',
    '1 path is "/qA", not "/x/*"',
    '2 prefix is "/qA", not "/y"',
    '3 regex is "/qA", not "^/z"',
    '4 method is "POST", not "GET" or "HEAD"',
    '5 header x-a is "3" or "4", not "1"',
    '6 cookie c is "8" or "9", not "1" or "2"',
    '7 query é b is "2" or "", not "1"',
    '8 source is "192.0.2.1", not "10.0.0.0/8"',
    "9 matches",
  ]);
});

test("what is missing, and what should be", () => {
  const absent = { patterns: [], absent: true };
  const table = [
    { hosts: ["a.test"] },
    { headers: [field("x-b"), field("x-c")] },
    { headers: [{ name: "x-b", ...absent }] },
    { cookies: [{ name: "c", patterns: ["1", "2"], absent: true }] },
    { sources: ["10.0.0.0/8"] },
  ];
  const request = {
    host: "",
    fields: [
      ["x-b", ""],
      ["cookie", "c=2"],
    ],
  } as const;
  expect(words(table, request)).toEqual([
    '0 host is not there, not "a.test"',
    "1 header x-c is not there",
    '2 header x-b is "", and should not be there',
    '3 cookie c is "2", and should not be',
    '4 source is not there, not "10.0.0.0/8"',
  ]);
});
