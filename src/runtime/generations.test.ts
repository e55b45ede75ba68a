// What a worker's data plane makes of endpoints that come and go: who may still be chosen under which generation.

import { expect, test } from "bun:test";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import { compile } from "../compile/compile.ts";
import { loadText } from "../config/load.ts";
import { DataPlane, type WorkerContext } from "../http/data-plane.ts";
import type { Generation } from "../http/generation.ts";
import type { Plan } from "../model/plan.ts";
import { bumpEpoch, columnsBytes, openColumns } from "../stats/columns.ts";
import { FakeWorld } from "./fakes.ts";

const size = { workers: 1, listeners: 4, endpoints: 16 };
const columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
columns.weight.fill(1);
const passwords = { seeds: [] };
const context = { env: new FakeWorld().env, columns, worker: 0, accessLog: null, connectionsMax: 0, passwords };
const rowOf: Readonly<Record<string, number>> = { a: 0, b: 1, c: 2, d: 3 };

/** route: more keys of the route. */
function plan(generation: number, ids: string, route = ""): Plan {
  const endpoints = ids.split("").map((id) => `{ id: ${id}, address: "10.0.0.${rowOf[id]! + 1}:80" }`);
  const { config } = loadText(
    `listeners: { web: { bind: 127.0.0.1:80, routes: [{ forward: app${route} }] } }
pools: { app: { endpoints: [${endpoints}] } }`,
    "t",
  );
  return {
    generation,
    config: config!,
    workers: 1,
    listenerRows: { web: 0 },
    endpointRows: { app: Object.fromEntries(ids.split("").map((id) => [id, rowOf[id]!])) },
    poolRows: { app: 0 },
    tables: {},
    cookieKeys: [],
    hooks: null,
    resolved: {},
  };
}

test("who has been let in is remembered for as long as the settings are the same", () => {
  void new DataPlane(context as unknown as WorkerContext);
  const hash = `$2y$04$${"a".repeat(53)}`;
  const route = (users: string, path: string): string =>
    `, basicAuth: { users: { ${users}: "${hash}" } }, forwardAuth: { pool: app, path: ${path}, cache: 1m }`;
  let generation: Generation | null = null;
  const changed: boolean[][] = [];
  for (const [ids, text] of [
    ["a", route("ann", "/")],
    ["ab", route("ann", "/")],
    ["ab", route("bob", "/")],
    ["ab", route("bob", "/x")],
    ["ab", ""],
  ] as const) {
    const next: Generation = compile(plan(9, ids, text), generation, context as unknown as WorkerContext);
    const [logins, answers] = [next.learned.logins, next.learned.answers].map((map) => [...map.values()]);
    const known = generation?.learned;
    const isKnown = [
      logins![0] === known?.logins.values().next().value,
      answers![0] === known?.answers.values().next().value,
    ];
    changed.push([...isKnown, logins!.length + answers!.length === 2]);
    generation = next;
  }
  expect(changed).toEqual([
    [false, false, true],
    [true, true, true],
    [false, true, true],
    [true, false, true],
    [false, false, false],
  ]);
});

/** Ids that a generation's pool gives out, sorted. */
function given(generation: Generation): string {
  const { pool } = generation.pools.get("app")!;
  const ids = new Set<string>();
  const state = newPickState(pool.members.length);
  for (let i = 0; i < 40; i++) {
    resetPickState(state, pool.members.length, i);
    const index = pool.acquire(state);
    if (index < 0) return "";
    ids.add(pool.members[index]!.config.id);
    pool.release(index, 0, 0);
  }
  return [...ids].toSorted().join("");
}

test("an endpoint that has left its pool gets nothing new under older generations either", () => {
  bumpEpoch(columns);
  const plane = new DataPlane(context as unknown as WorkerContext);
  const generations: Generation[] = [];
  for (const [i, ids] of ["abc", "ab", "bd", "d"].entries()) {
    const next = compile(plan(i + 1, ids), generations.at(-1) ?? null, context as unknown as WorkerContext);
    next.exchanges++; // a request that does not end
    plane.apply(next);
    generations.push(next);
    const expected = [["abc"], ["ab", "ab"], ["b", "b", "bd"], ["", "", "d", "d"]][i]!;
    expect(generations.map(given)).toEqual(expected);
  }
  expect(plane.oldestGeneration).toBe(1);
  // A request that is under way there ends as it would have.
  const { pool } = generations[3]!.pools.get("app")!;
  const state = newPickState(1);
  const index = pool.acquire(state);
  plane.apply(compile(plan(5, "a"), generations[3]!, context as unknown as WorkerContext));
  expect(columns.active[rowOf["d"]!]).toBe(1);
  pool.release(index, 0, 100);
  expect(columns.active[rowOf["d"]!]).toBe(0);
});
