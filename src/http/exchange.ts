// One request and its response: chooses an endpoint, relays both bodies with back-pressure, moves on after a safe
// failure, and accounts for everything at the end. It knows streams, not protocols. Objects are pooled: begin() …
// finish(), then reused.

import { Scratch } from "../base/bytes.ts";
import { type Failure, failure, FailureCause, phaseOf, Phase, ruleOf, sideOf, Side } from "../base/failure.ts";
import type { TimerOwner } from "../base/timer-wheel.ts";
import { markTried, type PickState } from "../balance/balancer.ts";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import type { H1Client } from "../codec/h1-client.ts";
import { Flow, type ServerStream, type UpstreamSink } from "../codec/stream.ts";
import { Tunnel, type TunnelOwner } from "../codec/tunnel.ts";
import { ALL_FULL, NOBODY } from "../pool/pool.ts";
import { EC, LC } from "../stats/columns.ts";
import { type Head, Method } from "../wire/head.ts";
import { acceptsJson, answer } from "./answer.ts";
import { addForwarded, clientAddress, requestIdText, sentRequestId } from "./forwarded.ts";
import type { Generation, Route } from "./generation.ts";
import { hashOf } from "./hash-key.ts";
import { KeptHead } from "./kept-head.ts";
import type { Listener } from "./listener.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { RequestSide } from "./request-side.ts";
import { decideRetry, Retry } from "./retry.ts";

const added = new Scratch(4096);
const nothing = new Scratch(16);

export class Exchange implements UpstreamSink, TimerOwner, TunnelOwner {
  // Links of the queue it may wait in.
  queueNext: Exchange | null = null;
  queuePrevious: Exchange | null = null;
  queued = false;

  // Set by begin(); the access log reads them.
  listener: Listener;
  client: ServerStream | null = null;
  generation: Generation | null = null;
  route: Route | null = null;
  method: Method = Method.Get;
  bodyLength = 0;
  startMs = 0;
  /** When an endpoint had been chosen, the request sent, the response head received; 0 = never. */
  pickedMs = 0;
  connectedMs = 0;
  answeredMs = 0;
  status = 0;
  requestBodyBytes = 0;
  clientBytesOutBefore = 0;
  /** What a tunnel carried to the client; the stream does not count it. */
  tunnelBytesSent = 0;
  /** Words of the request id we made; ownId tells whether it was used. */
  readonly requestId = new Uint32Array(4);
  ownId = false;
  /** Pool that chose the endpoint, and its index there; -1 = none held. */
  pool: PoolRuntime | null = null;
  index = -1;
  /** How many endpoints were tried, and the id of the last of them. */
  attempts = 0;
  endpointId = "";
  repeats = 0;
  refreshed = false;
  nothingSent = false;
  connectFailures = 0;
  /** A byte of the request body has been taken from the client: it cannot be replayed. */
  bodyBegun = false;
  failure: Failure = 0;

  readonly requestSide: RequestSide;
  private readonly kept = new KeptHead();
  private readonly pick: PickState = newPickState(32);
  private upstream: H1Client | null = null;
  private upstreamBytesIn = 0;
  private upstreamBytesOut = 0;
  private answered = false;
  /** The response has been handed over whole, but the client has not taken all of it. */
  private completed = false;
  private freshOnly = false;
  private timer = -1;
  private queueDeadlineMs = 0;
  private totalDeadlineMs = 0;
  private tunnel: Tunnel | null = null;

  constructor(listener: Listener) {
    this.listener = listener;
    this.requestSide = new RequestSide(this);
  }

  // ---- beginning

  /** Takes the request on. The client's sink is set; the exchange ends in finish(), perhaps before this returns. */
  begin(client: ServerStream, listener: Listener, head: Head, more: boolean): void {
    const generation = listener.generation;
    this.listener = listener;
    this.client = client;
    this.generation = generation;
    generation.exchanges++;
    this.kept.keep(head);
    this.method = head.method;
    this.bodyLength = head.bodyLength;
    this.startMs = listener.clock.cachedMs;
    this.pickedMs = 0;
    this.connectedMs = 0;
    this.answeredMs = 0;
    this.status = 0;
    this.requestBodyBytes = 0;
    this.clientBytesOutBefore = client.bytesOut;
    this.ownId = false;
    this.pool = null;
    this.index = -1;
    this.attempts = 0;
    this.endpointId = "";
    this.tunnelBytesSent = 0;
    this.repeats = 0;
    this.refreshed = false;
    this.connectFailures = 0;
    this.failure = 0;
    this.upstream = null;
    this.answered = false;
    this.completed = false;
    this.bodyBegun = false;
    this.freshOnly = false;
    this.queueDeadlineMs = 0;
    this.totalDeadlineMs = 0;
    client.sink = this.requestSide;
    listener.makeRequestId(this.requestId);
    listener.counters[LC.requests]!++;
    if (listener.bodyBytesMax !== 0 && head.bodyLength > listener.bodyBytesMax) {
      this.refuse(failure(Side.Client, Phase.RequestBody, FailureCause.BodyTooLarge));
      return;
    }
    const route = listener.routeFor(head);
    this.route = route;
    if (route === null) {
      this.sendAnswer(404);
      this.finish(0);
      return;
    }
    if (route.totalMs !== 0) this.setTotal(route.totalMs);
    this.usePool(route.pool, head);
    this.dispatch(head, more);
  }

  private usePool(runtime: PoolRuntime, known: Head | null): void {
    const { pool } = runtime;
    this.pool = runtime;
    resetPickState(this.pick, pool.members.length, this.listener.clock.cachedMs);
    if (pool.wantsHash && pool.hashKey !== null) {
      const head = known ?? this.headAgain();
      this.pick.hash = hashOf(pool.hashKey, head, clientAddress(this.client!, head, this.listener));
    }
  }

  /** The request head once more, in a shared Head that is valid until the next call. */
  headAgain(): Head {
    return this.kept.again();
  }

  /** The request id as text: the client's own, or ours. */
  requestIdText(): string {
    return this.ownId
      ? requestIdText(this.requestId)
      : sentRequestId(this.headAgain()) || requestIdText(this.requestId);
  }

  // ---- choosing an endpoint

  /** head = the parsed request if it is at hand, else null. */
  private dispatch(head: Head | null, more: boolean): void {
    const runtime = this.pool!;
    this.pick.nowMs = this.listener.clock.cachedMs;
    const index = runtime.pool.acquire(this.pick);
    if (index < 0) this.nobody(index);
    else this.attempt(index, head, more);
  }

  /** Sends the request to the endpoint that was acquired, over a kept connection or a new one. */
  private attempt(index: number, head: Head | null, more: boolean): void {
    const { pool } = this.pool!;
    this.index = index;
    this.pickedMs = this.listener.clock.cachedMs;
    const member = pool.members[index]!;
    this.queueDeadlineMs = 0; // another wait, after an attempt that failed, has its own
    this.attempts++;
    this.endpointId = member.config.id;
    const row = member.row;
    const connector = this.listener.connector;
    const kept = this.freshOnly ? null : connector.take(row, this, this.route!);
    if (kept !== null) {
      this.upstream = kept;
      this.upstreamBytesIn = kept.bytesIn;
      this.upstreamBytesOut = kept.bytesOut;
      this.sendRequest(head ?? this.headAgain(), more);
      return;
    }
    this.upstreamBytesIn = 0;
    this.upstreamBytesOut = 0;
    if (this.bodyLength !== 0) this.client!.pause();
    this.upstream = connector.connect(row, member.target!, this, this.route!);
  }

  /** Nobody can take the request now. */
  private nobody(verdict: number): void {
    const counters = this.listener.counters;
    if (verdict === NOBODY && (this.connectFailures > 0 || this.repeats > 0 || this.refreshed)) {
      this.refuse(this.failure); // every other endpoint has been tried: the cause is what the client should hear
      return;
    }
    if (verdict === NOBODY) {
      counters[LC.noEndpoint]!++;
      this.refuse(failure(Side.Proxy, Phase.Queue, FailureCause.NoEndpoint));
      return;
    }
    if (!this.pool!.wait(this)) {
      counters[LC.queueFull]!++;
      this.refuse(failure(Side.Proxy, Phase.Queue, FailureCause.Full));
      return;
    }
    counters[LC.queued]!++;
    if (this.bodyLength !== 0) this.client!.pause();
    if (this.queueDeadlineMs === 0) {
      const waitMs = this.pool!.pool.config.queue.timeoutMs;
      if (waitMs !== 0) {
        this.queueDeadlineMs = this.listener.clock.cachedMs + waitMs;
        this.arm();
      }
    }
  }

  /** Called from the queue. False if there is still no place; then it stays where it is. */
  tryAgain(): boolean {
    const { pool } = this.pool!;
    this.pick.nowMs = this.listener.clock.nowMs();
    const index = pool.acquire(this.pick);
    if (index === ALL_FULL) return false;
    this.leaveQueue();
    if (index < 0) this.nobody(NOBODY);
    else this.attempt(index, null, false);
    return true;
  }

  /** The pool was replaced while this exchange waited in its queue. */
  moveTo(successor: PoolRuntime): void {
    this.listener.counters[LC.queued]!--;
    this.usePool(successor, null);
    this.dispatch(null, false);
  }

  private leaveQueue(): void {
    if (!this.queued) return;
    this.pool!.leave(this);
    this.listener.counters[LC.queued]!--;
  }

  onReady(): void {
    this.sendRequest(this.headAgain(), false);
  }

  private sendRequest(head: Head, more: boolean): void {
    const client = this.client!;
    const listener = this.listener;
    const upstream = this.upstream!;
    this.connectedMs = listener.clock.cachedMs;
    added.length = 0;
    this.ownId = addForwarded(added, client, head, listener, this.requestId);
    if (listener.viaLine !== null) added.putAll(listener.viaLine);
    const flow = upstream.sendHead(head, added, this.bodyLength === 0, more);
    if (flow === Flow.Closed) return; // onReset has been here
    if (this.bodyLength === 0) return;
    // A chunked body under a limit is decoded to be measured; a known length has been compared already.
    if (this.bodyLength > 0 || listener.bodyBytesMax === 0) client.forward(upstream);
    if (flow === Flow.Pause) client.pause();
    else client.resume();
  }

  // ---- the response

  onHead(head: Head, last: boolean, more: boolean): void {
    const client = this.client!;
    const status = head.status;
    if (status < 200) {
      if (status === 101) this.beginTunnel(head);
      else client.sendHead(head, nothing, false, false);
      return;
    }
    this.answeredMs = this.listener.clock.cachedMs;
    this.status = status;
    let fields = nothing;
    if (this.listener.viaLine !== null) {
      added.length = 0;
      added.putAll(this.listener.viaLine);
      fields = added;
    }
    const flow = client.sendHead(head, fields, last, more);
    if (last) {
      this.complete(flow);
      return;
    }
    this.upstream!.forward(client);
    if (flow === Flow.Pause) this.upstream!.pause();
  }

  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    const flow = this.client!.sendData(bytes, start, end, last);
    if (last) this.complete(flow);
    else if (flow === Flow.Pause) this.upstream!.pause();
  }

  onMoved(): void {
    // what the client gets is counted by its stream
  }

  onTrailers(head: Head): void {
    this.complete(this.client!.sendTrailers(head));
  }

  /** The endpoint's part is over; the exchange is when the client has taken the last of the response. */
  private complete(flow: Flow): void {
    if (flow === Flow.Pause) {
      this.completed = true;
      this.letGo(0);
    } else this.finish(0);
  }

  /** The endpoint has taken what was sent: more of the request body may come. */
  onDrain(): void {
    if (this.client !== null) this.client.resume();
  }

  /** The endpoint failed. */
  onReset(f: Failure): void {
    const client = this.client!;
    const failed = this.upstream!;
    this.upstream = null;
    this.failure = f;
    const runtime = this.pool!;
    const counters = this.countUpstream(failed);
    if (phaseOf(f) === Phase.Connect) {
      this.connectFailures++;
      counters[EC.connectFailures]!++;
    }
    this.nothingSent = failed.bytesOut === this.upstreamBytesOut;
    const index = this.index;
    this.index = -1;
    const retry = client.headSent || !client.isOpen ? Retry.No : decideRetry(f, this);
    // Before the release: it may hand the endpoint to a waiting exchange, and this one comes first.
    if (retry === Retry.OtherEndpoint) markTried(this.pick, index);
    runtime.pool.release(index, f, 0);
    if (retry === Retry.No) {
      this.refuse(f);
      return;
    }
    counters[EC.retries]!++;
    if (phaseOf(f) !== Phase.Connect) {
      if (this.nothingSent) this.connectFailures++;
      else if (retry === Retry.FreshConnection) this.refreshed = true;
      else this.repeats++;
      this.freshOnly = retry === Retry.FreshConnection;
    }
    this.dispatch(null, false);
  }

  // ---- trouble and the end

  /** Ends with the failure's status, or with a broken connection if a response has begun. */
  private refuse(f: Failure): void {
    const client = this.client!;
    const status = ruleOf(f).status;
    this.failure = f;
    if (client.headSent || !client.isOpen || status === 0) {
      this.finish(f);
      return;
    }
    // What a client that breaks the rules goes on to send is not to be taken for its next request.
    if (sideOf(f) === Side.Client) client.closeAfterResponse();
    this.sendAnswer(status);
    this.finish(f);
  }

  private sendAnswer(status: number): void {
    this.status = status;
    this.answered = true;
    this.answeredMs = this.listener.clock.cachedMs;
    const head = this.headAgain();
    const json = acceptsJson(head);
    answer(this.client!, this.method, status, this.requestIdText(), json, this.listener.clock.wallMs());
  }

  onClientData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.requestBodyBytes += end - start;
    this.bodyBegun = true;
    const upstream = this.upstream;
    if (upstream === null) return;
    const max = this.listener.bodyBytesMax;
    if (max !== 0 && this.requestBodyBytes > max) {
      this.abandon(failure(Side.Client, Phase.RequestBody, FailureCause.BodyTooLarge));
      return;
    }
    if (upstream.sendData(bytes, start, end, last) === Flow.Pause && !last) this.client!.pause();
  }

  onClientMoved(count: number): void {
    this.requestBodyBytes += count;
    this.bodyBegun = true;
  }

  onClientTrailers(head: Head): void {
    this.bodyBegun = true; // also if there was nothing before them
    if (this.upstream !== null) this.upstream.sendTrailers(head);
  }

  onClientDrain(): void {
    if (this.completed) this.finish(0);
    else if (this.upstream !== null) this.upstream.resume();
  }

  /** The client is gone, too slow, or sends what cannot be relayed: the endpoint's part is given up without blame. */
  abandon(f: Failure): void {
    const upstream = this.upstream;
    this.leaveQueue();
    if (upstream !== null) {
      this.upstream = null;
      this.countUpstream(upstream);
      upstream.reset(f);
    }
    this.releaseEndpoint(f, 0);
    this.refuse(f);
  }

  private countUpstream(upstream: H1Client): Float64Array {
    const counters = this.listener.connector.countersOf(upstream.member);
    counters[EC.bytesReceived]! += upstream.bytesIn - this.upstreamBytesIn;
    counters[EC.bytesSent]! += upstream.bytesOut - this.upstreamBytesOut;
    return counters;
  }

  private releaseEndpoint(f: Failure, latencyUs: number): void {
    const index = this.index;
    if (index < 0) return;
    this.index = -1;
    this.pool!.pool.release(index, f, latencyUs);
  }

  /** Accounts for the exchange and lets the client's connection go on, or breaks it. */
  private finish(f: Failure): void {
    const client = this.client!;
    const { listener } = this;
    const answered = this.answered;
    this.letGo(f);
    if (this.status >= 100) listener.counters[LC.status1xx + ((this.status / 100) | 0) - 1]!++;
    if (f !== 0) listener.countFailure(f);
    listener.counters[LC.bytesReceived]! += client.takeBytesIn();
    listener.counters[LC.bytesSent]! += client.takeBytesOut();
    this.closeTimer();
    this.dispose(f);
    if (f === 0 || answered) client.done();
    else if (sideOf(f) === Side.Client || client.endsWithClose) client.reset(f);
    else {
      client.closeAfterResponse(); // what has been sent arrives; that the rest is missing, its framing tells
      client.done();
    }
  }

  /** Gives back the endpoint and its connection, if they are still held. */
  private letGo(f: Failure): void {
    const upstream = this.upstream;
    const latencyUs = this.latencyUs();
    if (upstream !== null) {
      this.upstream = null;
      const counters = this.countUpstream(upstream);
      if (this.status >= 100) counters[EC.status1xx + ((this.status / 100) | 0) - 1]!++;
      if (f === 0) this.listener.connector.give(upstream, this.pool!.pool.config.keepAlive);
      else upstream.reset(f);
    }
    this.releaseEndpoint(f, latencyUs);
  }

  /** From the request sent to the response head received; 0 = the endpoint has not answered. */
  private latencyUs(): number {
    if (this.answeredMs === 0 || this.answered) return 0;
    return Math.max(1, Math.round((this.answeredMs - this.connectedMs) * 1000));
  }

  /** Logs, forgets everything and goes back to the free list. */
  private dispose(f: Failure): void {
    const { listener } = this;
    this.failure = f;
    if (listener.accessLog !== null) listener.accessLog.write(this);
    this.generation!.exchanges--;
    this.client = null;
    this.generation = null;
    this.route = null;
    this.pool = null;
    this.kept.forget();
    listener.exchanges.give(this);
  }

  // ---- tunnel

  private beginTunnel(head: Head): void {
    const client = this.client!;
    const upstream = this.upstream!;
    const listener = this.listener;
    this.answeredMs = listener.clock.cachedMs;
    this.status = 101;
    client.sendHead(head, nothing, true, false);
    const counters = this.countUpstream(upstream);
    this.closeTimer();
    this.upstream = null;
    const fromClient = client.detach();
    const fromEndpoint = upstream.detach();
    // What came behind the heads is counted again as the tunnel's first bytes.
    counters[EC.bytesReceived]! -= fromEndpoint.received?.length ?? 0;
    listener.counters[LC.bytesReceived]! += client.takeBytesIn() - (fromClient.received?.length ?? 0);
    listener.counters[LC.bytesSent]! += client.takeBytesOut();
    this.tunnel = new Tunnel(
      client.connection,
      upstream.connection,
      listener.clock,
      listener.timers,
      this.route!.tunnelMs,
      this,
    );
    listener.onTunnelOpened(this);
    this.tunnel.start(fromClient, fromEndpoint);
  }

  /** Breaks the tunnel (the drain deadline has come). */
  cutTunnel(f: Failure): void {
    if (this.tunnel !== null) this.tunnel.end(f);
  }

  onTunnelEnd(f: Failure, fromClient: number, fromEndpoint: number): void {
    const { listener } = this;
    const client = this.client!;
    this.tunnel = null;
    this.requestBodyBytes = fromClient;
    this.tunnelBytesSent = fromEndpoint;
    const counters = listener.connector.countersOf(this.pool!.pool.members[this.index]!.row);
    counters[EC.bytesSent]! += fromClient;
    counters[EC.bytesReceived]! += fromEndpoint;
    counters[EC.status1xx]!++;
    listener.counters[LC.status1xx]!++;
    listener.counters[LC.bytesReceived]! += fromClient;
    listener.counters[LC.bytesSent]! += fromEndpoint;
    listener.onTunnelClosed(this, client);
    this.releaseEndpoint(f, this.latencyUs());
    this.dispose(f);
  }

  // ---- deadlines

  private setTotal(totalMs: number): void {
    this.totalDeadlineMs = this.listener.clock.cachedMs + totalMs;
    this.arm();
  }

  private arm(): void {
    const { timers } = this.listener;
    const queue = this.queued ? this.queueDeadlineMs : 0;
    const total = this.totalDeadlineMs;
    const next = queue === 0 ? total : total === 0 ? queue : Math.min(queue, total);
    if (next === 0) return;
    if (this.timer < 0) this.timer = timers.open(this);
    timers.set(this.timer, next);
  }

  private closeTimer(): void {
    if (this.timer < 0) return;
    this.listener.timers.close(this.timer);
    this.timer = -1;
  }

  onDeadline(_slot: number, nowMs: number): void {
    if (this.queued && this.queueDeadlineMs !== 0 && nowMs >= this.queueDeadlineMs) {
      this.listener.counters[LC.queueTimeouts]!++;
      this.abandon(failure(Side.Proxy, Phase.Queue, FailureCause.Timeout));
    } else if (this.totalDeadlineMs !== 0 && nowMs >= this.totalDeadlineMs) {
      const phase = this.status === 0 ? Phase.ResponseHead : Phase.ResponseBody;
      this.abandon(failure(Side.Proxy, phase, FailureCause.Timeout));
    } else this.arm();
  }
}
