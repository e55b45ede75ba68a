// Wildcard patterns on bytes: * = any number of bytes, ? = exactly one, and a backslash takes the next character for
// itself. Compiled once, then matched without backtracking over stars: each piece between two of them is taken where it
// first fits, which is right because a star takes anything. At worst text times pattern steps, never exponential.

const encoder = new TextEncoder();

const ONE = 256; // ?
const MANY = 257; // *

export class Glob {
  /** One entry per byte of the pattern: the byte, ONE or MANY; never two MANY in a row. */
  readonly codes: Int16Array;
  /** Positions of the first and last MANY, or -1. */
  readonly firstStar: number;
  readonly lastStar: number;
  /** No shorter text matches. */
  readonly minLength: number;

  constructor(codes: readonly number[]) {
    this.codes = Int16Array.from(codes.filter((code, i) => code !== MANY || codes[i - 1] !== MANY));
    this.firstStar = this.codes.indexOf(MANY);
    this.lastStar = this.codes.lastIndexOf(MANY);
    this.minLength = this.codes.filter((code) => code !== MANY).length;
  }

  /** True if bytes[start, end) as a whole fit the pattern. */
  matches(bytes: Uint8Array, start: number, end: number): boolean {
    const { codes, firstStar, lastStar } = this;
    if (end - start < this.minLength) return false;
    if (firstStar < 0) return end - start === codes.length && fits(codes, 0, codes.length, bytes, start);
    const tailStart = end - (codes.length - lastStar - 1);
    if (!fits(codes, lastStar + 1, codes.length, bytes, tailStart)) return false;
    if (!fits(codes, 0, firstStar, bytes, start)) return false;
    let at = start + firstStar;
    for (let piece = firstStar + 1; piece < lastStar;) {
      let pieceEnd = piece;
      while (codes[pieceEnd] !== MANY) pieceEnd++;
      const last = tailStart - (pieceEnd - piece);
      while (at <= last && !fits(codes, piece, pieceEnd, bytes, at)) at++;
      if (at > last) return false;
      at += pieceEnd - piece;
      piece = pieceEnd + 1;
    }
    return true;
  }

  /** True if every text matches. */
  get matchesAll(): boolean {
    return this.codes.length === 1 && this.firstStar === 0;
  }

  /** True if the pattern is its literal prefix and then anything. */
  get isPrefix(): boolean {
    return this.firstStar === this.codes.length - 1 && this.firstStar === this.literalLength();
  }

  /** True if there is no wildcard. */
  get isExact(): boolean {
    return this.literalLength() === this.codes.length;
  }

  /** What every matching text begins with: the pattern up to its first wildcard. */
  literalPrefix(): Uint8Array {
    return Uint8Array.from(this.codes.subarray(0, this.literalLength()));
  }

  literalLength(): number {
    const wild = this.codes.findIndex((code) => code >= ONE);
    return wild < 0 ? this.codes.length : wild;
  }
}

/** True if the codes [from, to), none of them MANY, fit the bytes at `at`; the caller knows there are that many. */
function fits(codes: Int16Array, from: number, to: number, bytes: Uint8Array, at: number): boolean {
  for (let i = from; i < to; i++, at++) {
    const code = codes[i]!;
    if (code !== bytes[at] && code !== ONE) return false;
  }
  return true;
}

/** Compiles a pattern. encode makes bytes of the text between wildcards: UTF-8, unless something else is given. */
export function compileGlob(pattern: string, encode: (text: string) => Uint8Array = utf8): Glob {
  const codes: number[] = [];
  let literal = "";
  const flush = (): void => {
    for (const byte of encode(literal)) codes.push(byte);
    literal = "";
  };
  for (let i = 0; i < pattern.length; i++) {
    const ch = pattern[i]!;
    if (ch === "\\" && i + 1 < pattern.length) literal += pattern[++i]!;
    else if (ch === "*" || ch === "?") {
      flush();
      codes.push(ch === "*" ? MANY : ONE);
    } else literal += ch;
  }
  flush();
  return new Glob(codes);
}

function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}
