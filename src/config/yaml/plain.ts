// A parsed YAML document as plain values, each with its place in the text. Aliases share the value they name; their
// written-out size and depth are counted, so that a small file cannot stand for a huge one.

import { isAlias, isCollection, isMap, isScalar, isSeq, type Document, type ParsedNode } from "yaml";
import { configDepthMax, configNodesMax } from "../../base/limits.ts";
import { formatPath, type Path } from "../problem.ts";

/** Where a value stands: offsets into the text. */
export interface Place {
  readonly keyAt: number;
  readonly valueAt: number;
  /** Keys and indices to places; null for scalars. */
  readonly children: ReadonlyMap<string | number, Place> | null;
}

export interface Mistake {
  readonly at: number;
  readonly path: string;
  readonly message: string;
  readonly hint: string;
  /** The offset of the other value the message is about, or -1. */
  readonly otherAt: number;
}

export interface Plain {
  readonly value: unknown;
  readonly place: Place;
  readonly mistakes: readonly Mistake[];
  /** False when a bound was passed and the value is only the beginning. */
  readonly whole: boolean;
}

interface Walked {
  readonly value: unknown;
  readonly children: ReadonlyMap<string | number, Place> | null;
  readonly valueAt: number;
  /** Values in it, itself included, aliases written out. */
  readonly size: number;
  /** Levels below it. */
  readonly height: number;
}

interface Walk {
  readonly mistakes: Mistake[];
  /** null while the anchored value is still being read: an alias to it would contain itself. */
  readonly anchors: Map<string, Walked | null>;
  /** Values so far, aliases written out. */
  total: number;
  /** Set once a bound is passed; reading stops. */
  stopped: boolean;
}

/** The document's content. With mistakes, the value is good enough to look for more, not to be used. */
export function toPlain(document: Document.Parsed): Plain {
  const walk: Walk = { mistakes: [], anchors: new Map(), total: 0, stopped: false };
  const root = walkNode(document.contents, 0, [], walk);
  return {
    value: root.value,
    place: { keyAt: root.valueAt, valueAt: root.valueAt, children: root.children },
    mistakes: walk.mistakes,
    whole: !walk.stopped,
  };
}

function mistake(walk: Walk, at: number, path: Path, message: string, hint = "", otherAt = -1): void {
  walk.mistakes.push({ at, path: formatPath(path), message, hint, otherAt });
}

function stop(walk: Walk, at: number, path: Path, message: string): void {
  if (!walk.stopped) mistake(walk, at, path, message);
  walk.stopped = true;
}

/** at: where the value would stand if the node is missing. */
function walkNode(node: ParsedNode | null, at: number, path: Path, walk: Walk): Walked {
  const valueAt = node?.range[0] ?? at;
  const nothing: Walked = { value: null, children: null, valueAt, size: 1, height: 0 };
  if (walk.stopped || node === null) return nothing;
  if (isAlias(node)) return walkAlias(node.source, valueAt, path, walk) ?? nothing;
  walk.total++;
  if (walk.total > configNodesMax) stop(walk, valueAt, path, `more than ${configNodesMax} values`);
  if (path.length > configDepthMax) stop(walk, valueAt, path, `nested deeper than ${configDepthMax} levels`);
  if (walk.stopped) return nothing;
  const anchor = isScalar(node) || isCollection(node) ? node.anchor : undefined;
  if (anchor !== undefined) walk.anchors.set(anchor, null);
  let walked: Walked = nothing;
  if (isScalar(node)) walked = { value: node.value, children: null, valueAt, size: 1, height: 0 };
  else if (isMap<ParsedNode, ParsedNode | null>(node)) walked = walkMap(node.items, valueAt, path, walk);
  else if (isSeq<ParsedNode>(node)) walked = walkList(node.items, valueAt, path, walk);
  if (anchor !== undefined) walk.anchors.set(anchor, walked);
  return walked;
}

function walkAlias(name: string, at: number, path: Path, walk: Walk): Walked | null {
  const target = walk.anchors.get(name);
  if (target === undefined) {
    mistake(walk, at, path, `the alias *${name} has no anchor before it`, `write &${name} at the value it stands for`);
    return null;
  }
  if (target === null) {
    mistake(walk, at, path, `the alias *${name} is part of the value it stands for`);
    return null;
  }
  walk.total += target.size;
  if (walk.total > configNodesMax) stop(walk, at, path, `more than ${configNodesMax} values, aliases written out`);
  if (path.length + target.height > configDepthMax) stop(walk, at, path, `nested deeper than ${configDepthMax} levels`);
  return target;
}

interface PairLike {
  readonly key: ParsedNode;
  readonly value: ParsedNode | null;
}

function walkMap(items: readonly PairLike[], valueAt: number, path: Path, walk: Walk): Walked {
  const value: Record<string, unknown> = {};
  const children = new Map<string, Place>();
  let size = 1;
  let height = 0;
  for (const pair of items) {
    const keyAt = pair.key.range[0];
    const key = isScalar(pair.key) && typeof pair.key.value === "string" ? pair.key.value : null;
    if (key === null) {
      mistake(walk, keyAt, path, "expected a word as key", "write the key out as plain text");
      continue;
    }
    const childPath = [...path, key];
    const child = walkNode(pair.value, pair.key.range[1], childPath, walk);
    size += child.size;
    height = Math.max(height, child.height + 1);
    if (key === "__proto__") {
      mistake(walk, keyAt, childPath, "the key __proto__ cannot be used");
    } else if (children.has(key)) {
      const firstAt = children.get(key)!.keyAt;
      mistake(walk, keyAt, childPath, "this key is given twice", "remove one of them, or join them", firstAt);
    } else {
      value[key] = child.value;
      children.set(key, { keyAt, valueAt: child.valueAt, children: child.children });
    }
  }
  return { value, children, valueAt, size, height };
}

function walkList(items: readonly ParsedNode[], valueAt: number, path: Path, walk: Walk): Walked {
  const value: unknown[] = [];
  const children = new Map<number, Place>();
  let size = 1;
  let height = 0;
  for (const [i, item] of items.entries()) {
    const child = walkNode(item, valueAt, [...path, i], walk);
    size += child.size;
    height = Math.max(height, child.height + 1);
    value.push(child.value);
    children.set(i, { keyAt: child.valueAt, valueAt: child.valueAt, children: child.children });
  }
  return { value, children, valueAt, size, height };
}
