// A keyed 64-bit hash for tables whose keys clients choose: without the key nobody can make many names fall into one
// place. HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein, the reference code of SipHash): 32-bit words
// only, which is what JavaScript computes fast. Not for signatures: its key has 64 bits.

/** The hash of the last call: words `a` and `b`, signed. Used again by the next call. */
export interface Hash64 {
  a: number;
  b: number;
}

/** The two words of a key; any 64 bits. One for each running balancer, drawn at its start. */
export interface HashSeed {
  readonly k0: number;
  readonly k1: number;
}

// The state lives here between the functions, so that a hash may be fed in pieces without an object for each.
let v0 = 0;
let v1 = 0;
let v2 = 0;
let v3 = 0;
let word = 0;
let length = 0;

function rounds(count: number): void {
  let p = v0;
  let q = v1;
  let r = v2;
  let s = v3;
  for (let i = 0; i < count; i++) {
    p = (p + q) | 0;
    q = ((q << 5) | (q >>> 27)) ^ p;
    p = (p << 16) | (p >>> 16);
    r = (r + s) | 0;
    s = ((s << 8) | (s >>> 24)) ^ r;
    p = (p + s) | 0;
    s = ((s << 7) | (s >>> 25)) ^ p;
    r = (r + q) | 0;
    q = ((q << 13) | (q >>> 19)) ^ r;
    r = (r << 16) | (r >>> 16);
  }
  v0 = p;
  v1 = q;
  v2 = r;
  v3 = s;
}

function mixIn(m: number): void {
  v3 ^= m;
  rounds(2);
  v0 ^= m;
}

/** Begins a hash. Pieces follow by feedBytes and feedText; finishHash() ends it. Never two hashes at a time. */
export function beginHash(seed: HashSeed): void {
  v0 = seed.k0;
  v1 = seed.k1 ^ 0xee;
  v2 = 0x6c796765 ^ seed.k0;
  v3 = 0x74656462 ^ seed.k1;
  word = 0;
  length = 0;
}

/** Adds one byte (the low eight bits of the number). */
export function feedByte(byte: number): void {
  word |= (byte & 0xff) << ((length & 3) << 3);
  if ((++length & 3) === 0) {
    mixIn(word);
    word = 0;
  }
}

/** Adds bytes[start, end). */
export function feedBytes(bytes: Uint8Array, start: number, end: number): void {
  let i = start;
  while (i < end && (length & 3) !== 0) feedByte(bytes[i++]!);
  for (; i + 4 <= end; i += 4) {
    length += 4;
    mixIn(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
  }
  while (i < end) feedByte(bytes[i++]!);
}

/** Adds the string's char codes, low bytes: the same as feedBytes for ASCII and Latin-1 text. */
export function feedText(text: string): void {
  for (let i = 0; i < text.length; i++) feedByte(text.charCodeAt(i));
}

/** Ends the hash begun last and puts it into `out`. */
export function finishHash(out: Hash64): void {
  mixIn((length << 24) | word);
  v2 ^= 0xee;
  rounds(4);
  out.a = v1 ^ v3;
  v1 ^= 0xdd;
  rounds(4);
  out.b = v1 ^ v3;
}

/** The hash of bytes[start, end). */
export function keyedHashBytes(seed: HashSeed, bytes: Uint8Array, start: number, end: number, out: Hash64): void {
  beginHash(seed);
  feedBytes(bytes, start, end);
  finishHash(out);
}

/** The hash of a string's char codes (low bytes). */
export function keyedHashText(seed: HashSeed, text: string, out: Hash64): void {
  beginHash(seed);
  feedText(text);
  finishHash(out);
}
