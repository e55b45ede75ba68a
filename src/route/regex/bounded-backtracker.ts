// Finds where a match and its groups lie, for short texts: tries one way after the other, as Perl does, but notes each
// pair of instruction and position it has been at, and does not enter it again: what failed once fails always. So the
// work is bounded by the number of pairs (RE2 calls it BitState). Several times faster than pike.ts, which copies notes
// for each of its ways at each byte; that one takes over where the pairs would be too many.

import { regexCacheBytesMax } from "../../base/limits.ts";
import { Beside, holds, Op, type Program } from "./program.ts";

/** Pairs of instruction and position. The stack takes eight bytes for each, the notes a bit. */
const cellsMax = regexCacheBytesMax / 8;

// One for all expressions: nothing in it outlives a call.
const visited = new Int32Array(cellsMax / 32);
/** Ways to come back to: pc and position. Below 0: a note to take back, ~slot and its value. */
const stackPc = new Int32Array(cellsMax + 1);
const stackAt = new Int32Array(cellsMax + 1);

export class BoundedBacktracker {
  /** Work so far, in instructions visited and words of notes cleared. */
  steps = 0;

  private readonly program: Program;
  private readonly notes: Int32Array;

  constructor(program: Program) {
    this.program = program;
    this.notes = new Int32Array(program.slotCount);
  }

  /** May exec be called for a text of this many bytes? */
  fits(length: number): boolean {
    return this.program.length * (length + 1) <= cellsMax;
  }

  /** See Regex.exec. */
  exec(bytes: Uint8Array, start: number, end: number, captures: Int32Array): boolean {
    const { notes, program } = this;
    const { classOf, firstClasses, isAnchored } = program;
    const words = (program.length * (end - start + 1) + 31) >> 5;
    for (let word = 0; word < words; word++) visited[word] = 0;
    this.steps += words;
    notes.fill(-1);
    const last = isAnchored ? start : end;
    for (let at = start; at <= last; at++) {
      if (firstClasses !== null && (at === end || firstClasses[classOf[bytes[at]!]!] === 0)) continue;
      notes[0] = at;
      if (!this.run(bytes, start, end, at)) continue;
      const count = Math.min(notes.length, captures.length);
      for (let slot = 0; slot < count; slot++) captures[slot] = notes[slot]!;
      return true;
    }
    return false;
  }

  /** Tries every way from the start of the program at `first`; true with the notes of the first that matches. */
  private run(bytes: Uint8Array, start: number, end: number, first: number): boolean {
    const { notes, program } = this;
    const { op, x, y, setHas, classOf, besideOf, length } = program;
    let depth = 0;
    let steps = 0;
    stackPc[depth] = program.start;
    stackAt[depth++] = first;
    while (depth > 0) {
      let pc = stackPc[--depth]!;
      let at = stackAt[depth]!;
      if (pc < 0) {
        notes[~pc] = at;
        continue;
      }
      for (;;) {
        steps++;
        const cell = (at - start) * length + pc;
        const bit = 1 << (cell & 31);
        if ((visited[cell >> 5]! & bit) !== 0) break;
        visited[cell >> 5]! |= bit;
        const kind = op[pc]!;
        if (kind === Op.Byte) {
          if (at === end || setHas[x[pc]! + classOf[bytes[at]!]!] === 0) break;
          at++;
        } else if (kind === Op.Split) {
          stackPc[depth] = y[pc]!;
          stackAt[depth++] = at;
          pc = x[pc]!;
          continue;
        } else if (kind === Op.Save) {
          const slot = x[pc]!;
          stackPc[depth] = ~slot;
          stackAt[depth++] = notes[slot]!;
          notes[slot] = at;
        } else if (kind === Op.Assert) {
          const before = at > start ? besideOf[bytes[at - 1]!]! : Beside.Edge;
          if (!holds(x[pc]!, before, at < end ? besideOf[bytes[at]!]! : Beside.Edge)) break;
        } else {
          notes[1] = at;
          this.steps += steps;
          return true;
        }
        pc = y[pc]!;
      }
    }
    this.steps += steps;
    return false;
  }
}
