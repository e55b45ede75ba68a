// Keeps the sockets of one worker below what its descriptor limit allows: at EMFILE an accepting socket spins, and no
// endpoint could be connected to either. At the bound idle connections to endpoints are closed; if that is not enough,
// all listeners stop accepting, and clients wait in the kernel's queue.

import type { SocketCount } from "../pool/connector.ts";

/** Something that can stop accepting. */
export interface Gated {
  balanceAccepting(): void;
}

/** Share of the sockets that clients may take: the rest is for connections to endpoints. */
const clientShare = 8 / 9;

export class AcceptGate implements SocketCount {
  private readonly socketsMax: number;
  private readonly clientsMax: number;
  private readonly relieve: () => void;
  private readonly members = new Set<Gated>();
  private clients = 0;
  private sockets = 0;
  private shut = false;

  /** socketsMax 0 = always open. relieve: closes the sockets that can be spared. */
  constructor(socketsMax: number, relieve: () => void) {
    this.socketsMax = socketsMax === 0 ? Infinity : socketsMax;
    this.clientsMax = Math.max(1, Math.floor(this.socketsMax * clientShare));
    this.relieve = relieve;
  }

  get isShut(): boolean {
    return this.shut;
  }

  get isShort(): boolean {
    return this.sockets >= this.socketsMax;
  }

  join(member: Gated): void {
    this.members.add(member);
  }

  leave(member: Gated): void {
    this.members.delete(member);
  }

  clientOpened(): void {
    this.clients++;
    this.socketOpened();
  }

  clientClosed(): void {
    this.clients--;
    this.socketClosed();
  }

  /** A connection to an endpoint; clientOpened() counts its own. */
  socketOpened(): void {
    this.sockets++;
    if (this.isShort) this.relieve();
    this.judge();
  }

  socketClosed(): void {
    this.sockets--;
    this.judge();
  }

  private judge(): void {
    const shut = this.isShort || this.clients >= this.clientsMax;
    if (shut === this.shut) return;
    this.shut = shut;
    for (const member of this.members) member.balanceAccepting();
  }
}
