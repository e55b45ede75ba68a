// Requests that an origin holds until the test lets them go: for scenarios that look at what is in progress.

import type { Origin } from "./origin.ts";
import type { OriginExchange } from "./origin-behaviours.ts";

/** The requests for /hold that wait at an origin. */
export interface Held {
  readonly count: number;
  /** The most that ever waited at once. */
  readonly most: number;
  /** Answers the one that has waited longest, or all. */
  release(): void;
  releaseAll(): void;
}

/** Makes the origin hold requests for /hold. */
export function hold(origin: Origin): Held {
  const waiting: OriginExchange[] = [];
  let most = 0;
  origin.on("/hold", (exchange) => {
    waiting.push(exchange);
    most = Math.max(most, waiting.length);
  });
  const release = (): void => {
    const exchange = waiting.shift();
    if (exchange === undefined) return;
    exchange.send(`HTTP/1.1 200 OK\r\nX-Origin: ${exchange.name}\r\nContent-Length: 0\r\n\r\n`);
    exchange.done();
  };
  return {
    get count() {
      return waiting.length;
    },
    get most() {
      return most;
    },
    release,
    releaseAll() {
      while (waiting.length > 0) release();
    },
  };
}
