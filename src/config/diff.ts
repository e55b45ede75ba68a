// What changes between two resolved configurations, in the words of the file: for `sluice check` and for the log of a
// reload. Pure; of secrets it is only said that they change.

import type { Config, PoolConfig } from "../model/config.ts";
import { MASK, withoutSecrets } from "./secrets.ts";
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
  const old = sidesOf(before);
  const now = sidesOf(after);
  const settings = compare(part(old, settingsOf), part(now, settingsOf));
  if (settings.length > 0) changes.push({ kind: "changed", what: "settings", details: settings });
  diffMaps("listener ", part(old, listenersOf), part(now, listenersOf), changes);
  diffMaps("pool ", part(old, poolsOf), part(now, poolsOf), changes);
  for (const pool of after.pools) {
    const other = before.pools.find((p) => p.name === pool.name);
    if (other === undefined) continue;
    diffMaps(`endpoint ${pool.name}/`, sameSides(endpointsOf(other)), sameSides(endpointsOf(pool)), changes);
  }
  return changes;
}

/** Something typed, as it is and as it may be shown. Where the two differ there is a secret. */
interface Sides<T> {
  readonly whole: T;
  readonly shown: T;
}

type Maps = Readonly<Record<string, Typed>>;

function sidesOf(config: Config): Sides<Typed> {
  return { whole: typeOut(config, "long"), shown: typeOut(withoutSecrets(config), "long") };
}

function part<T, U>(sides: Sides<T>, take: (side: T) => U): Sides<U> {
  return { whole: take(sides.whole), shown: take(sides.shown) };
}

function sameSides<T>(value: T): Sides<T> {
  return { whole: value, shown: value };
}

/** "+ pool users", "- endpoint users/a:1", "~ listener web: limits.headers: 100 -> 50" */
export function formatChange(change: Change): string {
  const sign = { added: "+", removed: "-", changed: "~" }[change.kind];
  const details = change.details.length === 0 ? "" : `: ${change.details.join(", ")}`;
  return `${sign} ${change.what}${details}`;
}

function listenersOf(typed: Typed): Maps {
  return typed["listeners"] as Maps; // typeOut made it
}

function poolsOf(typed: Typed): Maps {
  const pools = typed["pools"] as Maps;
  return Object.fromEntries(Object.entries(pools).map(([name, pool]) => [name, { ...pool, endpoints: [] }]));
}

function settingsOf(typed: Typed): Typed {
  const { listeners: _listeners, pools: _pools, ...settings } = typed;
  return settings;
}

function endpointsOf(pool: PoolConfig): Readonly<Record<string, Typed>> {
  return Object.fromEntries(pool.endpoints.map((e) => [e.id, typeEndpoint(e, "long") as Typed]));
}

function diffMaps(kind: string, before: Sides<Maps>, after: Sides<Maps>, changes: Change[]): void {
  for (const name of Object.keys(before.whole)) {
    if (!Object.hasOwn(after.whole, name)) changes.push({ kind: "removed", what: kind + name, details: [] });
  }
  const at =
    (name: string) =>
    (maps: Maps): Typed =>
      maps[name]!;
  for (const name of Object.keys(after.whole)) {
    if (!Object.hasOwn(before.whole, name)) {
      changes.push({ kind: "added", what: kind + name, details: [] });
      continue;
    }
    const details = compare(part(before, at(name)), part(after, at(name)));
    if (details.length > 0) changes.push({ kind: "changed", what: kind + name, details });
  }
}

/** Differences between two trees of settings, by path. */
function compare(before: Sides<unknown>, after: Sides<unknown>): string[] {
  const details: string[] = [];
  compareAt("", before, after, details);
  return details;
}

function compareAt(path: string, before: Sides<unknown>, after: Sides<unknown>, details: string[]): void {
  if (isMap(before.whole) && isMap(after.whole)) {
    for (const key of new Set([...Object.keys(before.whole), ...Object.keys(after.whole)])) {
      const step = /^[\w-]+$/.test(key) ? (path === "" ? key : `.${key}`) : `[${JSON.stringify(key)}]`;
      const take = (map: unknown): unknown => (isMap(map) ? map[key] : undefined);
      compareAt(path + step, part(before, take), part(after, take), details);
    }
    return;
  }
  const change = changeOf(before, after);
  if (change !== "") details.push(`${path}: ${change}`);
  // Of two lists of maps the entries that both have are compared, too.
  const names = Array.isArray(before.whole) ? before.whole.map(nameOf) : [];
  for (const name of new Set(names)) {
    const take = (list: unknown): unknown =>
      Array.isArray(list) ? list.find((item, i) => nameOf(item, i) === name) : undefined;
    const old = part(before, take);
    const now = part(after, take);
    if (isMap(old.whole) && isMap(now.whole) && !isArm(old.whole)) compareAt(`${path}[${name}]`, old, now, details);
  }
}

/** "60s -> 30s", or "" where there is no change. */
function changeOf(before: Sides<unknown>, after: Sides<unknown>): string {
  const was = textOf(before.whole);
  const is = textOf(after.whole);
  if (was === is) return "";
  const secret = [before, after].some(({ whole, shown }) => whole !== shown && shown === MASK);
  if (!secret && was !== MASK && is !== MASK) {
    const numbers = /^\[0[\d, ]*\]$/; // a list of maps without names
    if (was === "none" && numbers.test(is)) return "none -> on";
    return is === "none" && numbers.test(was) ? "on -> none" : `${was} -> ${is}`;
  }
  // One side may have come without its secrets.
  if (was === MASK || is === MASK) return "";
  return before.whole === undefined ? "added" : after.whole === undefined ? "removed" : "changed";
}

function isMap(value: unknown): value is Typed {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As the user would write it; a map is only "on", and a list of maps has their names. */
function textOf(value: unknown): string {
  if (value === undefined) return "none";
  if (!Array.isArray(value)) return isMap(value) ? "on" : String(value);
  return `[${value.map(nameOf).join(", ")}]`;
}

/** A pool and its weight say all of themselves. */
function isArm(item: Typed): boolean {
  return Object.keys(item).length === 2 && "pool" in item && "weight" in item;
}

/** Entries of a list are known by their names, or by their numbers. */
function nameOf(item: unknown, index: number): string {
  if (!isMap(item)) return String(item);
  if (isArm(item)) return `${String(item["pool"])} ${String(item["weight"])}`;
  return typeof item["name"] === "string" && !("from" in item) ? item["name"] : String(index);
}
