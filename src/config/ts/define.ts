// What a sluice.config.ts imports: `import { defineConfig } from "sluice"`. It only lends types: a pool name that does
// not exist, a duration without a unit or a misspelt key is an error in the editor. The value goes through the same
// checks as YAML.

import type { ConfigInput } from "../schema.ts";

type ListenerInput = NonNullable<ConfigInput["listeners"]>[string];
type RouteInput = NonNullable<ListenerInput["routes"]>[number];
type PoolInput = NonNullable<ConfigInput["pools"]>[string];

/** A route whose pool is one of P. */
export type Route<P extends string = string> = Omit<RouteInput, "forward"> & { forward: P };

/** A listener with either forward or routes, to pools out of P. */
export type Listener<P extends string = string> = Omit<ListenerInput, "forward" | "routes"> &
  ({ forward: P; routes?: never } | { forward?: never; routes: Route<P>[] });

export type Pool = PoolInput;

/** A configuration whose pools are called P. Keys and defaults: docs/configuration.md. */
export type SluiceConfig<P extends string = string> = Omit<ConfigInput, "listeners" | "pools"> & {
  listeners: Record<string, Listener<NoInfer<P>>>;
  pools: Record<P, Pool>;
};

/** Gives its argument back, checked by the compiler. */
export function defineConfig<const P extends string>(config: SluiceConfig<P>): SluiceConfig<P> {
  return config;
}
