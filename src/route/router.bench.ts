// What it costs to find a route among 1 to 10,000: tools/bun src/route/router.bench.ts prints a table.

import { Scratch } from "../base/bytes.ts";
import { defaultMatch } from "../model/defaults.ts";
import type { MatchConfig } from "../model/route-config.ts";
import type { Head } from "../wire/head.ts";
import { compileRouter } from "./compile-router.ts";
import { MatchInput } from "./match-input.ts";
import { compilePathRules, preparePath } from "./path.ts";
import { headOf, paths, type SampleRequest } from "./test-kit.ts";

const browser = [
  ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"],
  ["Accept", "*/*"],
  ["Cookie", "session=0123456789abcdef0123456789abcdef"],
] as const;

interface Table {
  /** Conditions of route i, and a request that only it matches. */
  readonly match: (i: number) => Partial<MatchConfig>;
  readonly request: (i: number) => SampleRequest;
}

export const benchTables: Readonly<Record<string, Table>> = {
  prefixes: {
    match: (i) => ({ prefixes: [`/service-${i}/api`] }),
    request: (i) => ({ target: `/service-${i}/api/users/42?full=1` }),
  },
  "exact paths": {
    match: (i) => ({ paths: [`/pages/${i}/index.html`] }),
    request: (i) => ({ target: `/pages/${i}/index.html` }),
  },
  wildcards: {
    match: (i) => ({ paths: [`/service-${i}/*/picture-?.jpg`] }),
    request: (i) => ({ target: `/service-${i}/some/where/picture-7.jpg` }),
  },
  "regular expressions": {
    match: (i) => ({ regexes: [`^/service-${i}/[a-z]+/[0-9]+$`] }),
    request: (i) => ({ target: `/service-${i}/users/42` }),
  },
  hosts: {
    match: (i) => ({ hosts: [`app-${i}.example.com`] }),
    request: (i) => ({ host: `app-${i}.example.com`, target: "/users/42" }),
  },
  "host wildcards and prefixes": {
    match: (i) => ({ hosts: [`*.team-${i % 100}.example.com`], prefixes: [`/service-${i}`] }),
    request: (i) => ({ host: `app.team-${i % 100}.example.com:8080`, target: `/service-${i}/users/42` }),
  },
  "prefixes, methods and headers": {
    match: (i) => ({ prefixes: [`/service-${i}`], methods: ["GET"], headers: [{ ...agent }] }),
    request: (i) => ({ target: `/service-${i}/users/42` }),
  },
};

const agent = { name: "user-agent", patterns: ["*Firefox*"], absent: false };

/** Nanoseconds per find, with preparing the path or without, among `count` routes of a kind, each taken in turn. */
export function bench(iterations: number, count = 100, kind = "prefixes", withPath = false): number {
  const table = benchTables[kind]!;
  const entries = Array.from({ length: count }, (_, value) => ({
    match: { ...defaultMatch, ...table.match(value) },
    value,
  }));
  const { router } = compileRouter(entries, paths("normalize"));
  const rules = compilePathRules(paths("normalize"));
  const out = new Scratch(256);
  const samples = Math.min(count, 64);
  const heads: Head[] = [];
  const inputs: MatchInput[] = [];
  for (let k = 0; k < samples; k++) {
    const index = Math.floor(((k + 1) * count) / samples) - 1;
    const head = headOf({ fields: browser, ...table.request(index) });
    const input = new MatchInput();
    preparePath(head, rules, out, input);
    if (router!.find(head, input) !== index) throw new Error(`${kind}: route ${index} is not found`);
    heads.push(head);
    inputs.push(input);
  }
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    const at = k % samples;
    if (withPath) preparePath(heads[at]!, rules, out, inputs[at]!);
    router!.find(heads[at]!, inputs[at]!);
  }
  return (Bun.nanoseconds() - started) / iterations;
}

/** Nanoseconds per find of one route without conditions. */
export function benchOnly(iterations: number): number {
  const { router } = compileRouter([{ match: defaultMatch, value: 0 }], paths("raw"));
  const head = headOf({ fields: browser });
  const input = new MatchInput();
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) router!.find(head, input);
  return (Bun.nanoseconds() - started) / iterations;
}

/** Nanoseconds per path: one in normal form, or one that has to be rewritten. */
export function benchPath(iterations: number, target = "/assets/scripts/app.min.js?v=17"): number {
  const head = headOf({ target });
  const rules = compilePathRules(paths("normalize"));
  const input = new MatchInput();
  const out = new Scratch(256);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) preparePath(head, rules, out, input);
  return (Bun.nanoseconds() - started) / iterations;
}

if (import.meta.main) {
  const counts = [1, 10, 100, 1000, 10_000];
  const row = (name: string, cells: readonly string[]): void =>
    console.log(name.padEnd(32) + cells.map((cell) => cell.padStart(10)).join(""));
  const rounds = 200_000;
  benchOnly(rounds);
  row("ns per find, routes:", counts.map(String));
  for (const kind of Object.keys(benchTables)) {
    bench(rounds, 10, kind);
    row(
      kind,
      counts.map((count) => bench(rounds, count, kind).toFixed(0)),
    );
  }
  row(
    "prefixes, with the path",
    counts.map((count) => bench(rounds, count, "prefixes", true).toFixed(0)),
  );
  row("one route without conditions", [benchOnly(rounds).toFixed(1)]);
  row("a path in normal form", [benchPath(rounds).toFixed(0)]);
  row("a path to rewrite", [benchPath(rounds, "/assets/./x/../scripts/%61pp.min.js?v=17").toFixed(0)]);
}
