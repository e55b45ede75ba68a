// The endpoint's half of an exchange: chooses an endpoint, sends the request, passes the response on, moves on after a
// safe failure, and gives everything back exactly once. One per Exchange, used again with it.

import { Scratch } from "../base/bytes.ts";
import { causeOf, type Failure, failure, FailureCause, phaseOf, Phase, Side } from "../base/failure.ts";
import { markTried, type PickState } from "../balance/balancer.ts";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import type { H1Client } from "../codec/h1-client.ts";
import { Flow, type UpstreamSink } from "../codec/stream.ts";
import { ALL_FULL, NOBODY, OVER_LIMIT } from "../pool/pool.ts";
import { StickyMark } from "../pool/stickiness/stickiness.ts";
import { EC, LC } from "../stats/columns.ts";
import type { Head, Method } from "../wire/head.ts";
import type { BodyFilter } from "./body-filter.ts";
import { Deadline } from "./deadlines.ts";
import { discardAnswer } from "./discard.ts";
import type { Exchange } from "./exchange.ts";
import { addForwarded, clientAddress } from "./forwarded.ts";
import { Verdict } from "./guard.ts";
import { hashOf } from "./hash-key.ts";
import type { MirrorRun } from "./mirror.ts";
import { LACKS_CONNECTION, type PoolRuntime } from "./pool-runtime.ts";
import { ReplayBuffer } from "./replay-buffer.ts";
import { addressOf, requestFacts } from "./request-facts.ts";
import { ResponseLines } from "./response-lines.ts";
import { allowRetry, type AttemptHistory, decideRetry, replayBytes, Retry } from "./retry.ts";
import { badPath } from "./refusals.ts";
import { cleanRequestTrailers, cleanResponseTrailers } from "./trailers.ts";
import { TunnelRun } from "./tunnel-run.ts";

const added = new Scratch(4096);
const nothing = new Scratch(16);

const Held = { Nothing: 0, Head: 1, HeadAndEnd: 2, Whole: 3 } as const;
type Held = (typeof Held)[keyof typeof Held];

export class Attempts implements UpstreamSink, AttemptHistory {
  // Links of the queue it may wait in.
  queueNext: Attempts | null = null;
  queuePrevious: Attempts | null = null;
  queued = false;

  /** When an endpoint had been chosen, and the request sent; 0 = never. */
  pickedMs = 0;
  connectedMs = 0;
  /** Pool that chose the endpoint, and its index there; -1 = none held. */
  pool: PoolRuntime | null = null;
  index = -1;
  /** How many endpoints were tried, and the id of the last of them. */
  count = 0;
  endpointId = "";
  readonly pick: PickState = newPickState(32);
  /** The endpoint that the client is kept at. */
  readonly sticky = new StickyMark();

  // What retry.ts looks at.
  method: Method = 0;
  repeats = 0;
  refreshed = false;
  nothingSent = false;
  connectFailures = 0;
  bodyBegun = false;

  private readonly exchange: Exchange;
  private replay: ReplayBuffer | null = null;
  private upstream: H1Client | null = null;
  /** Changes the response's body on its way. */
  private filter: BodyFilter | null = null;
  /** The request's copy for a mirror, and whether it has been drawn if there is to be one. */
  private copy: MirrorRun | null = null;
  private drawn = false;
  /** What of a response waits for a hook. */
  private held: Held = Held.Nothing;
  private bytesInBefore = 0;
  private bytesOutBefore = 0;
  private freshOnly = false;
  /** How the last attempt failed. */
  private lastFailure: Failure = 0;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }

  /** Begins with a new request. */
  begin(method: Method): void {
    this.pickedMs = 0;
    this.connectedMs = 0;
    this.pool = null;
    this.index = -1;
    this.count = 0;
    this.endpointId = "";
    this.method = method;
    this.repeats = 0;
    this.refreshed = false;
    this.connectFailures = 0;
    this.bodyBegun = false;
    this.upstream = null;
    this.held = Held.Nothing;
    this.freshOnly = false;
    this.lastFailure = 0;
    this.drawn = false;
  }

  /** Sends the request to the pool. head = the request's, opened in requestFacts; more as in sendHead. */
  start(runtime: PoolRuntime, head: Head, more: boolean): void {
    const { exchange } = this;
    this.usePool(runtime, head);
    runtime.pool.budget.onRequest(exchange.listener.clock.cachedMs);
    const max = replayBytes(this.method, exchange.bodyLength, exchange.route!.retry);
    if (max !== 0) {
      this.replay ??= new ReplayBuffer(exchange.listener.replayMemory);
      this.replay.begin(max);
    }
    this.dispatch(head, more);
  }

  private usePool(runtime: PoolRuntime, known: Head | null): void {
    const { pool, stickiness } = runtime;
    const { exchange } = this;
    const { listener } = exchange;
    this.pool = runtime;
    resetPickState(this.pick, pool.members.length, listener.clock.cachedMs);
    if (pool.wantsHash && pool.hashKey !== null) {
      const head = known ?? exchange.headAgain();
      this.pick.hash = hashOf(pool.hashKey, head, clientAddress(exchange.client!, head, listener));
    }
    if (stickiness !== null) {
      const head = known ?? exchange.headAgain();
      const address = stickiness.wantsAddress ? addressOf(exchange, head) : null;
      this.pick.preferred = stickiness.recall(this.sticky, head, address);
    }
  }

  get canReplay(): boolean {
    return this.replay !== null && this.replay.canReplay;
  }

  // ---- choosing an endpoint

  /** head = the parsed request if it is at hand, opened in requestFacts; else null. */
  private dispatch(head: Head | null, more: boolean): void {
    const { listener } = this.exchange;
    this.pick.nowMs = listener.clock.cachedMs;
    const index = this.pool!.acquire(this.pick, listener.connector, this.freshOnly);
    if (index < 0) this.nobody(index);
    else this.attempt(index, head, more);
  }

  /** Sends the request to the endpoint that was acquired, over a kept connection or a new one. */
  private attempt(index: number, head: Head | null, more: boolean): void {
    const { exchange } = this;
    this.connectedMs = 0;
    const { listener } = exchange;
    const route = exchange.route!;
    const { pool, stickiness } = this.pool!;
    this.index = index;
    this.pickedMs = listener.clock.cachedMs;
    const member = pool.members[index]!;
    exchange.deadlines.clear(Deadline.Queue); // another wait, after an attempt that failed, has its own
    if (route.retry.attemptMs !== 0) this.armAttempt();
    this.count++;
    this.endpointId = member.config.id;
    if (stickiness !== null) stickiness.chosen(this.sticky, index, pool.keepsPreferred(this.pick));
    const row = member.row;
    const { connector } = listener;
    const kept = this.freshOnly ? null : connector.take(row, this, route);
    if (kept !== null) {
      this.upstream = kept;
      this.bytesInBefore = kept.bytesIn;
      this.bytesOutBefore = kept.bytesOut;
      this.sendRequest(head ?? exchange.openAgain(), more);
      return;
    }
    this.bytesInBefore = 0;
    this.bytesOutBefore = 0;
    if (exchange.bodyLength !== 0) exchange.holdClient();
    this.upstream = connector.connect(row, member.target!, this, route);
  }

  /** Nobody can take the request now. */
  private nobody(verdict: number): void {
    const { exchange } = this;
    const { counters } = exchange.listener;
    const runtime = this.pool!;
    if (verdict === NOBODY && runtime.successor !== null) {
      this.usePool(runtime.successor, null); // its endpoints were all replaced while the request was under way
      this.dispatch(null, false);
      return;
    }
    if (verdict !== ALL_FULL && verdict !== LACKS_CONNECTION && this.lastFailure !== 0) {
      exchange.refuse(this.lastFailure); // every other endpoint was tried: the cause is what the client should hear
      return;
    }
    if (verdict === NOBODY) {
      counters[LC.noEndpoint]!++;
      exchange.refuse(failure(Side.Proxy, Phase.Queue, FailureCause.NoEndpoint));
      return;
    }
    if (verdict === OVER_LIMIT) {
      exchange.refuse(runtime.pool.circuit!.refuse("requests"));
      return;
    }
    if (!runtime.wait(this, verdict === LACKS_CONNECTION)) {
      if (causeOf(runtime.refusal) === FailureCause.Full) counters[LC.queueFull]!++;
      exchange.refuse(runtime.refusal);
      return;
    }
    counters[LC.queued]!++;
    if (exchange.bodyLength !== 0) exchange.holdClient();
    const waitMs = runtime.pool.config.queue.timeoutMs;
    if (waitMs !== 0 && !exchange.deadlines.isSet(Deadline.Queue)) exchange.setDeadline(Deadline.Queue, waitMs);
  }

  /** Called from the queue. False if there is still no place; then it stays where it is. */
  tryAgain(): boolean {
    const { listener } = this.exchange;
    this.pick.nowMs = listener.clock.nowMs();
    const index = this.pool!.acquire(this.pick, listener.connector, this.freshOnly);
    if (index < 0 && index !== NOBODY) return false;
    this.leaveQueue();
    if (index < 0) this.nobody(NOBODY);
    else this.attempt(index, null, false);
    return true;
  }

  /** The pool was replaced while this exchange waited in its queue. */
  moveTo(successor: PoolRuntime): void {
    this.exchange.listener.counters[LC.queued]!--;
    this.usePool(successor, null);
    this.dispatch(null, false);
  }

  private leaveQueue(): void {
    if (!this.queued) return;
    this.pool!.leave(this);
    this.exchange.listener.counters[LC.queued]!--;
  }

  // ---- the request

  onReady(): void {
    this.sendRequest(this.exchange.openAgain(), false);
  }

  /** head is opened in requestFacts. */
  private sendRequest(head: Head, more: boolean): void {
    const { exchange } = this;
    const { listener, bodyLength } = exchange;
    const client = exchange.client!;
    const route = exchange.route!;
    const upstream = this.upstream!;
    this.connectedMs = listener.clock.cachedMs;
    added.length = 0;
    exchange.ownId = addForwarded(added, client, head, listener, exchange.requestId, listener.forwarded);
    if (listener.viaLine !== null) added.putAll(listener.viaLine);
    for (const extra of exchange.extras) extra.apply(head, added);
    if (route.requestEdits !== null) route.requestEdits.apply(head, added, requestFacts);
    if (route.rewrite !== null && !route.rewrite.apply(head, requestFacts)) return exchange.abandon(badPath);
    if (exchange.hooked !== null) exchange.hooked.applyTarget(head);
    if (bodyLength !== 0) exchange.deadlines.clear(Deadline.Attempt); // the client's time is not the endpoint's
    if (route.mirror !== null && !this.drawn) {
      this.drawn = true; // not anew for another attempt
      this.copy = route.mirror.begin(head, added, requestFacts, exchange.generation!);
    }
    const { copy, replay } = this;
    const flow = upstream.sendHead(head, added, bodyLength === 0, more);
    if (flow === Flow.Closed) return; // onReset has been here
    if (copy !== null) copy.headSent();
    if (bodyLength === 0) return;
    if (replay !== null && replay.canReplay) {
      if (!replay.isEmpty && replay.replay(upstream) === Flow.Closed) return;
      if (replay.isReplaying) return exchange.holdClient();
      if (replay.isWhole) this.armAttempt();
    } else if (copy === null && (bodyLength > 0 || route.bodyBytesMax === 0)) {
      client.forward(upstream); // but not a chunked body under a limit: it is decoded to be measured
    }
    if (flow === Flow.Pause) exchange.holdClient();
    else exchange.readClient();
  }

  /** Body bytes from the client. */
  send(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.bodyBegun = true;
    if (this.replay !== null) this.replay.note(bytes, start, end, last);
    if (last) this.armAttempt();
    const { upstream } = this;
    if (upstream === null) return;
    const { copy } = this;
    if (upstream.sendData(bytes, start, end, last) === Flow.Pause && !last) this.exchange.holdClient();
    if (copy !== null) copy.data(bytes, start, end, last);
  }

  sendTrailers(head: Head): void {
    this.bodyBegun = true; // also if there was nothing before them
    if (this.replay !== null) this.replay.release(); // trailers are not kept
    this.armAttempt();
    const { copy } = this;
    cleanRequestTrailers(this.exchange, head);
    if (this.upstream !== null) this.upstream.sendTrailers(head);
    if (copy !== null) copy.trailers(head);
  }

  /** The endpoint has taken what was sent: more of the request body may come. */
  onDrain(): void {
    const { replay, upstream } = this;
    if (replay !== null && upstream !== null) {
      const wasReplaying = replay.isReplaying;
      if (replay.isReplaying && replay.replayInto(upstream) === Flow.Closed) return;
      if (replay.isReplaying) return;
      if (wasReplaying && replay.isWhole) this.armAttempt();
      replay.onDrained();
    }
    if (this.exchange.client !== null) this.exchange.readClient();
  }

  // ---- the response

  onHead(head: Head, last: boolean, more: boolean): void {
    const { exchange } = this;
    const { listener } = exchange;
    const client = exchange.client!;
    const status = head.status;
    if (status < 200 && status !== 101) {
      client.sendHead(head, nothing, false, false);
      if (status === 100 && exchange.pace !== null) exchange.pace.onInvited();
      return;
    }
    exchange.deadlines.clear(Deadline.Attempt);
    const { retry, responseHooks } = exchange.route!;
    if (retry.statuses !== null && retry.statuses[status] === 1 && this.repeatElsewhere(status, last)) return;
    exchange.answeredMs = listener.clock.cachedMs;
    exchange.status = status;
    if (responseHooks !== null) {
      const verdict = responseHooks.show(exchange, head);
      if (verdict === Verdict.Wait) this.holdResponse(status, last);
      if (verdict !== Verdict.Pass) return;
    }
    this.passOn(head, last, more);
  }

  /** A hook looks at the response: nothing more of it is read. */
  private holdResponse(status: number, last: boolean): void {
    const upstream = this.upstream!;
    this.held = last ? Held.Whole : Held.Head;
    if (status === 101)
      upstream.connection.pause(); // what comes next is the tunnel's
    else if (!last) upstream.pause();
  }

  /** The hook is done; head = the response's once more. */
  goOn(head: Head): void {
    const { held } = this;
    const upstream = this.upstream!;
    this.held = Held.Nothing;
    if (head.status === 101 && !upstream.connection.isOpen) {
      // Of a response that is whole nobody says that its connection has gone; but a tunnel is only about to begin.
      this.onReset(failure(Side.Endpoint, Phase.ResponseBody, FailureCause.Reset, upstream.reused));
      return;
    }
    const flow = this.passOn(head, held === Held.Whole, false);
    if (held === Held.Whole || flow === Flow.Closed) return;
    if (held === Held.HeadAndEnd) this.onData(nothing.bytes, 0, 0, true);
    else if (flow === Flow.Go) upstream.resume();
  }

  /**
   * Sends the response's head to the client, and what follows after it. Closed = the client or the exchange is gone.
   */
  private passOn(head: Head, last: boolean, more: boolean): Flow {
    const { exchange } = this;
    const { listener } = exchange;
    const { viaLine } = listener;
    const { decorates } = exchange.route!;
    const client = exchange.client!;
    const upstream = this.upstream!;
    if (head.status === 101) {
      this.countBytes(upstream);
      exchange.deadlines.close();
      this.upstream = null;
      void new TunnelRun(
        exchange,
        upstream,
        head,
        decorates ? ResponseLines.forEndpoint(exchange, head, null) : nothing,
      );
      return Flow.Closed;
    }
    const lines = decorates || viaLine !== null ? ResponseLines.forEndpoint(exchange, head, viaLine) : nothing;
    const { compress } = exchange.route!;
    if (compress !== null) this.filter = compress.begin(exchange.headAgain(), head, this.method, lines);
    const flow = client.sendHead(head, lines, last, more);
    if (last) {
      exchange.complete(flow);
      return flow;
    }
    if (this.filter === null) upstream.forward(client);
    if (flow === Flow.Pause) this.awaitClient();
    return flow;
  }

  /** The endpoint answered with a status that the route would rather not pass on. False = it has to. */
  private repeatElsewhere(status: number, last: boolean): boolean {
    const { exchange, index } = this;
    const { listener } = exchange;
    const { retry } = exchange.route!;
    const runtime = this.pool!;
    const client = exchange.client!;
    const nowMs = listener.clock.cachedMs;
    if (client.headSent || !client.isOpen || decideRetry(0, this, retry, status) === Retry.No) return false;
    markTried(this.pick, index);
    this.pick.nowMs = nowMs;
    const next = runtime.acquire(this.pick, listener.connector, false);
    if (next < 0) return false; // an answer is better than none
    if (allowRetry(0, status, this, retry, runtime.pool.budget, nowMs) === Retry.No) {
      runtime.undo(next, listener.connector);
      return false;
    }
    const upstream = this.upstream!;
    const counters = this.countBytes(upstream);
    counters[EC.status1xx + ((status / 100) | 0) - 1]!++;
    counters[EC.retries]!++;
    this.upstream = null;
    discardAnswer(upstream, listener.connector, runtime.pool.config.keepAlive, last);
    const tookUs = latencyUs(this.connectedMs, nowMs);
    this.repeats++;
    this.freshOnly = false;
    this.attempt(next, null, false);
    // Last: whoever it hands the endpoint to must not be given the connection that was meant for this attempt.
    runtime.pool.release(index, 0, tookUs, status);
    return true;
  }

  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (this.held === Held.Head && last && start === end) {
      this.held = Held.HeadAndEnd; // a body that ends with its connection, and was empty so far
      return;
    }
    const client = this.exchange.client!;
    const { filter } = this;
    const flow =
      filter === null ? client.sendData(bytes, start, end, last) : filter.write(bytes, start, end, last, client);
    if (last) this.exchange.complete(flow);
    else if (flow === Flow.Pause) this.awaitClient();
  }

  /** The client is to take what was sent before there is more. */
  private awaitClient(): void {
    this.upstream!.pause();
    const { pace } = this.exchange;
    if (pace !== null) pace.onBlocked();
  }

  onMoved(): void {
    // what the client gets is counted by its stream
  }

  onTrailers(head: Head): void {
    const client = this.exchange.client!;
    const { filter } = this;
    cleanResponseTrailers(this.exchange, head);
    this.exchange.complete(filter === null ? client.sendTrailers(head) : filter.trailers(head, client));
  }

  /** The client has taken what was sent. */
  resume(): void {
    if (this.upstream !== null && this.held === Held.Nothing) this.upstream.resume();
  }

  /** The endpoint failed. */
  onReset(f: Failure): void {
    const { exchange } = this;
    const { clock } = exchange.listener;
    const client = exchange.client!;
    const failed = this.upstream!;
    this.upstream = null;
    this.lastFailure = f;
    exchange.deadlines.clear(Deadline.Attempt);
    if (this.held !== Held.Nothing) {
      this.held = Held.Nothing;
      exchange.hooked!.wait!.forget();
    }
    const { pool } = this.pool!;
    const counters = this.countBytes(failed);
    if (phaseOf(f) === Phase.Connect) {
      this.connectFailures++;
      counters[EC.connectFailures]!++;
    }
    this.nothingSent = failed.bytesOut === this.bytesOutBefore;
    const index = this.index;
    this.index = -1;
    const over = client.headSent || !client.isOpen;
    const retry = over ? Retry.No : allowRetry(f, 0, this, exchange.route!.retry, pool.budget, clock.cachedMs);
    // Before the release: it may hand the endpoint to a waiting exchange, and this one comes first.
    if (retry === Retry.OtherEndpoint) markTried(this.pick, index);
    pool.release(index, f, 0);
    if (retry === Retry.No) {
      exchange.refuse(f);
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

  /** An attempt's time begins: for its connection, and anew for the answer when all of a request body is out. */
  private armAttempt(): void {
    const { exchange } = this;
    const { attemptMs } = exchange.route!.retry;
    if (attemptMs !== 0 && exchange.answeredMs === 0) exchange.setDeadline(Deadline.Attempt, attemptMs);
  }

  /** What a request that has no answer yet is at. */
  get phase(): Phase {
    if (this.queued) return Phase.Queue;
    const { upstream } = this;
    if (upstream === null) return Phase.ResponseHead;
    return this.connectedMs === 0 ? Phase.Connect : upstream.sendPhase();
  }

  /** The endpoint had its time for this attempt. */
  expire(): void {
    const { upstream } = this;
    if (upstream === null) return;
    const phase = this.connectedMs === 0 ? Phase.Connect : Phase.ResponseHead;
    const f = failure(Side.Endpoint, phase, FailureCause.Timeout, upstream.reused);
    upstream.reset(f);
    this.onReset(f);
  }

  // ---- the end

  /** Gives up what is under way, without blame. */
  abandon(f: Failure): void {
    const { exchange, upstream } = this;
    this.leaveQueue();
    if (upstream !== null) {
      this.upstream = null;
      this.countBytes(upstream);
      if (upstream.isIdle) exchange.listener.connector.give(upstream, this.pool!.pool.config.keepAlive);
      else upstream.reset(f);
    }
    this.release(f);
  }

  /** Gives back the endpoint and its connection, if they are still held. f = how the exchange ended. */
  letGo(f: Failure): void {
    const { exchange, upstream } = this;
    if (upstream !== null) {
      this.upstream = null;
      const counters = this.countBytes(upstream);
      if (exchange.status >= 100) counters[EC.status1xx + ((exchange.status / 100) | 0) - 1]!++;
      if (f === 0) exchange.listener.connector.give(upstream, this.pool!.pool.config.keepAlive);
      else upstream.reset(f);
    }
    this.release(f);
  }

  /** Gives the endpoint back, if it is still held. */
  release(f: Failure): void {
    const { exchange, index } = this;
    if (index < 0) return;
    this.index = -1;
    const { answeredMs, isOwnAnswer, status } = exchange;
    if (answeredMs === 0 || isOwnAnswer) this.pool!.pool.release(index, f, 0);
    else this.pool!.pool.release(index, f, latencyUs(this.connectedMs, answeredMs), status);
  }

  /** Forgets what belongs to the request. */
  forget(): void {
    if (this.replay !== null) this.replay.release();
    if (this.filter !== null) this.filter.release();
    this.filter = null;
    if (this.copy !== null) this.copy.end();
    this.copy = null;
    this.pool = null;
  }

  private countBytes(upstream: H1Client): Float64Array {
    const counters = this.exchange.listener.connector.countersOf(upstream.member);
    counters[EC.bytesReceived]! += upstream.bytesIn - this.bytesInBefore;
    counters[EC.bytesSent]! += upstream.bytesOut - this.bytesOutBefore;
    return counters;
  }
}

/** From the request sent to the response head received. */
function latencyUs(sentMs: number, answeredMs: number): number {
  return Math.max(1, Math.round((answeredMs - sentMs) * 1000));
}
