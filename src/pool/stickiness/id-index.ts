// From the 64-bit hash of a name to its place in a list, without strings: cookies and tables say of an endpoint (or of
// an arm) only the hash of its id, which is the same in every process and after every reload.

import { keyedHashText, type Hash64, type HashSeed } from "../../base/keyed-hash.ts";

/** Not secret: these hashes only leave us sealed, or in memory that clients cannot read. */
const nameSeed: HashSeed = { k0: 0, k1: 0 };

/** The hash of an endpoint's id, or of a pool's name. */
export function hashName(name: string): Hash64 {
  const hash = { a: 0, b: 0 };
  keyedHashText(nameSeed, name, hash);
  return hash;
}

export class IdIndex {
  /** By place in the list. */
  readonly hashes: readonly Hash64[];
  /** Open addressing: place + 1, or 0. At most half full, so that a search ends. */
  private readonly places: Int32Array;

  constructor(names: readonly string[]) {
    this.hashes = names.map(hashName);
    let size = 4;
    while (size < names.length * 2) size *= 2;
    this.places = new Int32Array(size);
    this.hashes.forEach((hash, place) => {
      let at = hash.a & (size - 1);
      while (this.places[at] !== 0) at = (at + 1) & (size - 1);
      this.places[at] = place + 1;
    });
  }

  /** The place of the name with this hash, or -1. */
  find(a: number, b: number): number {
    const { places, hashes } = this;
    const mask = places.length - 1;
    for (let at = a & mask; places[at] !== 0; at = (at + 1) & mask) {
      const place = places[at]! - 1;
      const hash = hashes[place]!;
      if (hash.a === a && hash.b === b) return place;
    }
    return -1;
  }
}
