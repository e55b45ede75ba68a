// The limits of a generation: which tables they need, and what the next generation takes over.

import { expect, test } from "bun:test";
import { latin1Text, Scratch } from "../base/bytes.ts";
import type { Config, ListenerConfig, RouteConfig } from "../model/config.ts";
import type { RateLimitConfig } from "../model/route-config.ts";
import { TableArena } from "../stats/table-arena.ts";
import { LimitBook, limitTables } from "./limit-book.ts";

const source = { from: "source", name: "" } as const;
const key = { a: 5, b: 6 };

function rate(over: Partial<RateLimitConfig> = {}): RateLimitConfig {
  return { requests: 10, perMs: 1000, burst: 2, by: source, scope: "exact", keys: 100, status: 429, ...over };
}

/** What limits look at of a configuration. */
function config(routes: readonly Partial<RouteConfig>[], connectionsPerClient = 0): Config {
  const full = routes.map((route, i) => ({ name: String(i), rateLimits: [], concurrency: [], ...route }));
  return { listeners: [{ name: "web", limits: { connectionsPerClient }, routes: full }] } as unknown as Config;
}

/** Configurations that follow one another over one memory. */
class Reloads {
  private readonly words = new Int32Array(4_000_000);
  private readonly arena = new TableArena(this.words);
  private generation = 0;

  load(next: Config, previous: LimitBook | null, worker = 0): LimitBook {
    const proposal = this.arena.propose(limitTables(next, 4))!;
    this.arena.commit(proposal, this.generation++);
    return new LimitBook(next, { arena: this.words, tables: proposal.offsets, workers: 4, worker }, previous);
  }
}

function first(next: Config): [ListenerConfig, RouteConfig] {
  return [next.listeners[0]!, next.listeners[0]!.routes[0]!];
}

test("an unchanged limit goes on through a reload, exact or of the worker; a changed one begins anew", () => {
  const reloads = new Reloads();
  for (const scope of ["exact", "worker"] as const) {
    const one = config([{ rateLimits: [rate({ scope, burst: 4 })] }], 7);
    const book = reloads.load(one, null);
    const [limit] = book.limitsOf(...first(one)).rates;
    while (limit!.limit.check(key, 1000) === 0);
    const same = reloads.load(one, book).limitsOf(...first(one)).rates[0]!;
    expect(same.limit.check(key, 1000)).toBeGreaterThan(0);
    const other = config([{ rateLimits: [rate({ scope, burst: 5 })] }]);
    expect(
      reloads
        .load(other, book)
        .limitsOf(...first(other))
        .rates[0]!.limit.check(key, 1000),
    ).toBe(0);
  }
});

test("another status is another answer of the same limit", () => {
  const reloads = new Reloads();
  const one = config([{ rateLimits: [rate()] }]);
  const two = config([{ rateLimits: [rate({ status: 503 })] }]);
  const book = reloads.load(one, null);
  const before = book.limitsOf(...first(one)).rates[0]!;
  const after = reloads.load(two, book).limitsOf(...first(two)).rates[0]!;
  expect([before.status, after.status]).toEqual([429, 503]);
  expect(after.limit).toBe(before.limit);
  const out = new Scratch(16);
  after.fields.put(out, after.limit, 0);
  expect(latin1Text(out.bytes, 0, out.length)).toStartWith("RateLimit-Policy:");
});

test("two workers share exact limits and counts, routes do not", () => {
  const reloads = new Reloads();
  const route = { rateLimits: [rate()], concurrency: [{ requests: 1, by: source }] };
  const one = config([route, route], 1);
  const books = [0, 1].map((worker) => reloads.load(one, null, worker));
  const of = (worker: number, number: number) =>
    books[worker]!.limitsOf(one.listeners[0]!, one.listeners[0]!.routes[number]!);
  const counts = (worker: number, number: number) => of(worker, number).concurrency[0]!.limit;
  expect([0, 1, 0].map((worker) => of(worker, 0).rates[0]!.limit.check(key, 0) === 0)).toEqual([true, true, false]);
  expect(of(1, 1).rates[0]!.limit.check(key, 0)).toBe(0);
  expect(counts(0, 0).acquire(key, 0)).toBeGreaterThan(0);
  expect(counts(1, 0).acquire(key, 0)).toBe(-1);
  expect(counts(1, 1).acquire(key, 0)).toBeGreaterThan(0);
  const clients = books.map((book) => book.connectionsOf(one.listeners[0]!)!);
  expect([clients[0]!.acquire(key, 0) > 0, clients[1]!.acquire(key, 0)]).toEqual([true, -1]);
});

test("another bound of requests in progress goes on with the counts", () => {
  const reloads = new Reloads();
  const one = config([{ concurrency: [{ requests: 1, by: source }] }], 1);
  const two = config([{ concurrency: [{ requests: 2, by: source }] }], 2);
  const book = reloads.load(one, null);
  const before = book.limitsOf(...first(one)).concurrency[0]!.limit;
  const slot = before.acquire(key, 0);
  const next = reloads.load(two, book);
  const after = next.limitsOf(...first(two)).concurrency[0]!.limit;
  expect([after.acquire(key, 0) > 0, after.acquire(key, 0)]).toEqual([true, -1]);
  after.release(slot);
  expect(after.count(key)).toBe(1);
  const clients = [book.connectionsOf(first(one)[0])!, next.connectionsOf(first(two)[0])!];
  expect(clients[1]!.sharesCountsWith(clients[0]!)).toBe(true);
  expect(clients.map(({ max }) => max)).toEqual([1, 2]);
});

test("what is written twice counts once, and of two bounds by the same key the lower one holds", () => {
  const reloads = new Reloads();
  const concurrency = [5, 2, 9].map((requests) => ({ requests, by: source }));
  const one = config([{ rateLimits: [rate(), rate()], concurrency }]);
  const { rates, concurrency: counts } = reloads.load(one, null).limitsOf(...first(one));
  expect([rates.length, counts.length, counts[0]!.limit.max]).toEqual([1, 1, 2]);
  expect(limitTables(one, 4).length).toBeGreaterThan(0);
});

test("a plan without the tables is refused with a reason", () => {
  const one = config([{ rateLimits: [rate()] }]);
  const place = { arena: new Int32Array(10), tables: {}, workers: 1, worker: 0 };
  expect(() => new LimitBook(one, place, null)).toThrow("no table");
  expect(new LimitBook(config([{}]), place, null).connectionsOf(one.listeners[0]!)).toBeNull();
});
