// The configuration of a run and its changes: pools over a small world of endpoints, two listeners, and rows in the
// columns that a supervisor would give out. Every change makes a new numbered plan.

import {
  OFF,
  type BalanceConfig,
  type Config,
  type EndpointConfig,
  type PoolConfig,
  type RouteConfig,
} from "../../src/model/config.ts";
import { defaultListener, defaultPaths, defaultPool, defaultRoute } from "../../src/model/defaults.ts";
import type { Plan } from "../../src/model/plan.ts";
import type { HookFunctions } from "../../src/config/ts/hooks.ts";
import { limitTables } from "../../src/limit/limit-book.ts";
import { needsTokens, sessionTableWish } from "../../src/pool/stickiness/build.ts";
import type { TableArena, TableWish } from "../../src/stats/table-arena.ts";
import type { Dice } from "./dice.ts";
import { authPool, mirrorPool, Policies } from "./policies.ts";
import type { Weather } from "./weather.ts";

export interface Site {
  readonly name: string;
  /** Where it listens: the key of Kernel.serve. */
  readonly key: string;
  readonly ip: string;
  readonly port: number;
  readonly unixPath: string | null;
  /** Always there and always willing. */
  readonly solid: boolean;
  /** Reached by name. */
  readonly host: string | null;
}

export function sitesOf(weather: Weather): readonly Site[] {
  return Array.from({ length: 7 }, (_, i): Site => {
    const solid = weather.solid && i < 4;
    const unixPath = i === 5 ? "/run/site5.sock" : null;
    const ip = `10.0.0.${i + 1}`;
    const host = i === 3 || i === 6 ? `site${i}.internal` : null;
    return { name: `e${i}`, key: unixPath ?? `${ip}:80`, ip, port: 80, unixPath, solid, host };
  });
}

/** Servers of the authentication service and of the mirror. */
export const sinkSites: readonly Site[] = [1, 2].map((i) => {
  const ip = `10.0.1.${i}`;
  return { name: `s${i}`, key: `${ip}:80`, ip, port: 80, unixPath: null, solid: false, host: null };
});

interface Membership {
  readonly site: Site;
  weight: number;
  backup: boolean;
  maxConnections: number;
}

interface PoolDraft {
  readonly name: string;
  balance: BalanceConfig;
  members: Membership[];
  readonly passive: boolean;
  readonly slowStartMs: number;
  readonly noneHealthy: "fail" | "all";
  keepConnections: number;
  queueSize: number;
}

const listenerPorts: Readonly<Record<string, number>> = { web: 8080, side: 8081 };

export class Layout {
  readonly sites: readonly Site[];
  /** Names of the listeners in force. */
  readonly listeners = new Set(["web", "side"]);
  generation = 0;
  /** Host name -> address; null = does not resolve. */
  readonly names = new Map<string, string | null>();
  private readonly dice: Dice;
  private readonly weather: Weather;
  readonly policies: Policies | null;
  /** Of the plan that was made last. */
  hooks: readonly HookFunctions[] = [];
  /** Tables of that plan, and where they are. */
  tables: readonly (TableWish & { readonly at: number })[] = [];
  private readonly pools: PoolDraft[];
  private readonly sinks: readonly PoolDraft[];
  private readonly rows = new Map<string, number>();
  private connectionsMax: number;
  private readonly limits = new Map<Site, number>();

  constructor(dice: Dice, weather: Weather) {
    this.dice = dice;
    this.weather = weather;
    this.sites = sitesOf(weather);
    for (const site of this.sites) if (site.host !== null) this.names.set(site.host, site.ip);
    this.pools = ["main", "other"].map((name) => this.draft(name));
    this.connectionsMax = dice.chance(0.2) ? dice.whole(8, 15) : 1000;
    this.policies = weather.policies ? new Policies(dice) : null;
    const members = sinkSites.map((site): Membership => ({ site, weight: 1, backup: false, maxConnections: OFF }));
    this.sinks = weather.policies
      ? [authPool, mirrorPool].map((name) => ({
          name,
          balance: { by: "round-robin" },
          members,
          passive: dice.chance(0.5),
          slowStartMs: 0,
          noneHealthy: "fail",
          keepConnections: dice.pick([0, 4]),
          queueSize: 3,
        }))
      : [];
  }

  portOf(listener: string): number {
    return listenerPorts[listener]!;
  }

  /** Rows of the columns in use, with what they stand for. */
  *members(): Iterable<{ readonly pool: string; readonly site: Site; readonly row: number; readonly max: number }> {
    for (const pool of [...this.pools, ...this.sinks]) {
      for (const { site, maxConnections } of pool.members) {
        yield { pool: pool.name, site, row: this.rowOf(pool.name, site.name), max: maxConnections };
      }
    }
  }

  get poolCount(): number {
    return this.pools.length;
  }

  get rowCount(): number {
    return this.rows.size;
  }

  weightOf(pool: string, site: string): number {
    const draft = this.pools.find(({ name }) => name === pool);
    return draft?.members.find((member) => member.site.name === site)?.weight ?? 1;
  }

  /** A random change of the configuration. */
  change(): void {
    const { dice } = this;
    if (this.policies !== null && dice.chance(0.5)) {
      this.policies.change();
      return;
    }
    const pool = dice.pick(this.pools);
    switch (dice.whole(0, 6)) {
      case 0:
        pool.balance = this.randomBalance();
        break;
      case 1:
      case 2: {
        const fresh = this.sites.filter((site) => !pool.members.some((member) => member.site === site));
        if (fresh.length > 0) {
          pool.members.push(this.join(dice.pick(fresh)));
          this.policies?.noteChange(pool.name);
        }
        break;
      }
      case 3:
      case 4:
        this.removeFrom(pool);
        break;
      case 5:
        pool.keepConnections = dice.pick([0, 1, 2, 100]);
        this.connectionsMax = dice.chance(0.3) ? dice.whole(8, 15) : 1000;
        break;
      default:
        if (!this.weather.solid && dice.chance(0.5)) this.toggleListener();
        else dice.pick(pool.members).weight = dice.whole(1, 5);
    }
  }

  private toggleListener(): void {
    if (this.listeners.has("side")) this.listeners.delete("side");
    else this.listeners.add("side");
  }

  private removeFrom(pool: PoolDraft): void {
    const { members } = pool;
    if (members.length < 2) return;
    const gone = this.dice.pick(members);
    if (gone.site.solid && members.filter(({ site }) => site.solid).length <= 2) return;
    pool.members = members.filter((member) => member !== gone);
  }

  private draft(name: string): PoolDraft {
    const { dice, weather } = this;
    const members: Membership[] = [];
    for (const site of this.sites) if (dice.chance(0.5)) members.push(this.join(site));
    const solid = this.sites.filter((site) => site.solid && !members.some((member) => member.site === site));
    while (weather.solid && members.filter(({ site }) => site.solid).length < 2)
      members.push(this.join(solid.shift()!));
    if (members.length === 0) members.push(this.join(this.sites[0]!));
    return {
      name,
      balance: this.randomBalance(),
      members,
      // A hold would take a solid endpoint away for one bad response.
      passive: dice.chance(0.5) && !(weather.solid && weather.faults + weather.idleCloses > 0),
      slowStartMs: dice.chance(0.2) ? 1000 : 0,
      noneHealthy: dice.chance(0.3) ? "all" : "fail",
      keepConnections: dice.pick([0, 1, 4, 100]),
      queueSize: dice.pick([0, 3, 100]),
    };
  }

  /** An endpoint that comes back has the limit it had: requests that began before may still be in progress. */
  private join(site: Site): Membership {
    const { dice } = this;
    const weight = dice.chance(0.6) ? 1 : dice.whole(1, 5);
    const backup = !site.solid && dice.chance(0.2);
    const isLimited = this.weather.limited && !site.solid && dice.chance(0.6);
    const drawn = isLimited ? dice.whole(1, this.weather.crowded ? 2 : 4) : OFF;
    const maxConnections = this.limits.get(site) ?? drawn;
    this.limits.set(site, maxConnections);
    return { site, weight, backup, maxConnections };
  }

  private randomBalance(): BalanceConfig {
    const { dice } = this;
    return dice.pick<BalanceConfig>([
      { by: "round-robin" },
      { by: "weighted-round-robin", order: dice.pick(["smooth", "block"]) },
      { by: "least-connections" },
      { by: "ip-hash" },
      { by: "least-response-time", decayMs: 2000 },
      {
        by: "consistent-hash",
        key: dice.pick([
          { from: "source", name: "" },
          { from: "path", name: "" },
          { from: "header", name: "x-sim-id" },
        ]),
        loadPercent: dice.pick([OFF, 125]),
      },
      { by: "random-two-choices" },
    ]);
  }

  private rowOf(pool: string, id: string): number {
    const key = `${pool}/${id}`;
    const known = this.rows.get(key);
    if (known !== undefined) return known;
    this.rows.set(key, this.rows.size);
    return this.rows.size - 1;
  }

  /** The next plan. arena: for the tables it needs. */
  plan(arena: TableArena): Plan {
    const config = this.config();
    const endpointRows = Object.fromEntries(
      [...this.pools, ...this.sinks].map(({ name, members }) => [
        name,
        Object.fromEntries(members.map(({ site }) => [site.name, this.rowOf(name, site.name)])),
      ]),
    );
    const wishes = [...limitTables(config, this.weather.workers), ...config.pools.map(sessionTableWish)].filter(
      (wish) => wish !== null,
    );
    const proposal = arena.propose(wishes)!;
    arena.commit(proposal, this.generation);
    this.tables = wishes.map((wish) => ({ ...wish, at: proposal.offsets[wish.name]! }));
    return {
      generation: ++this.generation,
      config,
      workers: this.weather.workers,
      listenerRows: { web: 0, side: 1 },
      endpointRows,
      poolRows: { main: 0, other: 1, [authPool]: 2, [mirrorPool]: 3 },
      tables: proposal.offsets,
      cookieKeys: needsTokens(config) ? ["ab".repeat(32)] : [],
      hooks: null,
      resolved: this.resolved(),
    };
  }

  resolved(): Plan["resolved"] {
    const resolved: Record<number, string | null> = {};
    for (const { site, row } of this.members()) {
      if (site.host !== null) resolved[row] = this.names.get(site.host) ?? null;
    }
    return resolved;
  }

  private config(): Config {
    const { weather } = this;
    const { deadlines } = weather;
    const { connectMs, sendMs, responseMs, totalMs, tunnelMs, requestHeadMs, idleMs, bodyMs, writeMs } = deadlines;
    const hooks: HookFunctions[] = [];
    this.hooks = hooks;
    const timeouts = { connectMs, sendMs, responseMs, totalMs, tunnelMs, tunnelLifetimeMs: 0 };
    const routesOf = (listener: string, pool: string): readonly RouteConfig[] => {
      const action = { kind: "forward", arms: [{ pool, weight: 1 }], sticky: null } as const;
      const plain: RouteConfig = { ...defaultRoute, name: "0", action, timeouts };
      return this.policies?.routes(listener, plain, pool, hooks) ?? [plain];
    };
    return {
      workers: weather.workers,
      user: null,
      admin: null,
      accessLog: weather.logs ? { format: "json", template: "", file: "-" } : null,
      logLevel: "error",
      timeouts: { drainMs: 1000 },
      listeners: [...this.listeners].map((name, i) => ({
        name,
        bind: [{ ip: "127.0.0.1", port: this.portOf(name), unixPath: null }],
        ...defaultListener,
        protocol: "http",
        trustedProxies: weather.trusted ? ["198.51.100.0/24"] : [],
        via: weather.via ? "sim" : null,
        timeouts: { requestHeadMs, idleMs, bodyMs, writeMs },
        limits: {
          connections: this.connectionsMax,
          connectionsPerClient: 0,
          headBytes: 16 * 1024,
          headers: 60,
          bodyBytes: weather.bodyLimit,
          requests: weather.requestsPerConnection,
        },
        paths: this.policies === null ? defaultListener.paths : defaultPaths,
        routes: routesOf(name, this.pools[i]?.name ?? "main"),
      })),
      pools: [...this.pools, ...this.sinks].map((pool) => this.poolConfig(pool)),
      state: null,
      secret: null,
      tests: [],
    };
  }

  private poolConfig(pool: PoolDraft): PoolConfig {
    const { deadlines } = this.weather;
    return {
      name: pool.name,
      balance: pool.balance,
      endpoints: pool.members.map(({ site, weight, backup, maxConnections }): EndpointConfig => ({
        id: site.name,
        host: site.unixPath !== null ? "" : (site.host ?? site.ip),
        port: site.port,
        unixPath: site.unixPath,
        weight,
        backup,
        maxConnections,
        admin: "ready",
      })),
      ...defaultPool,
      ...this.policies?.poolPart(pool.name),
      protocol: "http",
      health: null,
      passive: pool.passive ? { maxFails: 2, failTimeoutMs: 700 } : null,
      slowStartMs: pool.slowStartMs,
      keepAlive: { connections: pool.keepConnections, idleMs: deadlines.keepAliveMs, requests: 0 },
      queue: { size: pool.queueSize, timeoutMs: deadlines.queueMs },
      noneHealthy: pool.noneHealthy,
      resolve: { minMs: 5000, maxMs: 60_000, servers: [] },
    };
  }
}
