// Whom a route's access lists let in, by the client's address.

import { CidrSet } from "../base/cidr-set.ts";
import { type Cidr, parseCidr } from "../base/ip.ts";
import type { AccessConfig } from "../model/route-config.ts";

export class AccessList {
  /** null = everybody. */
  private readonly allowed: CidrSet | null;
  private readonly denied: CidrSet;

  /** Throws an Error for what is no CIDR block; the validator has looked before. */
  constructor(config: AccessConfig) {
    this.allowed = config.allow.length === 0 ? null : new CidrSet(config.allow.map(blockOf));
    this.denied = new CidrSet(config.deny.map(blockOf));
  }

  /**
   * True if this client may. address: 4 or 16 bytes; null = a client without one (a unix socket), whom no block holds:
   * he may unless there is a list of those who may.
   */
  permits(address: Uint8Array | null): boolean {
    if (address === null) return this.allowed === null;
    return !this.denied.holds(address) && (this.allowed === null || this.allowed.holds(address));
  }
}

function blockOf(text: string): Cidr {
  const block = parseCidr(text);
  if (block === null) throw new Error(`"${text}" is no CIDR block`);
  return block;
}
