// The real clock. Monotonic readings share one origin (CLOCK_MONOTONIC) across all processes of the machine, so that
// times in shared memory mean the same to everybody: the offset against the process's own performance.now() is taken
// once, at start.

import type { Clock } from "../base/ports.ts";
import { libc } from "./libc.ts";
import { platform } from "./platform.ts";

/** CLOCK_MONOTONIC minus performance.now(), in ms. Without libc the wall clock at start takes its place. */
function monotonicOffsetMs(): number {
  const time = new BigInt64Array(2);
  let offset = performance.timeOrigin;
  if (libc === null) return offset;
  let narrowest = Infinity;
  // The reading with the least time around it is the most exact one.
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    if (libc.clock_gettime(platform.clockMonotonic, time) !== 0) return offset;
    const after = performance.now();
    if (after - before >= narrowest) continue;
    narrowest = after - before;
    offset = Number(time[0]!) * 1000 + Number(time[1]!) / 1e6 - (before + after) / 2;
  }
  return offset;
}

class SystemClock implements Clock {
  cachedMs: number;
  private readonly offsetMs: number;

  constructor(offsetMs: number) {
    this.offsetMs = offsetMs;
    this.cachedMs = performance.now() + offsetMs;
  }

  nowMs(): number {
    return (this.cachedMs = performance.now() + this.offsetMs);
  }

  wallMs(): number {
    return Date.now();
  }
}

/** The process's clock; one is enough, its cache is shared. */
export function createClock(): Clock {
  return new SystemClock(monotonicOffsetMs());
}
