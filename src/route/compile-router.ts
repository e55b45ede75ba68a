// From the conditions of routes to the tables that a Router works on. Runs when a configuration is compiled, never for
// a request.

import { routeKeysMax } from "../base/limits.ts";
import type { MatchConfig, PathsConfig } from "../model/route-config.ts";
import { compileConditions, type Conditions, type MatchProblem } from "./conditions.ts";
import type { Glob } from "./glob.ts";
import { compilePathRules } from "./path.ts";
import { Need, Router, type RouterTables } from "./router.ts";
import { flatten, growNode, type GrowingNode, newRoot, NO_NUMBER } from "./trie.ts";

/** A route as the router sees it: conditions, and whatever the caller wants to find by them. */
export interface RouteEntry<T> {
  readonly match: MatchConfig;
  readonly value: T;
}

/** A way for a route's path to be: a key of the trie, and what is left to compare. */
interface PathKey {
  readonly key: Uint8Array;
  /** True: the path is the key; false: the path begins with it. */
  readonly whole: boolean;
  readonly glob: Glob | null;
}

const anyPath: readonly PathKey[] = [{ key: new Uint8Array(0), whole: false, glob: null }];

/**
 * Compiles routes, in order, into a router. Paths of the conditions are brought into the form that `paths` gives those
 * of requests. Problems are conditions that make no sense; with any there is no router.
 */
export function compileRouter<T>(
  entries: readonly RouteEntry<T>[],
  paths: PathsConfig,
): { readonly router: Router<T> | null; readonly problems: readonly MatchProblem[] } {
  const rules = compilePathRules(paths);
  const problems: MatchProblem[] = [];
  const conditions = entries.map(({ match }, route) =>
    compileConditions(match, rules, (key, value, message) => {
      problems.push({ route, key, value, message });
    }),
  );
  if (problems.length > 0) return { router: null, problems };
  const values = entries.map(({ value }) => value);
  return { router: new Router(values, conditions, buildTables(conditions)), problems };
}

class TableBuilder {
  readonly candidateRoute: number[] = [];
  readonly candidateGlob: (Glob | null)[] = [];
  readonly needs: Uint8Array;
  /** By host pattern as text: the trie of its paths. */
  readonly hosts = new Map<string, GrowingNode>();
  anyHost: GrowingNode | null = null;
  keys = 0;

  constructor(routes: number) {
    this.needs = new Uint8Array(routes);
  }

  add(route: number, conditions: Conditions): void {
    const hosts = [...new Set(conditions.hosts.map(({ name, wild }) => (wild ? "*" : "") + asText(name)))];
    let settled = 0;
    let pathKeys = anyPath;
    for (const way of [pathsWay(conditions), prefixesWay(conditions), regexesWay(conditions)]) {
      // A route of many hosts times many paths is found by its hosts alone, when there are too many of those.
      const keys = Math.max(1, hosts.length) * (way?.keys.length ?? 0);
      if (way === null || this.keys + keys > routeKeysMax) continue;
      pathKeys = way.keys;
      settled = way.settles;
      this.keys += keys;
      break;
    }
    this.needs[route] = needsOf(conditions) & ~settled;
    const roots = hosts.length === 0 ? [this.rootOfAny()] : hosts.map((host) => this.rootOf(host));
    for (const { key, whole, glob } of pathKeys) {
      const candidate = this.candidateRoute.push(route) - 1;
      this.candidateGlob.push(glob);
      for (const root of roots) {
        const node = growNode(root, key);
        (whole ? node.end : node.pass).push(candidate);
      }
    }
  }

  rootOfAny(): GrowingNode {
    this.anyHost ??= newRoot();
    return this.anyHost;
  }

  rootOf(host: string): GrowingNode {
    let root = this.hosts.get(host);
    if (root === undefined) this.hosts.set(host, (root = newRoot()));
    return root;
  }

  finish(fixed: number): RouterTables {
    const lists: number[] = [0]; // position 0 is no list
    let listCount = 0;
    const place = (candidates: readonly number[]): number => {
      const at = lists.length;
      listCount++;
      const settled = candidates.findIndex((candidate) => this.isSettled(candidate));
      lists.push(settled < 0 ? NO_NUMBER : candidates[settled]!);
      for (const candidate of settled < 0 ? candidates : candidates.slice(0, settled + 1)) lists.push(candidate);
      lists.push(NO_NUMBER);
      return at;
    };
    const anyHost = this.anyHost ?? newRoot();
    const paths = flatten([anyHost, ...this.hosts.values()], place);
    const hostRoot = newRoot();
    [...this.hosts.keys()].forEach((host, i) => {
      const wild = host.startsWith("*");
      const node = growNode(hostRoot, asBytes(wild ? host.slice(1) : host).toReversed());
      (wild ? node.pass : node.end).push(paths.roots[i + 1]!);
    });
    return {
      hosts: this.hosts.size === 0 ? null : flatten([hostRoot], (roots) => roots[0]!),
      paths,
      anyHost: this.anyHost === null ? 0 : paths.roots[0]!,
      lists: Int32Array.from(lists),
      listCount,
      candidateRoute: Int32Array.from(this.candidateRoute),
      candidateGlob: this.candidateGlob,
      needs: this.needs,
      fixed,
    };
  }

  /** True if the candidate holds whenever a request meets it. */
  isSettled(candidate: number): boolean {
    return this.needs[this.candidateRoute[candidate]!] === 0 && this.candidateGlob[candidate] === null;
  }
}

function buildTables(routes: readonly Conditions[]): RouterTables {
  const builder = new TableBuilder(routes.length);
  const last = routes.findIndex((route) => route.hosts.length === 0 && needsOf(route) === 0);
  // What stands behind a route that always matches is never reached.
  (last < 0 ? routes : routes.slice(0, last + 1)).forEach((route, i) => builder.add(i, route));
  return builder.finish(routes.length === 0 ? -1 : last === 0 ? 0 : -2);
}

/** All conditions of the route but the host. */
function needsOf(route: Conditions): number {
  return (
    (route.paths.length > 0 ? Need.Path : 0) |
    (route.prefixes.length > 0 ? Need.Prefix : 0) |
    (route.regexes.length > 0 ? Need.Regex : 0) |
    (route.config.methods.length > 0 ? Need.Method : 0) |
    (route.headers.length > 0 ? Need.Headers : 0) |
    (route.cookies.length > 0 ? Need.Cookies : 0) |
    (route.query.length > 0 ? Need.Query : 0) |
    (route.sources !== null ? Need.Source : 0)
  );
}

/** Keys by which a route may be found, and the needs that those settle. */
interface Way {
  readonly keys: readonly PathKey[];
  readonly settles: number;
}

function pathsWay({ paths }: Conditions): Way | null {
  if (paths.length === 0) return null;
  const keys = paths.map((glob) => {
    const settled = glob.isExact || glob.isPrefix;
    return { key: glob.literalPrefix(), whole: glob.isExact, glob: settled ? null : glob };
  });
  return { keys, settles: Need.Path };
}

function prefixesWay({ prefixes }: Conditions): Way | null {
  if (prefixes.length === 0) return null;
  const keys = prefixes.flatMap((prefix) => [
    { key: prefix, whole: true, glob: null },
    { key: Uint8Array.from([...prefix, 47]), whole: false, glob: null },
  ]);
  return { keys, settles: Need.Prefix };
}

/** By what an expression that is anchored begins with; the expression itself is still asked. */
function regexesWay({ config, regexes }: Conditions): Way | null {
  const starts = new Set(config.regexes.map(literalStart));
  if (regexes.length === 0 || starts.has("")) return null;
  return { keys: [...starts].map((start) => ({ key: asBytes(start), whole: false, glob: null })), settles: 0 };
}

/**
 * What every text that the expression matches begins with, as far as that is plain to see: characters that mean
 * themselves behind "^", in an expression without alternatives. May be shorter than the truth, never longer.
 */
export function literalStart(regex: string): string {
  const plain = /^\^((?:[A-Za-z0-9/_~-](?![*?{]))*)/.exec(regex);
  return plain === null || regex.includes("|") ? "" : plain[1]!;
}

function asBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function asText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
