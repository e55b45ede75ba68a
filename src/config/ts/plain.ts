// Is what a module exports plain data, apart from its hooks? Functions, instances, cycles and the like cannot travel to
// workers; each is named with its path instead of failing somewhere later.

import { configDepthMax, configNodesMax } from "../../base/limits.ts";
import { isHookPlace } from "./hooks.ts";
import { error, type Path, type Problem } from "../problem.ts";

interface Walk {
  readonly problems: Problem[];
  readonly above: Set<object>;
  left: number;
}

/**
 * Everything in the value that is not plain data; empty for objects, lists, text, finite numbers, booleans and null.
 */
export function checkPlain(value: unknown): readonly Problem[] {
  const walk: Walk = { problems: [], above: new Set(), left: configNodesMax };
  if (value === undefined) {
    return [error([], "the module has no default export", "write export default defineConfig({ … })")];
  }
  visit(value, [], walk);
  return walk.problems;
}

function visit(value: unknown, path: Path, walk: Walk): void {
  if (walk.left-- <= 0) {
    if (walk.left === -1) walk.problems.push(error(path, `more than ${configNodesMax} values`));
    return;
  }
  if (typeof value === "function" && isHookPlace(path)) return;
  const strange = strangeness(value);
  if (strange !== null) {
    walk.problems.push(error(path, `expected plain data, found ${strange}`, hintFor(strange)));
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (walk.above.has(value)) {
    walk.problems.push(error(path, "this value contains itself"));
    return;
  }
  if (path.length >= configDepthMax) {
    walk.problems.push(error(path, `nested deeper than ${configDepthMax} levels`));
    return;
  }
  walk.above.add(value);
  if (Array.isArray(value)) value.forEach((item, i) => visit(item, [...path, i], walk));
  else for (const [key, item] of Object.entries(value)) visitKey(key, item, path, walk);
  walk.above.delete(value);
}

function visitKey(key: string, item: unknown, path: Path, walk: Walk): void {
  if (key === "__proto__") walk.problems.push(error([...path, key], "the key __proto__ cannot be used"));
  else if (item !== undefined) visit(item, [...path, key], walk);
}

function strangeness(value: unknown): string | null {
  switch (typeof value) {
    case "function":
    case "symbol":
    case "bigint":
      return `a ${typeof value}`;
    case "undefined":
      return "undefined";
    case "object": {
      if (value === null || Array.isArray(value)) return null;
      if (value instanceof Promise) return "a promise";
      const prototype: unknown = Object.getPrototypeOf(value);
      // Another realm's Object.prototype has no prototype either: what matters is that no class stands between.
      if (prototype === null || Object.getPrototypeOf(prototype) === null) return null;
      return `an instance of ${(value.constructor as { name?: string } | undefined)?.name ?? "a class"}`;
    }
    default:
      return null;
  }
}

function hintFor(strange: string): string {
  if (strange === "a promise") return "use await before it";
  if (strange === "a function") return "call it, and put its result here";
  return "";
}
