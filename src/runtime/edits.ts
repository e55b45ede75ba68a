// Endpoints that were added or removed at run time. As with weights set at run time (overrides.ts), they outlive
// reloads, because a change of something else must not undo them; but a file whose own list of the pool's endpoints, or
// of its sources, was changed is newer, and wins. They do not outlive the program.

import type { Config, EndpointConfig, PoolConfig } from "../model/config.ts";

/** What was done to one pool. */
export interface PoolEdits {
  /** In the order in which they were added. */
  readonly added: ReadonlyMap<string, EndpointConfig>;
  /** Ids that the pool's other sources may name, and that are left out. */
  readonly removed: ReadonlySet<string>;
}

interface Kept extends PoolEdits {
  /** The pool's endpoints and sources as written when the first edit was made. */
  readonly written: string;
  readonly added: Map<string, EndpointConfig>;
  readonly removed: Set<string>;
}

export class Edits {
  private readonly byPool = new Map<string, Kept>();

  /** The edits that hold for a pool as it is written; null if there are none. */
  of(pool: PoolConfig): PoolEdits | null {
    const kept = this.byPool.get(pool.name);
    return kept?.written === writtenOf(pool) ? kept : null;
  }

  /** Adds an endpoint; the returned function takes that back. The id is not in use. */
  add(pool: PoolConfig, endpoint: EndpointConfig): () => void {
    const kept = this.open(pool);
    kept.added.set(endpoint.id, endpoint);
    return () => {
      kept.added.delete(endpoint.id);
      this.dropIfEmpty(pool.name);
    };
  }

  /** Takes an endpoint out of the pool, wherever it came from; the returned function takes that back. */
  remove(pool: PoolConfig, id: string): () => void {
    const kept = this.open(pool);
    const { added, removed } = kept;
    const before = added.get(id);
    if (before === undefined) removed.add(id);
    else added.delete(id);
    this.dropIfEmpty(pool.name);
    return () => {
      const again = this.open(pool);
      if (before === undefined) again.removed.delete(id);
      else again.added.set(id, before);
      this.dropIfEmpty(pool.name);
    };
  }

  /** Lets an endpoint that was taken out be in the pool again; the returned function takes that back. */
  restore(pool: PoolConfig, id: string): () => void {
    this.byPool.get(pool.name)?.removed.delete(id);
    this.dropIfEmpty(pool.name);
    return () => void this.open(pool).removed.add(id);
  }

  /** An id that was removed and that no source of the pool names any more may come back one day. */
  forgetRemoved(pool: PoolConfig, named: ReadonlySet<string>): void {
    const kept = this.byPool.get(pool.name);
    if (kept === undefined) return;
    for (const id of kept.removed) if (!named.has(id)) kept.removed.delete(id);
    this.dropIfEmpty(pool.name);
  }

  /** Drops what a new configuration has overtaken; says what that was, one sentence each. */
  reconcile(config: Config): readonly string[] {
    const pools = new Map(config.pools.map((pool) => [pool.name, pool]));
    const dropped: string[] = [];
    for (const [name, { written, added, removed }] of this.byPool) {
      const pool = pools.get(name);
      if (pool !== undefined && writtenOf(pool) === written) continue;
      this.byPool.delete(name);
      const why = pool === undefined ? "the pool is gone" : "the file's endpoints have changed";
      if (added.size > 0) dropped.push(`pool ${name}: ${added.size} endpoints added at run time dropped: ${why}`);
      if (removed.size > 0) dropped.push(`pool ${name}: ${removed.size} removals at run time dropped: ${why}`);
    }
    return dropped;
  }

  private open(pool: PoolConfig): Kept {
    const known = this.byPool.get(pool.name);
    if (known !== undefined) return known;
    const kept: Kept = { written: writtenOf(pool), added: new Map(), removed: new Set() };
    this.byPool.set(pool.name, kept);
    return kept;
  }

  private dropIfEmpty(pool: string): void {
    const kept = this.byPool.get(pool);
    if (kept !== undefined && kept.added.size === 0 && kept.removed.size === 0) this.byPool.delete(pool);
  }
}

function writtenOf({ endpoints, discovery }: PoolConfig): string {
  return JSON.stringify([endpoints, discovery]);
}
