// The rules of validate.ts that concern one pool: its endpoints, health checks and timers.

import type { EndpointConfig, HealthConfig, PoolConfig } from "../model/config.ts";
import { formatMs } from "../base/duration.ts";
import { formatAddress } from "./address.ts";
import { tokenPattern } from "./fields.ts";
import { error, errorAtKey, warning, type Path, type Problem } from "./problem.ts";

export function validatePool(pool: PoolConfig, problems: Problem[]): void {
  const path: Path = ["pools", pool.name];
  validateEndpoints(pool, [...path, "endpoints"], problems);
  if (pool.health !== null) validateHealth(pool.health, [...path, "health"], problems);
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
  if (endpoints.length === 0) {
    problems.push(warning(path, "there are no endpoints: every request is answered 503"));
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
