// A table of fixed size in memory that all workers share: from the 64-bit hash of a key to a few 32-bit words. Sets of
// eight ways; in a full set the entry not touched for longest gives way. For what may be forgotten: rate limits, sticky
// clients, counts of requests in progress. It knows no keys, only hashes, and no clock: times are arguments.
//
// How to use it.
// - Memory: sharedTableWords(shape) words, zero-filled, the same in every process. The supervisor asks table-arena.ts
//   for regions of Columns.arena (a TableWish each), workers call openTable(). An Int32Array of one process alone will
//   do as well (a local table, tests).
// - Hash: base/keyed-hash.ts with the seed of the running balancer (columns.seed), words a and b. Every process must
//   use the same seed, else they do not find each other's entries.
// - Read: `slot = table.find(a, b)`; -1 = not there. `table.load(slot, k)` reads value word k, 0 if never written.
//   `table.ageMs(slot, nowMs)` is how long ago the entry was touched (16 ms steps): compare it with a time to live.
// - Write: `slot = table.claim(a, b, nowMs)` finds the entry or makes one with all values 0; -1 = not now (rare, see
//   below): do without. Then `store`, or `swap` = compare and exchange. `touch(slot, nowMs)` keeps it from being
//   evicted; claim touches too.
// - A slot is good for the moment: another process may give it to another key at any time. What must not happen to a
//   stranger's entry is done by swap (its expected value will not fit) or checked afterwards with holds(slot, a, b).
// - Value words are changed one by one. If two belong together, a reader may see one old and one new: keep what matters
//   in one word, or make a mismatch recognisable.
//
// Protocol. Readers take no lock. Whoever makes an entry takes the lock of its set's stripe, looks again, empties the
// way (first word 0, so that nobody finds it half written), writes it and publishes it with the first word. So no key
// is ever in two ways. A lock is held for about 100 ns; whoever finds it taken looks again for a few milliseconds, for
// its owner may just not be running, and then gives up. One that is older than a second belonged to a process that
// died: it is taken over, and the worst that follows is an entry lost.

/** Ways of a set. */
const WAYS = 8;
/** Words of locks in front of the sets. */
const LOCKS = 1024;
/** Word of a way's stamp, in rows of WAYS words: hash a, hash b, stamp, values. */
const HASH_B = WAYS;
const STAMP = 2 * WAYS;
const VALUES = 3 * WAYS;

/** Steps of time stamps: 32 bits of them last two years. */
const TICK_MS = 16;
/** Clocks of processes may differ by the age of a cached reading; a stamp that far ahead is not an old one. */
const AHEAD_TICKS = 1 << 16;
/** Places beyond the wished number of keys, so that few sets overflow before the table is full. */
const SPARE = 1.5;
/** Looks at a lock before giving up: about 3 ms. */
const LOOKS_MAX = 300_000;
/** Age at which the owner of a lock must be dead. */
const LOCK_TICKS_MAX = 64;

/** The form of a table; every process must open it with the same. */
export interface TableShape {
  /** Keys that find room. A few more may, a few of them (about 3 % when exactly so many are in use) may not. */
  readonly keys: number;
  /** Value words of an entry; at least 1. */
  readonly values: number;
}

function setsOf(shape: TableShape): number {
  return Math.max(1, Math.ceil((shape.keys * SPARE) / WAYS));
}

/** 32-bit words of memory that a table of this shape needs. */
export function sharedTableWords(shape: TableShape): number {
  return LOCKS + setsOf(shape) * WAYS * (3 + shape.values);
}

export class SharedTable {
  readonly shape: TableShape;
  /** Entries this process has taken from one key for another. */
  evicted = 0;
  /** claimIdle() calls of this process that found no place. */
  full = 0;
  private readonly words: Int32Array;
  private readonly sets: number;
  private readonly stride: number;

  /** Lays the table over words, which must be sharedTableWords(shape) long. */
  constructor(words: Int32Array, shape: TableShape) {
    if (words.length < sharedTableWords(shape)) throw new Error(`a table of ${shape.keys} keys needs more memory`);
    this.shape = shape;
    this.words = words;
    this.sets = setsOf(shape);
    this.stride = WAYS * (3 + shape.values);
  }

  /** The entry of this hash, or -1. */
  find(a: number, b: number): number {
    return this.scan(this.baseOf(a), a === 0 ? 1 : a, b);
  }

  /** The entry of this hash, made if it is not there; touched. -1 = its lock could not be had. */
  claim(a: number, b: number, nowMs: number): number {
    return this.obtain(a, b, nowMs, false);
  }

  /**
   * As claim(), but takes no place from an entry that has a value other than 0: -1 also if there is no other. For
   * counts: whoever has added to a value asks holds() then. Either it is still his, and nobody takes it before he has
   * taken his part away again, or he takes it away now and claims anew. So values of entries in use are never cleared.
   */
  claimIdle(a: number, b: number, nowMs: number): number {
    return this.obtain(a, b, nowMs, true);
  }

  /** True if the slot still belongs to this hash. */
  holds(slot: number, a: number, b: number): boolean {
    const { words } = this;
    return Atomics.load(words, slot) === (a === 0 ? 1 : a) && Atomics.load(words, slot + HASH_B) === b;
  }

  /** Forgets the entry, if the slot still belongs to this hash. */
  remove(slot: number, a: number, b: number): void {
    if (Atomics.load(this.words, slot + HASH_B) !== b) return;
    Atomics.compareExchange(this.words, slot, a === 0 ? 1 : a, 0);
  }

  touch(slot: number, nowMs: number): void {
    this.stamp(slot, tickOf(nowMs));
  }

  /** Milliseconds since the entry was touched, in steps of 16, from 0 to two years. */
  ageMs(slot: number, nowMs: number): number {
    return ageOf(Atomics.load(this.words, slot + STAMP), tickOf(nowMs)) * TICK_MS;
  }

  /** Value word k, signed. */
  load(slot: number, k: number): number {
    return Atomics.load(this.words, slot + VALUES + k * WAYS);
  }

  store(slot: number, k: number, value: number): void {
    Atomics.store(this.words, slot + VALUES + k * WAYS, value);
  }

  /** Compare and exchange: true if value word k was `expected` and is now `value`. Both signed 32-bit. */
  swap(slot: number, k: number, expected: number, value: number): boolean {
    return Atomics.compareExchange(this.words, slot + VALUES + k * WAYS, expected, value) === expected;
  }

  /** Sets value word k of every entry to 0: what a process that died had there. */
  clearValue(k: number): void {
    const { words, stride } = this;
    const end = LOCKS + this.sets * stride;
    for (let base = LOCKS; base < end; base += stride) {
      const at = base + VALUES + k * WAYS;
      for (let way = at; way < at + WAYS; way++) if (words[way] !== 0) Atomics.store(words, way, 0);
    }
  }

  /**
   * Calls visit for every entry in use, with its slot and its hash; of a hash whose word a was 0 it is 1. For what
   * comes seldom: copying a table while others use it.
   */
  each(visit: (slot: number, a: number, b: number) => void): void {
    const end = LOCKS + this.sets * this.stride;
    for (let base = LOCKS; base < end; base += this.stride) {
      for (let slot = base; slot < base + WAYS; slot++) {
        const a = Atomics.load(this.words, slot);
        if (a !== 0) visit(slot, a, Atomics.load(this.words, slot + HASH_B));
      }
    }
  }

  /** Entries in use; looks at every one. */
  count(): number {
    let count = 0;
    const end = LOCKS + this.sets * this.stride;
    for (let base = LOCKS; base < end; base += this.stride) {
      for (let way = 0; way < WAYS; way++) if (this.words[base + way] !== 0) count++;
    }
    return count;
  }

  private baseOf(a: number): number {
    return LOCKS + Math.floor(((a >>> 0) * this.sets) / 0x1_0000_0000) * this.stride;
  }

  private scan(base: number, a: number, b: number): number {
    const { words } = this;
    for (let slot = base; slot < base + WAYS; slot++) {
      if (Atomics.load(words, slot) === a && Atomics.load(words, slot + HASH_B) === b) return slot;
    }
    return -1;
  }

  private stamp(slot: number, tick: number): void {
    const { words } = this;
    if (words[slot + STAMP] !== tick) Atomics.store(words, slot + STAMP, tick);
  }

  private obtain(a: number, b: number, nowMs: number, idleOnly: boolean): number {
    const tick = tickOf(nowMs);
    const base = this.baseOf(a);
    const first = a === 0 ? 1 : a;
    const known = this.scan(base, first, b);
    if (known < 0) return this.insert(base, first, b, tick, idleOnly);
    this.stamp(known, tick);
    return known;
  }

  private insert(base: number, a: number, b: number, tick: number, idleOnly: boolean): number {
    const { words } = this;
    const lock = ((base - LOCKS) / this.stride) % LOCKS;
    if (!this.lock(lock, tick)) return -1;
    let slot = this.scan(base, a, b);
    if (slot >= 0) this.stamp(slot, tick);
    else {
      slot = this.takeVictim(base, tick, idleOnly);
      if (slot < 0) this.full++;
      else {
        if (!idleOnly) for (let k = 0; k < this.shape.values; k++) this.store(slot, k, 0);
        Atomics.store(words, slot + STAMP, tick);
        Atomics.store(words, slot + HASH_B, b);
        Atomics.store(words, slot, a);
      }
    }
    Atomics.store(words, lock, 0);
    return slot;
  }

  private lock(at: number, tick: number): boolean {
    const { words } = this;
    const own = tick === 0 ? 1 : tick;
    let held = Atomics.compareExchange(words, at, 0, own);
    for (let looks = 0; held !== 0 && looks < LOOKS_MAX; looks++) held = Atomics.compareExchange(words, at, 0, own);
    if (held === 0) return true;
    return ageOf(held, tick) > LOCK_TICKS_MAX && Atomics.compareExchange(words, at, held, own) === held;
  }

  /** Empties the way that is to be given away and returns it; -1 = none. */
  private takeVictim(base: number, tick: number, idleOnly: boolean): number {
    const { words } = this;
    for (let k = 0; k < WAYS; k++) {
      const slot = this.victim(base, tick, idleOnly);
      if (slot < 0) return -1;
      const before = Atomics.exchange(words, slot, 0);
      if (!idleOnly || this.isIdle(slot)) {
        if (before !== 0) this.evicted++;
        return slot;
      }
      Atomics.store(words, slot, before); // its owner has begun to use it in this very moment, and may still think so
    }
    return -1;
  }

  /** The way to give away: an empty one, else the one not touched for longest. */
  private victim(base: number, tick: number, idleOnly: boolean): number {
    const { words } = this;
    let oldest = -1;
    let age = -1;
    for (let slot = base; slot < base + WAYS; slot++) {
      if (idleOnly && !this.isIdle(slot)) continue;
      if (words[slot] === 0) return slot;
      const own = ageOf(words[slot + STAMP]!, tick);
      if (own > age) {
        oldest = slot;
        age = own;
      }
    }
    return oldest;
  }

  private isIdle(slot: number): boolean {
    for (let k = 0; k < this.shape.values; k++) if (this.load(slot, k) !== 0) return false;
    return true;
  }
}

function tickOf(nowMs: number): number {
  return Math.floor(nowMs / TICK_MS) | 0;
}

/** Ticks between a stamp and now, both modulo 2^32. */
function ageOf(stamp: number, tick: number): number {
  const age = (tick - stamp) >>> 0;
  return age >= 0x1_0000_0000 - AHEAD_TICKS ? 0 : age;
}
