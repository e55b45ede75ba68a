// Everything one worker serves with: its listeners, its connections to endpoints, the generation in force. The
// supervisor's messages end here as a handful of calls.

import type { Compressors, Env, LineSink, Sealer, Target } from "../base/ports.ts";
import type { ConnectionShare } from "../pool/connection-share.ts";
import { Connector } from "../pool/connector.ts";
import type { Columns } from "../stats/columns.ts";
import { AccessLog } from "./access-log.ts";
import { ExchangePool } from "./exchange-pool.ts";
import { AcceptGate } from "./accept-gate.ts";
import type { Generation, ListenerPlan } from "./generation.ts";
import { Listener } from "./listener.ts";
import { MirrorLoad, mirrorLoadFor } from "./mirror.ts";
import type { Passwords } from "./password-desk.ts";
import { ReplayMemory } from "./replay-buffer.ts";

/** What a worker's data plane lives in. */
export interface WorkerContext {
  readonly env: Env;
  readonly columns: Columns;
  /** Number of this worker, from 0. */
  readonly worker: number;
  readonly accessLog: LineSink | null;
  /** Connections of all kinds this process may hold, by its descriptor limit; 0 = no bound but the listeners' own. */
  readonly connectionsMax: number;
  /** A sealer under these keys (Plan.cookieKeys, at least one). */
  readonly newSealer: (keys: readonly string[]) => Sealer;
  readonly compressors: Compressors;
  /** Where passwords are compared. */
  readonly passwords: Passwords;
}

/**
 * The planes that serve, by what they live in: routes that send requests of their own use their plane's connections.
 */
const planes = new WeakMap<WorkerContext, DataPlane>();

/** The plane of a worker. Throws if there is none yet. */
export function planeOf(context: WorkerContext): DataPlane {
  const plane = planes.get(context);
  if (plane === undefined) throw new Error("the worker has no data plane yet");
  return plane;
}

export class DataPlane {
  /** Copies of requests in progress. */
  readonly mirrorLoad: MirrorLoad;
  private readonly context: WorkerContext;
  readonly connector: Connector;
  private readonly exchanges: ExchangePool;
  private readonly gate: AcceptGate;
  private readonly replayMemory = new ReplayMemory();
  private readonly listeners = new Map<string, Listener>();
  /** Listeners that are gone from the configuration but still have connections. */
  private leaving: Listener[] = [];
  private generations: Generation[] = [];
  private current: Generation | null = null;

  constructor(context: WorkerContext) {
    const { env, columns, worker } = context;
    this.context = context;
    planes.set(context, this);
    this.mirrorLoad = mirrorLoadFor(context.connectionsMax);
    this.gate = new AcceptGate(context.connectionsMax, () => this.connector.closeAllIdle());
    this.connector = new Connector(env.net, env.clock, env.timers, columns, worker, this.gate);
    this.exchanges = new ExchangePool(columns.worker(worker));
  }

  get openConnections(): number {
    this.forgetEmpty();
    let open = 0;
    for (const listener of this.listeners.values()) open += listener.open;
    for (const listener of this.leaving) open += listener.open;
    return open;
  }

  /** The oldest generation that still has requests under way. */
  get oldestGeneration(): number {
    this.retireOld();
    return this.generations[0]?.number ?? 0;
  }

  /** The switch: requests that begin from now on follow this generation. */
  apply(generation: Generation): void {
    const previous = this.current;
    this.current = generation;
    this.generations.push(generation);
    for (const plan of generation.listeners.values()) {
      const known = this.listeners.get(plan.name);
      if (known !== undefined) known.apply(plan, generation);
      else this.listeners.set(plan.name, this.newListener(plan, generation));
    }
    // A listener that is gone keeps its old plan and generation: what it still serves began there.
    for (const name of this.listeners.keys()) {
      if (!generation.listeners.has(name)) this.release(name);
    }
    for (const listener of this.listeners.values()) listener.accessLog = this.accessLogOf(generation);
    this.placeEndpoints(previous, generation);
    this.dismissMembers(generation);
    if (previous !== null) this.replacePools(previous, generation);
    this.retireOld();
  }

  /** Starts accepting on a bound socket, which belongs to the listener from now on. */
  adopt(name: string, fd: number, port: number, key = ""): void {
    const listener = this.listeners.get(name);
    if (listener === undefined) throw new Error(`no listener "${name}" in generation ${this.current?.number ?? 0}`);
    listener.addSocket(this.context.env.net.adopt(fd, port, listener.acceptOn(port)), key);
  }

  /** Stops accepting on one socket, by the key it was adopted with; its connections stay. */
  giveBack(name: string, key: string): void {
    this.listeners.get(name)?.removeSocket(key);
  }

  /**
   * Stops accepting on the sockets a listener has, closes its idle connections, the others after their response. If the
   * name is in the generation in force, it starts anew with the sockets that are adopted next.
   */
  release(name: string): void {
    const listener = this.listeners.get(name);
    if (listener === undefined) return;
    listener.drain();
    this.listeners.delete(name);
    if (listener.open > 0) this.leaving.push(listener);
    const plan = this.current?.listeners.get(name);
    if (plan !== undefined) this.listeners.set(name, this.newListener(plan, this.current!));
  }

  /** New addresses of endpoints given by host name, by row. Idle connections to an old address are closed. */
  setResolved(resolved: Readonly<Record<number, string | null>>): void {
    const generation = this.current;
    if (generation === null) return;
    for (const runtime of generation.pools.values()) {
      runtime.pool.members.forEach((member, index) => {
        const ip = resolved[member.row];
        if (ip === undefined || member.target?.ip === ip || (ip === null && member.target === null)) return;
        const target = ip === null ? null : { ip, port: member.config.port, unixPath: null };
        runtime.pool.setTarget(index, target);
        this.connector.setTarget(member.row, target);
      });
    }
  }

  /** No new connections; idle ones close now, the others after their response. */
  drain(): void {
    for (const listener of this.listeners.values()) listener.drain();
    this.connector.closeAllIdle();
  }

  /** Breaks every client connection. */
  abortAll(): void {
    for (const listener of this.listeners.values()) listener.abort();
    for (const listener of this.leaving) listener.abort();
  }

  private newListener(plan: ListenerPlan, generation: Generation): Listener {
    const { context, connector, exchanges, gate } = this;
    const { clock, timers, rng } = context.env;
    const { seed } = context.columns;
    const counters = context.columns.listener(context.worker, plan.row);
    const shared = { clock, timers, rng, connector, exchanges, replayMemory: this.replayMemory, gate, seed };
    const listener = new Listener(plan, generation, counters, shared);
    listener.accessLog = this.accessLogOf(generation);
    return listener;
  }

  private accessLogs: { readonly key: string; readonly log: AccessLog } | null = null;

  private accessLogOf(generation: Generation): AccessLog | null {
    const { accessLog } = generation;
    const sink = this.context.accessLog;
    if (accessLog === null || sink === null) return null;
    const key = `${accessLog.format}\n${accessLog.template}`;
    if (this.accessLogs?.key !== key) {
      this.accessLogs = { key, log: new AccessLog(accessLog, sink, this.context.env.clock) };
    }
    return this.accessLogs.log;
  }

  /**
   * Endpoints that are no longer in their pool get nothing new from older generations either: what is under way there
   * ends, and their rows belong to nobody once it has.
   */
  private dismissMembers(generation: Generation): void {
    for (const older of this.generations) {
      for (const { name, pool } of older.pools.values()) {
        const present = generation.pools.get(name)?.pool;
        if (present === undefined || present === pool) continue;
        const rows = new Set(present.members.map(({ row }) => row));
        pool.members.forEach(({ row, target }, index) => {
          if (target !== null && !rows.has(row)) pool.setTarget(index, null);
        });
      }
    }
  }

  /** Waiting exchanges move to the pool that took their pool's place. */
  private replacePools(previous: Generation, generation: Generation): void {
    for (const old of previous.pools.values()) {
      const successor = generation.pools.get(old.name);
      if (successor === undefined || successor === old) continue;
      old.successor = successor;
      old.moveWaiting(successor);
    }
  }

  /** Tells the connector which rows lead where; kept connections that nobody can use any more are closed. */
  private placeEndpoints(previous: Generation | null, generation: Generation): void {
    const now = new Map<number, Target | null>();
    for (const { pool } of previous?.pools.values() ?? []) for (const { row } of pool.members) now.set(row, null);
    for (const { pool } of generation.pools.values()) for (const { row, target } of pool.members) now.set(row, target);
    for (const [row, target] of now) this.connector.setTarget(row, target);
    const shares = new Map<number, ConnectionShare | null>();
    for (const { pool } of previous?.pools.values() ?? []) for (const { row } of pool.members) shares.set(row, null);
    for (const { pool, share } of generation.pools.values()) for (const { row } of pool.members) shares.set(row, share);
    for (const [row, share] of shares) this.connector.setShare(row, share);
    for (const old of previous?.pools.values() ?? []) {
      if (generation.pools.get(old.name) !== old) old.share?.stop();
    }
  }

  private retireOld(): void {
    const current = this.current;
    if (this.generations.length < 2) return;
    // A listener that is leaving still counts its connections in its generation's rows.
    this.forgetEmpty();
    const { leaving } = this;
    this.generations = this.generations.filter(
      (g) => g === current || g.exchanges > 0 || leaving.some((listener) => listener.generation === g),
    );
  }

  private forgetEmpty(): void {
    if (this.leaving.length > 0) this.leaving = this.leaving.filter((listener) => listener.open > 0);
  }
}
