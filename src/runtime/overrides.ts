// Weights and operator's words set at run time. They outlive reloads, because an operator who drains an endpoint does
// not want an unrelated change of the file to undo it; but a value that was itself changed in the file is newer, and
// wins.

import type { Config, EndpointConfig } from "../model/config.ts";
import type { AdminWord } from "../stats/words.ts";

/** What a PATCH of an endpoint may change; absent = leave as it is. */
export interface EndpointPatch {
  readonly weight?: number;
  readonly admin?: AdminWord;
}

interface Override {
  weight: { readonly value: number; readonly inFile: number } | null;
  admin: { readonly value: AdminWord; readonly inFile: AdminWord } | null;
}

export interface EffectiveEndpoint {
  readonly weight: number;
  readonly admin: AdminWord;
}

export class Overrides {
  private readonly byKey = new Map<string, Override>();

  /** Sets values at run time. A value equal to the file's is no override any more. */
  set(pool: string, endpoint: EndpointConfig, patch: EndpointPatch): void {
    const key = keyOf(pool, endpoint.id);
    const override = this.byKey.get(key) ?? { weight: null, admin: null };
    const { weight, admin } = patch;
    if (weight !== undefined)
      override.weight = weight === endpoint.weight ? null : { value: weight, inFile: endpoint.weight };
    if (admin !== undefined)
      override.admin = admin === endpoint.admin ? null : { value: admin, inFile: endpoint.admin };
    if (override.weight === null && override.admin === null) this.byKey.delete(key);
    else this.byKey.set(key, override);
  }

  /** What is in force for an endpoint: the override, or the file. */
  effective(pool: string, endpoint: EndpointConfig): EffectiveEndpoint {
    const override = this.byKey.get(keyOf(pool, endpoint.id));
    return {
      weight: override?.weight?.value ?? endpoint.weight,
      admin: override?.admin?.value ?? endpoint.admin,
    };
  }

  /** Drops what a new configuration has overtaken: endpoints that are gone and values the file itself has changed. */
  reconcile(config: Config): void {
    const endpoints = new Map<string, EndpointConfig>();
    for (const pool of config.pools) {
      for (const endpoint of pool.endpoints) endpoints.set(keyOf(pool.name, endpoint.id), endpoint);
    }
    for (const [key, override] of this.byKey) {
      const endpoint = endpoints.get(key);
      if (override.weight?.inFile !== endpoint?.weight) override.weight = null;
      if (override.admin?.inFile !== endpoint?.admin) override.admin = null;
      if (endpoint === undefined || (override.weight === null && override.admin === null)) this.byKey.delete(key);
    }
  }
}

function keyOf(pool: string, id: string): string {
  return `${pool}\n${id}`;
}
