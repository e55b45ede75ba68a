// What one request needs of a configuration, as a plan that a data plane can serve: its listener with the one route
// that the request takes, the pools that this leads to, and columns of their own. With the state of a running instance
// copied into them, or without one: then everybody is up and idle.

import { parseIp } from "../base/ip.ts";
import { explainTableBytesMax } from "../base/limits.ts";
import { limitTables } from "../limit/limit-book.ts";
import type { Config, EndpointConfig, ListenerConfig, PoolConfig, RouteConfig } from "../model/config.ts";
import { defaultEndpoint } from "../model/defaults.ts";
import type { Plan } from "../model/plan.ts";
import type { RateLimitConfig } from "../model/route-config.ts";
import { needsTokens, sessionTableName, sessionTableWish } from "../pool/stickiness/build.ts";
import { type Columns, columnsBytes, type ColumnsSize, Health, openColumns, setSeed } from "../stats/columns.ts";
import { sharedTableWords } from "../stats/shared-table.ts";
import { TableArena, type TableWish } from "../stats/table-arena.ts";
import { adminOf } from "../stats/words.ts";

/** The state of a running instance, to be read only. */
export interface LiveState {
  readonly plan: Plan;
  readonly columns: Columns;
  readonly nowMs: number;
}

export interface DryPlan {
  readonly plan: Plan;
  readonly columns: Columns;
  /** Pools whose endpoints are only found while an instance runs. */
  readonly undiscovered: ReadonlySet<string>;
}

/** Where endpoints given by name are taken to be, and those that are not known yet. */
const somewhere = "192.0.2.1";
/** Keys of tables that only one request looks at. */
const keysEnough = 64;
/** Words of a page, on which tables begin. */
const PAGE_WORDS = 1024;
/** Cookies that another process has sealed cannot be opened with it. */
const madeUpKey = "00".repeat(32);

/** route = null: the request takes none. */
export function dryPlan(
  config: Config,
  listener: ListenerConfig,
  route: RouteConfig | null,
  live: LiveState | null,
): DryPlan {
  const undiscovered = new Set<string>();
  const pools = reachedPools(config, route).map((pool) => {
    if (live !== null) return withSmallTable(pool, isTableTooLarge(pool));
    if (pool.discovery.length > 0) undiscovered.add(pool.name);
    return withSmallTable(withEndpoints(pool), true);
  });
  const routes = route === null ? [] : [reduced(route, live !== null)];
  const accessLog = { format: "json", template: "", file: "-" } as const;
  const small: Config = { ...config, accessLog, listeners: [{ ...listener, routes }], pools, tests: [] };
  const workers = live?.plan.workers ?? 1;
  const wishes = [...limitTables(small, workers), ...pools.map(sessionTableWish)].filter((wish) => wish !== null);
  const columns = columnsFor(pools, workers, wishes, live);
  const tables = new TableArena(columns.arena).propose(wishes)!.offsets;
  const { endpointRows, resolved } = placeEndpoints(pools, columns, live);
  const poolRows = Object.fromEntries(pools.map((pool, row) => [pool.name, row]));
  if (live !== null) {
    const large = new Set(config.pools.filter(isTableTooLarge).map(({ name }) => sessionTableName(name)));
    copyTables(
      wishes.filter(({ name }) => !large.has(name)),
      tables,
      columns,
      live,
    );
    copyPools(poolRows, columns, live);
  }
  const cookieKeys = live?.plan.cookieKeys ?? (needsTokens(small) ? [madeUpKey] : []);
  const rows = { listenerRows: { [listener.name]: 0 }, endpointRows, poolRows };
  const plan: Plan = { generation: 1, config: small, workers, ...rows, tables, cookieKeys, resolved, hooks: null };
  return { plan, columns, undiscovered };
}

function reachedPools(config: Config, route: RouteConfig | null): readonly PoolConfig[] {
  const names = new Set(route?.action.kind === "forward" ? route.action.arms.map(({ pool }) => pool) : []);
  return config.pools.filter(({ name }) => names.has(name));
}

/** Without what asks others, or works on bodies: a dry run has neither. Tables that are not copied are small. */
function reduced(route: RouteConfig, isLive: boolean): RouteConfig {
  const rateLimits = route.rateLimits.map((limit) => {
    return isLive && !isLimitTooLarge(limit) ? limit : { ...limit, keys: keysEnough };
  });
  return { ...route, rateLimits, hooks: null, mirror: null, forwardAuth: null, compress: null };
}

/** The counts of this limit are not looked at in a running instance: they would be too much to copy. */
export function isLimitTooLarge({ keys }: RateLimitConfig): boolean {
  return sharedTableWords({ keys, values: 1 }) * 4 > explainTableBytesMax;
}

/** The same of the pool's sticky clients. */
export function isTableTooLarge(pool: PoolConfig): boolean {
  const wish = sessionTableWish(pool);
  return wish !== null && sharedTableWords(wish) * 4 > explainTableBytesMax;
}

function withSmallTable(pool: PoolConfig, isSmall: boolean): PoolConfig {
  const { sticky } = pool;
  return !isSmall || sticky === null || sticky.by === "cookie"
    ? pool
    : { ...pool, sticky: { ...sticky, size: keysEnough } };
}

function withEndpoints(pool: PoolConfig): PoolConfig {
  const hasNone = pool.endpoints.length === 0 && pool.discovery.length > 0;
  return hasNone ? { ...pool, endpoints: [unknownEndpoint] } : pool;
}

/** Stands for the endpoints that discovery will find. */
const unknownEndpoint: EndpointConfig = { ...defaultEndpoint, id: "?", host: somewhere, port: 80, unixPath: null };

function columnsFor(
  pools: readonly PoolConfig[],
  workers: number,
  wishes: readonly TableWish[],
  live: LiveState | null,
): Columns {
  const words = wishes.reduce((sum, wish) => sum + Math.ceil(sharedTableWords(wish) / PAGE_WORDS) * PAGE_WORDS, 0);
  const endpoints = pools.reduce((sum, pool) => sum + pool.endpoints.length, 0);
  const size: ColumnsSize = {
    workers,
    listeners: 1,
    endpoints: Math.max(1, endpoints),
    pools: Math.max(1, pools.length),
    tableBytes: words * 4,
  };
  const memory = new ArrayBuffer(columnsBytes(size));
  if (live !== null) setSeed(memory, Uint32Array.of(live.columns.seed.k0, live.columns.seed.k1));
  return openColumns(memory, size);
}

function placeEndpoints(
  pools: readonly PoolConfig[],
  columns: Columns,
  live: LiveState | null,
): Pick<Plan, "endpointRows" | "resolved"> {
  const endpointRows: Record<string, Record<string, number>> = {};
  const resolved: Record<number, string | null> = {};
  let row = 0;
  for (const pool of pools) {
    const rows: Record<string, number> = {};
    endpointRows[pool.name] = rows;
    for (const endpoint of pool.endpoints) {
      rows[endpoint.id] = row;
      if (live === null) {
        setIdle(columns, row, endpoint);
        if (parseIp(endpoint.host) === null) resolved[row] = somewhere;
      } else {
        const from = live.plan.endpointRows[pool.name]![endpoint.id]!;
        for (const name of endpointColumns) columns[name][row] = live.columns[name][from]!;
        const address = live.plan.resolved[from];
        if (address !== undefined) resolved[row] = address;
      }
      row++;
    }
  }
  return { endpointRows, resolved };
}

function setIdle(columns: Columns, row: number, endpoint: EndpointConfig): void {
  columns.health[row] = Health.Up;
  columns.admin[row] = adminOf(endpoint.admin);
  columns.weight[row] = endpoint.weight;
}

const endpointColumns = [
  "health",
  "admin",
  "weight",
  "active",
  "fails",
  "failsSinceMs",
  "heldUntilMs",
  "upSinceMs",
  "latencyUs",
  "latencyAtMs",
  "latencySinceMs",
  "streak",
  "ejectedTimes",
  "ejections",
  "ejectReason",
  "ejectedUntilMs",
] as const;

const poolColumns = ["poolConnections", "poolPending", "poolRequests", "poolWantedMs"] as const;

function copyPools(poolRows: Plan["poolRows"], columns: Columns, live: LiveState): void {
  for (const [pool, row] of Object.entries(poolRows)) {
    const from = live.plan.poolRows[pool]!;
    for (const name of poolColumns) columns[name][row] = live.columns[name][from]!;
  }
}

function copyTables(wishes: readonly TableWish[], tables: Plan["tables"], columns: Columns, live: LiveState): void {
  for (const wish of wishes) {
    const from = live.plan.tables[wish.name];
    if (from === undefined) continue;
    columns.arena.set(live.columns.arena.subarray(from, from + sharedTableWords(wish)), tables[wish.name]!);
  }
}
