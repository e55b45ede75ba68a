// Virtual time: what is to happen when, and the clocks that the simulated processes read. Things due at the same moment
// happen in the order in which they were arranged, so a run is the same each time.

import type { Clock } from "../../src/base/ports.ts";

/** Virtual time begins here: nothing is special about zero, and nothing must think so. */
const EPOCH_MS = 1_000_000;

/** Wall-clock time at the beginning, for the dates of answers. */
const EPOCH_WALL_MS = Date.UTC(2030, 0, 1);

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class Agenda {
  readonly startMs = EPOCH_MS;
  nowMs = EPOCH_MS;
  /** Entries that have been run. */
  count = 0;
  private order = 0;
  private readonly heap: Entry[] = [];

  /** Arranges run for atMs, or for now if that has passed. */
  at(atMs: number, run: () => void): void {
    const entry = { atMs: Math.max(atMs, this.nowMs), order: this.order++, run };
    const { heap } = this;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (before(heap[parent]!, entry)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run);
  }

  /** Runs the next entry; false when there is none. */
  step(): boolean {
    const { heap } = this;
    const first = heap[0];
    if (first === undefined) return false;
    const last = heap.pop()!;
    if (heap.length > 0) this.sink(last);
    this.nowMs = first.atMs;
    this.count++;
    first.run();
    return true;
  }

  private sink(last: Entry): void {
    const { heap } = this;
    let i = 0;
    for (let child = 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (before(last, heap[child]!)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** The clock of one process: its cached reading is as old as its last look, like the real one's. */
export class SimClock implements Clock {
  cachedMs: number;
  private readonly agenda: Agenda;

  constructor(agenda: Agenda) {
    this.agenda = agenda;
    this.cachedMs = agenda.nowMs;
  }

  nowMs(): number {
    return (this.cachedMs = this.agenda.nowMs);
  }

  wallMs(): number {
    return EPOCH_WALL_MS + Math.floor(this.agenda.nowMs - this.agenda.startMs);
  }
}
