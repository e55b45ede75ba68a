// One listener in one worker: accepts connections up to its limit, gives them their codec, hands requests to exchanges,
// and is the host those codecs ask for limits and deadlines. It lives as long as the listener's name; its plan changes
// with generations.

import { causeOf, type Failure, failure, FailureCause, Phase, ruleOf, sideOf, Side } from "../base/failure.ts";
import type { Cidr } from "../base/ip.ts";
import type { HashSeed } from "../base/keyed-hash.ts";
import type { Clock, Connection, ConnectionEvents, Listening, Rng } from "../base/ports.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { H1Server } from "../codec/h1-server.ts";
import type { ServerHost } from "../codec/server-host.ts";
import type { ServerStream } from "../codec/stream.ts";
import type { Connector } from "../pool/connector.ts";
import { REFUSED } from "../limit/concurrency.ts";
import { LC } from "../stats/columns.ts";
import { type Head, Method } from "../wire/head.ts";
import type { AccessLog } from "./access-log.ts";
import type { AcceptGate, Gated } from "./accept-gate.ts";
import { answer } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { ClientGate } from "./client-gate.ts";
import type { ExchangePool } from "./exchange-pool.ts";
import type { ForwardedFacts, ForwardedMode } from "./forwarded.ts";
import type { ReplayMemory } from "./replay-buffer.ts";
import type { Generation, ListenerPlan } from "./generation.ts";

/** What all listeners of a worker share. */
export interface ListenerShared {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly rng: Rng;
  readonly connector: Connector;
  readonly exchanges: ExchangePool;
  readonly replayMemory: ReplayMemory;
  readonly gate: AcceptGate;
  readonly seed: HashSeed;
}

/** Hears of a connection that was turned away. */
const nobody: ConnectionEvents = { onOpen() {}, onData() {}, onDrain() {}, onFinish() {}, onClose() {} };

export class Listener implements ServerHost, ForwardedFacts, Gated {
  readonly name: string;
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly connector: Connector;
  readonly exchanges: ExchangePool;
  readonly counters: Float64Array;
  readonly scheme = "http";
  accessLog: AccessLog | null = null;
  draining = false;
  generation: Generation;
  plan: ListenerPlan;
  // Copies of the plan's numbers, where codecs and exchanges read them for every request.
  headBytesMax = 0;
  headersMax = 0;
  requestsMax = 0;
  bodyBytesMax = 0;
  requestHeadMs = 0;
  idleMs = 0;
  bodyMs = 0;
  writeMs = 0;
  trustedProxies: readonly Cidr[] = [];
  viaLine: Uint8Array | null = null;
  forwarded: ForwardedMode = "append";
  private readonly clients: ClientGate;
  private readonly tunnels = new Set<Exchange>();
  private readonly connections = new Set<ServerStream>();
  private sockets: { readonly key: string; readonly socket: Listening }[] = [];
  readonly rng: Rng;
  readonly replayMemory: ReplayMemory;
  private readonly gate: AcceptGate;
  private paused = false;
  private openCount = 0;

  constructor(plan: ListenerPlan, generation: Generation, counters: Float64Array, shared: ListenerShared) {
    this.name = plan.name;
    this.clock = shared.clock;
    this.timers = shared.timers;
    this.rng = shared.rng;
    this.connector = shared.connector;
    this.exchanges = shared.exchanges;
    this.replayMemory = shared.replayMemory;
    this.gate = shared.gate;
    this.gate.join(this);
    this.counters = counters;
    this.clients = new ClientGate(shared.seed);
    this.generation = generation;
    this.plan = plan;
    this.apply(plan, generation);
  }

  /** Client connections, tunnels included. */
  get open(): number {
    return this.openCount;
  }

  /** The switch to another generation: requests from now on follow the new plan. */
  apply(plan: ListenerPlan, generation: Generation): void {
    const { limits, timeouts } = plan.config;
    this.plan = plan;
    this.generation = generation;
    this.headBytesMax = limits.headBytes;
    this.headersMax = limits.headers;
    this.requestsMax = limits.requests;
    this.bodyBytesMax = limits.bodyBytes;
    this.requestHeadMs = timeouts.requestHeadMs;
    this.idleMs = timeouts.idleMs;
    this.bodyMs = timeouts.bodyMs;
    this.writeMs = timeouts.writeMs;
    this.trustedProxies = plan.trustedProxies;
    this.viaLine = plan.viaLine;
    this.forwarded = plan.config.forwarded;
    this.clients.apply(plan.access, plan.connectionsPerClient, this.connections);
    this.balanceAccepting();
  }

  // ---- connections

  /** Adds a socket that accepts for this listener with acceptOn(). */
  addSocket(socket: Listening, key: string): void {
    this.sockets.push({ key, socket });
    if (this.paused) socket.pause();
  }

  /** Closes a socket that was added under this key. */
  removeSocket(key: string): void {
    for (const each of this.sockets) if (each.key === key) each.socket.close();
    this.sockets = this.sockets.filter((each) => each.key !== key);
  }

  /** What a socket bound to this port calls for each connection. */
  acceptOn(port: number): (connection: Connection) => ConnectionEvents {
    return (connection) => {
      this.counters[LC.accepted]!++;
      const place = this.clients.admit(connection.remoteAddress, this.clock.cachedMs);
      if (place === REFUSED) return this.turnAway(connection);
      this.openCount++;
      this.counters[LC.open]!++; // not the count itself: a listener that is leaving may share the row
      const stream = new H1Server(connection, this, port);
      stream.clientPlace = place;
      this.connections.add(stream);
      this.gate.clientOpened();
      if (this.openCount >= this.plan.connectionsMax) this.balanceAccepting();
      return stream;
    };
  }

  onClosed(stream: H1Server): void {
    this.counters[LC.bytesReceived]! += stream.takeBytesIn();
    this.counters[LC.bytesSent]! += stream.takeBytesOut();
    this.connections.delete(stream);
    this.connectionGone(stream);
  }

  /** The exchange has become a tunnel: its connection to the endpoint is nobody else's any more. */
  onTunnelOpened(exchange: Exchange): void {
    this.counters[LC.tunnels]!++;
    this.tunnels.add(exchange);
    this.gate.socketOpened();
  }

  onTunnelClosed(exchange: Exchange, stream: ServerStream): void {
    this.counters[LC.tunnels]!--;
    this.tunnels.delete(exchange);
    this.gate.socketClosed();
    this.connections.delete(stream);
    this.connectionGone(stream);
  }

  /** A client that the access list or the bound of connections does not let in. */
  private turnAway(connection: Connection): ConnectionEvents {
    this.counters[LC.refused]!++;
    connection.abort();
    return nobody;
  }

  private connectionGone(stream: ServerStream): void {
    this.clients.leave(stream);
    this.openCount--;
    this.counters[LC.open]!--;
    this.gate.clientClosed();
    if (this.paused) this.balanceAccepting();
  }

  /** Stops accepting at the limit, so that further clients wait in the kernel's queue; goes on below it. */
  balanceAccepting(): void {
    const full = this.openCount >= this.plan.connectionsMax || this.gate.isShut;
    if (full === this.paused) return;
    this.paused = full;
    for (const { socket } of this.sockets) {
      if (full) socket.pause();
      else socket.resume();
    }
  }

  /** No new connections; idle ones close now, the others after their response. */
  drain(): void {
    this.draining = true;
    for (const { socket } of this.sockets) socket.close();
    this.sockets = [];
    this.gate.leave(this);
    for (const connection of [...this.connections]) connection.closeWhenIdle();
  }

  /** Breaks what is left. */
  abort(): void {
    const f = failure(Side.Proxy, Phase.Tunnel, FailureCause.Drain);
    for (const exchange of [...this.tunnels]) exchange.tunnel?.cut(f);
    for (const connection of [...this.connections]) connection.connection.abort();
  }

  // ---- requests

  onRequest(stream: H1Server, head: Head, _last: boolean, more: boolean): void {
    const exchange = this.exchanges.take(this);
    if (exchange === null) {
      this.counters[LC.requests]!++;
      this.answerAlone(stream, failure(Side.Proxy, Phase.RequestHead, FailureCause.Resources));
      return;
    }
    exchange.begin(stream, this, head, more);
  }

  /** A head that is no acceptable request: there is no exchange, only an answer. */
  onRefused(stream: H1Server, f: Failure): void {
    this.answerAlone(stream, f);
  }

  private answerAlone(stream: H1Server, f: Failure): void {
    const { status } = ruleOf(f);
    this.countFailure(f);
    this.counters[LC.status1xx + ((status / 100) | 0) - 1]!++;
    stream.closeAfterResponse();
    answer(stream, Method.Get, status, "", false, this.clock.wallMs());
    if (this.accessLog !== null) this.accessLog.writeRefused(this, stream, status, f);
    stream.done();
  }

  countFailure(f: Failure): void {
    const cause = causeOf(f);
    if (cause === FailureCause.Denied) this.counters[LC.denied]!++;
    else if (cause === FailureCause.Limited) this.counters[LC.limited]!++;
    if (sideOf(f) !== Side.Client) return;
    if (cause === FailureCause.Timeout) this.counters[LC.timeouts]!++;
    else if (cause === FailureCause.Reset) this.counters[LC.clientAborts]!++;
    else this.counters[LC.badRequests]!++;
  }

  makeRequestId(words: Uint32Array): void {
    const { rng } = this;
    words[0] = rng.u32();
    words[1] = rng.u32();
    words[2] = rng.u32();
    words[3] = rng.u32();
  }
}
