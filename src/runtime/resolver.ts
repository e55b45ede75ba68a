// Keeps the addresses of endpoints that are given by host name. An address once found is kept while it is still among
// the answers, so that connections and health follow one machine; and it is kept when a lookup fails, because a name
// server that is down says nothing about the endpoint, while the health checks do.

import { lookupsInFlightMax } from "../base/limits.ts";
import { LogLevel, type Clock, type Log } from "../base/ports.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import type { ResolveConfig } from "../model/config.ts";
import type { Host, NameAnswer } from "./host.ts";
import { Settling } from "./settling.ts";

/** A name with whom to ask, and with the bounds for the time between two lookups. */
export interface NameWish extends ResolveConfig {
  readonly name: string;
}

interface Lookup extends TimerOwner {
  readonly wish: NameWish;
  readonly slot: number;
  address: string | null;
  /** The reason of the last failure, "" after a success: equal failures are logged once. */
  trouble: string;
  answered: boolean;
  removed: boolean;
}

export interface ResolverOptions {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly log: Log;
  readonly resolve: Host["resolve"];
  /** The address of some name has changed; called for first answers too. */
  readonly onChange: () => void;
}

export class Resolver {
  private readonly options: ResolverOptions;
  private readonly lookups = new Map<string, Lookup>();
  private readonly queue: Lookup[] = [];
  private inFlight = 0;
  private readonly settling: Settling;

  constructor(options: ResolverOptions) {
    this.options = options;
    this.settling = new Settling(options.clock, options.timers, () => this.allAnswered());
  }

  /** Begins to look up names that are new; forgets none. */
  ensure(wishes: readonly NameWish[]): void {
    for (const wish of wishes) {
      const key = keyOf(wish);
      if (this.lookups.has(key)) continue;
      const lookup: Lookup = {
        wish,
        slot: 0,
        address: null,
        trouble: "",
        answered: false,
        removed: false,
        onDeadline: () => this.enqueue(lookup),
      };
      this.lookups.set(key, Object.assign(lookup, { slot: this.options.timers.open(lookup) }));
      this.enqueue(lookup);
    }
  }

  /** Makes these the names under watch: forgets all others. */
  reconcile(wishes: readonly NameWish[]): void {
    this.ensure(wishes);
    const wanted = new Set(wishes.map(keyOf));
    for (const [key, lookup] of this.lookups) {
      if (wanted.has(key)) continue;
      lookup.removed = true;
      this.options.timers.close(lookup.slot);
      this.lookups.delete(key);
    }
  }

  /** The present address; null while there is none. */
  addressOf(wish: NameWish): string | null {
    return this.lookups.get(keyOf(wish))?.address ?? null;
  }

  /** Resolves once every name has had its first answer, good or bad, or after timeoutMs. */
  settled(timeoutMs: number): Promise<void> {
    return this.settling.wait(timeoutMs);
  }

  stop(): void {
    this.reconcile([]);
  }

  private allAnswered(): boolean {
    for (const lookup of this.lookups.values()) if (!lookup.answered) return false;
    return true;
  }

  private enqueue(lookup: Lookup): void {
    this.queue.push(lookup); // bounded: a lookup is queued by its own timer, which is set again only after an answer
    this.next();
  }

  private next(): void {
    while (this.inFlight < lookupsInFlightMax) {
      const lookup = this.queue.shift();
      if (lookup === undefined) return;
      if (lookup.removed) continue;
      this.inFlight++;
      this.options.resolve(lookup.wish.name, lookup.wish.servers).then(
        (answer) => this.done(lookup, answer, ""),
        (error: unknown) => this.done(lookup, null, error instanceof Error ? error.message : String(error)),
      );
    }
  }

  private done(lookup: Lookup, answer: NameAnswer | null, trouble: string): void {
    this.inFlight--;
    if (!lookup.removed) {
      if (answer === null || answer.addresses.length === 0) this.fail(lookup, trouble || "no addresses");
      else this.take(lookup, answer.addresses);
      const { minMs, maxMs } = lookup.wish;
      const ttlMs = answer?.ttlMs ?? minMs;
      this.options.timers.set(lookup.slot, this.options.clock.nowMs() + Math.max(minMs, Math.min(ttlMs, maxMs)));
      lookup.answered = true;
      this.settling.look();
    }
    this.next();
  }

  private fail(lookup: Lookup, trouble: string): void {
    if (lookup.trouble === trouble) return;
    lookup.trouble = trouble;
    const { name } = lookup.wish;
    const fields = { name, reason: trouble, keeping: lookup.address };
    this.options.log.write(LogLevel.Warn, "host name does not resolve", fields);
  }

  private take(lookup: Lookup, addresses: readonly string[]): void {
    const { name } = lookup.wish;
    if (lookup.trouble !== "") this.options.log.write(LogLevel.Info, "host name resolves again", { name });
    lookup.trouble = "";
    const before = lookup.address;
    if (before !== null && addresses.includes(before)) return;
    lookup.address = addresses[0]!;
    if (before !== null) {
      this.options.log.write(LogLevel.Info, "host name has moved", { name, from: before, to: lookup.address });
    }
    this.options.onChange();
  }
}

function keyOf(wish: NameWish): string {
  return [wish.name, wish.minMs, wish.maxMs, ...wish.servers].join(" ");
}
