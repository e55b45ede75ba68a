// The way back: from a resolved Config to what a user may have typed for it. Every key is written out, defaults too.

import { formatMs } from "../base/duration.ts";
import { OFF, type BalanceConfig, type Config, type EndpointConfig } from "../model/config.ts";
import type { HealthConfig, ListenerConfig, PoolConfig, RouteConfig } from "../model/config.ts";
import { formatAddress, formatBind } from "./address.ts";
import { formatSize } from "./units.ts";

/** Plain data as YAML and TypeScript give it. */
export type Typed = Readonly<Record<string, unknown>>;

/**
 * "short": short forms wherever there is one; "long": always maps and lists, so that two of them compare key by key.
 */
export type Style = "short" | "long";

const offOr = (ms: number): string => (ms === OFF ? "off" : formatMs(ms));
const oneOrAll = <T>(list: readonly T[], style: Style): unknown =>
  style === "short" && list.length === 1 ? list[0] : list;
const unlimitedOr = <T>(n: number, text: T): T | "unlimited" => (n === OFF ? "unlimited" : text);

/** What a user may have typed for the config, every key written out. It loads to the same config again. */
export function typeOut(config: Config, style: Style): Typed {
  const { admin, accessLog } = config;
  return {
    workers: config.workers === 0 ? "auto" : config.workers,
    ...(config.user === null ? {} : { user: config.user }),
    admin:
      admin === null
        ? "off"
        : { bind: formatBind(admin.bind), ...(admin.token === null ? {} : { token: admin.token }) },
    accessLog: accessLog === null ? "off" : { format: accessLog.template || accessLog.format, file: accessLog.file },
    log: { level: config.logLevel },
    timeouts: { drain: formatMs(config.timeouts.drainMs) },
    listeners: Object.fromEntries(config.listeners.map((l) => [l.name, typeListener(l, style)])),
    pools: Object.fromEntries(config.pools.map((p) => [p.name, typePool(p, style)])),
  };
}

function typeListener(l: ListenerConfig, style: Style): Typed {
  const binds = l.bind.map(formatBind);
  return {
    bind: oneOrAll(binds, style),
    protocol: l.protocol,
    trustedProxies: l.trustedProxies,
    via: l.via ?? "off",
    timeouts: {
      requestHead: formatMs(l.timeouts.requestHeadMs),
      idle: formatMs(l.timeouts.idleMs),
      body: formatMs(l.timeouts.bodyMs),
      write: formatMs(l.timeouts.writeMs),
    },
    limits: {
      connections: l.limits.connections,
      headBytes: formatSize(l.limits.headBytes),
      headers: l.limits.headers,
      bodyBytes: unlimitedOr(l.limits.bodyBytes, formatSize(l.limits.bodyBytes)),
      requests: unlimitedOr(l.limits.requests, l.limits.requests),
    },
    routes: l.routes.map(typeRoute),
  };
}

function typeRoute(route: RouteConfig): Typed {
  const t = route.timeouts;
  return {
    forward: route.action.kind === "forward" ? route.action.arms[0]!.pool : "",
    timeouts: {
      connect: formatMs(t.connectMs),
      send: formatMs(t.sendMs),
      response: formatMs(t.responseMs),
      total: offOr(t.totalMs),
      tunnel: formatMs(t.tunnelMs),
    },
  };
}

function typePool(p: PoolConfig, style: Style): Typed {
  return {
    balance: typeBalance(p.balance, style),
    endpoints: p.endpoints.map((e) => typeEndpoint(e, style)),
    protocol: p.protocol,
    health: p.health === null ? "off" : typeHealth(p.health, style),
    passive:
      p.passive === null ? "off" : { maxFails: p.passive.maxFails, failTimeout: formatMs(p.passive.failTimeoutMs) },
    slowStart: offOr(p.slowStartMs),
    keepAlive: {
      connections: p.keepAlive.connections,
      idle: formatMs(p.keepAlive.idleMs),
      requests: unlimitedOr(p.keepAlive.requests, p.keepAlive.requests),
    },
    queue: { size: p.queue.size, timeout: formatMs(p.queue.timeoutMs) },
    noneHealthy: p.noneHealthy,
    resolve: { min: formatMs(p.resolve.minMs), max: formatMs(p.resolve.maxMs), servers: [...p.resolve.servers] },
  };
}

function typeBalance(b: BalanceConfig, style: Style): unknown {
  switch (b.by) {
    case "weighted-round-robin":
      return style === "short" && b.order === "smooth" ? b.by : b;
    case "least-response-time":
      return { by: b.by, decay: formatMs(b.decayMs) };
    case "consistent-hash": {
      const key = b.key.name === "" ? b.key.from : `${b.key.from}:${b.key.name}`;
      return { by: b.by, key, load: unlimitedOr(b.loadPercent, `${b.loadPercent}%`) };
    }
    default:
      return style === "short" ? b.by : b;
  }
}

/** An endpoint as it stands in the list of a pool. */
export function typeEndpoint(e: EndpointConfig, style: Style): Typed | string {
  const address = formatAddress(e.host, e.port, e.unixPath);
  const { id, weight, backup, maxConnections, admin } = e;
  const plain = id === address && weight === 1 && !backup && maxConnections === OFF && admin === "ready";
  if (plain && style === "short") return address;
  return { address, id, weight, backup, maxConnections: unlimitedOr(maxConnections, maxConnections), admin };
}

function typeHealth(h: HealthConfig, style: Style): Typed {
  const status = h.expectStatus.map(([low, high]) => (low === high ? low : `${low}-${high}`));
  const request = {
    path: h.path,
    method: h.method,
    ...(h.host === null ? {} : { host: h.host }),
    headers: h.headers,
    expect: {
      status: oneOrAll(status, style),
      ...(h.expectBody === null ? {} : { body: h.expectBody }),
    },
  };
  return {
    protocol: h.protocol,
    ...(h.protocol === "http" ? request : {}),
    ...(h.port === null ? {} : { port: h.port }),
    interval: formatMs(h.intervalMs),
    timeout: formatMs(h.timeoutMs),
    healthyThreshold: h.healthyThreshold,
    unhealthyThreshold: h.unhealthyThreshold,
    initial: h.initial,
  };
}
