// An outage of everything, in virtual time: real pools, budgets and verdicts on repeats, invented endpoints. What the
// endpoints get while they fail is what the clients ask, and the budget on top; without a budget it is many times that.

import { describe, expect, test } from "bun:test";
import { markTried } from "../../src/balance/balancer.ts";
import { newPickState, resetPickState } from "../../src/balance/pick-state.ts";
import { failure, FailureCause, phaseOf, Phase, Side, type Failure } from "../../src/base/failure.ts";
import { seededRng } from "../../src/base/seeded-rng.ts";
import { allowRetry, type AttemptHistory, compileRetry, Retry } from "../../src/http/retry.ts";
import { defaultRetry } from "../../src/model/defaults.ts";
import type { PoolConfig } from "../../src/model/config.ts";
import type { RetryConfig } from "../../src/model/route-config.ts";
import { Pool } from "../../src/pool/pool.ts";
import { BUDGET_WINDOW_S } from "../../src/pool/retry-budget.ts";
import { sampleColumns, sampleMembers, samplePoolConfig, SetClock } from "../../src/pool/sample-pool.ts";
import { PC } from "../../src/stats/columns.ts";
import { Method } from "../../src/wire/head.ts";
import { Agenda } from "./agenda.ts";

/** How an endpoint fails: with what, and after how long. */
interface Way {
  readonly f: Failure;
  readonly status: number;
  readonly afterMs: number;
}

const ways = {
  refused: { f: failure(Side.Endpoint, Phase.Connect, FailureCause.Refused), status: 0, afterMs: 0.3 },
  unreachable: { f: failure(Side.Endpoint, Phase.Connect, FailureCause.Timeout), status: 0, afterMs: 5000 },
  reset: { f: failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Reset), status: 0, afterMs: 10 },
  silent: { f: failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Timeout), status: 0, afterMs: 4000 },
  overloaded: { f: 0, status: 503, afterMs: 50 },
} as const satisfies Record<string, Way>;

const outage = { fromMs: 20_000, toMs: 60_000 };
const endMs = 90_000;

interface Options {
  readonly way: Way;
  readonly retry: Partial<RetryConfig>;
  readonly pool?: Partial<PoolConfig>;
  readonly perSecond: number;
  readonly seed: number;
  /** How many of the five endpoints fail. */
  readonly failing?: number;
}

class Outage {
  /** In the time of the outage: requests of clients, and attempts at endpoints; of those, the ones that were sent. */
  requests = 0;
  attempts = 0;
  sent = 0;
  /** From the beginning to the end. */
  requestsInAll = 0;
  sentInAll = 0;
  /** In the outage, and after it: requests answered well. */
  good = 0;
  goodAfter = 0;
  requestsAfter = 0;
  refused = 0;
  private readonly options: Options;
  private readonly agenda = new Agenda();
  private readonly clock = new SetClock();
  private readonly columns = sampleColumns();
  private readonly pools: readonly Pool[];
  private readonly policy;
  private readonly rng;

  constructor(options: Options) {
    this.options = options;
    this.rng = seededRng(options.seed);
    this.policy = compileRetry({ ...defaultRetry, ...options.retry });
    const config = samplePoolConfig(options.pool ?? {});
    const members = sampleMembers(this.columns, [{}, {}, {}, {}, {}]);
    this.pools = [0, 1].map((worker) => {
      return new Pool(config, members, this.columns, worker, seededRng(options.seed + worker), this.clock);
    });
  }

  run(): this {
    const { agenda } = this;
    const arrive = (): void => {
      this.begin();
      const gap = (-Math.log((this.rng.u32() + 1) / 0x1_0000_0001) * 1000) / this.options.perSecond;
      if (this.nowMs + gap < endMs) agenda.after(gap, arrive);
    };
    agenda.at(agenda.startMs, arrive);
    while (agenda.step()) {
      // all of it
    }
    expect(this.columns.active.every((n) => n === 0)).toBe(true);
    for (const worker of [0, 1]) this.refused += this.columns.pool(worker, 0)[PC.retriesRefused]!;
    return this;
  }

  private get nowMs(): number {
    return this.agenda.nowMs - this.agenda.startMs;
  }

  private get isOut(): boolean {
    return this.nowMs >= outage.fromMs && this.nowMs < outage.toMs;
  }

  private begin(): void {
    const pool = this.pools[this.rng.below(2)]!;
    const state = newPickState(5);
    this.clock.cachedMs = this.agenda.nowMs;
    resetPickState(state, 5, this.agenda.nowMs);
    pool.budget.onRequest(this.agenda.nowMs);
    this.requestsInAll++;
    if (this.isOut) this.requests++;
    if (this.nowMs >= outage.toMs) this.requestsAfter++;
    let connectFailures = 0;
    let repeats = 0;
    const attempt = (): void => {
      this.clock.cachedMs = state.nowMs = this.agenda.nowMs;
      const index = pool.acquire(state);
      if (index < 0) return;
      const fails = this.isOut && index < (this.options.failing ?? 5);
      const way: Way = fails ? this.options.way : { f: 0, status: 200, afterMs: 20 };
      const unsent = phaseOf(way.f) === Phase.Connect;
      if (this.isOut) this.attempts++;
      if (this.isOut && !unsent) this.sent++;
      if (!unsent) this.sentInAll++;
      this.agenda.after(way.afterMs, () => {
        this.clock.cachedMs = this.agenda.nowMs;
        const history: AttemptHistory = {
          method: Method.Get,
          bodyBegun: false,
          connectFailures: connectFailures + (unsent ? 1 : 0),
          repeats,
          refreshed: false,
          nothingSent: unsent,
        };
        const { f, status } = way;
        const verdict = allowRetry(f, status, history, this.policy, pool.budget, this.agenda.nowMs);
        pool.release(index, f, status === 0 ? 0 : way.afterMs * 1000, status);
        if (status === 200) {
          if (this.isOut) this.good++;
          else if (this.nowMs >= outage.toMs) this.goodAfter++;
        }
        if (verdict === Retry.No) return;
        markTried(state, index);
        if (unsent) connectFailures++;
        else repeats++;
        attempt();
      });
    };
    attempt();
  }
}

const eager: Partial<RetryConfig> = { attempts: 3, on: ["connect", "refused", "reset", "timeout", 503] };
const perSecond = 200;
const seconds = (outage.toMs - outage.fromMs) / 1000;

describe.each(Object.keys(ways) as (keyof typeof ways)[])("all endpoints: %s", (name) => {
  const way = ways[name];

  test.each([
    [20, 0],
    [20, 10],
    [5, 1],
    [0, 0],
  ])("at %d %% and %d a second: what is sent stays within the budget", (budgetPercent, budgetMin) => {
    for (const seed of [1, 2, 3]) {
      const result = new Outage({ way, retry: { ...eager, budgetPercent, budgetMin }, perSecond, seed }).run();
      // The bound is exact over the whole; budgetMin is for each of two workers.
      const share = 1 + budgetPercent / 100;
      const perTime = 2 * budgetMin * (endMs / 1000 + BUDGET_WINDOW_S);
      expect(result.sentInAll).toBeLessThanOrEqual(result.requestsInAll * share + perTime);
      // Over the outage alone the requests of the ten seconds before it count, too.
      const before = ((BUDGET_WINDOW_S * perSecond * budgetPercent) / 100) * 1.2;
      expect(result.sent).toBeLessThanOrEqual(result.requests * share + perTime + before);
      // Moves from endpoints that cannot be connected to are paid for by the answers of before, then as repeats.
      const moves = BUDGET_WINDOW_S * perSecond * 1.2 + 2 * 10 * (seconds + BUDGET_WINDOW_S);
      expect(result.attempts).toBeLessThanOrEqual(result.requests * share + perTime + before + moves);
      expect(result.refused).toBeGreaterThan(0);
      // When it is over it is over: no repeats of repeats keep the pool busy.
      expect(result.goodAfter).toBeGreaterThan(result.requestsAfter * 0.97);
    }
  });

  test("without a budget it is many times as much", () => {
    const retry = { ...eager, budgetPercent: 100, budgetMin: 1_000_000 };
    const result = new Outage({ way, retry, perSecond, seed: 1 }).run();
    expect(result.attempts).toBeGreaterThan(result.requests * 3);
  });
});

describe("one of five endpoints fails", () => {
  const oneOf = { failing: 1, perSecond, seed: 4 };

  test.each(Object.keys(ways) as (keyof typeof ways)[])("%s: the default repeats save the requests", (name) => {
    const pool = { passive: { maxFails: 3, failTimeoutMs: 10_000 } };
    const retry = { on: eager.on! };
    const result = new Outage({ ...oneOf, way: ways[name], retry, pool }).run();
    // What is under way at the end of the outage is counted after it.
    expect(result.good + 5 * perSecond).toBeGreaterThan(result.requests);
    expect(result.refused).toBe(0);
    expect(result.attempts).toBeLessThanOrEqual(result.requests * 1.25);
  });

  test("ejection takes its share of attempts to nearly nothing", () => {
    const outlier = {
      consecutiveFailures: 5,
      intervalMs: 10_000,
      ejectionMs: 30_000,
      maxEjectionMs: 300_000,
      maxEjectedPercent: 50,
      successRate: null,
    };
    const { overloaded } = ways;
    const without = new Outage({ ...oneOf, way: overloaded, retry: eager }).run();
    const with_ = new Outage({ ...oneOf, way: overloaded, retry: eager, pool: { outlier } }).run();
    expect(without.attempts - without.requests).toBeGreaterThan(without.requests * 0.1);
    expect(with_.attempts - with_.requests).toBeLessThan(50);
  });
});
