// Rows of the shared columns that are about to get a new name: they start from nothing.

import type { Config } from "../model/config.ts";
import { Health, type Columns } from "../stats/columns.ts";
import { adminOf } from "../stats/words.ts";
import { clearEndpointRow, clearListenerRow, clearPoolRow } from "./counters.ts";
import { endpointKey } from "./endpoints.ts";
import type { RowProposal } from "./rows.ts";

export interface FreshRows {
  readonly endpointRows: RowProposal;
  readonly listenerRows: RowProposal;
  readonly poolRows: RowProposal;
  /** How many workers there have been: rows of others have never been touched, and stay unallocated memory. */
  readonly workers: number;
  /** Pools that serve already: who joins them is given its load step by step, if the pool is so configured. */
  readonly serving: ReadonlySet<string>;
  readonly nowMs: number;
}

/** Clears the rows whose names are new in the configuration. */
export function clearFreshRows(columns: Columns, config: Config, rows: FreshRows): void {
  const { endpointRows, listenerRows, poolRows, workers, serving, nowMs } = rows;
  for (const row of listenerRows.fresh) clearListenerRow(columns, workers, row);
  for (const row of poolRows.fresh) clearPoolRow(columns, workers, row);
  const fresh = new Set(endpointRows.fresh);
  for (const pool of config.pools) {
    for (const endpoint of pool.endpoints) {
      const row = endpointRows.rows.get(endpointKey(pool.name, endpoint.id))!;
      if (!fresh.has(row)) continue;
      clearEndpointRow(columns, workers, row);
      Atomics.store(columns.health, row, Health.Unknown);
      Atomics.store(columns.weight, row, endpoint.weight);
      Atomics.store(columns.admin, row, adminOf(endpoint.admin));
      if (serving.has(pool.name)) columns.upSinceMs[row] = nowMs;
    }
  }
}
