// The keys of a pool: how endpoints are chosen, checked and kept, and where they come from.

import * as z from "zod";
import { formatMs } from "../base/duration.ts";
import { idleConnectionsMax, queueSizeMax, stickySizeMax, weightMax } from "../base/limits.ts";
import {
  defaultBalance,
  defaultCircuit,
  defaultDecayMs,
  defaultEndpoint,
  defaultHealthCheck,
  defaultKeepAlive,
  defaultLoadPercent,
  defaultNoneHealthy,
  defaultOrder,
  defaultPassive,
  defaultQueue,
  defaultResolve,
} from "../model/defaults.ts";
import { defaultOutlier, defaultStickyName, defaultStickySize, defaultSuccessRate } from "../model/policy-defaults.ts";
import {
  countOrUnlimited,
  duration,
  durationOrOff,
  endpointAddress,
  expecting,
  hashKey,
  list,
  loadPercent,
  nameServer,
  plainText,
  statusRange,
  whole,
  word,
} from "./fields.ts";
import { share } from "./fields-route.ts";
import { mapHint, offHint, textHint } from "./hints.ts";
import { show } from "./problem.ts";
import { flag, key, map, oneOrMore, orOff, required, unlimited } from "./schema-parts.ts";
import { cookieKeys } from "./schema-route.ts";
import { formatPercent } from "./units.ts";

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
      backup: key(flag(), "Serves only while no other endpoint can.", defaultEndpoint.backup),
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

const resolve = map("a map with min, max and servers", {
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
  servers: key(
    list(nameServer, "a list of name servers such as 10.0.0.53 or 127.0.0.1:8600"),
    "Name servers to ask, the first three in this order; the system's unless given.",
    [],
  ),
});

/** "a list of endpoints" */
export const endpointsExpects = "a list of endpoints";

/** A list of endpoints, as under a pool and in a file that discovery watches. */
export const endpointList = list(endpoint, endpointsExpects);

const sticky = map("a map with by, or off", {
  by: required(
    word(["cookie", "app-cookie", "source-ip"]),
    "`cookie`: one of ours; `app-cookie`: the application's own, learned from its answers; `source-ip`: the address.",
  ),
  ...cookieKeys(defaultStickyName),
  size: key(
    whole(1, stickySizeMax),
    "app-cookie, source-ip: clients that are remembered; the least recently seen are forgotten first.",
    defaultStickySize,
  ),
});

const outlier = map("a map of outlier settings, or off", {
  consecutiveFailures: key(
    countOrUnlimited(),
    "Failures in a row (no connection, reset, timeout, 5xx) that eject an endpoint; `unlimited`: never by this.",
    defaultOutlier.consecutiveFailures,
  ),
  interval: key(duration(100), "Success rates are compared this often.", formatMs(defaultOutlier.intervalMs)),
  ejection: key(
    duration(100),
    "How long the first ejection lasts; the second twice as long, and so on.",
    formatMs(defaultOutlier.ejectionMs),
  ),
  maxEjection: key(duration(100), "No ejection lasts longer.", formatMs(defaultOutlier.maxEjectionMs)),
  maxEjected: key(
    share(1),
    "At most this share of the endpoints is ejected at once; one always may be.",
    formatPercent(defaultOutlier.maxEjectedPercent),
  ),
  successRate: key(
    orOff(
      map("a map of success rate settings, or off", {
        minEndpoints: key(
          whole(2, 1000),
          "Compares only if so many endpoints had `minRequests`.",
          defaultSuccessRate.minEndpoints,
        ),
        minRequests: key(
          whole(1, 1_000_000),
          "Requests in an interval without which an endpoint is not judged.",
          defaultSuccessRate.minRequests,
        ),
        stdevFactor: key(
          expecting(z.number().min(0.1).max(100), "a number from 0.1 to 100"),
          "Ejects those whose rate is below the mean by more than so many standard deviations.",
          defaultSuccessRate.stdevFactor,
        ),
      }),
      "a map of success rate settings, or off",
    ),
    "Ejects endpoints that fail more often than the others.",
    "off",
  ),
});

const circuit = map("a map of bounds", {
  connections: key(
    countOrUnlimited(),
    "Connections to endpoints, all workers together.",
    unlimited(defaultCircuit.connections),
  ),
  pending: key(
    countOrUnlimited(),
    "Requests that wait for an endpoint, all workers together; then 503.",
    unlimited(defaultCircuit.pending),
  ),
  requests: key(
    countOrUnlimited(),
    "Requests in progress, all workers together; then 503.",
    unlimited(defaultCircuit.requests),
  ),
});

const discovery = map("a map with from", {
  from: required(word(["dns", "file"]), "`dns`: records of a name; `file`: a file that is watched."),
  name: key(plainText("a host name", 255), "dns: the name that is asked for."),
  type: key(
    word(["address", "srv"]),
    "dns: `address`: each A and AAAA record is an endpoint on `port`; `srv`: port, priority and weight by SRV records.",
    "address",
  ),
  port: key(whole(1, 65_535), "dns, address: the port of the endpoints."),
  path: key(plainText("the path of a file", 4096), "file: a list of endpoints as under `endpoints`, in YAML or JSON."),
});

export const pool = map("a pool: a map with endpoints", {
  balance: key(balance, "How an endpoint is chosen: an algorithm, or a map with `by` and its options.", defaultBalance),
  endpoints: key(
    endpointList,
    "The servers: addresses, or maps with `address` and options. Can be left out where `discovery` finds them.",
  ),
  discovery: key(
    expecting(
      z.union([discovery, list(discovery, "a list of maps with from")]),
      "a map with from, or a list of these",
      (found) =>
        typeof found === "string" ? "write { from: dns, name: … } or { from: file, path: … }" : mapHint(found),
    ),
    "Where further endpoints come from: DNS, or a file that is watched.",
    [],
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
  outlier: key(
    orOff(outlier, "a map of outlier settings, or off"),
    "Ejects endpoints that fail in a row, or more often than the others.",
    "off",
  ),
  circuit: key(circuit, "Bounds of the whole pool, all workers together."),
  sticky: key(
    expecting(orOff(sticky, "a map with by, or off"), "a map with by, or off", (found) =>
      typeof found === "string" ? `write { by: ${show(found)} }`.replaceAll('"', "") : offHint(found),
    ),
    "Keeps a client at the endpoint it was given.",
    "off",
  ),
  slowStart: key(durationOrOff(), "How long an endpoint that came up takes to reach its full weight.", "off"),
  keepAlive: key(keepAlive, "Connections to endpoints that are kept open."),
  queue: key(queue, "Where requests wait while every endpoint is at its maxConnections."),
  noneHealthy: key(
    word(["fail", "all"]),
    "When no endpoint is usable: `fail` answers 503, `all` sends to every endpoint as if all were up.",
    defaultNoneHealthy,
  ),
  resolve: key(resolve, "How host names, of endpoints and of `discovery`, are looked up."),
});

/** The algorithms by name. */
export const balanceAlgorithms: readonly string[] = balanceWords;
