// What is asked of a request, in which order, and what a refusal says and leaves behind.

import { expect, test } from "bun:test";
import { latin1Text, Scratch } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import { LimitBook, limitTables, type RouteLimits } from "../limit/limit-book.ts";
import type { Config, RouteConfig } from "../model/config.ts";
import { TableArena } from "../stats/table-arena.ts";
import { compileGuard, type HeldPlaces, type RouteGuard } from "./route-guard.ts";
import { requestHead } from "./test-kit.ts";

const seed = { k0: 1, k1: 2 };
const source = { from: "source", name: "" } as const;
const whole = { from: "route", name: "" } as const;
const byKey = { from: "header", name: "x-key" } as const;

/** The limits of a single route, over memory of their own. */
function limitsOf(route: Partial<RouteConfig>): RouteLimits {
  const full = { name: "0", rateLimits: [], concurrency: [], ...route };
  const config = { listeners: [{ name: "web", limits: { connectionsPerClient: 0 }, routes: [full] }] } as unknown;
  const words = new Int32Array(4_000_000);
  const proposal = new TableArena(words).propose(limitTables(config as Config, 1))!;
  const place = { arena: words, tables: proposal.offsets, workers: 1, worker: 0 };
  const listener = (config as Config).listeners[0]!;
  return new LimitBook(config as Config, place, null).limitsOf(listener, listener.routes[0]!);
}

function guardOf(route: Partial<RouteConfig>): RouteGuard {
  return compileGuard(route.access ?? null, limitsOf(route), seed)!;
}

function rate(over: object): RouteConfig["rateLimits"][number] {
  return { requests: 1, perMs: 60_000, burst: 1, by: source, scope: "exact", keys: 100, status: 429, ...over };
}

interface Asked {
  readonly status: number;
  readonly lines: string;
  readonly held: HeldPlaces;
}

function ask(guard: RouteGuard, address: string, fields = ""): Asked {
  const lines = new Scratch(16);
  const held: HeldPlaces = [];
  const head = requestHead(`GET / HTTP/1.1\nHost: h${fields}`);
  const status = guard.admit(head, parseIp(address), 1000, held, lines);
  return { status, lines: latin1Text(lines.bytes, 0, lines.length), held };
}

const statuses = (guard: RouteGuard, ...addresses: string[]): number[] =>
  addresses.map((address) => ask(guard, address).status);

test("a route without any of it has no guard", () => {
  expect(compileGuard(null, limitsOf({}), seed)).toBeNull();
  expect(compileGuard({ allow: [], deny: [] }, limitsOf({}), seed)).toBeNull();
});

test("the address is needed only where something asks for it", () => {
  expect(guardOf({ access: { allow: [], deny: ["10.0.0.0/8"] } }).needsAddress).toBe(true);
  expect(guardOf({ concurrency: [{ requests: 1, by: source }] }).needsAddress).toBe(true);
  expect(guardOf({ rateLimits: [rate({ by: whole })], concurrency: [{ requests: 1, by: byKey }] }).needsAddress).toBe(
    false,
  );
});

test("who has no access is told 403, and takes nothing of a limit", () => {
  const guard = guardOf({ access: { allow: ["10.0.0.0/8"], deny: [] }, rateLimits: [rate({ by: whole })] });
  expect(statuses(guard, "192.0.2.1", "192.0.2.1", "10.0.0.1", "10.0.0.1")).toEqual([403, 403, 0, 429]);
  expect(ask(guard, "192.0.2.1").lines).toBe("");
});

test("every rate limit is asked, and the one that refuses says so in its own words", () => {
  const guard = guardOf({ rateLimits: [rate({}), rate({ requests: 2, burst: 2, by: whole, status: 503 })] });
  expect(statuses(guard, "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3")).toEqual([0, 429, 0, 503]);
  expect(ask(guard, "10.0.0.1").lines).toStartWith('Retry-After: 60\r\nRateLimit-Policy: "source";q=1;w=60\r\n');
  expect(ask(guard, "10.0.0.4").lines).toStartWith('Retry-After: 30\r\nRateLimit-Policy: "route";q=2;w=60\r\n');
});

test("a limit is not for requests without its key", () => {
  const guard = guardOf({ rateLimits: [rate({ by: byKey })], concurrency: [{ requests: 1, by: byKey }] });
  const asked = [1, 2, 3].map(() => ask(guard, "10.0.0.1"));
  expect(asked.map(({ status }) => status)).toEqual([0, 0, 0]);
  for (const { held } of asked) guard.release(held);
  expect([ask(guard, "", "\nX-Key: a").status, ask(guard, "", "\nX-Key: a").status]).toEqual([0, 429]);
});

test("requests in progress: all bounds are held together or not at all, and given back once", () => {
  const guard = guardOf({
    concurrency: [
      { requests: 2, by: source },
      { requests: 3, by: whole },
    ],
  });
  const first = [ask(guard, "10.0.0.1"), ask(guard, "10.0.0.1"), ask(guard, "10.0.0.2")];
  expect(first.map(({ status }) => status)).toEqual([0, 0, 0]);
  expect(ask(guard, "10.0.0.1").status).toBe(429); // by its own bound
  const refused = ask(guard, "10.0.0.3"); // by the route's
  expect([refused.status, refused.lines, refused.held]).toEqual([429, "Retry-After: 1\r\n", []]);
  guard.release(first[2]!.held);
  guard.release(first[2]!.held);
  expect(statuses(guard, "10.0.0.3", "10.0.0.3")).toEqual([0, 429]); // what it held of its own bound it gave back
});
