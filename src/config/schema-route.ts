// The keys of a route: what is done with a request that fits, and how. Conditions are in schema-match.ts, what keeps
// requests out in schema-guard.ts.

import * as z from "zod";
import { formatMs } from "../base/duration.ts";
import { answerBytesMax, armsMax, retriesMax, retryBufferBytesMax, weightMax } from "../base/limits.ts";
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
import {
  duration,
  durationOrOff,
  expecting,
  list,
  plainText,
  size,
  sizeOrUnlimited,
  whole,
  word,
  type SizeText,
} from "./fields.ts";
import { functionField, retryCause, share } from "./fields-route.ts";
import { mapHint, offHint, textHint } from "./hints.ts";
import { access, basicAuth, compress, concurrencies, cors, forwardAuth, minRate, rateLimits } from "./schema-guard.ts";
import { match } from "./schema-match.ts";
import { flag, key, map, off, oneOrMore, orOff, required } from "./schema-parts.ts";
import type { RequestHook, ResponseHook } from "./ts/hook-types.ts";
import { formatPercent, formatSize } from "./units.ts";

const routeTimeouts = map("a map of timeouts", {
  connect: key(
    duration(),
    "For a connection to an endpoint; then another endpoint is tried.",
    formatMs(defaultRouteTimeouts.connectMs),
  ),
  send: key(duration(), "Between two successful writes to the endpoint.", formatMs(defaultRouteTimeouts.sendMs)),
  response: key(
    duration(),
    "For the head of the response, and between two arrivals of its body bytes; then 504.",
    formatMs(defaultRouteTimeouts.responseMs),
  ),
  total: key(
    durationOrOff(),
    "The whole exchange, from request head to last byte; tunnels have `tunnelLifetime`.",
    off(defaultRouteTimeouts.totalMs),
  ),
  tunnel: key(
    duration(),
    "Silence, both ways, on an upgraded connection such as a WebSocket.",
    formatMs(defaultRouteTimeouts.tunnelMs),
  ),
  tunnelLifetime: key(
    durationOrOff(),
    "The longest life of an upgraded connection, busy or not.",
    off(defaultRouteTimeouts.tunnelLifetimeMs),
  ),
});

const poolName = plainText("the name of a pool");

const arm = expecting(
  map("a pool with its weight", {
    pool: required(poolName, "The pool that gets this share."),
    weight: key(
      whole(0, weightMax),
      "Its share; 0 gets only clients that `sticky` keeps on its side.",
      defaultArmWeight,
    ),
  }),
  "a pool with its weight",
  (found) => (typeof found === "string" ? `write { pool: ${found}, weight: 1 }` : mapHint(found)),
);

const arms = expecting(z.array(arm).min(1).max(armsMax), `a list of 1 to ${armsMax} pools with weights`, (found) =>
  Array.isArray(found) ? "" : mapHint(found),
);

/** A pool, or several with weights. */
export const forward = expecting(
  z.union([poolName, arms]),
  "the name of a pool, or a list of pools with weights",
  (found) => textHint(found) || mapHint(found),
);

/** The keys of a cookie of ours, without those that say what it is for. */
export function cookieKeys(byDefault: string) {
  return {
    name: key(plainText("the name of a cookie", 64), "Name of the cookie.", byDefault),
    ttl: key(
      durationOrOff(),
      "How long browsers keep the cookie; `off` until they are closed.",
      off(defaultCookie.ttlMs),
    ),
    secure: key(
      word(["auto", "always", "never"]),
      "Attribute `Secure`; `auto` where the request came by TLS.",
      defaultCookie.secure,
    ),
    httpOnly: key(flag(), "Attribute `HttpOnly`.", defaultCookie.httpOnly),
    sameSite: key(
      word(["strict", "lax", "none", "unset"]),
      "Attribute `SameSite`; `unset` leaves it out.",
      defaultCookie.sameSite,
    ),
    path: key(plainText("a path that begins with /"), "Attribute `Path`.", defaultCookie.path),
    domain: key(plainText("a host name", 253), "Attribute `Domain`; this host alone unless given."),
  };
}

const armSticky = map("a map with by: cookie, or off", {
  by: key(word(["cookie"]), "What a client is known by.", "cookie"),
  ...cookieKeys(defaultArmStickyName),
});

const redirectTo = plainText("a URL such as https://{host}{uri}, or a path", 4096);

const redirect = expecting(
  z.union([
    redirectTo,
    map("a map with to", {
      to: required(redirectTo, "Where to: a URL or a path; may have placeholders."),
      status: key(
        expecting(z.literal([301, 302, 303, 307, 308]), "301, 302, 303, 307 or 308"),
        "301 and 308 are for good; 307 and 308 keep the method.",
        defaultRedirectStatus,
      ),
    }),
  ]),
  "a URL, or a map with to",
);

const headerValue = expecting(z.string().max(4096), "the value of a header, as text", textHint);
const headerValues = oneOrMore(headerValue, "the value of a header, as text, or a list of values");
const headerMap = expecting(z.record(z.string(), headerValue), "a map of header names to values", mapHint);
const headerMaps = expecting(z.record(z.string(), headerValues), "a map of header names to values", mapHint);

const respond = map("a map with status and body", {
  status: key(whole(200, 599), "Status of the answer.", defaultRespondStatus),
  body: key(
    expecting(z.string().max(answerBytesMax), `text of at most ${answerBytesMax} characters`, textHint),
    "Body of the answer; may have placeholders.",
  ),
  headers: key(headerMaps, "Header fields of the answer; values may have placeholders.", {}),
});

const rewrite = map("a map with path and to, or host", {
  path: key(plainText("a regular expression such as ^/v1/(.*)$"), "A regular expression on the path."),
  to: key(
    expecting(z.string().max(4096), "a text such as /$1", textHint),
    "What the part of the path that fits is replaced by: `$1` to `$9` are its parts in parentheses, `$0` the whole, " +
      "`$$` is a dollar; may have placeholders.",
  ),
  host: key(
    plainText("a host such as internal.example", 1024),
    "The `Host` that endpoints see; may have placeholders.",
  ),
});

const headerEdits = map("a map with set, add and remove", {
  set: key(headerMap, "Fields that replace those of the same name; values may have placeholders.", {}),
  add: key(headerMaps, "Fields that are added; a list adds several; values may have placeholders.", {}),
  remove: key(
    oneOrMore(plainText("the name of a header", 128), "the name of a header, or a list of names", 0),
    "Names of fields that are taken out, before `set` and `add`.",
    [],
  ),
});

const retry = map("a map of retry settings, or off", {
  attempts: key(
    whole(0, retriesMax),
    "Further attempts after the first. Connections that could not be made are not counted.",
    defaultRetry.attempts,
  ),
  on: key(
    list(retryCause, "a list of connect, refused, reset, timeout and status codes", 1),
    "`connect`: no connection; `refused`: the endpoint refuses it; `reset`, `timeout`: after the request was sent; a " +
      "number: that status.",
    defaultRetry.on,
  ),
  budget: key(
    share(0),
    "Further attempts of a worker are at most this share of its recent requests to the pool.",
    formatPercent(defaultRetry.budgetPercent),
  ),
  budgetMin: key(
    whole(0, 1_000_000),
    "Further attempts for each second that are allowed whatever `budget` says.",
    defaultRetry.budgetMin,
  ),
  bufferBytes: key(
    bytesFrom0(),
    "Request bodies up to this size are kept for a further attempt; with 0 only requests without a body get one.",
    formatSize(defaultRetry.bufferBytes),
  ),
  nonIdempotent: key(
    flag(),
    "Also repeats POST, PATCH and the like after the endpoint may have seen them.",
    defaultRetry.nonIdempotent,
  ),
  attemptTimeout: key(
    durationOrOff(),
    "For each attempt's response head; `off` leaves it to `timeouts.response`.",
    off(defaultRetry.attemptMs),
  ),
});

/** A size that may be 0. */
function bytesFrom0(): z.ZodType<number, SizeText> {
  return size(0, retryBufferBytesMax);
}

const mirror = expecting(
  z.union([
    z.literal("off"),
    poolName,
    map("a map with pool", {
      pool: required(poolName, "The pool that gets the copies."),
      share: key(share(0.01), "Share of the requests that are copied.", formatPercent(defaultMirror.percent)),
      bodyBytes: key(bytesFrom0(), "Requests with a longer body are not copied.", formatSize(defaultMirror.bodyBytes)),
    }),
  ]),
  "the name of a pool, a map with pool, or off",
  offHint,
);

const hooks = map("a map with request or response", {
  request: key(functionField<RequestHook>(), "TypeScript only: called with each request before anything is sent."),
  response: key(functionField<ResponseHook>(), "TypeScript only: called with each response head."),
  timeout: key(duration(), "For the promise of an asynchronous hook.", formatMs(defaultHooks.timeoutMs)),
  onError: key(
    word(["fail", "bypass"]),
    "When a hook throws or is late: `fail` answers 500, `bypass` goes on without it.",
    defaultHooks.onError,
  ),
});

export const route = map("a route: a map with forward, redirect or respond", {
  name: key(
    expecting(
      z.string().regex(/^(?=.*[A-Za-z_.-])[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/),
      "a name of at most 64 letters, digits, dots, dashes and underscores that begins with a letter or digit and is " +
        "no number",
      textHint,
    ),
    "Unique within the listener; its number from 0 unless given. Logs, `explain` and tests name the route by it.",
  ),
  match: key(match, "What a request must be like; all conditions must hold. Everything fits unless given."),
  forward: key(forward, "The pool that gets the requests, or several with weights."),
  redirect: key(redirect, "Sends the client elsewhere."),
  respond: key(respond, "Answers without asking an endpoint."),
  sticky: key(orOff(armSticky, "a map with by: cookie, or off"), "Keeps a client at the pool it was given.", "off"),
  rewrite: key(rewrite, "What endpoints see instead of the request's path and host."),
  requestHeaders: key(headerEdits, "Changes of the request's header fields."),
  responseHeaders: key(headerEdits, "Changes of the response's header fields."),
  timeouts: key(routeTimeouts, "How long the endpoint may take."),
  retry: key(orOff(retry, "a map of retry settings, or off"), "When a request is tried again."),
  rateLimit: key(rateLimits, "How many requests there may be in a time.", "off"),
  concurrency: key(concurrencies, "How many requests there may be at once.", "off"),
  access: key(access, "Which client addresses may; others get 403."),
  basicAuth: key(orOff(basicAuth, "a map with users, or off"), "Asks for a user name and password.", "off"),
  forwardAuth: key(
    orOff(forwardAuth, "a map with pool and path, or off"),
    "Asks another service whether a request may pass.",
    "off",
  ),
  cors: key(cors, "Lets scripts of other sites use it.", "off"),
  compress: key(compress, "Compresses answers for clients that understand it.", "off"),
  minRate: key(orOff(minRate, "a map with request and response, or off"), "Cuts those that are too slow.", "off"),
  mirror: key(mirror, "Another pool gets copies of the requests; its answers are dropped.", "off"),
  bodyBytes: key(sizeOrUnlimited(), "Request body; then 413. `limits.bodyBytes` of the listener unless given."),
  hooks: key(hooks, "TypeScript only: functions of your own."),
});
