// Does one route's match take every request that another one's would (OPTIONS * apart, which has no path)? Answers yes
// only if it is certain: what it does not understand is no. For warnings about routes that can never be reached.

import { cidrContains, parseCidr } from "../base/ip.ts";
import type { FieldMatch, MatchConfig } from "../model/route-config.ts";

/** True if whatever fits `other` fits `match`, too. */
export function covers(match: MatchConfig, other: MatchConfig): boolean {
  return (
    listCovers(match.hosts, other.hosts, hostCovers) &&
    pathsCover(match, other) &&
    listCovers(match.regexes, other.regexes, same) &&
    listCovers(match.methods, other.methods, same) &&
    fieldsCover(match.headers, other.headers) &&
    fieldsCover(match.cookies, other.cookies) &&
    fieldsCover(match.query, other.query) &&
    listCovers(match.sources, other.sources, blockCovers)
  );
}

/** Conditions of which any one must hold: each of the other's must lie within one of ours. */
function listCovers(
  ours: readonly string[],
  theirs: readonly string[],
  within: (our: string, their: string) => boolean,
): boolean {
  if (ours.length === 0) return true;
  return theirs.length > 0 && theirs.every((their) => ours.some((our) => within(our, their)));
}

const same = (our: string, their: string): boolean => our === their;

function hostCovers(our: string, their: string): boolean {
  return our === their || (our.startsWith("*.") && their.length > our.length - 1 && their.endsWith(our.slice(1)));
}

/** What a prefix takes can be told for prefixes, and for paths whose beginning has no wildcard. */
function prefixCovers(prefix: string, path: string): boolean {
  const bare = prefix.replace(/\/+$/, "");
  const literal = path.split(/[*?\\]/, 1)[0]!;
  return literal.startsWith(`${bare}/`) || path === bare;
}

function pathsCover(match: MatchConfig, other: MatchConfig): boolean {
  const everything = match.paths.some((path) => path === "*" || path === "/*");
  if (!everything && !listCovers(match.paths, other.paths, same)) return false;
  if (match.prefixes.length === 0 || match.prefixes.includes("/")) return true;
  return (
    listCovers(match.prefixes, other.prefixes, prefixCovers) || listCovers(match.prefixes, other.paths, prefixCovers)
  );
}

/** Conditions that must all hold: each of ours must be one of theirs, or ask for less. */
function fieldsCover(ours: readonly FieldMatch[], theirs: readonly FieldMatch[]): boolean {
  return ours.every((our) => theirs.some((their) => fieldCovers(our, their)));
}

function fieldCovers(our: FieldMatch, their: FieldMatch): boolean {
  if (our.name !== their.name || our.absent !== their.absent) return false;
  if (our.absent) {
    // Theirs is not there at all, or fits none of a list that has all of ours.
    if (their.patterns.length === 0) return true;
    return our.patterns.length > 0 && our.patterns.every((pattern) => their.patterns.includes(pattern));
  }
  if (our.patterns.length === 0) return true;
  return their.patterns.length > 0 && their.patterns.every((pattern) => our.patterns.includes(pattern));
}

function blockCovers(our: string, their: string): boolean {
  const block = parseCidr(our);
  const inner = parseCidr(their);
  if (block === null || inner === null) return false;
  return block.prefix <= inner.prefix && cidrContains(block, inner.bytes);
}
