// Random sound routes and route tests, for tests only.

import { OFF, type ListenerConfig, type PoolConfig, type RouteConfig } from "../model/config.ts";
import type {
  AccessConfig,
  ActionConfig,
  CookieConfig,
  FieldMatch,
  HeaderEdits,
  LimitKey,
  MatchConfig,
  RetryConfig,
  RouteTestConfig,
} from "../model/route-config.ts";
import { defaultRetry, defaultRouteTimeouts } from "../model/defaults.ts";
import type { Sampler } from "./sampler.ts";

/** Some routes, each with names and conditions of its own. */
export function sampleRoutes(s: Sampler, pools: readonly string[]): RouteConfig[] {
  return s.list(1, 5, (i) => sampleRoute(s, i, pools));
}

function sampleRoute(s: Sampler, index: number, pools: readonly string[]): RouteConfig {
  const action = sampleAction(s, pools);
  const forwards = action.kind === "forward";
  const sometimes = <T>(make: () => T): T | null => (s.chance(15) ? make() : null);
  const forwarded = <T>(make: () => T): T | null => (forwards ? sometimes(make) : null);
  return {
    name: s.chance(30) ? `route-${index}` : String(index),
    match: sampleMatch(s),
    action,
    rewrite: forwarded(() => sampleRewrite(s)),
    requestHeaders: forwarded(() => sampleEdits(s)),
    responseHeaders: sometimes(() => sampleEdits(s)),
    timeouts: sampleTimeouts(s, forwards),
    retry: sampleRetry(s, forwards),
    rateLimits: s.chance(20)
      ? s.list(1, 2, () => ({
          requests: s.from(1, 1000),
          perMs: s.ms(),
          burst: s.from(1, 1000),
          by: sampleKey(s),
          scope: s.one(["exact", "worker"] as const),
          keys: s.from(1, 100_000),
          status: s.one([429, 503]),
        }))
      : [],
    concurrency: s.chance(20) ? s.list(1, 2, () => ({ requests: s.from(1, 1000), by: sampleKey(s) })) : [],
    access: sometimes(() => sampleAccess(s)),
    basicAuth: sometimes(() => ({
      realm: s.one(["Restricted", "Our place"]),
      users: s.list(1, 2, (i) => ({ name: `user${i}`, hash: `$2b$12$${"a1./".repeat(13)}a` })),
      userHeader: s.one(["", "x-user"]),
      passAuthorization: s.chance(50),
    })),
    forwardAuth: sometimes(() => ({
      pool: s.one(pools),
      path: s.one(["/verify", "/verify?of={path}", "{uri}"]),
      timeoutMs: s.ms(),
      requestHeaders: s.one([[], ["authorization", "cookie"]]),
      copyHeaders: s.one([[], ["x-user"]]),
      cacheMs: s.one([OFF, s.ms()]),
      cacheKey: s.one([["authorization"], ["authorization", "cookie"]]),
      onError: s.one(["refuse", "allow"] as const),
    })),
    cors: sometimes(() => sampleCors(s)),
    compress: sometimes(() => ({
      codings: s.one([["gzip"], ["zstd", "br", "gzip"]] as const),
      types: s.one([["text/*"], ["application/json", "application/*+json"]]),
      minBytes: s.from(1, 100_000),
      level: s.from(1, 9),
    })),
    minRate: sometimes(() => ({ request: s.from(1, 5000), response: s.one([OFF, 1024]), graceMs: s.ms(1000) })),
    mirror: forwarded(() => ({
      pool: s.one(pools),
      percent: s.one([0.01, 12.5, 100]),
      bodyBytes: s.one([0, 65_536]),
    })),
    hooks: null,
    bodyBytes: s.one([null, null, OFF, 1_048_576]),
  };
}

function sampleAction(s: Sampler, pools: readonly string[]): ActionConfig {
  const kind = s.one(["forward", "forward", "split", "redirect", "respond"] as const);
  switch (kind) {
    case "forward":
      return { kind: "forward", arms: [{ pool: s.one(pools), weight: 1 }], sticky: null };
    case "split": {
      const arms = pools.map((pool, i) => ({ pool, weight: i === 0 ? s.from(1, 1000) : s.from(0, 1000) }));
      const sticky = pools.length > 1 && s.chance(50) ? { cookie: sampleCookie(s, "side") } : null;
      return { kind: "forward", arms, sticky };
    }
    case "redirect":
      return {
        kind: "redirect",
        to: s.one(["https://{hostname}{uri}", "/new{path}?q={query.q}", "{scheme}://app.example:8443/"]),
        status: s.one([301, 302, 303, 307, 308] as const),
      };
    case "respond":
      return {
        kind: "respond",
        status: s.one([200, 404, 503]),
        body: s.one(["", "pong\n", '{"id":"{requestId}"}']),
        headers: s.one([
          [],
          [{ name: "content-type", value: "text/plain" }],
          [
            { name: "Set-Cookie", value: "a=1" },
            { name: "Set-Cookie", value: "b={requestId}" },
          ],
        ]),
      };
  }
}

export function sampleCookie(s: Sampler, name: string): CookieConfig {
  const secure = s.one(["auto", "always", "never"] as const);
  return {
    name,
    ttlMs: s.one([OFF, s.ms(1000)]),
    secure,
    httpOnly: s.chance(50),
    sameSite: secure === "always" ? "none" : s.one(["strict", "lax", "unset"] as const),
    path: s.one(["/", "/app"]),
    domain: s.one(["", "example.com"]),
  };
}

function sampleMatch(s: Sampler): MatchConfig {
  const some = <T>(values: readonly T[]): readonly T[] => (s.chance(30) ? s.list(1, 2, () => s.one(values)) : []);
  return {
    hosts: some(["app.example.com", "*.example.com", "10.0.0.1"]),
    paths: some(["/", "/api/*", "/a?c/%2A", "*.png"]),
    prefixes: some(["/", "/static", "/a/b"]),
    regexes: some(["^/v[12]/", "\\.(png|jpg)$"]),
    methods: some(["GET", "POST", "PURGE"]),
    headers: sampleFields(s, ["user-agent", "x-a"]),
    cookies: sampleFields(s, ["beta", "SID"]),
    query: sampleFields(s, ["version", "q"]),
    sources: some(["10.0.0.0/8", "::1", "192.0.2.7"]),
  };
}

function sampleFields(s: Sampler, names: readonly string[]): readonly FieldMatch[] {
  if (s.chance(70)) return [];
  return names.map((name) => {
    const patterns = s.one([[], ["1"], ["*Mobile*", ""]]);
    return { name, patterns, absent: s.chance(30) };
  });
}

function sampleRewrite(s: Sampler): RouteConfig["rewrite"] {
  return s.one([
    { path: "^/v1/(.*)$", to: "/$1", host: null },
    { path: "^.*$", to: "/all?of={path}", host: "internal.example:80" },
    { path: null, to: "", host: "{hostname}.internal" },
  ]);
}

function sampleEdits(s: Sampler): HeaderEdits {
  return {
    remove: s.one([[], ["x-secret"], ["X-A", "x-b"]]),
    set: s.one([[], [{ name: "X-Env", value: "prod {route}" }]]),
    add: s.one([
      [],
      [
        { name: "x-tag", value: "one" },
        { name: "x-tag", value: "{source}" },
      ],
    ]),
  };
}

/** At their defaults where nothing is forwarded: there they cannot be typed. */
function sampleTimeouts(s: Sampler, forwards: boolean): RouteConfig["timeouts"] {
  if (!forwards) return defaultRouteTimeouts;
  return {
    connectMs: s.ms(),
    sendMs: s.ms(),
    responseMs: s.ms(),
    totalMs: s.one([OFF, s.ms()]),
    tunnelMs: s.ms(),
    tunnelLifetimeMs: s.one([OFF, s.ms()]),
  };
}

function sampleRetry(s: Sampler, forwards: boolean): RetryConfig {
  if (!forwards || s.chance(50)) return defaultRetry;
  if (s.chance(20)) return { ...defaultRetry, attempts: 0, on: [] };
  return {
    attempts: s.from(0, 8),
    on: s.one([["connect"], ["reset", "timeout", 502, 503], ["refused", 429]] as const),
    budgetPercent: s.one([0, 20, 100]),
    budgetMin: s.from(0, 100),
    bufferBytes: s.one([0, 65_536]),
    nonIdempotent: s.chance(20),
    attemptMs: s.one([OFF, s.ms()]),
  };
}

function sampleKey(s: Sampler): LimitKey {
  return s.one<LimitKey>([
    { from: "source", name: "" },
    { from: "route", name: "" },
    { from: "header", name: "x-key" },
    { from: "cookie", name: "SID" },
  ]);
}

export function sampleAccess(s: Sampler): AccessConfig {
  return { allow: s.one([[], ["10.0.0.0/8", "fd00::/8"]]), deny: s.one([[], ["10.0.0.9"]]) };
}

function sampleCors(s: Sampler): RouteConfig["cors"] {
  const everybody = s.chance(50);
  return {
    origins: everybody ? ["*"] : ["https://app.example.com", "https://*.example.org:8443"],
    methods: ["GET", "POST"],
    headers: s.one([["*"], ["Content-Type", "X-A"]]),
    expose: s.one([[], ["ETag"]]),
    credentials: !everybody && s.chance(50),
    maxAgeMs: s.ms(1000),
  };
}

/** Tests that name what there is. They need not hold. */
export function sampleTests(
  s: Sampler,
  listeners: readonly ListenerConfig[],
  pools: readonly PoolConfig[],
): RouteTestConfig[] {
  return s.list(0, 2, (i) => {
    const listener = s.one(listeners);
    const pool = s.one([null, s.one(pools).name]);
    return {
      name: `test ${i}`,
      listener: listener.name,
      request: {
        method: s.one(["GET", "POST"]),
        url: s.one(["/", "http://app.example.com/api?q=1"]),
        headers: s.one([[], [{ name: "x-a", value: "1" }]]),
        source: s.one(["192.0.2.1", "::1"]),
      },
      expect: {
        route: s.one([null, s.one(listener.routes).name]),
        pool,
        share: pool === null ? null : s.one([null, { percent: 12.5, tolerance: 1 }]),
        status: s.one([200, 404]),
        location: s.one([null, "https://app.example.com/"]),
        path: s.one([null, "/"]),
        host: s.one([null, "app.example.com"]),
        headers: s.one([
          [],
          [
            { name: "x-env", value: "prod" },
            { name: "x-b", value: null },
          ],
        ]),
      },
    };
  });
}
