// Keeps the client connections of one worker below what its descriptor limit allows: at EMFILE an accepting socket
// spins, and no endpoint could be connected to either. At the bound all listeners stop accepting; clients wait in the
// kernel's queue.

/** Something that can stop accepting. */
export interface Gated {
  balanceAccepting(): void;
}

export class AcceptGate {
  private readonly max: number;
  private readonly members = new Set<Gated>();
  private open = 0;

  /** max 0 = always open. */
  constructor(max: number) {
    this.max = max;
  }

  get isShut(): boolean {
    return this.max !== 0 && this.open >= this.max;
  }

  join(member: Gated): void {
    this.members.add(member);
  }

  leave(member: Gated): void {
    this.members.delete(member);
  }

  opened(): void {
    this.open++;
    if (this.max !== 0 && this.open === this.max) this.tell();
  }

  closed(): void {
    this.open--;
    if (this.max !== 0 && this.open === this.max - 1) this.tell();
  }

  private tell(): void {
    for (const member of this.members) member.balanceAccepting();
  }
}
