// The keys of a route that keep things out or in order: limits, access, authentication, CORS, compression, rates.

import * as z from "zod";
import { formatMs } from "../base/duration.ts";
import { limitBurstMax, limitKeysMax, limitRequestsMax } from "../base/limits.ts";
import {
  defaultBasicAuth,
  defaultCompress,
  defaultCors,
  defaultForwardAuth,
  defaultMinRate,
  defaultRateLimit,
} from "../model/policy-defaults.ts";
import { duration, durationOrOff, expecting, list, plainText, size, whole, word } from "./fields.ts";
import { limitKey, rateOrOff } from "./fields-route.ts";
import { mapHint, offHint, textHint, trueHint } from "./hints.ts";
import { cidr, cidrList, flag, key, map, off, oneOrMore, required } from "./schema-parts.ts";
import { formatSize } from "./units.ts";

const limitKeyMeaning =
  "What is counted by: `source`, `header:NAME`, `cookie:NAME`, `query:NAME`, `path`, `uri`, or `route` for all " +
  "requests of the route together.";

const rateLimit = map("a rate limit: a map with requests", {
  requests: required(whole(1, limitRequestsMax), "So many requests in each `per`, on average."),
  per: key(duration(), "The time in which `requests` are allowed.", formatMs(defaultRateLimit.perMs)),
  burst: key(whole(1, limitBurstMax), "So many at once after a time without any; as many as `requests` unless given."),
  by: key(limitKey, limitKeyMeaning, "source"),
  scope: key(
    word(["exact", "worker"]),
    "`exact` counts across all workers; `worker` lets each have its share, without asking the others.",
    defaultRateLimit.scope,
  ),
  keys: key(
    whole(1, limitKeysMax),
    "Distinct clients (or whatever is counted by) that are remembered; the least recently seen are forgotten first.",
    defaultRateLimit.keys,
  ),
  status: key(whole(400, 599), "Status of the refusal.", defaultRateLimit.status),
});

/** off, one limit, or several that must all be kept. */
export const rateLimits = expecting(
  z.union([z.literal("off"), rateLimit, list(rateLimit, "a list of rate limits", 1)]),
  "a rate limit (a map with requests), a list of them, or off",
  offHint,
);

const concurrency = map("a map with requests and by", {
  requests: required(whole(1, limitRequestsMax), "Requests in progress at once, all workers together; then 429."),
  by: key(limitKey, limitKeyMeaning, "source"),
});

export const concurrencies = expecting(
  z.union([z.literal("off"), concurrency, list(concurrency, "a list of limits", 1)]),
  "a limit (a map with requests), a list of them, or off",
  offHint,
);

export const access = map("a map with allow and deny", {
  allow: key(oneOrMore(cidr, cidrList, 0), "Blocks that may; everybody unless given. One or a list."),
  deny: key(oneOrMore(cidr, cidrList, 0), "Blocks that may not, even if they are in `allow`. One or a list."),
});

const headerNames = "a list of header names";

export const basicAuth = map("a map with users, or off", {
  users: required(
    expecting(
      z.record(z.string(), expecting(z.string().max(512), "the hash of a password", textHint)),
      "a map of user names to hashes of passwords",
      mapHint,
    ),
    "User names, and the hash of each one's password: bcrypt (`htpasswd -B`), argon2 or SHA-crypt.",
  ),
  realm: key(plainText("text", 128), "What the browser says one logs in to.", defaultBasicAuth.realm),
  userHeader: key(plainText("the name of a header", 128), "Tells the endpoint the user's name in this header."),
  passAuthorization: key(
    flag(),
    "Leaves the client's `Authorization` field in the request.",
    defaultBasicAuth.passAuthorization,
  ),
});

export const forwardAuth = map("a map with pool and path, or off", {
  pool: required(plainText("the name of a pool"), "The pool that is asked: 2xx lets the request pass."),
  path: required(
    plainText("a path such as /verify", 4096),
    "Path and query of the question; may have placeholders: `{uri}` asks with the request's own.",
  ),
  timeout: key(duration(), "For the whole question.", formatMs(defaultForwardAuth.timeoutMs)),
  requestHeaders: key(
    list(plainText("the name of a header", 128), headerNames),
    "Request fields that are sent along; unless given all but those about the body, with a cache those of `cacheKey`.",
  ),
  copyHeaders: key(
    list(plainText("the name of a header", 128), headerNames),
    "Fields of a 2xx answer that are set in the request, instead of the client's.",
    defaultForwardAuth.copyHeaders,
  ),
  cache: key(durationOrOff(), "How long a 2xx answer is good for the same question.", off(defaultForwardAuth.cacheMs)),
  cacheKey: key(
    list(plainText("the name of a header", 128), headerNames),
    "Request fields that are sent along and make it another question, besides `path` and `requestHeaders`.",
    defaultForwardAuth.cacheKey,
  ),
  onError: key(
    word(["refuse", "allow"]),
    "When the pool does not answer: `refuse` (503) or `allow`.",
    defaultForwardAuth.onError,
  ),
});

const corsMap = map("true, off or a map of CORS settings", {
  origins: key(
    list(plainText("an origin such as https://app.example.com", 255), "a list of origins", 1),
    "Origins that may read answers: `https://app.example.com`, with `*` as a wildcard; `*` alone is everybody.",
    defaultCors.origins,
  ),
  methods: key(
    list(plainText("a method", 32), "a list of methods", 1),
    "Methods that may be used.",
    defaultCors.methods,
  ),
  headers: key(
    list(plainText("the name of a header, or *", 128), headerNames),
    "Request fields that may be used; `*` is whatever is asked for.",
    defaultCors.headers,
  ),
  expose: key(
    list(plainText("the name of a header, or *", 128), headerNames),
    "Fields of answers that scripts may read.",
    defaultCors.expose,
  ),
  credentials: key(
    flag(),
    "Cookies and other credentials may come along; not with origin `*`.",
    defaultCors.credentials,
  ),
  maxAge: key(duration(1000), "How long browsers may remember it.", formatMs(defaultCors.maxAgeMs)),
});

const compressMap = map("true, off or a map of compression settings", {
  codings: key(
    list(word(["zstd", "br", "gzip"]), "a list out of zstd, br and gzip", 1),
    "In order of preference, where the client likes several equally.",
    defaultCompress.codings,
  ),
  types: key(
    list(plainText("a media type such as text/*", 128), "a list of media types", 1),
    "Media types that are compressed, with `*` as a wildcard.",
    defaultCompress.types,
  ),
  minBytes: key(size(1, 2 ** 30), "Answers known to be shorter are left alone.", formatSize(defaultCompress.minBytes)),
  level: key(whole(1, 9), "1 is fastest, 9 smallest.", defaultCompress.level),
});

/** true, off, or a map. */
function switched<T extends z.ZodType>(
  schema: T,
  expects: string,
): z.ZodUnion<[z.ZodLiteral<true>, z.ZodLiteral<"off">, T]> {
  return expecting(z.union([z.literal(true), z.literal("off"), schema]), expects, trueHint);
}

export const cors = switched(corsMap, "true, off or a map of CORS settings");
export const compress = switched(compressMap, "true, off or a map of compression settings");

export const minRate = map("a map with request and response, or off", {
  request: key(
    rateOrOff(),
    "Bytes of its body that a client must send each second, on average; then 408.",
    off(defaultMinRate.request),
  ),
  response: key(
    rateOrOff(),
    "Bytes that a client must take each second of an answer that waits for it; then the connection is reset.",
    off(defaultMinRate.response),
  ),
  grace: key(
    duration(1000),
    "How far a client may fall behind: one that stands still is cut after this time.",
    formatMs(defaultMinRate.graceMs),
  ),
});
