// A worker's shell: takes plans and sockets from the supervisor in two phases, hands them to the data plane, keeps the
// worker's gauges fresh, and leaves when told to or when the supervisor is gone. It knows no protocol.

import { LogLevel, type Log } from "../base/ports.ts";
import { reasonOf } from "../base/reason.ts";
import type { WorkerContext } from "../http/data-plane.ts";
import type { Plan } from "../model/plan.ts";
import { WC } from "../stats/columns.ts";
import type { HookFunctions } from "../config/ts/hooks.ts";
import { type EvaluateModule, HookLoader } from "./hook-loader.ts";
import { logLevelOf } from "./level-log.ts";
import type { FromWorker, Grant, Return, ToWorker } from "./messages.ts";
import type { Plane, PlaneMaker } from "./plane.ts";

/** What the shell needs of its process. */
export interface WorkerHost {
  send(message: FromWorker): void;
  /** The next descriptors sent by the supervisor, in order; fewer if they have not arrived. */
  takeDescriptors(count: number): number[];
  closeDescriptor(fd: number): void;
  /** Sends the access log to this descriptor, which it then owns; null = standard output. */
  switchLog(fd: number | null): void;
  setLogLevel(level: LogLevel): void;
  /** Throws an Error if there is no such user or the change is not permitted to be tried. */
  checkUser(user: string): void;
  /** Gives up all privileges for good. Throws an Error. */
  becomeUser(user: string): void;
  readonly evaluateModule: EvaluateModule;
  rssBytes(): number;
  pid(): number;
  /** Ends the process after writing out what the access log holds. */
  exit(code: number): void;
}

interface Pending<G> {
  readonly generation: G;
  readonly plan: Plan;
  readonly grants: readonly Grant[];
  readonly fds: readonly number[];
  readonly releases: readonly string[];
  readonly returns: readonly Return[];
  readonly logFd: number | null;
}

type Prepare = Extract<ToWorker, { kind: "prepare" }>;

interface LateSocket extends Grant {
  readonly fd: number;
}

const gaugesEveryMs = 1000;

export class WorkerShell<G> {
  private readonly context: WorkerContext;
  private readonly host: WorkerHost;
  private readonly maker: PlaneMaker<G>;
  private readonly plane: Plane<G>;
  private readonly log: Log;
  private readonly counters: Float64Array;
  private current: G | null = null;
  private plan: Plan | null = null;
  private pending: Pending<G> | null = null;
  /** Descriptors of a plan whose hooks are being loaded. */
  private loadingFds: readonly number[] = [];
  private readonly hooks: HookLoader;
  private late: readonly LateSocket[] = [];
  private userChanged = false;
  private drainDeadlineMs = 0;
  private leaving = false;
  private gone = false;
  private reportedOldest = 0;
  private gaugesMs = 0;

  constructor(context: WorkerContext, host: WorkerHost, maker: PlaneMaker<G>) {
    this.context = context;
    this.host = host;
    this.maker = maker;
    const { clock, timers, log } = context.env;
    this.log = log;
    this.hooks = new HookLoader(host.evaluateModule, clock, timers);
    this.plane = maker.create(context);
    this.counters = context.columns.worker(context.worker);
    this.counters[WC.pid] = host.pid();
    this.counters[WC.startedWallMs] = context.env.clock.wallMs();
    this.counters[WC.heartbeatMs] = context.env.clock.nowMs();
    host.send({ kind: "hello" });
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case "prepare":
        this.prepare(message);
        break;
      case "commit":
        this.commit(message.generation);
        break;
      case "discard":
        if (this.pending?.plan.generation === message.generation) this.dropPending();
        break;
      case "resolved":
        this.plane.setResolved(message.resolved);
        break;
      case "reopen":
        for (const fd of this.host.takeDescriptors(1)) this.host.switchLog(fd);
        break;
      case "drain":
        this.drain(message.timeoutMs);
    }
  }

  /** The supervisor has died: finish what is under way, then go, for nobody would restart or reload this worker. */
  orphaned(): void {
    if (this.leaving) return;
    this.log.write(LogLevel.Error, "the supervisor is gone, draining");
    this.drain(this.plan?.config.timeouts.drainMs ?? 0);
  }

  /** To be called about ten times a second: this is the heartbeat. */
  tick(nowMs: number, lagMs: number): void {
    this.counters[WC.heartbeatMs] = nowMs;
    if (nowMs - this.gaugesMs >= gaugesEveryMs) {
      this.gaugesMs = nowMs;
      this.counters[WC.rssBytes] = this.host.rssBytes();
      this.counters[WC.loopLagMs] = lagMs;
    }
    if (this.late.length > 0) this.adopt(this.late);
    const oldest = this.plane.oldestGeneration;
    if (this.current !== null && oldest !== this.reportedOldest) {
      this.reportedOldest = oldest;
      this.host.send({ kind: "retired", oldestGeneration: oldest });
    }
    if (this.leaving) this.leaveIfDone(nowMs);
  }

  private prepare(message: Prepare): void {
    const { plan, grants } = message;
    this.dropPending();
    const wanted = grants.length + (message.logFd ? 1 : 0);
    const fds = this.host.takeDescriptors(wanted);
    const missing = fds.length === wanted ? "" : `${fds.length} of ${wanted} descriptors arrived`;
    const hooks = this.hooks.known(plan.hooks);
    if (missing !== "") this.refuse(plan, fds, missing);
    else if (hooks !== null) this.build(message, fds, hooks);
    else {
      this.loadingFds = fds;
      this.hooks.load(plan.hooks!, (loaded) => {
        this.loadingFds = [];
        if ("trouble" in loaded) this.refuse(plan, fds, loaded.trouble);
        else this.build(message, fds, loaded.functions);
      });
    }
  }

  private build(message: Prepare, fds: number[], hooks: readonly HookFunctions[]): void {
    const { plan, grants, releases, returns } = message;
    try {
      if (plan.config.user !== null && !this.userChanged) this.host.checkUser(plan.config.user);
      const generation = this.maker.compile(plan, this.current, this.context, hooks);
      const logFd = message.logFd ? fds.pop()! : null;
      this.pending = { generation, plan, grants, fds, releases, returns, logFd };
    } catch (error) {
      this.refuse(plan, fds, reasonOf(error));
      return;
    }
    this.host.send({ kind: "prepared", generation: plan.generation });
  }

  private refuse(plan: Plan, fds: readonly number[], reason: string): void {
    for (const fd of fds) this.host.closeDescriptor(fd);
    this.host.send({ kind: "refused", generation: plan.generation, reason });
  }

  private commit(generation: number): void {
    const pending = this.pending;
    if (pending === null || pending.plan.generation !== generation) return;
    this.pending = null;
    const { plan } = pending;
    this.hooks.commit(plan.hooks);
    this.host.setLogLevel(logLevelOf(plan.config.logLevel));
    this.switchLog(plan, pending.logFd);
    for (const listener of pending.releases) this.plane.release(listener);
    this.plane.apply(pending.generation);
    this.current = pending.generation;
    this.plan = plan;
    // Clients that came while this worker was away are waiting in the kernel: privileges go first, then they are let
    // in.
    if (plan.config.user !== null && !this.userChanged) {
      this.host.becomeUser(plan.config.user);
      this.userChanged = true;
    }
    this.forgetLate((grant) => pending.releases.includes(grant.listener));
    this.adopt(pending.grants.map((grant, i) => ({ ...grant, fd: pending.fds[i]! })));
    for (const { listener, key } of pending.returns) {
      this.forgetLate((grant) => grant.listener === listener && grant.key === key);
      this.plane.giveBack(listener, key);
    }
    this.counters[WC.generation] = generation;
    this.host.send({ kind: "committed", generation });
  }

  /** What cannot be adopted, for want of descriptors, is tried again at every tick: its clients wait in the kernel. */
  private adopt(sockets: readonly LateSocket[]): void {
    const late: LateSocket[] = [];
    for (const socket of sockets) {
      const { listener, fd, port, key } = socket;
      try {
        this.plane.adopt(listener, fd, port, key);
      } catch (error) {
        late.push(socket);
        if (this.late.includes(socket)) continue; // known
        this.log.write(LogLevel.Error, "a listening socket has to wait", { listener, port, reason: String(error) });
      }
    }
    this.late = [...this.late.filter((socket) => !sockets.includes(socket)), ...late];
  }

  private forgetLate(goes: (grant: Grant) => boolean): void {
    for (const socket of this.late.filter(goes)) this.host.closeDescriptor(socket.fd);
    this.late = this.late.filter((socket) => !goes(socket));
  }

  private switchLog(plan: Plan, fd: number | null): void {
    if (fd !== null) this.host.switchLog(fd);
    else if ((plan.config.accessLog?.file ?? "-") === "-") this.host.switchLog(null);
  }

  private dropPending(): void {
    this.hooks.forget();
    for (const fd of this.loadingFds) this.host.closeDescriptor(fd);
    this.loadingFds = [];
    if (this.pending === null) return;
    for (const fd of this.pending.fds) this.host.closeDescriptor(fd);
    if (this.pending.logFd !== null) this.host.closeDescriptor(this.pending.logFd);
    this.pending = null;
  }

  private drain(timeoutMs: number): void {
    if (this.leaving) return;
    this.leaving = true;
    this.dropPending();
    this.forgetLate(() => true);
    const nowMs = this.context.env.clock.nowMs();
    this.drainDeadlineMs = nowMs + timeoutMs;
    this.plane.drain();
    this.leaveIfDone(nowMs);
  }

  private leaveIfDone(nowMs: number): void {
    if (this.gone) return;
    const open = this.plane.openConnections;
    if (open > 0 && nowMs < this.drainDeadlineMs) return;
    if (open > 0) {
      this.log.write(LogLevel.Warn, "drain timeout, connections closed", { open });
      this.plane.abortAll();
    }
    this.gone = true;
    this.host.exit(0);
  }
}
