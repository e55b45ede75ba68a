// The one Config type: what every front end produces, the validator checks and the compiler reads. Everything is
// resolved: durations are milliseconds, sizes bytes, defaults filled in, lists never undefined. Plain data: it travels
// as JSON.

import type {
  AccessConfig,
  ActionConfig,
  BasicAuthConfig,
  CircuitConfig,
  CompressConfig,
  ConcurrencyConfig,
  CorsConfig,
  DiscoveryConfig,
  ForwardAuthConfig,
  HeaderEdits,
  HooksConfig,
  MatchConfig,
  MinRateConfig,
  MirrorConfig,
  OutlierConfig,
  PathsConfig,
  RateLimitConfig,
  RetryConfig,
  RewriteConfig,
  RouteTestConfig,
  StickyConfig,
} from "./route-config.ts";

/** "Off" or "unlimited" for a duration or size. JSON has no Infinity. */
export const OFF = 0;

export interface Config {
  /** Worker processes; 0 = one per CPU. */
  readonly workers: number;
  /** "name" or "name:group" the workers change to after start; null = stay. */
  readonly user: string | null;
  readonly admin: AdminConfig | null;
  readonly accessLog: AccessLogConfig | null;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly timeouts: { readonly drainMs: number };
  readonly listeners: readonly ListenerConfig[];
  readonly pools: readonly PoolConfig[];
  /**
   * Directory for what must survive restarts. null = the first that can be written: $SLUICE_STATE, /var/lib/sluice,
   * $XDG_STATE_HOME/sluice, ~/.local/state/sluice.
   */
  readonly state: string | null;
  /** Key material of sticky cookies, at least 32 characters; null = made once and kept in the state directory. */
  readonly secret: string | null;
  readonly tests: readonly RouteTestConfig[];
}

export interface AdminConfig {
  readonly bind: BindAddress;
  /** Bearer token every call must carry; null only on loopback or a unix socket. */
  readonly token: string | null;
}

export interface AccessLogConfig {
  readonly format: "json" | "combined" | "template";
  /** The template when format is "template", with {placeholders}; else "". */
  readonly template: string;
  /** "-" = standard output, else a path. */
  readonly file: string;
}

/** host is an IP literal, port 0 = any free one; or unixPath. */
export interface BindAddress {
  readonly ip: string;
  readonly port: number;
  readonly unixPath: string | null;
}

export interface ListenerConfig {
  readonly name: string;
  readonly bind: readonly BindAddress[];
  readonly protocol: "http";
  /** CIDR blocks whose X-Forwarded-* are believed. */
  readonly trustedProxies: readonly string[];
  /**
   * X-Forwarded-* of requests, as AWS ALB's routing.http.xff_header_processing.mode: append = ours are added (after
   * those of trusted proxies, instead of anybody else's); preserve = the client's go on as they came, none of ours is
   * added; remove = none goes on.
   */
  readonly forwarded: "append" | "preserve" | "remove";
  readonly paths: PathsConfig;
  /** Who may connect at all; null = everybody. */
  readonly access: AccessConfig | null;
  /** Adds Via (RFC 9110 7.6.3) both ways under this pseudonym; null = no Via. */
  readonly via: string | null;
  readonly timeouts: ListenerTimeouts;
  readonly limits: ListenerLimits;
  /** In order, first match wins. */
  readonly routes: readonly RouteConfig[];
}

export interface ListenerTimeouts {
  /** From the first byte of a request (or from accept) to the end of its head: 408. */
  readonly requestHeadMs: number;
  /** Between two requests on a kept connection. */
  readonly idleMs: number;
  /** Between two arrivals of request body bytes: 408. */
  readonly bodyMs: number;
  /** How long the client may leave what we send unread. */
  readonly writeMs: number;
}

export interface ListenerLimits {
  /** Open client connections of the whole balancer on this listener; further ones wait in the kernel's queue. */
  readonly connections: number;
  /** Open connections of one client address, all workers together; further ones are closed. OFF = unlimited. */
  readonly connectionsPerClient: number;
  readonly headBytes: number;
  readonly headers: number;
  /** Request body; OFF = unlimited. */
  readonly bodyBytes: number;
  /** Requests on one connection before it is closed; OFF = unlimited. */
  readonly requests: number;
}

export interface RouteConfig {
  /** Unique within the listener; its number from 0, as text, unless it was given one. */
  readonly name: string;
  readonly match: MatchConfig;
  readonly action: ActionConfig;
  readonly rewrite: RewriteConfig | null;
  readonly requestHeaders: HeaderEdits | null;
  readonly responseHeaders: HeaderEdits | null;
  readonly timeouts: RouteTimeouts;
  /** With an empty `on` nothing is repeated. */
  readonly retry: RetryConfig;
  readonly rateLimits: readonly RateLimitConfig[];
  readonly concurrency: readonly ConcurrencyConfig[];
  readonly access: AccessConfig | null;
  readonly basicAuth: BasicAuthConfig | null;
  readonly forwardAuth: ForwardAuthConfig | null;
  readonly cors: CorsConfig | null;
  readonly compress: CompressConfig | null;
  readonly minRate: MinRateConfig | null;
  readonly mirror: MirrorConfig | null;
  readonly hooks: HooksConfig | null;
  /** Request body; null = the listener's limit, OFF = unlimited. */
  readonly bodyBytes: number | null;
}

export interface RouteTimeouts {
  readonly connectMs: number;
  /** Between two successful writes to the endpoint. */
  readonly sendMs: number;
  /** For the response head, and between two arrivals of response body bytes. */
  readonly responseMs: number;
  /** The whole exchange; OFF = no bound. */
  readonly totalMs: number;
  /** Silence in an upgraded connection, both ways. */
  readonly tunnelMs: number;
  /** The longest life of an upgraded connection, busy or not; OFF = no bound. */
  readonly tunnelLifetimeMs: number;
}

export type BalanceConfig =
  | { readonly by: "round-robin" }
  | { readonly by: "weighted-round-robin"; readonly order: "smooth" | "block" }
  | { readonly by: "least-connections" }
  | { readonly by: "ip-hash" }
  | { readonly by: "least-response-time"; /** half-life-ish time constant of the average */ readonly decayMs: number }
  | {
      readonly by: "consistent-hash";
      readonly key: HashKey;
      /** bounded load: percent of the mean, OFF = unbounded */ readonly loadPercent: number;
    }
  | { readonly by: "random-two-choices" };

export interface HashKey {
  readonly from: "source" | "path" | "uri" | "header" | "cookie" | "query";
  /** Name of the header (lower case), cookie or query argument; "" otherwise. */
  readonly name: string;
}

export interface PoolConfig {
  readonly name: string;
  readonly balance: BalanceConfig;
  /** May be empty where discovery finds them. */
  readonly endpoints: readonly EndpointConfig[];
  readonly discovery: readonly DiscoveryConfig[];
  readonly protocol: "http";
  readonly sticky: StickyConfig | null;
  readonly outlier: OutlierConfig | null;
  readonly circuit: CircuitConfig;
  readonly health: HealthConfig | null;
  readonly passive: PassiveConfig | null;
  /** OFF = no slow start. */
  readonly slowStartMs: number;
  readonly keepAlive: KeepAliveConfig;
  readonly queue: QueueConfig;
  readonly noneHealthy: "fail" | "all";
  readonly resolve: ResolveConfig;
}

/** How host names of endpoints and discovery by DNS are looked up. */
export interface ResolveConfig {
  /** The shortest time between two lookups, and the time when the answer carries no TTL. */
  readonly minMs: number;
  readonly maxMs: number;
  /** Name servers as "ip", "ip:port" or "[ipv6]:port"; empty = the system's. */
  readonly servers: readonly string[];
}

export interface EndpointConfig {
  /** Unique within the pool; the address unless given. Counters, health and connections follow it through reloads. */
  readonly id: string;
  /** IP literal or host name; "" for unix sockets. */
  readonly host: string;
  readonly port: number;
  readonly unixPath: string | null;
  /** 0 to 1000; 0 receives nothing new. */
  readonly weight: number;
  readonly backup: boolean;
  /** Requests in progress from all workers together; OFF = unlimited. */
  readonly maxConnections: number;
  readonly admin: "ready" | "drain" | "maint";
}

export interface HealthConfig {
  readonly protocol: "http" | "tcp";
  readonly path: string;
  readonly method: string;
  /** Host header; null = the endpoint's address. */
  readonly host: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** null = the endpoint's own port. */
  readonly port: number | null;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  /** Inclusive ranges of accepted status codes. */
  readonly expectStatus: readonly (readonly [number, number])[];
  /** Text that the first part of the body must contain; null = any. */
  readonly expectBody: string | null;
  /** "up": unknown endpoints are used until the first verdict; "wait": not before it. */
  readonly initial: "up" | "wait";
}

export interface PassiveConfig {
  readonly maxFails: number;
  readonly failTimeoutMs: number;
}

export interface KeepAliveConfig {
  /** Idle connections kept per endpoint and worker; 0 = close after each request. */
  readonly connections: number;
  readonly idleMs: number;
  /** Requests on one connection before it is closed; OFF = unlimited. */
  readonly requests: number;
}

export interface QueueConfig {
  /** Requests of one worker waiting for a free endpoint; 0 = answer 503 at once. */
  readonly size: number;
  readonly timeoutMs: number;
}
