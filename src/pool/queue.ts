// A bounded first-in first-out queue of waiting requests that hang on each other: joining, leaving from the middle and
// being served cost no allocation. Deadlines are the caller's business: whoever gives up removes itself.

import { exchangesMax } from "../base/limits.ts";

/** What a waiter carries for the queue. The queue alone writes these. */
export interface Waiter<T> {
  queueNext: T | null;
  queuePrevious: T | null;
  queued: boolean;
}

/** max: how many may wait. Without it, as many as there can be requests in progress. */
export class WaitQueue<T extends Waiter<T>> {
  private readonly max: number;
  private head: T | null = null;
  private tail: T | null = null;
  private count = 0;

  constructor(max: number = exchangesMax) {
    this.max = max;
  }

  get length(): number {
    return this.count;
  }

  /**
   * Joins at the end. False if the queue is full, or the waiter waits already. A waiter waits in one queue at a time.
   */
  push(waiter: T): boolean {
    if (this.count >= this.max || waiter.queued) return false;
    waiter.queued = true;
    waiter.queueNext = null;
    waiter.queuePrevious = this.tail;
    if (this.tail === null) this.head = waiter;
    else this.tail.queueNext = waiter;
    this.tail = waiter;
    this.count++;
    return true;
  }

  /** Who has waited longest, still waiting; or null. */
  get first(): T | null {
    return this.head;
  }

  /** Takes out who has waited longest; null if nobody waits. */
  shift(): T | null {
    const first = this.head;
    if (first !== null) this.remove(first);
    return first;
  }

  /** Takes out a waiter of this queue, from anywhere. False if it does not wait. */
  remove(waiter: T): boolean {
    if (!waiter.queued) return false;
    const { queueNext, queuePrevious } = waiter;
    if (queuePrevious === null) this.head = queueNext;
    else queuePrevious.queueNext = queueNext;
    if (queueNext === null) this.tail = queuePrevious;
    else queueNext.queuePrevious = queuePrevious;
    waiter.queued = false;
    waiter.queueNext = null;
    waiter.queuePrevious = null;
    this.count--;
    return true;
  }
}
