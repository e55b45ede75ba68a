// What of a configuration is never shown: by the API, in the log of changes, by commands.

import type { Config, PoolConfig, RouteConfig } from "../model/config.ts";
import type { HeaderEdits, HeaderLine } from "../model/route-config.ts";

/** What stands for a secret. */
export const MASK = "***";

/** The configuration as it may be shown: secrets are replaced by stars. */
export function withoutSecrets(config: Config): Config {
  const { admin, secret } = config;
  return {
    ...config,
    admin: admin === null || admin.token === null ? admin : { ...admin, token: MASK },
    secret: secret === null ? null : MASK,
    listeners: config.listeners.map((listener) => ({ ...listener, routes: listener.routes.map(maskRoute) })),
    pools: config.pools.map(maskPool),
  };
}

function maskRoute(route: RouteConfig): RouteConfig {
  const { basicAuth, requestHeaders } = route;
  if (basicAuth === null && requestHeaders === null) return route;
  return {
    ...route,
    basicAuth:
      basicAuth === null ? null : { ...basicAuth, users: basicAuth.users.map(({ name }) => ({ name, hash: MASK })) },
    requestHeaders: requestHeaders === null ? null : maskEdits(requestHeaders),
  };
}

/** What is added to requests for endpoints may be what lets them in. */
function maskEdits(edits: HeaderEdits): HeaderEdits {
  const mask = (line: HeaderLine): HeaderLine => (isSecret(line.name) ? { ...line, value: MASK } : line);
  return { ...edits, set: edits.set.map(mask), add: edits.add.map(mask) };
}

/** Health checks may carry credentials. */
function maskPool(pool: PoolConfig): PoolConfig {
  const { health } = pool;
  if (health === null) return pool;
  const headers = Object.entries(health.headers).map(([name, value]) => [name, isSecret(name) ? MASK : value]);
  return { ...pool, health: { ...health, headers: Object.fromEntries(headers) as Record<string, string> } };
}

/** Does a header of this name carry credentials, as far as names tell? */
function isSecret(header: string): boolean {
  return /^(authorization|proxy-authorization|cookie)$|token|secret|key|password/i.test(header);
}
