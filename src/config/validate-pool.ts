// The rules of validate.ts that concern one pool: its endpoints, health checks and timers.

import { formatMs } from "../base/duration.ts";
import { OFF, type EndpointConfig, type HealthConfig, type PoolConfig } from "../model/config.ts";
import type { DiscoveryConfig, OutlierConfig, StickyConfig } from "../model/route-config.ts";
import { formatAddress, isHostName } from "./address.ts";
import { tokenPattern } from "./fields.ts";
import { error, errorAtKey, warning, type Path, type Problem } from "./problem.ts";
import { validateCookie } from "./validate-guard.ts";

export function validatePool(pool: PoolConfig, problems: Problem[]): void {
  const path: Path = ["pools", pool.name];
  validateEndpoints(pool, [...path, "endpoints"], problems);
  if (pool.health !== null) validateHealth(pool.health, [...path, "health"], problems);
  validateSticky(pool.sticky, [...path, "sticky"], problems);
  validateOutlier(pool.outlier, [...path, "outlier"], problems);
  if (pool.discovery.length === 0) validateSuccessRate(pool, [...path, "outlier", "successRate"], problems);
  validateDiscovery(pool.discovery, [...path, "discovery"], problems);
  const { minMs, maxMs } = pool.resolve;
  if (minMs > maxMs) {
    const message = `min (${formatMs(minMs)}) is longer than max (${formatMs(maxMs)})`;
    problems.push(error([...path, "resolve"], message, "make min the shorter one"));
  }
  if (pool.balance.by === "round-robin" && new Set(pool.endpoints.map((e) => e.weight).filter((w) => w > 0)).size > 1) {
    const message = "round-robin does not look at weights, and the endpoints have different ones";
    problems.push(warning([...path, "balance"], message, "use weighted-round-robin"));
  }
}

function validateEndpoints(pool: PoolConfig, path: Path, problems: Problem[]): void {
  const { endpoints } = pool;
  const ids = new Map<string, number>();
  endpoints.forEach((endpoint, i) => {
    const first = ids.get(endpoint.id);
    if (first === undefined) {
      ids.set(endpoint.id, i);
      return;
    }
    const given = endpoint.id !== addressOf(endpoint);
    const message = `endpoints[${first}] has the same ${given ? "id" : "address"} ${JSON.stringify(endpoint.id)}`;
    problems.push(
      error(
        given ? [...path, i, "id"] : [...path, i],
        message,
        "ids are unique within a pool: give one an id of its own",
      ),
    );
  });
  if (pool.discovery.length > 0) return; // what it finds is not known yet
  if (endpoints.length === 0) {
    const message = "there are no endpoints: every request is answered 503";
    problems.push(warning(path, message, "until some are added by the admin API"));
    return;
  }
  if (endpoints.every((e) => e.backup)) {
    problems.push(
      error(path, "every endpoint is a backup", "backups stand in for others: let at least one not be a backup"),
    );
  }
  if (endpoints.every((e) => e.weight === 0)) {
    problems.push(warning(path, "every endpoint has weight 0 and receives nothing", "give one a weight of 1 or more"));
  } else if (endpoints.every((e) => e.admin !== "ready")) {
    problems.push(warning(path, "no endpoint is ready: every request is answered 503"));
  }
}

function validateSticky(sticky: StickyConfig | null, path: Path, problems: Problem[]): void {
  if (sticky?.by === "cookie") validateCookie(sticky.cookie, path, problems);
  else if (sticky?.by === "app-cookie" && sticky.name !== "" && !tokenPattern.test(sticky.name)) {
    problems.push(error([...path, "name"], `${JSON.stringify(sticky.name)} is not the name of a cookie`));
  }
}

function validateOutlier(outlier: OutlierConfig | null, path: Path, problems: Problem[]): void {
  if (outlier === null) return;
  const { ejectionMs, maxEjectionMs } = outlier;
  if (outlier.consecutiveFailures === OFF && outlier.successRate === null) {
    const hint = "give consecutiveFailures a number, or write successRate: {}";
    problems.push(error(path, "nothing would ever be ejected", hint));
  }
  if (ejectionMs > maxEjectionMs) {
    const message = `ejection (${formatMs(ejectionMs)}) is longer than maxEjection (${formatMs(maxEjectionMs)})`;
    problems.push(error(path, message, "make maxEjection the longer one"));
  }
}

/** Of n numbers none is more than the root of n - 1 standard deviations away from their mean. */
function validateSuccessRate({ outlier, endpoints }: PoolConfig, path: Path, problems: Problem[]): void {
  const count = endpoints.filter(({ backup }) => !backup).length;
  if (outlier === null || outlier.successRate === null || count < 2) return;
  const { minEndpoints, stdevFactor } = outlier.successRate;
  const most = Math.sqrt(count - 1);
  if (minEndpoints > count) {
    const message = `there are ${count} endpoints, and none is judged with fewer than ${minEndpoints}`;
    problems.push(warning(path, message, "give minEndpoints a lower number"));
  } else if (stdevFactor >= most) {
    const message = `of ${count} endpoints none can be ${stdevFactor} standard deviations below the mean`;
    const hint = `give stdevFactor a number below ${most.toFixed(2)}, or the pool more endpoints`;
    problems.push(warning(path, message, hint));
  }
}

function validateDiscovery(discovery: readonly DiscoveryConfig[], path: Path, problems: Problem[]): void {
  const seen = new Set<string>();
  discovery.forEach((source, i) => {
    const key = JSON.stringify(source);
    if (seen.has(key)) problems.push(error([...path, i], "the same is asked for twice", "remove one of them"));
    seen.add(key);
    if (source.from !== "dns" || source.name === "" || isHostName(source.name)) return;
    const hint = /:\d+$/.test(source.name) ? "write the port under port" : "";
    problems.push(error([...path, i, "name"], `expected a host name, found ${JSON.stringify(source.name)}`, hint));
  });
}

function addressOf(endpoint: EndpointConfig): string {
  return formatAddress(endpoint.host, endpoint.port, endpoint.unixPath);
}

/** Fields that the check writes itself, or that would change how its bytes are read. */
const ownHeaders = ["host", "connection", "content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer"];

function validateHealth(health: HealthConfig, path: Path, problems: Problem[]): void {
  if (health.timeoutMs > health.intervalMs) {
    const interval = formatMs(health.intervalMs);
    const message = `the timeout (${formatMs(health.timeoutMs)}) is longer than the interval (${interval})`;
    problems.push(
      warning([...path, "timeout"], message, "a dead endpoint is then checked less often than each interval"),
    );
  }
  if (health.protocol === "tcp") return;
  if (!/^\/[!-~]*$/.test(health.path) || health.path.includes("#")) {
    const message = `expected a path that begins with / and has no spaces, found ${JSON.stringify(health.path)}`;
    problems.push(error([...path, "path"], message, "write other characters as %XX"));
  }
  if (!tokenPattern.test(health.method) || health.method === "CONNECT") {
    problems.push(
      error([...path, "method"], `expected an HTTP method such as GET, found ${JSON.stringify(health.method)}`),
    );
  } else if (health.method !== health.method.toUpperCase()) {
    problems.push(warning([...path, "method"], "methods are case-sensitive", `write ${health.method.toUpperCase()}`));
  }
  if (health.method === "HEAD" && health.expectBody !== null) {
    problems.push(error([...path, "expect", "body"], "an answer to HEAD has no body", "use method: GET"));
  }
  if (health.host !== null && !/^[A-Za-z0-9._~%!$&'()*+,;=:[\]-]+$/.test(health.host)) {
    problems.push(error([...path, "host"], `expected a host name, found ${JSON.stringify(health.host)}`));
  }
  validateHeaders(health.headers, [...path, "headers"], problems);
}

function validateHeaders(headers: Readonly<Record<string, string>>, path: Path, problems: Problem[]): void {
  const seen = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    const twice = seen.get(lower);
    seen.set(lower, name);
    if (!tokenPattern.test(name)) {
      problems.push(errorAtKey([...path, name], `${JSON.stringify(name)} is not the name of a header`));
    } else if (ownHeaders.includes(lower)) {
      const hint = lower === "host" ? "use the host key of the health check" : "";
      problems.push(errorAtKey([...path, name], `the header ${name} cannot be set here`, hint));
    } else if (twice !== undefined) {
      problems.push(errorAtKey([...path, name], `the header ${twice} is given twice`, "names of headers ignore case"));
    }
    if (!/^([!-~]([\t -~]*[!-~])?)?$/.test(value)) {
      const message = "the value of a header is printable ASCII without spaces at its ends";
      problems.push(error([...path, name], message));
    }
  }
}
