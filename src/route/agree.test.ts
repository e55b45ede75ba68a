// The compiled router against the naive matcher, on random tables and requests that are made to nearly match. More
// tables: SLUICE_RUNS=100000 tools/bun test src/route/agree.test.ts; another sequence: SLUICE_SEED=N.

import { expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import type { Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import type { FieldMatch, MatchConfig, PathsConfig } from "../model/route-config.ts";
import { compileRouter } from "./compile-router.ts";
import { explain } from "./explain.ts";
import { MatchInput } from "./match-input.ts";
import { naiveFind, type PlainRequest } from "./naive-matcher.ts";
import { compilePathRules, isRefused, preparePath } from "./path.ts";
import { allPathsConfigs, headOf, paths } from "./test-kit.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 1000);
const tables = Number(process.env["SLUICE_RUNS"] ?? 600);
const requestsPerTable = 12;

class Maker {
  readonly rng: Rng;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  one<T>(of: readonly T[]): T {
    return of[this.rng.below(of.length)]!;
  }

  chance(oneIn: number): boolean {
    return this.rng.below(oneIn) === 0;
  }

  /** None most of the time, else one to three. */
  some<T>(oneIn: number, make: () => T): T[] {
    if (!this.chance(oneIn)) return [];
    return Array.from({ length: 1 + this.rng.below(3) }, make);
  }

  word(): string {
    return this.one(["a", "b", "ab", "abc", "b.c", "api", "apis", "x;y", "a%20b"]);
  }

  path(): string {
    let path = "";
    for (let left = 1 + this.rng.below(3); left > 0; left--) path += `/${this.word()}`;
    return path + (this.chance(4) ? "/" : "");
  }

  /** The text with a wildcard somewhere, or in place of a piece. */
  wild(text: string): string {
    const at = this.rng.below(text.length + 1);
    const cut = this.rng.below(3);
    return text.slice(0, at) + this.one(["*", "?", "**", "*?", "\\*", "", "*a*"]) + text.slice(at + cut);
  }

  pattern(): string {
    let pattern = this.path();
    if (this.chance(10)) return "*";
    while (!this.chance(3)) pattern = this.wild(pattern);
    return pattern === "" ? "/" : pattern;
  }

  host(): string {
    return this.one(["a.test", "b.test", "x.a.test", "y.x.a.test", "xa.test", "test", "a.tes"]);
  }

  value(): string {
    return this.one(["1", "2", "12", "beta", "a b", "Mobile Safari", "*", ""]);
  }

  condition(names: readonly string[]): FieldMatch {
    const patterns = this.some(2, () => (this.chance(2) ? this.value() : this.wild(this.value())));
    return { name: this.one(names), patterns, absent: this.chance(3) };
  }

  match(): MatchConfig {
    const regexes = ["^/a", "^/ab?/", "b$", "^/api/.*c", "^/(a|b)/", "a%20b", "^/a/[a-c]+$", "^/", "c*"];
    const blocks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.168.0.0/31", "0.0.0.0/1"];
    return {
      hosts: this.some(2, () => (this.chance(2) ? this.host() : `*.${this.host()}`)),
      paths: this.some(3, () => this.pattern()),
      prefixes: this.some(4, () => (this.chance(8) ? "/" : this.path())),
      regexes: this.some(6, () => this.one(regexes)),
      methods: this.some(5, () => this.one(["GET", "HEAD", "POST", "PURGE", "PROPFIND"])),
      headers: this.some(6, () => this.condition(["user-agent", "x-a", "x-forwarded-for"])),
      cookies: this.some(6, () => this.condition(["beta", "Beta"])),
      query: this.some(6, () => this.condition(["v", "a b", "V"])),
      sources: this.some(8, () => this.one(blocks)),
    };
  }

  request(): PlainRequest {
    const argument = (): string => {
      const name = this.one(["v", "V", "v2", "%76", "a+b", "a%20b", "a%2", "w"]);
      return this.chance(5) ? name : `${name}=${this.one(["1", "%31", "2", "1+2", "a%20b", "bet%61", "%", "", "="])}`;
    };
    const cookie = (): string => `${this.one(["beta", "Beta", "beta2", "bet"])}=${this.value()}`;
    const fields: (readonly [string, string])[] = [];
    for (const value of this.some(2, () => this.value())) {
      fields.push([this.one(["User-Agent", "X-A", "x-a", "X_Forwarded_For", "X-Forwarded-For"]), value]);
    }
    for (let left = this.rng.below(3); left > 0; left--) {
      fields.push(["Cookie", [cookie(), ...this.some(2, cookie), "odd"].join(this.one(["; ", ";", " ; "]))]);
    }
    const path = this.chance(6) ? `/${this.one([".", "..", "", "%61"])}${this.path()}` : this.path();
    return {
      method: this.one(["GET", "GET", "HEAD", "POST", "PURGE", "get", "PROPFINDS"]),
      host: this.one(["", "sub.", "Y.", "."]) + this.host().toUpperCase() + this.one(["", "", ".", ":80", ".:8080"]),
      target: path + (this.chance(2) ? "" : `?${this.some(1, argument).join(this.one(["&", "&&"]))}`),
      fields,
      source: this.one(["10.1.2.3", "10.1.2.4", "10.200.0.1", "192.168.0.1", "128.0.0.1"]),
    };
  }
}

test(`the compiled router agrees with the naive one, ${tables} tables, seed ${seed}`, () => {
  const make = new Maker(seededRng(seed));
  const out = new Scratch(16);
  const input = new MatchInput();
  const taken = new Map<string, number>();
  for (let run = 0; run < tables; run++) {
    const config: PathsConfig = make.chance(2) ? paths("normalize") : make.one(allPathsConfigs);
    const table = Array.from({ length: make.rng.below(14) }, () => make.match());
    const { router, problems } = compileRouter(
      table.map((match, value) => ({ match, value })),
      config,
    );
    if (router === null) throw new Error(JSON.stringify(problems));
    for (let turn = 0; turn < requestsPerTable; turn++) {
      const request = make.request();
      const head = headOf(request);
      const expected = naiveFind(table, request, config);
      input.address = parseIp(request.source);
      const refused = isRefused(preparePath(head, compilePathRules(config), out, input));
      const found = refused ? null : router.find(head, input);
      if (found !== expected) {
        throw new Error(`table ${run}: ${found}, naive ${expected}: ${JSON.stringify({ request, config, table })}`);
      }
      const kind = found === null ? "refused" : found < 0 ? "none" : found > 0 ? "later" : "first";
      taken.set(kind, (taken.get(kind) ?? 0) + 1);
      if (found === null) continue;
      const verdicts = explain(router, head, input);
      const match = verdicts.findIndex(({ failed }) => failed === null);
      if (match !== found || verdicts.length !== (found < 0 ? table.length : found + 1)) {
        throw new Error(`table ${run}: explained ${JSON.stringify(verdicts)}, found ${found}`);
      }
    }
  }
  // All ends are reached, each often.
  for (const kind of ["none", "first", "later"]) expect(taken.get(kind) ?? 0).toBeGreaterThan(tables);
}, 3_600_000);
