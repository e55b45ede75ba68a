// What is said to be covered is: no request fits the second match and not the first. Against the plain matcher, with
// random matches and requests out of few words, so that they often fit.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { defaultMatch, defaultPaths } from "../model/defaults.ts";
import type { FieldMatch, MatchConfig } from "../model/route-config.ts";
import { naiveFind, type PlainRequest } from "../route/naive-matcher.ts";
import { covers } from "./covers.ts";
import { Sampler } from "./sampler.ts";

const PAIRS = Number(process.env["SLUICE_PAIRS"] ?? 2000);
const REQUESTS = 20;
const seed = Number(process.env["SLUICE_SEED"] ?? 99);

function sampleMatch(s: Sampler): MatchConfig {
  const some = <T>(values: readonly T[]): readonly T[] => (s.chance(25) ? s.list(1, 2, () => s.one(values)) : []);
  const fields = (): readonly FieldMatch[] =>
    s.chance(25)
      ? [{ name: s.one(["x", "y"]), patterns: s.one([[], ["1"], ["1", "2"], ["*"]]), absent: s.chance(40) }]
      : [];
  return {
    hosts: some(["a.example", "*.example", "b.a.example", "*.a.example"]),
    paths: some(["/*", "*", "/a", "/a/*", "/a/b", "/a?b", "/a\\*"]),
    prefixes: some(["/", "/a", "/a/b", "/ab"]),
    regexes: some(["^/a", "b$"]),
    methods: some(["GET", "POST"]),
    headers: fields(),
    cookies: fields(),
    query: fields(),
    sources: some(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0"]),
  };
}

function sampleRequest(s: Sampler): PlainRequest {
  const field = (name: string, value: string): (readonly [string, string])[] => (s.chance(50) ? [[name, value]] : []);
  const value = (): string => s.one(["", "1", "2", "3"]);
  return {
    method: s.one(["GET", "POST"]),
    host: s.one(["a.example", "b.a.example", "c.b.a.example:80", "example"]),
    target:
      s.one(["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/a*", "/axb"]) + s.one(["", "?x=1", `?x=${value()}&y=2`]),
    fields: [...field("X", value()), ...field("y", value()), ...field("cookie", `x=${value()}; y=1`)],
    source: s.one(["10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1"]),
  };
}

test(`what is covered is never reached, seed ${seed}`, () => {
  const s = new Sampler(seededRng(seed));
  let covered = 0;
  for (let n = 0; n < PAIRS; n++) {
    const first = sampleMatch(s);
    // Matches that have much in common: else few cover each other.
    const second = { ...first, ...Object.fromEntries(Object.entries(sampleMatch(s)).filter(() => s.chance(40))) };
    if (!covers(first, second)) continue;
    covered++;
    for (let k = 0; k < REQUESTS; k++) {
      const request = sampleRequest(s);
      if (naiveFind([first, second], request, defaultPaths) !== 1) continue;
      throw new Error(`${JSON.stringify(first)}\n${JSON.stringify(second)}\n${JSON.stringify(request)}`);
    }
  }
  expect(covered).toBeGreaterThan(PAIRS / 10);
});

test("what covers and what does not", () => {
  const one = (change: Partial<MatchConfig>): MatchConfig => ({ ...defaultMatch, ...change });
  expect(covers(defaultMatch, one({ hosts: ["a"] }))).toBe(true);
  expect(covers(one({ hosts: ["a"] }), defaultMatch)).toBe(false);
  expect(covers(one({ hosts: ["*.a"] }), one({ hosts: ["b.a", "*.c.a"] }))).toBe(true);
  expect(covers(one({ hosts: ["*.a"] }), one({ hosts: ["a"] }))).toBe(false);
  expect(covers(one({ prefixes: ["/a"] }), one({ paths: ["/a", "/a/x/*"] }))).toBe(true);
  expect(covers(one({ prefixes: ["/a"] }), one({ paths: ["/a*"] }))).toBe(false);
  expect(covers(one({ prefixes: ["/a"] }), one({ prefixes: ["/ab"] }))).toBe(false);
  expect(covers(one({ sources: ["::/0"] }), one({ sources: ["10.0.0.0/8"] }))).toBe(false);
});
