// Least connections, weighted: the endpoint with the fewest requests in progress per unit of weight, counted over all
// workers. Among equals it takes smooth weighted turns, so that an idle pool is shared by weight instead of falling to
// the first.

import { eligible, type Balancer, type EndpointTable, type PickState } from "./balancer.ts";
import { SmoothTurns } from "./smooth-turns.ts";

export class LeastConnections implements Balancer {
  readonly name = "least-connections";
  readonly wantsHash = false;
  private readonly turns: SmoothTurns;
  /** The equals of the current pick, in order. */
  private readonly equals: Int32Array;

  constructor(count: number) {
    this.turns = new SmoothTurns(count);
    this.equals = new Int32Array(count);
  }

  /** Compares active/weight by cross multiplication (nginx least_conn); products stay below 2^53. */
  pick(table: EndpointTable, state: PickState): number {
    const { equals } = this;
    const { count, weight, active, row } = table;
    let equal = 0;
    let bestActive = 0;
    let bestWeight = 1;
    for (let i = 0; i < count; i++) {
      if (!eligible(table, state, i)) continue;
      const a = active[row[i]!]!;
      const w = weight[i]!;
      const mine = a * bestWeight;
      const theirs = bestActive * w;
      if (equal !== 0 && mine > theirs) continue;
      if (equal === 0 || mine < theirs) {
        equal = 0;
        bestActive = a;
        bestWeight = w;
      }
      equals[equal++] = i;
    }
    if (equal === 0) return -1;
    return equal === 1 ? equals[0]! : this.takeTurn(table, equal);
  }

  private takeTurn(table: EndpointTable, equal: number): number {
    const { equals } = this;
    const { current } = this.turns;
    let best = -1;
    let bestCurrent = 0;
    let total = 0;
    for (let k = 0; k < equal; k++) {
      const i = equals[k]!;
      const w = table.weight[i]!;
      const c = current[i]! + w;
      current[i] = c;
      total += w;
      if (best < 0 || c > bestCurrent) {
        best = i;
        bestCurrent = c;
      }
    }
    current[best] = bestCurrent - total;
    return best;
  }

  tableChanged(table: EndpointTable): void {
    this.turns.tableChanged(table);
  }
}
