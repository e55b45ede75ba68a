// What changes between two resolved configurations, in the words of the file: for `sluice check` and for the log of a
// reload. Pure; secrets are neither compared nor shown.

import { formatMs } from "../base/duration.ts";
import { OFF, type BindAddress, type Config, type PoolConfig } from "../model/config.ts";
import { formatBind } from "./address.ts";
import { formatSize } from "./units.ts";

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
  const settings = compare(settingsOf(before), settingsOf(after));
  if (settings.length > 0) changes.push({ kind: "changed", what: "settings", details: settings });
  diffNamed("listener", before.listeners, after.listeners, (l) => ({ ...l, name: undefined }), changes);
  diffNamed("pool", before.pools, after.pools, withoutEndpoints, changes);
  for (const pool of after.pools) {
    const old = before.pools.find((p) => p.name === pool.name);
    if (old === undefined) continue;
    const named = (p: PoolConfig) => p.endpoints.map((e) => ({ ...e, name: `${p.name}/${e.id}`, id: undefined }));
    diffNamed("endpoint", named(old), named(pool), (e) => ({ ...e, name: undefined }), changes);
  }
  return changes;
}

/** "+ pool users", "- endpoint users/a:1", "~ listener web: limits.headers: 100 -> 50" */
export function formatChange(change: Change): string {
  const sign = { added: "+", removed: "-", changed: "~" }[change.kind];
  const details = change.details.length === 0 ? "" : `: ${change.details.join(", ")}`;
  return `${sign} ${change.what}${details}`;
}

function settingsOf(config: Config): object {
  const { workers, user, admin, accessLog, logLevel, timeouts } = config;
  const log = accessLog === null ? null : { format: accessLog.template || accessLog.format, file: accessLog.file };
  return {
    workers: workers === 0 ? "auto" : workers,
    user,
    admin: admin === null ? null : { bind: admin.bind },
    accessLog: log,
    log: { level: logLevel },
    timeouts,
  };
}

function withoutEndpoints(pool: PoolConfig): object {
  return { ...pool, name: undefined, endpoints: undefined };
}

interface Named {
  readonly name: string;
}

function diffNamed<T extends Named>(
  kind: string,
  before: readonly T[],
  after: readonly T[],
  settings: (item: T) => object,
  changes: Change[],
): void {
  const old = new Map(before.map((item) => [item.name, item]));
  const now = new Set(after.map((item) => item.name));
  for (const { name } of before)
    if (!now.has(name)) changes.push({ kind: "removed", what: `${kind} ${name}`, details: [] });
  for (const item of after) {
    const other = old.get(item.name);
    if (other === undefined) {
      changes.push({ kind: "added", what: `${kind} ${item.name}`, details: [] });
      continue;
    }
    const details = compare(settings(other), settings(item));
    if (details.length > 0) changes.push({ kind: "changed", what: `${kind} ${item.name}`, details });
  }
}

/** Differences between two trees of settings, by path. */
function compare(before: object, after: object): string[] {
  const old = new Map<string, string>();
  const now = new Map<string, string>();
  flatten("", before, old);
  flatten("", after, now);
  const details: string[] = [];
  for (const path of new Set([...old.keys(), ...now.keys()])) {
    const was = old.get(path) ?? "none";
    const is = now.get(path) ?? "none";
    if (was !== is) details.push(`${path}: ${was} -> ${is}`);
  }
  return details;
}

/** Leaves by path, as the user would write them: "timeouts.idle" -> "75s". */
function flatten(path: string, value: unknown, into: Map<string, string>): void {
  if (value === undefined) return;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== "object" || item === null || isBind(item) || Array.isArray(item))) {
      into.set(path, `[${value.map((item) => leafText(path, item)).join(", ")}]`);
    } else value.forEach((item, i) => flatten(`${path}[${i}]`, item, into));
  } else if (typeof value === "object" && value !== null && !isBind(value)) {
    for (const [key, item] of Object.entries(value)) {
      const name = key.replace(/Ms$/, "");
      flatten(path === "" ? name : `${path}.${name}`, key === name ? item : durationText(item), into);
    }
  } else into.set(path, leafText(path, value));
}

function durationText(value: unknown): unknown {
  return typeof value === "number" ? (value === OFF ? "off" : formatMs(value)) : value;
}

function isBind(value: object): value is BindAddress {
  return "ip" in value && "port" in value && "unixPath" in value;
}

const unlimitedAtZero = /(bodyBytes|\.requests|maxConnections|loadPercent)$/;

function leafText(path: string, value: unknown): string {
  if (value === null) return "none";
  if (typeof value === "object" && isBind(value)) return formatBind(value);
  if (Array.isArray(value)) return value.join("-");
  if (typeof value !== "number") return String(value);
  if (value === OFF && unlimitedAtZero.test(path)) return "unlimited";
  if (path.endsWith("Bytes")) return formatSize(value);
  return String(value);
}
