// The model of what users type, in YAML or TypeScript: keys, types, descriptions and defaults. The JSON Schema, the
// types of defineConfig and the checking of a file all come from here. Rules that look at more than one value are in
// lower.ts (what was typed) and validate.ts (what it came to).

import * as z from "zod";
import { formatMs } from "../base/duration.ts";
import {
  connectionsMax,
  headBytesMax,
  headersMax,
  idleConnectionsMax,
  queueSizeMax,
  weightMax,
  workersMax,
} from "../base/limits.ts";
import { OFF } from "../model/config.ts";
import {
  defaultAccessLog,
  defaultAdmin,
  defaultBalance,
  defaultDecayMs,
  defaultDrainMs,
  defaultEndpoint,
  defaultHealthCheck,
  defaultKeepAlive,
  defaultListenerLimits,
  defaultListenerTimeouts,
  defaultLoadPercent,
  defaultLogLevel,
  defaultNoneHealthy,
  defaultOrder,
  defaultPassive,
  defaultQueue,
  defaultResolve,
  defaultRouteTimeouts,
} from "../model/defaults.ts";
import { formatBind } from "./address.ts";
import {
  bindAddress,
  countOrUnlimited,
  duration,
  durationOrOff,
  endpointAddress,
  expecting,
  hashKey,
  list,
  loadPercent,
  name,
  notes,
  plainText,
  size,
  sizeOrUnlimited,
  statusRange,
  whole,
  word,
} from "./fields.ts";
import { booleanHint, mapHint, offHint, textHint } from "./hints.ts";
import { formatSize } from "./units.ts";

/** An optional key with its description, and its default as the user would write it. */
function key<T extends z.ZodType>(schema: T, description: string, byDefault?: unknown): z.ZodOptional<T> {
  const optional = schema.optional().meta({ description });
  if (byDefault !== undefined) notes.add(optional, { byDefault });
  return optional;
}

/** A key that must be given. */
function required<T extends z.ZodType>(schema: T, description: string): T {
  const described = schema.meta({ description });
  const { expects, hint } = notes.get(schema) ?? {};
  return expects === undefined ? described : expecting(described, expects, hint);
}

/** A map with exactly these keys. */
function map<S extends z.ZodRawShape>(expects: string, shape: S): z.ZodObject<S, z.core.$strict> {
  return expecting(z.strictObject(shape), expects, mapHint);
}

/** Either the word off or something else. */
function orOff<T extends z.ZodType>(schema: T, expects: string): z.ZodUnion<[z.ZodLiteral<"off">, T]> {
  return expecting(z.union([z.literal("off"), schema]), expects, offHint);
}

/** One value or a list of them. */
function oneOrMore<T extends z.ZodType>(schema: T, expects: string): z.ZodUnion<[T, z.ZodArray<T>]> {
  const { hint } = notes.get(schema) ?? {};
  return expecting(z.union([schema, list(schema, expects, 1)]), expects, hint);
}

const off = (ms: number): string => (ms === OFF ? "off" : formatMs(ms));
const unlimited = (n: number): string | number => (n === OFF ? "unlimited" : n);

const listenerTimeouts = map("a map of timeouts", {
  requestHead: key(
    duration(),
    "From the first byte of a request, or from the connection's start, to the end of its head; then 408.",
    formatMs(defaultListenerTimeouts.requestHeadMs),
  ),
  idle: key(
    duration(),
    "Between two requests on a connection that is kept; then it is closed.",
    formatMs(defaultListenerTimeouts.idleMs),
  ),
  body: key(
    duration(),
    "Between two arrivals of request body bytes; then 408.",
    formatMs(defaultListenerTimeouts.bodyMs),
  ),
  write: key(
    duration(),
    "How long a client may leave what it is sent unread; then the connection is closed.",
    formatMs(defaultListenerTimeouts.writeMs),
  ),
});

const listenerLimits = map("a map of limits", {
  connections: key(
    whole(1, connectionsMax),
    "Open client connections of this listener, all workers together; further ones wait in the kernel's queue.",
    defaultListenerLimits.connections,
  ),
  headBytes: key(
    size(1024, headBytesMax),
    "Request line and header fields together; then 431.",
    formatSize(defaultListenerLimits.headBytes),
  ),
  headers: key(whole(1, headersMax), "Header fields of a request; then 431.", defaultListenerLimits.headers),
  bodyBytes: key(
    sizeOrUnlimited(),
    "Request body; then 413. Bodies are streamed and cost no memory.",
    unlimited(defaultListenerLimits.bodyBytes),
  ),
  requests: key(
    countOrUnlimited(),
    "Requests on one connection before it is closed.",
    unlimited(defaultListenerLimits.requests),
  ),
});

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
  total: key(durationOrOff(), "The whole exchange, from request head to last byte.", off(defaultRouteTimeouts.totalMs)),
  tunnel: key(
    duration(),
    "Silence, both ways, on an upgraded connection such as a WebSocket.",
    formatMs(defaultRouteTimeouts.tunnelMs),
  ),
});

const forward = plainText("the name of a pool");

const route = map("a route: a map with forward", {
  forward: required(forward, "The pool that gets the requests."),
  timeouts: key(routeTimeouts, "How long the endpoint may take."),
});

const cidr = plainText("an address block such as 10.0.0.0/8");

const listener = map("a listener: a map with bind, and forward or routes", {
  bind: required(
    oneOrMore(bindAddress, "an address such as 0.0.0.0:8080, or a list of addresses"),
    "Where to listen: `0.0.0.0:8080`, `[::]:8080`, `unix:/run/sluice.sock`, or a list of these. " +
      "Port 0 takes any free one.",
  ),
  protocol: key(word(["http"]), "What clients speak.", "http"),
  forward: key(forward, "The pool that gets every request: short for one route with nothing but `forward`."),
  routes: key(list(route, "a list of routes"), "Routes in order, the first that matches wins; no match is 404."),
  trustedProxies: key(
    list(cidr, "a list of address blocks such as 10.0.0.0/8"),
    "Whose `X-Forwarded-*` and `X-Real-IP` headers are believed and appended to; from all others they are replaced.",
    [],
  ),
  via: key(
    plainText("a name for the Via header, or off", 255),
    "Adds a `Via` header in both directions under this name.",
    "off",
  ),
  timeouts: key(listenerTimeouts, "How long a client may take."),
  limits: key(listenerLimits, "How much a client may send, and how many clients there may be."),
});

const balanceWords = [
  "round-robin",
  "weighted-round-robin",
  "least-connections",
  "ip-hash",
  "least-response-time",
  "consistent-hash",
  "random-two-choices",
] as const;

const balance = expecting(
  z.union([
    word(balanceWords),
    map("a map with by", {
      by: required(word(balanceWords), "The algorithm."),
      order: key(
        word(["smooth", "block"]),
        "weighted-round-robin: `smooth` gives a b a c b a for weights 3, 2, 1; `block` gives a a a b b c.",
        defaultOrder,
      ),
      key: key(
        hashKey,
        "consistent-hash: what is hashed: `source`, `path`, `uri` (path and query), `header:NAME`, `cookie:NAME` or " +
          "`query:NAME`.",
        "source",
      ),
      load: key(
        loadPercent(),
        "consistent-hash: no endpoint gets more than this share of the mean load; the rest goes to its next choice.",
        `${defaultLoadPercent}%`,
      ),
      decay: key(
        duration(100),
        "least-response-time: how fast the latency average forgets (time constant).",
        formatMs(defaultDecayMs),
      ),
    }),
  ]),
  `an algorithm (${balanceWords.join(", ")}), or a map with by`,
);

const endpoint = expecting(
  z.union([
    endpointAddress,
    map("an endpoint: a map with address", {
      address: required(
        endpointAddress,
        "`10.0.0.1:3000`, `app.internal:3000` (resolved at the start and again as its TTL runs out), `[::1]:3000` or " +
          "`unix:/run/app.sock`.",
      ),
      id: key(
        expecting(
          z.string().regex(/^[!-~]{1,255}$/),
          "an id of 1 to 255 printable ASCII characters without spaces",
          textHint,
        ),
        "Unique within the pool; the address unless given. Counters, health and connections follow it through reloads.",
      ),
      weight: key(
        whole(0, weightMax),
        "Share of the work for algorithms that weigh; 0 receives nothing new.",
        defaultEndpoint.weight,
      ),
      backup: key(
        expecting(z.boolean(), "true or false", booleanHint),
        "Serves only while no other endpoint can.",
        defaultEndpoint.backup,
      ),
      maxConnections: key(
        countOrUnlimited(),
        "Requests in progress, all workers together; further ones go elsewhere or wait in the pool's queue.",
        unlimited(defaultEndpoint.maxConnections),
      ),
      admin: key(
        word(["ready", "drain", "maint"]),
        "The operator's word: `drain` receives nothing new, `maint` is out and not checked.",
        defaultEndpoint.admin,
      ),
    }),
  ]),
  "an address such as 10.0.0.1:3000, or a map with address",
);

const health = map("a map of health check settings, or off", {
  protocol: key(word(["http", "tcp"]), "`tcp` only connects.", defaultHealthCheck.protocol),
  path: key(
    plainText("a path that begins with /", 4096),
    "http: path, and query if needed, of the request.",
    defaultHealthCheck.path,
  ),
  method: key(plainText("an HTTP method such as GET", 32), "http: method of the request.", defaultHealthCheck.method),
  host: key(plainText("a host name", 255), "http: the `Host` header; the endpoint's address unless given."),
  headers: key(
    expecting(
      z.record(z.string(), expecting(z.string().max(4096), "the value of a header, as text", textHint)),
      "a map of header names to values",
    ),
    "http: further header fields of the request.",
    {},
  ),
  port: key(whole(1, 65_535), "Port to check; the endpoint's own unless given."),
  interval: key(
    duration(10),
    "Between two checks of an endpoint; each is moved by a random tenth so that they spread.",
    formatMs(defaultHealthCheck.intervalMs),
  ),
  timeout: key(duration(10), "For one whole check.", formatMs(defaultHealthCheck.timeoutMs)),
  healthyThreshold: key(
    whole(1, 1000),
    "Good checks in a row that bring an endpoint up.",
    defaultHealthCheck.healthyThreshold,
  ),
  unhealthyThreshold: key(
    whole(1, 1000),
    "Bad checks in a row that take an endpoint down.",
    defaultHealthCheck.unhealthyThreshold,
  ),
  expect: key(
    map("a map with status and body", {
      status: key(
        oneOrMore(statusRange, "a status code, a range such as 200-299, or a list of these"),
        "Accepted status codes: numbers and ranges.",
        ["200-299"],
      ),
      body: key(
        expecting(z.string().min(1).max(4096), "text", textHint),
        "Text that the first 256 KB of the body must contain; anything unless given.",
      ),
    }),
    "http: what a good answer looks like.",
  ),
  initial: key(
    word(["up", "wait"]),
    "Before the first verdict an endpoint is used (`up`) or not (`wait`).",
    defaultHealthCheck.initial,
  ),
});

const passive = map("a map with maxFails and failTimeout, or off", {
  maxFails: key(
    whole(1, 100_000, "a whole number from 1 to 100000 (to disable, write passive: off)"),
    "Failed attempts within failTimeout that take an endpoint out.",
    defaultPassive.maxFails,
  ),
  failTimeout: key(
    duration(),
    "The time in which failures are counted, and for which the endpoint is then left alone.",
    formatMs(defaultPassive.failTimeoutMs),
  ),
});

const keepAlive = map("a map of keep-alive settings (connections: 0 to disable)", {
  connections: key(
    whole(0, idleConnectionsMax),
    "Idle connections kept per endpoint and worker; 0 closes after each request.",
    defaultKeepAlive.connections,
  ),
  idle: key(
    duration(),
    "How long an idle connection is kept; less than what the endpoint allows.",
    formatMs(defaultKeepAlive.idleMs),
  ),
  requests: key(
    countOrUnlimited(),
    "Requests on one connection before it is closed.",
    unlimited(defaultKeepAlive.requests),
  ),
});

const queue = map("a map with size and timeout", {
  size: key(
    whole(0, queueSizeMax),
    "Requests of one worker that may wait for a free endpoint; further ones are answered 503.",
    defaultQueue.size,
  ),
  timeout: key(duration(), "How long a request may wait; then 503.", formatMs(defaultQueue.timeoutMs)),
});

const resolve = map("a map with min and max", {
  min: key(
    duration(100),
    "Names are not asked for more often than this; also how often when the answer has no TTL.",
    formatMs(defaultResolve.minMs),
  ),
  max: key(
    duration(100),
    "Names are asked for at least this often, however long their TTL is.",
    formatMs(defaultResolve.maxMs),
  ),
});

const pool = map("a pool: a map with endpoints", {
  balance: key(balance, "How an endpoint is chosen: an algorithm, or a map with `by` and its options.", defaultBalance),
  endpoints: required(
    list(endpoint, "a list of endpoints"),
    "The servers: addresses, or maps with `address` and options.",
  ),
  protocol: key(word(["http"]), "What the endpoints speak.", "http"),
  health: key(
    orOff(health, "a map of health check settings, or off"),
    "Active health checks; none unless given.",
    "off",
  ),
  passive: key(
    orOff(passive, "a map with maxFails and failTimeout, or off"),
    "Takes an endpoint out after failures of real requests.",
  ),
  slowStart: key(durationOrOff(), "How long an endpoint that came up takes to reach its full weight.", "off"),
  keepAlive: key(keepAlive, "Connections to endpoints that are kept open."),
  queue: key(queue, "Where requests wait while every endpoint is at its maxConnections."),
  noneHealthy: key(
    word(["fail", "all"]),
    "When no endpoint is usable: `fail` answers 503, `all` sends to every endpoint as if all were up.",
    defaultNoneHealthy,
  ),
  resolve: key(resolve, "How often the host names of endpoints are looked up."),
});

const admin = map("a map with bind and token, or off", {
  bind: key(
    bindAddress,
    "Where API, metrics and health listen. Anything but loopback or a unix socket needs a token.",
    formatBind(defaultAdmin.bind),
  ),
  token: key(
    expecting(
      z.string().regex(/^[!-~]{16,256}$/),
      "a secret of 16 to 256 printable ASCII characters without spaces",
      textHint,
    ),
    "Bearer token that every call must carry.",
  ),
});

const accessLog = map("a map with format and file, or off", {
  format: key(
    plainText("json, combined or a template with {placeholders}", 4096),
    "`json`, `combined` (as Apache and nginx write it) or a template with `{placeholders}`.",
    defaultAccessLog.format,
  ),
  file: key(plainText("a path, or - for standard output", 4096), "`-` is standard output.", defaultAccessLog.file),
});

const workersWords = `auto, or a whole number from 1 to ${workersMax}`;

/** A whole configuration as typed. */
export const configSchema = map("a map with listeners and pools", {
  workers: key(
    expecting(z.union([z.literal("auto"), whole(1, workersMax, workersWords)]), workersWords),
    "Worker processes; `auto` is one per CPU.",
    "auto",
  ),
  user: key(
    plainText("a user name, or user:group"),
    "The user, or `user:group`, that workers become once everything is bound; the starting user unless given.",
  ),
  admin: key(orOff(admin, "a map with bind and token, or off"), "API, metrics and health, or `off`."),
  accessLog: key(orOff(accessLog, "a map with format and file, or off"), "One line per request, or `off`."),
  log: key(
    map("a map with level", {
      level: key(
        word(["debug", "info", "warn", "error"]),
        "The least important kind that is written.",
        defaultLogLevel,
      ),
    }),
    "The log of events, on standard error.",
  ),
  timeouts: key(
    map("a map with drain", {
      drain: key(
        duration(),
        "How long requests in progress may take to end when workers stop or are replaced.",
        formatMs(defaultDrainMs),
      ),
    }),
    "Timeouts of the whole program.",
  ),
  listeners: key(
    expecting(z.record(name, listener), "a map of listeners by name", mapHint),
    "What is listened on, and where its requests go; by name.",
    {},
  ),
  pools: key(expecting(z.record(name, pool), "a map of pools by name", mapHint), "Groups of endpoints, by name.", {}),
});

/** What users type, before parsing. */
export type ConfigInput = z.input<typeof configSchema>;
/** The same with texts parsed and defaults still absent. */
export type ConfigTyped = z.output<typeof configSchema>;

/** The algorithms by name. */
export const balanceAlgorithms: readonly string[] = balanceWords;
