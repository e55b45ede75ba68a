// How a worker comes by the functions of its plan: loaded once for each version, waited for but not for ever.

import { beforeEach, expect, test } from "bun:test";
import { hookLoadMs } from "../base/limits.ts";
import { TestTime } from "../codec/test-kit.ts";
import { HookLoader, type LoadedHooks } from "./hook-loader.ts";

const value = (n: number): unknown => ({
  listeners: { web: { routes: [{ hooks: { request: () => ({ status: 200 + n }) } }] } },
});
const moduleOf = (version: string): { code: string; version: string } => ({ code: `code ${version}`, version });

let time: TestTime;
let evaluated: string[];
let pending: PromiseWithResolvers<unknown>[];
let loader: HookLoader;
let told: LoadedHooks[];

beforeEach(() => {
  time = new TestTime();
  evaluated = [];
  pending = [];
  told = [];
  const evaluate = (code: string): Promise<unknown> => {
    evaluated.push(code);
    pending.push(Promise.withResolvers<unknown>());
    return pending.at(-1)!.promise;
  };
  loader = new HookLoader(evaluate, time, time.timers);
});

function load(version: string): void {
  loader.load(moduleOf(version), (loaded) => told.push(loaded));
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

/** Brings a version into force. */
async function use(version: string, n: number): Promise<void> {
  load(version);
  pending.at(-1)!.resolve(value(n));
  await settled();
  loader.commit(moduleOf(version));
}

test("functions are loaded once for each version, and are then known", async () => {
  expect(loader.known(null)).toEqual([]);
  expect(loader.known(moduleOf("a"))).toBeNull();
  load("a");
  expect(loader.known(moduleOf("a"))).toBeNull();
  pending[0]!.resolve(value(1));
  await settled();
  expect(told).toMatchObject([{ functions: [{ listener: "web", route: 0 }] }]);
  expect(loader.known(moduleOf("a"))![0]).toMatchObject({ listener: "web", route: 0, response: null });
  loader.commit(moduleOf("a"));
  expect(loader.known(moduleOf("a"))).not.toBeNull();
  expect(evaluated).toEqual(["code a"]);
});

test("what was in force stays known until another is, also when that one is refused", async () => {
  await use("a", 1);
  load("b");
  pending.at(-1)!.resolve(value(2));
  await settled();
  expect(loader.known(moduleOf("a"))).not.toBeNull();
  expect(loader.known(moduleOf("b"))).not.toBeNull();
  loader.commit(moduleOf("a")); // endpoints have changed
  expect(loader.known(moduleOf("a"))).not.toBeNull();
  expect(loader.known(moduleOf("b"))).toBeNull();
  await use("b", 2);
  expect(loader.known(moduleOf("a"))).toBeNull();
  loader.commit(null);
  expect(loader.known(moduleOf("b"))).toBeNull();
});

test("a module that throws, whatever it throws", async () => {
  for (const [thrown, text] of [
    [new TypeError("no"), "TypeError: no"],
    [undefined, "undefined"],
    [Object.create(null), "something that cannot be shown"],
  ] as const) {
    load("a");
    pending.at(-1)!.reject(thrown);
    await settled();
    expect(told.at(-1)).toEqual({ trouble: `the module with the hooks failed: ${text}` });
  }
  expect(told.length).toBe(3);
});

test("a value that cannot be looked at", async () => {
  load("a");
  const listeners = (): never => {
    throw new Error("even this");
  };
  pending[0]!.resolve(Object.defineProperty({}, "listeners", { get: listeners }));
  await settled();
  expect(told).toEqual([{ trouble: "the module with the hooks failed: Error: even this" }]);
});

test("one that never ends is given up, and has nothing to say afterwards", async () => {
  load("a");
  time.pass(hookLoadMs);
  expect(told).toEqual([{ trouble: "the module with the hooks has not been evaluated after 10000 ms" }]);
  pending[0]!.resolve(value(1));
  await settled();
  expect(told.length).toBe(1);
  expect(loader.known(moduleOf("a"))).toBeNull();
});

test("nobody is told who has been forgotten, or overtaken", async () => {
  load("a");
  loader.forget();
  load("b");
  load("c");
  for (const each of pending) each.resolve(value(1));
  await settled();
  expect(told.length).toBe(1);
  expect(loader.known(moduleOf("c"))).not.toBeNull();
  expect(loader.known(moduleOf("b"))).toBeNull();
  time.pass(hookLoadMs);
  expect(told.length).toBe(1);
});
