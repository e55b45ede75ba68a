// Plan -> Generation: resolves names to objects, prepares what requests will need, and takes over from the previous
// generation every pool whose settings and endpoints are the same, with its balancer's position and its queue. It
// touches nothing live.

import { parseCidr } from "../base/ip.ts";
import type { Target } from "../base/ports.ts";
import { planeOf, type WorkerContext } from "../http/data-plane.ts";
import type { Generation, ListenerPlan } from "../http/generation.ts";
import { PoolRuntime } from "../http/pool-runtime.ts";
import type { HookFunctions } from "../config/ts/hooks.ts";
import type { EndpointConfig, ListenerConfig, PoolConfig } from "../model/config.ts";
import type { Plan } from "../model/plan.ts";
import { ConnectionShare } from "../pool/connection-share.ts";
import { Pool } from "../pool/pool.ts";
import type { Member } from "../pool/roster.ts";
import { parseIp } from "../base/ip.ts";
import { buildStickiness, sessionTableName, type StickyParts } from "../pool/stickiness/build.ts";
import { TokenBox } from "../pool/stickiness/token.ts";
import { compilePathRules } from "../route/path.ts";
import { AccessList } from "../limit/access.ts";
import { LimitBook } from "../limit/limit-book.ts";
import { compileRoutes, type RouteParts } from "./compile-route.ts";
import { latin1 } from "../wire/h1/tables.ts";

/** hooks: of plan.hooks. Throws an Error with a sentence for the operator when the plan cannot be served. */
export function compile(
  plan: Plan,
  previous: Generation | null,
  context: WorkerContext,
  hooks: readonly HookFunctions[] = [],
): Generation {
  const { columns, worker } = context;
  const { arena, seed } = columns;
  const { tables, workers } = plan;
  const sticky = { clock: context.env.clock, box: tokenBox(plan, previous, context), seed, arena, tables };
  const pools = new Map<string, PoolRuntime>();
  for (const config of plan.config.pools) {
    pools.set(config.name, compilePool(config, plan, previous, context, sticky));
  }
  const limits = new LimitBook(plan.config, { arena, tables, workers, worker }, previous?.limits ?? null);
  const { clock, timers, rng, log } = context.env;
  const own = (): ReturnType<RouteParts["own"]> => {
    const { connector, mirrorLoad: load } = planeOf(context);
    return { clock, timers, connector, load };
  };
  const countersOf = (pool: string): Float64Array => columns.pool(worker, plan.poolRows[pool]!);
  const parts: RouteParts = {
    pools,
    limits,
    sticky,
    passwords: context.passwords,
    compressors: context.compressors,
    hooks: { pools, clock, timers, log, functions: hooks },
    rng,
    own,
    countersOf,
    learnedBefore: previous?.learned ?? null,
    learned: { logins: new Map(), answers: new Map() },
  };
  const listeners = new Map<string, ListenerPlan>();
  for (const config of plan.config.listeners) {
    listeners.set(config.name, compileListener(config, plan, worker, parts));
  }
  const { accessLog } = plan.config;
  const { cookieKeys } = plan;
  const shared = { limits, learned: parts.learned, tokens: { keys: cookieKeys.join(" "), box: sticky.box } };
  return { number: plan.generation, accessLog, listeners, pools, ...shared, exchanges: 0 };
}

/** The seals of cookies; those of the generation before, if the keys are the same. */
function tokenBox(plan: Plan, previous: Generation | null, context: WorkerContext): TokenBox | null {
  const { cookieKeys } = plan;
  if (cookieKeys.length === 0) return null;
  if (previous !== null && previous.tokens.keys === cookieKeys.join(" ")) return previous.tokens.box;
  return new TokenBox(context.newSealer(cookieKeys));
}

function compilePool(
  config: PoolConfig,
  plan: Plan,
  previous: Generation | null,
  context: WorkerContext,
  sticky: StickyParts,
): PoolRuntime {
  const rows = plan.endpointRows[config.name] ?? {};
  const members = config.endpoints.map((endpoint): Member => {
    const row = rows[endpoint.id];
    if (row === undefined) throw new Error(`endpoint ${config.name}/${endpoint.id} has no row`);
    return { config: endpoint, row, target: targetOf(endpoint, plan.resolved[row]) };
  });
  const row = plan.poolRows[config.name];
  if (row === undefined) throw new Error(`pool ${config.name} has no row`);
  const { connections } = config.circuit;
  // Addresses of names are not part of the key: they change without a new generation.
  const table = plan.tables[sessionTableName(config.name)] ?? 0;
  const keys = config.sticky?.by === "cookie" ? plan.cookieKeys : [];
  const rowNumbers = members.map((member) => member.row);
  const key = JSON.stringify([config, row, rowNumbers, connections && plan.workers, table, keys]);
  const known = previous?.pools.get(config.name);
  if (known !== undefined && known.key === key) return known;
  const { env, columns, worker } = context;
  const { clock, timers } = env;
  // What has been spent stays spent: endpoints that come and go must not fill the budget again.
  const pool = new Pool(config, members, columns, worker, env.rng, clock, row, known?.pool.budget);
  const shared = { workers: plan.workers, columns, worker, row, clock, timers };
  const endpoints = members.map((member) => member.row);
  const share = connections === 0 ? null : new ConnectionShare({ ...shared, max: connections, endpoints });
  const ids = members.map((member) => member.config.id);
  const stickiness = buildStickiness(config.name, config.sticky, ids, sticky);
  return new PoolRuntime(config.name, key, pool, clock, timers, share, stickiness);
}

function targetOf(endpoint: EndpointConfig, resolved: string | null | undefined): Target | null {
  if (endpoint.unixPath !== null) return { ip: "", port: 0, unixPath: endpoint.unixPath };
  const ip = parseIp(endpoint.host) !== null ? endpoint.host : (resolved ?? null);
  return ip === null ? null : { ip, port: endpoint.port, unixPath: null };
}

/** A worker's part of a limit for the whole balancer; everybody has at least one. */
function shareOf(limit: number, worker: number, workers: number): number {
  return Math.max(1, Math.floor(limit / workers) + (worker < limit % workers ? 1 : 0));
}

function compileListener(config: ListenerConfig, plan: Plan, worker: number, parts: RouteParts): ListenerPlan {
  const row = plan.listenerRows[config.name];
  if (row === undefined) throw new Error(`listener ${config.name} has no row`);
  const trustedProxies = config.trustedProxies.map((text) => {
    const block = parseCidr(text);
    if (block === null) throw new Error(`listener ${config.name}: "${text}" is no CIDR block`);
    return block;
  });
  return {
    name: config.name,
    row,
    config,
    trustedProxies,
    viaLine: config.via === null ? null : latin1(`Via: 1.1 ${config.via}\r\n`),
    // The limit is for the whole balancer; each worker holds its share, since the kernel spreads connections evenly.
    connectionsMax: shareOf(config.limits.connections, worker, plan.workers),
    access: config.access === null ? null : new AccessList(config.access),
    connectionsPerClient: parts.limits.connectionsOf(config),
    pathRules: compilePathRules(config.paths),
    router: compileRoutes(config, parts),
  };
}
