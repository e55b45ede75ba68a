// What supervisor and workers say to each other. Plain data as JSON; descriptors travel beside it, on the channel of
// sys/.

import type { Plan } from "../model/plan.ts";

/** A listening socket the worker gets; its descriptor comes over the channel, in the order of the grants. */
export interface Grant {
  readonly listener: string;
  readonly port: number;
  /** Names the socket when it is to be returned. */
  readonly key: string;
}

/** A socket that a worker no longer accepts on. */
export type Return = Pick<Grant, "listener" | "key">;

export type ToWorker =
  /**
   * Compile this plan, touching nothing live. A descriptor for each grant, and then one for the access log if logFd is
   * true, have been sent before. The answer is "prepared" or "refused".
   */
  | {
      readonly kind: "prepare";
      readonly plan: Plan;
      readonly grants: readonly Grant[];
      /** Listeners of which this worker must stop accepting on the sockets it has, once the plan is in force. */
      readonly releases: readonly string[];
      /** Single sockets that are others' business from then on; connections that came through them stay. */
      readonly returns: readonly Return[];
      readonly logFd: boolean;
    }
  /** Put the prepared plan in force. The answer is "committed". */
  | { readonly kind: "commit"; readonly generation: number }
  /** Forget the prepared plan. */
  | { readonly kind: "discard"; readonly generation: number }
  /** Row -> address of endpoints given by host name, as in Plan.resolved. */
  | { readonly kind: "resolved"; readonly resolved: Readonly<Record<number, string | null>> }
  /** The access log was opened anew; its descriptor has been sent before. */
  | { readonly kind: "reopen" }
  /** Stop accepting, finish what is under way, and exit; at the latest after this many milliseconds. */
  | { readonly kind: "drain"; readonly timeoutMs: number };

export type FromWorker =
  /** Up and listening to messages. */
  | { readonly kind: "hello" }
  | { readonly kind: "prepared"; readonly generation: number }
  | { readonly kind: "refused"; readonly generation: number; readonly reason: string }
  | { readonly kind: "committed"; readonly generation: number }
  /** No request of a generation older than this one is left. */
  | { readonly kind: "retired"; readonly oldestGeneration: number };

/** What a worker needs to know before the first message; it comes in an environment variable. */
export interface WorkerBoot {
  readonly worker: number;
  readonly memoryBytes: number;
  readonly logLevel: number;
}

/** The environment variable with the WorkerBoot as JSON. */
export const BOOT_VARIABLE = "SLUICE_WORKER";
