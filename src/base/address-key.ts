// What a client's address comes to where clients are told apart by it, in limits and in stickiness.

import { isMapped } from "./cidr-set.ts";
import { beginHash, feedBytes, finishHash, type Hash64, type HashSeed } from "./keyed-hash.ts";

/** Of an IPv6 address: whoever has one address has 2^64 of them. */
const NETWORK_BYTES = 8;
const MAPPED_BYTES = 12;

/**
 * Puts the hash of an address (4 or 16 bytes) into `out`: of an IPv6 address its /64, of an IPv4-mapped one the IPv4
 * address. False for null, which is the address of a client on a unix socket.
 */
export function addressKeyOf(address: Uint8Array | null, seed: HashSeed, out: Hash64): boolean {
  if (address === null) return false;
  beginHash(seed);
  if (isMapped(address)) feedBytes(address, MAPPED_BYTES, address.length);
  else feedBytes(address, 0, Math.min(address.length, NETWORK_BYTES));
  finishHash(out);
  return true;
}
