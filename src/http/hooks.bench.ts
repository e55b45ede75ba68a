// Cost of hooks for the requests of a route that has them. Without them a request pays one comparison.

import { Scratch } from "../base/bytes.ts";
import { headersMax } from "../base/limits.ts";
import { TimerWheel } from "../base/timer-wheel.ts";
import type { RequestHook, ResponseHook } from "../config/ts/hook-types.ts";
import { compilePathRules } from "../route/path.ts";
import { parseRequest, parseResponse } from "../wire/h1/parse.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { Head, Method } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";
import { HookCheck, type HookParts, ResponseHooks, RouteHooks } from "./hooks.ts";

const request = latin1(
  "GET /api/users/42?page=2 HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n" +
    "Cookie: sid=0123456789; uid=42\r\nAccept-Language: de\r\nX-Api-Key: k-0123456789\r\n\r\n",
);
const response = latin1(
  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" +
    "Content-Length: 0\r\n\r\n",
);

const clock = { nowMs: () => 1000, cachedMs: 1000, wallMs: () => 0 };
const timers = new TimerWheel(1000);

/** An exchange as far as hooks look at one. */
function sampleExchange(): Exchange {
  return {
    hooked: null,
    extras: [],
    attempts: { pool: null, endpointId: "" },
    listener: { name: "web", clock },
    pathRules: compilePathRules({ mode: "normalize", slashes: "merge", encodedSlashes: "refuse" }),
    headInto: (into: Head) => void parseRequest(request, 0, request.length, into, request.length, headersMax),
    sleep: () => 0,
    wake: () => {},
    isOwnAnswer: false,
    method: Method.Get,
    startMs: 0,
  } as unknown as Exchange;
}

function routeHooks(): RouteHooks {
  const config = { slot: 0, request: true, response: true, timeoutMs: 1000, onError: "fail" } as const;
  const place = { listener: "web", route: "0", request: null, response: null };
  return new RouteHooks(config, place, { pools: new Map(), clock, timers } as unknown as HookParts);
}

async function nanoseconds(iterations: number, work: () => unknown): Promise<number> {
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) await work();
  return (Bun.nanoseconds() - started) / iterations;
}

/** Nanoseconds per request of each; the first is what waiting for nothing costs, and is in all of them. */
export async function bench(iterations: number): Promise<Readonly<Record<string, number>>> {
  const hooks = routeHooks();
  const x = sampleExchange();
  const head = new Head(100);
  const added = new Scratch(1024);
  const checking = (hook: RequestHook): (() => void) => {
    const check = new HookCheck(hooks, hook);
    return () => {
      x.extras.length = 0;
      check.check(x);
      for (const extra of x.extras) {
        added.length = 0;
        extra.apply(head, added);
      }
    };
  };
  const showing = (hook: ResponseHook): (() => void) => {
    const shown = new ResponseHooks(hooks, hook);
    return () => {
      x.hooked = null;
      parseResponse(response, 0, response.length, head, Method.Get, response.length, 100);
      shown.show(x, head);
      added.length = 0;
      x.hooked!.view!.apply(head, added);
    };
  };
  const idle = (): void => {};
  return {
    nothing: await nanoseconds(iterations, idle),
    "request hook that does nothing": await nanoseconds(iterations, checking(idle)),
    "request hook that reads a field": await nanoseconds(
      iterations,
      checking((r) => void r.header("x-api-key")),
    ),
    "request hook that reads path and cookie and sets a field": await nanoseconds(
      iterations,
      checking((r) => r.setHeader("x-user", `${r.cookie("uid")} ${r.path}`)),
    ),
    "request hook that is async and waits for nothing": await nanoseconds(
      iterations,
      checking(async () => {}),
    ),
    "response hook that does nothing": await nanoseconds(iterations, showing(idle)),
    "response hook that reads a field and sets one": await nanoseconds(
      iterations,
      showing((r) => r.setHeader("x-type", r.header("content-type") ?? "")),
    ),
  };
}

if (import.meta.main) {
  await bench(20_000);
  for (const [name, ns] of Object.entries(await bench(200_000))) console.log(`${name.padEnd(60)} ${ns.toFixed(0)} ns`);
}
