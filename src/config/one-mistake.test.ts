// One wrong value in a sound configuration: whatever is said is about that value, in this program's words, and nothing
// else is blamed. Random configurations, random places, random junk.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import type { Rng } from "../base/ports.ts";
import type { Diagnostic } from "../model/diagnostic.ts";
import { loadValue } from "./load.ts";
import { formatPath, type Path } from "./problem.ts";
import { sampleConfig } from "./sample-config.ts";
import { typeOut } from "./type-out.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 815);
const junk: readonly unknown[] = [
  null,
  {},
  [],
  [[]],
  7.5,
  -1,
  1e21,
  true,
  "",
  "§ junk",
  "off",
  { junk: 1 },
  [{ junk: [] }],
];

/** All places of the tree. */
function placesOf(value: unknown, path: Path, into: Path[]): Path[] {
  if (path.length > 0) into.push(path);
  if (typeof value !== "object" || value === null) return into;
  for (const [key, item] of Object.entries(value))
    placesOf(item, [...path, Array.isArray(value) ? Number(key) : key], into);
  return into;
}

function replaceAt(root: unknown, path: Path, value: unknown): unknown {
  const copy: unknown = JSON.parse(JSON.stringify(root)); // defaults are one object in several places
  let at = copy as Record<string | number, unknown>;
  for (const part of path.slice(0, -1)) at = at[part] as Record<string | number, unknown>;
  at[path.at(-1)!] = value;
  return copy;
}

/** Errors that are rightly elsewhere: tests name routes, and sticky needs several pools. */
function follows(d: Diagnostic, path: string): boolean {
  if (d.path.startsWith("tests[")) return path.startsWith("listeners");
  return d.path.endsWith(".sticky") && path.startsWith(`${d.path.slice(0, -"sticky".length)}forward`);
}

function check(d: Diagnostic, path: string): void {
  if (follows(d, path)) return;
  const about =
    d.path === path || d.path.startsWith(`${path}.`) || d.path.startsWith(`${path}[`) || path.startsWith(d.path);
  if (!about) throw new Error(`${d.path} is blamed: ${d.message}`);
  // zod begins its sentences with a capital.
  if (!/^["{$?*a-z]/.test(d.message)) throw new Error(`not our words: ${d.message}`);
  if (/undefined|\[object|Invalid|another value/.test(d.message)) throw new Error(`not our words: ${d.message}`);
}

function mutate(rng: Rng): void {
  const typed = typeOut(sampleConfig(rng), rng.below(2) === 0 ? "short" : "long");
  // Without any pools every route is wrong, and rightly said to be.
  const places = placesOf(typed, [], []).filter((path) => path.length > 1 || path[0] !== "pools");
  const path = places[rng.below(places.length)]!;
  const value = junk[rng.below(junk.length)];
  const { config, diagnostics } = loadValue(replaceAt(typed, path, value), "x");
  const errors = diagnostics.filter((d) => d.severity === "error");
  expect(config === null).toBe(errors.length > 0);
  try {
    for (const d of errors) check(d, formatPath(path));
  } catch (thrown) {
    throw new Error(`${formatPath(path)} = ${JSON.stringify(value)}: ${String(thrown)}`, { cause: thrown });
  }
}

test(`a mistake is reported where it is, seed ${seed}`, () => {
  const rng = seededRng(seed);
  for (let n = 0; n < 600; n++) mutate(rng);
});
