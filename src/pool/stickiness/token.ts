// What a cookie of ours says, and how it is written: an authenticated, encrypted token (base/ports.ts Sealer) of fixed
// length in base64url. Whoever has the cookie can neither read which endpoint it names nor make one; what is not ours
// is null, never an error.
//
// Plain text, big-endian: version (1 byte), kind (1), hash of the scope (8), hash of the id (8), seconds since the Unix
// epoch when it was issued (5). With nonce and tag it makes 51 bytes, which are 68 characters without padding or unused
// bits: one token has one spelling.

import { latin1Text, type Scratch } from "../../base/bytes.ts";
import type { Hash64 } from "../../base/keyed-hash.ts";
import { cookieCacheSlots } from "../../base/limits.ts";
import { SEAL_BYTES, type Sealer } from "../../base/ports.ts";

/** What a token names: an endpoint of a pool (scope = the pool), or an arm of a weighted forward (no scope). */
export const TokenKind = { Endpoint: 1, Arm: 2 } as const;
export type TokenKind = (typeof TokenKind)[keyof typeof TokenKind];

export interface Token {
  kind: number;
  readonly scope: Hash64;
  readonly id: Hash64;
  /** Seconds since the Unix epoch. */
  issuedS: number;
  /** Sealed under a key that is going out of use. */
  outdated: boolean;
}

const VERSION = 1;
const PLAIN_BYTES = 23;
const TEXT_BYTES = ((PLAIN_BYTES + SEAL_BYTES) / 3) * 4;
/** Words of a remembered token: kind and outdated, scope, id. */
const WORDS = 5;
const OUTDATED = 0x100;

/**
 * Opens and seals tokens under one set of keys, and remembers the latest it saw, so that a client who comes back costs
 * no cryptography. One per worker.
 */
export class TokenBox {
  private readonly sealer: Sealer;
  private readonly slots: number;
  private readonly texts: Uint8Array;
  /** WORDS for each slot; 0 in the first = empty. */
  private readonly words: Int32Array;
  private readonly issued: Float64Array;
  private readonly plain = new Uint8Array(PLAIN_BYTES);
  private readonly view = new DataView(this.plain.buffer);
  private readonly token: Token = { kind: 0, scope: { a: 0, b: 0 }, id: { a: 0, b: 0 }, issuedS: 0, outdated: false };

  /** slots: how many tokens are remembered; a power of two. */
  constructor(sealer: Sealer, slots: number = cookieCacheSlots) {
    this.sealer = sealer;
    this.slots = slots;
    this.texts = new Uint8Array(slots * TEXT_BYTES);
    this.words = new Int32Array(slots * WORDS);
    this.issued = new Float64Array(slots);
  }

  /** What the cookie value bytes[start, end) says, valid until the next call; null = it is none of ours. */
  open(bytes: Uint8Array, start: number, end: number): Token | null {
    if (end - start !== TEXT_BYTES) return null;
    const slot = this.slotOf(bytes, end);
    if (this.words[slot * WORDS] !== 0 && this.isText(slot, bytes, start)) return this.recall(slot);
    const text = latin1Text(bytes, start, end);
    const sealed = Buffer.from(text, "base64url");
    // The decoder takes more than it should: other alphabets, padding, characters it skips.
    if (sealed.length !== PLAIN_BYTES + SEAL_BYTES || sealed.toString("base64url") !== text) return null;
    const opened = this.sealer.open(sealed, 0, sealed.length);
    if (opened === null || opened.plain.length !== PLAIN_BYTES || opened.plain[0] !== VERSION) return null;
    this.plain.set(opened.plain);
    this.readPlain(opened.outdated);
    this.remember(slot, bytes, start);
    return this.token;
  }

  /** Appends a new token as a cookie value. */
  seal(into: Scratch, kind: TokenKind, scope: Hash64, id: Hash64, issuedS: number): void {
    const { view } = this;
    view.setUint8(0, VERSION);
    view.setUint8(1, kind);
    view.setInt32(2, scope.a);
    view.setInt32(6, scope.b);
    view.setInt32(10, id.a);
    view.setInt32(14, id.b);
    view.setUint8(18, Math.floor(issuedS / 2 ** 32));
    view.setUint32(19, issuedS);
    const start = into.length;
    into.putText(Buffer.from(this.sealer.seal(this.plain)).toString("base64url"));
    this.readPlain(false);
    this.remember(this.slotOf(into.bytes, into.length), into.bytes, start);
  }

  private readPlain(outdated: boolean): void {
    const { view, token } = this;
    token.kind = view.getUint8(1);
    token.scope.a = view.getInt32(2);
    token.scope.b = view.getInt32(6);
    token.id.a = view.getInt32(10);
    token.id.b = view.getInt32(14);
    token.issuedS = view.getUint8(18) * 2 ** 32 + view.getUint32(19);
    token.outdated = outdated;
  }

  /**
   * The end of a token is its tag: as good as random. Made-up values find a slot too, and then differ from what it
   * holds.
   */
  private slotOf(bytes: Uint8Array, end: number): number {
    const mixed = bytes[end - 1]! + bytes[end - 2]! * 61 + bytes[end - 3]! * 3721 + bytes[end - 4]! * 226_981;
    return mixed & (this.slots - 1);
  }

  private isText(slot: number, bytes: Uint8Array, start: number): boolean {
    const { texts } = this;
    const at = slot * TEXT_BYTES;
    for (let k = 0; k < TEXT_BYTES; k++) if (texts[at + k] !== bytes[start + k]) return false;
    return true;
  }

  private recall(slot: number): Token {
    const { words, token } = this;
    const at = slot * WORDS;
    token.kind = words[at]! & 0xff;
    token.outdated = (words[at]! & OUTDATED) !== 0;
    token.scope.a = words[at + 1]!;
    token.scope.b = words[at + 2]!;
    token.id.a = words[at + 3]!;
    token.id.b = words[at + 4]!;
    token.issuedS = this.issued[slot]!;
    return token;
  }

  private remember(slot: number, bytes: Uint8Array, start: number): void {
    const { words, texts, token } = this;
    for (let k = 0; k < TEXT_BYTES; k++) texts[slot * TEXT_BYTES + k] = bytes[start + k]!;
    const at = slot * WORDS;
    words[at] = token.kind | (token.outdated ? OUTDATED : 0);
    words[at + 1] = token.scope.a;
    words[at + 2] = token.scope.b;
    words[at + 3] = token.id.a;
    words[at + 4] = token.id.b;
    this.issued[slot] = token.issuedS;
  }
}
