// For the tests of this folder: a listener with one route to a pool, whose clients and endpoints the test plays. Not
// part of the program.

import { latin1Text } from "../base/bytes.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { FakeConnection } from "../codec/test-kit.ts";
import { LimitBook } from "../limit/limit-book.ts";
import type { ListenerConfig, PoolConfig } from "../model/config.ts";
import { defaultListener, defaultListenerLimits, defaultListenerTimeouts } from "../model/defaults.ts";
import type { SampleEndpoint } from "../pool/sample-pool.ts";
import { compilePathRules } from "../route/path.ts";
import { LC } from "../stats/columns.ts";
import { AcceptGate } from "./accept-gate.ts";
import { AccessLog } from "./access-log.ts";
import { ExchangePool } from "./exchange-pool.ts";
import type { Generation, ListenerPlan } from "./generation.ts";
import { Listener } from "./listener.ts";
import { PoolRig } from "./pool-rig.ts";
import { ReplayMemory } from "./replay-buffer.ts";
import type { Route } from "./route.ts";
import { plainRoute, routerOf } from "./test-kit.ts";

/** What is not said is default. */
export interface RigOptions {
  readonly endpoints?: readonly SampleEndpoint[];
  readonly pool?: Partial<PoolConfig>;
  readonly route?: Partial<Route>;
  readonly timeouts?: Partial<ListenerConfig["timeouts"]>;
  readonly paths?: ListenerConfig["paths"];
  /** Template of the access log. */
  readonly log?: string;
}

export class ListenerRig {
  readonly pool: PoolRig;
  readonly exchanges: ExchangePool;
  readonly listener: Listener;
  log = "";

  constructor(options: RigOptions = {}) {
    const pool = new PoolRig(options.endpoints, options.pool);
    const { time, columns, connector, runtime } = pool;
    this.pool = pool;
    this.exchanges = new ExchangePool(columns.worker(0));
    const config: ListenerConfig = {
      name: "web",
      bind: [],
      ...defaultListener,
      paths: options.paths ?? defaultListener.paths,
      protocol: "http",
      trustedProxies: [],
      via: null,
      timeouts: { ...defaultListenerTimeouts, ...options.timeouts },
      limits: defaultListenerLimits,
      routes: [],
    };
    const plan: ListenerPlan = {
      name: "web",
      row: 0,
      config,
      trustedProxies: [],
      viaLine: null,
      connectionsMax: 100,
      access: null,
      connectionsPerClient: null,
      pathRules: compilePathRules(config.paths),
      router: routerOf({ ...plainRoute(runtime), ...options.route }),
    };
    const place = { arena: columns.arena, tables: {}, workers: 1, worker: 0 };
    const generation: Generation = {
      number: 1,
      accessLog: null,
      listeners: new Map([["web", plan]]),
      pools: new Map([["app", runtime]]),
      limits: new LimitBook({ listeners: [] } as never, place, null),
      tokens: { keys: "", box: null },
      learned: { logins: new Map(), answers: new Map() },
      exchanges: 0,
    };
    this.listener = new Listener(plan, generation, columns.listener(0, 0), {
      clock: time,
      timers: time.timers,
      rng: seededRng(1),
      connector,
      exchanges: this.exchanges,
      replayMemory: new ReplayMemory(),
      gate: new AcceptGate(0, () => {}),
      seed: columns.seed,
    });
    const append = (bytes: Uint8Array, start: number, end: number): void =>
      void (this.log += latin1Text(bytes, start, end));
    const template = options.log ?? "{status} {attempts} {termination} {cause}";
    this.listener.accessLog = new AccessLog({ format: "template", template, file: "-" }, { append }, time);
  }

  /** Another client, which sends this. */
  ask(text: string): FakeConnection {
    const client = new FakeConnection();
    client.events = this.listener.acceptOn(80)(client);
    client.receive(text);
    return client;
  }

  /** A counter of the listener. */
  count(what: keyof typeof LC): number {
    return this.pool.columns.listener(0, 0)[LC[what]]!;
  }

  /** All zero when nothing is under way. */
  get underWay(): number[] {
    return [this.exchanges.inUse, ...this.pool.underWay];
  }
}
