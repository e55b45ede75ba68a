// Which route a request takes: the first in order whose conditions all hold. Compiled so that the number of routes
// hardly matters: hosts are looked up in a trie of reversed names, and for each host that routes name there is a trie
// of the paths that they name, by what is literal at their beginning. What a request meets on its way through the tries
// is a few short lists of candidates in the order of their routes; only those are asked about the rest of their
// conditions, from the lowest on, until one holds.
//
// Bytes only: no string and no allocation for a request. A router keeps scratch space and is not re-entrant, which it
// need not be: nothing in here waits. It knows nothing of actions: T is the caller's.

import { type Conditions, hostNameEnd, pathHolds, prefixHolds, regexHolds } from "./conditions.ts";
import { cookiesHold, headersHold, methodHolds, queryHolds, sourceHolds } from "./conditions.ts";
import type { Glob } from "./glob.ts";
import type { MatchInput } from "./match-input.ts";
import type { Head } from "../wire/head.ts";
import { lower } from "../wire/h1/tables.ts";
import { NO_NUMBER, NODE_CHILDREN, NODE_END, NODE_LABEL, NODE_LABEL_END, NODE_LEAST, NODE_LOW } from "./trie.ts";
import { NODE_PASS, NODE_SPAN, type Trie } from "./trie.ts";

/** Bits of a route's needs: the conditions that the tries have not settled. */
export const Need = {
  Path: 1,
  Prefix: 2,
  Regex: 4,
  Method: 8,
  Headers: 16,
  Cookies: 32,
  Query: 64,
  Source: 128,
} as const;

/**
 * What find() works on. A candidate is one way for a route to match: the route with one of its paths. Candidates are
 * numbered in the order of their routes.
 */
export interface RouterTables {
  /**
   * Reversed host names -> the root in `paths` for that host; NODE_PASS is for longer names. null = no route has any.
   */
  readonly hosts: Trie | null;
  /** Paths -> positions in `lists`. */
  readonly paths: Trie;
  /** The root in `paths` of the routes without a host; 0 = there are none. */
  readonly anyHost: number;
  /**
   * Lists of candidates, each: its first candidate that is settled (or NO_NUMBER), its candidates ascending, NO_NUMBER.
   */
  readonly lists: Int32Array;
  readonly listCount: number;
  /** By candidate: its route, and the pattern that its path has to fit beyond what the trie has seen. */
  readonly candidateRoute: Int32Array;
  readonly candidateGlob: readonly (Glob | null)[];
  /** By route. */
  readonly needs: Uint8Array;
  /** What find() returns without looking at anything: 0, or -1 if there are no routes; -2 = it has to look. */
  readonly fixed: number;
}

const LOOK = -2;

export class Router<T> {
  /** What belongs to the routes, in their order. */
  readonly values: readonly T[];
  /** By route, for explain.ts. */
  readonly conditions: readonly Conditions[];
  /** True if some route asks for the client's address: the input must have it then. */
  readonly readsAddress: boolean;
  /** False if find() says the same of every request: neither path nor address need be prepared for it then. */
  readonly looks: boolean;
  private readonly tables: RouterTables;
  private readonly lists: Int32Array;
  /** Where in `lists` the candidates that a request has met go on. */
  private readonly cursors: Int32Array;
  private cursorCount = 0;
  /** No candidate behind this one need be asked: it holds. */
  private bound = NO_NUMBER;

  constructor(values: readonly T[], conditions: readonly Conditions[], tables: RouterTables) {
    this.values = values;
    this.conditions = conditions;
    this.readsAddress = conditions.some((route) => route.sources !== null);
    this.looks = tables.fixed === LOOK;
    this.tables = tables;
    this.lists = tables.lists;
    this.cursors = new Int32Array(tables.listCount + 1);
  }

  /**
   * Index of the first route that the request matches, or -1. The input's path and query are those that preparePath has
   * filled in; its address is read only if readsAddress is true.
   */
  find(head: Head, input: MatchInput): number {
    const { fixed, hosts, anyHost } = this.tables;
    if (fixed !== LOOK) return fixed;
    this.cursorCount = 0;
    this.bound = NO_NUMBER;
    if (anyHost !== 0) this.meetPaths(anyHost, input);
    if (hosts !== null) this.meetHosts(hosts, head, input);
    return this.cursorCount === 1 ? this.firstOfOne(head, input) : this.firstOfMany(head, input);
  }

  /** Walks the trie of reversed hosts, and then the paths of every host pattern that fits. */
  private meetHosts(trie: Trie, head: Head, input: MatchInput): void {
    const { nodes, children, labels } = trie;
    const { bytes, hostStart } = head;
    let at = hostNameEnd(head);
    let node = trie.roots[0]!;
    for (;;) {
      if (nodes[node + NODE_PASS] !== 0 && at > hostStart) this.meetPaths(nodes[node + NODE_PASS]!, input);
      if (at === hostStart) {
        if (nodes[node + NODE_END] !== 0) this.meetPaths(nodes[node + NODE_END]!, input);
        return;
      }
      const place = lower[bytes[at - 1]!]! - nodes[node + NODE_LOW]!;
      if (place < 0 || place >= nodes[node + NODE_SPAN]!) return;
      node = children[nodes[node + NODE_CHILDREN]! + place]!;
      if (node === 0) return;
      const labelEnd = nodes[node + NODE_LABEL_END]!;
      let label = nodes[node + NODE_LABEL]!;
      if (labelEnd - label > at - hostStart) return;
      while (label < labelEnd) if (lower[bytes[--at]!] !== labels[label++]) return;
    }
  }

  /** Walks the trie of paths from a root, and notes the lists of candidates that the path meets. */
  private meetPaths(root: number, input: MatchInput): void {
    const { nodes, children, labels } = this.tables.paths;
    const { path, pathEnd } = input;
    let at = input.pathStart;
    let node = root;
    while (nodes[node + NODE_LEAST]! < this.bound) {
      if (nodes[node + NODE_PASS] !== 0) this.meet(nodes[node + NODE_PASS]!);
      if (at === pathEnd) {
        if (nodes[node + NODE_END] !== 0) this.meet(nodes[node + NODE_END]!);
        return;
      }
      const place = path[at]! - nodes[node + NODE_LOW]!;
      if (place < 0 || place >= nodes[node + NODE_SPAN]!) return;
      node = children[nodes[node + NODE_CHILDREN]! + place]!;
      if (node === 0) return;
      const labelEnd = nodes[node + NODE_LABEL_END]!;
      let label = nodes[node + NODE_LABEL]!;
      if (labelEnd - label > pathEnd - at) return;
      while (label < labelEnd) if (path[at++] !== labels[label++]) return;
    }
  }

  private meet(list: number): void {
    const settled = this.lists[list]!;
    if (settled < this.bound) this.bound = settled;
    this.cursors[this.cursorCount++] = list + 1;
  }

  private firstOfOne(head: Head, input: MatchInput): number {
    const { lists } = this;
    for (let at = this.cursors[0]!; ; at++) {
      const candidate = lists[at]!;
      if (candidate === NO_NUMBER) return -1;
      if (this.holds(candidate, head, input)) return this.tables.candidateRoute[candidate]!;
    }
  }

  private firstOfMany(head: Head, input: MatchInput): number {
    const { lists, cursors, cursorCount } = this;
    for (;;) {
      let least = NO_NUMBER;
      let leastCursor = 0;
      for (let i = 0; i < cursorCount; i++) {
        const candidate = lists[cursors[i]!]!;
        if (candidate >= least) continue;
        least = candidate;
        leastCursor = i;
      }
      if (least === NO_NUMBER) return -1;
      if (this.holds(least, head, input)) return this.tables.candidateRoute[least]!;
      cursors[leastCursor]!++;
    }
  }

  /** True if the candidate's conditions hold that the tries have not settled. Cheap questions first. */
  private holds(candidate: number, head: Head, input: MatchInput): boolean {
    const { candidateGlob, candidateRoute, needs } = this.tables;
    const route = candidateRoute[candidate]!;
    const need = needs[route]!;
    const glob = candidateGlob[candidate]!;
    if (glob !== null && !glob.matches(input.path, input.pathStart, input.pathEnd)) return false;
    if (need === 0) return true;
    const conditions = this.conditions[route]!;
    return (
      ((need & Need.Method) === 0 || methodHolds(conditions, head)) &&
      ((need & Need.Prefix) === 0 || prefixHolds(conditions, input)) &&
      ((need & Need.Source) === 0 || sourceHolds(conditions, input)) &&
      ((need & Need.Path) === 0 || pathHolds(conditions, input)) &&
      ((need & Need.Headers) === 0 || headersHold(conditions, head)) &&
      ((need & Need.Cookies) === 0 || cookiesHold(conditions, head)) &&
      ((need & Need.Query) === 0 || queryHolds(conditions, head, input)) &&
      ((need & Need.Regex) === 0 || regexHolds(conditions, input))
    );
  }
}
