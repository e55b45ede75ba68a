// Every default of the configuration, once, with the reason. Front ends fill them in, the JSON Schema and the reference
// show them. Where a peer's default is named it is that of nginx 1.29, HAProxy 3.x, Envoy 1.3x or AWS ALB.

import {
  OFF,
  type AccessLogConfig,
  type AdminConfig,
  type BalanceConfig,
  type Config,
  type EndpointConfig,
  type HashKey,
  type HealthConfig,
  type KeepAliveConfig,
  type ListenerConfig,
  type ListenerLimits,
  type ListenerTimeouts,
  type PassiveConfig,
  type PoolConfig,
  type QueueConfig,
  type RouteConfig,
  type RouteTimeouts,
} from "./config.ts";
import type { CircuitConfig, MatchConfig, PathsConfig, RetryConfig } from "./route-config.ts";

/** 0 = one worker per CPU, as nginx's `worker_processes auto` and HAProxy's nbthread: a proxy is bound by CPU. */
export const defaultWorkers = 0;

/** Stay the user that started the process: changing it needs privileges that most starts do not have. */
export const defaultUser: Config["user"] = null;

/** Loopback, so that nothing is exposed and no token is needed; 9900 collides with no well-known service. */
export const defaultAdmin: AdminConfig = { bind: { ip: "127.0.0.1", port: 9900, unixPath: null }, token: null };

/** JSON on standard output: what container platforms collect, and what tools read without a parser of their own. */
export const defaultAccessLog: AccessLogConfig = { format: "json", template: "", file: "-" };

/** State changes and mistakes, nothing per request: as nginx's notice and HAProxy's notice. */
export const defaultLogLevel: Config["logLevel"] = "info";

/** Long enough for ordinary requests, and Kubernetes' terminationGracePeriodSeconds is 30 s. */
export const defaultDrainMs = 30_000;

/** Client side. */
export const defaultListenerTimeouts: ListenerTimeouts = {
  // nginx allows 60 s, which a slowloris attack enjoys; Envoy advises 10 s at the edge. No honest client needs longer.
  requestHeadMs: 10_000,
  // nginx's keepalive_timeout; longer than the 60 s idle time of ALB, so that a balancer before us closes first.
  idleMs: 75_000,
  // nginx's client_body_timeout.
  bodyMs: 60_000,
  // nginx's send_timeout.
  writeMs: 60_000,
};

export const defaultListenerLimits: ListenerLimits = {
  // Well below the usual 65,536 descriptors, of which every proxied connection takes two.
  connections: 10_000,
  // Many clients may stand behind one address; HAProxy, nginx and ALB have no such limit unless given.
  connectionsPerClient: OFF,
  // Envoy allows 60 KiB, ALB 64 K of header fields; nginx's 4 x 8k surprises people with big cookies.
  headBytes: 64 * 1024,
  // HAProxy 101, Envoy 100.
  headers: 100,
  // nginx's 1m is the commonest surprise of newcomers; bodies are streamed, never collected, so they cost no memory
  // here.
  bodyBytes: OFF,
  // nginx closes after 1000 to free memory of its pools; there is nothing to free here.
  requests: OFF,
};

/** Endpoint side. */
export const defaultRouteTimeouts: RouteTimeouts = {
  // nginx waits 60 s, Envoy 5 s: two lost SYNs (1 s + 2 s) and a margin; then another endpoint is tried.
  connectMs: 5000,
  // nginx's proxy_send_timeout.
  sendMs: 60_000,
  // nginx's proxy_read_timeout.
  responseMs: 60_000,
  // No bound, as everywhere: downloads may take hours.
  totalMs: OFF,
  // HAProxy's documentation advises 1h for `timeout tunnel`; WebSockets are silent for long.
  tunnelMs: 3_600_000,
  // Nobody cuts a WebSocket that is in use.
  tunnelLifetimeMs: OFF,
};

/**
 * What is repeated without being asked to (docs/decisions/0004-retries.md): as nginx's proxy_next_upstream "error
 * timeout", once where nginx has no bound, because one endpoint that fails is a hiccup and two are an outage.
 */
export const defaultRetry: RetryConfig = {
  attempts: 1, // Envoy's num_retries
  on: ["connect", "refused", "reset", "timeout"],
  // Envoy's and Linkerd's retry budgets: an outage of everything costs at most a fifth more attempts.
  budgetPercent: 20,
  // Linkerd's minRetriesPerSecond: a share of few requests is none.
  budgetMin: 10,
  // Most request bodies that are repeated at all (PUT) fit; nginx keeps whole bodies, on disk if need be.
  bufferBytes: 64 * 1024,
  nonIdempotent: false, // nginx has the same word for it
  attemptMs: OFF,
};

/** No condition: fits every request. */
export const defaultMatch: MatchConfig = {
  hosts: [],
  paths: [],
  prefixes: [],
  regexes: [],
  methods: [],
  headers: [],
  cookies: [],
  query: [],
  sources: [],
};

/** Everything of a route but its name and action. */
export const defaultRoute: Omit<RouteConfig, "name" | "action"> = {
  match: defaultMatch,
  rewrite: null,
  requestHeaders: null,
  responseHeaders: null,
  timeouts: defaultRouteTimeouts,
  retry: defaultRetry,
  rateLimits: [],
  concurrency: [],
  access: null,
  basicAuth: null,
  forwardAuth: null,
  cors: null,
  compress: null,
  minRate: null,
  mirror: null,
  hooks: null,
  bodyBytes: null,
};

/** ALB's default. */
export const defaultForwarded: ListenerConfig["forwarded"] = "append";

/**
 * One form for matching and forwarding, so that no spelling of a path slips past a rule that endpoints would read as
 * the forbidden one; nginx matches so, too. Listeners of which no route looks at the path have defaultPathsUnused.
 */
export const defaultPaths: PathsConfig = { mode: "normalize", slashes: "merge", encodedSlashes: "refuse" };

/** Where nothing depends on the path, it goes on byte by byte, as with nginx's proxy_pass without a path. */
export const defaultPathsUnused: PathsConfig = { mode: "raw", slashes: "keep", encodedSlashes: "keep" };

/** A listener's further settings. */
export const defaultListener: Pick<ListenerConfig, "forwarded" | "paths" | "access"> = {
  forwarded: defaultForwarded,
  paths: defaultPathsUnused,
  access: null,
};

/** None, as in nginx and HAProxy; Envoy's 1024 each surprise people. */
export const defaultCircuit: CircuitConfig = { connections: OFF, pending: OFF, requests: OFF };

/** A pool's further settings. */
export const defaultPool: Pick<PoolConfig, "sticky" | "outlier" | "circuit" | "discovery"> = {
  sticky: null,
  outlier: null, // passive is on, and finds the same endpoints more slowly
  circuit: defaultCircuit,
  discovery: [],
};

/** The safest choice while nothing is known: slow or half-broken endpoints get less by themselves. */
export const defaultBalance: BalanceConfig["by"] = "least-connections";
/** nginx's smooth order: the same shares, without runs on the heaviest endpoint. */
export const defaultOrder = "smooth";
/** Linkerd's and Finagle's decay of the latency average. */
export const defaultDecayMs = 10_000;
/** The client's address is always there. */
export const defaultHashKey: HashKey = { from: "source", name: "" };
/** 125 % of the mean (Mirrokni, Thorup, Zadimoghaddam 2016; the value Vimeo and HAProxy's manual give). */
export const defaultLoadPercent = 125;

/** Everything of an endpoint but its address and id. */
export const defaultEndpoint: Pick<EndpointConfig, "weight" | "backup" | "maxConnections" | "admin"> = {
  weight: 1, // everybody's default
  backup: false,
  maxConnections: OFF, // nginx max_conns 0, HAProxy maxconn unlimited
  admin: "ready",
};

/** A pool without `health:` has no active checks: an unknown path that answers 404 would take every endpoint out. */
export const defaultHealth: HealthConfig | null = null;

/** What `health: {}` means. */
export const defaultHealthCheck: HealthConfig = {
  protocol: "http",
  path: "/health", // the commonest path of frameworks
  method: "GET", // servers that answer HEAD wrongly are many
  host: null,
  headers: {},
  port: null,
  // Between HAProxy's 2 s and ALB's 30 s: finds a dead endpoint within 30 s and is not felt by it.
  intervalMs: 10_000,
  timeoutMs: 5000, // ALB
  healthyThreshold: 2, // HAProxy's rise
  unhealthyThreshold: 3, // HAProxy's fall
  expectStatus: [[200, 299]],
  expectBody: null,
  initial: "up", // as nginx Plus and HAProxy: a restart must not begin with 503
};

/** nginx's max_fails 1 / fail_timeout 10s takes an endpoint out for one unlucky request. */
export const defaultPassive: PassiveConfig = { maxFails: 3, failTimeoutMs: 30_000 };

/** Off, as everywhere: it only helps endpoints that warm up. */
export const defaultSlowStartMs = OFF;

export const defaultKeepAlive: KeepAliveConfig = {
  connections: 128, // nginx keeps 32 per worker for all endpoints together, which busy sites raise first
  idleMs: 60_000, // nginx; shorter than the 75 s and more that servers keep
  requests: OFF,
};

/** HAProxy queues without bound, nginx not at all. A thousand waiting requests for five seconds survive a hiccup. */
export const defaultQueue: QueueConfig = { size: 1000, timeoutMs: 5000 };

/** Honest: when all are down, say 503. ALB's "send to all" is one word away. */
export const defaultNoneHealthy: PoolConfig["noneHealthy"] = "fail";

/**
 * The TTL decides, but never more often than each 5 s (also without a TTL), and never less often than Caddy's minute.
 */
export const defaultResolve: PoolConfig["resolve"] = { minMs: 5000, maxMs: 60_000, servers: [] };
