// The data plane as the worker's shell sees it: something that takes compiled generations and listening sockets. Generic in the
// generation, so that the shell can be tested without HTTP.

import type { Env, LineSink } from "../base/ports.ts";
import type { Plan } from "../model/plan.ts";
import type { Columns } from "../stats/columns.ts";

/** What one worker's data plane lives in. */
export interface PlaneContext {
  readonly env: Env;
  readonly columns: Columns;
  readonly worker: number;
  readonly accessLog: LineSink | null;
}

export interface Plane<G> {
  /** The switch. Older generations retire by themselves as their last requests end. */
  apply(generation: G): void;
  /** Starts accepting on a listening socket, which it then owns. The listener is in the generation in force. */
  adopt(listener: string, fd: number, port: number): void;
  /** Stops accepting on all sockets of the listener and closes its idle connections gracefully. */
  release(listener: string): void;
  setResolved(resolved: Plan["resolved"]): void;
  /** Stops accepting everywhere, closes idle connections, and all others after their present request. */
  drain(): void;
  readonly openConnections: number;
  /** The oldest generation that still has requests under way; the one in force when there is none. */
  readonly oldestGeneration: number;
  /** Closes every connection at once. */
  abortAll(): void;
}

export interface PlaneMaker<G> {
  /** Compiles a plan, touching nothing live. Throws an Error for the operator when it is not possible. */
  compile(plan: Plan, previous: G | null, context: PlaneContext): G;
  create(context: PlaneContext): Plane<G>;
}
