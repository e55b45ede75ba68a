// From what was typed to the resolved Config: defaults filled in, short forms written out. Also the rules about the
// typing itself, which the Config no longer shows: keys that have no meaning together, keys that need one another.

import type { AccessLogConfig, AdminConfig, Config, ListenerConfig } from "../model/config.ts";
import {
  defaultAccessLog,
  defaultAdmin,
  defaultDrainMs,
  defaultForwarded,
  defaultListenerLimits,
  defaultListenerTimeouts,
  defaultLogLevel,
  defaultPaths,
  defaultPathsUnused,
  defaultUser,
  defaultWorkers,
} from "../model/defaults.ts";
import type { PathsConfig } from "../model/route-config.ts";
import { asList } from "./as-list.ts";
import { lowerAccess } from "./lower-guard.ts";
import { lowerPool } from "./lower-pool.ts";
import { looksAtPath, lowerRoute, type HookSlots, type RouteTyped } from "./lower-route.ts";
import { lowerTest } from "./lower-test.ts";
import { error, errorAtKey, type Path, type Problem } from "./problem.ts";
import type { ConfigTyped } from "./schema.ts";
import { didYouMean } from "./suggest.ts";

type ListenerTyped = NonNullable<ConfigTyped["listeners"]>[string];

/** The Config, and what is wrong with the typing. With an error among the problems the Config must not be used. */
export function lower(typed: ConfigTyped): { readonly config: Config; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const slots: HookSlots = { next: 0 };
  const config: Config = {
    workers: typed.workers === undefined || typed.workers === "auto" ? defaultWorkers : typed.workers,
    user: typed.user ?? defaultUser,
    admin: lowerAdmin(typed.admin),
    accessLog: lowerAccessLog(typed.accessLog, problems),
    logLevel: typed.log?.level ?? defaultLogLevel,
    timeouts: { drainMs: typed.timeouts?.drain ?? defaultDrainMs },
    listeners: Object.entries(typed.listeners ?? {}).map(([name, l]) => lowerListener(name, l, slots, problems)),
    pools: Object.entries(typed.pools ?? {}).map(([name, p]) => lowerPool(name, p, problems)),
    state: typed.state ?? null,
    secret: typed.secret ?? null,
    tests: (typed.tests ?? []).map((test, i) => lowerTest(test, ["tests", i], problems)),
  };
  return { config, problems };
}

function lowerAdmin(typed: ConfigTyped["admin"]): AdminConfig | null {
  if (typed === "off") return null;
  return { bind: typed?.bind ?? defaultAdmin.bind, token: typed?.token ?? defaultAdmin.token };
}

function lowerAccessLog(typed: ConfigTyped["accessLog"], problems: Problem[]): AccessLogConfig | null {
  if (typed === "off") return null;
  const file = typed?.file ?? defaultAccessLog.file;
  const format = typed?.format ?? defaultAccessLog.format;
  if (format === "json" || format === "combined") return { format, template: "", file };
  if (!format.includes("{")) {
    const hint = didYouMean(format, ["json", "combined"]);
    const message = `expected json, combined or a template with {placeholders}, found ${JSON.stringify(format)}`;
    problems.push(error(["accessLog", "format"], message, hint));
  }
  return { format: "template", template: format, file };
}

function lowerListener(name: string, typed: ListenerTyped, slots: HookSlots, problems: Problem[]): ListenerConfig {
  const path: Path = ["listeners", name];
  if (typed.forward !== undefined && typed.routes !== undefined) {
    problems.push(
      errorAtKey([...path, "forward"], "a listener has either forward or routes", "make it the last route"),
    );
  } else if (typed.forward === undefined && typed.routes === undefined) {
    problems.push(errorAtKey(path, "a listener needs forward or routes", "write forward: and the name of a pool"));
  }
  const routes: readonly RouteTyped[] =
    typed.routes ?? (typed.forward === undefined ? [] : [{ forward: typed.forward }]);
  const t = typed.timeouts;
  const l = typed.limits;
  return {
    name,
    bind: asList(typed.bind),
    protocol: "http",
    trustedProxies: typed.trustedProxies ?? [],
    forwarded: typed.forwarded ?? defaultForwarded,
    paths: lowerPaths(typed.paths, routes.some(looksAtPath)),
    access: lowerAccess(typed.access),
    via: typed.via === undefined || typed.via === "off" ? null : typed.via,
    timeouts: {
      requestHeadMs: t?.requestHead ?? defaultListenerTimeouts.requestHeadMs,
      idleMs: t?.idle ?? defaultListenerTimeouts.idleMs,
      bodyMs: t?.body ?? defaultListenerTimeouts.bodyMs,
      writeMs: t?.write ?? defaultListenerTimeouts.writeMs,
    },
    limits: {
      connections: l?.connections ?? defaultListenerLimits.connections,
      connectionsPerClient: l?.connectionsPerClient ?? defaultListenerLimits.connectionsPerClient,
      headBytes: l?.headBytes ?? defaultListenerLimits.headBytes,
      headers: l?.headers ?? defaultListenerLimits.headers,
      bodyBytes: l?.bodyBytes ?? defaultListenerLimits.bodyBytes,
      requests: l?.requests ?? defaultListenerLimits.requests,
    },
    routes: routes.map((route, i) => lowerRoute(route, i, [...path, "routes", i], slots, problems)),
  };
}

/** used = some route of the listener looks at the path or changes it. */
function lowerPaths(typed: ListenerTyped["paths"], used: boolean): PathsConfig {
  const mode = typed?.mode ?? (used ? defaultPaths : defaultPathsUnused).mode;
  const d = mode === "raw" ? defaultPathsUnused : defaultPaths;
  return {
    mode,
    slashes: typed?.slashes ?? d.slashes,
    encodedSlashes: typed?.encodedSlashes ?? d.encodedSlashes,
  };
}
