// Random sound configurations, for tests only.

import type { Rng } from "../base/ports.ts";
import { OFF, type BalanceConfig, type BindAddress, type Config, type EndpointConfig } from "../model/config.ts";
import type { HealthConfig, ListenerConfig, PoolConfig } from "../model/config.ts";
import type { DiscoveryConfig, OutlierConfig } from "../model/route-config.ts";
import { formatAddress } from "./address.ts";
import { sampleAccess, sampleCookie, sampleRoutes, sampleTests } from "./sample-route.ts";
import { Sampler } from "./sampler.ts";

/** A config that validates without errors. No name is a bare number: objects would put it first. */
export function sampleConfig(rng: Rng): Config {
  const s = new Sampler(rng);
  const pools = s.list(1, 4, (i) => samplePool(s, `${s.one(["users", "a.b", "Pool_", "9-"])}${i}`));
  const listeners = s.list(1, 3, (i) => sampleListener(s, `l${i}`, i, pools));
  return {
    workers: s.one([0, 1, 64]),
    user: s.one([null, "nobody", "www-data:www-data"]),
    admin: s.chance(20)
      ? null
      : {
          bind: s.one<BindAddress>([
            { ip: "127.0.0.1", port: 9900, unixPath: null },
            { ip: "::1", port: 0, unixPath: null },
            { ip: "", port: 0, unixPath: "/run/admin.sock" },
          ]),
          token: s.one([null, "0123456789abcdef"]),
        },
    accessLog: s.one<Config["accessLog"]>([
      null,
      { format: "json", template: "", file: "-" },
      { format: "combined", template: "", file: "./access.log" },
      { format: "template", template: '{time} "{request}": {status} # no comment', file: "-" },
    ]),
    logLevel: s.one(["debug", "info", "warn", "error"] as const),
    timeouts: { drainMs: s.ms() },
    listeners,
    pools,
    state: s.one([null, "./state"]),
    secret: s.one([null, "0123456789abcdef 0123456789abcdef"]),
    tests: sampleTests(s, listeners, pools),
  };
}

function sampleListener(s: Sampler, name: string, index: number, pools: readonly PoolConfig[]): ListenerConfig {
  return {
    name,
    bind: s.list(1, 3, (i) => sampleBind(s, index * 10 + i)),
    protocol: "http",
    trustedProxies: s.list(0, 2, () => s.one(["10.0.0.0/8", "::1", "fd00::/8", "192.0.2.7"])),
    via: s.one([null, "edge", "proxy.example:80"]),
    timeouts: { requestHeadMs: s.ms(), idleMs: s.ms(), bodyMs: s.ms(), writeMs: s.ms() },
    limits: {
      connections: s.from(1, 1_000_000),
      connectionsPerClient: s.one([OFF, 1, 1000]),
      headBytes: s.one([1024, 65_536, 100_001, 1_048_576]),
      headers: s.from(1, 1000),
      bodyBytes: s.one([OFF, 1, 1_073_741_824, 123_456_789_012]),
      requests: s.one([OFF, 1, 1000]),
    },
    forwarded: s.one(["append", "preserve", "remove"] as const),
    paths: {
      mode: s.one(["normalize", "strict", "raw"] as const),
      slashes: s.one(["merge", "keep", "refuse"] as const),
      encodedSlashes: s.one(["refuse", "keep"] as const),
    },
    access: s.chance(20) ? sampleAccess(s) : null,
    routes: sampleRoutes(
      s,
      pools.map((pool) => pool.name),
    ),
  };
}

/** Different numbers give addresses that never collide. */
function sampleBind(s: Sampler, number: number): BindAddress {
  return s.one<BindAddress>([
    { ip: "127.0.0.1", port: 1000 + number, unixPath: null },
    { ip: "0.0.0.0", port: 2000 + number, unixPath: null },
    { ip: "::", port: 3000 + number, unixPath: null },
    { ip: "fe80::1%eth0", port: 4000 + number, unixPath: null },
    { ip: "", port: 0, unixPath: `/run/${number}.sock` },
    { ip: "", port: 0, unixPath: `\0abstract${number}` },
  ]);
}

function samplePool(s: Sampler, name: string): PoolConfig {
  const minMs = s.ms(100);
  return {
    name,
    balance: sampleBalance(s),
    endpoints: s.list(1, 5, (i) => sampleEndpoint(s, i)),
    discovery: s.chance(20) ? [sampleDiscovery(s)] : [],
    sticky: sampleSticky(s, name),
    outlier: s.chance(30) ? sampleOutlier(s) : null,
    circuit: { connections: s.one([OFF, 1, 500]), pending: s.one([OFF, 9]), requests: s.one([OFF, 1000]) },
    protocol: "http",
    health: s.chance(50) ? sampleHealth(s) : null,
    passive: s.chance(30) ? null : { maxFails: s.from(1, 100), failTimeoutMs: s.ms() },
    slowStartMs: s.one([OFF, s.ms()]),
    keepAlive: { connections: s.from(0, 200), idleMs: s.ms(), requests: s.one([OFF, 1, 5000]) },
    queue: { size: s.from(0, 2000), timeoutMs: s.ms() },
    noneHealthy: s.one(["fail", "all"] as const),
    resolve: {
      minMs,
      maxMs: minMs + s.from(0, 10_000),
      servers: s.one([[], ["127.0.0.1:8600"], ["10.0.0.53", "[::1]:53"]]),
    },
  };
}

function sampleDiscovery(s: Sampler): DiscoveryConfig {
  return s.one<DiscoveryConfig>([
    { from: "dns", name: "app.internal", type: "address", port: s.from(1, 65_535) },
    { from: "dns", name: "_http._tcp.app.internal", type: "srv", port: 0 },
    { from: "file", path: "./endpoints.yaml" },
  ]);
}

/** Cookies of pools have names of their own: two pools that share one are warned of. */
function sampleSticky(s: Sampler, pool: string): PoolConfig["sticky"] {
  const ttlMs = s.ms(1000);
  return s.one<PoolConfig["sticky"]>([
    null,
    { by: "cookie", cookie: sampleCookie(s, `SLUICE-${pool}`) },
    { by: "app-cookie", name: "JSESSIONID", ttlMs, size: s.from(1, 1_000_000) },
    { by: "source-ip", ttlMs, size: 100_000 },
  ]);
}

function sampleOutlier(s: Sampler): OutlierConfig {
  const ejectionMs = s.ms(100);
  const byRate = s.chance(50);
  return {
    consecutiveFailures: byRate ? s.one([OFF, 3]) : s.from(1, 20),
    intervalMs: s.ms(100),
    ejectionMs,
    maxEjectionMs: ejectionMs + s.from(0, 10_000),
    maxEjectedPercent: s.one([1, 10, 33.33, 100]),
    successRate: byRate
      ? { minEndpoints: s.from(2, 9), minRequests: s.from(1, 500), stdevFactor: s.one([1.9, 3]) }
      : null,
  };
}

function sampleBalance(s: Sampler): BalanceConfig {
  return s.one<BalanceConfig>([
    { by: "round-robin" },
    { by: "weighted-round-robin", order: s.one(["smooth", "block"] as const) },
    { by: "least-connections" },
    { by: "ip-hash" },
    { by: "least-response-time", decayMs: s.ms(100) },
    {
      by: "consistent-hash",
      key: s.one([
        { from: "source", name: "" },
        { from: "path", name: "" },
        { from: "uri", name: "" },
        { from: "header", name: "x-user" },
        { from: "cookie", name: "SID" },
        { from: "query", name: "user-id" },
      ] as const),
      loadPercent: s.one([OFF, 101, 125, 10_000]),
    },
    { by: "random-two-choices" },
  ]);
}

function sampleEndpoint(s: Sampler, index: number): EndpointConfig {
  const address = s.one([
    { host: `10.0.0.${index}`, port: s.from(1, 65_535), unixPath: null },
    { host: "2001:db8::1", port: 8000 + index, unixPath: null },
    { host: `app-${index}.internal`, port: 80, unixPath: null },
    { host: "", port: 0, unixPath: `/run/app-${index}.sock` },
  ]);
  const ownId = formatAddress(address.host, address.port, address.unixPath);
  return {
    ...address,
    id: s.chance(30) ? `id-${index}` : ownId,
    weight: s.one([1, 1, 0, 1000]),
    backup: index > 0 && s.chance(20),
    maxConnections: s.one([OFF, 1, 200]),
    admin: s.one(["ready", "ready", "drain", "maint"] as const),
  };
}

function sampleHealth(s: Sampler): HealthConfig {
  const request = s.chance(70)
    ? ({
        protocol: "http",
        path: s.one(["/health", "/", "/a?b=c%20d"]),
        method: s.one(["GET", "OPTIONS"]),
        host: s.one([null, "app.example"]),
        headers: s.one([{}, { "X-Probe": "yes", accept: "text/html; q=0.5" }] as Record<string, string>[]),
        expectStatus: s.list(1, 3, () => s.one([[200, 299] as const, [304, 304] as const, [100, 599] as const])),
        expectBody: s.one([null, "ok", "multi\nline: 'text'"]),
      } as const)
    : ({
        protocol: "tcp",
        path: "/health",
        method: "GET",
        host: null,
        headers: {},
        expectStatus: [[200, 299]],
        expectBody: null,
      } as const);
  return {
    ...request,
    port: s.one([null, 1, 65_535]),
    intervalMs: s.ms(10),
    timeoutMs: s.ms(10),
    healthyThreshold: s.from(1, 10),
    unhealthyThreshold: s.from(1, 10),
    initial: s.one(["up", "wait"] as const),
  };
}
