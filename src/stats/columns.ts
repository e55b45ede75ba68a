// The layout of the memory that supervisor and workers share: endpoint state, counters per worker, one epoch number. It
// only lays typed arrays over a buffer it is given (sys/ maps the file; tests pass a plain one). Untouched pages of the
// file cost nothing.
//
// Who writes what: "S" the supervisor alone, "A" anybody with Atomics, "R" anybody, racy by intent, "W" each worker its
// own row.

import type { HashSeed } from "../base/keyed-hash.ts";
import { endpointRowsMax, listenersMax, poolsMax, tableBytesMax, workersMax } from "../base/limits.ts";

export const Health = { Unknown: 0, Up: 1, Down: 2 } as const;
export type Health = (typeof Health)[keyof typeof Health];
export const Admin = { Ready: 0, Drain: 1, Maint: 2 } as const;
export type Admin = (typeof Admin)[keyof typeof Admin];
/** What outlier ejection found. */
export const EjectReason = { None: 0, Consecutive: 1, SuccessRate: 2 } as const;
export type EjectReason = (typeof EjectReason)[keyof typeof EjectReason];

/** Latency histogram: buckets per power of two of microseconds; see histogram.ts for the boundaries. */
export const HISTOGRAM_BUCKETS = 96;

/** Per worker and endpoint row. Order is the field number. */
export const endpointCounters = [
  "requests", // exchanges given to the endpoint, retries included
  "failures", // ended by a failure that blames the endpoint
  "retries", // exchanges that moved on from this endpoint to another try
  "connects", // transport connections opened
  "connectFailures",
  "reused", // exchanges that rode on a kept connection
  "bytesSent", // to the endpoint
  "bytesReceived",
  "status1xx",
  "status2xx",
  "status3xx",
  "status4xx",
  "status5xx",
  "latencyUsSum", // until the response head
  "idle", // gauge: kept connections of this worker
  "activeOwn", // gauge: this worker's share of active
  "judgedGood", // answers below 500, counted where outliers are ejected
  "judgedBad", // answers from 500 up and failures that blame the endpoint, likewise
] as const;
export type EndpointCounter = (typeof endpointCounters)[number];

/** Per worker and listener row. */
export const listenerCounters = [
  "accepted",
  "open", // gauge
  "requests",
  "bytesReceived",
  "bytesSent",
  "status1xx",
  "status2xx",
  "status3xx",
  "status4xx",
  "status5xx",
  "tunnels", // gauge: upgraded connections
  "badRequests", // refused for breaking RFC 9110/9112
  "timeouts", // client-side deadlines
  "clientAborts",
  "queued", // gauge: exchanges waiting for an endpoint
  "queueFull",
  "queueTimeouts",
  "noEndpoint",
  "refused", // connections turned away by the access list or limits.connectionsPerClient
  "denied", // requests a route does not admit: access, passwords
  "limited", // requests over a limit of their route
  "hookErrors", // hooks that threw, rejected, or returned what is no answer
  "hookTimeouts", // hooks whose promise was not settled in time
] as const;
export type ListenerCounter = (typeof listenerCounters)[number];

/** Per worker and pool row. */
export const poolCounters = [
  "repeats", // requests sent once more, paid for by the retry budget
  "retriesRefused", // attempts that the retry budget refused
  "circuitConnections", // requests refused at circuit.connections
  "circuitPending", // at circuit.pending
  "circuitRequests", // at circuit.requests
  "copiesLost", // copies for it as a mirror that were not made for want of room, or not answered
  "connectionsOwn", // gauge: this worker's share of poolConnections
  "pendingOwn", // gauge: of poolPending
  "requestsOwn", // gauge: of poolRequests
] as const;
export type PoolCounter = (typeof poolCounters)[number];

/** Per worker. */
export const workerCounters = [
  "pid",
  "startedWallMs",
  "generation",
  "exchanges", // gauge
  "exchangesRefused",
  "logLines",
  "logDropped",
  "exceptions",
  "rssBytes", // gauge, refreshed each second
  "loopLagMs", // gauge: how late the last tick was
  "heartbeatMs", // monotonic ms of the last tick
] as const;
export type WorkerCounter = (typeof workerCounters)[number];

function numbered<T extends string>(names: readonly T[]): Readonly<Record<T, number>> {
  return Object.fromEntries(names.map((name, i) => [name, i])) as Record<T, number>;
}
/** Field numbers by name: `EC.requests`. */
export const EC = numbered(endpointCounters);
export const LC = numbered(listenerCounters);
export const PC = numbered(poolCounters);
export const WC = numbered(workerCounters);

export interface Columns {
  readonly size: ColumnsSize;
  /** [0] epoch: bumped (Atomics.add) whenever anything that decides "usable" changes. */
  readonly control: Int32Array;
  /**
   * Key of base/keyed-hash.ts in every table that is looked up by what clients send; written by setSeed() before
   * workers start.
   */
  readonly seed: HashSeed;
  /** Memory of the tables of shared-table.ts; table-arena.ts gives out its regions. */
  readonly arena: Int32Array;
  // Endpoint columns, by row.
  /** Health (S). */
  readonly health: Int32Array;
  /** Admin word (S). */
  readonly admin: Int32Array;
  /** Configured weight, 0..1000 (S). */
  readonly weight: Int32Array;
  /** Requests in progress, all workers (A). */
  readonly active: Int32Array;
  /** Passive failures in the current window (A). */
  readonly fails: Int32Array;
  /** Monotonic ms of the first failure of the window (R). */
  readonly failsSinceMs: Float64Array;
  /** Monotonic ms until which passive checks keep the endpoint out (R). */
  readonly heldUntilMs: Float64Array;
  /** Monotonic ms when health last went from down to up, or a hold ended; 0 = never: no slow start (R). */
  readonly upSinceMs: Float64Array;
  /** Decayed average latency in microseconds (R). */
  readonly latencyUs: Float64Array;
  /**
   * Monotonic ms of the last sample of the average, and of the first: a short history weighs its samples evenly (R).
   */
  readonly latencyAtMs: Float64Array;
  readonly latencySinceMs: Float64Array;
  /** Failures in a row, counted where outliers are ejected (A). */
  readonly streak: Int32Array;
  /** Ejections in a row: the next one lasts one more times ejectionMs. Falls with each interval in peace (A). */
  readonly ejectedTimes: Int32Array;
  /** Ejections altogether (A). */
  readonly ejections: Int32Array;
  /** EjectReason of the last ejection (R, under the pool's lock). */
  readonly ejectReason: Int32Array;
  /** Monotonic ms until which the endpoint is ejected (R, under the pool's lock). */
  readonly ejectedUntilMs: Float64Array;
  // Pool columns, by row. The counts are kept only where they are limited.
  /** Connections to the pool's endpoints, idle and busy (A). */
  readonly poolConnections: Int32Array;
  /** Requests waiting for an endpoint (A). */
  readonly poolPending: Int32Array;
  /** Requests in progress (A). */
  readonly poolRequests: Int32Array;
  /** Who is changing the pool's ejections: worker + 1, or lockOfSupervisor; 0 = nobody (A). */
  readonly poolLock: Int32Array;
  /** Monotonic ms when a worker with less than its share last lacked a connection (R). */
  readonly poolWantedMs: Float64Array;
  // Single-writer counters (W).
  endpoint(worker: number, row: number): Float64Array;
  /** HISTOGRAM_BUCKETS counts of latency until the response head. */
  histogram(worker: number, row: number): Float64Array;
  listener(worker: number, row: number): Float64Array;
  pool(worker: number, row: number): Float64Array;
  worker(worker: number): Float64Array;
}

/** The supervisor's mark in poolLock. */
export const lockOfSupervisor: number = workersMax + 1;

/** How many rows of each kind a shared memory holds; fixed for its life. */
export interface ColumnsSize {
  readonly workers: number;
  readonly listeners: number;
  readonly endpoints: number;
  /** A few if not given. */
  readonly pools?: number;
  /** For tables (Columns.arena); none if not given. */
  readonly tableBytes?: number;
}

/** The largest size the limits allow; a memory file of this size is sparse. */
export const columnsSizeMax: ColumnsSize = {
  workers: workersMax,
  listeners: listenersMax,
  endpoints: endpointRowsMax,
  pools: poolsMax,
  tableBytes: tableBytesMax,
};

const controlBytes = 4096;
/** Words of the control page. */
const SEED = 8;
const sharedInts = 9;
const sharedFloats = 7;
const poolInts = 4;
const poolFloats = 1;
const poolsDefault = 16;

/** Bytes of memory that openColumns needs for this size. */
export function columnsBytes(size: ColumnsSize): number {
  const pools = size.pools ?? poolsDefault;
  const perWorker =
    workerCounters.length +
    pools * poolCounters.length +
    size.listeners * listenerCounters.length +
    size.endpoints * (endpointCounters.length + HISTOGRAM_BUCKETS);
  const shared = size.endpoints * (sharedInts * 4 + sharedFloats * 8) + pools * (poolInts * 4 + poolFloats * 8);
  return controlBytes + shared + 8 + size.workers * perWorker * 8 + (size.tableBytes ?? 0);
}

/** Lays the columns over memory from its start. Zero-filled memory is a valid empty state. */
export function openColumns(memory: ArrayBufferLike, size: ColumnsSize): Columns {
  const n = size.endpoints;
  const pools = size.pools ?? poolsDefault;
  let at = controlBytes;
  const int = (rows: number): Int32Array => {
    at += rows * 4;
    return new Int32Array(memory, at - rows * 4, rows);
  };
  const float = (rows: number): Float64Array => {
    at += rows * 8;
    return new Float64Array(memory, at - rows * 8, rows);
  };
  const ints = Array.from({ length: sharedInts }, () => int(n));
  const intsOfPools = Array.from({ length: poolInts }, () => int(pools));
  at = Math.ceil(at / 8) * 8;
  const floats = Array.from({ length: sharedFloats }, () => float(n));
  const floatsOfPools = Array.from({ length: poolFloats }, () => float(pools));
  const region = (rows: number, width: number): ((row: number) => Float64Array) => {
    const start = at;
    at += rows * width * 8;
    return (row) => new Float64Array(memory, start + row * width * 8, width);
  };
  const workerRow = region(size.workers, workerCounters.length);
  const listenerRow = region(size.workers * size.listeners, listenerCounters.length);
  const endpointRow = region(size.workers * n, endpointCounters.length);
  const histogramRow = region(size.workers * n, HISTOGRAM_BUCKETS);
  const poolRow = region(size.workers * pools, poolCounters.length);
  const arena = new Int32Array(memory, at, (size.tableBytes ?? 0) >> 2);
  const control = new Int32Array(memory, 0, controlBytes / 4);
  return {
    size,
    control,
    seed: { k0: control[SEED]!, k1: control[SEED + 1]! },
    arena,
    health: ints[0]!,
    admin: ints[1]!,
    weight: ints[2]!,
    active: ints[3]!,
    fails: ints[4]!,
    streak: ints[5]!,
    ejectedTimes: ints[6]!,
    ejections: ints[7]!,
    ejectReason: ints[8]!,
    failsSinceMs: floats[0]!,
    heldUntilMs: floats[1]!,
    upSinceMs: floats[2]!,
    latencyUs: floats[3]!,
    latencyAtMs: floats[4]!,
    latencySinceMs: floats[5]!,
    ejectedUntilMs: floats[6]!,
    poolConnections: intsOfPools[0]!,
    poolPending: intsOfPools[1]!,
    poolRequests: intsOfPools[2]!,
    poolLock: intsOfPools[3]!,
    poolWantedMs: floatsOfPools[0]!,
    endpoint: (w, r) => endpointRow(w * n + r),
    histogram: (w, r) => histogramRow(w * n + r),
    listener: (w, r) => listenerRow(w * size.listeners + r),
    pool: (w, r) => poolRow(w * pools + r),
    worker: workerRow,
  };
}

/**
 * Supervisor, before any worker opens its columns: the key that keeps clients from finding names that collide. Two
 * random words, from a generator fit for secrets.
 */
export function setSeed(memory: ArrayBufferLike, words: Uint32Array): void {
  new Int32Array(memory, SEED * 4, 2).set(words.subarray(0, 2));
}

/** Tells every worker that some endpoint's usability may have changed. */
export function bumpEpoch(columns: Columns): void {
  Atomics.add(columns.control, 0, 1);
}
