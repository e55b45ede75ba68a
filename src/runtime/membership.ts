// Who belongs to which pool: the written endpoints, those added at run time, those that discovery has found. The
// outcome is a configuration like any other, so that nobody else has to know where an endpoint came from.

import { poolEndpointsMax } from "../base/limits.ts";
import { LogLevel } from "../base/ports.ts";
import type { Config, EndpointConfig, PoolConfig } from "../model/config.ts";
import { Discovery, type Found } from "./discovery.ts";
import { Edits, type PoolEdits } from "./edits.ts";
import { endpointKey } from "./endpoints.ts";
import type { SourceEnv, SourceReport } from "./source.ts";

/** Where an endpoint comes from. */
export type Origin = "config" | "api" | "file" | "dns";

export interface Members {
  /** The written configuration with all endpoints in its pools. */
  readonly config: Config;
  /** By endpoint key. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** Pools that would have more endpoints than they may, with how many were left out. */
  readonly leftOut: ReadonlyMap<string, number>;
}

/** The membership of all pools over time. */
export class Membership {
  readonly discovery: Discovery;
  readonly edits = new Edits();
  private readonly env: SourceEnv;
  private inForce: { readonly written: Config; readonly members: Members } | null = null;

  /** env.onChange: somebody may have come or gone; propose() tells. */
  constructor(env: SourceEnv) {
    this.env = env;
    this.discovery = new Discovery(env);
  }

  /** The configuration in force as it is written. */
  get written(): Config | null {
    return this.inForce?.written ?? null;
  }

  /** Where an endpoint in force comes from, by its key. */
  originOf(key: string): Origin {
    return this.inForce?.members.origins.get(key) ?? "config";
  }

  /** How the sources of a pool are doing. */
  reports(pool: PoolConfig, nowMs: number): readonly SourceReport[] {
    return this.discovery.reports(pool, nowMs);
  }

  /** Opens the sources of a configuration, and waits for their first answers, but no longer than timeoutMs. */
  open(written: Config, timeoutMs: number): Promise<void> {
    this.discovery.ensure(written);
    return this.discovery.settled(timeoutMs);
  }

  /** Everybody under a configuration whose sources are open, as of now. */
  propose(written: Config): Members {
    return membersOf(written, (pool) => this.discovery.found(pool), this.edits);
  }

  /** Makes these the members in force. */
  commit(written: Config, members: Members): void {
    const before = this.inForce?.members.leftOut;
    this.inForce = { written, members };
    this.discovery.reconcile(written);
    for (const pool of written.pools) {
      if (this.discovery.hasAnswered(pool)) this.edits.forgetRemoved(pool, this.named(pool));
    }
    for (const [pool, excess] of members.leftOut) {
      if (before?.get(pool) === excess) continue;
      this.env.record(LogLevel.Warn, "pool has too many endpoints", { pool, max: poolEndpointsMax, leftOut: excess });
    }
  }

  /** Closes the sources that only a configuration wanted which did not come into force. */
  forget(): void {
    if (this.inForce === null) this.discovery.stop();
    else this.discovery.reconcile(this.inForce.written);
  }

  stop(): void {
    this.discovery.stop();
  }

  /** Ids that the sources of a pool name, whether or not they are in use. */
  private named(pool: PoolConfig): ReadonlySet<string> {
    const lists = [pool.endpoints, ...this.discovery.found(pool).map(({ endpoints }) => endpoints)];
    return new Set(lists.flatMap((endpoints) => endpoints.map(({ id }) => id)));
  }
}

/** A list of endpoints with its origin. */
interface Group {
  readonly origin: Origin;
  readonly endpoints: readonly EndpointConfig[];
}

/** Everybody. Pure. */
export function membersOf(
  written: Config,
  found: (pool: PoolConfig) => readonly Found[],
  edits: Pick<Edits, "of">,
): Members {
  const origins = new Map<string, Origin>();
  const leftOut = new Map<string, number>();
  const pools = written.pools.map((pool) => {
    const edit = edits.of(pool);
    const endpoints = collect(groupsOf(pool, found(pool), edit), edit, (id, origin) =>
      origins.set(endpointKey(pool.name, id), origin),
    );
    // A pool that only has what is written stays the object that it is.
    if (pool.discovery.length === 0 && edit === null) return pool;
    const max = Math.max(poolEndpointsMax, pool.endpoints.length);
    if (endpoints.length > max) leftOut.set(pool.name, endpoints.length - max);
    return { ...pool, endpoints: endpoints.slice(0, max) };
  });
  return { config: { ...written, pools }, origins, leftOut };
}

/** In the order in which they claim an id that several of them name. */
function groupsOf(pool: PoolConfig, found: readonly Found[], edit: PoolEdits | null): readonly Group[] {
  const from = (origin: "file" | "dns"): readonly Group[] =>
    found.filter((source) => source.from === origin).map(({ endpoints }) => ({ origin, endpoints }));
  return [
    { origin: "config", endpoints: pool.endpoints },
    { origin: "api", endpoints: [...(edit?.added.values() ?? [])] },
    ...from("file"),
    ...from("dns"),
  ];
}

function collect(
  groups: readonly Group[],
  edit: PoolEdits | null,
  onMember: (id: string, origin: Origin) => void,
): readonly EndpointConfig[] {
  const all = new Map<string, EndpointConfig>();
  for (const { origin, endpoints } of groups) {
    for (const endpoint of endpoints) {
      const isOut = origin !== "api" && edit?.removed.has(endpoint.id) === true;
      if (isOut || all.has(endpoint.id)) continue;
      all.set(endpoint.id, endpoint);
      onMember(endpoint.id, origin);
    }
  }
  return [...all.values()];
}

/** What is different between two pools' endpoints, by id. */
export interface MemberChange {
  readonly pool: string;
  readonly added: number;
  readonly removed: number;
  /** Same id, other settings. */
  readonly changed: number;
  /** A few of those concerned, for people. */
  readonly examples: string;
}

const EXAMPLES = 5;

/** Changes from one configuration to the next, pool by pool; pools that only one of them has are left out. */
export function changesOf(before: Config, after: Config): readonly MemberChange[] {
  const known = new Map(before.pools.map((pool) => [pool.name, pool]));
  return after.pools.flatMap((pool) => {
    const old = known.get(pool.name);
    if (old === undefined || old.endpoints === pool.endpoints) return [];
    const was = new Map(old.endpoints.map((endpoint) => [endpoint.id, JSON.stringify(endpoint)]));
    const is = new Map(pool.endpoints.map((endpoint) => [endpoint.id, JSON.stringify(endpoint)]));
    const added = [...is.keys()].filter((id) => !was.has(id));
    const removed = [...was.keys()].filter((id) => !is.has(id));
    const changed = [...is].filter(([id, text]) => was.has(id) && was.get(id) !== text).map(([id]) => id);
    const all = [...added.map((id) => `+${id}`), ...removed.map((id) => `-${id}`), ...changed.map((id) => `~${id}`)];
    if (all.length === 0) return [];
    const examples = all.slice(0, EXAMPLES).join(" ") + (all.length > EXAMPLES ? " …" : "");
    return [{ pool: pool.name, added: added.length, removed: removed.length, changed: changed.length, examples }];
  });
}
