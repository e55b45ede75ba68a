// The power of two random choices (Mitzenmacher 2001): two different endpoints are drawn by weight, and the one with
// fewer requests in progress per weight is taken. Nearly as even as least-connections without looking at everybody, and
// workers or balancers that do not know of each other do not all run to the same idle endpoint.

import type { Rng } from "../base/ports.ts";
import { eligible, type Balancer, type EndpointTable, type PickState } from "./balancer.ts";
import { WeightedDraw } from "./weighted-draw.ts";

export class RandomTwoChoices implements Balancer {
  readonly name = "random-two-choices";
  readonly wantsHash = false;
  private readonly draw: WeightedDraw;

  constructor(count: number, rng: Rng) {
    this.draw = new WeightedDraw(count, rng);
  }

  pick(table: EndpointTable, state: PickState): number {
    const first = this.draw.one();
    if (first < 0) return -1;
    const second = this.draw.other(first);
    const a = this.draw.index(first);
    const b = second < 0 ? a : this.draw.index(second);
    const aEligible = eligible(table, state, a);
    const bEligible = eligible(table, state, b);
    if (aEligible && bEligible) return busier(table, a, b) ? b : a;
    if (aEligible || bEligible) return aEligible ? a : b;
    return this.leastBusy(table, state, first);
  }

  /** Both draws may not be used (full or tried already): the least busy eligible one, equals by chance of the start. */
  private leastBusy(table: EndpointTable, state: PickState, start: number): number {
    const { size } = this.draw;
    let best = -1;
    for (let k = 0; k < size; k++) {
      const position = start + k;
      const i = this.draw.index(position < size ? position : position - size);
      if (eligible(table, state, i) && (best < 0 || busier(table, best, i))) best = i;
    }
    return best;
  }

  tableChanged(table: EndpointTable): void {
    this.draw.tableChanged(table);
  }
}

/** Has a strictly more in progress per weight than b? */
function busier(table: EndpointTable, a: number, b: number): boolean {
  return table.active[table.row[a]!]! * table.weight[b]! > table.active[table.row[b]!]! * table.weight[a]!;
}
