// A regular expression as a program for a nondeterministic automaton (Thompson 1968, in the form of R. Cox's
// "Regular Expression Matching: the Virtual Machine Approach"): instructions, with the order of preference among them.
// The automata beside this file run it, all of them in time bounded by its length times the text's.

import { Assert, type ByteSet, type RegexNode } from "../../base/regex/ast.ts";
import { wordBytes } from "../../base/regex/byte-set.ts";

export const Op = {
  /** The expression has matched. */
  Match: 0,
  /** Takes one byte of a set: x + class of the byte is where setHas says whether; y = next. */
  Byte: 1,
  /** Two ways on: x is preferred to y. */
  Split: 2,
  /** Notes the position under number x; y = next. */
  Save: 3,
  /** Goes on to y if the position fulfils the condition x (Assert). */
  Assert: 4,
} as const;

/** What stands beside a position; as much as the program can tell apart. */
export const Beside = { Edge: 0, Newline: 1, Word: 2, Other: 3 } as const;

export interface Program {
  readonly length: number;
  readonly start: number;
  readonly op: Uint8Array;
  readonly x: Int32Array;
  readonly y: Int32Array;
  /** Bytes that no instruction tells apart share a class, from 0. */
  readonly classOf: Uint8Array;
  readonly classCount: number;
  /** Members of all sets: one run of classCount for each. */
  readonly setHas: Uint8Array;
  /** Beside.* of each byte. */
  readonly besideOf: Uint8Array;
  /** Positions that Save notes: two for each group and two for the whole match (0 and 1, which no Save does). */
  readonly slotCount: number;
  /** Every match begins at the beginning of the text. */
  readonly isAnchored: boolean;
  /** 1 for the classes a match can begin with; null if a match can be empty, or depend on nothing but the position. */
  readonly firstClasses: Uint8Array | null;
}

/** Does a position between these two fulfil the condition? */
export function holds(assert: number, before: number, after: number): boolean {
  switch (assert) {
    case Assert.TextStart:
      return before === Beside.Edge;
    case Assert.TextEnd:
      return after === Beside.Edge;
    case Assert.LineStart:
      return before <= Beside.Newline;
    case Assert.LineEnd:
      return after <= Beside.Newline;
    case Assert.WordEdge:
      return (before === Beside.Word) !== (after === Beside.Word);
    default:
      return (before === Beside.Word) === (after === Beside.Word);
  }
}

/** The instructions while they are written, from the last to the first: each is told where it goes on. */
class Writer {
  readonly op: number[] = [];
  readonly x: number[] = [];
  readonly y: number[] = [];
  /** Sets by number, and single bytes by number, which are sets of their own behind the others. */
  readonly sets: ByteSet[] = [];
  readonly bytes: number[] = [];
  private readonly setNumbers = new Map<string, number>();

  emit(op: number, x: number, y: number): number {
    this.op.push(op);
    this.x.push(x);
    this.y.push(y);
    return this.op.length - 1;
  }

  /** x is the number of the set; ~number for a byte, until all sets are known. */
  private emitSet(set: ByteSet, next: number): number {
    const key = String.fromCharCode(...set);
    let number = this.setNumbers.get(key);
    if (number === undefined) {
      number = this.sets.push(set) - 1;
      this.setNumbers.set(key, number);
    }
    return this.emit(Op.Byte, number, next);
  }

  private emitByte(byte: number, next: number): number {
    const known = this.bytes.indexOf(byte);
    return this.emit(Op.Byte, ~(known >= 0 ? known : this.bytes.push(byte) - 1), next);
  }

  private emitSplit(preferred: number, other: number, greedy: boolean): number {
    return greedy ? this.emit(Op.Split, preferred, other) : this.emit(Op.Split, other, preferred);
  }

  /** node once or more often. */
  private emitLoop(node: RegexNode, next: number, greedy: boolean): { readonly once: number; readonly again: number } {
    const again = this.emit(Op.Split, next, next);
    const once = this.write(node, again);
    (greedy ? this.x : this.y)[again] = once;
    return { once, again };
  }

  private writeRepeat(node: RegexNode & { readonly kind: "repeat" }, next: number): number {
    const { node: body, min, max, greedy } = node;
    let at = next;
    let copies = min;
    if (max === Infinity) {
      const { once, again } = this.emitLoop(body, next, greedy);
      // x* of an x that can be empty is (x+)?: the empty turn is then tried where x prefers it, as Perl does.
      if (min > 0) at = once;
      else at = body.nullable ? this.emitSplit(once, next, greedy) : again;
      copies--;
    } else {
      for (let i = min; i < max; i++) at = this.emitSplit(this.write(body, at), next, greedy);
    }
    for (let i = 0; i < copies; i++) at = this.write(body, at);
    return at;
  }

  /** Writes what matches node and goes on to next; returns where it begins. */
  write(node: RegexNode, next: number): number {
    switch (node.kind) {
      case "byte":
        return this.emitByte(node.byte, next);
      case "set":
        return this.emitSet(node.set, next);
      case "assert":
        return this.emit(Op.Assert, node.assert, next);
      case "sequence":
        return node.nodes.reduceRight((at, each) => this.write(each, at), next);
      case "choice":
        return node.nodes
          .map((each) => this.write(each, next))
          .reduceRight((others, preferred) => this.emit(Op.Split, preferred, others));
      case "group": {
        const close = this.emit(Op.Save, 2 * node.index + 1, next);
        return this.emit(Op.Save, 2 * node.index, this.write(node.node, close));
      }
      case "repeat":
        return this.writeRepeat(node, next);
    }
  }
}

/** The coarsest partition of the bytes that keeps every set, and every byte given, a union of parts. */
function partition(sets: readonly ByteSet[], bytes: readonly number[]): readonly [Uint8Array, number] {
  const classOf = new Uint8Array(256);
  bytes.forEach((byte, i) => (classOf[byte] = i + 1));
  // Of 256 bytes the last one gets class 0 by the array's overflow, and is alone in it.
  let classCount = Math.min(256, bytes.length + 1);
  const parts = new Int16Array(512);
  for (const set of sets) {
    parts.fill(-1);
    classCount = 0;
    for (let byte = 0; byte < 256; byte++) {
      const part = 2 * classOf[byte]! + set[byte]!;
      if (parts[part] === -1) parts[part] = classCount++;
      classOf[byte] = parts[part]!;
    }
  }
  return [classOf, classCount];
}

/** What the program can see beside a position: newlines only if it looks for lines, words only if for words. */
function besides(asserts: ReadonlySet<number>): Uint8Array {
  const beside = new Uint8Array(256).fill(Beside.Other);
  if (asserts.has(Assert.WordEdge) || asserts.has(Assert.NotWordEdge)) {
    for (let byte = 0; byte < 256; byte++) if (wordBytes[byte] === 1) beside[byte] = Beside.Word;
  }
  if (asserts.has(Assert.LineStart) || asserts.has(Assert.LineEnd)) beside[0x0a] = Beside.Newline;
  return beside;
}

type Body = Omit<Program, "isAnchored" | "firstClasses">;

/**
 * What can be reached from the start without taking a byte; conditions are taken to hold, TextStart only on request.
 */
function reachable(program: Body, atTextStart: boolean): ReadonlySet<number> {
  const seen = new Set<number>();
  const waiting = [program.start];
  for (let pc = waiting.pop(); pc !== undefined; pc = waiting.pop()) {
    if (seen.has(pc)) continue;
    seen.add(pc);
    const op = program.op[pc]!;
    if (op === Op.Split) waiting.push(program.x[pc]!);
    const isBarred = op === Op.Assert && program.x[pc] === Assert.TextStart && !atTextStart;
    if (op !== Op.Match && op !== Op.Byte && !isBarred) waiting.push(program.y[pc]!);
  }
  return new Set([...seen].filter((pc) => program.op[pc]! <= Op.Byte));
}

function firstClassesOf(program: Body): Uint8Array | null {
  const first = new Uint8Array(program.classCount);
  for (const pc of reachable(program, true)) {
    if (program.op[pc] === Op.Match) return null;
    for (let c = 0; c < program.classCount; c++) first[c]! |= program.setHas[program.x[pc]! + c]!;
  }
  return first;
}

/** The classes, and which of them each set of the writer has; sets of single bytes are behind the others. */
function classify(writer: Writer, besideOf: Uint8Array): Pick<Program, "classOf" | "classCount" | "setHas"> {
  const { sets, bytes } = writer;
  const kinds = [Beside.Newline, Beside.Word]
    .filter((kind) => besideOf.includes(kind))
    .map((kind) => besideOf.map((beside) => (beside === kind ? 1 : 0)));
  const [classOf, classCount] = partition([...sets, ...kinds], bytes);
  const setHas = new Uint8Array((sets.length + bytes.length) * classCount);
  sets.forEach((set, number) => {
    for (let byte = 0; byte < 256; byte++) setHas[number * classCount + classOf[byte]!] = set[byte]!;
  });
  bytes.forEach((byte, i) => (setHas[(sets.length + i) * classCount + classOf[byte]!] = 1));
  return { classOf, classCount, setHas };
}

export function compileProgram(node: RegexNode, groupCount: number): Program {
  const writer = new Writer();
  const start = writer.write(node, writer.emit(Op.Match, 0, 0));
  const op = Uint8Array.from(writer.op);
  const x = Int32Array.from(writer.x);
  const y = Int32Array.from(writer.y);
  const besideOf = besides(new Set(writer.x.filter((_, pc) => op[pc] === Op.Assert)));
  const classes = classify(writer, besideOf);
  for (let pc = 0; pc < op.length; pc++) {
    if (op[pc] === Op.Byte) x[pc] = (x[pc]! < 0 ? writer.sets.length + ~x[pc]! : x[pc]!) * classes.classCount;
  }
  const body = { length: op.length, start, op, x, y, ...classes, besideOf, slotCount: 2 * (groupCount + 1) };
  return { ...body, isAnchored: reachable(body, false).size === 0, firstClasses: firstClassesOf(body) };
}
