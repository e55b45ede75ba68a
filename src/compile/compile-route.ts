// The routes of a listener, from their configuration to what requests are matched with and treated by. Whatever a route
// does not ask for is null.

import type { HashSeed } from "../base/keyed-hash.ts";
import {
  AccessCheck,
  type Check,
  ConcurrencyCheck,
  Guard,
  PasswordCheck,
  PreflightCheck,
  RateCheck,
} from "../http/guard.ts";
import { ForwardAuthCheck } from "../http/auth-check.ts";
import { AuthCache } from "../http/auth-cache.ts";
import { type AuthVerdict, ForwardAuth } from "../http/forward-auth.ts";
import type { Learned } from "../http/generation.ts";
import { Mirror, type MirrorLoad } from "../http/mirror.ts";
import type { SubRequestParts } from "../http/sub-request.ts";
import type { Compressors, Rng } from "../base/ports.ts";
import type { ClientTimeouts } from "../codec/h1-client.ts";
import { BasicAuth } from "../http/basic-auth.ts";
import { Compress } from "../http/compress.ts";
import { Cors } from "../http/cors.ts";
import { HookCheck, ResponseHooks } from "../http/hooks.ts";
import { compileEdits } from "../http/header-edits.ts";
import type { Passwords } from "../http/password-desk.ts";
import type { PoolRuntime } from "../http/pool-runtime.ts";
import { Redirect } from "../http/redirect.ts";
import { Respond } from "../http/respond.ts";
import { compileRetry } from "../http/retry.ts";
import { Rewrite } from "../http/rewrite.ts";
import type { Arms, Route, RouteAction } from "../http/route.ts";
import { AccessList } from "../limit/access.ts";
import type { LimitBook } from "../limit/limit-book.ts";
import type { ListenerConfig, RouteConfig } from "../model/config.ts";
import type { ActionConfig, MirrorConfig } from "../model/route-config.ts";
import { buildArmStickiness, type StickyParts } from "../pool/stickiness/build.ts";
import { compileRouter } from "../route/compile-router.ts";
import { compileHooks, type HookSupply } from "./compile-hooks.ts";
import { compileRegex, Regex } from "../route/regex/regex.ts";
import type { Router } from "../route/router.ts";

/** What routes are made with. */
export interface RouteParts {
  readonly pools: ReadonlyMap<string, PoolRuntime>;
  readonly limits: LimitBook;
  readonly sticky: StickyParts;
  readonly passwords: Passwords;
  readonly compressors: Compressors;
  readonly hooks: HookSupply;
  readonly rng: Rng;
  /** For requests of our own: the worker's connections and bounds, and its counters of a pool. */
  readonly own: () => SubRequestParts & { readonly load: MirrorLoad };
  readonly countersOf: (pool: string) => Float64Array;
  /** Filled here, from the previous generation's where a route has the same settings. */
  readonly learned: Learned;
  readonly learnedBefore: Learned | null;
}

/** Throws an Error with a sentence for the operator for what no request could be served by. */
export function compileRoutes(listener: ListenerConfig, parts: RouteParts): Router<Route> {
  const entries = listener.routes.map((route) => {
    try {
      return { match: route.match, value: compileRoute(listener, route, parts) };
    } catch (error) {
      throw new Error(`listener ${listener.name}: route ${route.name}: ${(error as Error).message}`, { cause: error });
    }
  });
  const { router, problems } = compileRouter(entries, listener.paths);
  if (router === null) {
    const { route, key, message } = problems[0]!;
    throw new Error(`listener ${listener.name}: route ${listener.routes[route]!.name}: match.${key}: ${message}`);
  }
  return router;
}

function compileRoute(listener: ListenerConfig, config: RouteConfig, parts: RouteParts): Route {
  const { connectMs, sendMs, responseMs, totalMs, tunnelMs, tunnelLifetimeMs } = config.timeouts;
  const action = compileAction(config.action, parts);
  const cors = config.cors === null ? null : new Cors(config.cors);
  const hooks = compileHooks(listener, config, parts.hooks);
  const { request = null, response = null } = hooks?.place ?? {};
  const checks = compileChecks(listener, config, cors, parts);
  if (hooks !== null && request !== null) checks.push(new HookCheck(hooks, request));
  const responseEdits = config.responseHeaders === null ? null : compileEdits(config.responseHeaders, "response");
  const pools = request !== null ? [...parts.pools.values()] : (action.arms?.pools ?? [action.pool]);
  const setsCookies =
    (action.arms?.sticky ?? null) !== null || pools.some((pool) => (pool?.stickiness ?? null) !== null);
  return {
    ...action,
    name: config.name,
    connectMs,
    sendMs,
    responseMs,
    totalMs,
    tunnelMs,
    tunnelLifetimeMs,
    bodyBytesMax: config.bodyBytes ?? listener.limits.bodyBytes,
    retry: compileRetry(config.retry),
    minRate: config.minRate,
    guard: checks.length === 0 ? null : new Guard(checks),
    responseHooks: hooks !== null && response !== null ? new ResponseHooks(hooks, response) : null,
    mirror: config.mirror === null ? null : compileMirror(config.mirror, config.timeouts, parts),
    rewrite: config.rewrite === null ? null : new Rewrite(config.rewrite),
    requestEdits: config.requestHeaders === null ? null : compileEdits(config.requestHeaders, "request"),
    responseEdits,
    cors,
    compress: config.compress === null ? null : new Compress(config.compress, parts.compressors),
    captures: config.match.regexes.map(captureRegex),
    decorates:
      responseEdits !== null ||
      cors !== null ||
      setsCookies ||
      config.rateLimits.length > 0 ||
      config.compress !== null ||
      response !== null,
  };
}

function poolOf(name: string, { pools }: RouteParts): PoolRuntime {
  const runtime = pools.get(name);
  if (runtime === undefined) throw new Error(`no pool "${name}"`);
  return runtime;
}

function compileMirror(config: MirrorConfig, timeouts: ClientTimeouts, parts: RouteParts): Mirror {
  const { rng, own, countersOf } = parts;
  const counters = countersOf(config.pool);
  return new Mirror(config, poolOf(config.pool, parts), timeouts, { ...own(), rng, counters });
}

function captureRegex(text: string): Regex {
  const regex = compileRegex(text);
  if (!(regex instanceof Regex)) throw new Error(`match.regex: ${regex.message}`);
  return regex;
}

function compileAction(action: ActionConfig, parts: RouteParts): RouteAction {
  const none: RouteAction = { pool: null, arms: null, redirect: null, respond: null };
  if (action.kind === "redirect") return { ...none, redirect: new Redirect(action) };
  if (action.kind === "respond") return { ...none, respond: new Respond(action) };
  const targets = action.arms.map(({ pool }) => poolOf(pool, parts));
  const first = targets[0];
  if (first === undefined) throw new Error("forwards nowhere");
  if (targets.length === 1 && action.sticky === null) return { ...none, pool: first };
  let sum = 0;
  const upTo = action.arms.map(({ weight }) => (sum += weight));
  const names = action.arms.map(({ pool }) => pool);
  const arms: Arms = { pools: targets, upTo, sticky: buildArmStickiness(action.sticky, names, parts.sticky) };
  return { ...none, arms };
}

/** What is known under this key, or a new one; noted for the next generation. */
function kept<T>(key: string, now: Map<string, T>, before: ReadonlyMap<string, T> | undefined, make: () => T): T {
  const one = now.get(key) ?? before?.get(key) ?? make();
  now.set(key, one);
  return one;
}

function compileChecks(listener: ListenerConfig, config: RouteConfig, cors: Cors | null, parts: RouteParts): Check[] {
  const seed: HashSeed = parts.sticky.seed;
  const { rates, concurrency } = parts.limits.limitsOf(listener, config);
  const checks: Check[] = [];
  if (config.access !== null) checks.push(new AccessCheck(new AccessList(config.access)));
  if (cors !== null) checks.push(new PreflightCheck(cors));
  for (const rate of rates) checks.push(new RateCheck(rate, seed));
  for (const bound of concurrency) checks.push(new ConcurrencyCheck(bound, seed));
  const { passwords, learned, learnedBefore } = parts;
  const { basicAuth, forwardAuth } = config;
  if (basicAuth !== null) {
    const key = JSON.stringify([listener.name, config.name, basicAuth]);
    const auth = kept(key, learned.logins, learnedBefore?.logins, () => new BasicAuth(basicAuth, passwords));
    checks.push(new PasswordCheck(auth));
  }
  if (forwardAuth !== null) {
    const key = JSON.stringify([listener.name, config.name, forwardAuth]);
    const cache = kept(key, learned.answers, learnedBefore?.answers, () => new AuthCache<AuthVerdict>());
    const { seeds } = passwords;
    const auth = new ForwardAuth(forwardAuth, poolOf(forwardAuth.pool, parts), { ...parts.own(), seeds }, cache);
    checks.push(new ForwardAuthCheck(auth));
  }
  return checks;
}
