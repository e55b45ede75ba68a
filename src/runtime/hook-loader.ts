// Brings the functions of a configuration into a worker: evaluates the module's code, which may take a while and is
// waited for, but not for ever. What is loaded already is not loaded again: a change of endpoints leaves the module's
// own state, caches and connections, alone.

import { hookLoadMs } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import { thrownText } from "../base/reason.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import { type HookFunctions, hookFunctions } from "../config/ts/hooks.ts";
import type { HookModule } from "../model/plan.ts";

/** Evaluates a module's code; its default export. Rejects with what the module throws. */
export type EvaluateModule = (code: string) => Promise<unknown>;

export type LoadedHooks = { readonly functions: readonly HookFunctions[] } | { readonly trouble: string };

const none: readonly HookFunctions[] = [];

interface Known {
  readonly version: string;
  readonly functions: readonly HookFunctions[];
}

export class HookLoader implements TimerOwner {
  private readonly evaluate: EvaluateModule;
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private readonly timer: number;
  /** In force, and loaded last. */
  private inForce: Known | null = null;
  private latest: Known | null = null;
  private waiting: ((loaded: LoadedHooks) => void) | null = null;

  constructor(evaluate: EvaluateModule, clock: Clock, timers: TimerWheel) {
    this.evaluate = evaluate;
    this.clock = clock;
    this.timers = timers;
    this.timer = timers.open(this);
  }

  /** The functions, if they need not be loaded. */
  known(module: HookModule | null): readonly HookFunctions[] | null {
    if (module === null) return none;
    const { version } = module;
    const found = [this.inForce, this.latest].find((each) => each?.version === version);
    return found?.functions ?? null;
  }

  /** done is called once, later, unless another load() or forget() comes before. */
  load(module: HookModule, done: (loaded: LoadedHooks) => void): void {
    this.waiting = done;
    this.timers.set(this.timer, this.clock.nowMs() + hookLoadMs);
    void this.run(module, done);
  }

  private async run({ code, version }: HookModule, done: (loaded: LoadedHooks) => void): Promise<void> {
    let loaded: LoadedHooks;
    try {
      loaded = { functions: hookFunctions(await this.evaluate(code)) };
    } catch (thrown) {
      loaded = { trouble: `the module with the hooks failed: ${thrownText(thrown)}` };
    }
    if (this.waiting !== done) return;
    if ("functions" in loaded) this.latest = { version, functions: loaded.functions };
    this.finish(loaded);
  }

  /** Nobody waits any more. */
  forget(): void {
    this.waiting = null;
    this.timers.clear(this.timer);
  }

  /** A plan with this module is in force: all others are let go. */
  commit(module: HookModule | null): void {
    const found = [this.inForce, this.latest].find((each) => each?.version === module?.version);
    this.inForce = found ?? null;
    this.latest = null;
  }

  onDeadline(): void {
    this.finish({ trouble: `the module with the hooks has not been evaluated after ${hookLoadMs} ms` });
  }

  private finish(loaded: LoadedHooks): void {
    const done = this.waiting;
    this.forget();
    if (done !== null) done(loaded);
  }
}
