// The functions of a TypeScript configuration. They stay in their module: what leaves it are marks in their places
// (fields-route.ts), and whoever loads the module again finds the functions by number.

import { errorAtKey, type Path, type Problem } from "../problem.ts";

/** Hooks of one route, as the module has them; what is not a function is null. */
export interface HookFunctions {
  readonly request: HookFunction | null;
  readonly response: HookFunction | null;
}

export type HookFunction = (...args: never[]) => unknown;

type Map = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is Map {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Every hooks map of the value with its path, in the order in which lower.ts numbers them. */
function hooksIn(value: unknown): readonly { readonly path: Path; readonly hooks: unknown }[] {
  const listeners = isMap(value) && isMap(value["listeners"]) ? value["listeners"] : {};
  return Object.entries(listeners).flatMap(([name, listener]) => {
    const routes = isMap(listener) && Array.isArray(listener["routes"]) ? (listener["routes"] as unknown[]) : [];
    return routes.flatMap((route, i) => {
      if (!isMap(route) || route["hooks"] === undefined) return [];
      return [{ path: ["listeners", name, "routes", i, "hooks"], hooks: route["hooks"] }];
    });
  });
}

/** What a module exports, from the number of a hook set (HooksConfig.slot) to its functions. */
export function hookFunctions(value: unknown): readonly HookFunctions[] {
  return hooksIn(value).map(({ hooks }) => {
    const functionAt = (key: string): HookFunction | null => {
      const found = isMap(hooks) ? hooks[key] : null;
      return typeof found === "function" ? (found as HookFunction) : null;
    };
    return { request: functionAt("request"), response: functionAt("response") };
  });
}

/** May a function stand there? */
export function isHookPlace(path: Path): boolean {
  const [listeners, , routes, , hooks, last] = path;
  if (path.length !== 6 || listeners !== "listeners" || routes !== "routes" || hooks !== "hooks") return false;
  return last === "request" || last === "response";
}

/** Text has no functions, and so no hooks; marks that somebody types there are refused as well. */
export function refuseHooks(value: unknown): readonly Problem[] {
  return hooksIn(value).map(({ path }) => {
    return errorAtKey(path, "hooks are functions, and this file has none", "write a sluice.config.ts");
  });
}
