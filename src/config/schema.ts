// The model of what users type, in YAML or TypeScript: keys, types, descriptions and defaults. The JSON Schema, the
// types of defineConfig and the checking of a file all come from here. Rules that look at more than one value are in
// lower.ts (what was typed) and validate.ts (what it came to).

import * as z from "zod";
import { formatMs } from "../base/duration.ts";
import { connectionsMax, headBytesMax, headersMax, workersMax } from "../base/limits.ts";
import {
  defaultAccessLog,
  defaultAdmin,
  defaultDrainMs,
  defaultForwarded,
  defaultListenerLimits,
  defaultListenerTimeouts,
  defaultLogLevel,
  defaultPaths,
} from "../model/defaults.ts";
import { formatBind } from "./address.ts";
import {
  bindAddress,
  countOrUnlimited,
  duration,
  expecting,
  list,
  name,
  plainText,
  size,
  sizeOrUnlimited,
  whole,
  word,
} from "./fields.ts";
import { mapHint, textHint } from "./hints.ts";
import { access } from "./schema-guard.ts";
import { cidr, cidrList, key, map, oneOrMore, orOff, required, unlimited } from "./schema-parts.ts";
import { pool } from "./schema-pool.ts";
import { forward, route } from "./schema-route.ts";
import { routeTest } from "./schema-test.ts";
import { formatSize } from "./units.ts";

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
  connectionsPerClient: key(
    countOrUnlimited(),
    "Open connections of one client address, all workers together; further ones are closed.",
    unlimited(defaultListenerLimits.connectionsPerClient),
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

const paths = map("a map with mode, slashes and encodedSlashes", {
  mode: key(
    word(["normalize", "strict", "raw"]),
    "`normalize`: dot segments are resolved, escapes that are not needed decoded, others in upper case; `strict`: " +
      "paths that are not in that form get 400; `raw`: paths stay as they come. It is `raw` where no route looks " +
      "at the path.",
    defaultPaths.mode,
  ),
  slashes: key(
    word(["merge", "keep", "refuse"]),
    "`//` in a path: `merge` makes it `/`, `keep` leaves it, `refuse` answers 400. `keep` with `mode: raw`.",
    defaultPaths.slashes,
  ),
  encodedSlashes: key(
    word(["refuse", "keep"]),
    "`%2F` and `%5C` in a path: `refuse` answers 400, `keep` leaves them; they never separate segments. `keep` with " +
      "`mode: raw`.",
    defaultPaths.encodedSlashes,
  ),
});

const listener = map("a listener: a map with bind, and forward or routes", {
  bind: required(
    oneOrMore(bindAddress, "an address such as 0.0.0.0:8080, or a list of addresses"),
    "Where to listen: `0.0.0.0:8080`, `[::]:8080`, `unix:/run/sluice.sock`, or a list of these. " +
      "Port 0 takes any free one.",
  ),
  protocol: key(word(["http"]), "What clients speak.", "http"),
  forward: key(forward, "The pool or pools that get every request: short for one route with nothing but `forward`."),
  routes: key(list(route, "a list of routes"), "Routes in order, the first that matches wins; no match is 404."),
  trustedProxies: key(
    list(cidr, cidrList),
    "Whose `X-Forwarded-*` and `X-Real-IP` headers are believed and appended to; from all others they are replaced.",
    [],
  ),
  forwarded: key(
    word(["append", "preserve", "remove"]),
    "`X-Forwarded-*` and `X-Real-IP` for endpoints: `append` adds ours, `preserve` leaves the client's as they are, " +
      "`remove` takes them out.",
    defaultForwarded,
  ),
  paths: key(paths, "How paths are brought into one form, for matching and for endpoints."),
  access: key(access, "Which client addresses may connect; connections of others are closed."),
  via: key(
    plainText("a name for the Via header, or off", 255),
    "Adds a `Via` header in both directions under this name.",
    "off",
  ),
  timeouts: key(listenerTimeouts, "How long a client may take."),
  limits: key(listenerLimits, "How much a client may send, and how many clients there may be."),
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
  state: key(
    plainText("the path of a directory", 4096),
    "Directory for what must survive restarts. Unless given, the first of these that can be written: $SLUICE_STATE, " +
      "/var/lib/sluice, $XDG_STATE_HOME/sluice, ~/.local/state/sluice.",
  ),
  secret: key(
    expecting(z.string().min(32).max(1024), "a secret of 32 to 1024 characters", textHint),
    "What sticky cookies are authenticated with: the same on all balancers of one site. Made once, and kept in the " +
      "state directory, unless given.",
  ),
  listeners: key(
    expecting(z.record(name, listener), "a map of listeners by name", mapHint),
    "What is listened on, and where its requests go; by name.",
    {},
  ),
  pools: key(expecting(z.record(name, pool), "a map of pools by name", mapHint), "Groups of endpoints, by name.", {}),
  tests: key(list(routeTest, "a list of tests"), "Where requests must go: checked by `sluice check --test`.", []),
});

/** What users type, before parsing. */
export type ConfigInput = z.input<typeof configSchema>;
/** The same with texts parsed and defaults still absent. */
export type ConfigTyped = z.output<typeof configSchema>;
