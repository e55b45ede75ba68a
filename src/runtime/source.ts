// What every source of endpoints is to the rest: a list that changes, and an account of how it is doing.

import type { Clock } from "../base/ports.ts";
import type { LogLevel } from "../base/ports.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { EndpointConfig } from "../model/config.ts";
import type { Host } from "./host.ts";
import type { EventFields } from "./journal.ts";

/** How a source is doing, as the admin API shows it. */
export interface SourceReport {
  readonly from: "dns" | "file";
  /** The name or path. */
  readonly name: string;
  /** How many endpoints it has, whether or not the pool uses them all. */
  readonly endpoints: number;
  /** Since the answer or text that these come from was last confirmed; null before the first. */
  readonly ageMs: number | null;
  /** Why there is nothing newer; "" when all is well. */
  readonly trouble: string;
}

/** A list of endpoints that keeps itself up to date until it is closed. */
export interface Source {
  /** The last good list; empty before there is one. */
  readonly endpoints: readonly EndpointConfig[];
  /** The first attempt is over, well or not. */
  readonly answered: boolean;
  report(nowMs: number): SourceReport;
  close(): void;
}

/** What sources live in. */
export interface SourceEnv {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly host: Pick<Host, "ask" | "knownAddresses" | "fileStamp" | "readFile">;
  /** Tells the operator. */
  record(level: LogLevel, event: string, fields: EventFields): void;
  /** Something about a source is different: its endpoints, or that it has answered. */
  onChange(): void;
}

/** The same endpoints in the same order. Both come out of one maker, so equal ones have their keys in one order. */
export function sameEndpoints(a: readonly EndpointConfig[], b: readonly EndpointConfig[]): boolean {
  return a.length === b.length && JSON.stringify(a) === JSON.stringify(b);
}
