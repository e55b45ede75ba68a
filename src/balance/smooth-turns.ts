// The current weights of nginx's smooth weighted round robin, kept sane while weights and members change. Used by the
// algorithm of that name, and by others to break ties and to place requests without a key.

import { eligible, type EndpointTable, type PickState } from "./balancer.ts";

export class SmoothTurns {
  /** Current weight of each endpoint; between two changes of the table its sum does not change. */
  readonly current: Int32Array;
  private readonly weightBefore: Int32Array;

  constructor(count: number) {
    this.current = new Int32Array(count);
    this.weightBefore = new Int32Array(count);
  }

  /**
   * One step (nginx, ngx_http_upstream_get_peer): everybody eligible gains its weight, the greatest wins and pays back
   * the sum. Weights 3, 2, 1 give a b a c b a. Ties go to the earlier one. -1 if nobody is eligible.
   */
  pick(table: EndpointTable, state: PickState): number {
    const { current } = this;
    const { weight, count } = table;
    let best = -1;
    let bestCurrent = 0;
    let total = 0;
    for (let i = 0; i < count; i++) {
      if (!eligible(table, state, i)) continue;
      const w = weight[i]!;
      const c = current[i]! + w;
      current[i] = c;
      total += w;
      if (best < 0 || c > bestCurrent) {
        best = i;
        bestCurrent = c;
      }
    }
    if (best >= 0) current[best] = bestCurrent - total;
    return best;
  }

  /**
   * Carries the turns over to new weights: a newcomer starts without debt, a changed weight scales its debt (else an
   * endpoint entering slow start would first pay back at a tenth of its income what it took at full weight), nobody
   * owes more than a whole round, and all is centred on zero so that no number of changes can make it drift away.
   */
  tableChanged(table: EndpointTable): void {
    const { current, weightBefore } = this;
    let total = 0;
    let members = 0;
    for (let i = 0; i < table.count; i++) {
      const now = table.usable[i] === 0 ? 0 : table.weight[i]!;
      total += now;
      if (now !== 0) members++;
    }
    let sum = 0;
    for (let i = 0; i < table.count; i++) {
      const before = weightBefore[i]!;
      const now = table.usable[i] === 0 ? 0 : table.weight[i]!;
      weightBefore[i] = now;
      if (before === 0 || now === 0) current[i] = 0;
      else current[i] = Math.max(-total, Math.min(total, Math.trunc((current[i]! * now) / before)));
      sum += current[i]!;
    }
    const mean = members === 0 ? 0 : Math.trunc(sum / members);
    if (mean === 0) return;
    for (let i = 0; i < table.count; i++) if (weightBefore[i] !== 0) current[i] = current[i]! - mean;
  }
}
