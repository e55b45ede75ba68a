// What a route asks of a request before it does anything, and what it does besides, in the order of the guard. Whether
// a check lets this request pass is said where a dry run can know it.

import { formatMs } from "../base/duration.ts";
import { parseIp } from "../base/ip.ts";
import { AccessList } from "../limit/access.ts";
import type { ListenerConfig, RouteConfig } from "../model/config.ts";
import type { AccessConfig, LimitKey } from "../model/route-config.ts";
import { isLimitTooLarge } from "./dry-plan.ts";
import type { DryLog } from "./dry-run.ts";
import type { CheckWord } from "./explanation.ts";
import { fieldValue, type Field } from "./message-text.ts";

/** What is known of the request. */
export interface CheckFacts {
  /** The address of the connection, and the client's as trusted proxies tell it; "unix:" = none. */
  readonly source: string;
  readonly client: string;
  readonly fields: readonly Field[];
  readonly isPreflight: boolean;
  /** What became of the request; null = it was turned away, or waits. */
  readonly log: DryLog | null;
  /** Limits were looked at as they are in a running instance. */
  readonly isLive: boolean;
}

/** route = null: the request takes none. */
export function describeChecks(listener: ListenerConfig, route: RouteConfig | null, facts: CheckFacts): CheckWord[] {
  const checks: CheckWord[] = [];
  const say = (check: string, verdict: CheckWord["verdict"], detail: string): void =>
    void checks.push({ check, verdict, detail });
  if (listener.access !== null) checks.push(access("access of the listener", listener.access, facts.source));
  if (listener.limits.connectionsPerClient !== 0) {
    say("connections", "assumed", `at most ${listener.limits.connectionsPerClient} of one client`);
  }
  if (route === null) return checks;
  if (route.access !== null) checks.push(access("access", route.access, facts.client));
  if (route.cors !== null && facts.isPreflight) say("cors", "passes", "answers preflights itself");
  describeLimits(route, facts, say);
  if (route.basicAuth !== null) say("basicAuth", ...password(route.basicAuth.realm, facts));
  const { forwardAuth, hooks, mirror, compress } = route;
  if (forwardAuth !== null) say("forwardAuth", "assumed", `asks pool ${forwardAuth.pool} at ${forwardAuth.path}`);
  if (hooks !== null) {
    const which = [...(hooks.request ? ["request"] : []), ...(hooks.response ? ["response"] : [])];
    say("hooks", "assumed", `${which.join(" and ")}; a dry run does not call them`);
  }
  if (mirror !== null) say("mirror", "passes", `copies ${mirror.percent}% to pool ${mirror.pool}`);
  if (compress !== null) say("compress", "passes", `${compress.codings.join(", ")} for ${compress.types.join(", ")}`);
  return checks;
}

function access(check: string, config: AccessConfig, address: string): CheckWord {
  const passes = new AccessList(config).permits(parseIp(address));
  const who = address.startsWith("unix:") ? "a client without an address" : address;
  return { check, verdict: passes ? "passes" : "refuses", detail: `${who} is ${passes ? "" : "not "}let in` };
}

function describeLimits(
  { rateLimits, concurrency }: RouteConfig,
  { log, isLive }: CheckFacts,
  say: (check: string, verdict: CheckWord["verdict"], detail: string) => void,
): void {
  const limited = log !== null && log.cause === "limited";
  const verdictOf = (isKnown: boolean): CheckWord["verdict"] =>
    limited ? "refuses" : isLive && isKnown ? "passes" : "assumed";
  for (const limit of rateLimits) {
    const { requests, perMs, burst, by, status, scope } = limit;
    const rate = `${requests} in ${formatMs(perMs)} by ${keyText(by)}, ${burst} at once, else ${status}`;
    say("rateLimit", verdictOf(scope === "exact" && !isLimitTooLarge(limit)), rate);
  }
  for (const { requests, by } of concurrency) {
    say("concurrency", verdictOf(true), `${requests} in progress by ${keyText(by)}, else 429`);
  }
}

function password(realm: string, { log, fields }: CheckFacts): [CheckWord["verdict"], string] {
  if (log !== null && log.status === 401) {
    const has = fieldValue(fields, "authorization") !== null;
    const detail = has ? "nobody of that name, or no basic credentials" : "the request has no Authorization field";
    return ["refuses", `realm ${JSON.stringify(realm)}: ${detail}`];
  }
  return ["assumed", `realm ${JSON.stringify(realm)}: the password is not compared here`];
}

/** "source", "header x-user", "the whole route". */
export function keyText({ from, name }: LimitKey): string {
  if (from === "route") return "the whole route";
  return name === "" ? from : `${from} ${name}`;
}
