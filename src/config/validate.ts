// Rules that look at a resolved Config, wherever it came from: names that must exist or be unique, addresses that
// collide, numbers that contradict each other. Pure; nothing is resolved, bound or opened.

import { isLoopback, parseIp } from "../base/ip.ts";
import { endpointRowsMax, listenersMax, poolsMax } from "../base/limits.ts";
import type { AdminConfig, BindAddress, Config, ListenerConfig } from "../model/config.ts";
import { accessLogFields, parseLogTemplate } from "../model/log-fields.ts";
import { formatBind } from "./address.ts";
import { checkBlocks } from "./check-text.ts";
import { error, errorAtKey, warning, type Path, type Problem } from "./problem.ts";
import { didYouMean } from "./suggest.ts";
import { validateAccess } from "./validate-guard.ts";
import { validatePool } from "./validate-pool.ts";
import { poolsOf, validateRoutes } from "./validate-routes.ts";
import { validateStickyNames } from "./validate-sticky.ts";
import { validateTests } from "./validate-tests.ts";

/** Everything wrong with the config; empty when it is sound. Paths are those of the YAML form. */
export function validate(config: Config): readonly Problem[] {
  const problems: Problem[] = [];
  validateUser(config.user, problems);
  if (config.admin !== null) validateAdmin(config.admin, problems);
  if (config.accessLog?.format === "template") validateTemplate(config.accessLog.template, problems);
  validateCounts(config, problems);
  validateBinds(config, problems);
  const pools = config.pools.map((pool) => pool.name);
  for (const listener of config.listeners) validateListener(listener, pools, problems);
  const routes = config.listeners.flatMap((listener) => listener.routes);
  const used = new Set(routes.flatMap(poolsOf));
  const hooksChoose = routes.some(({ hooks }) => hooks?.request === true); // any pool, by forwardTo
  for (const pool of config.pools) {
    validateName(["pools", pool.name], problems);
    if (!used.has(pool.name) && !hooksChoose) {
      problems.push({ ...warning(["pools", pool.name], "no route forwards to this pool"), atKey: true });
    }
    validatePool(pool, problems);
  }
  validateStickyNames(config, problems);
  validateTests(config, problems);
  return problems;
}

/** Names become keys of plain objects in plans and answers; those that every object has would be found there. */
function validateName(path: Path, problems: Problem[]): void {
  if (String(path.at(-1)) in Object.prototype)
    problems.push(errorAtKey(path, "this name is reserved", "choose another name"));
}

function validateUser(user: string | null, problems: Problem[]): void {
  if (user === null || /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?$/.test(user)) return;
  problems.push(error(["user"], `expected a user name or user:group, found ${JSON.stringify(user)}`));
}

function validateAdmin(admin: AdminConfig, problems: Problem[]): void {
  if (admin.token !== null || isLocal(admin.bind)) return;
  const message = `the admin listener on ${formatBind(admin.bind)} can be reached by others and needs a token`;
  problems.push(error(["admin", "bind"], message, "add token: with a long random secret, or bind 127.0.0.1"));
}

function isLocal(bind: BindAddress): boolean {
  if (bind.unixPath !== null) return true;
  const ip = parseIp(bind.ip.replace(/%.*$/, ""));
  return ip !== null && isLoopback(ip);
}

function validateTemplate(template: string, problems: Problem[]): void {
  for (const field of parseLogTemplate(template).unknown) {
    const near = didYouMean(field, accessLogFields);
    const hint = near === "" ? "docs/guide/operations.md lists the placeholders" : near;
    problems.push(error(["accessLog", "format"], `there is no placeholder {${field}}`, hint));
  }
}

function validateCounts(config: Config, problems: Problem[]): void {
  const endpoints = config.pools.reduce((sum, pool) => sum + pool.endpoints.length, 0);
  const tooMany = (path: Path, found: number, max: number, what: string): void => {
    if (found > max) problems.push(errorAtKey(path, `${found} ${what}; at most ${max} are possible`));
  };
  tooMany(["listeners"], config.listeners.length, listenersMax, "listeners");
  tooMany(["pools"], config.pools.length, poolsMax, "pools");
  tooMany(["pools"], endpoints, endpointRowsMax, "endpoints in all pools together");
  if (config.listeners.length === 0) {
    problems.push({ ...warning(["listeners"], "there are no listeners: nothing will be served"), atKey: true });
  }
}

interface Bound {
  readonly path: Path;
  readonly bind: BindAddress;
}

/** Two sockets on one address and port cannot be, nor one on an address and one on the wildcard that includes it. */
function validateBinds(config: Config, problems: Problem[]): void {
  const seen = new Map<string, Bound[]>();
  const all: Bound[] = config.listeners.flatMap((l) =>
    l.bind.map((bind, i): Bound => ({ path: ["listeners", l.name, "bind", i], bind })),
  );
  if (config.admin !== null) all.push({ path: ["admin", "bind"], bind: config.admin.bind });
  for (const one of all) {
    if (one.bind.unixPath === null && one.bind.port === 0) continue; // any free port: never the same one
    const place = one.bind.unixPath ?? String(one.bind.port);
    const others = seen.get(place) ?? [];
    const other = others.find((o) => collide(o.bind, one.bind));
    others.push(one);
    seen.set(place, others);
    if (other === undefined) continue;
    const where = other.path[0] === "admin" ? "the admin listener" : `listener ${other.path[1]}`;
    const by = formatBind(other.bind) === formatBind(one.bind) ? where : `${formatBind(other.bind)} of ${where}`;
    problems.push(error(one.path, `${formatBind(one.bind)} is already taken by ${by}`, "use another port or address"));
  }
}

/** Both on the same port (or unix path). */
function collide(a: BindAddress, b: BindAddress): boolean {
  if (a.unixPath !== null || b.unixPath !== null) return a.unixPath === b.unixPath;
  if (a.ip === b.ip || a.ip === "::" || b.ip === "::") return true; // [::] takes IPv4 as well
  const oneFamily = a.ip.includes(":") === b.ip.includes(":");
  return oneFamily && (a.ip === "0.0.0.0" || b.ip === "0.0.0.0");
}

/** RFC 9110 7.6.3: a pseudonym (token), or a host with an optional port. */
const viaPattern = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/;

function validateListener(listener: ListenerConfig, pools: readonly string[], problems: Problem[]): void {
  const path: Path = ["listeners", listener.name];
  validateName(path, problems);
  checkBlocks(listener.trustedProxies, [...path, "trustedProxies"], problems);
  if (listener.access !== null) validateAccess(listener.access, [...path, "access"], problems);
  if (listener.via !== null && !viaPattern.test(listener.via)) {
    const message = `expected a name or host:port for the Via header, found ${JSON.stringify(listener.via)}`;
    problems.push(error([...path, "via"], message));
  }
  validateRoutes(listener, pools, path, problems);
}
