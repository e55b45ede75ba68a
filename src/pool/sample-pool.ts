// Pools out of thin air, for tests and simulations: configuration with quiet defaults, members on consecutive rows, a
// clock that stands still until it is moved. The running program does not import this.

import type { Clock } from "../base/ports.ts";
import type { EndpointConfig, PoolConfig } from "../model/config.ts";
import { defaultPool } from "../model/defaults.ts";
import { columnsBytes, Health, openColumns, type Columns, type ColumnsSize } from "../stats/columns.ts";
import type { Member } from "./roster.ts";

export class SetClock implements Clock {
  cachedMs = 100_000;

  nowMs(): number {
    return this.cachedMs;
  }

  wallMs(): number {
    return this.cachedMs;
  }
}

/** What a test says of an endpoint; the rest is default: weight 1, no limit, health up. */
export interface SampleEndpoint {
  readonly weight?: number;
  readonly backup?: boolean;
  readonly maxConnections?: number;
  readonly health?: Health;
}

export function samplePoolConfig(change: Partial<PoolConfig>): PoolConfig {
  return {
    name: "sample",
    balance: { by: "weighted-round-robin", order: "smooth" },
    endpoints: [],
    ...defaultPool,
    protocol: "http",
    health: null,
    passive: null,
    slowStartMs: 0,
    keepAlive: { connections: 128, idleMs: 60_000, requests: 0 },
    queue: { size: 0, timeoutMs: 0 },
    noneHealthy: "fail",
    resolve: { minMs: 1000, maxMs: 60_000, servers: [] },
    ...change,
  };
}

export const sampleSize: ColumnsSize = { workers: 2, listeners: 1, endpoints: 64 };

/** Fresh columns over memory of their own, or over a buffer that another "worker" uses too. */
export function sampleColumns(memory?: ArrayBuffer, size: ColumnsSize = sampleSize): Columns {
  return openColumns(memory ?? new ArrayBuffer(columnsBytes(size)), size);
}

/** Members on the rows 0, 1, …, with targets, and their weights and health written into the columns. */
export function sampleMembers(columns: Columns, endpoints: readonly SampleEndpoint[]): Member[] {
  return endpoints.map((endpoint, row) => {
    const config: EndpointConfig = {
      id: `e${row}`,
      host: `192.0.2.${row + 1}`,
      port: 80,
      unixPath: null,
      weight: endpoint.weight ?? 1,
      backup: endpoint.backup ?? false,
      maxConnections: endpoint.maxConnections ?? 0,
      admin: "ready",
    };
    columns.weight[row] = config.weight;
    columns.health[row] = endpoint.health ?? Health.Up;
    return { config, row, target: { ip: config.host, port: config.port, unixPath: null } };
  });
}
