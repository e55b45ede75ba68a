// Pools as typed, resolved: defaults filled in, short forms written out, keys that have no meaning together refused.

import { OFF, type BalanceConfig, type EndpointConfig, type HealthConfig, type PoolConfig } from "../model/config.ts";
import {
  defaultBalance,
  defaultCircuit,
  defaultDecayMs,
  defaultEndpoint,
  defaultHashKey,
  defaultHealth,
  defaultHealthCheck,
  defaultKeepAlive,
  defaultLoadPercent,
  defaultNoneHealthy,
  defaultOrder,
  defaultPassive,
  defaultQueue,
  defaultResolve,
  defaultSlowStartMs,
} from "../model/defaults.ts";
import {
  defaultAppCookieTtlMs,
  defaultOutlier,
  defaultSourceTtlMs,
  defaultStickyName,
  defaultStickySize,
  defaultSuccessRate,
} from "../model/policy-defaults.ts";
import type { CircuitConfig, DiscoveryConfig, OutlierConfig, StickyConfig } from "../model/route-config.ts";
import { formatAddress } from "./address.ts";
import { asList } from "./as-list.ts";
import { lowerCookie } from "./lower-route.ts";
import { error, errorAtKey, missing, noMeaning, type Path, type Problem } from "./problem.ts";
import { endpointsExpects } from "./schema-pool.ts";
import type { ConfigTyped } from "./schema.ts";

type PoolTyped = NonNullable<ConfigTyped["pools"]>[string];
type EndpointTyped = NonNullable<PoolTyped["endpoints"]>[number];
type HealthTyped = Exclude<NonNullable<PoolTyped["health"]>, "off">;
type StickyTyped = Exclude<NonNullable<PoolTyped["sticky"]>, "off">;
type DiscoveryTyped = Extract<PoolTyped["discovery"], readonly unknown[]>[number];

/** One pool. */
export function lowerPool(name: string, typed: PoolTyped, problems: Problem[]): PoolConfig {
  const path: Path = ["pools", name];
  const sources = asList(typed.discovery);
  const discovery = sources.flatMap((source, i) => lowerDiscovery(source, [...path, "discovery", i], problems));
  if (typed.endpoints === undefined && sources.length === 0) {
    problems.push(missing([...path, "endpoints"], endpointsExpects));
  }
  return {
    name,
    balance: lowerBalance(typed.balance, [...path, "balance"], problems),
    endpoints: (typed.endpoints ?? []).map(lowerEndpoint),
    discovery,
    protocol: "http",
    sticky: lowerSticky(typed.sticky, [...path, "sticky"], problems),
    outlier: lowerOutlier(typed.outlier),
    circuit: lowerCircuit(typed.circuit),
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
      servers: typed.resolve?.servers ?? defaultResolve.servers,
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
    problems.push(noMeaning([...path, option], options.by, algorithm));
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

/** One endpoint, as it stands in a list of them. */
export function lowerEndpoint(typed: EndpointTyped): EndpointConfig {
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
      problems.push(noMeaning([...path, key], "protocol tcp", "protocol: http"));
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

/** What goes with which kind of stickiness. */
const stickyKeys = {
  cookie: ["name", "ttl", "secure", "httpOnly", "sameSite", "path", "domain"],
  "app-cookie": ["name", "ttl", "size"],
  "source-ip": ["ttl", "size"],
} as const satisfies Record<StickyTyped["by"], readonly (keyof StickyTyped)[]>;

function lowerSticky(typed: PoolTyped["sticky"], path: Path, problems: Problem[]): StickyConfig | null {
  if (typed === undefined || typed === "off") return null;
  const fitting: readonly string[] = stickyKeys[typed.by];
  for (const [key, value] of Object.entries(typed)) {
    if (value === undefined || key === "by" || fitting.includes(key)) continue;
    const others = Object.entries(stickyKeys).filter(([, keys]) => (keys as readonly string[]).includes(key));
    problems.push(noMeaning([...path, key], `by: ${typed.by}`, `by: ${others.map(([by]) => by).join(" or ")}`));
  }
  if (typed.by === "cookie") return { by: "cookie", cookie: lowerCookie(typed, defaultStickyName) };
  const size = typed.size ?? defaultStickySize;
  if (typed.ttl === OFF) {
    problems.push(
      error([...path, "ttl"], "what is remembered must be forgotten at last", "write a long time such as 1d"),
    );
  }
  if (typed.by === "source-ip") return { by: "source-ip", ttlMs: typed.ttl ?? defaultSourceTtlMs, size };
  if (typed.name === undefined) problems.push(missing([...path, "name"], "the name of the application's cookie"));
  return { by: "app-cookie", name: typed.name ?? "", ttlMs: typed.ttl ?? defaultAppCookieTtlMs, size };
}

function lowerOutlier(typed: PoolTyped["outlier"]): OutlierConfig | null {
  if (typed === undefined || typed === "off") return null;
  const d = defaultOutlier;
  const rate = typed.successRate;
  return {
    consecutiveFailures: typed.consecutiveFailures ?? d.consecutiveFailures,
    intervalMs: typed.interval ?? d.intervalMs,
    ejectionMs: typed.ejection ?? d.ejectionMs,
    maxEjectionMs: typed.maxEjection ?? Math.max(d.maxEjectionMs, typed.ejection ?? d.ejectionMs),
    maxEjectedPercent: typed.maxEjected ?? d.maxEjectedPercent,
    successRate:
      rate === undefined || rate === "off"
        ? null
        : {
            minEndpoints: rate.minEndpoints ?? defaultSuccessRate.minEndpoints,
            minRequests: rate.minRequests ?? defaultSuccessRate.minRequests,
            stdevFactor: rate.stdevFactor ?? defaultSuccessRate.stdevFactor,
          },
  };
}

function lowerCircuit(typed: PoolTyped["circuit"]): CircuitConfig {
  return {
    connections: typed?.connections ?? defaultCircuit.connections,
    pending: typed?.pending ?? defaultCircuit.pending,
    requests: typed?.requests ?? defaultCircuit.requests,
  };
}

function lowerDiscovery(typed: DiscoveryTyped, path: Path, problems: Problem[]): DiscoveryConfig[] {
  const fitting: readonly string[] = typed.from === "dns" ? ["name", "type", "port"] : ["path"];
  for (const [key, value] of Object.entries(typed)) {
    if (value === undefined || key === "from" || fitting.includes(key)) continue;
    problems.push(noMeaning([...path, key], `from: ${typed.from}`, `from: ${typed.from === "dns" ? "file" : "dns"}`));
  }
  if (typed.from === "file") {
    if (typed.path === undefined) problems.push(missing([...path, "path"], "the path of a file"));
    return [{ from: "file", path: typed.path ?? "" }];
  }
  if (typed.name === undefined) problems.push(missing([...path, "name"], "a host name"));
  const type = typed.type ?? "address";
  if (type === "srv" && typed.port !== undefined) {
    problems.push(errorAtKey([...path, "port"], "port has no meaning with type: srv", "SRV records have the ports"));
  } else if (type === "address" && typed.port === undefined) {
    problems.push(error(path, "address records say no port", "write port: and its number, or type: srv"));
  }
  return [{ from: "dns", name: (typed.name ?? "").toLowerCase(), type, port: typed.port ?? 0 }];
}
