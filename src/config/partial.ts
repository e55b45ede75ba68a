// A mistake in one value must not hide those elsewhere: the wrong values are taken out of the tree, the rest is checked
// as if it were whole, and what only followed from the wrong values is dropped again. The result is never used to run
// anything.

import { isMissing } from "./explain.ts";
import type { Path, Problem } from "./problem.ts";

type Tree = Record<string | number, unknown>;

/** What stands in for a list entry that is taken out, so that the others keep their index. Collides with nothing. */
const entryStandIn: Readonly<Record<string, unknown>> = {
  endpoints: "stand-in.invalid:1",
  routes: { forward: "stand-in" },
  bind: "127.0.0.1:0",
  trustedProxies: "127.0.0.1",
  status: 200,
  forward: { pool: "stand-in" },
  source: "127.0.0.1",
  allow: "127.0.0.1",
  deny: "127.0.0.1",
  host: "stand-in.invalid",
  path: "/",
  prefix: "/",
  on: "connect",
  rateLimit: { requests: 1 },
  concurrency: { requests: 1 },
  origins: "https://stand-in.invalid",
  codings: "gzip",
  types: "text/*",
  discovery: { from: "file", path: "stand-in" },
  tests: { request: "/", expect: { status: 200 } },
};
/** For lists of names, patterns and the like. */
const wordStandIn = "stand-in";

/** Copies of the tree along the path down to its parent, so that the given value is not changed. Null: no such path. */
function copyTo(root: Tree, path: Path): Tree | null {
  let at = root;
  for (const part of path.slice(0, -1)) {
    const next = at[part];
    if (typeof next !== "object" || next === null) return null;
    const copy = (Array.isArray(next) ? [...next] : { ...next }) as Tree;
    at[part] = copy;
    at = copy;
  }
  return at;
}

/** Takes out the value at the path, or what needs it if it is missing. */
function takeOut(root: Tree, path: Path, missing: boolean): void {
  const last = path.at(-1);
  if (last === undefined) return;
  if (missing && last !== "endpoints" && last !== "bind") {
    // Without its required key the map around it is nothing; the top has no required keys.
    takeOut(root, path.slice(0, -1), false);
    return;
  }
  const parent = copyTo(root, path);
  if (parent === null) return;
  if (Array.isArray(parent)) parent[last as number] = entryStandIn[String(path.at(-2))] ?? wordStandIn;
  else if (last === "endpoints") parent[last] = [];
  else if (last === "bind") parent[last] = entryStandIn["bind"];
  else if (last === "token")
    parent[last] = "stand-in-for-a-token"; // a wrong token is not a missing one
  // A pool stays, empty, so that routes may still name it.
  else if (path.length === 2 && path[0] === "pools" && !missing) parent[last] = { endpoints: [] };
  else delete parent[last];
}

/** The tree without the values that the problems are about; null if too little would be left to check. */
export function withoutMistakes(value: unknown, problems: readonly Problem[]): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  if (problems.some((p) => p.path.length === 0 || (p.path.length === 1 && p.path[0] === "pools" && !p.atKey)))
    return null;
  const root: Tree = { ...value };
  for (const p of problems) {
    if (p.atKey) {
      const parent = copyTo(root, p.path);
      if (parent !== null) delete parent[p.path.at(-1)!];
    } else takeOut(root, p.path, isMissing(p));
  }
  return root;
}

/** Is one path the beginning of the other? */
function related(a: Path, b: Path): boolean {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * The errors of the second look that the first look's mistakes cannot have caused. Warnings may have been, so none is
 * kept.
 */
export function independent(found: readonly Problem[], mistakes: readonly Problem[]): readonly Problem[] {
  // A test names what may be among the mistaken.
  const named = mistakes.some((m) => m.path[0] !== "tests");
  return found.filter((p) => {
    if (p.severity !== "error" || (named && p.path[0] === "tests" && p.path.length > 2)) return false;
    return !mistakes.some((m) => related(m.path, p.path));
  });
}
