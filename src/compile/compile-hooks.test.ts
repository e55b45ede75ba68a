// Functions find their routes, and a module that is another one in a worker is refused.

import { expect, test } from "bun:test";
import { loadValue } from "../config/load.ts";
import { type HookFunctions, hookFunctions } from "../config/ts/hooks.ts";
import type { HookParts } from "../http/hooks.ts";
import { compileHooks } from "./compile-hooks.ts";

const request = (): void => {};
const response = (): void => {};
const value = {
  listeners: {
    web: {
      bind: "127.0.0.1:80",
      routes: [
        { match: { path: "/a" }, forward: "p" },
        { forward: "p", hooks: { request } },
      ],
    },
    api: { bind: "127.0.0.1:81", routes: [{ name: "all", forward: "p", hooks: { request, response, timeout: "2s" } }] },
  },
  pools: { p: { endpoints: ["127.0.0.1:82"] } },
};
const config = loadValue(value, "t").config!;
const functions = hookFunctions(value);

function compiled(given: readonly HookFunctions[]): unknown[] {
  const supply = { functions: given } as unknown as HookParts & { functions: readonly HookFunctions[] };
  return config.listeners.flatMap((listener) =>
    listener.routes.map((route) => compileHooks(listener, route, supply)?.place ?? null),
  );
}

test("functions come to their routes", () => {
  expect(compiled(functions)).toEqual([
    null,
    { listener: "web", route: "1", request, response: null },
    { listener: "api", route: "all", request, response },
  ]);
});

test("what is not where it was is refused", () => {
  const [web, api] = functions as readonly [HookFunctions, HookFunctions];
  for (const others of [
    [],
    [api, web],
    [web, { ...api, response: null }],
    [{ ...web, response }, api],
    [{ ...web, route: 0 }, api],
    [web, { ...api, listener: "web" }],
  ]) {
    expect(() => compiled(others)).toThrow("hooks are not where they were when the module was checked");
  }
});
