// Builds the real Env: the one place where the ports of base/ports.ts meet their implementations.

import type { Env, Log } from "../base/ports.ts";
import { LogLevel } from "../base/ports.ts";
import { createClock } from "./clock.ts";
import { createRng } from "./rng.ts";
import { createNet } from "./net.ts";
import { startTicker } from "./timers.ts";
import type { Ticker } from "./timers.ts";

export interface EnvOptions {
  readonly log: Log;
  /** TCP keepalive: idle time before the first probe in ms; 0 = off. */
  readonly keepAliveMs: number;
  /** Called after each tick of the wheel; for gauges. */
  readonly onTick?: (nowMs: number, lagMs: number) => void;
  /** Called, after logging, for every exception that reached the edge of the program; for the counter. */
  readonly onException?: (error: unknown) => void;
}

export interface SystemEnv extends Env {
  readonly ticker: Ticker;
  /** Logs and counts an exception that reached the edge of the program. */
  readonly failed: (error: unknown) => void;
}

/** The real clock, randomness, network and timers. Its ticker keeps the process alive until stopped. */
export function createEnv(options: EnvOptions): SystemEnv {
  const failed = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    options.log.write(LogLevel.Error, "exception", { error: text });
    options.onException?.(error);
  };
  const clock = createClock();
  const tick = options.onTick === undefined ? {} : { onTick: options.onTick };
  const ticker = startTicker({ clock, onError: failed, ...tick });
  return {
    clock,
    rng: createRng(),
    timers: ticker.wheel,
    net: createNet({ onError: failed, keepAliveMs: options.keepAliveMs }),
    log: options.log,
    ticker,
    failed,
  };
}
