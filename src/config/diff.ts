// What changes between two resolved configurations, in the words of the file: for `sluice check` and for the log of a
// reload. Pure; secrets are neither compared nor shown.

import type { Config, PoolConfig } from "../model/config.ts";
import { typeEndpoint, typeOut, type Typed } from "./type-out.ts";

export interface Change {
  readonly kind: "added" | "removed" | "changed";
  /** "pool users", "endpoint users/10.0.0.1:3000", "listener web" or "settings". */
  readonly what: string;
  /** For "changed": "keepAlive.idle: 60s -> 30s", one a setting. */
  readonly details: readonly string[];
}

/** Every change from one configuration to the other: settings, listeners, pools, then each pool's endpoints. */
export function diffConfigs(before: Config, after: Config): readonly Change[] {
  const changes: Change[] = [];
  const old = typeOut(before, "long");
  const now = typeOut(after, "long");
  const settings = compare(settingsOf(old), settingsOf(now));
  if (settings.length > 0) changes.push({ kind: "changed", what: "settings", details: settings });
  diffMaps("listener ", mapOf(old["listeners"]), mapOf(now["listeners"]), changes);
  diffMaps("pool ", withoutEndpoints(mapOf(old["pools"])), withoutEndpoints(mapOf(now["pools"])), changes);
  for (const pool of after.pools) {
    const other = before.pools.find((p) => p.name === pool.name);
    if (other !== undefined) diffMaps(`endpoint ${pool.name}/`, endpointsOf(other), endpointsOf(pool), changes);
  }
  return changes;
}

/** "+ pool users", "- endpoint users/a:1", "~ listener web: limits.headers: 100 -> 50" */
export function formatChange(change: Change): string {
  const sign = { added: "+", removed: "-", changed: "~" }[change.kind];
  const details = change.details.length === 0 ? "" : `: ${change.details.join(", ")}`;
  return `${sign} ${change.what}${details}`;
}

function mapOf(value: unknown): Readonly<Record<string, Typed>> {
  return value as Readonly<Record<string, Typed>>; // typeOut made it
}

function settingsOf(typed: Typed): Typed {
  const { listeners: _listeners, pools: _pools, admin, ...settings } = typed;
  const open = admin as Typed | "off";
  return { ...settings, admin: open === "off" ? open : { bind: open["bind"] } };
}

function withoutEndpoints(pools: Readonly<Record<string, Typed>>): Readonly<Record<string, Typed>> {
  return Object.fromEntries(Object.entries(pools).map(([name, pool]) => [name, { ...pool, endpoints: [] }]));
}

function endpointsOf(pool: PoolConfig): Readonly<Record<string, Typed>> {
  return Object.fromEntries(pool.endpoints.map((e) => [e.id, typeEndpoint(e, "long") as Typed]));
}

function diffMaps(
  kind: string,
  before: Readonly<Record<string, Typed>>,
  after: Readonly<Record<string, Typed>>,
  changes: Change[],
): void {
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) changes.push({ kind: "removed", what: kind + name, details: [] });
  }
  for (const [name, value] of Object.entries(after)) {
    if (!Object.hasOwn(before, name)) {
      changes.push({ kind: "added", what: kind + name, details: [] });
      continue;
    }
    const details = compare(before[name]!, value);
    if (details.length > 0) changes.push({ kind: "changed", what: kind + name, details });
  }
}

/** Differences between two trees of settings, by path. */
function compare(before: Typed, after: Typed): string[] {
  const old = new Map<string, string>();
  const now = new Map<string, string>();
  flatten("", before, old);
  flatten("", after, now);
  const details: string[] = [];
  for (const path of new Set([...old.keys(), ...now.keys()])) {
    const was = old.get(path) ?? "none";
    const is = now.get(path) ?? "none";
    // Below a map that was or is off, the map itself says it.
    if (was !== is && !isBelowOff(path, old) && !isBelowOff(path, now)) details.push(`${path}: ${was} -> ${is}`);
  }
  return details;
}

function isBelowOff(path: string, leaves: ReadonlyMap<string, string>): boolean {
  for (let dot = path.indexOf("."); dot >= 0; dot = path.indexOf(".", dot + 1)) {
    if (leaves.get(path.slice(0, dot)) === "off") return true;
  }
  return false;
}

/** Leaves by path, as the user would write them; a map is "on" itself. */
function flatten(path: string, value: unknown, into: Map<string, string>): void {
  if (Array.isArray(value)) {
    if (value.some((item) => typeof item === "object")) {
      value.forEach((item, i) => flatten(`${path}[${i}]`, item, into));
    } else into.set(path, `[${value.join(", ")}]`);
  } else if (typeof value === "object" && value !== null) {
    if (path !== "") into.set(path, "on");
    for (const [key, item] of Object.entries(value)) flatten(path === "" ? key : `${path}.${key}`, item, into);
  } else into.set(path, String(value));
}
