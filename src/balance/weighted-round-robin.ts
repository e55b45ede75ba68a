// Weighted round robin in its two orders: smooth (3, 2, 1 gives a b a c b a) and block (a a a b b c). Knows nothing of
// load.

import { eligible, WEIGHT_SCALE, type Balancer, type EndpointTable, type PickState } from "./balancer.ts";
import { SmoothTurns } from "./smooth-turns.ts";

/** nginx's smooth weighted round robin. */
export class SmoothRoundRobin implements Balancer {
  readonly name = "weighted-round-robin";
  readonly wantsHash = false;
  private readonly turns: SmoothTurns;

  constructor(count: number) {
    this.turns = new SmoothTurns(count);
  }

  pick(table: EndpointTable, state: PickState): number {
    return this.turns.pick(table, state);
  }

  tableChanged(table: EndpointTable): void {
    this.turns.tableChanged(table);
  }
}

/**
 * Each endpoint takes as many requests in a row as its weight says. Fractions of a request (slow start) are saved for
 * the next round. Whoever is not eligible in the middle of its block loses the rest of the block.
 */
export class BlockRoundRobin implements Balancer {
  readonly name = "weighted-round-robin";
  readonly wantsHash = false;
  /** Whose block it is; -1 before the first pick. */
  private at = -1;
  /** What each may still take, in 1/WEIGHT_SCALE of a request. */
  private readonly credit: Int32Array;

  constructor(count: number) {
    this.credit = new Int32Array(count);
  }

  pick(table: EndpointTable, state: PickState): number {
    const { credit } = this;
    const count = table.count;
    let i = this.at;
    if (i >= 0) {
      if (credit[i]! >= WEIGHT_SCALE && eligible(table, state, i)) {
        credit[i] = credit[i]! - WEIGHT_SCALE;
        return i;
      }
      credit[i] = credit[i]! % WEIGHT_SCALE;
    }
    let saver = -1;
    for (let k = 0; k < count; k++) {
      i = i + 1 === count ? 0 : i + 1;
      if (!eligible(table, state, i)) continue;
      const saved = credit[i]! + table.weight[i]!;
      if (saved >= WEIGHT_SCALE) {
        credit[i] = saved - WEIGHT_SCALE;
        this.at = i;
        return i;
      }
      credit[i] = saved;
      if (saver < 0 || saved > credit[saver]!) saver = i;
    }
    if (saver < 0) return -1;
    credit[saver] = 0;
    this.at = saver;
    return saver;
  }

  tableChanged(table: EndpointTable): void {
    for (let i = 0; i < table.count; i++) {
      if (table.usable[i] === 0) this.credit[i] = 0;
      else this.credit[i] = Math.min(this.credit[i]!, table.weight[i]!);
    }
  }
}
