// A route as requests see it: compiled from its configuration, with everything that is not asked for left null, so that
// it costs one comparison. Plain data; what it means is the exchange's business.

import type { ClientTimeouts } from "../codec/h1-client.ts";
import type { ArmStickiness } from "../pool/stickiness/client-cookie.ts";
import type { MinRateConfig } from "../model/route-config.ts";
import type { Regex } from "../route/regex/regex.ts";
import type { Compress } from "./compress.ts";
import type { Cors } from "./cors.ts";
import type { Guard } from "./guard.ts";
import type { CompiledEdits } from "./header-edits.ts";
import type { ResponseHooks } from "./hooks.ts";
import type { Mirror } from "./mirror.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import type { Redirect } from "./redirect.ts";
import type { Respond } from "./respond.ts";
import type { RetryPolicy } from "./retry.ts";
import type { Rewrite } from "./rewrite.ts";

/** Shares of a weighted forward. */
export interface Arms {
  readonly pools: readonly PoolRuntime[];
  /** Sums of the weights up to and with each arm; the last one is all of them. */
  readonly upTo: readonly number[];
  /** Keeps a client on its side; null = each request is drawn anew. */
  readonly sticky: ArmStickiness | null;
}

/** Where a route leads: exactly one of these is not null. */
export interface RouteAction {
  readonly pool: PoolRuntime | null;
  readonly arms: Arms | null;
  readonly redirect: Redirect | null;
  readonly respond: Respond | null;
}

export interface Route extends ClientTimeouts, RouteAction {
  readonly name: string;
  /** The whole exchange; 0 = no bound. */
  readonly totalMs: number;
  /** Silence in a tunnel, and its whole life; 0 = no bound. */
  readonly tunnelMs: number;
  readonly tunnelLifetimeMs: number;
  /** Bytes of a request body; 0 = any. */
  readonly bodyBytesMax: number;
  readonly retry: RetryPolicy;
  /** The least rates of clients; null = any. */
  readonly minRate: MinRateConfig | null;
  /** What a request has to pass before the action. */
  readonly guard: Guard | null;
  /** What responses have to pass on their way back. */
  readonly responseHooks: ResponseHooks | null;
  readonly mirror: Mirror | null;
  readonly rewrite: Rewrite | null;
  readonly requestEdits: CompiledEdits | null;
  readonly responseEdits: CompiledEdits | null;
  readonly cors: Cors | null;
  readonly compress: Compress | null;
  /** What {1} to {9} are taken from: the expressions of match.regex, in order; empty = nothing. */
  readonly captures: readonly Regex[];
  /** True if responses may get lines of ours: edits, CORS, cookies, limits, hooks. */
  readonly decorates: boolean;
}
