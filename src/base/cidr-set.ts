// A set of address blocks that is asked whether it holds an address: what many CIDR blocks of a configuration come to.
// Blocks are nested or apart, never crossing, so without the nested ones a sorted list and a binary search will do.
// IPv4-mapped IPv6 addresses and blocks (::ffff:10.0.0.0/104) count as the IPv4 ones they are.

import { type Cidr, cidrContains } from "./ip.ts";

const MAPPED_BYTES = 12;
const MAPPED_BITS = 96;

/** True for the 16 bytes of ::ffff:a.b.c.d. */
export function isMapped(address: Uint8Array): boolean {
  if (address.length !== 16 || address[10] !== 0xff || address[11] !== 0xff) return false;
  for (let i = 0; i < 10; i++) if (address[i] !== 0) return false;
  return true;
}

function unmapped(block: Cidr): Cidr {
  if (block.prefix < MAPPED_BITS || !isMapped(block.bytes)) return block;
  return { bytes: block.bytes.slice(MAPPED_BYTES), prefix: block.prefix - MAPPED_BITS };
}

function compareBlocks(a: Cidr, b: Cidr): number {
  for (let i = 0; i < a.bytes.length; i++) if (a.bytes[i] !== b.bytes[i]) return a.bytes[i]! - b.bytes[i]!;
  return a.prefix - b.prefix;
}

/** Blocks of one address family, sorted and without those that lie in another: their first addresses end to end. */
class Family {
  readonly width: number;
  readonly starts: Uint8Array;
  readonly prefixes: Uint8Array;

  constructor(width: number, blocks: readonly Cidr[]) {
    const kept: Cidr[] = [];
    for (const block of blocks.filter((b) => b.bytes.length === width).toSorted(compareBlocks)) {
      const last = kept.at(-1);
      if (last === undefined || !cidrContains(last, block.bytes)) kept.push(block);
    }
    this.width = width;
    this.starts = Uint8Array.from(kept.flatMap((block) => [...block.bytes]));
    this.prefixes = Uint8Array.from(kept.map((block) => block.prefix));
  }

  /** address[from, from + width) is looked for. */
  holds(address: Uint8Array, from: number): boolean {
    let low = 0;
    let high = this.prefixes.length; // the last block that does not start behind the address is before this one
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.startsBehind(middle, address, from)) high = middle;
      else low = middle + 1;
    }
    return low > 0 && this.covers(low - 1, address, from);
  }

  startsBehind(block: number, address: Uint8Array, from: number): boolean {
    const { starts, width } = this;
    for (let i = 0, at = block * width; i < width; i++, at++) {
      const difference = starts[at]! - address[from + i]!;
      if (difference !== 0) return difference > 0;
    }
    return false;
  }

  covers(block: number, address: Uint8Array, from: number): boolean {
    const { starts, width } = this;
    const prefix = this.prefixes[block]!;
    const whole = prefix >> 3;
    const at = block * width;
    for (let i = 0; i < whole; i++) if (starts[at + i] !== address[from + i]) return false;
    const rest = prefix & 7;
    return rest === 0 || ((starts[at + whole]! ^ address[from + whole]!) & (0xff00 >> rest) & 0xff) === 0;
  }
}

export class CidrSet {
  readonly v4: Family;
  readonly v6: Family;

  constructor(blocks: readonly Cidr[]) {
    const own = blocks.map(unmapped);
    this.v4 = new Family(4, own);
    this.v6 = new Family(16, own);
  }

  /** True if a block holds the address (4 or 16 bytes, network order). Apart from mapped ones, families never mix. */
  holds(address: Uint8Array): boolean {
    if (address.length === 4) return this.v4.holds(address, 0);
    return isMapped(address) ? this.v4.holds(address, MAPPED_BYTES) : this.v6.holds(address, 0);
  }
}
