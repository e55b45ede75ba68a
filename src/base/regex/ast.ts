// What a regular expression means, as a tree: the parser builds it, the engine in route/regex/ compiles it. Each node
// knows how many instructions it will take, so that a pattern too large is refused while it is read and not when it is
// expanded.

/** 256 entries, one for each byte; 1 = a member. */
export type ByteSet = Uint8Array;

/** Conditions on a position; they take no bytes. */
export const Assert = {
  /** ^ and \A */
  TextStart: 0,
  /** $ and \z */
  TextEnd: 1,
  /** ^ under (?m) */
  LineStart: 2,
  /** $ under (?m) */
  LineEnd: 3,
  /** \b */
  WordEdge: 4,
  /** \B */
  NotWordEdge: 5,
} as const;
export type Assert = (typeof Assert)[keyof typeof Assert];

interface Measured {
  /** Instructions of the compiled node, exactly; may be far beyond what is allowed, up to Infinity. */
  readonly size: number;
  /** May it take no bytes at all? Assertions count as taking none. */
  readonly nullable: boolean;
}

export type RegexNode = Measured &
  (
    | { readonly kind: "byte"; readonly byte: number }
    | { readonly kind: "set"; readonly set: ByteSet }
    | { readonly kind: "assert"; readonly assert: Assert }
    /** One after the other; none = the empty expression. */
    | { readonly kind: "sequence"; readonly nodes: readonly RegexNode[] }
    /** The first that leads to a match; at least one. */
    | { readonly kind: "choice"; readonly nodes: readonly RegexNode[] }
    /** Captures as number `index`, from 1. */
    | { readonly kind: "group"; readonly index: number; readonly node: RegexNode }
    /** min to max times; max may be Infinity. Greedy: as many as possible first. The node's size is at least 1. */
    | {
        readonly kind: "repeat";
        readonly node: RegexNode;
        readonly min: number;
        readonly max: number;
        readonly greedy: boolean;
      }
  );

export interface ParsedRegex {
  readonly node: RegexNode;
  /** Capturing groups; the whole match is not one of them. */
  readonly groupCount: number;
  /** Name to number of the group. */
  readonly names: ReadonlyMap<string, number>;
}

/** Why a pattern is refused. */
export interface RegexError {
  /** What is wrong, as a sentence without a full stop. */
  readonly message: string;
  /** Where it begins: index into the pattern's UTF-16 code units, from 0. */
  readonly position: number;
  /** What to write instead. */
  readonly hint: string;
}

export function byteNode(byte: number): RegexNode {
  return { kind: "byte", byte, size: 1, nullable: false };
}

export function setNode(set: ByteSet): RegexNode {
  return { kind: "set", set, size: 1, nullable: false };
}

export function assertNode(assert: Assert): RegexNode {
  return { kind: "assert", assert, size: 1, nullable: true };
}

export function sequenceNode(nodes: readonly RegexNode[]): RegexNode {
  if (nodes.length === 1) return nodes[0]!;
  const size = nodes.reduce((sum, node) => sum + node.size, 0);
  return { kind: "sequence", nodes, size, nullable: nodes.every((node) => node.nullable) };
}

/** nodes: at least one. */
export function choiceNode(nodes: readonly RegexNode[]): RegexNode {
  if (nodes.length === 1) return nodes[0]!;
  const size = nodes.reduce((sum, node) => sum + node.size, nodes.length - 1);
  return { kind: "choice", nodes, size, nullable: nodes.some((node) => node.nullable) };
}

export function groupNode(index: number, node: RegexNode): RegexNode {
  return { kind: "group", index, node, size: node.size + 2, nullable: node.nullable };
}

/** What never takes part (x{0}) or does nothing ((?:)*) becomes the empty expression, so that copies cost something. */
export function repeatNode(node: RegexNode, min: number, max: number, greedy: boolean): RegexNode {
  if (max === 0 || node.size === 0) return sequenceNode([]);
  let size = min * node.size;
  if (max !== Infinity) size += (max - min) * (node.size + 1);
  else if (min > 0) size += 1;
  else size += node.size + (node.nullable ? 2 : 1);
  return { kind: "repeat", node, min, max, greedy, size, nullable: min === 0 || node.nullable };
}
