// Making and resetting a PickState. The caller keeps one per exchange and reuses it: nothing is allocated unless a pool
// has more endpoints than any it was used for before.

import type { PickState } from "./balancer.ts";

/** A fresh state for tables of up to count endpoints. */
export function newPickState(count: number): PickState {
  return { hash: 0, preferred: -1, tried: new Uint32Array(words(count)), attempt: 0, nowMs: 0 };
}

/** Makes a used state ready for a new request to a table of count endpoints; widens `tried` when it is too short. */
export function resetPickState(state: PickState, count: number, nowMs: number): void {
  state.hash = 0;
  state.preferred = -1;
  if (state.tried.length * 32 < count) state.tried = new Uint32Array(words(count));
  else if (state.attempt !== 0) state.tried.fill(0);
  state.attempt = 0;
  state.nowMs = nowMs;
}

function words(count: number): number {
  return Math.max(1, Math.ceil(count / 32));
}
