// Every bound of the program as a named constant with a unit, in one place; `sluice limits` prints this list. Limits
// that a user may move live in the configuration, with their defaults in model/defaults.ts.

export interface Limit {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly meaning: string;
}

const all: Limit[] = [];

function limit(name: string, value: number, unit: string, meaning: string): number {
  all.push({ name, value, unit, meaning });
  return value;
}

/** Every limit in the order of definition. */
export const limits: readonly Limit[] = all;

export const workersMax = limit("workersMax", 64, "processes", "worker processes");
export const listenersMax = limit("listenersMax", 256, "listeners", "listener rows in the shared counters");
export const endpointRowsMax = limit(
  "endpointRowsMax",
  8192,
  "endpoints",
  "endpoint rows in the shared columns, all pools together",
);
export const tableBytesMax = limit(
  "tableBytesMax",
  512 * 1024 * 1024,
  "bytes",
  "shared memory of all rate limits, concurrency limits and sticky tables together; what is not used costs nothing",
);
export const cookieCacheSlots = limit(
  "cookieCacheSlots",
  4096,
  "cookies",
  "sticky cookies one worker remembers, so that a client who comes back costs no cryptography; a power of two",
);
export const cookiesTriedMax = limit(
  "cookiesTriedMax",
  8,
  "cookies",
  "cookies of one name that are looked at in one message",
);
export const cookieKeyMs = limit(
  "cookieKeyMs",
  30 * 86_400_000,
  "ms",
  "age at which the key of sticky cookies is replaced by a start or reload (the one before stays good until the next)",
);
export const sessionSaveMs = limit(
  "sessionSaveMs",
  60_000,
  "ms",
  "between two copies of the session tables to the state directory, while they change",
);
export const sessionFileBytesMax = limit(
  "sessionFileBytesMax",
  640 * 1024 * 1024,
  "bytes",
  "file of saved sessions that is read at a start",
);
export const concurrencyKeysMax = limit(
  "concurrencyKeysMax",
  32_768,
  "keys",
  "keys with requests or connections in progress that a concurrency limit can count; those beyond go uncounted",
);
export const passwordChecksMax = limit(
  "passwordChecksMax",
  2,
  "checks",
  "passwords compared with their hashes at once in one worker: each is tens of milliseconds of a processor",
);
export const passwordQueueMax = limit(
  "passwordQueueMax",
  64,
  "checks",
  "passwords waiting to be compared in one worker; a request that brings one more is answered 503",
);
export const credentialBytesMax = limit(
  "credentialBytesMax",
  1024,
  "bytes",
  "user name and password as a client sends them; longer ones are wrong",
);
export const verifiedLoginsMax = limit(
  "verifiedLoginsMax",
  4096,
  "logins",
  "logins of one route whose verdict a worker remembers, so that each password is compared once",
);
export const headBytesMax = limit(
  "headBytesMax",
  1024 * 1024,
  "bytes",
  "largest limits.headBytes a listener may be given",
);
export const headersMax = limit("headersMax", 1000, "fields", "largest limits.headers a listener may be given");
export const connectionOptionsMax = limit(
  "connectionOptionsMax",
  64,
  "options",
  "options in the Connection fields of one message",
);
export const targetBytesMax = limit("targetBytesMax", 32 * 1024, "bytes", "request target; longer is 414");
export const responseHeadBytesMax = limit(
  "responseHeadBytesMax",
  256 * 1024,
  "bytes",
  "response head of an endpoint; longer is 502",
);
export const responseHeadersMax = limit(
  "responseHeadersMax",
  1000,
  "fields",
  "response header fields of an endpoint; more is 502",
);
export const chunkLineBytesMax = limit("chunkLineBytesMax", 256, "bytes", "a chunk-size line with its extensions");
export const trailerBytesMax = limit("trailerBytesMax", 16 * 1024, "bytes", "trailer section");
export const interimResponsesMax = limit(
  "interimResponsesMax",
  32,
  "responses",
  "1xx responses relayed for one request",
);
export const leadingEmptyLinesMax = limit(
  "leadingEmptyLinesMax",
  1,
  "lines",
  "empty lines ignored before a request line (RFC 9112 2.2)",
);
export const h2FrameBytesMax = limit(
  "h2FrameBytesMax",
  16_384,
  "bytes",
  "payload of an HTTP/2 frame that is sent to us (SETTINGS_MAX_FRAME_SIZE); a longer one ends the connection",
);
export const h2ContinuationsMax = limit(
  "h2ContinuationsMax",
  64,
  "frames",
  "CONTINUATION frames behind one HEADERS frame; more end the connection",
);
export const h2SettingsMax = limit("h2SettingsMax", 32, "settings", "in one SETTINGS frame; more end the connection");
export const hpackTableBytesMax = limit(
  "hpackTableBytesMax",
  4096,
  "bytes",
  "fields that one direction of an HTTP/2 connection remembers, as RFC 7541 4.1 counts them",
);
export const hpackIntegerBytesMax = limit(
  "hpackIntegerBytesMax",
  4,
  "bytes",
  "of an HPACK integer behind its prefix; a longer one ends the connection",
);
export const lingerMs = limit(
  "lingerMs",
  2000,
  "ms",
  "how long a closing client connection is still read and discarded",
);
export const lingerBytesMax = limit(
  "lingerBytesMax",
  1024 * 1024,
  "bytes",
  "how much a closing client connection may still send",
);
export const pausedBytesMax = limit(
  "pausedBytesMax",
  1024 * 1024,
  "bytes",
  "what a connection may still bring after it was stopped; only a reset brings more, and it ends there",
);
export const exchangesMax = limit(
  "exchangesMax",
  65536,
  "exchanges",
  "requests in progress in one worker; more are answered 503",
);
export const retriesMax = limit(
  "retriesMax",
  8,
  "attempts",
  "endpoints tried for one request, whatever the configuration says",
);
export const replayChunkBytes = limit(
  "replayChunkBytes",
  16 * 1024,
  "bytes",
  "one piece of the memory that keeps request bodies for a repeat",
);
export const replayBytesMax = limit(
  "replayBytesMax",
  64 * 1024 * 1024,
  "bytes",
  "request bodies kept for a repeat in one worker, all together; what does not fit is not repeated",
);
export const discardedAnswerBytesMax = limit(
  "discardedAnswerBytesMax",
  64 * 1024,
  "bytes",
  "of an answer that is read and dropped to keep the connection, when its request is repeated elsewhere",
);
export const mirrorCopiesMax = limit(
  "mirrorCopiesMax",
  1024,
  "copies",
  "copies for mirror pools in progress in one worker, or a tenth of its open files; requests beyond are not copied",
);
export const mirrorBytesMax = limit(
  "mirrorBytesMax",
  64 * 1024 * 1024,
  "bytes",
  "request bodies held for mirror pools in one worker, all together; a request whose body does not fit is not copied",
);
export const mirrorMs = limit(
  "mirrorMs",
  60_000,
  "ms",
  "a copy for a mirror pool, from when it is sent to the end of its answer",
);
export const mirrorAnswerBytesMax = limit(
  "mirrorAnswerBytesMax",
  16 * 1024 * 1024,
  "bytes",
  "body of a mirror pool's answer that is read and dropped; of a longer one the connection ends",
);
export const authBodyBytesMax = limit(
  "authBodyBytesMax",
  64 * 1024,
  "bytes",
  "body of an authentication service's answer that is passed on; a longer one is left out",
);
export const authFieldsBytesMax = limit(
  "authFieldsBytesMax",
  16 * 1024,
  "bytes",
  "fields of one answer of an authentication service that are copied into the request; more counts as its failure",
);
export const authCacheEntriesMax = limit(
  "authCacheEntriesMax",
  16_384,
  "answers",
  "answers of an authentication service that one route remembers in one worker; the oldest go first",
);
export const authCacheBytesMax = limit(
  "authCacheBytesMax",
  8 * 1024 * 1024,
  "bytes",
  "memory of the copied fields in these answers, likewise",
);
export const retryBufferBytesMax = limit(
  "retryBufferBytesMax",
  16 * 1024 * 1024,
  "bytes",
  "largest retry.bufferBytes of a route",
);
export const bodyCopyMax = limit(
  "bodyCopyMax",
  16 * 1024,
  "bytes",
  "a body piece no longer than this rides in the same write as its head",
);
export const compressorsMax = limit(
  "compressorsMax",
  256,
  "responses",
  "responses being compressed at once in one worker, 0.4 to 1.6 MB each; those beyond it are sent as they are",
);
export const compressorsKeptMax = limit(
  "compressorsKeptMax",
  16,
  "compressors",
  "compressors that one worker keeps for the next responses, 0.4 MB each",
);
export const logLineBytesMax = limit(
  "logLineBytesMax",
  4096,
  "bytes",
  "one access-log line; longer fields are cut (PIPE_BUF, so lines never interleave)",
);
export const logBufferBytesMax = limit(
  "logBufferBytesMax",
  1024 * 1024,
  "bytes",
  "access-log bytes waiting in one worker; lines beyond it are dropped and counted",
);
export const eventsKept = limit("eventsKept", 256, "events", "health and state changes remembered for status");
export const adminBodyBytesMax = limit("adminBodyBytesMax", 64 * 1024, "bytes", "body of a call of the admin API");
export const explainTableBytesMax = limit(
  "explainTableBytesMax",
  16 * 1024 * 1024,
  "bytes",
  "table of a rate limit or of sticky clients that sluice explain --running looks at; larger ones count as empty",
);
export const eventSubscribersMax = limit(
  "eventSubscribersMax",
  64,
  "streams",
  "clients of the admin API's event stream at once",
);
export const lookupsInFlightMax = limit("lookupsInFlightMax", 32, "lookups", "host names being resolved at once");
export const poolEndpointsMax = limit(
  "poolEndpointsMax",
  4096,
  "endpoints",
  "that discovery and the admin API may bring one pool to; what discovery finds beyond it is left out, with a warning",
);
export const filePollMs = limit(
  "filePollMs",
  250,
  "ms",
  "between two looks at a file of endpoints; it is read once it has been the same at two of them",
);
export const endpointFileBytesMax = limit(
  "endpointFileBytesMax",
  4 * 1024 * 1024,
  "bytes",
  "file of endpoints that discovery reads",
);
export const emptyAnswersMin = limit(
  "emptyAnswersMin",
  2,
  "answers",
  "answers without a record in a row before the endpoints that a name had are dropped",
);
export const changesGapMinMs = limit(
  "changesGapMinMs",
  100,
  "ms",
  "shortest time between two changes of endpoints; those that come meanwhile are put in force together",
);
export const changesGapMaxMs = limit(
  "changesGapMaxMs",
  5000,
  "ms",
  "longest such time; in between it is ten times what the last change took",
);
export const dnsQueriesInFlightMax = limit(
  "dnsQueriesInFlightMax",
  64,
  "queries",
  "questions to name servers under way at once; further ones wait their turn",
);
export const systemFileBytesMax = limit(
  "systemFileBytesMax",
  1024 * 1024,
  "bytes",
  "/etc/hosts and /etc/resolv.conf; of longer ones nothing is used",
);
export const tcpKeepAliveMs = limit(
  "tcpKeepAliveMs",
  60_000,
  "ms",
  "silence after which the kernel begins to ask whether a peer is still there",
);
export const lookupMs = limit(
  "lookupMs",
  5000,
  "ms",
  "one resolution of a host name, all servers and retries together",
);
export const firstLookupMs = limit(
  "firstLookupMs",
  3000,
  "ms",
  "how long a start or reload waits for the first answers to new host names; it then goes on without",
);
export const heartbeatMaxMs = limit(
  "heartbeatMaxMs",
  10_000,
  "ms",
  "a worker whose event loop stands still for longer is killed and started again",
);
export const workerKillGraceMs = limit(
  "workerKillGraceMs",
  2000,
  "ms",
  "how long past timeouts.drain a worker may take to exit before it is killed",
);
export const listenBacklog = limit(
  "listenBacklog",
  4096,
  "connections",
  "backlog asked of the kernel for each listening socket",
);
export const probesInFlightMax = limit(
  "probesInFlightMax",
  256,
  "probes",
  "active checks under way at once; further ones wait their turn",
);
export const probeHeadBytesMax = limit("probeHeadBytesMax", 16 * 1024, "bytes", "head of an answer to an active check");
export const healthTransitionsKept = limit(
  "healthTransitionsKept",
  16,
  "changes",
  "health changes remembered for each endpoint",
);
export const probeBodyBytesMax = limit(
  "probeBodyBytesMax",
  256 * 1024,
  "bytes",
  "of a health answer's body that is looked at",
);
export const configBytesMax = limit("configBytesMax", 8 * 1024 * 1024, "bytes", "configuration file");
export const configNodesMax = limit(
  "configNodesMax",
  250_000,
  "values",
  "values in a configuration, with every YAML alias written out",
);
export const configDepthMax = limit("configDepthMax", 32, "levels", "nesting of a configuration");
export const diagnosticsMax = limit("diagnosticsMax", 500, "mistakes", "mistakes reported for one configuration");
export const poolsMax = limit("poolsMax", 4096, "pools", "pools in a configuration");
export const routesMax = limit("routesMax", 4096, "routes", "routes of one listener");
export const routeKeysMax = limit(
  "routeKeysMax",
  262_144,
  "keys",
  "paths times hosts of a listener's routes that are looked up in a table; what is beyond is compared one by one",
);
export const durationMsMax = limit(
  "durationMsMax",
  24 * 86_400_000,
  "ms",
  "longest duration a configuration may name (24d; fits a signed 32-bit count of milliseconds)",
);
export const connectionsMax = limit(
  "connectionsMax",
  1_000_000,
  "connections",
  "largest limits.connections of a listener and maxConnections of an endpoint",
);
export const idleConnectionsMax = limit(
  "idleConnectionsMax",
  65_536,
  "connections",
  "largest keepAlive.connections of a pool",
);
export const queueSizeMax = limit("queueSizeMax", 65_536, "requests", "largest queue.size of a pool");
export const weightMax = limit("weightMax", 1000, "units", "largest weight of an endpoint");
export const limitRequestsMax = limit(
  "limitRequestsMax",
  1_000_000_000,
  "requests",
  "largest requests of a rate limit or concurrency limit",
);
export const limitBurstMax = limit("limitBurstMax", 1_000_000_000, "requests", "largest burst of a rate limit");
export const limitKeysMax = limit("limitKeysMax", 10_000_000, "keys", "largest keys of a rate limit");
export const stickySizeMax = limit("stickySizeMax", 10_000_000, "clients", "largest size of a pool's sticky");
export const armsMax = limit("armsMax", 64, "pools", "pools that one route forwards to by weight");
export const answerBytesMax = limit("answerBytesMax", 64 * 1024, "bytes", "body of a route's fixed answer");
export const hookCodeBytesMax = limit(
  "hookCodeBytesMax",
  8 * 1024 * 1024,
  "bytes",
  "code of a configuration with hooks, with everything that it imports and where it came from",
);
export const hookLoadMs = limit(
  "hookLoadMs",
  10_000,
  "ms",
  "how long the module with the hooks may take to be evaluated in a worker",
);
export const hookFieldsBytesMax = limit(
  "hookFieldsBytesMax",
  64 * 1024,
  "bytes",
  "header fields that a hook sets in one message",
);
export const hookBodyBytesMax = limit(
  "hookBodyBytesMax",
  1024 * 1024,
  "bytes",
  "body of an answer that a request hook returns",
);
export const hookLogFieldsMax = limit(
  "hookLogFieldsMax",
  32,
  "fields",
  "fields that hooks add to one line of the access log; further ones are refused",
);
export const hookReportMs = limit(
  "hookReportMs",
  1000,
  "ms",
  "between two lines about failed hooks of one route in one worker's log; those in between are counted",
);
export const routeTestsMax = limit("routeTestsMax", 10_000, "tests", "route tests of a configuration");
export const regexLengthMax = limit("regexLengthMax", 4096, "characters", "a regular expression");
export const regexSizeMax = limit(
  "regexSizeMax",
  4096,
  "instructions",
  "a compiled regular expression; x{n,m} counts as m copies of x",
);
export const regexRepeatMax = limit("regexRepeatMax", 1000, "times", "n and m of x{n,m} in a regular expression");
export const regexGroupsMax = limit("regexGroupsMax", 64, "groups", "capturing groups of a regular expression");
export const regexDepthMax = limit("regexDepthMax", 64, "levels", "nesting of groups in a regular expression");
export const regexCacheBytesMax = limit(
  "regexCacheBytesMax",
  128 * 1024,
  "bytes",
  "states that one regular expression remembers in one worker; when full it begins anew",
);
