// What stands behind client connections, as their codec sees it: limits, deadlines, and somebody who answers requests.

import type { Failure } from "../base/failure.ts";
import type { Clock } from "../base/ports.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { Head } from "../wire/head.ts";
import type { H1Server } from "./h1-server.ts";

/**
 * What a client connection needs to know and whom it tells; one per listener and worker, alive as long as the listener.
 */
export interface ServerHost {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly headBytesMax: number;
  readonly headersMax: number;
  /** Requests on one connection; 0 = unlimited. */
  readonly requestsMax: number;
  readonly requestHeadMs: number;
  readonly idleMs: number;
  readonly bodyMs: number;
  readonly writeMs: number;
  /** Connections close after the response under way. */
  readonly draining: boolean;
  /** A request head has come: the host sets stream.sink, or answers at once. Must end in stream.done() some time. */
  onRequest(stream: H1Server, head: Head, last: boolean, more: boolean): void;
  /** The bytes are no acceptable request: the host answers with the failure's status; the connection will close. */
  onRefused(stream: H1Server, f: Failure): void;
  onClosed(stream: H1Server): void;
}
