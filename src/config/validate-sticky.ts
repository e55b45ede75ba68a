// Cookies that keep clients where they were, and take each other's place in browsers because they have one name. These
// are warnings: it works, but clients lose their endpoints more often than anybody wants.

import type { Config, ListenerConfig, PoolConfig } from "../model/config.ts";
import type { CookieConfig } from "../model/route-config.ts";
import { warning, type Problem } from "./problem.ts";

/** What browsers tell cookies apart by, as far as we say it. */
function keyOf(cookie: CookieConfig): string {
  return JSON.stringify([cookie.name, cookie.path, cookie.domain]);
}

/** A cookie of a pool, and the routes of the listener that forward to it. */
interface PoolCookie {
  readonly pool: string;
  readonly routes: ReadonlySet<number>;
}

export function validateStickyNames(config: Config, problems: Problem[]): void {
  const said = new Set<string>();
  const cookies = new Map(config.pools.flatMap((pool): [string, CookieConfig][] => cookieOf(pool)));
  for (const listener of config.listeners) {
    validateArms(listener, cookies, problems);
    const routesTo = routesByPool(listener);
    const seen = new Map<string, PoolCookie[]>();
    for (const [pool, cookie] of cookies) {
      const routes = routesTo.get(pool);
      if (routes === undefined) continue;
      const others = seen.get(keyOf(cookie)) ?? [];
      const other = others.find((o) => !areOneChoice(o.routes, routes, listener));
      seen.set(keyOf(cookie), [...others, { pool, routes }]);
      if (other === undefined || said.has(pool)) continue;
      said.add(pool);
      const message = `listener ${listener.name} also uses pool ${other.pool} with a cookie called ${cookie.name}`;
      const hint = "a client of both would lose its endpoint again and again: give each a name of its own";
      problems.push(warning(["pools", pool, "sticky"], message, hint));
    }
  }
}

function cookieOf(pool: PoolConfig): [string, CookieConfig][] {
  return pool.sticky?.by === "cookie" ? [[pool.name, pool.sticky.cookie]] : [];
}

/** Pool -> numbers of the routes that forward to it. */
function routesByPool(listener: ListenerConfig): ReadonlyMap<string, ReadonlySet<number>> {
  const found = new Map<string, Set<number>>();
  listener.routes.forEach(({ action }, i) => {
    if (action.kind !== "forward") return;
    for (const { pool } of action.arms) found.set(pool, (found.get(pool) ?? new Set<number>()).add(i));
  });
  return found;
}

/** Two pools between which each client is kept at one: it only ever has one's cookie. */
function areOneChoice(a: ReadonlySet<number>, b: ReadonlySet<number>, listener: ListenerConfig): boolean {
  if (a.size !== 1 || b.size !== 1) return false;
  const [route] = a;
  const action = listener.routes[route!]!.action;
  return b.has(route!) && action.kind === "forward" && action.sticky !== null;
}

/** Routes that keep clients at different pools by cookies of one name, and routes whose pools use that name, too. */
function validateArms(listener: ListenerConfig, cookies: ReadonlyMap<string, CookieConfig>, problems: Problem[]): void {
  const seen = new Map<string, { readonly index: number; readonly arms: string }>();
  listener.routes.forEach(({ action }, index) => {
    if (action.kind !== "forward" || action.sticky === null) return;
    const { cookie } = action.sticky;
    const path = ["listeners", listener.name, "routes", index, "sticky"];
    const hint = "give one another name";
    const pools = action.arms.map((arm) => arm.pool).sort();
    const clash = pools.find((pool) => cookies.has(pool) && keyOf(cookies.get(pool)!) === keyOf(cookie));
    if (clash !== undefined) {
      problems.push(warning(path, `pool ${clash} has a cookie of the same name ${cookie.name}`, hint));
    }
    const other = seen.get(keyOf(cookie));
    const arms = JSON.stringify(pools);
    if (other === undefined) seen.set(keyOf(cookie), { index, arms });
    else if (other.arms !== arms) {
      const message = `routes[${other.index}] keeps clients at other pools by a cookie of the same name ${cookie.name}`;
      problems.push(warning(path, message, hint));
    }
  });
}
