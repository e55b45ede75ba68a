// From the configuration to stickiness, for the worker that compiles a plan; and which table of the shared memory that
// takes, for the supervisor that gives it out.

import type { HashSeed } from "../../base/keyed-hash.ts";
import type { Clock, Sealer } from "../../base/ports.ts";
import type { Config, PoolConfig } from "../../model/config.ts";
import type { ArmStickyConfig, StickyConfig } from "../../model/route-config.ts";
import { openTable, type TableWish } from "../../stats/table-arena.ts";
import { ArmStickiness, CookieStickiness } from "./client-cookie.ts";
import { SessionTable, sessionTableShape } from "./session-table.ts";
import type { Stickiness } from "./stickiness.ts";
import { AppCookieStickiness, SourceStickiness } from "./table-stickiness.ts";
import { TokenBox } from "./token.ts";

/** What a worker has to build with. */
export interface StickyParts {
  readonly clock: Clock;
  /** null = no configured stickiness needs one (needsTokens). */
  readonly box: TokenBox | null;
  readonly seed: HashSeed;
  /** Columns.arena. */
  readonly arena: Int32Array;
  /** Word offsets of the tables in it, by name. */
  readonly tables: Readonly<Record<string, number>>;
}

/** The box of tokens of one generation, and of the next if its keys are the same: it remembers whom it saw. */
export interface KeyedBox {
  readonly keys: readonly string[];
  /** null = there are no keys, for nothing needs them. */
  readonly box: TokenBox | null;
}

/** keys: Plan.cookieKeys. newSealer: WorkerContext's. */
export function keyedBox(
  keys: readonly string[],
  previous: KeyedBox | null,
  newSealer: (keys: readonly string[]) => Sealer,
): KeyedBox {
  if (previous !== null && previous.keys.join() === keys.join()) return previous;
  return { keys, box: keys.length === 0 ? null : new TokenBox(newSealer(keys)) };
}

/**
 * What makes a pool's stickiness another one besides its configuration and endpoints: two plans that are equal in those
 * and in this may share it.
 */
export function stickinessKey(
  pool: Pick<PoolConfig, "name" | "sticky">,
  cookieKeys: readonly string[],
  tables: StickyParts["tables"],
): string {
  if (pool.sticky === null) return "";
  return pool.sticky.by === "cookie" ? cookieKeys.join() : String(tables[sessionTableName(pool.name)]);
}

/** Name of a pool's table in the arena. */
export function sessionTableName(pool: string): string {
  return `sticky ${pool}`;
}

/** The table that a pool's stickiness needs, or null. */
export function sessionTableWish(pool: Pick<PoolConfig, "name" | "sticky">): TableWish | null {
  if (pool.sticky === null || pool.sticky.by === "cookie") return null;
  return { name: sessionTableName(pool.name), ...sessionTableShape(pool.sticky.size), perWorker: false };
}

/** True if something in the configuration gives clients cookies of ours: then there must be keys. */
export function needsTokens(config: Config): boolean {
  return (
    config.pools.some(({ sticky }) => sticky?.by === "cookie") ||
    config.listeners.some(({ routes }) =>
      routes.some(({ action }) => action.kind === "forward" && action.sticky !== null),
    )
  );
}

/** ids: of the pool's endpoints, in the order of their indices. Throws when the plan lacks what it needs. */
export function buildStickiness(
  pool: string,
  sticky: StickyConfig | null,
  ids: readonly string[],
  parts: StickyParts,
): Stickiness | null {
  if (sticky === null) return null;
  const { clock } = parts;
  if (sticky.by === "cookie") return new CookieStickiness(sticky.cookie, pool, ids, boxOf(parts), clock);
  const at = parts.tables[sessionTableName(pool)];
  if (at === undefined) throw new Error(`pool "${pool}" has no table for its sticky clients`);
  const table = openTable(parts.arena, at, sessionTableShape(sticky.size));
  const sessions = new SessionTable(table, parts.seed, sticky.ttlMs);
  return sticky.by === "source-ip"
    ? new SourceStickiness(ids, sessions, clock)
    : new AppCookieStickiness(sticky.name, ids, sessions, clock);
}

/** pools: names of the arms, in their order. */
export function buildArmStickiness(
  sticky: ArmStickyConfig | null,
  pools: readonly string[],
  parts: StickyParts,
): ArmStickiness | null {
  return sticky === null ? null : new ArmStickiness(sticky.cookie, pools, boxOf(parts), parts.clock);
}

function boxOf(parts: StickyParts): TokenBox {
  if (parts.box === null) throw new Error("there are no keys for sticky cookies");
  return parts.box;
}
