// Cost of one acquire and release, counting and averaging included.

import { newPickState } from "../balance/pick-state.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { Pool } from "./pool.ts";
import { sampleColumns, sampleMembers, samplePoolConfig, SetClock } from "./sample-pool.ts";

/** Nanoseconds per acquire and release, smooth weighted round robin over three endpoints. */
export function bench(iterations: number): number {
  const columns = sampleColumns();
  const members = sampleMembers(columns, [{ weight: 3 }, { weight: 2 }, { weight: 1, maxConnections: 100 }]);
  const clock = new SetClock();
  const passive = { maxFails: 3, failTimeoutMs: 10_000 };
  const pool = new Pool(samplePoolConfig({ passive }), members, columns, 0, seededRng(1), clock);
  const state = newPickState(members.length);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    state.nowMs = clock.cachedMs = 1000 + k / 64;
    pool.release(pool.acquire(state), 0, 100 + (k & 1023));
  }
  return (Bun.nanoseconds() - started) / iterations;
}
