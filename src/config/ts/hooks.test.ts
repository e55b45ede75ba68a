// Hooks of TypeScript configurations: allowed in their places only, numbered in order, never in text.

import { expect, test } from "bun:test";
import { FUNCTION_MARK } from "../fields-route.ts";
import { loadText, loadValue } from "../load.ts";
import { hookFunctions } from "./hooks.ts";

const pools = { app: { endpoints: ["a:1"] } };
const request = (): void => {};
const response = (): void => {};
const other = async (): Promise<void> => {};

function withHooks(hooks: unknown, more: unknown = other): unknown {
  return {
    listeners: {
      web: {
        bind: "127.0.0.1:80",
        routes: [
          { match: { path: "/a" }, forward: "app" },
          { forward: "app", hooks },
        ],
      },
      none: { bind: "127.0.0.1:81", forward: "app" },
      more: {
        bind: "127.0.0.1:82",
        routes: [{ forward: "app", hooks: { response: more, timeout: "1s", onError: "bypass" } }],
      },
    },
    pools,
  };
}

test("functions are found by the numbers that the config has", () => {
  const value = withHooks({ request, response });
  const { config, diagnostics } = loadValue(value, "x");
  expect(diagnostics).toEqual([]);
  const hooks = config?.listeners.flatMap((l) => l.routes.map((r) => r.hooks));
  expect(hooks).toEqual([
    null,
    { slot: 0, request: true, response: true, timeoutMs: 5000, onError: "fail" },
    null,
    { slot: 1, request: false, response: true, timeoutMs: 1000, onError: "bypass" },
  ]);
  expect(hookFunctions(value)).toEqual([
    { listener: "web", route: 1, request, response },
    { listener: "more", route: 0, request: null, response: other },
  ]);
  // What has left the module's thread comes to the same.
  expect(loadValue(withHooks({ request: FUNCTION_MARK, response: FUNCTION_MARK }, FUNCTION_MARK), "x").config).toEqual(
    config,
  );
});

test("a pool that no route forwards to may be a request hook's choice", () => {
  const value = (hooks: object): unknown => ({
    listeners: { web: { bind: "127.0.0.1:80", routes: [{ forward: "app", hooks }] } },
    pools: { ...pools, other: { endpoints: ["b:1"] } },
  });
  expect(loadValue(value({ request }), "x").diagnostics).toEqual([]);
  expect(loadValue(value({ response }), "x").diagnostics.map(({ path }) => path)).toEqual(["pools.other"]);
});

test("mistakes", () => {
  const said = (hooks: unknown): readonly string[] =>
    loadValue(withHooks(hooks), "x").diagnostics.map((d) => `${d.path}: ${d.message}`);
  const at = "listeners.web.routes[1].hooks";
  expect(said({})).toEqual([`${at}: hooks need request or response`]);
  expect(said({ request: "log" })).toEqual([`${at}.request: expected a function, found "log"`]);
  expect(said({ request, timeout: other })).toEqual([`${at}.timeout: expected plain data, found a function`]);
  expect(said({ reqest: 1, request })).toEqual([`${at}.reqest: unknown key "reqest"`]);
});

test("text has no hooks, whatever it says", () => {
  for (const hooks of [`{ request: "${FUNCTION_MARK}" }`, "{}", "off"]) {
    const listeners = `listeners: { web: { bind: "127.0.0.1:80", routes: [{ forward: app, hooks: ${hooks} }] } }`;
    const { config, diagnostics } = loadText(`${listeners}\npools: { app: { endpoints: ["a:1"] } }`, "x.yaml");
    expect(config).toBeNull();
    expect(diagnostics.map((d) => d.message)).toEqual(["hooks are functions, and this file has none"]);
    expect(diagnostics[0]?.at).toMatchObject({ line: 1, column: listeners.indexOf("hooks") + 1 });
  }
});
