// The rules about route tests: listeners, routes and pools that exist, requests that could be made.

import { parseIp } from "../base/ip.ts";
import { routeTestsMax } from "../base/limits.ts";
import type { Config, ListenerConfig } from "../model/config.ts";
import type { RouteTestConfig } from "../model/route-config.ts";
import { checkHeaderValue, checkPool } from "./check-text.ts";
import { tokenPattern } from "./fields.ts";
import { error, errorAtKey, type Path, type Problem } from "./problem.ts";
import { didYouMean, listWords } from "./suggest.ts";

export function validateTests(config: Config, problems: Problem[]): void {
  const { tests, listeners } = config;
  if (tests.length > routeTestsMax) {
    problems.push(errorAtKey(["tests"], `${tests.length} tests; at most ${routeTestsMax} are possible`));
  }
  const pools = config.pools.map((pool) => pool.name);
  tests.forEach((test, i) => {
    const path: Path = ["tests", i];
    validateRequest(test.request, [...path, "request"], problems);
    const listener = findListener(test, listeners, path, problems);
    validateExpect(test.expect, listener, pools, [...path, "expect"], problems);
  });
}

function findListener(
  test: RouteTestConfig,
  listeners: readonly ListenerConfig[],
  path: Path,
  problems: Problem[],
): ListenerConfig | null {
  const names = listeners.map((listener) => listener.name);
  if (test.listener === null) {
    if (listeners.length > 1) {
      const message = "a test needs a listener where there are several";
      problems.push(error(path, message, `name one of them: ${listWords(names)}`));
    }
    return listeners.length === 1 ? listeners[0]! : null;
  }
  const found = listeners.find((listener) => listener.name === test.listener) ?? null;
  if (found === null) {
    const near = didYouMean(test.listener, names);
    const known = names.length === 0 ? "there are no listeners" : `there are ${listWords(names)}`;
    const message = `there is no listener called ${JSON.stringify(test.listener)}`;
    problems.push(error([...path, "listener"], message, near === "" ? known : near));
  }
  return found;
}

function validateRequest(request: RouteTestConfig["request"], path: Path, problems: Problem[]): void {
  if (!tokenPattern.test(request.method)) {
    problems.push(error([...path, "method"], `${JSON.stringify(request.method)} is not the name of a method`));
  }
  if (!/^(https?:\/\/[^/?#\s]+)?(\/[!-~]*)?$/.test(request.url) || request.url === "" || request.url.includes("#")) {
    const message = `expected a URL such as http://app.example.com/users, or a path, found ${JSON.stringify(request.url)}`;
    problems.push(error([...path, "url"], message));
  }
  if (parseIp(request.source) === null) {
    problems.push(error([...path, "source"], `expected an IP address, found ${JSON.stringify(request.source)}`));
  }
  for (const { name, value } of request.headers) checkHeader(name, value, [...path, "headers"], problems);
}

function checkHeader(name: string, value: string, path: Path, problems: Problem[]): void {
  if (!tokenPattern.test(name)) {
    problems.push(errorAtKey([...path, name], `${JSON.stringify(name)} is not the name of a header`));
  }
  checkHeaderValue(value, [...path, name], problems);
}

function validateExpect(
  expect: RouteTestConfig["expect"],
  listener: ListenerConfig | null,
  pools: readonly string[],
  path: Path,
  problems: Problem[],
): void {
  if (expect.pool !== null) checkPool(expect.pool, pools, [...path, "pool"], problems);
  if (expect.route !== null && listener !== null) {
    const names = listener.routes.map((route) => route.name);
    if (!names.includes(expect.route)) {
      const near = didYouMean(expect.route, names);
      const message = `listener ${listener.name} has no route called ${JSON.stringify(expect.route)}`;
      const known = names.length === 0 ? "it has no routes" : `it has ${listWords(names)}`;
      problems.push(error([...path, "route"], message, near === "" ? known : near));
    }
  }
  for (const { name, value } of expect.headers) checkHeader(name, value ?? "", [...path, "headers"], problems);
}
