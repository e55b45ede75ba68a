// Runs the active checks of all pools, once for all workers, and writes their verdicts into the shared columns. It
// also keeps what the operator wants to know about them: the last result, when and why the health changed. It decides
// nothing else: who is usable follows from the columns (see pool/), thresholds are in step.ts, the talking is in the
// probes.
//
// An endpoint without active checks stays unknown, which counts as usable. An endpoint whose host name has no address
// is down. One in maintenance is not checked: its last health stands until the operator has it back.

import { formatMs } from "../base/duration.ts";
import { healthTransitionsKept, probesInFlightMax } from "../base/limits.ts";
import { LogLevel, type Env, type Target } from "../base/ports.ts";
import type { TimerOwner } from "../base/timer-wheel.ts";
import type { HealthConfig } from "../model/config.ts";
import { Admin, bumpEpoch, Health, type Columns } from "../stats/columns.ts";
import { healthWord, type HealthWord } from "../stats/words.ts";
import { probeHttp } from "./probe-http.ts";
import { probeTcp } from "./probe-tcp.ts";
import type { Probe, ProbeKind, ProbeResult } from "./probe.ts";
import { step, unknownState, type HealthState } from "./step.ts";

/** One endpoint as the monitor sees it. */
export interface Subject {
  readonly pool: string;
  readonly id: string;
  readonly row: number;
  /**
   * Where the checks connect to when the settings name no port of their own; null while the host name has no address.
   */
  readonly target: Target | null;
  /** "host:port" as configured: the Host of checks that name no other, and the name in messages. */
  readonly authority: string;
  readonly settings: HealthConfig | null;
}

export interface LastCheck {
  readonly ok: boolean;
  readonly reason: string;
  readonly latencyMs: number;
  readonly wallMs: number;
}

export interface Transition {
  readonly wallMs: number;
  readonly from: HealthWord;
  readonly to: HealthWord;
  readonly reason: string;
}

/** What the admin API shows of one endpoint's checks. */
export interface CheckReport {
  readonly health: HealthWord;
  /** null before the first result, and for endpoints without checks. */
  readonly lastCheck: LastCheck | null;
  /** How often the health has changed since the start. */
  readonly transitionCount: number;
  /** The latest changes, oldest first. */
  readonly transitions: readonly Transition[];
}

/** The health of an endpoint has changed. */
export interface HealthEvent extends Transition {
  readonly pool: string;
  readonly id: string;
}

const kinds: Readonly<Record<HealthConfig["protocol"], ProbeKind>> = { http: probeHttp, tcp: probeTcp };

/** First checks are spread over this much time per endpoint, but over no more than one interval. */
const firstCheckSpreadMs = 20;

class Watched implements TimerOwner {
  subject: Subject;
  state: HealthState = unknownState;
  lastCheck: LastCheck | null = null;
  transitionCount = 0;
  readonly transitions: Transition[] = [];
  probe: Probe | null = null;
  waiting = false;
  /**
   * When the next check is due; the one after it is counted from here, so that slow checks do not stretch the
   * interval.
   */
  dueMs = 0;
  readonly slot: number;
  private readonly monitor: Monitor;

  constructor(monitor: Monitor, slotOf: (owner: TimerOwner) => number, subject: Subject) {
    this.monitor = monitor;
    this.subject = subject;
    this.slot = slotOf(this);
  }

  onDeadline(): void {
    this.monitor.due(this);
  }
}

export class Monitor {
  private readonly env: Env;
  private readonly columns: Columns;
  private readonly onEvent: (event: HealthEvent) => void;
  private readonly watched = new Map<string, Watched>();
  private readonly queue: Watched[] = [];
  private inFlight = 0;

  constructor(env: Env, columns: Columns, onEvent: (event: HealthEvent) => void) {
    this.env = env;
    this.columns = columns;
    this.onEvent = onEvent;
  }

  /**
   * Makes these the endpoints under watch. Endpoints are matched by pool and id. Their health survives; only the count
   * towards the next change starts anew when the settings differ, and everything does when the address does, for that
   * is another machine.
   */
  reconcile(subjects: readonly Subject[]): void {
    const wanted = new Map(subjects.map((subject) => [keyOf(subject.pool, subject.id), subject]));
    for (const [key, watched] of this.watched) {
      if (!wanted.has(key)) this.forget(key, watched);
    }
    const fresh: Watched[] = [];
    for (const [key, subject] of wanted) {
      const watched = this.watched.get(key);
      if (watched === undefined) {
        const added = new Watched(this, (owner) => this.env.timers.open(owner), subject);
        this.watched.set(key, added);
        this.writeHealth(added, Health.Unknown);
        fresh.push(added);
      } else if (this.update(watched, subject)) fresh.push(watched);
    }
    this.begin(fresh);
  }

  /** What is known of an endpoint's checks; null for an endpoint not under watch. */
  report(pool: string, id: string): CheckReport | null {
    const watched = this.watched.get(keyOf(pool, id));
    if (watched === undefined) return null;
    return {
      health: healthWord(watched.state.health),
      lastCheck: watched.lastCheck,
      transitionCount: watched.transitionCount,
      transitions: watched.transitions,
    };
  }

  /** Checks an endpoint now, not when it is due: the operator has just had it back. */
  recheck(pool: string, id: string): void {
    const watched = this.watched.get(keyOf(pool, id));
    if (watched === undefined || watched.subject.target === null) return;
    watched.dueMs = this.env.clock.nowMs();
    this.due(watched);
  }

  /** Ends every check. The columns keep their last values. */
  stop(): void {
    for (const [key, watched] of this.watched) this.forget(key, watched);
  }

  /** A check is due: begins it, or puts it in the line when too many are under way. Called by the timer wheel. */
  due(watched: Watched): void {
    const { settings, row } = watched.subject;
    if (watched.probe !== null || watched.waiting || settings === null) return;
    if (Atomics.load(this.columns.admin, row) === Admin.Maint) {
      this.schedule(watched, settings.intervalMs);
      return;
    }
    if (this.inFlight >= probesInFlightMax) {
      watched.waiting = true;
      this.queue.push(watched); // bounded: each endpoint waits at most once
      return;
    }
    this.check(watched);
  }

  private begin(fresh: readonly Watched[]): void {
    const nowMs = this.env.clock.nowMs();
    for (const watched of fresh) {
      const { settings, target, authority } = watched.subject;
      if (target === null) {
        this.enter(watched, { health: Health.Down, streak: 0 }, `host name of ${authority} does not resolve`);
      } else if (settings !== null) {
        const spreadMs = Math.min(settings.intervalMs, firstCheckSpreadMs * fresh.length);
        watched.dueMs = nowMs + this.env.rng.below(Math.max(1, Math.ceil(spreadMs)));
        this.env.timers.set(watched.slot, watched.dueMs);
      }
    }
  }

  /** Takes over a subject's new description; true if its checks must begin anew. */
  private update(watched: Watched, subject: Subject): boolean {
    const before = watched.subject;
    watched.subject = subject;
    const moved = !sameTarget(before.target, subject.target) || before.row !== subject.row;
    if (!moved && sameSettings(before.settings, subject.settings)) return false;
    this.halt(watched);
    if (moved || subject.settings === null || before.settings === null) {
      watched.lastCheck = null;
      const reason = moved ? "address changed" : subject.settings === null ? "checks removed" : "checks added";
      if (subject.target !== null) this.enter(watched, unknownState, reason);
      this.writeHealth(watched, watched.state.health);
    } else watched.state = { health: watched.state.health, streak: 0 };
    return true;
  }

  private forget(key: string, watched: Watched): void {
    this.halt(watched);
    this.env.timers.close(watched.slot);
    this.watched.delete(key);
  }

  private halt(watched: Watched): void {
    this.env.timers.clear(watched.slot);
    if (watched.waiting) {
      watched.waiting = false;
      this.queue.splice(this.queue.indexOf(watched), 1);
    }
    if (watched.probe !== null) {
      watched.probe.cancel();
      watched.probe = null;
      this.release();
    }
  }

  private check(watched: Watched): void {
    const { subject } = watched;
    if (subject.settings === null || subject.target === null) return;
    this.inFlight++;
    const target = subject.settings.port === null ? subject.target : { ...subject.target, port: subject.settings.port };
    watched.probe = kinds[subject.settings.protocol](this.env, target, subject.authority, subject.settings, (result) =>
      this.checked(watched, result),
    );
  }

  private checked(watched: Watched, result: ProbeResult): void {
    watched.probe = null;
    const { settings, pool, id } = watched.subject;
    if (settings !== null) {
      const before = watched.lastCheck;
      watched.lastCheck = {
        ok: result.ok,
        reason: result.reason,
        latencyMs: result.latencyMs,
        wallMs: this.env.clock.wallMs(),
      };
      if (before === null ? !result.ok : before.ok !== result.ok || before.reason !== result.reason) {
        const level = result.ok ? LogLevel.Info : LogLevel.Warn;
        const event = result.ok ? "check passed" : "check failed";
        this.env.log.write(level, event, {
          pool,
          endpoint: id,
          reason: result.reason,
          latencyMs: Math.round(result.latencyMs),
        });
      }
      const reason = result.ok ? `check passed in ${formatMs(result.latencyMs)}` : result.reason;
      this.enter(watched, step(watched.state, result.ok, settings), reason);
      this.schedule(watched, settings.intervalMs);
    }
    this.release();
  }

  /** The next check: one interval, give or take ten percent, after the last one was due, but never in the past. */
  private schedule(watched: Watched, intervalMs: number): void {
    const jitter = 0.9 + this.env.rng.below(2001) / 10_000;
    watched.dueMs = Math.max(this.env.clock.nowMs(), watched.dueMs + intervalMs * jitter);
    this.env.timers.set(watched.slot, watched.dueMs);
  }

  /** A check has ended: the first in line may begin. */
  private release(): void {
    this.inFlight--;
    const next = this.queue.shift();
    if (next === undefined) return;
    next.waiting = false;
    this.check(next);
  }

  private enter(watched: Watched, next: HealthState, reason: string): void {
    const before = watched.state.health;
    watched.state = next;
    if (before === next.health) return;
    const { pool, id } = watched.subject;
    const transition = {
      wallMs: this.env.clock.wallMs(),
      from: healthWord(before),
      to: healthWord(next.health),
      reason,
    };
    watched.transitionCount++;
    watched.transitions.push(transition);
    if (watched.transitions.length > healthTransitionsKept) watched.transitions.shift();
    // Slow start counts from here. Down to unknown happens when a host name gets its first address.
    if (before === Health.Down) this.columns.upSinceMs[watched.subject.row] = this.env.clock.nowMs();
    this.writeHealth(watched, next.health);
    const level = next.health === Health.Down ? LogLevel.Warn : LogLevel.Info;
    const { from, to } = transition;
    this.env.log.write(level, "health changed", { pool, endpoint: id, from, to, reason });
    this.onEvent({ pool, id, ...transition });
  }

  private writeHealth(watched: Watched, health: Health): void {
    const { row } = watched.subject;
    if (Atomics.exchange(this.columns.health, row, health) !== health) bumpEpoch(this.columns);
  }
}

function keyOf(pool: string, id: string): string {
  return `${pool}\n${id}`;
}

function sameTarget(a: Target | null, b: Target | null): boolean {
  if (a === null || b === null) return a === b;
  return a.ip === b.ip && a.port === b.port && a.unixPath === b.unixPath;
}

/** Equal as data. Both come out of the same front end, so equal settings have their keys in the same order. */
function sameSettings(a: HealthConfig | null, b: HealthConfig | null): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
