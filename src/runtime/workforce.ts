// All workers together: starts them, brings them all from one plan to the next in two phases, sees that the dead are
// replaced and the surplus leaves. Either every running worker takes a new plan or none does.

import { workersMax } from "../base/limits.ts";
import { LogLevel, type Clock } from "../base/ports.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { Plan } from "../model/plan.ts";
import { WC, type Columns } from "../stats/columns.ts";
import type { Host } from "./host.ts";
import type { Journal } from "./journal.ts";
import type { Return } from "./messages.ts";
import type { Pairing } from "./socket-book.ts";
import { WORKER_ENDED, WorkerSlot, type Delivery } from "./worker-slot.ts";

export interface LogFile {
  readonly path: string;
  readonly fd: number;
}

/** A plan with everything that goes to the workers beside it. */
export interface Deployment {
  readonly plan: Plan;
  readonly pairings: readonly Pairing[];
  /** null = no log, or standard output. */
  readonly log: LogFile | null;
}

export interface WorkforceOptions {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly host: Host;
  readonly journal: Journal;
  readonly columns: Columns;
  /** A worker has ended and its books must be settled before anybody takes its place. */
  readonly onExit: (worker: number) => void;
  /** Some worker holds fewer old generations than before. */
  readonly onRetired: () => void;
}

const checkEveryMs = 1000;
/**
 * A longer gap between two of the supervisor's own checks means that it was stopped itself, and its workers perhaps
 * too.
 */
const ownGapMs = 3000;

export class Workforce {
  private readonly options: WorkforceOptions;
  private readonly slots: WorkerSlot[] = [];
  private current: Deployment | null = null;
  private wanted = 0;
  private stopping = false;
  private readonly checkTimer: number;
  private lastCheckMs = 0;
  private graceFromMs = 0;
  /** Told of every change of some worker's state. */
  private watchers: (() => void)[] = [];
  private launchTrouble = "";

  constructor(options: WorkforceOptions) {
    this.options = options;
    this.checkTimer = options.timers.open({ onDeadline: () => this.check() });
  }

  get workers(): readonly WorkerSlot[] {
    return this.slots;
  }

  /** How many workers the configuration wants. */
  get size(): number {
    return this.wanted;
  }

  /** The oldest generation that any worker may still be working with. */
  get oldestGeneration(): number {
    let oldest = this.current?.plan.generation ?? 0;
    for (const slot of this.slots) {
      if (slot.pid !== 0 && slot.oldestGeneration !== 0) oldest = Math.min(oldest, slot.oldestGeneration);
    }
    return oldest;
  }

  /** The oldest generation that may still be in force in some worker: all begin nothing under older ones. */
  get oldestInForce(): number {
    let oldest = this.current?.plan.generation ?? 0;
    for (const { pid, generation, oldestGeneration } of this.slots) {
      // One that has just started may have put in force what it was sent first, and not have said so yet.
      const inForce = generation !== 0 ? generation : oldestGeneration;
      if (pid !== 0 && inForce !== 0) oldest = Math.min(oldest, inForce);
    }
    return oldest;
  }

  /** First start. Resolves with "" once all workers run the plan, or with why one does not. */
  async launch(deployment: Deployment, count: number): Promise<string> {
    if (this.stopping) return "stopped before it was running";
    this.current = deployment;
    this.resize(count);
    this.lastCheckMs = this.options.clock.nowMs();
    this.options.timers.set(this.checkTimer, this.lastCheckMs + checkEveryMs);
    const allRun = (): boolean => this.slots.every((slot) => slot.state === "running");
    await this.until(() => this.launchTrouble !== "" || this.stopping || allRun());
    return this.stopping ? "stopped before it was running" : this.launchTrouble;
  }

  /**
   * Brings every running worker to a new plan. beforeCommit runs once all of them have accepted it, and may still say
   * no. Resolves with "", or with why one of them refused: then nothing has changed anywhere.
   */
  async deploy(deployment: Deployment, count: number, beforeCommit: () => boolean): Promise<string> {
    const ready = this.slots.filter((slot) => slot.state === "running" && !slot.busy && slot.worker < count);
    const troubles = await Promise.all(ready.map((slot) => slot.prepare(deliveryFor(slot, deployment))));
    const refusing = troubles.findIndex((trouble) => trouble !== "");
    if (refusing >= 0 || !beforeCommit()) {
      for (const slot of ready) slot.discard(deployment.plan.generation);
      for (const slot of this.slots) void this.catchUp(slot);
      return refusing >= 0 ? `worker ${ready[refusing]!.worker}: ${troubles[refusing]!}` : "stopping";
    }
    this.current = deployment;
    this.wanted = count;
    await Promise.all(ready.map((slot) => this.commit(slot, deployment)));
    for (const slot of this.slots) void this.catchUp(slot);
    return "";
  }

  /** Starts what is missing and drains what is too much. Called once a plan for this many is in force. */
  resize(count: number): void {
    this.wanted = Math.min(count, workersMax);
    for (let worker = this.slots.length; worker < this.wanted; worker++) this.slots.push(this.open(worker));
    for (const slot of this.slots) {
      if (slot.worker < this.wanted) {
        if (slot.state === "stopped") slot.start();
      } else if (slot.state !== "stopped") slot.drain(this.drainMs());
    }
  }

  /** New addresses of host names: for the workers now, and for those that start later. */
  setResolved(resolved: Plan["resolved"]): void {
    if (this.current === null) return;
    this.current = { ...this.current, plan: { ...this.current.plan, resolved } };
    for (const slot of this.slots) if (slot.state === "running") slot.sendResolved(resolved);
  }

  /** The access log was opened anew. */
  setLog(log: LogFile): void {
    if (this.current === null) return;
    this.current = { ...this.current, log };
    for (const slot of this.slots) if (slot.logPath !== "") slot.reopen(log.fd);
  }

  /** Has every worker finish and exit; none is started again. */
  drain(): void {
    this.stopping = true;
    this.options.timers.clear(this.checkTimer);
    for (const slot of this.slots) slot.drain(this.drainMs());
    this.changed();
  }

  /** Ends every worker at once. */
  kill(): void {
    this.stopping = true;
    this.options.timers.clear(this.checkTimer);
    for (const slot of this.slots) slot.kill();
    this.changed();
  }

  /** Resolves once no worker is left. */
  stopped(): Promise<void> {
    return this.until(() => this.slots.every((slot) => slot.state === "stopped"));
  }

  private drainMs(): number {
    return this.current?.plan.config.timeouts.drainMs ?? 0;
  }

  private open(worker: number): WorkerSlot {
    const { clock, timers, host, journal, onRetired } = this.options;
    return new WorkerSlot({
      worker,
      clock,
      timers,
      host,
      journal,
      onHello: (slot) => void this.catchUp(slot),
      onRetired,
      onExit: (slot) => this.exited(slot),
    });
  }

  private exited(slot: WorkerSlot): void {
    this.options.onExit(slot.worker);
    this.options.onRetired();
    if (slot.state === "waiting") this.launchTrouble ||= `worker ${slot.worker} ended before it was ready`;
    // A worker that was surplus for a while and is wanted again.
    if (slot.state === "stopped" && slot.worker < this.wanted && !this.stopping) slot.start();
    this.changed();
  }

  /** Brings one worker, started or left behind, to the plan in force. */
  private async catchUp(slot: WorkerSlot): Promise<void> {
    for (;;) {
      const deployment = this.current;
      if (deployment === null || slot.busy || slot.generation === deployment.plan.generation) return;
      if (slot.worker >= this.wanted) return;
      if (slot.pid === 0 || (slot.state !== "starting" && slot.state !== "running")) return;
      const trouble = await slot.prepare(deliveryFor(slot, deployment));
      if (trouble === "") await this.commit(slot, deployment);
      else if (trouble !== WORKER_ENDED) {
        this.launchTrouble ||= `worker ${slot.worker}: ${trouble}`;
        const fields = { worker: slot.worker, generation: deployment.plan.generation, reason: trouble };
        this.options.journal.record(LogLevel.Error, "worker refuses the configuration", fields);
        slot.replace();
      }
      this.changed();
      if (trouble !== "") return;
    }
  }

  private async commit(slot: WorkerSlot, deployment: Deployment): Promise<void> {
    const granted = new Set(sharesOf(slot.worker, deployment).map(({ key }) => key));
    const { plan, log } = deployment;
    const trouble = await slot.commit(plan.generation, granted, log === null ? "" : log.path);
    if (trouble !== "") return;
    const now = this.current;
    if (now === null) return;
    if (now.plan.resolved !== plan.resolved) slot.sendResolved(now.plan.resolved);
    if (now.log !== null && log !== null && now.log.fd !== log.fd) slot.reopen(now.log.fd);
    this.changed();
  }

  /** Once a second: nobody's event loop may stand still. */
  private check(): void {
    const nowMs = this.options.clock.nowMs();
    if (nowMs - this.lastCheckMs > ownGapMs) this.graceFromMs = nowMs;
    this.lastCheckMs = nowMs;
    for (const slot of this.slots) {
      slot.checkHeartbeat(nowMs, this.options.columns.worker(slot.worker)[WC.heartbeatMs]!, this.graceFromMs);
    }
    this.options.timers.set(this.checkTimer, nowMs + checkEveryMs);
  }

  private changed(): void {
    for (const watcher of [...this.watchers]) watcher();
  }

  private until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const watcher = (): void => {
        if (!condition()) return;
        this.watchers = this.watchers.filter((other) => other !== watcher);
        resolve();
      };
      this.watchers.push(watcher);
    });
  }
}

/**
 * A socket of a listener at one of its addresses; the key is the pairing's and its place among the address's sockets.
 */
interface Share {
  readonly key: string;
  readonly pairing: Pairing;
  readonly fd: number;
}

/**
 * The sockets a worker accepts on: of each address its own, and those beyond the number of workers, which all share.
 * There are such after a reload that took workers away: closing their sockets would reset the clients that wait there.
 */
function sharesOf(worker: number, { pairings, plan }: Deployment): Share[] {
  return pairings.flatMap((pairing) => {
    const { fds, address } = pairing.bound;
    const share = (fd: number, i: number): Share => ({ key: `${pairing.key}\n${i}`, pairing, fd });
    // A unix socket is one and the same for all.
    if (address.unixPath !== null) return [share(fds[0]!, 0)];
    return fds.map(share).filter((_, i) => i === worker || i >= plan.workers);
  });
}

/** What a worker needs beyond what it has. A listener that loses one of its addresses has its sockets granted anew. */
export function deliveryFor(
  slot: Pick<WorkerSlot, "worker" | "granted" | "logPath">,
  deployment: Deployment,
): Delivery {
  const shares = sharesOf(slot.worker, deployment);
  const mine = new Set(shares.map(({ key }) => key));
  const pairings = new Set(deployment.pairings.map(({ key }) => key));
  const releases = new Set<string>();
  const returns: Return[] = [];
  for (const key of slot.granted) {
    const listener = key.slice(0, key.indexOf("\n"));
    if (!pairings.has(key.slice(0, key.lastIndexOf("\n")))) releases.add(listener);
    else if (!mine.has(key)) returns.push({ listener, key });
  }
  const missing = shares.filter(({ key, pairing }) => !slot.granted.has(key) || releases.has(pairing.listener));
  const { log } = deployment;
  return {
    plan: deployment.plan,
    grants: missing.map(({ key, pairing }) => ({ listener: pairing.listener, port: pairing.bound.address.port, key })),
    fds: missing.map(({ fd }) => fd),
    releases: [...releases],
    returns: returns.filter(({ listener }) => !releases.has(listener)),
    logFd: log === null || log.path === slot.logPath ? null : log.fd,
  };
}
