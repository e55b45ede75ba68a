// A hashed timer wheel for deadlines that are moved far more often than they fire (every request moves several). Moving
// a deadline later only stores a number; the slot is looked at when its old bucket comes round and then put where it
// belongs. It reads no clock and starts no timer: whoever owns it calls advance() about every TICK_MS.

/** Length of a tick in milliseconds: deadlines fire up to this much late, never early. */
export const TICK_MS = 100;
const BUCKETS = 512; // one turn is 51.2 s; longer deadlines are re-examined once a turn
const NONE = -1;

export interface TimerOwner {
  /** The deadline set for this slot has passed and is now cleared. */
  onDeadline(slot: number, nowMs: number): void;
}

export class TimerWheel {
  private deadline = new Float64Array(64).fill(Infinity);
  private tickOf = new Float64Array(64).fill(NONE); // the tick in whose bucket the slot is linked
  private next = new Int32Array(64).fill(NONE);
  private previous = new Int32Array(64).fill(NONE);
  private readonly owners: (TimerOwner | null)[] = [];
  private readonly heads = new Int32Array(BUCKETS).fill(NONE);
  private freeHead = NONE;
  private openCount = 0;
  private currentTick: number;

  constructor(nowMs: number) {
    this.currentTick = Math.floor(nowMs / TICK_MS);
  }

  /** How many slots are open. */
  get size(): number {
    return this.openCount;
  }

  /** Takes a slot for owner, with no deadline set. */
  open(owner: TimerOwner): number {
    let slot = this.freeHead;
    if (slot !== NONE) {
      this.freeHead = this.next[slot]!;
      this.owners[slot] = owner;
    } else {
      slot = this.owners.length;
      this.owners.push(owner);
      if (slot >= this.deadline.length) this.grow();
    }
    this.next[slot] = NONE;
    this.previous[slot] = NONE;
    this.openCount++;
    return slot;
  }

  /** Sets or moves the slot's deadline, an absolute time on the clock given to advance(). */
  set(slot: number, deadlineMs: number): void {
    this.deadline[slot] = deadlineMs;
    const tick = this.tickOf[slot]!;
    if (tick !== NONE) {
      if (deadlineMs >= tick * TICK_MS) return; // examined no later than due, then moved
      this.unlink(slot);
    }
    this.link(slot);
  }

  /** Unsets the slot's deadline; it stays linked until its bucket comes round. */
  clear(slot: number): void {
    this.deadline[slot] = Infinity;
  }

  /** Gives the slot back; it must not be used again. */
  close(slot: number): void {
    if (this.tickOf[slot] !== NONE) this.unlink(slot);
    this.deadline[slot] = Infinity;
    this.owners[slot] = null;
    this.next[slot] = this.freeHead;
    this.freeHead = slot;
    this.openCount--;
  }

  /** Fires every deadline that has passed by nowMs. Owners may open, set, clear and close slots while it runs. */
  advance(nowMs: number): void {
    const lastTick = Math.floor(nowMs / TICK_MS);
    if (lastTick - this.currentTick > BUCKETS) this.currentTick = lastTick - BUCKETS;
    while (this.currentTick < lastTick) {
      const bucket = this.currentTick % BUCKETS;
      this.currentTick++; // first, so that whatever is linked meanwhile lands in a later bucket
      this.turn(bucket, nowMs);
    }
  }

  private turn(bucket: number, nowMs: number): void {
    let slot = this.heads[bucket]!;
    this.heads[bucket] = NONE;
    let due: number[] | null = null;
    while (slot !== NONE) {
      const following = this.next[slot]!;
      this.tickOf[slot] = NONE;
      this.next[slot] = NONE;
      this.previous[slot] = NONE;
      if (this.deadline[slot]! <= nowMs) (due ??= []).push(slot);
      else this.link(slot);
      slot = following;
    }
    if (due !== null) this.fire(due, nowMs);
  }

  private fire(due: readonly number[], nowMs: number): void {
    let i = 0;
    try {
      while (i < due.length) {
        const slot = due[i++]!;
        // An owner called earlier in this batch may have closed, cleared or moved this slot.
        const owner = this.owners[slot];
        if (!owner || this.deadline[slot]! > nowMs) continue;
        if (this.tickOf[slot] !== NONE) this.unlink(slot);
        this.deadline[slot] = Infinity;
        owner.onDeadline(slot, nowMs);
      }
    } finally {
      // An owner that throws costs the others one tick at most: the rest of the batch goes to the next bucket.
      for (; i < due.length; i++) {
        const slot = due[i]!;
        if (this.owners[slot] && this.tickOf[slot] === NONE) this.link(slot);
      }
    }
  }

  private link(slot: number): void {
    const deadline = this.deadline[slot]!;
    if (deadline === Infinity) return;
    let tick = Math.floor(deadline / TICK_MS); // its bucket is turned once the whole tick is over: late, never early
    if (tick < this.currentTick) tick = this.currentTick;
    if (tick >= this.currentTick + BUCKETS) tick = this.currentTick + BUCKETS - 1;
    const bucket = tick % BUCKETS;
    const head = this.heads[bucket]!;
    this.next[slot] = head;
    this.previous[slot] = NONE;
    if (head !== NONE) this.previous[head] = slot;
    this.heads[bucket] = slot;
    this.tickOf[slot] = tick;
  }

  private unlink(slot: number): void {
    const before = this.previous[slot]!;
    const after = this.next[slot]!;
    if (before !== NONE) this.next[before] = after;
    else this.heads[this.tickOf[slot]! % BUCKETS] = after;
    if (after !== NONE) this.previous[after] = before;
    this.next[slot] = NONE;
    this.previous[slot] = NONE;
    this.tickOf[slot] = NONE;
  }

  private grow(): void {
    const size = this.deadline.length * 2;
    const deadline = new Float64Array(size).fill(Infinity);
    deadline.set(this.deadline);
    this.deadline = deadline;
    const tickOf = new Float64Array(size).fill(NONE);
    tickOf.set(this.tickOf);
    this.tickOf = tickOf;
    this.next = grown(this.next, size);
    this.previous = grown(this.previous, size);
  }
}

function grown(column: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(size).fill(NONE);
  wider.set(column);
  return wider;
}
