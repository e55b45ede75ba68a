// Runs a piece of work on demand, but not all the time: what is asked for while one run is under way or a moment after
// it is done by the next run, all together; what did not succeed is tried again after a while. The pause after a run is
// ten times as long as the run took, within bounds, so that however often something changes, putting it in force takes
// no more than a tenth of the time.

import { changesGapMaxMs, changesGapMinMs } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";

const PAUSE_FACTOR = 10;

export class Pacer implements TimerOwner {
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private readonly work: () => Promise<string>;
  private timer = -1; // open while a run is due
  private nextMs = -Infinity;
  private running = false;
  private stopped = false;
  /** For the run that is due. */
  private waiting: ((outcome: string) => void)[] = [];

  /** work never rejects; what it resolves with is told to those who asked. */
  constructor(clock: Clock, timers: TimerWheel, work: () => Promise<string>) {
    this.clock = clock;
    this.timers = timers;
    this.work = work;
  }

  /** Resolves with the outcome of a run that began after this call. */
  ask(): Promise<string> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.schedule();
    });
  }

  onDeadline(): void {
    this.timers.close(this.timer);
    this.timer = -1;
    void this.run();
  }

  /** No further runs; who still waits is told so. */
  stop(): void {
    this.stopped = true;
    if (this.timer >= 0) this.timers.close(this.timer);
    this.timer = -1;
    this.tellAll("stopping");
  }

  private schedule(): void {
    if (this.stopped) this.tellAll("stopping");
    if (this.running || this.timer >= 0 || this.waiting.length === 0) return;
    const waitMs = this.nextMs - this.clock.nowMs();
    if (waitMs <= 0) {
      void this.run();
      return;
    }
    this.timer = this.timers.open(this);
    this.timers.set(this.timer, this.nextMs);
  }

  private async run(): Promise<void> {
    this.running = true;
    await Promise.resolve(); // whatever is asked for in the same turn comes along
    const waiting = this.waiting;
    this.waiting = [];
    const startMs = this.clock.nowMs();
    const outcome = await this.work();
    const endMs = this.clock.nowMs();
    const pauseMs = outcome === "" ? PAUSE_FACTOR * (endMs - startMs) : changesGapMaxMs;
    this.nextMs = endMs + Math.min(changesGapMaxMs, Math.max(changesGapMinMs, pauseMs));
    this.running = false;
    // What did not succeed is tried again, whether or not anybody waits for it.
    if (outcome !== "") this.waiting.push(() => {});
    for (const told of waiting) told(outcome);
    this.schedule();
  }

  private tellAll(outcome: string): void {
    for (const told of this.waiting.splice(0)) told(outcome);
  }
}
