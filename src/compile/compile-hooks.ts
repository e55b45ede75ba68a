// Brings the functions of a route together with what the configuration says about them.

import type { HookFunctions } from "../config/ts/hooks.ts";
import { type HookParts, RouteHooks } from "../http/hooks.ts";
import type { ListenerConfig, RouteConfig } from "../model/config.ts";

/** The functions of all routes, by HooksConfig.slot, and what they work with. */
export interface HookSupply extends HookParts {
  readonly functions: readonly HookFunctions[];
}

/** null = the route has none. Throws an Error for the operator if the module is another one here. */
export function compileHooks(listener: ListenerConfig, route: RouteConfig, supply: HookSupply): RouteHooks | null {
  const config = route.hooks;
  if (config === null) return null;
  const found = supply.functions[config.slot];
  const isTheSame =
    found !== undefined &&
    found.listener === listener.name &&
    found.route === listener.routes.indexOf(route) &&
    (found.request !== null) === config.request &&
    (found.response !== null) === config.response;
  if (!isTheSame) {
    throw new Error("hooks are not where they were when the module was checked: it must say the same in every process");
  }
  const { request, response } = found;
  return new RouteHooks(config, { listener: listener.name, route: route.name, request, response }, supply);
}
