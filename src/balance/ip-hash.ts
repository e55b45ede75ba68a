// ip-hash: the same client address, the same endpoint, for as long as that endpoint is eligible. Taking one of n
// endpoints away moves only its own clients, and they come back when it does. Knows nothing of load.

import type { Balancer, EndpointTable, PickState } from "./balancer.ts";
import { Rendezvous } from "./rendezvous.ts";
import { SmoothTurns } from "./smooth-turns.ts";

export class IpHash implements Balancer {
  readonly name = "ip-hash";
  readonly wantsHash = true;
  private readonly rendezvous: Rendezvous;
  private readonly turns: SmoothTurns;

  constructor(count: number) {
    this.rendezvous = new Rendezvous(count);
    this.turns = new SmoothTurns(count);
  }

  /** Clients without an address (unix sockets: hash 0) take smooth turns. */
  pick(table: EndpointTable, state: PickState): number {
    if (state.hash === 0) return this.turns.pick(table, state);
    return this.rendezvous.choose(table, state, Infinity);
  }

  tableChanged(table: EndpointTable): void {
    this.rendezvous.tableChanged(table);
    this.turns.tableChanged(table);
  }
}
