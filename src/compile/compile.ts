// Plan -> Generation: resolves names to objects, prepares what requests will need, and takes over from the previous
// generation every pool whose settings and endpoints are the same, with its balancer's position and its queue. It
// touches nothing live.

import { parseCidr } from "../base/ip.ts";
import type { Target } from "../base/ports.ts";
import type { WorkerContext } from "../http/data-plane.ts";
import type { Generation, ListenerPlan, Route } from "../http/generation.ts";
import { PoolRuntime } from "../http/pool-runtime.ts";
import type { EndpointConfig, ListenerConfig, PoolConfig, RouteConfig } from "../model/config.ts";
import type { Plan } from "../model/plan.ts";
import { ConnectionShare } from "../pool/connection-share.ts";
import { Pool } from "../pool/pool.ts";
import type { Member } from "../pool/roster.ts";
import { parseIp } from "../base/ip.ts";
import { latin1 } from "../wire/h1/tables.ts";

/** Throws an Error with a sentence for the operator when the plan cannot be served. */
export function compile(plan: Plan, previous: Generation | null, context: WorkerContext): Generation {
  const pools = new Map<string, PoolRuntime>();
  for (const config of plan.config.pools) {
    pools.set(config.name, compilePool(config, plan, previous, context));
  }
  const listeners = new Map<string, ListenerPlan>();
  for (const config of plan.config.listeners) {
    listeners.set(config.name, compileListener(config, plan, pools, context.worker));
  }
  return { number: plan.generation, accessLog: plan.config.accessLog, listeners, pools, exchanges: 0 };
}

function compilePool(config: PoolConfig, plan: Plan, previous: Generation | null, context: WorkerContext): PoolRuntime {
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
  const key = JSON.stringify([config, row, members.map((member) => member.row), connections && plan.workers]);
  const known = previous?.pools.get(config.name);
  if (known !== undefined && known.key === key) return known;
  const { env, columns, worker } = context;
  const { clock, timers } = env;
  // What has been spent stays spent: endpoints that come and go must not fill the budget again.
  const pool = new Pool(config, members, columns, worker, env.rng, clock, row, known?.pool.budget);
  const shared = { workers: plan.workers, columns, worker, row, clock, timers };
  const endpoints = members.map((member) => member.row);
  const share = connections === 0 ? null : new ConnectionShare({ ...shared, max: connections, endpoints });
  return new PoolRuntime(config.name, key, pool, clock, timers, share);
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

function compileListener(
  config: ListenerConfig,
  plan: Plan,
  pools: ReadonlyMap<string, PoolRuntime>,
  worker: number,
): ListenerPlan {
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
    routes: config.routes.map((route) => compileRoute(config.name, route, pools)),
  };
}

function compileRoute(listener: string, config: RouteConfig, pools: ReadonlyMap<string, PoolRuntime>): Route {
  const name = config.action.kind === "forward" ? config.action.arms[0]?.pool : undefined;
  if (name === undefined) throw new Error(`listener ${listener}: route ${config.name} forwards nowhere`);
  const pool = pools.get(name);
  if (pool === undefined) throw new Error(`listener ${listener}: no pool "${name}"`);
  const { connectMs, sendMs, responseMs, totalMs, tunnelMs } = config.timeouts;
  return { pool, connectMs, sendMs, responseMs, totalMs, tunnelMs };
}
