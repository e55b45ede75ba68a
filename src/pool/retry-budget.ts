// How many repeats a pool can afford, so that they do not turn a hiccup into an outage: at most a share of its requests
// of the last ten seconds, and a few a second on top for pools with little traffic (as Finagle's RetryBudget and
// Linkerd's retry budgets have it). One per pool and worker; O(1), no allocation.
//
// Two kinds of further attempts draw on it. A repeat is a request that an endpoint may have seen: it costs the pool
// work twice, and is always paid for. A move is a request that has reached nobody, because its endpoint could not be
// connected to: as long as the pool answers requests, as many moves are free as there were answers; when nobody answers
// any more, moves are paid for as repeats are.

import { PC } from "../stats/columns.ts";

/** Seconds that count. */
export const BUDGET_WINDOW_S = 10;
/** Free moves a second, whatever was answered: a pool that has just begun has no answers to show. */
const MOVES_MIN = 10;

const SLOT_MS = 1000;
/**
 * One slot is always partly over. What is spent counts for all of the slots, ten to eleven seconds, what is earned for
 * all but the oldest, nine to ten: so the bound holds for any ten seconds, wherever they begin.
 */
const SLOTS = BUDGET_WINDOW_S + 1;

export class RetryBudget {
  private readonly counters: Float64Array;
  private readonly requests = new Int32Array(SLOTS);
  private readonly answers = new Int32Array(SLOTS);
  private readonly repeats = new Int32Array(SLOTS);
  private readonly moves = new Int32Array(SLOTS);
  private slot = 0;
  private slotEndMs = -Infinity;
  private requestSum = 0;
  private answerSum = 0;
  private repeatSum = 0;
  private moveSum = 0;

  /** counters: the pool's row of this worker. */
  constructor(counters: Float64Array) {
    this.counters = counters;
  }

  /** A request is given to the pool: once for each, not once for each attempt. Times must not go back. */
  onRequest(nowMs: number): void {
    if (nowMs >= this.slotEndMs) this.advance(nowMs);
    this.requests[this.slot]!++;
    this.requestSum++;
  }

  /** An endpoint of the pool has answered, whatever the status. */
  onAnswer(nowMs: number): void {
    if (nowMs >= this.slotEndMs) this.advance(nowMs);
    this.answers[this.slot]!++;
    this.answerSum++;
  }

  /**
   * Pays for a repeat: false if that would make more than percent of the requests and perSecond, over ten seconds.
   * Counts both outcomes.
   */
  takeRepeat(nowMs: number, percent: number, perSecond: number): boolean {
    if (nowMs >= this.slotEndMs) this.advance(nowMs);
    if (this.repeatSum + 1 > (this.requestSum * percent) / 100 + perSecond * BUDGET_WINDOW_S) {
      this.counters[PC.retriesRefused]!++;
      return false;
    }
    this.repeats[this.slot]!++;
    this.repeatSum++;
    this.counters[PC.repeats]!++;
    return true;
  }

  /** Pays for a move, out of the answers if they suffice. */
  takeMove(nowMs: number, percent: number, perSecond: number): boolean {
    if (nowMs >= this.slotEndMs) this.advance(nowMs);
    if (this.moveSum + 1 > this.answerSum + MOVES_MIN * BUDGET_WINDOW_S) {
      return this.takeRepeat(nowMs, percent, perSecond);
    }
    this.moves[this.slot]!++;
    this.moveSum++;
    return true;
  }

  /** At most once a second: forgets what has become too old. */
  private advance(nowMs: number): void {
    const steps = Math.min(SLOTS, Math.floor((nowMs - this.slotEndMs) / SLOT_MS) + 1);
    this.slotEndMs = (Math.floor(nowMs / SLOT_MS) + 1) * SLOT_MS;
    for (let step = 0; step < steps; step++) {
      const slot = (this.slot + 1) % SLOTS; // the oldest becomes the newest
      const oldest = (slot + 1) % SLOTS; // of those that are left: it earns no more
      this.slot = slot;
      this.repeatSum -= this.repeats[slot]!;
      this.moveSum -= this.moves[slot]!;
      this.requestSum -= this.requests[oldest]!;
      this.answerSum -= this.answers[oldest]!;
      this.repeats[slot] = 0;
      this.moves[slot] = 0;
      this.requests[oldest] = 0;
      this.answers[oldest] = 0;
    }
  }
}
