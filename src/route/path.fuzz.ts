// Fuzzing of path preparation: any bytes as a target, in every mode. It must agree with the naive form, its results
// must be in normal form themselves, and a mode that takes nothing else must take them.

import type { FuzzTarget } from "../../tools/fuzz.ts";
import { latin1Text } from "../base/bytes.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { isRefused, PathVerdict } from "./path.ts";
import { allPathsConfigs, naivePath, prepare } from "./test-kit.ts";

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

export const target: FuzzTarget = {
  name: "route-path",
  seeds: [
    "/a/./b/../../%2e%2E/.%2e//c?x=/../",
    "/..;/%2e;x/..%3b/admin",
    "/a%2Fb%5c..%2f\\..",
    "//a///..//.",
    '/%c0%ae%c0%af/\xc3\xa9|[]"<>^`{}',
    "/%252e%25%32%65%00%7f%1F%",
    "*",
    "?a=b",
    "",
  ].map(latin1),
  run(input) {
    const text = latin1Text(input, 0, input.length);
    const [path = ""] = text.split("?", 1);
    for (const config of allPathsConfigs) {
      const about = JSON.stringify(config);
      const made = prepare(input, config);
      if (!path.startsWith("/")) {
        must(made.verdict === PathVerdict.Unchanged, `no path, and not left alone: ${about}`);
        continue;
      }
      const expected = naivePath(path, config);
      must(isRefused(made.verdict) === (expected === null), `refused: ${about}`);
      if (expected === null) continue;
      must(made.path === expected, `${made.path} is not ${expected}: ${about}`);
      must(made.target === expected + text.slice(path.length), `target: ${about}`);
      must(made.query === text.slice(path.length + 1), `query: ${about}`);
      must((made.verdict === PathVerdict.Unchanged) === (path === expected), `verdict: ${about}`);
      const strict = { ...config, mode: config.mode === "raw" ? "raw" : "strict" } as const;
      must(prepare(latin1(made.target), strict).verdict === PathVerdict.Unchanged, `not in normal form: ${about}`);
    }
  },
};
