// The functions of a route, called: the request hook as the last check of the guard, the response hook before a head
// goes to the client. Whatever they do, they do it to their own request: one that throws, rejects, returns nonsense or
// is late fails that request with 500, or is passed over where the route says so; it is counted, and reported now and
// then.

import { hookReportMs } from "../base/limits.ts";
import { type Clock, type Log, LogLevel } from "../base/ports.ts";
import { thrownPlace, thrownText } from "../base/reason.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { RequestHook, ResponseHook } from "../config/ts/hook-types.ts";
import type { HooksConfig } from "../model/route-config.ts";
import { LC } from "../stats/columns.ts";
import type { Head } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";
import { type Check, Verdict } from "./guard.ts";
import { assembleHookAnswer } from "./hook-answer.ts";
import { HookRun } from "./hook-request.ts";
import { ResponseView } from "./hook-response.ts";
import { HookWait, type HookWaiter, isPromise } from "./hook-wait.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { requestHookFailed, responseHookFailed } from "./refusals.ts";

/** What hooks are called with. */
export interface HookParts {
  /** Of the generation, by name. */
  readonly pools: ReadonlyMap<string, PoolRuntime>;
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly log: Log;
}

/** The functions of one route, and where it is. */
export interface HookPlace {
  readonly listener: string;
  readonly route: string;
  readonly request: RequestHook | null;
  readonly response: ResponseHook | null;
}

export class RouteHooks {
  readonly place: HookPlace;
  readonly parts: HookParts;
  readonly timeoutMs: number;
  private readonly bypasses: boolean;
  private reportedMs = -Infinity;
  private unreported = 0;

  constructor(config: HooksConfig, place: HookPlace, parts: HookParts) {
    this.place = place;
    this.parts = parts;
    this.timeoutMs = config.timeoutMs;
    this.bypasses = config.onError === "bypass";
  }

  wait(promise: PromiseLike<unknown>, waiter: HookWaiter): HookWait {
    return new HookWait(promise, this.timeoutMs, this.parts.clock, this.parts.timers, waiter);
  }

  /** A hook threw. True = the request goes on as if there were no hook. */
  threw(x: Exchange, hook: "request" | "response", thrown: unknown): boolean {
    x.listener.counters[LC.hookErrors]!++;
    this.report(hook, thrownText(thrown), thrownPlace(thrown));
    return this.bypasses;
  }

  /** A hook's promise was not settled in time. True = as above. */
  wasLate(x: Exchange, hook: "request" | "response"): boolean {
    x.listener.counters[LC.hookTimeouts]!++;
    this.report(hook, `not done after ${this.timeoutMs} ms`, "");
    return this.bypasses;
  }

  private report(hook: string, error: string, at: string): void {
    const { place, parts, bypasses, unreported } = this;
    const nowMs = parts.clock.cachedMs;
    if (nowMs - this.reportedMs < hookReportMs) {
      this.unreported++;
      return;
    }
    this.reportedMs = nowMs;
    this.unreported = 0;
    const { listener, route } = place;
    const fields = {
      listener,
      route,
      hook,
      error,
      ...(at === "" ? {} : { at }),
      ...(unreported > 0 && { unreported }),
    };
    const event = bypasses
      ? "hook failed, the request went on without it"
      : "hook failed, the request was answered 500";
    parts.log.write(bypasses ? LogLevel.Warn : LogLevel.Error, event, fields);
  }
}

/** hooks.request: the last check. */
export class HookCheck implements Check {
  private readonly hooks: RouteHooks;
  private readonly hook: RequestHook;

  constructor(hooks: RouteHooks, hook: RequestHook) {
    this.hooks = hooks;
    this.hook = hook;
  }

  check(x: Exchange): Verdict {
    const { hooks, hook } = this;
    const run = new HookRun(x, hooks.parts.pools);
    x.hooked = run;
    let said: unknown;
    try {
      said = hook(run);
    } catch (thrown) {
      return this.failed(x, hooks.threw(x, "request", thrown));
    }
    return isPromise(said) ? this.wait(x, run, said) : this.settle(x, run, said);
  }

  private wait(x: Exchange, run: HookRun, promise: PromiseLike<unknown>): Verdict {
    const { hooks } = this;
    const goOn = (verdict: Verdict): void => {
      if (verdict === Verdict.Pass) x.wake(ticket);
    };
    run.wait = hooks.wait(promise, {
      onValue: (said) => goOn(this.settle(x, run, said)),
      onThrown: (thrown) => goOn(this.failed(x, hooks.threw(x, "request", thrown))),
      onLate: () => goOn(this.failed(x, hooks.wasLate(x, "request"))),
    });
    const ticket = x.sleep(run.wait);
    return Verdict.Wait;
  }

  /** The hook has come to a good end, if what it said makes sense. */
  private settle(x: Exchange, run: HookRun, said: unknown): Verdict {
    run.close();
    if (said === undefined || said === null) {
      x.extras.push(run);
      return Verdict.Pass;
    }
    let head: Head;
    try {
      head = assembleHookAnswer(said, x.method, x.listener.clock.wallMs());
    } catch (thrown) {
      return this.failed(x, this.hooks.threw(x, "request", thrown));
    }
    return x.answerOwn(head, true);
  }

  private failed(x: Exchange, bypass: boolean): Verdict {
    if (!bypass) return x.deny(500, requestHookFailed, null);
    x.hooked = null; // what it has done so far, and may yet do, is nobody's
    return Verdict.Pass;
  }
}

/** hooks.response. */
export class ResponseHooks {
  private readonly hooks: RouteHooks;
  private readonly hook: ResponseHook;

  constructor(hooks: RouteHooks, hook: ResponseHook) {
    this.hooks = hooks;
    this.hook = hook;
  }

  /**
   * Shows a response to the hook; head is lent for the call. Pass = it goes on; Done = the exchange is over; Wait = it
   * is to be held back until exchange.onResponseHook() is called, and the view has kept the head.
   */
  show(x: Exchange, head: Head): Verdict {
    const { hooks, hook } = this;
    const run = (x.hooked ??= new HookRun(x, hooks.parts.pools));
    run.close();
    const view = new ResponseView(x, head);
    run.view = view;
    let said: unknown;
    try {
      said = hook(view, run);
    } catch (thrown) {
      return this.failed(x, view, hooks.threw(x, "response", thrown));
    }
    if (isPromise(said)) {
      view.keep();
      this.wait(x, run, view, said);
      return Verdict.Wait;
    }
    view.close();
    return Verdict.Pass;
  }

  private wait(x: Exchange, run: HookRun, view: ResponseView, promise: PromiseLike<unknown>): void {
    const { hooks } = this;
    const goOn = (verdict: Verdict): void => {
      if (verdict === Verdict.Pass) x.onResponseHook(view);
    };
    run.wait = hooks.wait(promise, {
      onValue: () => {
        view.close();
        goOn(Verdict.Pass);
      },
      onThrown: (thrown) => goOn(this.failed(x, view, hooks.threw(x, "response", thrown))),
      onLate: () => goOn(this.failed(x, view, hooks.wasLate(x, "response"))),
    });
  }

  private failed(x: Exchange, view: ResponseView, bypass: boolean): Verdict {
    view.discard();
    if (bypass) return Verdict.Pass;
    x.abandon(responseHookFailed);
    return Verdict.Done;
  }
}
