// Routes as typed, resolved: defaults filled in, short forms written out, keys that have no meaning together refused.

import type { RouteConfig, RouteTimeouts } from "../model/config.ts";
import { defaultRetry, defaultRouteTimeouts } from "../model/defaults.ts";
import {
  defaultArmStickyName,
  defaultArmWeight,
  defaultCookie,
  defaultHooks,
  defaultMirror,
  defaultRedirectStatus,
  defaultRespondStatus,
} from "../model/policy-defaults.ts";
import type {
  ActionConfig,
  CookieConfig,
  FieldMatch,
  ForwardArm,
  HeaderEdits,
  HeaderLine,
  HooksConfig,
  MatchConfig,
  MirrorConfig,
  RetryConfig,
  RewriteConfig,
} from "../model/route-config.ts";
import { asList } from "./as-list.ts";
import {
  lowerAccess,
  lowerBasicAuth,
  lowerCompress,
  lowerConcurrency,
  lowerCors,
  lowerForwardAuth,
  lowerMinRate,
  lowerRateLimits,
  type RouteTyped,
} from "./lower-guard.ts";
import { error, errorAtKey, missing, type Path, type Problem } from "./problem.ts";

export type { RouteTyped };

type MatchTyped = NonNullable<RouteTyped["match"]>;
type FieldsTyped = NonNullable<MatchTyped["headers"]>;
type EditsTyped = NonNullable<RouteTyped["requestHeaders"]>;

/** Numbers of hook sets, given in the order in which they appear. */
export interface HookSlots {
  next: number;
}

/**
 * Does the route look at the path, or change it, or let somebody else decide by it? Then there is one form of paths to
 * agree on.
 */
export function looksAtPath({ match, rewrite, forwardAuth, hooks }: RouteTyped): boolean {
  const isMatched = match?.path !== undefined || match?.prefix !== undefined || match?.regex !== undefined;
  const isAsked = forwardAuth !== undefined && forwardAuth !== "off";
  return isMatched || rewrite?.path !== undefined || isAsked || hooks?.request !== undefined;
}

export function lowerRoute(
  typed: RouteTyped,
  index: number,
  path: Path,
  slots: HookSlots,
  problems: Problem[],
): RouteConfig {
  const action = lowerAction(typed, path, problems);
  return {
    name: typed.name ?? String(index),
    match: lowerMatch(typed.match, [...path, "match"], problems),
    action,
    rewrite: lowerRewrite(typed.rewrite, [...path, "rewrite"], problems),
    requestHeaders: lowerEdits(typed.requestHeaders),
    responseHeaders: lowerEdits(typed.responseHeaders),
    timeouts: lowerTimeouts(typed.timeouts),
    retry: lowerRetry(typed.retry),
    rateLimits: lowerRateLimits(typed.rateLimit),
    concurrency: lowerConcurrency(typed.concurrency),
    access: lowerAccess(typed.access),
    basicAuth: lowerBasicAuth(typed.basicAuth),
    forwardAuth: lowerForwardAuth(typed.forwardAuth),
    cors: lowerCors(typed.cors),
    compress: lowerCompress(typed.compress),
    minRate: lowerMinRate(typed.minRate),
    mirror: lowerMirror(typed.mirror),
    hooks: lowerHooks(typed.hooks, [...path, "hooks"], slots, problems),
    bodyBytes: typed.bodyBytes ?? null,
  };
}

const actions = ["forward", "redirect", "respond"] as const;
/** Keys that only mean something where a request goes on to an endpoint. */
const forwardOnly = ["sticky", "rewrite", "requestHeaders", "timeouts", "retry", "mirror"] as const;

function lowerAction(typed: RouteTyped, path: Path, problems: Problem[]): ActionConfig {
  const given = actions.filter((action) => typed[action] !== undefined);
  const [action, second] = given;
  if (action === undefined) {
    const message = "a route needs forward, redirect or respond";
    problems.push(error(path, message, "write forward: and the name of a pool"));
    return { kind: "respond", status: defaultRespondStatus, body: "", headers: [] };
  }
  if (second !== undefined) {
    const message = `a route has either ${action} or ${second}`;
    problems.push(errorAtKey([...path, second], message, "make it a route of its own"));
  }
  if (action !== "forward") {
    for (const key of forwardOnly) {
      if (typed[key] === undefined || typed[key] === "off") continue;
      problems.push(errorAtKey([...path, key], `${key} has no meaning with ${action}`, "it goes with forward"));
    }
  }
  if (typed.redirect !== undefined && action === "redirect") {
    const { redirect } = typed;
    return typeof redirect === "string"
      ? { kind: "redirect", to: redirect, status: defaultRedirectStatus }
      : { kind: "redirect", to: redirect.to, status: redirect.status ?? defaultRedirectStatus };
  }
  if (typed.respond !== undefined && action === "respond") {
    const { status, body, headers } = typed.respond;
    return {
      kind: "respond",
      status: status ?? defaultRespondStatus,
      body: body ?? "",
      headers: lowerLines(headers),
    };
  }
  return lowerForward(typed, path, problems);
}

function lowerForward(typed: RouteTyped, path: Path, problems: Problem[]): ActionConfig {
  const { forward = [], sticky } = typed;
  const arms: readonly ForwardArm[] =
    typeof forward === "string"
      ? [{ pool: forward, weight: defaultArmWeight }]
      : forward.map(({ pool, weight }) => ({ pool, weight: weight ?? defaultArmWeight }));
  if (sticky === undefined || sticky === "off") return { kind: "forward", arms, sticky: null };
  if (arms.length === 1) {
    const message = "sticky keeps a client at one of several pools, and there is one";
    problems.push(errorAtKey([...path, "sticky"], message, "to keep it at an endpoint write sticky in the pool"));
  }
  return { kind: "forward", arms, sticky: { cookie: lowerCookie(sticky, defaultArmStickyName) } };
}

type CookieTyped = Exclude<NonNullable<RouteTyped["sticky"]>, "off">;

export function lowerCookie(typed: Omit<CookieTyped, "by">, name: string): CookieConfig {
  const d = defaultCookie;
  return {
    name: typed.name ?? name,
    ttlMs: typed.ttl ?? d.ttlMs,
    secure: typed.secure ?? d.secure,
    httpOnly: typed.httpOnly ?? d.httpOnly,
    sameSite: typed.sameSite ?? d.sameSite,
    path: typed.path ?? d.path,
    domain: (typed.domain ?? d.domain).toLowerCase(),
  };
}

function lowerMatch(typed: MatchTyped | undefined, path: Path, problems: Problem[]): MatchConfig {
  return {
    hosts: asList(typed?.host).map((host) => host.toLowerCase()),
    paths: asList(typed?.path),
    // By whole segments the slash at the end says nothing.
    prefixes: asList(typed?.prefix).map((prefix) => prefix.replace(/(?<=.)\/+$/, "")),
    regexes: asList(typed?.regex),
    methods: asList(typed?.method).map((method) => method.toUpperCase()),
    headers: lowerFields(typed?.headers, true, [...path, "headers"], problems),
    cookies: lowerFields(typed?.cookies, false, [...path, "cookies"], problems),
    query: lowerFields(typed?.query, false, [...path, "query"], problems),
    sources: asList(typed?.source),
  };
}

function lowerFields(
  typed: FieldsTyped | undefined,
  ignoreCase: boolean,
  path: Path,
  problems: Problem[],
): readonly FieldMatch[] {
  const fields = new Map<string, FieldMatch>();
  for (const [given, value] of Object.entries(typed ?? {})) {
    const name = ignoreCase ? given.toLowerCase() : given;
    if (fields.has(name)) {
      problems.push(errorAtKey([...path, given], `${given} is given twice`, "names of headers ignore case"));
    }
    if (typeof value === "boolean") fields.set(name, { name, patterns: [], absent: !value });
    else if (typeof value === "string" || Array.isArray(value)) {
      fields.set(name, { name, patterns: asList(value), absent: false });
    } else fields.set(name, { name, patterns: asList(value.not), absent: true });
  }
  return [...fields.values()];
}

function lowerLines(typed: Readonly<Record<string, string | readonly string[]>> | undefined): readonly HeaderLine[] {
  return Object.entries(typed ?? {}).flatMap(([name, values]) => asList(values).map((value) => ({ name, value })));
}

function lowerEdits(typed: EditsTyped | undefined): HeaderEdits | null {
  if (typed === undefined) return null;
  return { remove: asList(typed.remove), set: lowerLines(typed.set), add: lowerLines(typed.add) };
}

function lowerRewrite(typed: RouteTyped["rewrite"], path: Path, problems: Problem[]): RewriteConfig | null {
  if (typed === undefined) return null;
  if (typed.path === undefined && typed.to === undefined && typed.host === undefined) {
    problems.push(error(path, "a rewrite needs path and to, or host"));
  } else if (typed.path !== undefined && typed.to === undefined) {
    problems.push(missing([...path, "to"], "what the part of the path that fits is replaced by"));
  } else if (typed.path === undefined && typed.to !== undefined) {
    problems.push(missing([...path, "path"], "a regular expression; ^.*$ is the whole path"));
  }
  return { path: typed.path ?? null, to: typed.to ?? "", host: typed.host ?? null };
}

function lowerTimeouts(typed: RouteTyped["timeouts"]): RouteTimeouts {
  const d = defaultRouteTimeouts;
  return {
    connectMs: typed?.connect ?? d.connectMs,
    sendMs: typed?.send ?? d.sendMs,
    responseMs: typed?.response ?? d.responseMs,
    totalMs: typed?.total ?? d.totalMs,
    tunnelMs: typed?.tunnel ?? d.tunnelMs,
    tunnelLifetimeMs: typed?.tunnelLifetime ?? d.tunnelLifetimeMs,
  };
}

function lowerRetry(typed: RouteTyped["retry"]): RetryConfig {
  if (typed === undefined) return defaultRetry;
  const d = defaultRetry;
  if (typed === "off") return { ...d, attempts: 0, on: [] };
  return {
    attempts: typed.attempts ?? d.attempts,
    on: typed.on ?? d.on,
    budgetPercent: typed.budget ?? d.budgetPercent,
    budgetMin: typed.budgetMin ?? d.budgetMin,
    bufferBytes: typed.bufferBytes ?? d.bufferBytes,
    nonIdempotent: typed.nonIdempotent ?? d.nonIdempotent,
    attemptMs: typed.attemptTimeout ?? d.attemptMs,
  };
}

function lowerMirror(typed: RouteTyped["mirror"]): MirrorConfig | null {
  if (typed === undefined || typed === "off") return null;
  const d = defaultMirror;
  if (typeof typed === "string") return { pool: typed, ...d };
  return { pool: typed.pool, percent: typed.share ?? d.percent, bodyBytes: typed.bodyBytes ?? d.bodyBytes };
}

function lowerHooks(typed: RouteTyped["hooks"], path: Path, slots: HookSlots, problems: Problem[]): HooksConfig | null {
  if (typed === undefined) return null;
  const request = typed.request !== undefined;
  const response = typed.response !== undefined;
  if (!request && !response) problems.push(error(path, "hooks need request or response", "leave hooks out"));
  return {
    slot: slots.next++,
    request,
    response,
    timeoutMs: typed.timeout ?? defaultHooks.timeoutMs,
    onError: typed.onError ?? defaultHooks.onError,
  };
}
