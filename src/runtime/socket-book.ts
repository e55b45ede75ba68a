// The listening sockets of the balancer: for every address one SO_REUSEPORT socket per worker. The supervisor holds
// them all and accepts on none, so that the kernel's queue of waiting clients survives a worker. They are matched by
// address: a reload that leaves an address alone leaves its sockets alone.

import type { BindAddress, ListenerConfig } from "../model/config.ts";
import type { Host } from "./host.ts";

/** One address with its sockets. */
export interface Bound {
  /** With the real port where the configuration says 0. */
  readonly address: BindAddress;
  /**
   * By worker. With fewer workers than before there are more than workers: a listening socket takes the clients that
   * wait in its queue with it when it is closed. A unix socket has one socket for all: its descriptor stands in every
   * place.
   */
  readonly fds: number[];
}

/** A listener with one of its addresses; key is the same as long as both are. */
export interface Pairing {
  readonly key: string;
  readonly listener: string;
  readonly bound: Bound;
}

/** Sockets for a configuration that is about to be applied. */
export interface SocketProposal {
  readonly bounds: ReadonlyMap<string, Bound>;
  readonly pairings: readonly Pairing[];
  /** What was opened for it and must be closed again if it is not applied. */
  readonly opened: readonly { readonly bound: Bound; readonly fd: number }[];
}

export class SocketBook {
  private readonly host: Host;
  private bounds: ReadonlyMap<string, Bound> = new Map();
  private current: readonly Pairing[] = [];

  constructor(host: Host) {
    this.host = host;
  }

  get pairings(): readonly Pairing[] {
    return this.current;
  }

  /**
   * Opens what is missing for these listeners. Throws the Error of the first address that cannot be had, with nothing
   * left open.
   */
  propose(listeners: readonly ListenerConfig[], workers: number): SocketProposal {
    const bounds = new Map<string, Bound>();
    const pairings: Pairing[] = [];
    const opened: { bound: Bound; fd: number }[] = [];
    try {
      for (const listener of listeners) {
        listener.bind.forEach((address, index) => {
          const key = keyOf(listener.name, index, address);
          const bound = bounds.get(key) ?? this.bounds.get(key) ?? this.first(address, opened);
          bounds.set(key, bound);
          this.fill(bound, workers, opened);
          pairings.push({ key: `${listener.name}\n${key}`, listener: listener.name, bound });
        });
      }
    } catch (error) {
      this.closeOpened(opened);
      throw error;
    }
    return { bounds, pairings, opened };
  }

  /** Closes what propose() opened. */
  rollback(proposal: SocketProposal): void {
    this.closeOpened(proposal.opened);
  }

  /** Makes a proposal the present state. The returned function closes what is no longer wanted. */
  commit(proposal: SocketProposal): () => void {
    const before = this.bounds;
    this.bounds = proposal.bounds;
    this.current = proposal.pairings;
    return () => {
      const kept = new Set(proposal.bounds.values());
      for (const bound of before.values()) if (!kept.has(bound)) this.closeBound(bound);
    };
  }

  /** Closes everything: from now on new clients are refused. */
  closeAll(): void {
    for (const bound of this.bounds.values()) this.closeBound(bound);
    this.bounds = new Map();
    this.current = [];
  }

  private first(address: BindAddress, opened: { bound: Bound; fd: number }[]): Bound {
    if (address.unixPath !== null) {
      const bound = { address, fds: [this.host.listen(address, false).fd] };
      opened.push({ bound, fd: bound.fds[0]! });
      return bound;
    }
    if (address.port !== 0 && !this.holdsPort(address.port, opened)) {
      // With SO_REUSEPORT a second balancer of the same user would share the port without anybody noticing. A plain
      // bind fails.
      this.host.close(this.host.listen(address, false).fd);
    }
    const { fd, port } = this.host.listen(address, true);
    const bound = { address: { ...address, port }, fds: [fd] };
    opened.push({ bound, fd });
    return bound;
  }

  private fill(bound: Bound, workers: number, opened: { bound: Bound; fd: number }[]): void {
    if (bound.address.unixPath !== null) {
      while (bound.fds.length < workers) bound.fds.push(bound.fds[0]!);
      return;
    }
    while (bound.fds.length < workers) {
      const { fd } = this.host.listen(bound.address, true);
      bound.fds.push(fd);
      opened.push({ bound, fd });
    }
  }

  private holdsPort(port: number, opened: readonly { bound: Bound }[]): boolean {
    for (const bound of this.bounds.values()) if (bound.address.port === port) return true;
    return opened.some(({ bound }) => bound.address.port === port);
  }

  private closeOpened(opened: readonly { bound: Bound; fd: number }[]): void {
    for (const { bound, fd } of opened) {
      this.host.close(fd);
      const at = bound.fds.indexOf(fd);
      if (at >= 0) bound.fds.splice(at);
      if (bound.address.unixPath !== null) this.host.removeSocketFile(bound.address.unixPath);
    }
  }

  private closeBound(bound: Bound): void {
    for (const fd of new Set(bound.fds)) this.host.close(fd);
    if (bound.address.unixPath !== null) this.host.removeSocketFile(bound.address.unixPath);
  }
}

/** An address is its own key; "any free port" is another one for each place in the configuration. */
function keyOf(listener: string, index: number, address: BindAddress): string {
  if (address.unixPath !== null) return `unix:${address.unixPath}`;
  return address.port === 0 ? `${address.ip} any ${listener} ${index}` : `${address.ip} ${address.port}`;
}
