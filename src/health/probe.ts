// What every active check has in common: one connection, one deadline, exactly one result. The kinds of check differ
// only in what they do with an open connection; they live in probe-http.ts and probe-tcp.ts.

import { formatMs } from "../base/duration.ts";
import { Cause, type Connection, type ConnectionEvents, type Env, type Target } from "../base/ports.ts";
import type { TimerOwner } from "../base/timer-wheel.ts";
import type { HealthConfig } from "../model/config.ts";
import { failed, type Verdict } from "./answer.ts";

/** The parts of the environment a check needs. */
export type ProbeEnv = Pick<Env, "clock" | "timers" | "net">;

export interface ProbeResult {
  readonly ok: boolean;
  /** "" when ok, else why not: a short sentence without a full stop, the same for the same trouble. */
  readonly reason: string;
  /** From the begin of the connect to the verdict, in milliseconds. */
  readonly latencyMs: number;
}

/** A check under way. */
export interface Probe {
  /** Gives the check up without a result. Harmless once it has ended. */
  cancel(): void;
}

/**
 * Begins a check of target. done is called exactly once, never before the function returns, and not after cancel().
 * authority is the endpoint's "host:port", the Host of HTTP checks that name no other.
 */
export type ProbeKind = (
  env: ProbeEnv,
  target: Target,
  authority: string,
  settings: HealthConfig,
  done: (result: ProbeResult) => void,
) => Probe;

/** What one kind of check does with its connection. Each hook may decide by returning a verdict. */
export interface ProbeScript {
  /** The connection is established. */
  opened(connection: Connection): Verdict | null;
  data(connection: Connection, bytes: Uint8Array): Verdict | null;
  drained(connection: Connection): void;
  /** The endpoint closed its side before there was a verdict. */
  ended(): Verdict;
  /** True when the connection holds nothing more to wait for after the verdict. */
  isComplete(): boolean;
}

const closeReasons: Readonly<Record<number, string>> = {
  [Cause.Refused]: "connection refused",
  [Cause.Reset]: "connection reset",
  [Cause.TimedOut]: "connection timed out",
  [Cause.Unreachable]: "host unreachable",
  [Cause.NoResources]: "out of descriptors or memory on the balancer",
  [Cause.NotFound]: "no such unix socket",
};

class ProbeRun implements ConnectionEvents, TimerOwner, Probe {
  private readonly env: ProbeEnv;
  private readonly script: ProbeScript;
  private readonly timeoutMs: number;
  private readonly done: (result: ProbeResult) => void;
  private readonly startMs: number;
  private readonly slot: number;
  private readonly connection: Connection;
  private decided = false;
  private opened = false;
  private over = false;

  constructor(
    env: ProbeEnv,
    target: Target,
    timeoutMs: number,
    script: ProbeScript,
    done: (result: ProbeResult) => void,
  ) {
    this.env = env;
    this.script = script;
    this.timeoutMs = timeoutMs;
    this.done = done;
    this.startMs = env.clock.nowMs();
    this.slot = env.timers.open(this);
    env.timers.set(this.slot, this.startMs + timeoutMs);
    this.connection = env.net.connect(target, this);
  }

  cancel(): void {
    this.decided = true;
    this.end(true);
  }

  onOpen(): void {
    this.opened = true;
    this.settle(this.script.opened(this.connection));
  }

  onData(bytes: Uint8Array): void {
    if (this.over) return;
    const verdict = this.script.data(this.connection, bytes);
    if (!this.decided) this.settle(verdict);
    else if (this.script.isComplete()) this.end(false);
  }

  onDrain(): void {
    if (!this.over && this.opened) this.script.drained(this.connection);
  }

  onFinish(): void {
    if (this.over) return;
    if (!this.decided) this.report(this.script.ended());
    this.end(false);
  }

  onClose(cause: Cause): void {
    if (!this.decided) {
      const orderly = cause === Cause.None && this.opened;
      this.report(orderly ? this.script.ended() : failed(closeReasons[cause] ?? "connection failed"));
    }
    this.end(false);
  }

  onDeadline(): void {
    if (!this.decided) {
      const where = this.opened ? "" : " while connecting";
      this.report(failed(`timed out after ${formatMs(this.timeoutMs)}${where}`));
    }
    this.end(true);
  }

  private settle(verdict: Verdict | null): void {
    if (verdict === null) return;
    this.report(verdict);
    // Else the endpoint is still sending: the rest is read and dropped, so that its own log stays clean. The deadline
    // stands.
    if (this.script.isComplete()) this.end(false);
  }

  private report(verdict: Verdict): void {
    this.decided = true;
    const latencyMs = this.env.clock.nowMs() - this.startMs;
    this.done({ ok: verdict.ok, reason: verdict.reason, latencyMs });
  }

  private end(hard: boolean): void {
    if (this.over) return;
    this.over = true;
    this.env.timers.close(this.slot);
    if (hard) this.connection.abort();
    else this.connection.close();
  }
}

/** Runs a script on a new connection to target under one deadline. */
export function runProbe(
  env: ProbeEnv,
  target: Target,
  timeoutMs: number,
  script: ProbeScript,
  done: (result: ProbeResult) => void,
): Probe {
  return new ProbeRun(env, target, timeoutMs, script, done);
}
