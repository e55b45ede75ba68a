// The real data plane on a quiet simulated network, for scenes written by hand: one listener, one pool, a client that
// says what the scene tells it, endpoints that are plain callbacks. For what random runs once found and a test should
// show in a few lines.

import type { ConnectionEvents, Env } from "../../src/base/ports.ts";
import { TICK_MS, TimerWheel } from "../../src/base/timer-wheel.ts";
import { compile } from "../../src/compile/compile.ts";
import { DataPlane, type WorkerContext } from "../../src/http/data-plane.ts";
import type { Config, ListenerLimits, PoolConfig } from "../../src/model/config.ts";
import { defaultListener, defaultPool, defaultRoute } from "../../src/model/defaults.ts";
import { columnsBytes, openColumns, WC } from "../../src/stats/columns.ts";
import { sealerOf } from "../../src/sys/sealer.ts";
import { latin1 } from "../../src/wire/h1/tables.ts";
import { Agenda, SimClock } from "./agenda.ts";
import { Dice } from "./dice.ts";
import { Kernel, type NetMood, type Welcome } from "./kernel.ts";
import { SimSocket } from "./sim-socket.ts";
import { Trace } from "./trace.ts";
import { PasswordDesk } from "../../src/http/password-desk.ts";
import { CompressorSupply } from "../../src/sys/compressors.ts";

/** No password is right. */
const passwords = new PasswordDesk({ check: () => Promise.resolve(false) }, new Uint8Array(16));

const quiet: NetMood = {
  latencyMaxMs: 0.1,
  windowMin: 1_000_000,
  windowMax: 1_000_001,
  readMax: 1_000_000,
  lag: 0,
  whole: 1,
  partial: 0,
  spuriousDrain: 0,
  flushOnReset: 1,
};

const PORT = 8080;

/** What an endpoint does with a connection: hears the text that arrives, and answers on the socket. */
export interface Actor {
  welcome?(): Welcome;
  onText(socket: SimSocket, text: string): void;
}

/** One end of a connection in a scene: collects what it hears. */
class Ear implements ConnectionEvents {
  text = "";
  ended = "";
  socket: SimSocket | null = null;
  private readonly heard: (socket: SimSocket, text: string) => void;

  constructor(heard: (socket: SimSocket, text: string) => void) {
    this.heard = heard;
  }

  onOpen(): void {}
  onDrain(): void {}

  onData(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString("latin1");
    this.text += text;
    this.heard(this.socket!, text);
  }

  onFinish(): void {
    this.ended ||= "finished";
  }

  onClose(cause: number): void {
    this.ended ||= `closed ${cause}`;
  }
}

export function say(socket: SimSocket, text: string): void {
  const bytes = latin1(text);
  if (socket.write(bytes, 0, bytes.length) !== bytes.length) throw new Error("the network is too slow for this scene");
}

export class Stage {
  readonly agenda = new Agenda();
  readonly kernel: Kernel;
  readonly trace: Trace;
  private readonly context: WorkerContext;
  private readonly timers: TimerWheel;
  private readonly clock: SimClock;

  /** Each actor is an endpoint of the pool, tried in turn. */
  constructor(actors: readonly Actor[], mood: Partial<NetMood> = {}, limits: Partial<ListenerLimits> = {}) {
    const dice = new Dice(1);
    this.trace = new Trace(() => this.agenda.nowMs, null);
    this.kernel = new Kernel(this.agenda, dice, this.trace, { ...quiet, ...mood });
    this.timers = new TimerWheel(this.agenda.nowMs);
    this.clock = new SimClock(this.agenda);
    const size = { workers: 1, listeners: 1, endpoints: actors.length };
    const columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
    columns.weight.fill(1);
    const env: Env = {
      clock: this.clock,
      rng: dice.rng,
      timers: this.timers,
      net: this.kernel.net(),
      log: { write() {} },
    };
    this.context = {
      env,
      columns,
      worker: 0,
      accessLog: null,
      connectionsMax: 0,
      newSealer: sealerOf,
      compressors: new CompressorSupply(),
      passwords,
    };
    const plane = new DataPlane(this.context);
    const ids = actors.map((_, i) => `10.0.0.${i + 1}`);
    const endpointRows = { pool: Object.fromEntries(ids.map((id, row) => [id, row])) };
    const config = configOf(ids, limits);
    const rows = {
      listenerRows: { web: 0 },
      endpointRows,
      poolRows: { pool: 0 },
      tables: {},
      cookieKeys: [],
      hooks: null,
    };
    const plan = { generation: 1, config, workers: 1, ...rows, resolved: {} };
    plane.apply(compile(plan, null, this.context));
    plane.adopt("web", this.kernel.bind(PORT), PORT);
    actors.forEach((actor, i) => this.serve(`${ids[i]}:80`, actor));
    this.tick();
  }

  private serve(key: string, actor: Actor): void {
    this.kernel.serve(key, {
      welcome: () => actor.welcome?.() ?? "accept",
      accept: (socket) => {
        const ear = new Ear((from, text) => actor.onText(from, text));
        ear.socket = socket;
        return ear;
      },
    });
  }

  private tick(): void {
    this.agenda.after(TICK_MS, () => {
      this.timers.advance(this.clock.nowMs());
      this.tick();
    });
  }

  /** A client; connects at once. */
  client(): { readonly ear: Ear; readonly socket: SimSocket } {
    const ear = new Ear(() => {});
    const socket = this.kernel.dial(PORT, "192.0.2.1", ear);
    ear.socket = socket;
    this.play(5);
    return { ear, socket };
  }

  /** Lets virtual time pass. */
  play(ms: number): void {
    const untilMs = this.agenda.nowMs + ms;
    let over = false;
    this.agenda.at(untilMs, () => (over = true));
    while (!over) this.agenda.step();
    if (this.trace.violation !== null) throw new Error(this.trace.violation.detail);
  }

  /** Requests under way. */
  get exchanges(): number {
    return this.context.columns.worker(0)[WC.exchanges]!;
  }
}

function configOf(ips: readonly string[], limits: Partial<ListenerLimits>): Config {
  return {
    workers: 1,
    user: null,
    admin: null,
    accessLog: null,
    logLevel: "error",
    timeouts: { drainMs: 1000 },
    listeners: [
      {
        name: "web",
        bind: [{ ip: "127.0.0.1", port: PORT, unixPath: null }],
        ...defaultListener,
        protocol: "http",
        trustedProxies: [],
        via: null,
        timeouts: { requestHeadMs: 1000, idleMs: 5000, bodyMs: 1000, writeMs: 1000 },
        limits: {
          connections: 100,
          connectionsPerClient: 0,
          headBytes: 16_384,
          headers: 100,
          bodyBytes: 0,
          requests: 0,
          ...limits,
        },
        routes: [
          {
            ...defaultRoute,
            name: "0",
            action: { kind: "forward", arms: [{ pool: "pool", weight: 1 }], sticky: null },
            timeouts: {
              connectMs: 200,
              sendMs: 1000,
              responseMs: 1000,
              totalMs: 0,
              tunnelMs: 1000,
              tunnelLifetimeMs: 0,
            },
          },
        ],
      },
    ],
    pools: [poolOf(ips)],
    state: null,
    secret: null,
    tests: [],
  };
}

function poolOf(ips: readonly string[]): PoolConfig {
  return {
    name: "pool",
    balance: { by: "round-robin" },
    endpoints: ips.map((host) => ({
      id: host,
      host,
      port: 80,
      unixPath: null,
      weight: 1,
      backup: false,
      maxConnections: 0,
      admin: "ready",
    })),
    ...defaultPool,
    protocol: "http",
    health: null,
    passive: null,
    slowStartMs: 0,
    keepAlive: { connections: 10, idleMs: 5000, requests: 0 },
    queue: { size: 10, timeoutMs: 1000 },
    noneHealthy: "fail",
    resolve: { minMs: 5000, maxMs: 60_000, servers: [] },
  };
}
