// Round robin: equal turns for everybody, whatever the weight. A weight of 0 still means "nothing new", and an endpoint
// in slow start takes only its share of its turns. Knows nothing of load.

import { eligible, WEIGHT_SCALE, type Balancer, type EndpointTable, type PickState } from "./balancer.ts";

export class RoundRobin implements Balancer {
  readonly name = "round-robin";
  readonly wantsHash = false;
  private next = 0;
  /** What endpoints in slow start have saved up towards a turn, in 1/WEIGHT_SCALE of a turn. */
  private readonly credit: Int32Array;

  constructor(count: number) {
    this.credit = new Int32Array(count);
  }

  /**
   * The next eligible endpoint in order. One in slow start lets turns pass until it has saved a whole one; if a round
   * of passing serves nobody, whoever saved most is taken.
   */
  pick(table: EndpointTable, state: PickState): number {
    const count = table.count;
    let at = this.next;
    let saver = -1;
    for (let k = 0; k < count; k++) {
      const i = at;
      at = i + 1 === count ? 0 : i + 1;
      if (!eligible(table, state, i)) continue;
      const ramp = table.ramp[i]!;
      if (ramp < WEIGHT_SCALE) {
        const credit = this.credit[i]! + ramp;
        this.credit[i] = credit;
        if (credit < WEIGHT_SCALE) {
          if (saver < 0 || credit > this.credit[saver]!) saver = i;
          continue;
        }
        this.credit[i] = credit - WEIGHT_SCALE;
      }
      this.next = at;
      return i;
    }
    if (saver < 0) return -1;
    this.credit[saver] = 0;
    this.next = saver + 1 === count ? 0 : saver + 1;
    return saver;
  }

  tableChanged(table: EndpointTable): void {
    for (let i = 0; i < table.count; i++) {
      if (table.usable[i] === 0 || table.ramp[i]! >= WEIGHT_SCALE) this.credit[i] = 0;
    }
  }
}
