// A radix trie of byte strings in flat arrays, with several roots: built once from keys, walked by the router on its
// hot path (router.ts). A key carries numbers of two kinds: those for a text that ends with it, and those for any text
// that goes on or ends there. What the numbers mean is the users' business.

/** Columns of a node. Nodes are named by the position of their first column, 0 is no node. */
export const NODE_WIDTH = 8;
export const NODE_LABEL = 0; // in labels: the bytes between the parent and this node; a root has none
export const NODE_LABEL_END = 1;
export const NODE_CHILDREN = 2; // in children: the node for the byte NODE_LOW, then for the bytes after it
export const NODE_LOW = 3; // the lowest first byte of the children's labels
export const NODE_SPAN = 4; // how many bytes from NODE_LOW on have a place in children
export const NODE_END = 5; // what was made of the numbers for a text that ends here; 0 = none
export const NODE_PASS = 6; // the same for a text that goes on or ends here
export const NODE_LEAST = 7; // the least number in this node and below

/** Greater than every number a key may carry. */
export const NO_NUMBER = 0x7fffffff;

/** A node while the trie grows. */
export interface GrowingNode {
  label: Uint8Array;
  children: Map<number, GrowingNode>;
  end: number[];
  pass: number[];
}

export interface Trie {
  readonly nodes: Int32Array;
  readonly children: Int32Array;
  readonly labels: Uint8Array;
  /** The nodes of the roots, in their order. */
  readonly roots: readonly number[];
}

function newNode(label: Uint8Array): GrowingNode {
  return { label, children: new Map(), end: [], pass: [] };
}

export function newRoot(): GrowingNode {
  return newNode(new Uint8Array(0));
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** The node of the key below the root; made where there is none. */
export function growNode(root: GrowingNode, key: Uint8Array): GrowingNode {
  let node = root;
  for (let rest = key; rest.length > 0;) {
    const first = rest[0]!;
    let child = node.children.get(first);
    if (child === undefined) {
      child = newNode(rest);
      node.children.set(first, child);
      return child;
    }
    const shared = sharedLength(child.label, rest);
    if (shared < child.label.length) {
      const upper = newNode(child.label.subarray(0, shared));
      child.label = child.label.subarray(shared);
      upper.children.set(child.label[0]!, child);
      node.children.set(first, upper);
      child = upper;
    }
    node = child;
    rest = rest.subarray(shared);
  }
  return node;
}

/**
 * Flattens the tries of all roots. place makes of a node's numbers (not none of them) what NODE_END and NODE_PASS say.
 */
export function flatten(roots: readonly GrowingNode[], place: (numbers: readonly number[]) => number): Trie {
  const order: GrowingNode[] = [];
  const positions = new Map<GrowingNode, number>();
  const waiting = roots.toReversed();
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    order.push(node);
    positions.set(node, order.length * NODE_WIDTH);
    waiting.push(...node.children.values());
  }
  const nodes = new Int32Array((order.length + 1) * NODE_WIDTH);
  const children: number[] = [];
  const labels = new Uint8Array(order.reduce((sum, node) => sum + node.label.length, 0));
  let labelAt = 0;
  for (const node of order) {
    const at = positions.get(node)!;
    labels.set(node.label, labelAt);
    nodes[at + NODE_LABEL] = labelAt;
    labelAt += node.label.length;
    nodes[at + NODE_LABEL_END] = labelAt;
    putChildren(node, at, nodes, children, positions);
    nodes[at + NODE_END] = node.end.length === 0 ? 0 : place(node.end);
    nodes[at + NODE_PASS] = node.pass.length === 0 ? 0 : place(node.pass);
  }
  // Children stand behind their parents, so the last node is done first.
  for (const node of order.toReversed()) {
    let least = NO_NUMBER;
    for (const number of node.end) least = Math.min(least, number);
    for (const number of node.pass) least = Math.min(least, number);
    for (const child of node.children.values()) least = Math.min(least, nodes[positions.get(child)! + NODE_LEAST]!);
    nodes[positions.get(node)! + NODE_LEAST] = least;
  }
  return { nodes, children: Int32Array.from(children), labels, roots: roots.map((root) => positions.get(root)!) };
}

function putChildren(
  node: GrowingNode,
  at: number,
  nodes: Int32Array,
  children: number[],
  positions: ReadonlyMap<GrowingNode, number>,
): void {
  if (node.children.size === 0) return;
  const firsts = [...node.children.keys()];
  const low = Math.min(...firsts);
  const span = Math.max(...firsts) - low + 1;
  nodes[at + NODE_CHILDREN] = children.length;
  nodes[at + NODE_LOW] = low;
  nodes[at + NODE_SPAN] = span;
  for (let i = 0; i < span; i++) {
    const child = node.children.get(low + i);
    children.push(child === undefined ? 0 : positions.get(child)!);
  }
}
