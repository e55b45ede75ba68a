// Who may connect to a listener: by its access list, and by how many connections the client has already. Asked at the
// accept, before a byte is read; it lives as long as the listener, and its rules change with generations.

import { addressKeyOf } from "../base/address-key.ts";
import { parseIp } from "../base/ip.ts";
import type { Hash64, HashSeed } from "../base/keyed-hash.ts";
import type { AccessList } from "../limit/access.ts";
import { type ConcurrencyLimit, REFUSED, UNCOUNTED } from "../limit/concurrency.ts";

/** A connection that was let in, as the gate sees it. */
export interface LetIn {
  /** What admit() returned. */
  clientPlace: number;
}

export class ClientGate {
  private readonly seed: HashSeed;
  private readonly key: Hash64 = { a: 0, b: 0 };
  private access: AccessList | null = null;
  private limit: ConcurrencyLimit | null = null;

  constructor(seed: HashSeed) {
    this.seed = seed;
  }

  /**
   * The rules of another generation. inside = all connections that were let in and are not gone: if their counts do not
   * go on (there is no limit any more, or far more workers), they give their places back now, for the memory may soon
   * be another table's, and count no more.
   */
  apply(access: AccessList | null, limit: ConcurrencyLimit | null, inside: Iterable<LetIn>): void {
    const before = this.limit;
    this.access = access;
    this.limit = limit;
    if (before === null || before.sharesCountsWith(limit)) return;
    for (const connection of inside) {
      before.release(connection.clientPlace);
      connection.clientPlace = UNCOUNTED;
    }
  }

  /** REFUSED, or what leave() wants when the connection is gone. address as Connection.remoteAddress has it. */
  admit(address: string, nowMs: number): number {
    const { access, limit, key } = this;
    if (access === null && limit === null) return UNCOUNTED;
    const bytes = parseIp(address);
    if (access !== null && !access.permits(bytes)) return REFUSED;
    if (limit === null || !addressKeyOf(bytes, this.seed, key)) return UNCOUNTED;
    return limit.acquire(key, nowMs);
  }

  /** The connection is gone; exactly once. */
  leave(connection: LetIn): void {
    if (this.limit !== null) this.limit.release(connection.clientPlace);
    connection.clientPlace = UNCOUNTED;
  }
}
