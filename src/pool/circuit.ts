// The limits of a whole pool, all workers together: requests in progress and requests waiting, as two shared counts
// with a bound each. A limit that is off keeps no count. Connections are in connection-share.ts. What is refused here
// is answered at once: the point of these limits is to fail early, where queue.size and maxConnections make requests
// wait.

import { type Failure, failure, FailureCause, Phase, Side } from "../base/failure.ts";
import type { CircuitConfig } from "../model/route-config.ts";
import { type Columns, PC } from "../stats/columns.ts";

/** How often a place is contended with other workers before the limit counts as reached. */
export const CONTENDED_MAX = 16;

/** No further request of the pool may be in progress, or wait. */
export const circuitQueued: Failure = failure(Side.Proxy, Phase.Queue, FailureCause.Circuit);
/** No further connection of the pool may be opened, and the request may not wait for one. */
export const circuitConnecting: Failure = failure(Side.Proxy, Phase.Connect, FailureCause.Circuit);

/** A pool's limits on requests, in one worker. */
export class Circuit {
  private readonly requestsMax: number;
  private readonly pendingMax: number;
  private readonly requests: Int32Array;
  private readonly pending: Int32Array;
  private readonly row: number;
  private readonly counters: Float64Array;

  constructor(config: CircuitConfig, columns: Columns, worker: number, row: number) {
    this.requestsMax = config.requests;
    this.pendingMax = config.pending;
    this.requests = columns.poolRequests;
    this.pending = columns.poolPending;
    this.row = row;
    this.counters = columns.pool(worker, row);
  }

  /** A request begins. False = not now. */
  enter(): boolean {
    if (this.requestsMax === 0) return true;
    if (!takeBelow(this.requests, this.row, this.requestsMax)) return false;
    this.counters[PC.requestsOwn]!++;
    return true;
  }

  /** It ends: exactly once for each enter() that said true. */
  leave(): void {
    if (this.requestsMax === 0) return;
    this.counters[PC.requestsOwn]!--;
    Atomics.sub(this.requests, this.row, 1);
  }

  /** A request begins to wait. False = it may not. */
  enterQueue(): boolean {
    if (this.pendingMax === 0) return true;
    if (!takeBelow(this.pending, this.row, this.pendingMax)) return false;
    this.counters[PC.pendingOwn]!++;
    return true;
  }

  /** It waits no more: exactly once for each enterQueue() that said true. */
  leaveQueue(): void {
    if (this.pendingMax === 0) return;
    this.counters[PC.pendingOwn]!--;
    Atomics.sub(this.pending, this.row, 1);
  }

  /** Counts a request that is refused, and says what it ends with. */
  refuse(which: "requests" | "pending" | "connections"): Failure {
    const field =
      which === "requests" ? PC.circuitRequests : which === "pending" ? PC.circuitPending : PC.circuitConnections;
    this.counters[field]!++;
    return which === "connections" ? circuitConnecting : circuitQueued;
  }
}

/** null where no limit is set: then nothing is counted. */
export function circuitOf(config: CircuitConfig, columns: Columns, worker: number, row: number): Circuit | null {
  const { connections, pending, requests } = config;
  return connections === 0 && pending === 0 && requests === 0 ? null : new Circuit(config, columns, worker, row);
}

/** Adds 1 if that leaves at most max; false if it is full, or too contended to tell. */
export function takeBelow(counts: Int32Array, row: number, max: number): boolean {
  for (let k = 0; k < CONTENDED_MAX; k++) {
    const now = Atomics.load(counts, row);
    if (now >= max) return false;
    if (Atomics.compareExchange(counts, row, now, now + 1) === now) return true;
  }
  return false;
}
