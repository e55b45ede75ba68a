// For the tests of hooks: a listener whose one route has them, and a log that is kept. Not part of the program.

import type { LogLevel } from "../base/ports.ts";
import type { HookRequest, HookResponseView, RequestHook, ResponseHook } from "../config/ts/hook-types.ts";
import type { HooksConfig } from "../model/route-config.ts";
import type { FakeConnection } from "../codec/test-kit.ts";
import { compilePathRules } from "../route/path.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { Guard } from "./guard.ts";
import { HookCheck, type HookParts, ResponseHooks, RouteHooks } from "./hooks.ts";
import { ListenerRig, type RigOptions } from "./listener-rig.ts";

export interface HookOptions extends RigOptions {
  readonly request?: RequestHook;
  readonly response?: ResponseHook;
  readonly onError?: HooksConfig["onError"];
  /** Checks that come before the hook. */
  readonly checks?: ConstructorParameters<typeof Guard>[0];
}

export const timeoutMs = 1000;

/** Filled in once the listener is there. */
type LateParts = { -readonly [K in keyof HookParts]?: HookParts[K] };

export class HookRig extends ListenerRig {
  /** Reports of hooks that failed, fields as JSON. */
  readonly reports: string[];

  constructor(options: HookOptions) {
    const { request = null, response = null, onError = "fail" } = options;
    const parts: LateParts = {};
    const config = { slot: 0, request: request !== null, response: response !== null, timeoutMs, onError };
    const hooks = new RouteHooks(config, { listener: "web", route: "shop", request, response }, parts as HookParts);
    const checks = [...(options.checks ?? []), ...(request === null ? [] : [new HookCheck(hooks, request)])];
    super({
      log: "{status} {cause}",
      ...options,
      route: {
        name: "shop",
        guard: checks.length === 0 ? null : new Guard(checks),
        responseHooks: response === null ? null : new ResponseHooks(hooks, response),
        decorates: response !== null,
        ...options.route,
      },
    });
    const reports: string[] = [];
    const { time, runtime } = this.pool;
    parts.pools = new Map<string, PoolRuntime>([["app", runtime]]);
    parts.clock = time;
    parts.timers = time.timers;
    parts.log = {
      write: (_level: LogLevel, event: string, fields = {}) => void reports.push(`${event} ${JSON.stringify(fields)}`),
    };
    this.reports = reports;
    const pathRules = compilePathRules({ mode: "normalize", slashes: "merge", encodedSlashes: "refuse" });
    Object.assign(this.listener.plan, { pathRules });
  }

  /** What was thrown, of each report. */
  get errors(): string[] {
    return this.reports.map((report) => (JSON.parse(report.slice(report.indexOf("{"))) as { error: string }).error);
  }

  /** What an endpoint gets for a request; it answers 200. */
  forwarded(text: string = get): string {
    const client = this.ask(text);
    const sent = this.answer();
    if (!client.sent().startsWith("HTTP/1.1 200")) throw new Error("not answered");
    return sent;
  }

  /** The endpoint that was asked last answers; what it was asked. */
  answer(text: string = ok): string {
    const { latest } = this.pool;
    if (!latest.opened) latest.open();
    const sent = latest.sent();
    latest.receive(text);
    return sent;
  }

  /** Errors and timeouts counted. */
  get counted(): [errors: number, timeouts: number] {
    return [this.count("hookErrors"), this.count("hookTimeouts")];
  }

  /** Nothing is left of any request, timers included, once connections are closed. */
  end(): number[] {
    const left = this.pool.end();
    return [...this.underWay, ...left];
  }
}

export const get = "GET /a?b=1 HTTP/1.1\r\nHost: h\r\n\r\n";
export const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Lets promises that are settled have their say. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/** A promise that the test settles. */
export function later<T = void>(): PromiseWithResolvers<T> {
  return Promise.withResolvers<T>();
}

/** What a client was sent, as status line and fields, without the body. */
export function headOf(client: FakeConnection): string {
  return client.sent().split("\r\n\r\n", 1)[0]!;
}

export type { HookRequest, HookResponseView };
