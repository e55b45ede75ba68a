// The way back: from a resolved Config to what a user may have typed for it. Every key is written out, defaults too.

import { formatMs } from "../base/duration.ts";
import { OFF, type BalanceConfig, type Config, type EndpointConfig } from "../model/config.ts";
import type { HealthConfig, ListenerConfig, PoolConfig } from "../model/config.ts";
import type { DiscoveryConfig, OutlierConfig, StickyConfig } from "../model/route-config.ts";
import { formatAddress, formatBind } from "./address.ts";
import { given, offOr, oneOrAll, typeCookie, typeKey, unlimitedOr, type Style, type Typed } from "./type-parts.ts";
import { typeRoute, typeTest } from "./type-route.ts";
import { formatPercent, formatSize } from "./units.ts";

export type { Style, Typed };

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
    ...given({ state: config.state, secret: config.secret }),
    tests: config.tests.map(typeTest),
  };
}

function typeListener(l: ListenerConfig, style: Style): Typed {
  const binds = l.bind.map(formatBind);
  return {
    bind: oneOrAll(binds, style),
    protocol: l.protocol,
    trustedProxies: l.trustedProxies,
    forwarded: l.forwarded,
    paths: l.paths,
    ...given({ access: l.access }),
    via: l.via ?? "off",
    timeouts: {
      requestHead: formatMs(l.timeouts.requestHeadMs),
      idle: formatMs(l.timeouts.idleMs),
      body: formatMs(l.timeouts.bodyMs),
      write: formatMs(l.timeouts.writeMs),
    },
    limits: {
      connections: l.limits.connections,
      connectionsPerClient: unlimitedOr(l.limits.connectionsPerClient, l.limits.connectionsPerClient),
      headBytes: formatSize(l.limits.headBytes),
      headers: l.limits.headers,
      bodyBytes: unlimitedOr(l.limits.bodyBytes, formatSize(l.limits.bodyBytes)),
      requests: unlimitedOr(l.limits.requests, l.limits.requests),
    },
    routes: l.routes.map((route, i) => typeRoute(route, i, style)),
  };
}

function typePool(p: PoolConfig, style: Style): Typed {
  return {
    balance: typeBalance(p.balance, style),
    endpoints: p.endpoints.map((e) => typeEndpoint(e, style)),
    discovery: p.discovery.map(typeDiscovery),
    protocol: p.protocol,
    sticky: p.sticky === null ? "off" : typeSticky(p.sticky),
    outlier: p.outlier === null ? "off" : typeOutlier(p.outlier),
    circuit: {
      connections: unlimitedOr(p.circuit.connections, p.circuit.connections),
      pending: unlimitedOr(p.circuit.pending, p.circuit.pending),
      requests: unlimitedOr(p.circuit.requests, p.circuit.requests),
    },
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
      return { by: b.by, key: typeKey(b.key), load: unlimitedOr(b.loadPercent, `${b.loadPercent}%`) };
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

function typeSticky(s: StickyConfig): Typed {
  if (s.by === "cookie") return { by: s.by, ...typeCookie(s.cookie) };
  return {
    by: s.by,
    ...(s.by === "app-cookie" ? { name: s.name } : {}),
    ttl: formatMs(s.ttlMs),
    size: s.size,
  };
}

function typeOutlier(o: OutlierConfig): Typed {
  return {
    consecutiveFailures: unlimitedOr(o.consecutiveFailures, o.consecutiveFailures),
    interval: formatMs(o.intervalMs),
    ejection: formatMs(o.ejectionMs),
    maxEjection: formatMs(o.maxEjectionMs),
    maxEjected: formatPercent(o.maxEjectedPercent),
    successRate: o.successRate ?? "off",
  };
}

function typeDiscovery(d: DiscoveryConfig): Typed {
  if (d.from === "file") return d;
  return { from: d.from, name: d.name, type: d.type, ...(d.type === "address" ? { port: d.port } : {}) };
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
