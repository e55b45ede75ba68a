// Draws endpoints at random in proportion to their weights, in logarithmic time. It draws among the usable; whether one
// may take this very request (full, tried) is the caller's question.

import type { Rng } from "../base/ports.ts";
import type { EndpointTable } from "./balancer.ts";

export class WeightedDraw {
  private readonly rng: Rng;
  /** The usable endpoints in table order. */
  private readonly members: Int32Array;
  /** Sum of the weights up to and including member k. */
  private readonly upTo: Float64Array;
  /** Number of usable endpoints. */
  size = 0;

  constructor(count: number, rng: Rng) {
    this.rng = rng;
    this.members = new Int32Array(count);
    this.upTo = new Float64Array(count);
  }

  /** The position (0..size-1) of one endpoint, by weight; -1 if nobody is usable. */
  one(): number {
    if (this.size === 0) return -1;
    return this.find(this.rng.below(this.upTo[this.size - 1]!));
  }

  /**
   * The position of another one than `first`, by weight; -1 if there is no other. No loop: the first's span is cut out.
   */
  other(first: number): number {
    if (this.size < 2) return -1;
    const { upTo } = this;
    const start = first === 0 ? 0 : upTo[first - 1]!;
    const span = upTo[first]! - start;
    const at = this.rng.below(upTo[this.size - 1]! - span);
    return this.find(at < start ? at : at + span);
  }

  /** The table index of a position. */
  index(position: number): number {
    return this.members[position]!;
  }

  private find(at: number): number {
    const { upTo } = this;
    let low = 0;
    let high = this.size - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (upTo[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  tableChanged(table: EndpointTable): void {
    let size = 0;
    let sum = 0;
    for (let i = 0; i < table.count; i++) {
      const w = table.weight[i]!;
      if (table.usable[i] === 0 || w === 0) continue;
      sum += w;
      this.members[size] = i;
      this.upTo[size] = sum;
      size++;
    }
    this.size = size;
  }
}
