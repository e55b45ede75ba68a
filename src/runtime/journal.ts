// The last things that happened, kept for `status` and streamed to whoever listens to the events of the admin API.
// Everything recorded is also a line of the operator's log.

import { eventSubscribersMax, eventsKept } from "../base/limits.ts";
import { LogLevel, type Clock, type Log } from "../base/ports.ts";

export type EventFields = Readonly<Record<string, string | number | boolean | null>>;

export interface JournalEvent {
  /** From 1, growing by one. */
  readonly id: number;
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly fields: EventFields;
}

export type Subscriber = (event: JournalEvent) => void;

const levelWords = ["debug", "info", "warn", "error"] as const;

export class Journal {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly kept: JournalEvent[] = [];
  private readonly subscribers = new Set<Subscriber>();
  private lastId = 0;

  constructor(clock: Clock, log: Log) {
    this.clock = clock;
    this.log = log;
  }

  /** Logs and remembers an event. */
  record(level: LogLevel, event: string, fields: EventFields = {}): void {
    this.log.write(level, event, fields);
    this.remember(level, event, fields);
  }

  /** Remembers an event that somebody else has logged already. */
  remember(level: LogLevel, event: string, fields: EventFields): void {
    const entry = { id: ++this.lastId, atMs: this.clock.wallMs(), level: levelWords[level], event, fields };
    this.kept.push(entry);
    if (this.kept.length > eventsKept) this.kept.shift();
    for (const subscriber of this.subscribers) subscriber(entry);
  }

  /** The newest events, oldest first, at most count; only those after id. */
  latest(count: number, afterId = 0): readonly JournalEvent[] {
    return this.kept.filter((event) => event.id > afterId).slice(-count);
  }

  /**
   * Calls subscriber for each further event until the returned function is called; null when there are too many
   * already.
   */
  subscribe(subscriber: Subscriber): (() => void) | null {
    if (this.subscribers.size >= eventSubscribersMax) return null;
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }
}
