// One run: the real data plane of one or two workers on a simulated machine, scripted clients and endpoints, an
// operator who changes things, and at the end the questions that must all have the same answer: nothing is left.

import { LogLevel, type Env } from "../../src/base/ports.ts";
import { TICK_MS, TimerWheel } from "../../src/base/timer-wheel.ts";
import { compile } from "../../src/compile/compile.ts";
import { DataPlane, type WorkerContext } from "../../src/http/data-plane.ts";
import type { Generation } from "../../src/http/generation.ts";
import { Admin, bumpEpoch, type Columns, columnsBytes, Health, openColumns } from "../../src/stats/columns.ts";
import { TableArena } from "../../src/stats/table-arena.ts";
import { Agenda, SimClock } from "./agenda.ts";
import { checkAlways, checkPatience, checkQuiet, isQuiet } from "./checks.ts";
import { SimClient } from "./client.ts";
import { Dice } from "./dice.ts";
import { SimEndpoint } from "./endpoint.ts";
import { Kernel } from "./kernel.ts";
import { Layout, sinkSites } from "./layout.ts";
import { Excuse, Ledger } from "./ledger.ts";
import { MalformedClient } from "./malformed.ts";
import { RequestTap, servedBy } from "./request-tap.ts";
import { simSealer } from "./sim-sealer.ts";
import { SimSink } from "./sink.ts";
import type { Sabotage, SimSocket } from "./sim-socket.ts";
import { Trace, type Violation } from "./trace.ts";
import { type Weather, weatherOf } from "./weather.ts";
import { PasswordDesk } from "../../src/http/password-desk.ts";
import { CompressorSupply } from "../../src/sys/compressors.ts";

/** No password is right. */
const passwords = new PasswordDesk({ check: () => Promise.resolve(false) }, new Uint8Array(16));

export interface RunOptions {
  readonly seed: number;
  /** One of profileNames; "" = by chance. */
  readonly profile?: string;
  readonly sabotage?: Sabotage;
  readonly print?: (line: string) => void;
}

export interface RunResult {
  readonly seed: number;
  readonly profile: string;
  /** Equal hashes: the same run, event by event. */
  readonly hash: string;
  readonly violation: Violation | null;
  readonly last: readonly string[];
  readonly tally: Ledger["tally"];
  readonly statuses: ReadonlyMap<number, number>;
  readonly events: number;
  readonly virtualMs: number;
  /** Most bytes held for one connection at once. */
  readonly heldMax: number;
}

export interface SimWorker {
  readonly plane: DataPlane;
  readonly context: WorkerContext;
  readonly timers: TimerWheel;
  readonly clock: SimClock;
  generation: Generation | null;
}

/** Whatever is under way has ended by then, or never will: the sum of all deadlines several times over. */
const QUIET_MS = 60_000;
/** What is on its way to the clients when the proxy is done. */
const SETTLE_MS = 500;
const EVENTS_MAX = 3_000_000;
const columnsSize = { workers: 2, listeners: 2, endpoints: 32 };
/** For runs whose routes have limits: mostly untouched, so that it is there in name only. */
const tableBytes = 64 * 1024 * 1024;

export class World {
  readonly agenda = new Agenda();
  readonly dice: Dice;
  readonly weather: Weather;
  readonly trace: Trace;
  readonly kernel: Kernel;
  readonly layout: Layout;
  readonly ledger: Ledger;
  readonly columns: Columns;
  readonly arena: TableArena;
  readonly compressors = new CompressorSupply();
  readonly workers: readonly SimWorker[];
  heldMax = 0;
  logLines = 0;
  private readonly seed: number;
  private readonly endpoints = new Map<string, SimEndpoint>();
  private readonly closingListeners = new Set<string>();
  private readonly knownRows = new Set<number>();
  private readonly clients: (SimClient | MalformedClient)[] = [];
  private readonly taps = new WeakMap<SimSocket, RequestTap>();
  private ids = 0;
  private winding = false;

  constructor(options: RunOptions) {
    this.seed = options.seed;
    this.dice = new Dice(options.seed);
    this.weather = weatherOf(this.dice, options.profile ?? "");
    this.trace = new Trace(() => this.agenda.nowMs - this.agenda.startMs, options.print ?? null);
    this.kernel = new Kernel(this.agenda, new Dice(options.seed ^ 0x5bd1e995), this.trace, this.weather.net);
    this.kernel.sabotage = options.sabotage ?? null;
    this.kernel.inspect = (socket) => checkAlways(this, socket);
    this.layout = new Layout(this.dice, this.weather);
    const { policies } = this.layout;
    this.ledger = new Ledger(this.trace, this.weather.solid, policies?.retry, policies !== null);
    const size = policies === null ? columnsSize : { ...columnsSize, tableBytes };
    this.columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
    this.arena = new TableArena(this.columns.arena);
    if (policies !== null) for (const site of sinkSites) void new SimSink(this, site);
    for (const site of this.layout.sites) this.endpoints.set(site.key, new SimEndpoint(this, site));
    this.kernel.onUpstream = (socket, key) => {
      if (!this.endpoints.has(key)) return;
      const tap = new RequestTap((id, reused) => {
        const attempt = this.ledger.sent(id, reused);
        if (attempt !== null) this.endpoints.get(key)!.sent(socket.peer!, attempt);
      });
      socket.tap = (bytes) => tap.feed(bytes);
      this.taps.set(socket, tap);
    };
    this.kernel.onPeerGone = (socket) => {
      const tap = this.taps.get(socket);
      const request = tap === undefined ? undefined : this.ledger.request(servedBy(socket));
      if (tap === undefined || request === undefined) return;
      this.taps.delete(socket); // once is enough
      // What is sent counts with the attempt; a request that was not, or not quite, is as good as new unless it has a
      // body.
      if (tap.isWithinHead) this.ledger.lose(request, tap.requests > 0, Excuse.Endpoint);
      else if (request.spec.body !== "none") this.ledger.excuse(request, Excuse.Endpoint);
    };
    this.kernel.onAbort = (socket) => checkPatience(this, socket);
    this.workers = Array.from({ length: this.weather.workers }, (_, index) => this.newWorker(index));
  }

  private newWorker(worker: number): SimWorker {
    const clock = new SimClock(this.agenda);
    const timers = new TimerWheel(this.agenda.nowMs);
    const log = {
      write: (level: LogLevel, event: string): void => {
        if (level >= LogLevel.Warn && !event.startsWith("hook failed")) this.trace.fail("log", event);
      },
    };
    const env: Env = { clock, rng: new Dice(this.seed + worker + 1).rng, timers, net: this.kernel.net(), log };
    const { connectionsMax } = this.weather;
    const accessLog = {
      append: (bytes: Uint8Array, start: number, end: number): void =>
        this.logged(Buffer.from(bytes).toString("utf8", start, end)),
    };
    const { columns } = this;
    const context: WorkerContext = {
      env,
      columns,
      worker,
      accessLog,
      connectionsMax,
      newSealer: simSealer,
      compressors: this.compressors,
      passwords,
    };
    const plane = new DataPlane(context);
    return { plane, context, timers, clock, generation: null };
  }

  /** A line of the access log: one JSON value that says how the exchange ended. */
  private logged(line: string): void {
    this.trace.note("log", line.length);
    try {
      const { status, termination } = JSON.parse(line) as { readonly status: number; readonly termination: string };
      const whole = line.endsWith("\n") && line.indexOf("\n") === line.length - 1;
      if (!whole || !Number.isInteger(status) || termination.length !== 2) this.trace.fail("log", line);
      this.logLines++;
    } catch {
      this.trace.fail("log", line);
    }
  }

  nextId(): number {
    return ++this.ids;
  }

  /** A whole request without a body has gone out on this connection, and its client is there. */
  isWaitedFor(socket: SimSocket): boolean {
    const tap = this.taps.get(socket);
    const request = tap === undefined || tap.isWithinHead ? undefined : this.ledger.request(tap.lastId);
    return request !== undefined && request.spec.body === "none" && request.outcome === "open";
  }

  /** Requests to this listener may find its connections closing. */
  isClosing(listener: string): boolean {
    return this.closingListeners.has(listener);
  }

  // ---- the operator

  /** Puts the next plan into force in all workers. */
  private deploy(): void {
    const plan = this.layout.plan(this.arena);
    this.trace.note("deploy", plan.generation);
    this.setRows();
    for (const worker of this.workers) {
      const generation = compile(plan, worker.generation, worker.context, this.layout.hooks);
      worker.plane.apply(generation);
      worker.generation = generation;
    }
    for (const name of ["web", "side"]) this.bindOrRelease(name);
  }

  private readonly bound = new Set<string>();

  private bindOrRelease(name: string): void {
    const wanted = this.layout.listeners.has(name);
    if (wanted === this.bound.has(name)) return;
    if (wanted) {
      this.bound.add(name);
      const port = this.layout.portOf(name);
      for (const worker of this.workers) worker.plane.adopt(name, this.kernel.bind(port), port);
    } else {
      this.bound.delete(name);
      this.closingListeners.add(name);
      for (const worker of this.workers) worker.plane.release(name);
    }
  }

  /** What the supervisor writes for rows that are new. */
  private setRows(): void {
    for (const { pool, site, row } of this.layout.members()) {
      this.columns.weight[row] = this.layout.weightOf(pool, site.name);
      if (this.knownRows.has(row)) continue;
      this.knownRows.add(row);
      this.columns.admin[row] = Admin.Ready;
      this.columns.health[row] = Health.Unknown;
    }
    bumpEpoch(this.columns);
  }

  /** Health, the operator's word, a weight or a name of an endpoint changes. */
  private flip(): void {
    const { dice, columns } = this;
    const members = [...this.layout.members()].filter(({ site }) => !site.solid);
    if (members.length === 0) return;
    const { site, row } = dice.pick(members);
    const what = dice.whole(0, 3);
    this.trace.note("flip", site.name, row, what);
    if (what === 0) {
      columns.health[row] = dice.pick([Health.Up, Health.Down, Health.Unknown]);
      if (columns.health[row] === Health.Up) columns.upSinceMs[row] = this.agenda.nowMs;
    } else if (what === 1) columns.admin[row] = dice.pick([Admin.Ready, Admin.Drain, Admin.Maint]);
    else if (what === 2) columns.weight[row] = dice.whole(0, 3);
    else if (site.host !== null) {
      this.layout.names.set(site.host, dice.pick([null, site.ip, "10.0.0.99"]));
      for (const worker of this.workers) worker.plane.setResolved(this.layout.resolved());
    }
    bumpEpoch(columns);
  }

  private kill(): void {
    const endpoint = this.dice.pick([...this.endpoints.values()]);
    endpoint.die(this.dice.real(50, 1500));
  }

  // ---- the run

  private arrange(): void {
    const { agenda, dice, weather } = this;
    const span = weather.seconds * 1000;
    const sometime = (count: number, run: () => void): void => {
      for (let i = 0; i < count; i++) agenda.after(dice.real(10, span), run);
    };
    sometime(weather.connections, () => this.newClient());
    sometime(weather.reloads, () => {
      this.layout.change();
      this.deploy();
    });
    sometime(weather.flips, () => this.flip());
    sometime(weather.deaths, () => this.kill());
    for (const worker of this.workers) this.tick(worker);
    agenda.after(span, () => this.windDown());
  }

  private newClient(): void {
    const { dice, weather } = this;
    const listener = dice.pick(["web", "web", "side"]);
    this.clients.push(
      dice.chance(weather.malformed) ? new MalformedClient(this, listener) : new SimClient(this, listener),
    );
  }

  /** As sys/timers.ts does it, now and then late. */
  private tick(worker: SimWorker): void {
    const { dice } = this;
    const late = dice.chance(0.05) ? dice.real(0, 3 * TICK_MS) : dice.real(0, 5);
    this.agenda.after(TICK_MS + late, () => {
      try {
        worker.timers.advance(worker.clock.nowMs());
      } catch (error) {
        this.trace.fail("throws", error instanceof Error ? (error.stack ?? error.message) : String(error));
      }
      checkAlways(this, null);
      this.tick(worker);
    });
  }

  private windDown(): void {
    this.winding = true;
    if (!this.weather.drains) return;
    for (const name of this.bound) this.closingListeners.add(name);
    this.trace.note("drain");
    for (const worker of this.workers) worker.plane.drain();
    this.agenda.after(this.dice.real(0, 4000), () => this.cut());
  }

  /** The drain's deadline has come. */
  private cut(): void {
    this.trace.note("cut");
    for (const request of this.ledger.all())
      if (request.outcome === "open" || request.spec.upgrades) request.excuse |= Excuse.Cut;
    for (const worker of this.workers) worker.plane.abortAll();
  }

  run(): RunResult {
    this.deploy();
    this.arrange();
    const { agenda, trace } = this;
    const endMs = agenda.nowMs + this.weather.seconds * 1000 + QUIET_MS;
    let asked = 0;
    while (trace.violation === null) {
      agenda.step();
      if (agenda.count > EVENTS_MAX) trace.fail("endless", `${EVENTS_MAX} events`);
      if (!this.winding || agenda.count < asked) continue;
      asked = agenda.count + 50;
      if (isQuiet(this) || agenda.nowMs > endMs) break;
    }
    for (const settledMs = agenda.nowMs + SETTLE_MS; trace.violation === null && agenda.nowMs < settledMs;)
      agenda.step();
    if (trace.violation === null) checkQuiet(this);
    return {
      seed: this.seed,
      profile: this.weather.profile,
      hash: trace.hash,
      violation: trace.violation,
      last: trace.violation === null ? [] : trace.last,
      tally: this.ledger.tally,
      statuses: this.ledger.statuses,
      events: agenda.count,
      virtualMs: agenda.nowMs - agenda.startMs,
      heldMax: this.heldMax,
    };
  }
}
