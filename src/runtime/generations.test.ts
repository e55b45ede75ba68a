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
const context = { env: new FakeWorld().env, columns, worker: 0, accessLog: null, connectionsMax: 0 };
const rowOf: Readonly<Record<string, number>> = { a: 0, b: 1, c: 2, d: 3 };

function plan(generation: number, ids: string): Plan {
  const endpoints = ids.split("").map((id) => `{ id: ${id}, address: "10.0.0.${rowOf[id]! + 1}:80" }`);
  const { config } = loadText(
    `listeners: { web: { bind: 127.0.0.1:80, forward: app } }\npools: { app: { endpoints: [${endpoints}] } }`,
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
