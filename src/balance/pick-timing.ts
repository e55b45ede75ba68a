// What one pick costs, for the benches beside the algorithms. The clock is an argument; the running program does not
// import this.

import { mix32 } from "../base/hash.ts";
import { seededRng } from "../base/seeded-rng.ts";
import type { BalanceConfig } from "../model/config.ts";
import { WEIGHT_SCALE } from "./balancer.ts";
import { newPickState } from "./pick-state.ts";
import { createBalancer } from "./registry.ts";
import { sampleTable } from "./sample-table.ts";

/** Nanoseconds per pick from count endpoints of three weights whose loads change with each pick. */
export function timePicks(config: BalanceConfig, count: number, iterations: number, nowNs: () => number): number {
  const table = sampleTable(Array.from({ length: count }, (_, i) => (1 + (i % 3)) * WEIGHT_SCALE));
  table.latencyUs.fill(1000);
  const balancer = createBalancer(config, count, seededRng(1));
  balancer.tableChanged(table);
  const state = newPickState(count);
  const started = nowNs();
  for (let k = 0; k < iterations; k++) {
    state.hash = mix32(k + 1);
    state.nowMs = k;
    const i = balancer.pick(table, state);
    table.active[i] = (table.active[i]! + 1) & 7;
  }
  return (nowNs() - started) / iterations;
}
