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

/** The address looked for as 32-bit words; used again by every look-up. */
const sought = new Uint32Array(4);

/** Puts bytes[from, from + 4 * count) into `sought`. */
function seek(bytes: Uint8Array, from: number, count: number): void {
  for (let k = 0, at = from; k < count; k++, at += 4) {
    sought[k] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
}

/** Blocks of one address family, sorted and without those that lie in another. */
class Family {
  /** 32-bit words of an address: 1 or 4. */
  private readonly width: number;
  /** First addresses, end to end. */
  private readonly starts: Uint32Array;
  private readonly prefixes: Uint8Array;

  constructor(bytes: number, blocks: readonly Cidr[]) {
    const kept: Cidr[] = [];
    for (const block of blocks.filter((b) => b.bytes.length === bytes).toSorted(compareBlocks)) {
      const last = kept.at(-1);
      if (last === undefined || !cidrContains(last, block.bytes)) kept.push(block);
    }
    this.width = bytes / 4;
    this.starts = new Uint32Array(kept.length * this.width);
    kept.forEach((block, i) => {
      seek(block.bytes, 0, this.width);
      this.starts.set(sought.subarray(0, this.width), i * this.width);
    });
    this.prefixes = Uint8Array.from(kept.map((block) => block.prefix));
  }

  /** The address that begins at address[from]. */
  holds(address: Uint8Array, from: number): boolean {
    const { starts, width } = this;
    seek(address, from, width);
    const first = sought[0]!;
    let low = 0;
    let high = this.prefixes.length; // the last block that does not start behind the address is before this one
    while (low < high) {
      const middle = (low + high) >>> 1;
      const start = starts[middle * width]!;
      if (start < first || (start === first && !this.restIsBehind(middle))) low = middle + 1;
      else high = middle;
    }
    return low > 0 && this.covers(low - 1);
  }

  /** The block's first word is the address's: do the others put it behind the address? */
  private restIsBehind(block: number): boolean {
    const { starts, width } = this;
    for (let k = 1, at = block * width + 1; k < width; k++, at++) {
      if (starts[at] !== sought[k]) return starts[at]! > sought[k]!;
    }
    return false;
  }

  private covers(block: number): boolean {
    const { starts, width } = this;
    let bits = this.prefixes[block]!;
    for (let at = block * width, k = 0; bits > 0; k++, at++, bits -= 32) {
      if ((starts[at]! ^ sought[k]!) >>> Math.max(0, 32 - bits) !== 0) return false;
    }
    return true;
  }
}

export class CidrSet {
  private readonly v4: Family;
  private readonly v6: Family;

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
