// Defaults of what routes and pools have only when asked for: what is filled in once `cors: true`, `outlier: {}` or
// `rateLimit: { requests: 100 }` is written. With the reasons; peers are those of defaults.ts.

import { OFF } from "./config.ts";
import type {
  ActionConfig,
  BasicAuthConfig,
  CompressConfig,
  CookieConfig,
  CorsConfig,
  ForwardAuthConfig,
  HooksConfig,
  LimitKey,
  MinRateConfig,
  MirrorConfig,
  OutlierConfig,
  RateLimitConfig,
  RouteTestConfig,
} from "./route-config.ts";

/** 301 and 308 are remembered by browsers without end: nobody should make that choice by leaving something out. */
export const defaultRedirectStatus: Extract<ActionConfig, { kind: "redirect" }>["status"] = 302;

/** nginx's and Caddy's, too. */
export const defaultRespondStatus = 200;

/** Equal shares unless weights are given. */
export const defaultArmWeight = 1;

/** Name of the cookie that keeps a client at its endpoint. */
export const defaultStickyName = "SLUICE";
/** Of the one that keeps it at its pool: another name, since a route may have both. */
export const defaultArmStickyName = "SLUICE_POOL";

/** Everything of a cookie but its name. */
export const defaultCookie: Omit<CookieConfig, "name"> = {
  ttlMs: 86_400_000, // ALB's lb_cookie.duration_seconds; browsers of telephones never close
  secure: "auto",
  httpOnly: true, // no script has any use for it
  sameSite: "lax", // what browsers take for cookies that do not say
  path: "/",
  domain: "",
};

/** The application says how long its sessions live; an hour without use is more than the usual 20 to 30 minutes. */
export const defaultAppCookieTtlMs = 3_600_000;
/** What HAProxy's manual gives for stick tables by source. */
export const defaultSourceTtlMs = 1_800_000;
/** Some 4 MB when full; HAProxy's examples have 200k to 1m. */
export const defaultStickySize = 100_000;

/** Envoy's values. */
export const defaultOutlier: OutlierConfig = {
  consecutiveFailures: 5,
  intervalMs: 10_000,
  ejectionMs: 30_000,
  maxEjectionMs: 300_000,
  // Envoy's 10 % ejects one endpoint of a usual pool and then stands by; beyond a half the rest would break.
  maxEjectedPercent: 50,
  successRate: null,
};
/** What `successRate: {}` means: Envoy's values. */
export const defaultSuccessRate: NonNullable<OutlierConfig["successRate"]> = {
  minEndpoints: 5,
  minRequests: 100,
  stdevFactor: 1.9,
};

/** The client's address: there is always one. */
export const defaultLimitKey: LimitKey = { from: "source", name: "" };

/** Everything of a rate limit but its requests and burst; the burst is one period's requests. */
export const defaultRateLimit: Omit<RateLimitConfig, "requests" | "burst" | "by"> = {
  perMs: 1000,
  scope: "exact", // what is written is what clients get, however many workers there are
  keys: 100_000, // some 4 MB when full; nginx's usual zone of 10 MB holds 160,000
  status: 429, // RFC 6585; nginx's 503 looks like an outage
};

/** Everything of basic authentication but its users. */
export const defaultBasicAuth: Omit<BasicAuthConfig, "users"> = {
  realm: "Restricted",
  userHeader: "",
  passAuthorization: false, // endpoints have no business with passwords that were meant for us
};

/** Everything of forward authentication but its pool and path. */
export const defaultForwardAuth: Omit<ForwardAuthConfig, "pool" | "path"> = {
  // Every request waits for the answer: nginx's 60 s would stop a whole site, Envoy's 200 ms fail at a hiccup.
  timeoutMs: 5000,
  requestHeaders: [],
  copyHeaders: [],
  cacheMs: OFF,
  cacheKey: ["authorization", "cookie"], // where credentials are
  onError: "refuse",
};

/** What `cors: true` means: public resources, without credentials. */
export const defaultCors: CorsConfig = {
  origins: ["*"],
  methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
  headers: ["*"],
  expose: [],
  credentials: false,
  maxAgeMs: 600_000, // browsers have 5 s; Chromium never keeps more than 2 h
};

/** What `compress: true` means. */
export const defaultCompress: CompressConfig = {
  codings: ["zstd", "br", "gzip"],
  types: [
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/wasm",
    "image/svg+xml",
  ],
  minBytes: 1024, // Traefik; less than a packet is not worth it
  level: 4, // near the knee of all three: half the time of the middle for a few percent more bytes
};

/** Neither rate unless given; Apache's mod_reqtimeout waits as long before it measures. */
export const defaultMinRate: MinRateConfig = { request: OFF, response: OFF, graceMs: 20_000 };

/** Everything of a mirror but its pool. */
export const defaultMirror: Omit<MirrorConfig, "pool"> = { percent: 100, bodyBytes: 64 * 1024 };

/** A hook waits for a look-up in a network, not for a user. */
export const defaultHooks: Pick<HooksConfig, "timeoutMs" | "onError"> = { timeoutMs: 5000, onError: "fail" };

/** The request of a route test; its source is of the block for documentation (RFC 5737), so it is in no real block. */
export const defaultTestMethod = "GET";
export const defaultTestSource: RouteTestConfig["request"]["source"] = "192.0.2.1";
/** Percentage points around an expected share. */
export const defaultTestTolerance = 1;
