// The sources of a configuration: opens those that are new, keeps those that stay with what they know, closes those
// that are gone. Two pools that ask the same share one source.

import type { Config, EndpointConfig, PoolConfig } from "../model/config.ts";
import type { DiscoveryConfig } from "../model/route-config.ts";
import { DnsSource } from "./dns-source.ts";
import { FileSource } from "./file-source.ts";
import { Settling } from "./settling.ts";
import type { Source, SourceEnv, SourceReport } from "./source.ts";

/** What a source of a pool has found. */
export interface Found {
  readonly from: DiscoveryConfig["from"];
  readonly endpoints: readonly EndpointConfig[];
}

export class Discovery {
  private readonly env: SourceEnv;
  private readonly sources = new Map<string, Source>();
  private readonly settling: Settling;

  /** env.onChange is called when the endpoints of some source are different, or it has answered for the first time. */
  constructor(env: SourceEnv) {
    this.settling = new Settling(env.clock, env.timers, () => this.allAnswered());
    const onChange = (): void => {
      this.settling.look();
      env.onChange();
    };
    this.env = { ...env, onChange };
  }

  /** Opens the sources of a configuration that are not open yet; closes none. */
  ensure(config: Config): void {
    for (const [key, wanted, pool] of wishes(config)) {
      if (!this.sources.has(key)) this.sources.set(key, this.open(wanted, pool));
    }
  }

  /** Makes these the sources: closes all others. */
  reconcile(config: Config): void {
    this.ensure(config);
    const wanted = new Set(wishes(config).map(([key]) => key));
    for (const [key, source] of this.sources) {
      if (wanted.has(key)) continue;
      source.close();
      this.sources.delete(key);
    }
  }

  /** Resolves once every source has had its first answer, good or bad, or after timeoutMs. */
  settled(timeoutMs: number): Promise<void> {
    return this.settling.wait(timeoutMs);
  }

  /** What the sources of a pool have found, in their order. The pool's sources are open. */
  found(pool: PoolConfig): readonly Found[] {
    return pool.discovery.map((wanted) => ({
      from: wanted.from,
      endpoints: this.sources.get(keyOf(wanted, pool))?.endpoints ?? [],
    }));
  }

  /** True once every source of the pool has answered. */
  hasAnswered(pool: PoolConfig): boolean {
    return pool.discovery.every((wanted) => this.sources.get(keyOf(wanted, pool))?.answered === true);
  }

  reports(pool: PoolConfig, nowMs: number): readonly SourceReport[] {
    return pool.discovery.flatMap((wanted) => this.sources.get(keyOf(wanted, pool))?.report(nowMs) ?? []);
  }

  stop(): void {
    for (const source of this.sources.values()) source.close();
    this.sources.clear();
  }

  private open(wanted: DiscoveryConfig, pool: PoolConfig): Source {
    return wanted.from === "dns"
      ? new DnsSource(wanted, pool.resolve, this.env)
      : new FileSource(wanted.path, this.env);
  }

  private allAnswered(): boolean {
    for (const source of this.sources.values()) if (!source.answered) return false;
    return true;
  }
}

function wishes(config: Config): readonly (readonly [key: string, wanted: DiscoveryConfig, pool: PoolConfig])[] {
  return config.pools.flatMap((pool) => pool.discovery.map((wanted) => [keyOf(wanted, pool), wanted, pool] as const));
}

/** What makes two sources the same. Name servers and times matter to DNS alone. */
function keyOf(wanted: DiscoveryConfig, pool: PoolConfig): string {
  return JSON.stringify(wanted.from === "dns" ? [wanted, pool.resolve] : wanted);
}
