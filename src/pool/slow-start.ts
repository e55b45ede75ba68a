// How an endpoint that comes back is given its load step by step: caches are cold, connections unopened, code not
// compiled yet. Only after down -> up or the end of a passive hold, never at process start (upSinceMs is 0 then): a
// fleet that starts together has nobody to spare it.

import { WEIGHT_SCALE } from "../balance/balancer.ts";

/** The least share, so that there is traffic to warm up on: a tenth, as Envoy's min_weight_percent. */
const RAMP_MIN = Math.ceil(WEIGHT_SCALE / 10);

/**
 * The share of its weight, in 1/WEIGHT_SCALE, that an endpoint up since sinceMs takes at nowMs: it grows linearly with
 * time (HAProxy, nginx, Envoy with aggression 1) from a tenth to the whole. sinceMs may lie in the future; 0 = no slow
 * start.
 */
export function rampAt(sinceMs: number, nowMs: number, slowStartMs: number): number {
  if (sinceMs === 0 || slowStartMs === 0 || nowMs >= sinceMs + slowStartMs) return WEIGHT_SCALE;
  return Math.max(RAMP_MIN, Math.floor((WEIGHT_SCALE * (nowMs - sinceMs)) / slowStartMs));
}

/** How often to look again while somebody is in slow start: twenty steps, at most one a second to compute. */
export function rampStepMs(slowStartMs: number): number {
  return Math.min(1000, Math.max(50, slowStartMs / 20));
}
