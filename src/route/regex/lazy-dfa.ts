// Says whether a text matches, with one look-up a byte: a deterministic automaton whose states are made when they are
// first needed (R. Cox, "Regular Expression Matching in the Wild"; RE2). Its memory is bounded: when it is full, all
// states are forgotten and it begins anew. Then, too, a byte costs at most a walk over the program. Where the match
// lies it does not say.

import { regexCacheBytesMax } from "../../base/limits.ts";
import { Assert } from "../../base/regex/ast.ts";
import { Beside, holds, Op, type Program } from "./program.ts";

/** Entries of the table below firstOffset are not states. */
const Outcome = { Unknown: 0, Dead: 1, Matched: 2 } as const;
/** The first state's number: its offset is beyond the outcomes, as a state has two entries at least. */
const firstState = 2;
const firstOffset = 3;

const tableEntriesMax = regexCacheBytesMax / 2 / Uint16Array.BYTES_PER_ELEMENT;
const itemsMax = regexCacheBytesMax / 2 / Uint16Array.BYTES_PER_ELEMENT;
const statesMax = 1024;
/** A power of two; the hash table is twice as large, and both grow together. */
const statesAtFirst = 8;

/** What follows a position where that is not known yet. */
const notKnown = -1;

export class LazyDfa {
  /** Work so far, in bytes looked up and instructions visited, hashed or compared. */
  steps = 0;
  /** How often the memory was full and everything was forgotten. */
  oblivions = 0;

  private readonly program: Program;
  private readonly classOf: Uint8Array;
  /** Entries of a state: one for each class, and one for the end of the text. */
  private readonly stride: number;
  /** States that fit. */
  private readonly room: number;

  /** Offset of the next state or an outcome, by offset of the state + class. */
  private table: Uint16Array;
  private stateCount = firstState;
  private startOffset: number = Outcome.Unknown;
  /** A state's instructions: Byte, and conditions that wait for the next byte; ascending. */
  private items: Uint16Array;
  private itemEnds: Uint16Array;
  private hasConditions: Uint8Array;
  /** Beside.* before the state's position; Other where that makes no difference. */
  private besides: Uint8Array;
  /** Open hash table of state numbers; 0 = free. */
  private buckets: Uint16Array;

  /** The set under construction: marks[pc] = turn for what was visited. */
  private readonly marks: Int32Array;
  private turn = 0;
  private readonly stack: Uint16Array;
  private readonly next: Uint16Array;
  private nextCount = 0;
  private nextMatches = false;
  private nextHasConditions = false;
  private readonly resolved: Uint16Array;

  constructor(program: Program) {
    this.program = program;
    this.classOf = program.classOf;
    this.stride = program.classCount + 1;
    this.room = Math.min(statesMax, Math.floor(tableEntriesMax / this.stride));
    this.table = new Uint16Array(statesAtFirst * this.stride);
    this.items = new Uint16Array(Math.min(itemsMax, Math.max(64, program.length)));
    this.itemEnds = new Uint16Array(statesAtFirst);
    this.hasConditions = new Uint8Array(statesAtFirst);
    this.besides = new Uint8Array(statesAtFirst);
    this.buckets = new Uint16Array(2 * statesAtFirst);
    this.marks = new Int32Array(program.length);
    this.stack = new Uint16Array(program.length);
    this.next = new Uint16Array(program.length);
    this.resolved = new Uint16Array(program.length);
  }

  /** Is there a match anywhere in bytes[start, end)? */
  test(bytes: Uint8Array, start: number, end: number): boolean {
    const { classOf } = this;
    let { table } = this;
    let state = this.startOffset === Outcome.Unknown ? this.begin() : this.startOffset;
    if (state < firstOffset) return state === Outcome.Matched;
    for (let i = start; i < end; i++) {
      const byteClass = classOf[bytes[i]!]!;
      let next = table[state + byteClass]!;
      if (next < firstOffset) {
        if (next === Outcome.Unknown) {
          next = this.step(state, byteClass);
          table = this.table;
        }
        if (next < firstOffset) {
          this.steps += i + 1 - start;
          return next === Outcome.Matched;
        }
      }
      state = next;
    }
    this.steps += end - start;
    const last = table[state + this.stride - 1]!;
    return (last === Outcome.Unknown ? this.step(state, this.stride - 1) : last) === Outcome.Matched;
  }

  /** The state before the first byte. */
  private begin(): number {
    this.clearNext();
    this.visit(this.program.start, Beside.Edge, notKnown);
    this.startOffset = this.outcomeOf(Beside.Edge);
    return this.startOffset;
  }

  /** The state after a byte of this class, or after the end of the text; it is entered into the table. */
  private step(offset: number, byteClass: number): number {
    const { program, stride } = this;
    const state = offset / stride;
    const isEnd = byteClass === program.classCount;
    let list = this.items;
    let from = this.itemsFrom(state);
    let to = this.itemEnds[state]!;
    const beside = isEnd ? Beside.Edge : this.besideOfClass(byteClass);
    if (this.hasConditions[state] === 1) {
      this.clearNext();
      for (let i = from; i < to; i++) this.visit(list[i]!, this.besides[state]!, beside);
      if (this.nextMatches) return (this.table[offset + byteClass] = Outcome.Matched);
      list = this.resolved;
      from = 0;
      to = this.nextCount;
      for (let i = 0; i < to; i++) list[i] = this.next[i]!;
    }
    this.clearNext();
    if (!isEnd) {
      const { op, x, y, setHas } = program;
      this.steps += to - from;
      for (let i = from; i < to; i++) {
        const pc = list[i]!;
        if (op[pc] === Op.Byte && setHas[x[pc]! + byteClass] === 1) this.visit(y[pc]!, beside, notKnown);
      }
      this.visit(program.start, beside, notKnown);
    }
    const { oblivions } = this;
    const next = this.outcomeOf(beside);
    // If all states were forgotten on the way, so was this one: there is no row to write to.
    if (this.oblivions === oblivions) this.table[offset + byteClass] = next;
    return next;
  }

  /** By any of its bytes: the program's classes keep apart what it can see. */
  private besideOfClass(byteClass: number): number {
    return this.program.besideOf[this.classOf.indexOf(byteClass)]!;
  }

  private clearNext(): void {
    if (++this.turn === 0x7fffffff) {
      this.marks.fill(0);
      this.turn = 1;
    }
    this.nextCount = 0;
    this.nextMatches = false;
    this.nextHasConditions = false;
  }

  /**
   * Adds pc and all that is reached from it without a byte. Conditions on what follows are kept while `after` is not
   * known.
   */
  private visit(first: number, before: number, after: number): void {
    const { marks, stack, turn, next } = this;
    const { op, x, y } = this.program;
    if (marks[first] === turn) return;
    let depth = 0;
    marks[first] = turn;
    stack[depth++] = first;
    while (depth > 0) {
      const pc = stack[--depth]!;
      this.steps++;
      const on = y[pc]!;
      switch (op[pc]) {
        case Op.Match:
          this.nextMatches = true;
          continue;
        case Op.Byte:
          next[this.nextCount++] = pc;
          continue;
        case Op.Assert:
          if (after === notKnown && x[pc] !== Assert.TextStart && x[pc] !== Assert.LineStart) {
            this.nextHasConditions = true;
            next[this.nextCount++] = pc;
            continue;
          }
          if (!holds(x[pc]!, before, after)) continue;
          break;
        case Op.Split: {
          const preferred = x[pc]!;
          if (marks[preferred] !== turn) {
            marks[preferred] = turn;
            stack[depth++] = preferred;
          }
          break;
        }
        default:
      }
      if (marks[on] !== turn) {
        marks[on] = turn;
        stack[depth++] = on;
      }
    }
  }

  /** What the set under construction is: an outcome, or a state, known or new. */
  private outcomeOf(beside: number): number {
    if (this.nextMatches) return Outcome.Matched;
    // A state without instructions is a state all the same where (?m)^ may begin a match behind the next newline.
    if (this.nextCount === 0 && (this.program.isAnchored || beside === Beside.Edge)) return Outcome.Dead;
    this.sortNext();
    const before = this.nextHasConditions ? beside : Beside.Other;
    const { stride } = this;
    let bucket = this.bucketOf(this.next, 0, this.nextCount, before);
    for (; this.buckets[bucket] !== 0; bucket = this.bucketAfter(bucket)) {
      if (this.isState(this.buckets[bucket]!, before)) return this.buckets[bucket]! * stride;
    }
    this.makeRoom();
    return this.addState(before) * stride;
  }

  /** FNV-1a over the instructions. */
  private bucketOf(list: Uint16Array, from: number, to: number, before: number): number {
    this.steps += to - from;
    let hash = 0x811c9dc5 ^ before;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ list[i]!, 0x01000193);
    return (hash ^ (hash >>> 15)) & (this.buckets.length - 1);
  }

  private bucketAfter(bucket: number): number {
    return (bucket + 1) & (this.buckets.length - 1);
  }

  /** Ascending: a set is one state, however it came about. */
  private sortNext(): void {
    const { next, nextCount } = this;
    if (nextCount > 24) {
      // In order of instructions, from the marks of what was kept; a walk over the program at most.
      this.steps += this.program.length;
      const { op } = this.program;
      let count = 0;
      for (let pc = 0; count < nextCount; pc++) {
        if (this.marks[pc] === this.turn && this.isKept(op[pc]!, pc)) next[count++] = pc;
      }
      return;
    }
    for (let i = 1; i < nextCount; i++) {
      const pc = next[i]!;
      let at = i;
      for (; at > 0 && next[at - 1]! > pc; at--) next[at] = next[at - 1]!;
      next[at] = pc;
    }
  }

  private isKept(op: number, pc: number): boolean {
    const assert = this.program.x[pc]!;
    return op === Op.Byte || (op === Op.Assert && assert !== Assert.TextStart && assert !== Assert.LineStart);
  }

  private itemsFrom(state: number): number {
    return state === firstState ? 0 : this.itemEnds[state - 1]!;
  }

  private isState(state: number, before: number): boolean {
    const from = this.itemsFrom(state);
    if (this.itemEnds[state]! - from !== this.nextCount || this.besides[state] !== before) return false;
    this.steps += this.nextCount;
    for (let i = 0; i < this.nextCount; i++) if (this.items[from + i] !== this.next[i]) return false;
    return true;
  }

  /** Makes room for the set under construction; if there is no more to be had, all states are forgotten for it. */
  private makeRoom(): void {
    const items = this.itemsFrom(this.stateCount) + this.nextCount;
    if (this.stateCount === this.room || items > itemsMax) {
      this.oblivions++;
      this.stateCount = firstState;
      this.startOffset = Outcome.Unknown;
      this.buckets.fill(0);
      return;
    }
    if (items > this.items.length) {
      this.items = widened(this.items, new Uint16Array(Math.min(itemsMax, Math.max(items, 2 * this.items.length))));
    }
    if (this.stateCount < this.itemEnds.length) return;
    const states = Math.min(this.room, 2 * this.stateCount);
    this.table = widened(this.table, new Uint16Array(states * this.stride));
    this.itemEnds = widened(this.itemEnds, new Uint16Array(states));
    this.hasConditions = widened(this.hasConditions, new Uint8Array(states));
    this.besides = widened(this.besides, new Uint8Array(states));
    this.buckets = new Uint16Array(2 * this.buckets.length);
    for (let state = firstState; state < this.stateCount; state++) this.enter(state);
  }

  /** Enters a state that is not there yet into the hash table. */
  private enter(state: number): void {
    let bucket = this.bucketOf(this.items, this.itemsFrom(state), this.itemEnds[state]!, this.besides[state]!);
    while (this.buckets[bucket] !== 0) bucket = this.bucketAfter(bucket);
    this.buckets[bucket] = state;
  }

  private addState(before: number): number {
    const state = this.stateCount;
    let items = this.itemsFrom(state);
    for (let i = 0; i < this.nextCount; i++) this.items[items++] = this.next[i]!;
    this.stateCount++;
    this.itemEnds[state] = items;
    this.hasConditions[state] = this.nextHasConditions ? 1 : 0;
    this.besides[state] = before;
    this.table.fill(Outcome.Unknown, state * this.stride, (state + 1) * this.stride);
    this.enter(state);
    return state;
  }
}

function widened<T extends Uint8Array | Uint16Array>(numbers: T, wider: T): T {
  wider.set(numbers);
  return wider;
}
