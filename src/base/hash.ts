// Non-cryptographic hashes: stable over processes, versions and machines, because sticky decisions depend on them.

/** Finaliser of MurmurHash3 (public domain, A. Appleby): spreads every input bit over all 32. */
export function mix32(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  x ^= x >>> 16;
  return x >>> 0;
}

/** FNV-1a over bytes[start, end), then mixed. Unsigned 32 bits. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let h = 0x811c9dc5;
  for (let i = start; i < end; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193);
  return mix32(h);
}

/** hashBytes of the string's char codes (low bytes): equal to hashBytes for ASCII and Latin-1 text. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ (text.charCodeAt(i) & 0xff), 0x01000193);
  return mix32(h);
}
