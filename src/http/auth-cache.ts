// What an authentication service has answered, by a keyed hash of the question (128 bits: nobody finds two questions of
// one hash without the key). Bounded in number and bytes; what was put in first goes first.

import { beginHash, feedBytes, finishHash, type Hash64, type HashSeed } from "../base/keyed-hash.ts";
import { authCacheBytesMax, authCacheEntriesMax } from "../base/limits.ts";

/** Two independent keys, this worker's own. */
export type SeedPair = readonly [HashSeed, HashSeed];

/** The hash of one question. */
export interface QuestionKey {
  /** 53 of its bits. */
  readonly number: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

interface Entry<T> {
  readonly key: QuestionKey;
  readonly value: T;
  readonly bytes: number;
  readonly untilMs: number;
}

/** What an entry takes besides its value. */
const entryBytes = 200;
/** Entries that are looked at for each new one, whether their time is over. */
const sweptEntries = 2;
const hash: Hash64 = { a: 0, b: 0 };

/** The key of bytes[0, end). */
export function questionKey(seeds: SeedPair, bytes: Uint8Array, end: number): QuestionKey {
  beginHash(seeds[0]);
  feedBytes(bytes, 0, end);
  finishHash(hash);
  const { a, b } = hash;
  beginHash(seeds[1]);
  feedBytes(bytes, 0, end);
  finishHash(hash);
  return { number: (a >>> 0) * 0x20_0000 + (b & 0x1f_ffff), b, c: hash.a, d: hash.b };
}

export function sameKey(one: QuestionKey, other: QuestionKey): boolean {
  return one.number === other.number && one.b === other.b && one.c === other.c && one.d === other.d;
}

export class AuthCache<T> {
  private readonly entriesMax: number;
  private readonly bytesMax: number;
  private readonly entries = new Map<number, Entry<T>>();
  private used = 0;

  constructor(entriesMax: number = authCacheEntriesMax, bytesMax: number = authCacheBytesMax) {
    this.entriesMax = entriesMax;
    this.bytesMax = bytesMax;
  }

  get size(): number {
    return this.entries.size;
  }

  /** Bytes in use, the bound of which is kept. */
  get bytes(): number {
    return this.used;
  }

  /** What is remembered, or null. */
  find(key: QuestionKey, nowMs: number): T | null {
    const entry = this.entries.get(key.number);
    if (entry === undefined || !sameKey(entry.key, key)) return null;
    if (nowMs < entry.untilMs) return entry.value;
    this.remove(entry);
    return null;
  }

  /** Remembers a value that takes so many bytes until then. */
  put(key: QuestionKey, value: T, bytes: number, nowMs: number, untilMs: number): void {
    const before = this.entries.get(key.number);
    if (before !== undefined) this.remove(before);
    const entry = { key, value, bytes: bytes + entryBytes, untilMs };
    this.entries.set(key.number, entry);
    this.used += entry.bytes;
    let swept = 0;
    for (const oldest of this.entries.values()) {
      const isFull = this.entries.size > this.entriesMax || this.used > this.bytesMax;
      if (!isFull && (swept === sweptEntries || oldest.untilMs > nowMs)) break;
      this.remove(oldest);
      swept++;
    }
  }

  private remove(entry: Entry<T>): void {
    this.entries.delete(entry.key.number);
    this.used -= entry.bytes;
  }
}
