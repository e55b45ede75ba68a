// What both networks share: their options, TCP keepalive, and what an error number means to the layers above.

import { Cause } from "../base/ports.ts";
import { setIntOption } from "./libc.ts";
import { errorName, platform } from "./platform.ts";

export interface NetOptions {
  /** Called for every exception thrown by a connection's events or by accept; the connection is aborted. */
  readonly onError: (error: unknown) => void;
  /** TCP keepalive: idle time before the first probe in ms; 0 = off. */
  readonly keepAliveMs: number;
}

const IPPROTO_TCP = 6;
const keepAliveIntervalSeconds = 10;
const keepAliveProbes = 6;

/** Turns keepalive on. Connections accepted from a listening descriptor inherit it. */
export function keepAlive(fd: number, idleMs: number): void {
  setIntOption(fd, platform.solSocket, platform.soKeepAlive, 1);
  setIntOption(fd, IPPROTO_TCP, platform.tcpKeepIdle, Math.max(1, Math.round(idleMs / 1000)));
  setIntOption(fd, IPPROTO_TCP, platform.tcpKeepInterval, keepAliveIntervalSeconds);
  setIntOption(fd, IPPROTO_TCP, platform.tcpKeepCount, keepAliveProbes);
}

const causes: Readonly<Record<string, Cause>> = {
  ECONNREFUSED: Cause.Refused,
  ECONNRESET: Cause.Reset,
  EPIPE: Cause.Reset,
  ECONNABORTED: Cause.Reset,
  ETIMEDOUT: Cause.TimedOut,
  ETIME: Cause.TimedOut,
  EHOSTUNREACH: Cause.Unreachable,
  ENETUNREACH: Cause.Unreachable,
  EHOSTDOWN: Cause.Unreachable,
  ENETDOWN: Cause.Unreachable,
  EAFNOSUPPORT: Cause.Unreachable,
  EACCES: Cause.Unreachable,
  EPERM: Cause.Unreachable,
  EMFILE: Cause.NoResources,
  ENFILE: Cause.NoResources,
  ENOBUFS: Cause.NoResources,
  ENOMEM: Cause.NoResources,
  EADDRNOTAVAIL: Cause.NoResources,
  EAGAIN: Cause.NoResources,
  ENOENT: Cause.NotFound,
  ENOTFOUND: Cause.NotFound,
};

/** The cause of an error by its symbolic name. */
export function causeOfCode(code: string): Cause {
  return causes[code] ?? Cause.Other;
}

const breaks: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "ECONNABORTED",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
]);

/** Does this error of a call say that the connection is broken, and not that the call is of no use now or here? */
export function isBreak(errno: number): boolean {
  return errno !== 0 && breaks.has(errorName(errno));
}
