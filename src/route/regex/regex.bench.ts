// Cost of matching paths of the usual kind; JavaScript's RegExp beside it, for the scale (it wants a string, which the
// proxy would have to make first).

import { mustCompile } from "./test-kit.ts";

const cases = {
  /** Does a route's expression match? */
  test: ["^/api/v[0-9]+/users/([^/]+)$", "/api/v2/users/12345678"],
  /** Where does its group lie? By the single pass. */
  exec: ["^/api/v[0-9]+/users/([^/]+)$", "/api/v2/users/12345678"],
  /** The same for an expression that leaves several ways open. */
  search: ["^(.*)/([^/]+)\\.(html?|php)$", "/shop/articles/12345678.html"],
  /** No match, and nothing that says so early. */
  miss: ["\\.(?:php|aspx?|jsp)$", "/shop/articles/12345678.html"],
} as const;

type Case = keyof typeof cases;

/** Nanoseconds per call. */
export function bench(iterations: number, name: Case = "test"): number {
  const [pattern, path] = cases[name];
  const regex = mustCompile(pattern);
  const bytes = Buffer.from(`GET ${path} HTTP/1.1\r\n`);
  const end = 4 + path.length;
  const captures = new Int32Array(2 * (regex.groupCount + 1));
  const isExec = name === "exec" || name === "search";
  let matches = 0;
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    if (isExec ? regex.exec(bytes, 4, end, captures) : regex.test(bytes, 4, end)) matches++;
  }
  const nanoseconds = (Bun.nanoseconds() - started) / iterations;
  if (matches !== (name === "miss" ? 0 : iterations)) throw new Error(`${pattern} does not do what it should`);
  return nanoseconds;
}

/** Nanoseconds per call of RegExp on a string that is already there. */
function benchRegExp(iterations: number, name: Case): number {
  const [pattern, path] = cases[name];
  const regexp = new RegExp(pattern);
  const isExec = name === "exec" || name === "search";
  let matches = 0;
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) if (isExec ? regexp.exec(path) !== null : regexp.test(path)) matches++;
  const nanoseconds = (Bun.nanoseconds() - started) / iterations;
  if (matches > iterations) throw new Error("counted wrong");
  return nanoseconds;
}

if (import.meta.main) {
  for (const name of Object.keys(cases) as Case[]) {
    bench(20_000, name);
    benchRegExp(20_000, name);
    const [ours, theirs] = [bench(300_000, name), benchRegExp(300_000, name)];
    console.log(`${name}: ${ours.toFixed(0)} ns, RegExp ${theirs.toFixed(0)} ns (${cases[name].join(" on ")})`);
  }
}
