// For the tests of the engine: random patterns that JavaScript reads as we do, random texts, and a plain backtracking
// interpreter of compiled programs. The running program does not import this.

import type { Rng } from "../../base/ports.ts";
import type { RegexNode } from "../../base/regex/ast.ts";
import { Beside, holds, Op, type Program } from "./program.ts";
import { compileRegex, Regex } from "./regex.ts";

/** The compiled pattern; throws if it is refused. */
export function mustCompile(pattern: string, ignoreCase = false): Regex {
  const regex = compileRegex(pattern, { ignoreCase });
  if (regex instanceof Regex) return regex;
  throw new Error(`${JSON.stringify(pattern)} at ${regex.position}: ${regex.message}`);
}

const pieces: readonly string[] = [
  ...["a", "b", "ab", "c", "/", "A", "1", "\\n", "\\.", "_", "-"],
  ...[".", "\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "[ab]", "[^a]", "[^/]", "[a-c]", "[\\w-]", "[^\\d/]", "[\\x61-b]"],
];
const conditions: readonly string[] = ["^", "$", "\\b", "\\B"];
const quantifiers: readonly string[] = ["*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "{0}"];

function pick<T>(rng: Rng, list: readonly T[]): T {
  return list[rng.below(list.length)]!;
}

function randomAtom(rng: Rng, depth: number): string {
  if (depth === 0 || rng.below(3) > 0) return pick(rng, pieces);
  return `${pick(rng, ["(", "(", "(?:", "(?i:", "(?s:", "(?m:"])}${randomPattern(rng, depth - 1)})`;
}

/** A pattern of the subset that JavaScript shares with us, of groups at most `depth` deep. */
export function randomPattern(rng: Rng, depth: number): string {
  let pattern = "";
  for (let alternatives = 1 + (rng.below(4) === 0 ? 1 + rng.below(2) : 0); alternatives > 0; alternatives--) {
    for (let atoms = rng.below(4); atoms > 0; atoms--) {
      if (rng.below(10) === 0) pattern += pick(rng, conditions);
      pattern += randomAtom(rng, depth);
      if (rng.below(3) === 0) pattern += pick(rng, quantifiers) + (rng.below(3) === 0 ? "?" : "");
    }
    if (alternatives > 1) pattern += "|";
  }
  return pattern;
}

/** Up to `lengthMax` characters that the patterns speak of. */
export function randomText(rng: Rng, lengthMax: number): string {
  let text = "";
  for (let length = rng.below(lengthMax + 1); length > 0; length--) text += "aabbcC/A1_- \n."[rng.below(14)]!;
  return text;
}

function groupsIn(node: RegexNode): number {
  if (node.kind === "group") return 1 + groupsIn(node.node);
  if (node.kind === "repeat") return groupsIn(node.node);
  return "nodes" in node ? node.nodes.reduce((sum, each) => sum + groupsIn(each), 0) : 0;
}

/** Groups that take part in every match of the node. */
function certainGroupsIn(node: RegexNode): number {
  if (node.kind === "group") return 1 + certainGroupsIn(node.node);
  if (node.kind === "repeat") return node.min > 0 ? certainGroupsIn(node.node) : 0;
  return node.kind === "sequence" ? node.nodes.reduce((sum, each) => sum + certainGroupsIn(each), 0) : 0;
}

/**
 * Does JavaScript define the same match and groups? It refuses optional turns that are empty, where Perl ends the loop
 * with them, and it forgets at each turn what groups inside the loop held.
 */
export function isSameInJavaScript(node: RegexNode): boolean {
  if (node.kind === "repeat") {
    if (node.max > node.min && node.node.nullable) return false;
    if (node.max > 1 && certainGroupsIn(node.node) < groupsIn(node.node)) return false;
    return isSameInJavaScript(node.node);
  }
  if (node.kind === "group") return isSameInJavaScript(node.node);
  return "nodes" in node ? node.nodes.every(isSameInJavaScript) : true;
}

/** The steps of backtrack() are up. */
export const tooLong = "too long";

/**
 * The first match in the order of preference, by trying one way after the other; an instruction is not entered a second
 * time at one position on one way. Slots of the match, null, or tooLong after `stepsMax` steps.
 */
export function backtrack(program: Program, text: Uint8Array, stepsMax: number): number[] | null | typeof tooLong {
  const { op, x, y, setHas, classOf, besideOf } = program;
  const slots = new Array<number>(program.slotCount).fill(-1);
  let steps = 0;
  const besideAt = (at: number): number => (at >= 0 && at < text.length ? besideOf[text[at]!]! : Beside.Edge);
  const run = (pc: number, at: number, here: ReadonlySet<number>): boolean => {
    if (++steps > stepsMax) return true;
    if (here.has(pc)) return false;
    const inside = new Set(here).add(pc);
    switch (op[pc]) {
      case Op.Match:
        slots[1] = at;
        return true;
      case Op.Byte:
        return at < text.length && setHas[x[pc]! + classOf[text[at]!]!] === 1 && run(y[pc]!, at + 1, new Set());
      case Op.Split:
        return run(x[pc]!, at, inside) || run(y[pc]!, at, inside);
      case Op.Save: {
        const before = slots[x[pc]!]!;
        slots[x[pc]!] = at;
        if (run(y[pc]!, at, inside)) return true;
        slots[x[pc]!] = before;
        return false;
      }
      default:
        return holds(x[pc]!, besideAt(at - 1), besideAt(at)) && run(y[pc]!, at, inside);
    }
  };
  for (let start = 0; start <= text.length; start++) {
    slots[0] = start;
    if (run(program.start, start, new Set())) return steps > stepsMax ? tooLong : slots;
  }
  return null;
}
