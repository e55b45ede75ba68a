// The way back for routes and route tests: what a user may have typed for them.

import { formatMs } from "../base/duration.ts";
import { OFF, type RouteConfig, type RouteTimeouts } from "../model/config.ts";
import type {
  ActionConfig,
  BasicAuthConfig,
  CompressConfig,
  ConcurrencyConfig,
  CorsConfig,
  FieldMatch,
  ForwardAuthConfig,
  HeaderEdits,
  HeaderLine,
  HooksConfig,
  MatchConfig,
  MinRateConfig,
  MirrorConfig,
  RateLimitConfig,
  RetryConfig,
  RewriteConfig,
  RouteTestConfig,
} from "../model/route-config.ts";
import { FUNCTION_MARK } from "./fields-route.ts";
import { given, offOr, oneOrAll, typeCookie, typeKey, unlimitedOr, type Style, type Typed } from "./type-parts.ts";
import { formatPercent, formatSize } from "./units.ts";

/** What was not asked for is left out; functions are their marks. */
export function typeRoute(route: RouteConfig, index: number, style: Style): Typed {
  const map = <T>(value: T | null, type: (value: T, style: Style) => unknown): unknown =>
    value === null ? null : type(value, style);
  const match = typeMatch(route.match, style);
  return {
    ...(route.name === String(index) ? {} : { name: route.name }),
    ...(Object.keys(match).length === 0 ? {} : { match }),
    ...typeAction(route.action, style),
    ...(route.action.kind === "forward"
      ? { timeouts: typeTimeouts(route.timeouts), retry: typeRetry(route.retry) }
      : {}),
    ...given({
      rewrite: map(route.rewrite, typeRewrite),
      requestHeaders: map(route.requestHeaders, typeEdits),
      responseHeaders: map(route.responseHeaders, typeEdits),
      rateLimit: oneOrAll(route.rateLimits.map(typeRateLimit), style),
      concurrency: oneOrAll(route.concurrency.map(typeConcurrency), style),
      access: route.access,
      basicAuth: map(route.basicAuth, typeBasicAuth),
      forwardAuth: map(route.forwardAuth, typeForwardAuth),
      cors: map(route.cors, typeCors),
      compress: map(route.compress, typeCompress),
      minRate: map(route.minRate, typeMinRate),
      mirror: map(route.mirror, typeMirror),
      hooks: map(route.hooks, typeHooks),
      bodyBytes: map(route.bodyBytes, (bytes) => unlimitedOr(bytes, formatSize(bytes))),
    }),
  };
}

function typeMatch(m: MatchConfig, style: Style): Typed {
  return given({
    host: oneOrAll(m.hosts, style),
    path: oneOrAll(m.paths, style),
    prefix: oneOrAll(m.prefixes, style),
    regex: oneOrAll(m.regexes, style),
    method: oneOrAll(m.methods, style),
    headers: typeFields(m.headers, style),
    cookies: typeFields(m.cookies, style),
    query: typeFields(m.query, style),
    source: oneOrAll(m.sources, style),
  });
}

function typeFields(fields: readonly FieldMatch[], style: Style): Typed | null {
  if (fields.length === 0) return null;
  return Object.fromEntries(
    fields.map(({ name, patterns, absent }) => {
      if (patterns.length === 0) return [name, !absent];
      const values = oneOrAll(patterns, style);
      return [name, absent ? { not: values } : values];
    }),
  );
}

function typeAction(action: ActionConfig, style: Style): Typed {
  switch (action.kind) {
    case "forward": {
      const [first] = action.arms;
      const one = action.arms.length === 1 && first?.weight === 1;
      return {
        forward: one ? first.pool : action.arms,
        ...(action.sticky === null ? {} : { sticky: { by: "cookie", ...typeCookie(action.sticky.cookie) } }),
      };
    }
    case "redirect":
      return {
        redirect: style === "short" && action.status === 302 ? action.to : { to: action.to, status: action.status },
      };
    case "respond":
      return { respond: { status: action.status, body: action.body, headers: typeLines(action.headers, style) } };
  }
}

/** Several values of one name become a list, at the place of the first. */
function typeLines(lines: readonly HeaderLine[], style: Style): Typed {
  const names = [...new Set(lines.map((line) => line.name))];
  return Object.fromEntries(
    names.map((name) => [
      name,
      oneOrAll(
        lines.filter((line) => line.name === name).map((line) => line.value),
        style,
      ),
    ]),
  );
}

function typeEdits(edits: HeaderEdits, style: Style): Typed {
  return {
    set: Object.fromEntries(edits.set.map(({ name, value }) => [name, value])),
    add: typeLines(edits.add, style),
    remove: edits.remove,
  };
}

function typeRewrite(r: RewriteConfig): Typed {
  return { ...(r.path === null ? {} : { path: r.path, to: r.to }), ...(r.host === null ? {} : { host: r.host }) };
}

function typeTimeouts(t: RouteTimeouts): Typed {
  return {
    connect: formatMs(t.connectMs),
    send: formatMs(t.sendMs),
    response: formatMs(t.responseMs),
    total: offOr(t.totalMs),
    tunnel: formatMs(t.tunnelMs),
    tunnelLifetime: offOr(t.tunnelLifetimeMs),
  };
}

function typeRetry(r: RetryConfig): unknown {
  if (r.on.length === 0) return "off";
  return {
    attempts: r.attempts,
    on: r.on,
    budget: formatPercent(r.budgetPercent),
    budgetMin: r.budgetMin,
    bufferBytes: formatSize(r.bufferBytes),
    nonIdempotent: r.nonIdempotent,
    attemptTimeout: offOr(r.attemptMs),
  };
}

function typeRateLimit(l: RateLimitConfig): Typed {
  return {
    requests: l.requests,
    per: formatMs(l.perMs),
    burst: l.burst,
    by: typeKey(l.by),
    scope: l.scope,
    keys: l.keys,
    status: l.status,
  };
}

function typeConcurrency(c: ConcurrencyConfig): Typed {
  return { requests: c.requests, by: typeKey(c.by) };
}

function typeBasicAuth(b: BasicAuthConfig): Typed {
  return {
    users: Object.fromEntries(b.users.map(({ name, hash }) => [name, hash])),
    realm: b.realm,
    ...(b.userHeader === "" ? {} : { userHeader: b.userHeader }),
    passAuthorization: b.passAuthorization,
  };
}

function typeForwardAuth(f: ForwardAuthConfig): Typed {
  return {
    pool: f.pool,
    path: f.path,
    timeout: formatMs(f.timeoutMs),
    ...given({ requestHeaders: f.requestHeaders }),
    copyHeaders: f.copyHeaders,
    cache: offOr(f.cacheMs),
    cacheKey: f.cacheKey,
    onError: f.onError,
  };
}

function typeCors(c: CorsConfig): Typed {
  const { origins, methods, headers, expose, credentials } = c;
  return { origins, methods, headers, expose, credentials, maxAge: formatMs(c.maxAgeMs) };
}

function typeCompress(c: CompressConfig): Typed {
  return { codings: c.codings, types: c.types, minBytes: formatSize(c.minBytes), level: c.level };
}

function typeMinRate(m: MinRateConfig): Typed {
  const rate = (bytes: number): string => (bytes === OFF ? "off" : formatSize(bytes));
  return { request: rate(m.request), response: rate(m.response), grace: formatMs(m.graceMs) };
}

function typeMirror(m: MirrorConfig): Typed {
  return { pool: m.pool, share: formatPercent(m.percent), bodyBytes: formatSize(m.bodyBytes) };
}

function typeHooks(h: HooksConfig): Typed {
  return {
    ...(h.request ? { request: FUNCTION_MARK } : {}),
    ...(h.response ? { response: FUNCTION_MARK } : {}),
    timeout: formatMs(h.timeoutMs),
    onError: h.onError,
  };
}

export function typeTest(test: RouteTestConfig): Typed {
  const { request, expect } = test;
  return {
    name: test.name,
    ...given({ listener: test.listener }),
    request: {
      method: request.method,
      url: request.url,
      headers: Object.fromEntries(request.headers.map(({ name, value }) => [name, value])),
      source: request.source,
    },
    expect: {
      ...given({
        route: expect.route,
        pool: expect.pool,
        share: expect.share === null ? null : formatPercent(expect.share.percent),
        tolerance: expect.share === null ? null : formatPercent(expect.share.tolerance),
        status: expect.status,
        location: expect.location,
        path: expect.path,
        host: expect.host,
      }),
      ...(expect.headers.length === 0
        ? {}
        : { headers: Object.fromEntries(expect.headers.map(({ name, value }) => [name, value ?? false])) }),
    },
  };
}
