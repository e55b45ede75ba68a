// The balancer interface: a picker over columns of numbers. It never sees a request, a connection or a protocol, so the
// same file serves HTTP, TCP, UDP and DNS. One file per algorithm beside this one; registry.ts knows them by name.

/**
 * One group of endpoints (the primaries of a pool, or its backups) as columns. The tables of a pool's groups share
 * their index space: whoever is not of the group is not usable in it. The columns up to row are this process's own; the
 * shared ones are indexed by row[i] and written by several processes.
 */
export interface EndpointTable {
  /** Number of endpoints, indices 0..count-1. */
  readonly count: number;
  /** Effective weight in 1/WEIGHT_SCALE of the configured weight: slow start lowers it. 0 = receives nothing new. */
  readonly weight: Int32Array;
  /**
   * Slow-start share in 1/WEIGHT_SCALE, already contained in weight: WEIGHT_SCALE when fully up. For those who ignore
   * weights.
   */
  readonly ramp: Int32Array;
  /** 1 if health, admin state, weight and passive checks allow new work. Filled by the pool, never by a balancer. */
  readonly usable: Uint8Array;
  /**
   * Stable hash of the endpoint's id, the same in every process and after every reload; no two in a table are equal.
   */
  readonly idHash: Uint32Array;
  /** Most requests in progress (all workers); 0 = unlimited. Lowered by the pool while an endpoint is on trial. */
  readonly activeMax: Int32Array;
  /** Index -> row in the shared columns. */
  readonly row: Int32Array;
  /** Requests in progress, all workers together (shared). */
  readonly active: Int32Array;
  /** Time-decayed average latency in microseconds, 0 = none yet (shared, racy by intent: a lost update is harmless). */
  readonly latencyUs: Float64Array;
  /** Monotonic ms of the last update of latencyUs (shared). */
  readonly latencyAtMs: Float64Array;
  /** Monotonic ms when the endpoint last became usable; 0 = since the start (shared). */
  readonly upSinceMs: Float64Array;
}

/** Weight unit: a configured weight of 1 is 256, so that a slow start has steps to climb. */
export const WEIGHT_SCALE = 256;

/** What one pick may depend on. Reused by the caller: a balancer must not keep it. */
export interface PickState {
  /**
   * Hash of the key (client address or chosen key), well mixed over 32 bits. 0 when the algorithm asked for none, or
   * when the request has no key (the header is absent): hashing balancers then take turns.
   */
  hash: number;
  /** Sticky index to use if eligible, or -1. Handled by the pool before the balancer is asked. */
  preferred: number;
  /** Bits of the indices already tried for this request. tried[i >>> 5] & (1 << (i & 31)). Length covers count. */
  tried: Uint32Array;
  /** How many endpoints have been tried; 0 = first attempt: tried need not be looked at. */
  attempt: number;
  /** Monotonic ms. */
  nowMs: number;
}

export interface Balancer {
  readonly name: string;
  /** True if pick() reads PickState.hash. */
  readonly wantsHash: boolean;
  /**
   * Index of an eligible endpoint, or -1. Bounded work: O(count) at worst. Counts nothing: active is the pool's
   * business.
   */
  pick(table: EndpointTable, state: PickState): number;
  /**
   * usable or weight have changed (also called once before the first pick). Must be cheap enough to be called each
   * second.
   */
  tableChanged(table: EndpointTable): void;
}

/** May endpoint i take this request now? The one rule every balancer asks. */
export function eligible(table: EndpointTable, state: PickState, i: number): boolean {
  if (table.usable[i] === 0 || table.weight[i] === 0) return false;
  const max = table.activeMax[i]!;
  if (max !== 0 && table.active[table.row[i]!]! >= max) return false;
  return state.attempt === 0 || (state.tried[i >>> 5]! & (1 << (i & 31))) === 0;
}

/** Marks endpoint i as tried for this request. */
export function markTried(state: PickState, i: number): void {
  state.tried[i >>> 5] = state.tried[i >>> 5]! | (1 << (i & 31));
  state.attempt++;
}
