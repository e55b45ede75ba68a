// The decayed average latency of each endpoint, shared by all workers: racy by intent, a lost sample is harmless. Read
// by balance/least-response-time.ts and by status.

import type { Columns } from "../stats/columns.ts";

/** The time constant of pools whose algorithm does not name one. */
export const LATENCY_DECAY_MS = 10_000;

/** Samples that come in the same millisecond still count this much: the clock is only read once per event. */
const STEP_MIN_MS = 1;

/** What a failure counts as: so many times the pool's typical latency. */
const PENALTY = 30;
/** The pool's typical latency follows its answers with this part of each. */
const TYPICAL_PART = 1 / 64;
/** Typical latency before the first answer, in microseconds. */
const TYPICAL_AT_START_US = 30_000;

/** An answer after so many failures in a row means that the endpoint has recovered: a new history begins. */
const RECOVERED_AFTER = 5;

/** The averages of one pool, as one worker feeds them. */
export class Latencies {
  private readonly columns: Columns;
  private readonly decayMs: number;
  /** Over all endpoints of the pool; 0 = no answer yet. */
  private typicalUs = 0;
  /** Failures in a row, by member. */
  private readonly failedInRow: Int32Array;

  /** decayMs: how long an answer is remembered (to 1/e). */
  constructor(columns: Columns, members: number, decayMs: number) {
    this.columns = columns;
    this.decayMs = decayMs;
    this.failedInRow = new Int32Array(members);
  }

  /** The head of an answer of member i came after sampleUs (> 0). */
  answered(i: number, row: number, sampleUs: number, nowMs: number): void {
    if (this.failedInRow[i]! >= RECOVERED_AFTER) this.columns.latencyUs[row] = 0;
    this.failedInRow[i] = 0;
    this.typicalUs = this.typicalUs === 0 ? sampleUs : this.typicalUs + TYPICAL_PART * (sampleUs - this.typicalUs);
    this.feed(row, sampleUs, nowMs, 1);
  }

  /**
   * Member i failed, after observedUs or (0) without an answer. Refusing a connection takes no time: counted as it is,
   * the quickest way to be sent everything would be to fail everything. So a failure counts as a long wait. Single ones
   * weigh what an answer weighs, and an endpoint that fails one request in a hundred seems a third slower; the second
   * in a row weighs twice that, the third three times, and one that only fails is out of favour after a dozen.
   */
  failed(i: number, row: number, observedUs: number, nowMs: number): void {
    const inRow = this.failedInRow[i]! + 1;
    this.failedInRow[i] = inRow;
    const typicalUs = this.typicalUs === 0 ? TYPICAL_AT_START_US : this.typicalUs;
    this.feed(row, Math.max(observedUs, PENALTY * typicalUs), nowMs, inRow);
  }

  /**
   * The part of a sample grows with the time since the last one: 1 - e^(-dt/decay), divided by what all samples so far
   * would add up to. Without that division the first sample would count as much as a whole time constant of them, and a
   * first answer that was slow by chance would decide for long.
   */
  private feed(row: number, sampleUs: number, nowMs: number, times: number): void {
    const { columns, decayMs } = this;
    const at = columns.latencyAtMs[row]!;
    const average = columns.latencyUs[row]!;
    columns.latencyAtMs[row] = nowMs;
    if (average === 0 || at < columns.upSinceMs[row]!) {
      columns.latencyUs[row] = sampleUs; // nothing known since it came back
      columns.latencySinceMs[row] = nowMs;
      return;
    }
    const step = Math.max(STEP_MIN_MS, nowMs - at);
    const history = Math.max(0, nowMs - columns.latencySinceMs[row]!) + step;
    const part = Math.expm1(-step / decayMs) / Math.expm1(-history / decayMs);
    columns.latencyUs[row] = average + Math.min(1, part * times) * (sampleUs - average);
  }
}
