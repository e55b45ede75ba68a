// Adding and removing endpoints at run time: what the admin API calls. Each call is answered once the change is in
// force in every worker, or has been taken back.

import { poolEndpointsMax } from "../base/limits.ts";
import { LogLevel } from "../base/ports.ts";
import type { EndpointConfig, PoolConfig } from "../model/config.ts";
import type { Plan } from "../model/plan.ts";
import { endpointKey, formatEndpointAddress } from "./endpoints.ts";
import type { Journal } from "./journal.ts";
import type { Membership, Origin } from "./membership.ts";

/** Why a change was not made. */
export type Refusal =
  | { readonly why: "no-pool" | "no-endpoint" }
  /** The id is taken, by an endpoint from there. */
  | { readonly why: "exists"; readonly origin: Origin }
  | { readonly why: "full"; readonly most: number }
  /** It could not be put in force. */
  | { readonly why: "failed"; readonly reason: string };

export interface EndpointChangesOptions {
  readonly membership: Membership;
  readonly journal: Journal;
  readonly plan: () => Plan | null;
  /** Puts what the edits say in force; "" or why that failed. */
  readonly apply: () => Promise<string>;
}

export class EndpointChanges {
  private readonly options: EndpointChangesOptions;

  constructor(options: EndpointChangesOptions) {
    this.options = options;
  }

  /** Adds an endpoint to a pool; null if that is done. */
  async add(pool: string, endpoint: EndpointConfig, by: string): Promise<Refusal | null> {
    const { membership, journal } = this.options;
    const { edits, discovery } = membership;
    const written = this.poolOf(pool);
    if (written === null) return { why: "no-pool" };
    const { id } = endpoint;
    const edit = edits.of(written);
    const present = this.present(pool);
    if (edit?.added.has(id) === true) return { why: "exists", origin: "api" };
    if (present.has(id) && edit?.removed.has(id) !== true) {
      return { why: "exists", origin: membership.originOf(endpointKey(pool, id)) };
    }
    if (present.size >= poolEndpointsMax) return { why: "full", most: poolEndpointsMax };
    // One that was taken out, and is added as its source has it, is that endpoint again.
    const sources = [written, ...discovery.found(written)].flatMap(({ endpoints }) => endpoints);
    const before = edit?.removed.has(id) === true ? sources.find((source) => source.id === id) : undefined;
    const isBack = before !== undefined && JSON.stringify(before) === JSON.stringify(endpoint);
    const undo = isBack ? edits.restore(written, id) : edits.add(written, endpoint);
    const trouble = await this.apply(undo, () => this.present(pool).has(id));
    if (trouble !== null) return trouble;
    journal.record(LogLevel.Info, "endpoint added", {
      pool,
      endpoint: id,
      address: formatEndpointAddress(endpoint),
      weight: endpoint.weight,
      by,
    });
    return null;
  }

  /** Takes an endpoint out of a pool, wherever it came from; null if that is done. */
  async remove(pool: string, id: string, by: string): Promise<Refusal | null> {
    const { membership, journal } = this.options;
    const written = this.poolOf(pool);
    if (written === null) return { why: "no-pool" };
    if (!this.present(pool).has(id)) return { why: "no-endpoint" };
    const origin = membership.originOf(endpointKey(pool, id));
    const trouble = await this.apply(membership.edits.remove(written, id), () => !this.present(pool).has(id));
    if (trouble !== null) return trouble;
    journal.record(LogLevel.Info, "endpoint removed", { pool, endpoint: id, origin, by });
    return null;
  }

  private poolOf(name: string): PoolConfig | null {
    return this.options.membership.written?.pools.find((pool) => pool.name === name) ?? null;
  }

  /** Ids of the pool's endpoints in force. */
  private present(pool: string): ReadonlySet<string> {
    const found = this.options.plan()?.config.pools.find(({ name }) => name === pool);
    return new Set(found?.endpoints.map(({ id }) => id));
  }

  private async apply(undo: () => void, isDone: () => boolean): Promise<Refusal | null> {
    const reason = await this.options.apply();
    if (reason !== "") {
      undo();
      return { why: "failed", reason };
    }
    return isDone() ? null : { why: "failed", reason: "another change of the pool came first" };
  }
}
