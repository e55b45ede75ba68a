// Walks over the endpoints of a configuration: which host names it needs, what the health monitor is to watch, what the
// workers must know of addresses. Pure.

import { parseIp } from "../base/ip.ts";
import type { Config, EndpointConfig, PoolConfig } from "../model/config.ts";
import type { Plan } from "../model/plan.ts";
import type { Subject } from "../health/monitor.ts";
import type { NameWish } from "./resolver.ts";

/** The name of an endpoint in tables over all pools. */
export function endpointKey(pool: string, id: string): string {
  return `${pool}\n${id}`;
}

export function poolOfKey(key: string): string {
  return key.slice(0, key.indexOf("\n"));
}

/** Every endpoint's key, in the order of the configuration. */
export function endpointKeys(config: Config): readonly string[] {
  return config.pools.flatMap((pool) => pool.endpoints.map((endpoint) => endpointKey(pool.name, endpoint.id)));
}

/** True if the endpoint is given by a name that must be resolved. */
export function isNamed(endpoint: EndpointConfig): boolean {
  const { unixPath, host } = endpoint;
  // An IPv6 literal may carry a zone, which parseIp does not know; names have no colon.
  return unixPath === null && !host.includes(":") && parseIp(host) === null;
}

/** What the resolver is asked for an endpoint. */
export function nameWish(pool: PoolConfig, endpoint: EndpointConfig): NameWish {
  return { name: endpoint.host, ...pool.resolve };
}

export function nameWishes(config: Config): readonly NameWish[] {
  return config.pools.flatMap((pool) => pool.endpoints.filter(isNamed).map((endpoint) => nameWish(pool, endpoint)));
}

/** "10.0.0.1:80", "[::1]:80", "name:80" or "unix:/path": an endpoint's address as the configuration writes it. */
export function formatEndpointAddress(endpoint: EndpointConfig): string {
  const { host, port, unixPath } = endpoint;
  if (unixPath !== null) return `unix:${unixPath.replace("\0", "@")}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Row -> address of the endpoints given by name. */
export function resolvedOf(
  config: Config,
  rows: ReadonlyMap<string, number>,
  addressOf: (wish: NameWish) => string | null,
): Plan["resolved"] {
  const resolved: Record<number, string | null> = {};
  for (const pool of config.pools) {
    for (const endpoint of pool.endpoints) {
      if (!isNamed(endpoint)) continue;
      resolved[rows.get(endpointKey(pool.name, endpoint.id))!] = addressOf(nameWish(pool, endpoint));
    }
  }
  return resolved;
}

/** What the health monitor is to watch while this plan is in force. */
export function subjectsOf(plan: Plan): readonly Subject[] {
  return plan.config.pools.flatMap((pool) =>
    pool.endpoints.map((endpoint) => {
      const row = plan.endpointRows[pool.name]![endpoint.id]!;
      const ip = isNamed(endpoint) ? (plan.resolved[row] ?? null) : endpoint.host;
      return {
        pool: pool.name,
        id: endpoint.id,
        row,
        target: ip === null ? null : { ip, port: endpoint.port, unixPath: endpoint.unixPath },
        authority: endpoint.unixPath === null ? formatEndpointAddress(endpoint) : "localhost",
        settings: pool.health,
      };
    }),
  );
}

/** Pool -> endpoint id -> row, as a Plan has it. */
export function nestRows(config: Config, rows: ReadonlyMap<string, number>): Plan["endpointRows"] {
  return Object.fromEntries(
    config.pools.map((pool) => [
      pool.name,
      Object.fromEntries(pool.endpoints.map(({ id }) => [id, rows.get(endpointKey(pool.name, id))!])),
    ]),
  );
}
