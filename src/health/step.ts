// The state machine of active checks: from one health and one result to the next health. Pure; the monitor owns
// everything else.
//
// The first verdict: one success takes an unknown endpoint up at once (there is nothing to be cautious about: it has
// never failed), while unknown goes down only after unhealthyThreshold failures in a row, as an endpoint that is up
// does. So a start against slow starters does not flap, and a healthy pool is complete after one round of checks.

import { Health } from "../stats/columns.ts";

export interface HealthState {
  readonly health: Health;
  /** Results in a row that speak against health; 0 to the threshold minus one. */
  readonly streak: number;
}

export interface Thresholds {
  /** Successes in a row that take an endpoint from down to up; at least 1. */
  readonly healthyThreshold: number;
  /** Failures in a row that take an endpoint down; at least 1. */
  readonly unhealthyThreshold: number;
}

/** Where every endpoint begins. */
export const unknownState: HealthState = { health: Health.Unknown, streak: 0 };

/** The state after one more check result. */
export function step(state: HealthState, ok: boolean, thresholds: Thresholds): HealthState {
  if (ok) {
    if (state.health === Health.Up) return state.streak === 0 ? state : { health: Health.Up, streak: 0 };
    const streak = state.streak + 1;
    if (state.health === Health.Unknown || streak >= thresholds.healthyThreshold) {
      return { health: Health.Up, streak: 0 };
    }
    return { health: Health.Down, streak };
  }
  if (state.health === Health.Down) return state.streak === 0 ? state : { health: Health.Down, streak: 0 };
  const streak = state.streak + 1;
  if (streak >= thresholds.unhealthyThreshold) return { health: Health.Down, streak: 0 };
  return { health: state.health, streak };
}
