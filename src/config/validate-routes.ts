// The rules about the routes of one listener: where they lead, what they change, and which of them are never reached.

import { routesMax } from "../base/limits.ts";
import type { ListenerConfig, RouteConfig } from "../model/config.ts";
import type { ActionConfig, HeaderEdits, HeaderLine, RewriteConfig } from "../model/route-config.ts";
import {
  checkHeaderName,
  checkHeaderValue,
  checkPool,
  checkRegex,
  checkTemplate,
  type TemplateUse,
} from "./check-text.ts";
import { covers } from "./covers.ts";
import { error, errorAtKey, warning, type Path, type Problem } from "./problem.ts";
import { validateCookie, validateGuards } from "./validate-guard.ts";
import { validateMatch } from "./validate-match.ts";

/** Each pair of routes is compared; beyond so many that would take longer than a tenth of a second. */
const COMPARED_MAX = 1000;

/** The pools that a route sends anything to. */
export function poolsOf(route: RouteConfig): readonly string[] {
  const pools = route.action.kind === "forward" ? route.action.arms.map((arm) => arm.pool) : [];
  if (route.mirror !== null) pools.push(route.mirror.pool);
  if (route.forwardAuth !== null) pools.push(route.forwardAuth.pool);
  return pools;
}

export function validateRoutes(
  listener: ListenerConfig,
  pools: readonly string[],
  path: Path,
  problems: Problem[],
): void {
  const { routes } = listener;
  const at = [...path, "routes"];
  if (routes.length === 0) {
    problems.push({ ...warning(at, "no routes: every request is answered 404"), atKey: true });
  }
  if (routes.length > routesMax) {
    problems.push(errorAtKey(at, `${routes.length} routes; at most ${routesMax} are possible`));
  }
  const names = new Map<string, number>();
  routes.forEach((route, i) => {
    const first = names.get(route.name);
    if (first !== undefined) {
      const message = `routes[${first}] has the same name ${JSON.stringify(route.name)}`;
      problems.push(error([...at, i, "name"], message, "names are unique within a listener"));
    } else names.set(route.name, i);
    validateRoute(route, listener, pools, [...at, i], problems);
  });
  validateReach(routes, at, problems);
}

/** Routes that an earlier one leaves nothing for. */
function validateReach(routes: readonly RouteConfig[], path: Path, problems: Problem[]): void {
  routes.slice(0, COMPARED_MAX).forEach((route, i) => {
    for (let k = 0; k < i; k++) {
      if (!covers(routes[k]!.match, route.match)) continue;
      const which = k === i - 1 ? "the one before it" : `routes[${k}]`;
      const message = `this route is never reached: ${which} takes every request`;
      const all = Object.values(routes[k]!.match).every((conditions: readonly unknown[]) => conditions.length === 0);
      const hint = all ? "routes without conditions come last" : "put this one first, or remove it";
      problems.push(warning([...path, i], all ? message : `${message} that fits it`, hint));
      return;
    }
  });
}

function validateRoute(
  route: RouteConfig,
  listener: ListenerConfig,
  pools: readonly string[],
  path: Path,
  problems: Problem[],
): void {
  const captures = validateMatch(route.match, listener.paths, [...path, "match"], problems);
  const use: TemplateUse = { forwarded: route.action.kind === "forward", captures };
  validateAction(route.action, pools, use, path, problems);
  if (route.rewrite !== null) validateRewrite(route.rewrite, captures, [...path, "rewrite"], problems);
  validateEdits(route.requestHeaders, use, "requestHeaders", path, problems);
  validateEdits(route.responseHeaders, use, "responseHeaders", path, problems);
  validateGuards(route, pools, path, problems);
  const { mirror } = route;
  if (mirror === null) return;
  checkPool(mirror.pool, pools, [...path, "mirror", "pool"], problems);
  if (route.action.kind === "forward" && route.action.arms.length === 1 && route.action.arms[0]!.pool === mirror.pool) {
    problems.push(warning([...path, "mirror"], "copies go to the pool that gets the requests, too"));
  }
}

function validateAction(
  action: ActionConfig,
  pools: readonly string[],
  use: TemplateUse,
  path: Path,
  problems: Problem[],
): void {
  switch (action.kind) {
    case "forward":
      validateForward(action, pools, path, problems);
      break;
    case "redirect":
      validateRedirect(action.to, use, [...path, "redirect", "to"], problems);
      break;
    case "respond":
      validateRespond(action, use, [...path, "respond"], problems);
      break;
  }
}

function validateForward(
  action: Extract<ActionConfig, { kind: "forward" }>,
  pools: readonly string[],
  path: Path,
  problems: Problem[],
): void {
  const at = [...path, "forward"];
  action.arms.forEach((arm, i) => {
    checkPool(arm.pool, pools, [...at, i, "pool"], problems);
    const first = action.arms.findIndex((other) => other.pool === arm.pool);
    if (first === i) return;
    problems.push(error([...at, i, "pool"], `${arm.pool} is given twice`, "add the weights together"));
  });
  if (action.arms.every((arm) => arm.weight === 0)) {
    problems.push(error(at, "every weight is 0: no pool would get anything", "give one a weight of 1 or more"));
  }
  if (action.sticky !== null) validateCookie(action.sticky.cookie, [...path, "sticky"], problems);
}

function validateRedirect(to: string, use: TemplateUse, path: Path, problems: Problem[]): void {
  checkTemplate(to, use, path, problems);
  if (/[^!-~]/.test(to)) {
    problems.push(error(path, "a URL has no spaces and only ASCII characters", "write other characters as %XX"));
  } else if (!/^([a-z][a-z0-9+.-]*:\/\/[^/]|\{scheme\}:\/\/|\/|\{(uri|path|header\.|query\.|[1-9]\}))/i.test(to)) {
    const hint = to.startsWith("{") ? `write https://${to}` : `write https://${to}, or /${to} for a path`;
    problems.push(error(path, `expected a URL or a path that begins with /, found ${JSON.stringify(to)}`, hint));
  }
}

function validateRespond(
  action: Extract<ActionConfig, { kind: "respond" }>,
  use: TemplateUse,
  path: Path,
  problems: Problem[],
): void {
  checkTemplate(action.body, use, [...path, "body"], problems);
  if (action.body !== "" && [204, 205, 304].includes(action.status)) {
    problems.push(error([...path, "body"], `an answer with status ${action.status} has no body`));
  }
  const at = [...path, "headers"];
  checkLines(action.headers, use, at, "", problems);
  const date = action.headers.find(({ name }) => name.toLowerCase() === "date");
  if (date === undefined) return;
  problems.push(errorAtKey([...at, date.name], `the header ${date.name} is added to every answer`, "leave it out"));
}

function validateRewrite(rewrite: RewriteConfig, captures: number, path: Path, problems: Problem[]): void {
  const use: TemplateUse = { forwarded: false, captures };
  if (rewrite.path !== null) {
    const groups = checkRegex(rewrite.path, [...path, "path"], problems);
    const at = [...path, "to"];
    checkTemplate(rewrite.to, use, at, problems);
    for (const [, what] of rewrite.to.matchAll(/\$(\$|\d?)/g)) {
      if (what === "$" || groups < 0) continue;
      if (what === "") problems.push(error(at, "a $ without a number", "write $$ for a dollar"));
      else if (Number(what) > groups) {
        const message = `$${what} is a part in parentheses, of which path has ${groups}`;
        problems.push(error(at, message, `write $$${what} for the text itself`));
      }
    }
    if (/[\s#]|[^!-~]/.test(rewrite.to)) {
      problems.push(error(at, "a path has no spaces, no # and only ASCII characters", "write other characters as %XX"));
    }
  }
  if (rewrite.host === null) return;
  const at = [...path, "host"];
  checkTemplate(rewrite.host, use, at, problems);
  const literal = rewrite.host.replaceAll(/\{[^{}]*\}/g, "x");
  if (!/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(literal)) {
    const message = `expected a host, with a port if need be, found ${JSON.stringify(rewrite.host)}`;
    problems.push(error(at, message, "write internal.example, or internal.example:8080"));
  }
}

function validateEdits(
  edits: HeaderEdits | null,
  use: TemplateUse,
  key: "requestHeaders" | "responseHeaders",
  path: Path,
  problems: Problem[],
): void {
  if (edits === null) return;
  const at = [...path, key];
  const hostHint = key === "requestHeaders" ? "use rewrite: { host: … }" : "";
  edits.remove.forEach((name, i) => checkHeaderName(name, [...at, "remove", i], false, hostHint, problems));
  checkLines(edits.set, use, [...at, "set"], hostHint, problems);
  checkLines(edits.add, use, [...at, "add"], hostHint, problems);
  const twice = new Map<string, string>();
  for (const { name } of edits.set) {
    const other = twice.get(name.toLowerCase());
    if (other !== undefined) {
      problems.push(
        errorAtKey([...at, "set", name], `the header ${other} is given twice`, "names of headers ignore case"),
      );
    }
    twice.set(name.toLowerCase(), name);
  }
}

function checkLines(
  lines: readonly HeaderLine[],
  use: TemplateUse,
  path: Path,
  hostHint: string,
  problems: Problem[],
): void {
  const seen = new Map<string, number>();
  for (const { name, value } of lines) {
    const index = seen.get(name) ?? 0;
    seen.set(name, index + 1);
    if (index === 0) checkHeaderName(name, [...path, name], true, hostHint, problems);
    checkTemplate(value, use, [...path, name, index], problems);
    checkHeaderValue(value, [...path, name, index], problems);
  }
}
