// What an endpoint's codec works with before it has a connection, and when it never gets one.

import { FailureCause } from "../base/failure.ts";
import { Cause, type Connection, type ConnectionEvents, NOTHING_MOVED, RECEIVE_MAX } from "../base/ports.ts";

/** Stands for the connection until there is one. */
export const unconnected: Connection = {
  events: {} as ConnectionEvents,
  remoteAddress: "",
  remotePort: 0,
  isOpen: false,
  receiveMax: RECEIVE_MAX,
  write: () => -1,
  read: () => 0,
  moveTo: () => NOTHING_MOVED,
  unsent: () => -1,
  pause() {},
  resume() {},
  finish() {},
  close() {},
  abort() {},
};

/** The cause of a connect that failed, as one of a failure. */
export function connectCause(cause: Cause): FailureCause {
  if (cause === Cause.TimedOut) return FailureCause.Timeout;
  if (cause === Cause.NoResources) return FailureCause.Resources;
  return FailureCause.Refused;
}
