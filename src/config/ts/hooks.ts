// The functions of a TypeScript configuration. They stay in their module: what leaves it are marks in their places
// (fields-route.ts), and whoever loads the module again finds the functions by number.

import { errorAtKey, type Path, type Problem } from "../problem.ts";
import type { RequestHook, ResponseHook } from "./hook-types.ts";

/** Hooks of one route, as the module has them; what is not a function is null. */
export interface HookFunctions {
  /** Where they stand: listener, and number of the route in it. */
  readonly listener: string;
  readonly route: number;
  readonly request: RequestHook | null;
  readonly response: ResponseHook | null;
}

type Map = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is Map {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Every hooks map of the value with its path, in the order in which lower.ts numbers them. */
function hooksIn(value: unknown): readonly { listener: string; route: number; path: Path; hooks: unknown }[] {
  const listeners = isMap(value) && isMap(value["listeners"]) ? value["listeners"] : {};
  return Object.entries(listeners).flatMap(([listener, settings]) => {
    const routes = isMap(settings) && Array.isArray(settings["routes"]) ? (settings["routes"] as unknown[]) : [];
    return routes.flatMap((settingsOfRoute, route) => {
      if (!isMap(settingsOfRoute) || settingsOfRoute["hooks"] === undefined) return [];
      const path = ["listeners", listener, "routes", route, "hooks"];
      return [{ listener, route, path, hooks: settingsOfRoute["hooks"] }];
    });
  });
}

/** What a module exports, from the number of a hook set (HooksConfig.slot) to its functions. */
export function hookFunctions(value: unknown): readonly HookFunctions[] {
  return hooksIn(value).map(({ listener, route, hooks }) => {
    const functionAt = (key: string): unknown => {
      const found = isMap(hooks) ? hooks[key] : null;
      return typeof found === "function" ? found : null;
    };
    return {
      listener,
      route,
      request: functionAt("request") as RequestHook | null,
      response: functionAt("response") as ResponseHook | null,
    };
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
