// From what was typed to the resolved Config: defaults filled in, short forms written out. Also the rules about the
// typing itself, which the Config no longer shows: keys that have no meaning together, keys that need one another.

import type {
  AccessLogConfig,
  AdminConfig,
  BalanceConfig,
  Config,
  EndpointConfig,
  HealthConfig,
  ListenerConfig,
  PoolConfig,
  RouteConfig,
} from "../model/config.ts";
import {
  defaultAccessLog,
  defaultAdmin,
  defaultDecayMs,
  defaultDrainMs,
  defaultEndpoint,
  defaultHashKey,
  defaultHealth,
  defaultHealthCheck,
  defaultKeepAlive,
  defaultListener,
  defaultListenerLimits,
  defaultListenerTimeouts,
  defaultLoadPercent,
  defaultLogLevel,
  defaultNoneHealthy,
  defaultOrder,
  defaultPassive,
  defaultBalance,
  defaultPool,
  defaultQueue,
  defaultResolve,
  defaultRoute,
  defaultRouteTimeouts,
  defaultSlowStartMs,
  defaultUser,
  defaultWorkers,
} from "../model/defaults.ts";
import { formatAddress } from "./address.ts";
import { error, errorAtKey, type Path, type Problem } from "./problem.ts";
import type { ConfigTyped } from "./schema.ts";
import { didYouMean } from "./suggest.ts";

type ListenerTyped = NonNullable<ConfigTyped["listeners"]>[string];
type PoolTyped = NonNullable<ConfigTyped["pools"]>[string];
type RouteTyped = NonNullable<ListenerTyped["routes"]>[number];
type EndpointTyped = PoolTyped["endpoints"][number];
type HealthTyped = Exclude<NonNullable<PoolTyped["health"]>, "off">;

/** The Config, and what is wrong with the typing. With an error among the problems the Config must not be used. */
export function lower(typed: ConfigTyped): { readonly config: Config; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const config: Config = {
    workers: typed.workers === undefined || typed.workers === "auto" ? defaultWorkers : typed.workers,
    user: typed.user ?? defaultUser,
    admin: lowerAdmin(typed.admin),
    accessLog: lowerAccessLog(typed.accessLog, problems),
    logLevel: typed.log?.level ?? defaultLogLevel,
    timeouts: { drainMs: typed.timeouts?.drain ?? defaultDrainMs },
    listeners: Object.entries(typed.listeners ?? {}).map(([name, l]) => lowerListener(name, l, problems)),
    pools: Object.entries(typed.pools ?? {}).map(([name, p]) => lowerPool(name, p, problems)),
    state: null,
    secret: null,
    tests: [],
  };
  return { config, problems };
}

function lowerAdmin(typed: ConfigTyped["admin"]): AdminConfig | null {
  if (typed === "off") return null;
  return { bind: typed?.bind ?? defaultAdmin.bind, token: typed?.token ?? defaultAdmin.token };
}

function lowerAccessLog(typed: ConfigTyped["accessLog"], problems: Problem[]): AccessLogConfig | null {
  if (typed === "off") return null;
  const file = typed?.file ?? defaultAccessLog.file;
  const format = typed?.format ?? defaultAccessLog.format;
  if (format === "json" || format === "combined") return { format, template: "", file };
  if (!format.includes("{")) {
    const hint = didYouMean(format, ["json", "combined"]);
    const message = `expected json, combined or a template with {placeholders}, found ${JSON.stringify(format)}`;
    problems.push(error(["accessLog", "format"], message, hint));
  }
  return { format: "template", template: format, file };
}

function lowerListener(name: string, typed: ListenerTyped, problems: Problem[]): ListenerConfig {
  const path: Path = ["listeners", name];
  if (typed.forward !== undefined && typed.routes !== undefined) {
    problems.push(
      errorAtKey([...path, "forward"], "a listener has either forward or routes", "make it the last route"),
    );
  } else if (typed.forward === undefined && typed.routes === undefined) {
    problems.push(errorAtKey(path, "a listener needs forward or routes", "write forward: and the name of a pool"));
  }
  const routes = typed.routes ?? (typed.forward === undefined ? [] : [{ forward: typed.forward }]);
  const t = typed.timeouts;
  const l = typed.limits;
  return {
    name,
    bind: Array.isArray(typed.bind) ? typed.bind : [typed.bind],
    protocol: "http",
    trustedProxies: typed.trustedProxies ?? [],
    ...defaultListener,
    via: typed.via === undefined || typed.via === "off" ? null : typed.via,
    timeouts: {
      requestHeadMs: t?.requestHead ?? defaultListenerTimeouts.requestHeadMs,
      idleMs: t?.idle ?? defaultListenerTimeouts.idleMs,
      bodyMs: t?.body ?? defaultListenerTimeouts.bodyMs,
      writeMs: t?.write ?? defaultListenerTimeouts.writeMs,
    },
    limits: {
      connections: l?.connections ?? defaultListenerLimits.connections,
      connectionsPerClient: defaultListenerLimits.connectionsPerClient,
      headBytes: l?.headBytes ?? defaultListenerLimits.headBytes,
      headers: l?.headers ?? defaultListenerLimits.headers,
      bodyBytes: l?.bodyBytes ?? defaultListenerLimits.bodyBytes,
      requests: l?.requests ?? defaultListenerLimits.requests,
    },
    routes: routes.map(lowerRoute),
  };
}

function lowerRoute(typed: RouteTyped, index: number): RouteConfig {
  const t = typed.timeouts;
  return {
    ...defaultRoute,
    name: String(index),
    action: { kind: "forward", arms: [{ pool: typed.forward, weight: 1 }], sticky: null },
    timeouts: {
      connectMs: t?.connect ?? defaultRouteTimeouts.connectMs,
      sendMs: t?.send ?? defaultRouteTimeouts.sendMs,
      responseMs: t?.response ?? defaultRouteTimeouts.responseMs,
      totalMs: t?.total ?? defaultRouteTimeouts.totalMs,
      tunnelMs: t?.tunnel ?? defaultRouteTimeouts.tunnelMs,
      tunnelLifetimeMs: defaultRouteTimeouts.tunnelLifetimeMs,
    },
  };
}

function lowerPool(name: string, typed: PoolTyped, problems: Problem[]): PoolConfig {
  const path: Path = ["pools", name];
  return {
    name,
    balance: lowerBalance(typed.balance, [...path, "balance"], problems),
    endpoints: typed.endpoints.map(lowerEndpoint),
    ...defaultPool,
    protocol: "http",
    health: lowerHealth(typed.health, [...path, "health"], problems),
    passive:
      typed.passive === "off"
        ? null
        : {
            maxFails: typed.passive?.maxFails ?? defaultPassive.maxFails,
            failTimeoutMs: typed.passive?.failTimeout ?? defaultPassive.failTimeoutMs,
          },
    slowStartMs: typed.slowStart ?? defaultSlowStartMs,
    keepAlive: {
      connections: typed.keepAlive?.connections ?? defaultKeepAlive.connections,
      idleMs: typed.keepAlive?.idle ?? defaultKeepAlive.idleMs,
      requests: typed.keepAlive?.requests ?? defaultKeepAlive.requests,
    },
    queue: {
      size: typed.queue?.size ?? defaultQueue.size,
      timeoutMs: typed.queue?.timeout ?? defaultQueue.timeoutMs,
    },
    noneHealthy: typed.noneHealthy ?? defaultNoneHealthy,
    resolve: {
      minMs: typed.resolve?.min ?? defaultResolve.minMs,
      maxMs: typed.resolve?.max ?? defaultResolve.maxMs,
    },
  };
}

/** Options that go with one algorithm only. */
const optionOf = [
  ["order", "weighted-round-robin"],
  ["key", "consistent-hash"],
  ["load", "consistent-hash"],
  ["decay", "least-response-time"],
] as const;

function lowerBalance(typed: PoolTyped["balance"], path: Path, problems: Problem[]): BalanceConfig {
  const options = typed === undefined ? { by: defaultBalance } : typeof typed === "string" ? { by: typed } : typed;
  for (const [option, algorithm] of optionOf) {
    if (options[option] === undefined || options.by === algorithm) continue;
    problems.push(
      errorAtKey([...path, option], `${option} has no meaning with ${options.by}`, `it goes with ${algorithm}`),
    );
  }
  switch (options.by) {
    case "weighted-round-robin":
      return { by: options.by, order: options.order ?? defaultOrder };
    case "least-response-time":
      return { by: options.by, decayMs: options.decay ?? defaultDecayMs };
    case "consistent-hash":
      return { by: options.by, key: options.key ?? defaultHashKey, loadPercent: options.load ?? defaultLoadPercent };
    default:
      return { by: options.by };
  }
}

function lowerEndpoint(typed: EndpointTyped): EndpointConfig {
  const short = !("address" in typed);
  const { host, port, unixPath } = short ? typed : typed.address;
  const options = short ? null : typed;
  return {
    id: options?.id ?? formatAddress(host, port, unixPath),
    host,
    port,
    unixPath,
    weight: options?.weight ?? defaultEndpoint.weight,
    backup: options?.backup ?? defaultEndpoint.backup,
    maxConnections: options?.maxConnections ?? defaultEndpoint.maxConnections,
    admin: options?.admin ?? defaultEndpoint.admin,
  };
}

/** Health check keys that only a request has. */
const requestKeys = ["path", "method", "host", "headers", "expect"] as const;

function lowerHealth(typed: PoolTyped["health"], path: Path, problems: Problem[]): HealthConfig | null {
  if (typed === undefined) return defaultHealth;
  if (typed === "off") return null;
  const d = defaultHealthCheck;
  const protocol = typed.protocol ?? d.protocol;
  if (protocol === "tcp") {
    for (const key of requestKeys) {
      if (typed[key] === undefined) continue;
      problems.push(
        errorAtKey([...path, key], `${key} has no meaning with protocol tcp`, "it goes with protocol: http"),
      );
    }
  }
  return {
    protocol,
    path: typed.path ?? d.path,
    method: typed.method ?? d.method,
    host: typed.host ?? d.host,
    headers: typed.headers ?? d.headers,
    port: typed.port ?? d.port,
    intervalMs: typed.interval ?? d.intervalMs,
    timeoutMs: typed.timeout ?? d.timeoutMs,
    healthyThreshold: typed.healthyThreshold ?? d.healthyThreshold,
    unhealthyThreshold: typed.unhealthyThreshold ?? d.unhealthyThreshold,
    expectStatus: lowerStatus(typed.expect?.status),
    expectBody: typed.expect?.body ?? d.expectBody,
    initial: typed.initial ?? d.initial,
  };
}

function lowerStatus(typed: NonNullable<HealthTyped["expect"]>["status"]): HealthConfig["expectStatus"] {
  if (typed === undefined) return defaultHealthCheck.expectStatus;
  return isRange(typed) ? [typed] : typed;
}

/** [200, 299] is one range; [[200, 299]] a list of ranges. */
function isRange(
  status: readonly [number, number] | readonly (readonly [number, number])[],
): status is readonly [number, number] {
  return typeof status[0] === "number";
}
