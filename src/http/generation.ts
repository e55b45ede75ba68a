// What a worker serves by: one immutable Generation made from a Plan. Requests hold the generation they began under; a
// switch replaces the reference and nothing else.

import type { Cidr } from "../base/ip.ts";
import type { ClientTimeouts } from "../codec/h1-client.ts";
import type { AccessLogConfig, ListenerConfig } from "../model/config.ts";
import type { PoolRuntime } from "./pool-runtime.ts";

export interface Route extends ClientTimeouts {
  readonly pool: PoolRuntime;
  /** The whole exchange; 0 = no bound. */
  readonly totalMs: number;
  /** Silence in a tunnel; 0 = no bound. */
  readonly tunnelMs: number;
}

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
  readonly routes: readonly Route[];
}

export interface Generation {
  readonly number: number;
  readonly accessLog: AccessLogConfig | null;
  readonly listeners: ReadonlyMap<string, ListenerPlan>;
  readonly pools: ReadonlyMap<string, PoolRuntime>;
  /** Exchanges that began under it and are not over. */
  exchanges: number;
}
