// What a worker serves by: one immutable Generation made from a Plan. Requests hold the generation they began under; a
// switch replaces the reference and nothing else.

import type { Cidr } from "../base/ip.ts";
import type { AccessLogConfig, ListenerConfig } from "../model/config.ts";
import type { AccessList } from "../limit/access.ts";
import type { ConcurrencyLimit } from "../limit/concurrency.ts";
import type { LimitBook } from "../limit/limit-book.ts";
import type { TokenBox } from "../pool/stickiness/token.ts";
import type { PathRules } from "../route/path.ts";
import type { Router } from "../route/router.ts";
import type { AuthCache } from "./auth-cache.ts";
import type { BasicAuth } from "./basic-auth.ts";
import type { AuthVerdict } from "./forward-auth.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import type { Route } from "./route.ts";

export interface ListenerPlan {
  readonly name: string;
  /** Row in the shared counters. */
  readonly row: number;
  readonly config: ListenerConfig;
  readonly trustedProxies: readonly Cidr[];
  /** A complete Via line for requests and responses, or null. */
  readonly viaLine: Uint8Array | null;
  /** Connections this worker may hold open. */
  readonly connectionsMax: number;
  /** Who may connect, and how often at once; null = no such rule. */
  readonly access: AccessList | null;
  readonly connectionsPerClient: ConcurrencyLimit | null;
  readonly pathRules: PathRules;
  readonly router: Router<Route>;
}

/** What routes have found out about clients, by route and settings. */
export interface Learned {
  readonly logins: Map<string, BasicAuth>;
  readonly answers: Map<string, AuthCache<AuthVerdict>>;
}

export interface Generation {
  readonly number: number;
  readonly accessLog: AccessLogConfig | null;
  readonly listeners: ReadonlyMap<string, ListenerPlan>;
  readonly pools: ReadonlyMap<string, PoolRuntime>;
  /** What outlives a reload: the counts of limits, the seals of cookies, and who has been let in. */
  readonly limits: LimitBook;
  readonly tokens: { readonly keys: string; readonly box: TokenBox | null };
  readonly learned: Learned;
  /** Exchanges that began under it and are not over. */
  exchanges: number;
}
