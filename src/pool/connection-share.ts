// circuit.connections: the connections to a pool's endpoints, idle and busy, bounded over all workers together. Any
// worker may have them all; but connections that are kept idle by one must not starve another for as long as they are
// kept. So a worker that has less than its equal share and lacks a connection says so in the shared columns, and for a
// moment the others open none above their share and close what they do not need.

import type { Clock } from "../base/ports.ts";
import { TICK_MS, type TimerOwner, type TimerWheel } from "../base/timer-wheel.ts";
import { type Columns, PC } from "../stats/columns.ts";
import { takeBelow } from "./circuit.ts";

/** A want is renewed by those who wait, at every tick; it is over when it was not. */
const WANTED_MS = 3 * TICK_MS;

/** Who holds the connections: closes idle ones of these rows, at most count; says how many it has closed. */
export type CloseIdle = (rows: ArrayLike<number>, count: number) => number;

export interface ShareOptions {
  /** For all workers together, at least 1. */
  readonly max: number;
  readonly workers: number;
  readonly columns: Columns;
  readonly worker: number;
  /** The pool's row, and those of its endpoints. */
  readonly row: number;
  readonly endpoints: ArrayLike<number>;
  readonly clock: Clock;
  readonly timers: TimerWheel;
}

export class ConnectionShare implements TimerOwner {
  readonly endpoints: ArrayLike<number>;
  /** Set by the connector that holds the connections. */
  closeIdle: CloseIdle = () => 0;
  private readonly max: number;
  private readonly fair: number;
  private readonly row: number;
  private readonly columns: Columns;
  private readonly counters: Float64Array;
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private timer = -1; // open while there may be idle connections

  constructor(options: ShareOptions) {
    const { max, workers, columns, worker, row } = options;
    this.max = max;
    // With fewer connections than workers, one is what everybody may ask for.
    this.fair = Math.max(1, Math.floor(max / workers));
    this.row = row;
    this.columns = columns;
    this.counters = columns.pool(worker, row);
    this.endpoints = options.endpoints;
    this.clock = options.clock;
    this.timers = options.timers;
  }

  /** Connections of this worker. */
  get own(): number {
    return this.counters[PC.connectionsOwn]!;
  }

  /** Takes the place of a new connection; closes an idle one for it if need be. False = there is none now. */
  open(): boolean {
    if (this.tryOpen()) return true;
    if (this.closeIdle(this.endpoints, 1) > 0 && this.tryOpen()) return true;
    if (this.own < this.fair) this.columns.poolWantedMs[this.row] = this.clock.cachedMs;
    return false;
  }

  /** Counts connections that are there: those of an older configuration, and tunnels. */
  add(count: number): void {
    this.counters[PC.connectionsOwn]! += count;
    Atomics.add(this.columns.poolConnections, this.row, count);
  }

  remove(count: number): void {
    this.counters[PC.connectionsOwn]! -= count;
    Atomics.sub(this.columns.poolConnections, this.row, count);
  }

  /** True if a connection that has become idle should be closed, because another worker lacks one. */
  get mustShrink(): boolean {
    return this.own > this.fair && this.isWanted;
  }

  /** A connection is kept idle from now on. */
  onIdle(): void {
    if (this.timer >= 0) return;
    this.timer = this.timers.open(this);
    this.timers.set(this.timer, this.clock.cachedMs + TICK_MS);
  }

  onDeadline(_slot: number, nowMs: number): void {
    if (this.mustShrink) this.closeIdle(this.endpoints, this.own - this.fair);
    if (this.own > 0) this.timers.set(this.timer, nowMs + TICK_MS);
    else this.stop();
  }

  /** The pool is gone from the configuration. */
  stop(): void {
    if (this.timer < 0) return;
    this.timers.close(this.timer);
    this.timer = -1;
  }

  private tryOpen(): boolean {
    if (this.own >= this.fair && this.isWanted) return false;
    if (!takeBelow(this.columns.poolConnections, this.row, this.max)) return false;
    this.counters[PC.connectionsOwn]!++;
    return true;
  }

  private get isWanted(): boolean {
    const wantedMs = this.columns.poolWantedMs[this.row]!;
    return wantedMs !== 0 && this.clock.cachedMs - wantedMs < WANTED_MS;
  }
}
