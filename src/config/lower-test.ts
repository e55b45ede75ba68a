// Route tests as typed, resolved.

import { defaultTestMethod, defaultTestSource, defaultTestTolerance } from "../model/policy-defaults.ts";
import type { RouteTestConfig } from "../model/route-config.ts";
import { error, type Path, type Problem } from "./problem.ts";
import type { ConfigTyped } from "./schema.ts";

type TestTyped = NonNullable<ConfigTyped["tests"]>[number];

/** "GET http://host/" in its two words; a URL alone is a GET. */
function splitRequest(text: string): { readonly method: string; readonly url: string } {
  const match = /^(\S+) +(\S.*)$/.exec(text);
  return match === null ? { method: defaultTestMethod, url: text } : { method: match[1]!, url: match[2]! };
}

export function lowerTest(typed: TestTyped, path: Path, problems: Problem[]): RouteTestConfig {
  const given = typeof typed.request === "string" ? splitRequest(typed.request) : typed.request;
  const method = given.method ?? defaultTestMethod;
  const options = typeof typed.request === "string" ? null : typed.request;
  const { expect } = typed;
  if (Object.values(expect).every((value) => value === undefined)) {
    problems.push(error([...path, "expect"], "this test expects nothing", "write a pool, a route or a status"));
  }
  if (expect.share !== undefined && expect.pool === undefined) {
    problems.push(error([...path, "expect"], "share needs a pool", "write pool: and its name"));
  } else if (expect.tolerance !== undefined && expect.share === undefined) {
    problems.push(error([...path, "expect"], "tolerance needs share", "write share: such as 10%"));
  }
  return {
    name: typed.name ?? `${method} ${given.url}`,
    listener: typed.listener ?? null,
    request: {
      method,
      url: given.url,
      headers: Object.entries(options?.headers ?? {}).map(([name, value]) => ({ name, value })),
      source: options?.source ?? defaultTestSource,
    },
    expect: {
      route: expect.route ?? null,
      pool: expect.pool ?? null,
      share:
        expect.share === undefined
          ? null
          : { percent: expect.share, tolerance: expect.tolerance ?? defaultTestTolerance },
      status: expect.status ?? null,
      location: expect.location ?? null,
      path: expect.path ?? null,
      host: expect.host ?? null,
      headers: Object.entries(expect.headers ?? {}).map(([name, value]) => ({
        name,
        value: value === false ? null : value,
      })),
    },
  };
}
