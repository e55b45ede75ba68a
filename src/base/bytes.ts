// Byte work that the hot path does all the time: copying, numbers and Latin-1 text into a growable scratch buffer.
// Measured on Bun 1.4.5: a byte loop costs 0.5 ns a byte, Buffer.copy 20 ns flat up to 400 bytes, set(subarray()) 50
// ns.

const nativeCopy = Buffer.prototype.copy as (
  this: Uint8Array,
  target: Uint8Array,
  targetStart: number,
  start: number,
  end: number,
) => number;
const loopMax = 32;

/** Copies source[start, end) to target at `at`, which must have the room. Returns the position after it. */
export function copyBytes(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): number {
  if (end - start > loopMax) {
    nativeCopy.call(source, target, at, start, end);
    return at + end - start;
  }
  for (let i = start; i < end; i++) target[at++] = source[i]!;
  return at;
}

/** The bytes in memory of their own. Received bytes are Buffers, and their slice() is not that: it is a view. */
export function copyOf(source: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  copyBytes(copy, 0, source, start, end);
  return copy;
}

/** The bytes as text, each byte one character: exact for any bytes. */
export function latin1Text(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

/** A buffer to assemble messages in: reused, growing, written front to back. */
export class Scratch {
  bytes: Uint8Array;
  length = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  /** Makes room for `more` bytes behind the present length. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    let size = this.bytes.length * 2;
    while (size < this.length + more) size *= 2;
    const wider = new Uint8Array(size);
    copyBytes(wider, 0, this.bytes, 0, this.length);
    this.bytes = wider;
  }

  put(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    this.length = copyBytes(this.bytes, this.length, source, start, end);
  }

  putAll(source: Uint8Array): void {
    this.put(source, 0, source.length);
  }

  putByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  /** Text of code units below 256, one byte each. */
  putText(text: string): void {
    this.reserve(text.length);
    const { bytes } = this;
    let at = this.length;
    for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
    this.length = at;
  }

  /** A whole number from 0 to 2^53 in decimal. */
  putDecimal(value: number): void {
    this.reserve(16);
    let digits = 1;
    for (let limit = 10; value >= limit && digits < 16; limit *= 10) digits++;
    let at = this.length + digits;
    this.length = at;
    let rest = value;
    for (let i = 0; i < digits; i++) {
      const tenth = Math.floor(rest / 10);
      this.bytes[--at] = 48 + (rest - tenth * 10);
      rest = tenth;
    }
  }

  /** A whole number from 0 to 2^53 in lower-case hexadecimal. */
  putHex(value: number): void {
    this.reserve(14);
    let digits = 1;
    for (let limit = 16; value >= limit && digits < 14; limit *= 16) digits++;
    let at = this.length + digits;
    this.length = at;
    let rest = value;
    for (let i = 0; i < digits; i++) {
      const next = Math.floor(rest / 16);
      const digit = rest - next * 16;
      this.bytes[--at] = digit < 10 ? 48 + digit : 87 + digit;
      rest = next;
    }
  }
}
