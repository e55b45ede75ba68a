// A machine for the tests of this folder: workers that are objects, sockets that are numbers, time that stands still
// until told. Not used by the program.

import { type Env, type Log, type LogLevel, NOTHING_MOVED, RECEIVE_MAX } from "../base/ports.ts";
import { TimerWheel } from "../base/timer-wheel.ts";
import { seededRng } from "../base/seeded-rng.ts";
import type { BindAddress } from "../model/config.ts";
import type { DnsQuestion } from "../wire/dns/message.ts";
import type { DnsReply } from "./dns-client.ts";
import { FakeState } from "./fake-state.ts";
import type { Host, NameAnswer, WorkerEvents, WorkerProcess } from "./host.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** Lets promises that are already settled run on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** A clock, a wheel and a log under the test's control. */
export class FakeWorld {
  nowMs = 1000;
  readonly lines: string[] = [];
  readonly env: Env;

  constructor() {
    const log: Log = {
      write: (level: LogLevel, event, fields) => {
        const words = Object.entries(fields ?? {}).map(([name, value]) => ` ${name}=${value}`);
        this.lines.push(`${"DIWE"[level]} ${event}${words.join("")}`);
      },
    };
    this.env = {
      clock: { nowMs: () => this.nowMs, cachedMs: 0, wallMs: () => 1_700_000_000_000 + this.nowMs },
      rng: seededRng(1),
      timers: new TimerWheel(this.nowMs),
      net: {
        adopt: () => {
          throw new Error("not used");
        },
        // Nobody ever answers.
        connect: (target, events) => ({
          events,
          remoteAddress: target.ip,
          remotePort: target.port,
          isOpen: false,
          receiveMax: RECEIVE_MAX,
          write: () => 0,
          read: () => 0,
          moveTo: () => NOTHING_MOVED,
          unsent: () => -1,
          pause() {},
          resume() {},
          finish() {},
          close() {},
          abort() {},
        }),
      },
      log,
    };
  }

  /** Lets time pass in small steps, with everything that follows. */
  async pass(ms: number): Promise<void> {
    for (const end = this.nowMs + ms; this.nowMs < end;) {
      this.nowMs = Math.min(end, this.nowMs + 100);
      this.env.timers.advance(this.nowMs);
      await settle();
    }
  }
}

/** A worker process that does what it is told, unless the test says otherwise. */
export class FakeWorker implements WorkerProcess {
  readonly pid: number;
  readonly worker: number;
  readonly received: ToWorker[] = [];
  readonly fds: number[] = [];
  alive = true;
  /** What it says to a prepare: "" accepts, anything else refuses with that reason; null keeps silent. */
  refuse: string | null = "";
  private readonly events: WorkerEvents;

  constructor(pid: number, worker: number, events: WorkerEvents) {
    this.pid = pid;
    this.worker = worker;
    this.events = events;
  }

  say(message: FromWorker): void {
    queueMicrotask(() => {
      if (this.alive) this.events.onMessage(message);
    });
  }

  send(message: ToWorker, fds: readonly number[]): boolean {
    if (!this.alive) return false;
    this.received.push(message);
    this.fds.push(...fds);
    if (message.kind === "prepare" && this.refuse !== null) {
      const { generation } = message.plan;
      if (this.refuse === "") this.say({ kind: "prepared", generation });
      else this.say({ kind: "refused", generation, reason: this.refuse });
    } else if (message.kind === "commit") {
      this.say({ kind: "committed", generation: message.generation });
      this.say({ kind: "retired", oldestGeneration: message.generation });
    } else if (message.kind === "drain") this.exit(0);
    return true;
  }

  kill(): void {
    this.exit(null, "SIGKILL");
  }

  exit(code: number | null, signal: string | null = null): void {
    if (!this.alive) return;
    this.alive = false;
    queueMicrotask(() => this.events.onExit(code, signal));
  }

  /** The kinds of the messages it got, in order. */
  get kinds(): string {
    return this.received.map(({ kind }) => kind).join(" ");
  }
}

/** Descriptors are numbers from 10 up; nothing is real. */
export class FakeHost implements Host {
  readonly workers: FakeWorker[] = [];
  /** Open descriptors: number -> what it is. */
  readonly open = new Map<number, string>();
  /** Addresses that cannot be bound, as "ip:port". */
  readonly taken = new Set<string>();
  readonly removed: string[] = [];
  readonly names = new Map<string, NameAnswer | Error>();
  readonly lookups: string[] = [];
  /** "TYPE name" -> what name servers answer; what is not there does not exist. */
  readonly records = new Map<string, Partial<DnsReply> | Error>();
  readonly questions: string[] = [];
  readonly files = new Map<string, { readonly text: string; readonly stamp: string }>();
  readonly state = new FakeState();
  /** What to do with each new worker; the default lets it say hello. */
  onSpawn: (worker: FakeWorker) => void = (worker) => worker.say({ kind: "hello" });
  private lastFd = 9;
  private lastPid = 100;
  private lastPort = 40_000;
  private lastStamp = 0;

  spawn(worker: number, events: WorkerEvents): WorkerProcess {
    const process = new FakeWorker(++this.lastPid, worker, events);
    this.workers.push(process);
    this.onSpawn(process);
    return process;
  }

  listen(bind: BindAddress, reusePort: boolean): { fd: number; port: number } {
    const port = bind.unixPath !== null ? 0 : bind.port === 0 ? ++this.lastPort : bind.port;
    const place = bind.unixPath ?? `${bind.ip}:${port}`;
    if (this.taken.has(place)) throw new Error(`cannot listen on ${place}: the address is in use`);
    const shared = [...this.open.values()].filter((what) => what.startsWith(`${place} `));
    if (shared.length > 0 && !reusePort) throw new Error(`cannot listen on ${place}: it is ours`);
    return { fd: this.take(`${place} ${reusePort ? "shared" : "alone"}`), port };
  }

  close(fd: number): void {
    if (!this.open.delete(fd)) throw new Error(`descriptor ${fd} is not open`);
  }

  openLog(path: string): number {
    if (this.taken.has(path)) throw new Error(`cannot open the access log: ${path}`);
    return this.take(`log ${path}`);
  }

  removeSocketFile(path: string): void {
    this.removed.push(path);
  }

  knownAddresses(name: string): readonly string[] {
    return name === "localhost" ? ["127.0.0.1", "::1"] : [];
  }

  ask(question: DnsQuestion, servers: readonly string[]): Promise<DnsReply> {
    const key = `${question.type} ${question.name}`;
    this.questions.push([key, ...servers].join(" "));
    const answer = this.records.get(key) ?? {};
    if (answer instanceof Error) return Promise.reject(answer);
    return Promise.resolve({
      name: question.name,
      exists: this.records.has(key),
      answers: [],
      additional: [],
      ...answer,
    });
  }

  openState(): FakeState {
    return this.state;
  }

  fileStamp(path: string): string {
    const file = this.files.get(path);
    return file === undefined ? "" : file.stamp;
  }

  readFile(path: string): string {
    const file = this.files.get(path);
    if (file === undefined) throw new Error(`cannot read ${path}: no such file`);
    return file.text;
  }

  /** Writes or replaces a file of the machine. */
  write(path: string, text: string): void {
    this.files.set(path, { text, stamp: String(++this.lastStamp) });
  }

  resolve(name: string): Promise<NameAnswer> {
    this.lookups.push(name);
    const answer = this.names.get(name) ?? new Error(`cannot resolve ${name}: no such name`);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  }

  /** Living workers, the latest of each place. */
  get alive(): readonly FakeWorker[] {
    return this.workers.filter((worker) => worker.alive);
  }

  /** What is open, sorted, each with how often. */
  get opened(): string {
    const counts = new Map<string, number>();
    for (const what of this.open.values()) counts.set(what, (counts.get(what) ?? 0) + 1);
    return [...counts]
      .map(([what, count]) => `${count}x ${what}`)
      .sort()
      .join(", ");
  }

  private take(what: string): number {
    this.open.set(++this.lastFd, what);
    return this.lastFd;
  }
}
