// Finds a match and its groups in one walk over a table, for patterns that begin with ^ and never leave two ways open:
// at each position the next byte decides. Most expressions on paths are such: ^/users/([^/]+)/posts/(\d+)$ is one,
// ^/(.*)/x$ is not, as a slash may belong to either side. RE2 has the same for the same reason.

import { regexCacheBytesMax } from "../../base/limits.ts";
import { Assert } from "../../base/regex/ast.ts";
import { Op, type Program } from "./program.ts";

/** Notes of one step are the bits of a number: bit n is slot n + 2. */
const slotsMax = 2 + 30;
/** An entry takes eight bytes: where it leads, and what is noted on the way. */
const entriesMax = regexCacheBytesMax / 8;
/** Nothing here. */
const none = -1;

export interface OnePass {
  readonly classOf: Uint8Array;
  readonly classCount: number;
  readonly slotCount: number;
  /** By node * classCount + class: the next node, or none. Node 0 is the beginning. */
  readonly nexts: Int16Array;
  /** Beside nexts: what is noted before the byte is taken. */
  readonly notes: Int32Array;
  /** By node: what is noted by a match that ends here though the text goes on, or none. */
  readonly matches: Int32Array;
  /** By node: the same at the end of the text. */
  readonly lastMatches: Int32Array;
}

interface Draft {
  readonly program: Program;
  /** The instruction each node begins at; the first is the beginning of the text. */
  readonly starts: number[];
  /** By instruction: its node. */
  readonly nodes: Int16Array;
  readonly nexts: number[];
  readonly notes: number[];
}

/**
 * Follows what is reached from a node without a byte, in order of preference, up to the first match. Returns what that
 * match notes, or none. Bytes are entered as ways to further nodes, unless at the end of the text; null = two ways are
 * open for one byte.
 */
function survey(draft: Draft, node: number, isEnd: boolean): number | null {
  const { op, x, y } = draft.program;
  const seen = new Set<number>();
  const waiting: [pc: number, noted: number][] = [[draft.starts[node]!, 0]];
  for (let entry = waiting.pop(); entry !== undefined; entry = waiting.pop()) {
    const [pc, noted] = entry;
    if (seen.has(pc)) continue;
    seen.add(pc);
    switch (op[pc]) {
      case Op.Match:
        return noted;
      case Op.Byte:
        if (!isEnd && !enter(draft, node, pc, noted)) return null;
        break;
      case Op.Split:
        waiting.push([y[pc]!, noted], [x[pc]!, noted]);
        break;
      case Op.Save:
        waiting.push([y[pc]!, noted | (1 << (x[pc]! - 2))]);
        break;
      default:
        if (x[pc] === Assert.TextEnd ? isEnd : node === 0) waiting.push([y[pc]!, noted]);
    }
  }
  return none;
}

/** Enters the way over one Byte instruction; false if another way is open for one of its bytes. */
function enter(draft: Draft, node: number, pc: number, noted: number): boolean {
  const { x, y, setHas, classCount } = draft.program;
  const target = y[pc]!;
  if (draft.nodes[target] === none) draft.nodes[target] = draft.starts.push(target) - 1;
  for (let c = 0; c < classCount; c++) {
    if (setHas[x[pc]! + c] === 0) continue;
    const at = node * classCount + c;
    if (draft.nexts[at] !== none) return false;
    draft.nexts[at] = draft.nodes[target]!;
    draft.notes[at] = noted;
  }
  return true;
}

/** The table, or null for a program that leaves two ways open, is not anchored, or is too large for it. */
export function buildOnePass(program: Program): OnePass | null {
  const { op, x, classOf, classCount, slotCount } = program;
  const isPlain = (_: number, pc: number): boolean => {
    return op[pc] !== Op.Assert || x[pc] === Assert.TextStart || x[pc] === Assert.TextEnd;
  };
  if (!program.isAnchored || slotCount > slotsMax || !x.every(isPlain)) return null;
  const nodes = new Int16Array(program.length).fill(none);
  const draft: Draft = { program, starts: [program.start], nodes, nexts: [], notes: [] };
  const matches: number[] = [];
  const lastMatches: number[] = [];
  for (let node = 0; node < draft.starts.length; node++) {
    if ((node + 1) * classCount > entriesMax) return null;
    for (let c = 0; c < classCount; c++) {
      draft.nexts.push(none);
      draft.notes.push(0);
    }
    const match = survey(draft, node, false);
    const lastMatch = survey(draft, node, true);
    if (match === null || lastMatch === null) return null;
    matches.push(match);
    lastMatches.push(lastMatch);
  }
  return {
    classOf,
    classCount,
    slotCount,
    nexts: Int16Array.from(draft.nexts),
    notes: Int32Array.from(draft.notes),
    matches: Int32Array.from(matches),
    lastMatches: Int32Array.from(lastMatches),
  };
}

function note(captures: Int32Array, noted: number, at: number): void {
  for (let rest = noted; rest !== 0; rest &= rest - 1) captures[33 - Math.clz32(rest & -rest)] = at;
}

/** Completes a match that ends at `at`. */
function conclude(captures: Int32Array, noted: number, at: number): true {
  note(captures, noted, at);
  captures[1] = at;
  return true;
}

/** See Regex.exec. kept: room for slotCount numbers, of no meaning outside the call. */
export function execOnePass(
  table: OnePass,
  bytes: Uint8Array,
  start: number,
  end: number,
  captures: Int32Array,
  kept: Int32Array,
): boolean {
  const { classOf, classCount, nexts, notes, matches, slotCount } = table;
  const count = Math.min(slotCount, captures.length);
  for (let slot = 0; slot < count; slot++) captures[slot] = -1;
  captures[0] = start;
  // The last match passed by for a longer one that was preferred, in case that one comes to nothing.
  let keptEnd = none;
  let keptNoted = 0;
  let node = 0;
  let match = matches[0]!;
  let at = start;
  for (; at < end; at++) {
    const entry = node * classCount + classOf[bytes[at]!]!;
    const next = nexts[entry]!;
    if (next === none) break;
    const nextMatch = matches[next]!;
    if (match !== none && nextMatch === none) {
      for (let slot = 0; slot < count; slot++) kept[slot] = captures[slot]!;
      keptEnd = at;
      keptNoted = match;
    }
    if (notes[entry] !== 0) note(captures, notes[entry]!, at);
    node = next;
    match = nextMatch;
  }
  if (at === end) match = table.lastMatches[node]!;
  if (match !== none) return conclude(captures, match, at);
  if (keptEnd === none) return false;
  for (let slot = 0; slot < count; slot++) captures[slot] = kept[slot]!;
  return conclude(captures, keptNoted, keptEnd);
}
