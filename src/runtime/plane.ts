// The data plane as the worker's shell sees it: something that takes compiled generations and listening sockets.
// Generic in the generation, so that the shell can be tested without HTTP.

import type { HookFunctions } from "../config/ts/hooks.ts";
import type { WorkerContext } from "../http/data-plane.ts";
import type { Plan } from "../model/plan.ts";

export interface Plane<G> {
  /** The switch. Older generations retire by themselves as their last requests end. */
  apply(generation: G): void;
  /** Starts accepting on a listening socket, which it then owns. The listener is in the generation in force. */
  adopt(listener: string, fd: number, port: number, key?: string): void;
  /** Stops accepting on one socket, by the key it was adopted with; its connections stay. */
  giveBack(listener: string, key: string): void;
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
  /**
   * Compiles a plan, touching nothing live. hooks: of the plan's module. Throws an Error for the operator when it is
   * not possible.
   */
  compile(plan: Plan, previous: G | null, context: WorkerContext, hooks: readonly HookFunctions[]): G;
  create(context: WorkerContext): Plane<G>;
}
