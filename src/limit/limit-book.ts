// The limits of one generation in one worker, with their tables. A limit that the generation before had is the same
// object again, so that a reload forgets nothing. Also which tables the limits of a configuration need.

import { OFF, type Config, type ListenerConfig, type RouteConfig } from "../model/config.ts";
import type { LimitKey } from "../model/route-config.ts";
import type { SharedTable } from "../stats/shared-table.ts";
import { openTable, type TableWish } from "../stats/table-arena.ts";
import { ConcurrencyLimit, concurrencyTable, connectionsTable } from "./concurrency.ts";
import { RateFields } from "./rate-fields.ts";
import { openExactLimit, openWorkerLimit, type RateLimit, rateLimitId, rateLimitTable } from "./rate-limit.ts";

/** A rate limit as a route has it. */
export interface RouteRateLimit {
  readonly limit: RateLimit;
  readonly by: LimitKey;
  /** Status of the refusal. */
  readonly status: number;
  readonly fields: RateFields;
}

/** A bound of requests in progress as a route has it. */
export interface RouteConcurrency {
  readonly limit: ConcurrencyLimit;
  readonly by: LimitKey;
}

/** Where a worker finds the tables of a plan. */
export interface LimitPlace {
  /** Columns.arena, and the first word of each table by name. */
  readonly arena: Int32Array;
  readonly tables: Readonly<Record<string, number>>;
  readonly workers: number;
  readonly worker: number;
}

/** A route's name over all listeners. */
function ownerOf(listener: ListenerConfig, route: RouteConfig): string {
  return `${listener.name}\n${route.name}`;
}

/** The tables of every limit, for the supervisor to place. */
export function limitTables(config: Config, workers: number): TableWish[] {
  const wishes: TableWish[] = [];
  for (const listener of config.listeners) {
    if (listener.limits.connectionsPerClient !== OFF) wishes.push(connectionsTable(listener.name, workers));
    for (const route of listener.routes) {
      const owner = ownerOf(listener, route);
      for (const rate of route.rateLimits) {
        const wish = rateLimitTable(owner, rate);
        if (wish !== null) wishes.push(wish);
      }
      for (const each of route.concurrency) wishes.push(concurrencyTable(owner, each, workers));
    }
  }
  return wishes;
}

/** All limits of one route; empty lists if it has none. */
export interface RouteLimits {
  readonly rates: readonly RouteRateLimit[];
  readonly concurrency: readonly RouteConcurrency[];
}

export class LimitBook {
  private readonly place: LimitPlace;
  private readonly rates = new Map<string, RateLimit>();
  private readonly counts = new Map<string, ConcurrencyLimit>();
  private readonly routes = new Map<string, RouteLimits>();
  private readonly clients = new Map<string, ConcurrencyLimit>();

  /** previous = the book of the generation in force. Throws an Error if the plan has no table for a limit. */
  constructor(config: Config, place: LimitPlace, previous: LimitBook | null) {
    this.place = place;
    for (const listener of config.listeners) {
      const max = listener.limits.connectionsPerClient;
      if (max !== OFF) {
        const wish = connectionsTable(listener.name, place.workers);
        this.clients.set(listener.name, this.count(wish, max, previous));
      }
      for (const route of listener.routes) {
        const owner = ownerOf(listener, route);
        const rates = this.ratesOf(owner, route, previous);
        this.routes.set(owner, { rates, concurrency: this.concurrencyOf(owner, route, previous) });
      }
    }
  }

  limitsOf(listener: ListenerConfig, route: RouteConfig): RouteLimits {
    return this.routes.get(ownerOf(listener, route))!;
  }

  /** The bound of each client's connections; null if there is none. */
  connectionsOf(listener: ListenerConfig): ConcurrencyLimit | null {
    return this.clients.get(listener.name) ?? null;
  }

  private ratesOf(owner: string, route: RouteConfig, previous: LimitBook | null): readonly RouteRateLimit[] {
    const { workers } = this.place;
    const found = new Map<string, RouteRateLimit>(); // one that is written twice counts once
    for (const config of route.rateLimits) {
      const id = rateLimitId(owner, config, workers);
      const wish = rateLimitTable(owner, config);
      const limit =
        previous?.rates.get(id) ??
        (wish === null ? openWorkerLimit(config, workers) : openExactLimit(config, this.open(wish)));
      this.rates.set(id, limit);
      found.set(id, { limit, by: config.by, status: config.status, fields: new RateFields(config) });
    }
    return [...found.values()];
  }

  private concurrencyOf(owner: string, route: RouteConfig, previous: LimitBook | null): readonly RouteConcurrency[] {
    const found = new Map<string, RouteConcurrency>(); // of two by the same key the lower one holds
    for (const config of route.concurrency) {
      const wish = concurrencyTable(owner, config, this.place.workers);
      const max = Math.min(config.requests, found.get(wish.name)?.limit.max ?? Infinity);
      found.set(wish.name, { limit: this.count(wish, max, previous), by: config.by });
    }
    return [...found.values()];
  }

  private count(wish: TableWish, max: number, previous: LimitBook | null): ConcurrencyLimit {
    const known = this.counts.get(wish.name) ?? previous?.counts.get(wish.name);
    const limit = known?.withMax(max) ?? new ConcurrencyLimit(max, this.open(wish), this.place.worker);
    this.counts.set(wish.name, limit);
    return limit;
  }

  private open(wish: TableWish): SharedTable {
    const at = this.place.tables[wish.name];
    if (at === undefined) throw new Error(`the plan has no table ${wish.name}`);
    return openTable(this.place.arena, at, wish);
  }
}
