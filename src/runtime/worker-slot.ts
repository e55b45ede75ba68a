// One worker's place: the process in it, its restarts, and the handshake that puts a plan in force. It knows nothing of
// configurations; the supervisor tells it what to send.

import { heartbeatMaxMs, workerKillGraceMs } from "../base/limits.ts";
import { LogLevel, type Clock } from "../base/ports.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import type { Plan } from "../model/plan.ts";
import type { Host, WorkerProcess } from "./host.ts";
import type { Journal } from "./journal.ts";
import type { FromWorker, Grant, Return } from "./messages.ts";

/**
 * starting: no plan in force yet; running; draining: told to finish and exit; waiting: crashed, to be started again;
 * stopped: gone for good.
 */
export type WorkerState = "starting" | "running" | "draining" | "waiting" | "stopped";

/** What goes with a plan to one worker. */
export interface Delivery {
  readonly plan: Plan;
  readonly grants: readonly Grant[];
  /** In the order of the grants; lent for the call. */
  readonly fds: readonly number[];
  readonly releases: readonly string[];
  readonly returns: readonly Return[];
  /** Descriptor of the access log; null when the worker has it already or writes to standard output. */
  readonly logFd: number | null;
}

export interface SlotOptions {
  readonly worker: number;
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly host: Host;
  readonly journal: Journal;
  /** The process is up, and a plan may be prepared. */
  readonly onHello: (slot: WorkerSlot) => void;
  readonly onRetired: () => void;
  /** The process has ended, wanted or not; called before it is started again. */
  readonly onExit: (slot: WorkerSlot) => void;
}

/** Why a prepare or commit came to nothing, when it was not the worker's own decision. */
export const WORKER_ENDED = "the worker ended";

/** The delay before restart number `failures` (from 0) of a series, in milliseconds: at once, 100 ms, 200 ms … 5 s. */
export function restartDelayMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(5000, 100 * 2 ** (failures - 1));
}

/** After this long in state running a crash begins a new series. */
const healthyMs = 10_000;

export class WorkerSlot implements TimerOwner {
  readonly worker: number;
  state: WorkerState = "stopped";
  /** How often a crashed process was started again. */
  restarts = 0;
  /** The generation in force there; 0 = none. */
  generation = 0;
  oldestGeneration = 0;
  /** Keys of the sockets it has. */
  granted: ReadonlySet<string> = new Set();
  /** Path of the access log whose descriptor it has; "" = none. */
  logPath = "";
  /** Version of the hooks it has in force, and of those it was sent with the last plan; "" = none. */
  private hooksInForce = "";
  private hooksSent = "";
  private readonly options: SlotOptions;
  private readonly timer: number;
  private process: WorkerProcess | null = null;
  private failures = 0;
  private spawnedMs = 0;
  private runningMs = 0;
  /** The one message that is awaited, and who waits for it. "" = it came, else why it never will. */
  private awaited: { readonly kind: FromWorker["kind"]; readonly done: (trouble: string) => void } | null = null;

  constructor(options: SlotOptions) {
    this.options = options;
    this.worker = options.worker;
    this.timer = options.timers.open(this);
  }

  get pid(): number {
    return this.process?.pid ?? 0;
  }

  /** True while a prepare or commit is under way: nothing else may be begun. */
  get busy(): boolean {
    return this.awaited !== null;
  }

  /** Monotonic ms when this process was started; for uptime and heartbeats. */
  get sinceMs(): number {
    return this.spawnedMs;
  }

  /** Starts the process. */
  start(): void {
    this.state = "starting";
    this.forget();
    this.spawnedMs = this.options.clock.nowMs();
    try {
      this.process = this.options.host.spawn(this.worker, {
        onMessage: (message) => this.receive(message),
        onExit: (code, signal) => this.exited(code, signal),
      });
      this.options.journal.record(LogLevel.Info, "worker started", { worker: this.worker, pid: this.pid });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.options.journal.record(LogLevel.Error, "worker cannot be started", { worker: this.worker, reason });
      this.again();
    }
  }

  /** Has the plan compiled there. Resolves with "" or why it was refused; never rejects. */
  prepare(delivery: Delivery): Promise<string> {
    const { grants, releases, returns, logFd } = delivery;
    const plan = this.withoutKnownCode(delivery.plan);
    if (this.oldestGeneration === 0) this.oldestGeneration = plan.generation;
    const fds = logFd === null ? delivery.fds : [...delivery.fds, logFd];
    const sent = this.process?.send({ kind: "prepare", plan, grants, releases, returns, logFd: logFd !== null }, fds);
    return sent === true ? this.expect("prepared") : Promise.resolve(WORKER_ENDED);
  }

  /** Puts the prepared plan in force. Resolves with "" or why it never will be. */
  async commit(generation: number, granted: ReadonlySet<string>, logPath: string): Promise<string> {
    const sent = this.process?.send({ kind: "commit", generation }, []);
    const trouble = sent === true ? await this.expect("committed") : WORKER_ENDED;
    if (trouble !== "") return trouble;
    this.generation = generation;
    this.hooksInForce = this.hooksSent;
    this.granted = granted;
    this.logPath = logPath;
    if (this.state === "starting") {
      this.state = "running";
      this.runningMs = this.options.clock.nowMs();
    }
    return "";
  }

  /** Code is long, and endpoints may change often: what the worker runs anyway is not sent again. */
  private withoutKnownCode(plan: Plan): Plan {
    const { hooks } = plan;
    this.hooksSent = hooks?.version ?? "";
    return hooks === null || hooks.version !== this.hooksInForce ? plan : { ...plan, hooks: { ...hooks, code: "" } };
  }

  discard(generation: number): void {
    this.process?.send({ kind: "discard", generation }, []);
  }

  sendResolved(resolved: Readonly<Record<number, string | null>>): void {
    this.process?.send({ kind: "resolved", resolved }, []);
  }

  /** Gives it the access log's new descriptor. */
  reopen(fd: number): void {
    this.process?.send({ kind: "reopen" }, [fd]);
  }

  /** Has it finish and exit within timeoutMs; it is killed when it is not gone a little later. */
  drain(timeoutMs: number): void {
    if (this.process === null) {
      this.stop();
      return;
    }
    if (this.state === "draining") return;
    this.state = "draining";
    this.process.send({ kind: "drain", timeoutMs }, []);
    this.options.timers.set(this.timer, this.options.clock.nowMs() + timeoutMs + workerKillGraceMs);
  }

  /** Ends a process that is of no use; a new one is started in its place. */
  replace(): void {
    if (this.state !== "draining") this.process?.kill();
  }

  /** Ends it at once, for good. */
  kill(): void {
    if (this.process === null) this.stop();
    else {
      this.state = "draining";
      this.process.kill();
    }
  }

  /**
   * Kills a worker whose event loop has stood still for too long. heartbeatMs is the time of its last tick,
   * graceFromMs a time before which nothing is held against it.
   */
  checkHeartbeat(nowMs: number, heartbeatMs: number, graceFromMs: number): void {
    if (this.process === null || this.state === "draining") return;
    const silentMs = nowMs - Math.max(heartbeatMs, this.spawnedMs, graceFromMs);
    if (silentMs < heartbeatMaxMs) return;
    const fields = { worker: this.worker, pid: this.pid, silentMs: Math.round(silentMs) };
    this.options.journal.record(LogLevel.Error, "worker does not respond and is killed", fields);
    this.process.kill();
  }

  onDeadline(): void {
    if (this.state === "waiting") {
      this.restarts++;
      this.start();
    } else if (this.state === "draining" && this.process !== null) {
      const fields = { worker: this.worker, pid: this.pid };
      this.options.journal.record(LogLevel.Warn, "worker did not drain in time and is killed", fields);
      this.process.kill();
    }
  }

  private forget(): void {
    this.generation = 0;
    this.oldestGeneration = 0;
    this.granted = new Set();
    this.logPath = "";
    this.hooksInForce = "";
  }

  private expect(kind: FromWorker["kind"]): Promise<string> {
    return new Promise((resolve) => {
      this.awaited = { kind, done: resolve };
    });
  }

  private settle(trouble: string): void {
    const awaited = this.awaited;
    this.awaited = null;
    awaited?.done(trouble);
  }

  private receive(message: FromWorker): void {
    if (message.kind === "hello") this.options.onHello(this);
    else if (message.kind === "retired") {
      this.oldestGeneration = message.oldestGeneration;
      this.options.onRetired();
    } else if (message.kind === "refused") this.settle(message.reason);
    else if (this.awaited?.kind === message.kind) this.settle("");
  }

  private exited(code: number | null, signal: string | null): void {
    const { journal, clock } = this.options;
    const wanted = this.state === "draining";
    const fields = { worker: this.worker, pid: this.pid, code, signal };
    if (wanted && code === 0) journal.record(LogLevel.Info, "worker stopped", fields);
    else journal.record(wanted ? LogLevel.Warn : LogLevel.Error, wanted ? "worker ended" : "worker crashed", fields);
    if (this.state === "running" && clock.nowMs() - this.runningMs >= healthyMs) this.failures = 0;
    this.process = null;
    this.forget();
    if (wanted) this.stop();
    else this.state = "waiting";
    this.settle(WORKER_ENDED);
    this.options.onExit(this);
    if (this.state === "waiting") this.again();
  }

  /** Starts the process again, after a while if that has failed before. */
  private again(): void {
    this.state = "waiting";
    const delayMs = restartDelayMs(this.failures++);
    if (delayMs === 0) {
      this.restarts++;
      this.start();
    } else this.options.timers.set(this.timer, this.options.clock.nowMs() + delayMs);
  }

  private stop(): void {
    this.state = "stopped";
    this.options.timers.clear(this.timer);
  }
}
