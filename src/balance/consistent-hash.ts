// consistent-hash: the same key, the same endpoint, with an optional bound on how far one endpoint may rise above the
// mean load (consistent hashing with bounded loads; Mirrokni, Thorup and Zadimoghaddam 2016; HAProxy's
// hash-balance-factor).

import { OFF } from "../model/config.ts";
import type { Balancer, EndpointTable, PickState } from "./balancer.ts";
import { Rendezvous } from "./rendezvous.ts";
import { SmoothTurns } from "./smooth-turns.ts";

export class ConsistentHash implements Balancer {
  readonly name = "consistent-hash";
  readonly wantsHash = true;
  private readonly loadPercent: number;
  private readonly rendezvous: Rendezvous;
  private readonly turns: SmoothTurns;

  /**
   * loadPercent: an endpoint takes at most this percentage of its fair share of all requests in progress; OFF = no
   * bound.
   */
  constructor(count: number, loadPercent: number) {
    this.loadPercent = loadPercent;
    this.rendezvous = new Rendezvous(count);
    this.turns = new SmoothTurns(count);
  }

  /**
   * Requests without a key (hash 0) take smooth turns. With a bound, an endpoint that has ceil(percent of its share of
   * the requests in progress, this one included) is passed over for the next best of the same draw, so that a hot key
   * spills over always in the same order. The bound never refuses: if it leaves nobody (those below it are full or
   * tried), it is dropped.
   */
  pick(table: EndpointTable, state: PickState): number {
    if (state.hash === 0) return this.turns.pick(table, state);
    if (this.loadPercent === OFF) return this.rendezvous.choose(table, state, Infinity);
    const i = this.rendezvous.choose(table, state, this.loadPerWeight(table));
    return i >= 0 ? i : this.rendezvous.choose(table, state, Infinity);
  }

  private loadPerWeight(table: EndpointTable): number {
    let total = 1;
    for (let i = 0; i < table.count; i++) if (table.usable[i] !== 0) total += table.active[table.row[i]!]!;
    return (total * this.loadPercent) / (100 * this.rendezvous.totalWeight);
  }

  tableChanged(table: EndpointTable): void {
    this.rendezvous.tableChanged(table);
    this.turns.tableChanged(table);
  }
}
