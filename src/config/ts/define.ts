// What a sluice.config.ts imports: `import { defineConfig } from "sluice"`. It only lends types: a pool name that does
// not exist, a duration without a unit or a misspelt key is an error in the editor. The value goes through the same
// checks as YAML.

import type { ConfigInput } from "../schema.ts";
import type { RequestHook, ResponseHook } from "./hook-types.ts";

export type {
  HookFields,
  HookRequest,
  HookResponse,
  HookResponseView,
  HookVerdict,
  RequestHook,
  ResponseHook,
} from "./hook-types.ts";

type ListenerInput = NonNullable<ConfigInput["listeners"]>[string];
type RouteInput = NonNullable<ListenerInput["routes"]>[number];
type PoolInput = NonNullable<ConfigInput["pools"]>[string];
type TestInput = NonNullable<ConfigInput["tests"]>[number];
type MirrorInput = Extract<RouteInput["mirror"], { pool: string }>;
type HooksInput = NonNullable<RouteInput["hooks"]>;
type ForwardAuthInput = Extract<RouteInput["forwardAuth"], { pool: string }>;

/** One pool, or several with weights, out of P. */
export type Forward<P extends string = string> = P | { pool: P; weight?: number }[];

/** What a route does: one of these. */
type Action<P extends string> =
  | { forward: Forward<P>; redirect?: never; respond?: never }
  | { forward?: never; redirect: NonNullable<RouteInput["redirect"]>; respond?: never }
  | { forward?: never; redirect?: never; respond: NonNullable<RouteInput["respond"]> };

/** A route to pools out of P. */
export type Route<P extends string = string> = Omit<
  RouteInput,
  "forward" | "redirect" | "respond" | "mirror" | "forwardAuth" | "hooks"
> &
  Action<P> & {
    mirror?: "off" | P | (Omit<MirrorInput, "pool"> & { pool: P });
    forwardAuth?: "off" | (Omit<ForwardAuthInput, "pool"> & { pool: P });
    hooks?: Hooks<P>;
  };

/** Functions of a route, with what becomes of requests when they fail. */
export type Hooks<P extends string = string> = Omit<HooksInput, "request" | "response"> & {
  request?: RequestHook<P>;
  response?: ResponseHook<P>;
};

/** A listener with either forward or routes, to pools out of P. */
export type Listener<P extends string = string> = Omit<ListenerInput, "forward" | "routes"> &
  ({ forward: Forward<P>; routes?: never } | { forward?: never; routes: Route<P>[] });

export type Pool = PoolInput;

/** A test that names pools out of P. */
export type RouteTest<P extends string = string> = Omit<TestInput, "expect"> & {
  expect: Omit<TestInput["expect"], "pool"> & { pool?: P };
};

/** A configuration whose pools are called P. Keys and defaults: docs/configuration.md. */
export type SluiceConfig<P extends string = string> = Omit<ConfigInput, "listeners" | "pools" | "tests"> & {
  listeners: Record<string, Listener<NoInfer<P>>>;
  pools: Record<P, Pool>;
  tests?: RouteTest<NoInfer<P>>[];
};

/** Gives its argument back, checked by the compiler. */
export function defineConfig<const P extends string>(config: SluiceConfig<P>): SluiceConfig<P> {
  return config;
}
