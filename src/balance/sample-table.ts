// Endpoint tables out of thin air, for tests, benches and simulations. The running program builds its tables in
// src/pool/.

import { mix32 } from "../base/hash.ts";
import { WEIGHT_SCALE, type EndpointTable } from "./balancer.ts";

/** A table of usable, idle endpoints with these effective weights (in 1/WEIGHT_SCALE); row i is index i. */
export function sampleTable(weights: readonly number[]): EndpointTable {
  const count = weights.length;
  return {
    count,
    weight: Int32Array.from(weights),
    ramp: new Int32Array(count).fill(WEIGHT_SCALE),
    usable: new Uint8Array(count).fill(1),
    idHash: Uint32Array.from(weights, (_, i) => mix32(i + 0x5bd1e995)),
    activeMax: new Int32Array(count),
    row: Int32Array.from(weights, (_, i) => i),
    active: new Int32Array(count),
    latencyUs: new Float64Array(count),
    latencyAtMs: new Float64Array(count),
    upSinceMs: new Float64Array(count),
  };
}

/** Changes one flag; the balancer must be told with tableChanged(). */
export function setUsable(table: EndpointTable, i: number, usable: boolean): void {
  table.usable[i] = usable ? 1 : 0;
}
