// Least response time: the lowest expected wait, (decayed average latency) * (requests in progress + 1) / weight, after
// Finagle's EWMA balancer and nginx's least_time. The average itself is kept by the pool (src/pool/latency.ts), where
// failures also enter it; here it is only judged.
//
// What keeps it from going wrong:
// - An unused average fades, with time and with the waiting that the others cause meanwhile, so that a slow endpoint
//   gets another chance soon, even where traffic is rare or one slow answer at the start gave it a bad name. Without
//   that it starves for ever.
// - The chance is one request: sending it ends the fading, and the old average counts again until an answer tells
//   better. So a recovering endpoint is asked, not stampeded; and chances cost a bounded part of all waiting.
// - An average from before the endpoint was last down is no average at all.

import type { Rng } from "../base/ports.ts";
import { eligible, type Balancer, type EndpointTable, type PickState } from "./balancer.ts";
import { WeightedDraw } from "./weighted-draw.ts";

/** What an endpoint is taken to need while its first answer is awaited, in microseconds. */
const UNKNOWN_US = 1_000_000;

/**
 * The part of all waiting that chances for slow endpoints may add: one that needs x times as long as the others is
 * asked after about x * (number of endpoints) / CHANCES requests.
 */
const CHANCES = 0.05;

/** Up to this many endpoints all are compared (0.6 µs a pick), beyond it two drawn by weight (0.3 µs at any number). */
export const SCAN_MAX = 32;

export class LeastResponseTime implements Balancer {
  readonly name = "least-response-time";
  readonly wantsHash = false;
  private readonly decayMs: number;
  private readonly draw: WeightedDraw;
  /** When this process last sent something there, monotonic ms. */
  private readonly pickedAtMs: Float64Array;
  /**
   * The waiting set aside for chances so far, in microseconds; and how much of it there was when each was last picked.
   */
  private setAside = 0;
  private readonly setAsideAtPick: Float64Array;
  /** Where the scan begins, moving on with each pick: equals are taken in turn. */
  private start = 0;

  /** decayMs: the time in which an unused average fades to 1/e of itself. */
  constructor(count: number, decayMs: number, rng: Rng) {
    this.decayMs = decayMs;
    this.draw = new WeightedDraw(count, rng);
    this.pickedAtMs = new Float64Array(count).fill(-Infinity);
    this.setAsideAtPick = new Float64Array(count);
  }

  pick(table: EndpointTable, state: PickState): number {
    const best = this.draw.size > SCAN_MAX ? this.ofTwo(table, state) : this.ofAll(table, state);
    if (best < 0) return -1;
    this.setAside += (CHANCES / this.draw.size) * table.latencyUs[table.row[best]!]!;
    this.setAsideAtPick[best] = this.setAside;
    this.pickedAtMs[best] = state.nowMs;
    return best;
  }

  private ofAll(table: EndpointTable, state: PickState): number {
    const { draw } = this;
    const size = draw.size;
    if (++this.start >= size) this.start = 0;
    let best = -1;
    let bestCost = Infinity;
    for (let k = 0; k < size; k++) {
      const position = this.start + k;
      const i = draw.index(position < size ? position : position - size);
      if (!eligible(table, state, i)) continue;
      const cost = this.cost(table, i, state.nowMs);
      if (best >= 0 && cost >= bestCost) continue;
      best = i;
      bestCost = cost;
    }
    return best;
  }

  private ofTwo(table: EndpointTable, state: PickState): number {
    const first = this.draw.one();
    const a = this.draw.index(first);
    const b = this.draw.index(this.draw.other(first));
    const aEligible = eligible(table, state, a);
    const bEligible = eligible(table, state, b);
    if (aEligible && bEligible) return this.cost(table, b, state.nowMs) < this.cost(table, a, state.nowMs) ? b : a;
    if (aEligible || bEligible) return aEligible ? a : b;
    return this.ofAll(table, state); // both full or tried already
  }

  private cost(table: EndpointTable, i: number, nowMs: number): number {
    const row = table.row[i]!;
    const upSince = table.upSinceMs[row]!;
    const measuredAt = table.latencyAtMs[row]!;
    let latency = table.latencyUs[row]!;
    let at = this.pickedAtMs[i]!;
    if (latency === 0 || measuredAt < upSince) {
      if (at < upSince || at === -Infinity) return 0; // nobody of this process has asked it yet
      latency = UNKNOWN_US;
    } else if (measuredAt > at) {
      at = measuredAt;
    }
    if (nowMs > at) latency *= faded((nowMs - at) / this.decayMs);
    latency -= this.setAside - this.setAsideAtPick[i]!;
    if (latency < 1) latency = 1;
    return (latency * (table.active[row]! + 1)) / table.weight[i]!;
  }

  tableChanged(table: EndpointTable): void {
    this.draw.tableChanged(table);
  }
}

/** e^-x; for the small x of a busy endpoint 1 - x, which is right to a hundredth and spares the call. */
function faded(x: number): number {
  return x < 0.125 ? 1 - x : Math.exp(-x);
}
