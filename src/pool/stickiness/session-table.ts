// Which endpoint a client belongs to, in memory that all workers share: the keyed hash of what the client shows (its
// address, its session cookie) leads to the hash of the endpoint's id. Bounded; the session not used for longest is
// forgotten first, and each of them a while after its last use.

import type { Hash64, HashSeed } from "../../base/keyed-hash.ts";
import type { SharedTable, TableShape } from "../../stats/shared-table.ts";

/** The form of a table for so many sessions. */
export function sessionTableShape(size: number): TableShape {
  return { keys: size, values: 2 };
}

/** A use within this time of the last one is not written down. */
const touchMs = 1000;

export class SessionTable {
  /** For the hashes of the keys. */
  readonly seed: HashSeed;
  /** What the last successful lookUp() found. */
  readonly id: Hash64 = { a: 0, b: 0 };
  private readonly table: SharedTable;
  private readonly ttlMs: number;

  /** ttlMs: 0 = sessions are only forgotten for want of room. */
  constructor(table: SharedTable, seed: HashSeed, ttlMs: number) {
    this.table = table;
    this.seed = seed;
    this.ttlMs = ttlMs;
  }

  /** Looks a key up, which is a use of it. True: this.id has the endpoint's hash. */
  lookUp(key: Hash64, nowMs: number): boolean {
    const { table, id } = this;
    const slot = table.find(key.a, key.b);
    if (slot < 0) return false;
    const ageMs = table.ageMs(slot, nowMs);
    if (this.ttlMs !== 0 && ageMs > this.ttlMs) return false;
    const a = table.load(slot, 0);
    const b = table.load(slot, 1);
    if ((a | b) === 0 || !table.holds(slot, key.a, key.b)) return false; // just being written
    // The key is mixed in: what a late writer left in a slot that is another key's by now is nobody's hash.
    id.a = a ^ key.a;
    id.b = b ^ key.b;
    if (ageMs >= touchMs) table.touch(slot, nowMs);
    return true;
  }

  /** From now on the key leads to this endpoint. */
  put(key: Hash64, id: Hash64, nowMs: number): void {
    const { table } = this;
    const slot = table.claim(key.a, key.b, nowMs);
    if (slot < 0) return; // not to be had for the moment: the client is put again with its next request
    table.store(slot, 0, id.a ^ key.a);
    table.store(slot, 1, id.b ^ key.b);
  }
}
