// What a route keeps out or in order, resolved: limits, access, authentication, CORS, compression, rates.

import {
  defaultBasicAuth,
  defaultCompress,
  defaultCors,
  defaultForwardAuth,
  defaultLimitKey,
  defaultMinRate,
  defaultRateLimit,
} from "../model/policy-defaults.ts";
import type {
  AccessConfig,
  BasicAuthConfig,
  CompressConfig,
  ConcurrencyConfig,
  CorsConfig,
  ForwardAuthConfig,
  MinRateConfig,
  RateLimitConfig,
} from "../model/route-config.ts";
import { asList } from "./as-list.ts";
import type { ConfigTyped } from "./schema.ts";

type ListenerTyped = NonNullable<ConfigTyped["listeners"]>[string];
export type RouteTyped = NonNullable<ListenerTyped["routes"]>[number];

const orNone = <T>(typed: T | "off" | undefined): T | undefined => (typed === "off" ? undefined : typed);

export function lowerRateLimits(typed: RouteTyped["rateLimit"]): readonly RateLimitConfig[] {
  return asList(orNone(typed)).map((one) => ({
    requests: one.requests,
    perMs: one.per ?? defaultRateLimit.perMs,
    burst: one.burst ?? one.requests,
    by: one.by ?? defaultLimitKey,
    scope: one.scope ?? defaultRateLimit.scope,
    keys: one.keys ?? defaultRateLimit.keys,
    status: one.status ?? defaultRateLimit.status,
  }));
}

export function lowerConcurrency(typed: RouteTyped["concurrency"]): readonly ConcurrencyConfig[] {
  return asList(orNone(typed)).map((one) => ({ requests: one.requests, by: one.by ?? defaultLimitKey }));
}

export function lowerAccess(typed: RouteTyped["access"]): AccessConfig | null {
  return typed === undefined ? null : { allow: asList(typed.allow), deny: asList(typed.deny) };
}

export function lowerBasicAuth(typed: RouteTyped["basicAuth"]): BasicAuthConfig | null {
  if (typed === undefined || typed === "off") return null;
  return {
    realm: typed.realm ?? defaultBasicAuth.realm,
    users: Object.entries(typed.users).map(([name, hash]) => ({ name, hash })),
    userHeader: typed.userHeader ?? defaultBasicAuth.userHeader,
    passAuthorization: typed.passAuthorization ?? defaultBasicAuth.passAuthorization,
  };
}

const lowerCase = (names: readonly string[]): readonly string[] => names.map((name) => name.toLowerCase());

export function lowerForwardAuth(typed: RouteTyped["forwardAuth"]): ForwardAuthConfig | null {
  if (typed === undefined || typed === "off") return null;
  const d = defaultForwardAuth;
  return {
    pool: typed.pool,
    path: typed.path,
    timeoutMs: typed.timeout ?? d.timeoutMs,
    requestHeaders: lowerCase(typed.requestHeaders ?? d.requestHeaders),
    copyHeaders: lowerCase(typed.copyHeaders ?? d.copyHeaders),
    cacheMs: typed.cache ?? d.cacheMs,
    cacheKey: lowerCase(typed.cacheKey ?? d.cacheKey),
    onError: typed.onError ?? d.onError,
  };
}

export function lowerCors(typed: RouteTyped["cors"]): CorsConfig | null {
  if (typed === undefined || typed === "off") return null;
  if (typed === true) return defaultCors;
  const d = defaultCors;
  return {
    origins: lowerCase(typed.origins ?? d.origins),
    methods: typed.methods ?? d.methods,
    headers: typed.headers ?? d.headers,
    expose: typed.expose ?? d.expose,
    credentials: typed.credentials ?? d.credentials,
    maxAgeMs: typed.maxAge ?? d.maxAgeMs,
  };
}

export function lowerCompress(typed: RouteTyped["compress"]): CompressConfig | null {
  if (typed === undefined || typed === "off") return null;
  if (typed === true) return defaultCompress;
  const d = defaultCompress;
  return {
    codings: typed.codings ?? d.codings,
    types: lowerCase(typed.types ?? d.types),
    minBytes: typed.minBytes ?? d.minBytes,
    level: typed.level ?? d.level,
  };
}

export function lowerMinRate(typed: RouteTyped["minRate"]): MinRateConfig | null {
  if (typed === undefined || typed === "off") return null;
  const d = defaultMinRate;
  return {
    request: typed.request ?? d.request,
    response: typed.response ?? d.response,
    graceMs: typed.grace ?? d.graceMs,
  };
}
