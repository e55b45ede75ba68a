// The Huffman code of HPACK (RFC 7541 5.2, appendix B), both ways. It is canonical, so the lengths of the codes are all
// there is to know. Decoding walks two tables that are built from them: one gives up to two symbols for twelve bits,
// the other one symbol for ten; longer codes, which are rare in field values, are found by their length.

/** Bits of the code of each byte, and of EOS. */
export const huffmanBits = Uint8Array.from(
  (
    "13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 " +
    "6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 " +
    "13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 " +
    "15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 " +
    "20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 " +
    "22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 " +
    "26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 " +
    "20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 30"
  )
    .split(" ")
    .map(Number),
);
const EOS = 256;
const bitsMin = 5;
const bitsMax = 30;

/** The code of each byte and of EOS, in the low bits. */
export const huffmanCodes = new Int32Array(257);
/** By length: the first code, how many there are, and where their symbols begin in `ordered`. */
const firstCode = new Int32Array(bitsMax + 1);
const codeCount = new Int32Array(bitsMax + 1);
const firstSymbol = new Int32Array(bitsMax + 1);
const ordered = new Uint16Array(257);

function assignCodes(): void {
  let code = 0;
  let place = 0;
  for (let bits = bitsMin; bits <= bitsMax; bits++, code *= 2) {
    firstCode[bits] = code;
    firstSymbol[bits] = place;
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (huffmanBits[symbol] !== bits) continue;
      huffmanCodes[symbol] = code++;
      ordered[place++] = symbol;
    }
    codeCount[bits] = place - firstSymbol[bits]!;
  }
}
assignCodes();

const singleBits = 10;
const singleMask = (1 << singleBits) - 1;
/** symbol | bits << 8 for what begins with a code of at most ten bits; 0 = a longer one. */
const single = new Uint16Array(1 << singleBits);

const pairBits = 12;
const pairMask = (1 << pairBits) - 1;
/** symbol | second symbol << 8 | bits of both << 16 | symbols << 24; 0 = begins with a longer code. */
const pairs = new Int32Array(1 << pairBits);

function fillTables(): void {
  for (let symbol = 0; symbol < EOS; symbol++) {
    const bits = huffmanBits[symbol]!;
    if (bits > singleBits) continue;
    const shift = singleBits - bits;
    single.fill(symbol | (bits << 8), huffmanCodes[symbol]! << shift, (huffmanCodes[symbol]! + 1) << shift);
  }
  for (let i = 0; i <= pairMask; i++) {
    const first = single[i >>> (pairBits - singleBits)]!;
    if (first === 0) continue;
    const bits = first >> 8;
    // The bits behind the first code, and zeros, which may not take part in the second one.
    const second = single[((i << bits) >>> (pairBits - singleBits)) & singleMask]!;
    const both = bits + (second >> 8);
    const fits = second !== 0 && both <= pairBits;
    const symbols = (first & 0xff) | (fits ? (second & 0xff) << 8 : 0);
    pairs[i] = symbols | ((fits ? both : bits) << 16) | ((fits ? 2 : 1) << 24);
  }
}
fillTables();

/** Room for what bytes of Huffman coding can become: 8/5 of them, as the shortest code has five bits, and one more. */
export function decodedLengthMax(codedLength: number): number {
  return codedLength * 2 + 2;
}

// Where the decoding of a long code stands. Module variables: the functions are synchronous and not re-entrant.
let held = 0;
let heldBits = 0;
let next = 0;

/**
 * Decodes source[start, end) to target at `at`, which must have room for decodedLengthMax. Returns the position after
 * it, or -1 for what is no coding: EOS, padding of more than 7 bits or of others than ones (RFC 7541 5.2).
 */
export function decodeHuffman(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
  let bits = 0; // how many of the low bits of acc are still to be decoded
  let acc = 0;
  let from = start;
  let to = at;
  for (;;) {
    if (bits < pairBits) {
      if (from + 1 < end) {
        acc = (acc << 16) | (source[from]! << 8) | source[from + 1]!;
        from += 2;
        bits += 16;
      } else if (from < end) {
        acc = (acc << 8) | source[from++]!;
        bits += 8;
      }
      if (bits < pairBits) break; // and nothing is left to take
    }
    const pair = pairs[(acc >>> (bits - pairBits)) & pairMask]!;
    if (pair !== 0) {
      target[to] = pair;
      target[to + 1] = pair >> 8;
      to += pair >> 24;
      bits -= (pair >> 16) & 0xff;
      continue;
    }
    held = acc;
    heldBits = bits;
    next = from;
    const symbol = longCode(source, end);
    if (symbol < 0) return -1; // also at the end: so much is no padding
    target[to++] = symbol;
    acc = held;
    bits = heldBits;
    from = next;
  }
  while (bits > 0) {
    const missing = singleBits - bits;
    // Behind the end stand ones, as the padding goes on.
    const symbol = single[(missing > 0 ? (acc << missing) | ((1 << missing) - 1) : acc >>> -missing) & singleMask]!;
    if (symbol === 0 || symbol >> 8 > bits) return isPadding(acc, bits) ? to : lastCode(source, acc, bits, target, to);
    target[to++] = symbol;
    bits -= symbol >> 8;
  }
  return to;
}

/** The end if it is one code of eleven bits, which the table for ten does not have; else -1. */
function lastCode(source: Uint8Array, acc: number, bits: number, target: Uint8Array, at: number): number {
  held = acc;
  heldBits = bits;
  next = 0;
  const symbol = longCode(source, 0);
  if (symbol < 0 || heldBits > 0) return -1;
  target[at] = symbol;
  return at + 1;
}

const notACode = -1;
const endOfInput = -2;

/** The symbol of a code of more than ten bits; what is held and next move behind it. */
function longCode(source: Uint8Array, end: number): number {
  let code = 0;
  for (let bits = 1; bits <= bitsMax; bits++) {
    if (heldBits === 0) {
      if (next === end) return endOfInput;
      held = source[next++]!;
      heldBits = 8;
    }
    code = code * 2 + ((held >>> --heldBits) & 1);
    if (bits <= singleBits) continue;
    const index = code - firstCode[bits]!;
    if (index >= codeCount[bits]!) continue;
    const symbol = ordered[firstSymbol[bits]! + index]!;
    return symbol === EOS ? notACode : symbol;
  }
  return notACode;
}

/** What is left at the end: the beginning of EOS, and less than a byte of it. */
function isPadding(acc: number, bits: number): boolean {
  const mask = (1 << bits) - 1;
  return bits < 8 && (acc & mask) === mask;
}

/** Bytes that source[start, end) takes in Huffman coding; each byte goes through `map` before (256 entries). */
export function huffmanLength(source: Uint8Array, start: number, end: number, map: Uint8Array): number {
  let bits = 0;
  for (let i = start; i < end; i++) bits += huffmanBits[map[source[i]!]!]!;
  return (bits + 7) >>> 3;
}

/** Encodes the same to target at `at`, which must have the room. Returns the position after it. */
export function encodeHuffman(
  source: Uint8Array,
  start: number,
  end: number,
  map: Uint8Array,
  target: Uint8Array,
  at: number,
): number {
  let acc = 0;
  let bits = 0; // low bits of acc that are still to be written, fewer than 8 between two symbols
  let to = at;
  for (let i = start; i < end; i++) {
    const symbol = map[source[i]!]!;
    let code = huffmanCodes[symbol]!;
    let more = huffmanBits[symbol]!;
    if (more > 24) {
      // 7 bits and 30 are more than there is room for: the upper ones go first.
      more -= 16;
      acc = (acc << more) | (code >>> 16);
      bits += more;
      while (bits >= 8) target[to++] = acc >>> (bits -= 8);
      code &= 0xffff;
      more = 16;
    }
    acc = (acc << more) | code;
    bits += more;
    while (bits >= 8) target[to++] = acc >>> (bits -= 8);
  }
  if (bits > 0) target[to++] = (acc << (8 - bits)) | (0xff >>> bits);
  return to;
}
