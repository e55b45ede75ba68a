// Weighted rendezvous hashing (highest random weight; Thaler and Ravishankar 1998, weights after Schindelhauer and
// Schomaker 2005): the consistent hash of this balancer. Why this one: docs/decisions/0001-consistent-hash.md.
//
// Every endpoint draws a number from the client's hash and its own; the best draw wins. Nobody's draw depends on the
// other endpoints, so taking one away, adding one or changing its weight moves exactly the clients that leave it or go
// to it.

import { mix32 } from "../base/hash.ts";
import { eligible, type EndpointTable, type PickState } from "./balancer.ts";

/** Sort key: weight * INDEX_ROOM + index. Counts stay far below it, and the key below 2^53. */
const INDEX_ROOM = 65536;

export class Rendezvous {
  /** The usable endpoints, those of equal weight side by side; and the hash of each of them, in the same order. */
  private readonly order: Int32Array;
  private readonly hashes: Int32Array;
  private readonly keys: Float64Array;
  /** Position after the last of each group of equal weight. */
  private readonly groupEnd: Int32Array;
  private groups = 0;
  /** Sum of the weights of the usable endpoints. */
  totalWeight = 0;

  constructor(count: number) {
    this.order = new Int32Array(count);
    this.hashes = new Int32Array(count);
    this.keys = new Float64Array(count);
    this.groupEnd = new Int32Array(count);
  }

  /**
   * The eligible endpoint that wins the client's draw and has less in progress than its bound, max(1,
   * ceil(loadPerWeight * weight)); Infinity = no bound. -1 if there is none. One pass; the logarithm is taken once per
   * distinct weight, because among equal weights the greatest draw is also the best score.
   */
  choose(table: EndpointTable, state: PickState, loadPerWeight: number): number {
    const { order, hashes, groupEnd, groups } = this;
    const { active, row } = table;
    const hash = state.hash | 0;
    let best = -1;
    let bestScore = Infinity;
    let k = 0;
    for (let group = 0; group < groups; group++) {
      const end = groupEnd[group]!;
      const w = table.weight[order[k]!]!;
      const bound = Math.max(1, Math.ceil(loadPerWeight * w));
      let top = -1;
      let topDraw = 0;
      for (; k < end; k++) {
        const draw = mix32(hash ^ hashes[k]!) | 0; // signed, so that it stays a machine integer
        if (draw <= topDraw && top >= 0) continue;
        const i = order[k]!;
        if (!eligible(table, state, i) || active[row[i]!]! >= bound) continue;
        top = i;
        topDraw = draw;
      }
      if (top < 0) continue;
      if (groups === 1) return top;
      const score = -Math.log((topDraw + 0x8000_0000 + 0.5) / 0x1_0000_0000) / w;
      if (score < bestScore) {
        best = top;
        bestScore = score;
      }
    }
    return best;
  }

  tableChanged(table: EndpointTable): void {
    let members = 0;
    let totalWeight = 0;
    for (let i = 0; i < table.count; i++) {
      const w = table.weight[i]!;
      if (table.usable[i] === 0 || w === 0) continue;
      totalWeight += w;
      this.keys[members++] = w * INDEX_ROOM + i;
    }
    this.keys.subarray(0, members).sort();
    let groups = 0;
    let weightBefore = 0;
    for (let k = 0; k < members; k++) {
      const i = this.keys[k]! % INDEX_ROOM;
      const w = table.weight[i]!;
      if (w !== weightBefore) groups++;
      weightBefore = w;
      this.order[k] = i;
      this.hashes[k] = table.idHash[i]!;
      this.groupEnd[groups - 1] = k + 1;
    }
    this.groups = groups;
    this.totalWeight = totalWeight;
  }
}
