// Reads the counters of the shared columns for people: sums over workers. The numbers are read while the workers write
// them, so sums that belong together may differ by what happened in between.

import { releaseLockOf } from "../pool/outlier.ts";
import { EC, HISTOGRAM_BUCKETS, LC, PC, WC, type Columns } from "../stats/columns.ts";
import { endpointCounters, listenerCounters, poolCounters } from "../stats/columns.ts";

/** Sums an endpoint's counters, by EC number, over workers 0 to workers - 1. */
export function sumEndpoint(columns: Columns, workers: number, row: number): Float64Array {
  return sum(workers, endpointCounters.length, (worker) => columns.endpoint(worker, row));
}

/** Sums an endpoint's latency histogram. */
export function sumHistogram(columns: Columns, workers: number, row: number): Float64Array {
  return sum(workers, HISTOGRAM_BUCKETS, (worker) => columns.histogram(worker, row));
}

/** Sums a listener's counters, by LC number. */
export function sumListener(columns: Columns, workers: number, row: number): Float64Array {
  return sum(workers, listenerCounters.length, (worker) => columns.listener(worker, row));
}

/** Sums a pool's counters, by PC number. */
export function sumPool(columns: Columns, workers: number, row: number): Float64Array {
  return sum(workers, poolCounters.length, (worker) => columns.pool(worker, row));
}

function sum(workers: number, width: number, rowOf: (worker: number) => Float64Array): Float64Array {
  const total = new Float64Array(width);
  for (let worker = 0; worker < workers; worker++) {
    const row = rowOf(worker);
    for (let i = 0; i < width; i++) total[i] = total[i]! + row[i]!;
  }
  return total;
}

/**
 * Makes an endpoint's row as new: its name has not been seen before. Health, weight and admin are the caller's to
 * write.
 */
export function clearEndpointRow(columns: Columns, workers: number, row: number): void {
  for (let worker = 0; worker < workers; worker++) {
    columns.endpoint(worker, row).fill(0);
    columns.histogram(worker, row).fill(0);
  }
  Atomics.store(columns.active, row, 0);
  Atomics.store(columns.fails, row, 0);
  Atomics.store(columns.streak, row, 0);
  Atomics.store(columns.ejectedTimes, row, 0);
  Atomics.store(columns.ejections, row, 0);
  columns.ejectReason[row] = 0;
  columns.ejectedUntilMs[row] = 0;
  columns.failsSinceMs[row] = 0;
  columns.heldUntilMs[row] = 0;
  columns.upSinceMs[row] = 0;
  columns.latencyUs[row] = 0;
  columns.latencyAtMs[row] = 0;
}

export function clearListenerRow(columns: Columns, workers: number, row: number): void {
  for (let worker = 0; worker < workers; worker++) columns.listener(worker, row).fill(0);
}

export function clearPoolRow(columns: Columns, workers: number, row: number): void {
  for (let worker = 0; worker < workers; worker++) columns.pool(worker, row).fill(0);
  for (const column of [columns.poolConnections, columns.poolPending, columns.poolRequests, columns.poolLock]) {
    Atomics.store(column, row, 0);
  }
  columns.poolWantedMs[row] = 0;
}

const endpointGauges = [EC.idle, EC.activeOwn];
const listenerGauges = [LC.open, LC.tunnels, LC.queued];
const poolGauges = [
  [PC.connectionsOwn, "poolConnections"],
  [PC.pendingOwn, "poolPending"],
  [PC.requestsOwn, "poolRequests"],
] as const;
const workerGauges = [WC.exchanges, WC.rssBytes, WC.loopLagMs, WC.pid, WC.heartbeatMs];

/**
 * Settles the books of a worker that is gone: its requests in progress are taken off the shared counts and its gauges
 * are zeroed. Its counters stay: the next worker in its place goes on counting.
 */
export function settleDeadWorker(
  columns: Columns,
  worker: number,
  endpointRows: Iterable<number>,
  listenerRows: Iterable<number>,
  poolRows: Iterable<number>,
): void {
  for (const row of endpointRows) {
    const counters = columns.endpoint(worker, row);
    const active = counters[EC.activeOwn]!;
    if (active !== 0) Atomics.sub(columns.active, row, active);
    for (const gauge of endpointGauges) counters[gauge] = 0;
  }
  for (const row of listenerRows) {
    const counters = columns.listener(worker, row);
    for (const gauge of listenerGauges) counters[gauge] = 0;
  }
  for (const row of poolRows) {
    const counters = columns.pool(worker, row);
    for (const [gauge, shared] of poolGauges) {
      if (counters[gauge] !== 0) Atomics.sub(columns[shared], row, counters[gauge]!);
      counters[gauge] = 0;
    }
    releaseLockOf(columns, row, worker);
  }
  const counters = columns.worker(worker);
  for (const gauge of workerGauges) counters[gauge] = 0;
}
