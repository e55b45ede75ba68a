// Finds where a match and its groups lie: all ways through the program at once, one step of each for every byte, in the
// order in which a backtracking engine would try them (R. Pike's algorithm, as told by R. Cox). Two ways that meet at
// an instruction have the same future, so that the less preferred one is dropped: there are never more ways than
// instructions, and time is bounded by their product with the bytes.

import { Beside, holds, Op, type Program } from "./program.ts";

/** The ways that are alive at one position, the preferred first. */
class Ways {
  readonly pcs: Uint16Array;
  /** What each has noted: slotCount numbers. */
  readonly notes: Int32Array;
  /** marks[pc] = turn for the instructions visited at this position. */
  readonly marks: Int32Array;
  count = 0;
  turn = 0;

  constructor(program: Program) {
    this.pcs = new Uint16Array(program.length);
    this.notes = new Int32Array(program.length * program.slotCount);
    this.marks = new Int32Array(program.length);
  }

  clear(): void {
    this.count = 0;
    if (++this.turn === 0x7fffffff) {
      this.marks.fill(0);
      this.turn = 1;
    }
  }
}

export class Pike {
  /** Work so far, in instructions visited. */
  steps = 0;

  private readonly program: Program;
  private here: Ways;
  private there: Ways;
  /** What the way that is being followed has noted. */
  private readonly notes: Int32Array;
  /** Instructions to visit; below 0: a note to take back, ~slot, with its value beside. */
  private readonly stack: Int32Array;
  private readonly values: Int32Array;

  constructor(program: Program) {
    this.program = program;
    this.here = new Ways(program);
    this.there = new Ways(program);
    this.notes = new Int32Array(program.slotCount);
    this.stack = new Int32Array(program.length + 1);
    this.values = new Int32Array(program.length + 1);
  }

  /** See Regex.exec. */
  exec(bytes: Uint8Array, start: number, end: number, captures: Int32Array): boolean {
    const { program, notes } = this;
    const { besideOf, classOf, firstClasses, isAnchored } = program;
    let isFound = false;
    this.here.clear();
    for (let at = start; ; at++) {
      if (this.here.count === 0) {
        if (isFound || (isAnchored && at > start)) return isFound;
        if (firstClasses !== null) {
          while (at < end && firstClasses[classOf[bytes[at]!]!] === 0) at++;
          this.here.clear(); // what was visited, in vain, was visited at a position that is behind
        }
      }
      if (!isFound && (!isAnchored || at === start)) {
        notes.fill(-1);
        notes[0] = at;
        const before = at > start ? besideOf[bytes[at - 1]!]! : Beside.Edge;
        this.follow(this.here, program.start, at, before, at < end ? besideOf[bytes[at]!]! : Beside.Edge);
      }
      if (this.step(bytes, at, end, captures)) isFound = true;
      if (at === end) return isFound;
      const { here } = this;
      this.here = this.there;
      this.there = here;
    }
  }

  /** Moves every way past the byte at `at`; true if one of them has matched before it, and captures are written. */
  private step(bytes: Uint8Array, at: number, end: number, captures: Int32Array): boolean {
    const { here, there, notes, program } = this;
    const { op, x, y, setHas, besideOf, slotCount } = program;
    there.clear();
    const byte = at < end ? bytes[at]! : -1;
    const byteClass = byte >= 0 ? program.classOf[byte]! : 0;
    const before = byte >= 0 ? besideOf[byte]! : Beside.Edge;
    const after = at + 1 < end ? besideOf[bytes[at + 1]!]! : Beside.Edge;
    this.steps += here.count;
    for (let i = 0; i < here.count; i++) {
      const pc = here.pcs[i]!;
      const from = i * slotCount;
      if (op[pc] === Op.Match) {
        // Whatever follows in the list is less preferred than this match.
        const count = Math.min(slotCount, captures.length);
        for (let slot = 0; slot < count; slot++) captures[slot] = here.notes[from + slot]!;
        captures[1] = at;
        return true;
      }
      if (byte < 0 || setHas[x[pc]! + byteClass] === 0) continue;
      for (let slot = 0; slot < slotCount; slot++) notes[slot] = here.notes[from + slot]!;
      this.follow(there, y[pc]!, at + 1, before, after);
    }
    return false;
  }

  /** Adds all that is reached from `first` without a byte to the ways, in order of preference. */
  private follow(ways: Ways, first: number, at: number, before: number, after: number): void {
    const { stack, values, notes, program } = this;
    const { op, x, y, slotCount } = program;
    const { marks, turn } = ways;
    let depth = 0;
    stack[depth++] = first;
    while (depth > 0) {
      let pc = stack[--depth]!;
      if (pc < 0) {
        notes[~pc] = values[depth]!;
        continue;
      }
      while (pc >= 0 && marks[pc] !== turn) {
        marks[pc] = turn;
        this.steps++;
        switch (op[pc]) {
          case Op.Split:
            stack[depth++] = y[pc]!;
            pc = x[pc]!;
            break;
          case Op.Save: {
            const slot = x[pc]!;
            values[depth] = notes[slot]!;
            stack[depth++] = ~slot;
            notes[slot] = at;
            pc = y[pc]!;
            break;
          }
          case Op.Assert:
            pc = holds(x[pc]!, before, after) ? y[pc]! : -1;
            break;
          default: {
            const to = ways.count * slotCount;
            for (let slot = 0; slot < slotCount; slot++) ways.notes[to + slot] = notes[slot]!;
            ways.pcs[ways.count++] = pc;
            pc = -1;
          }
        }
      }
    }
  }
}
