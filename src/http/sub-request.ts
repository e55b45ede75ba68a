// A request that the proxy itself sends to a pool: a copy for a mirror, a question to an authentication service. It is
// given an endpoint as a request of a client is, counts there like one, and moves on to another where that is safe; but
// it never waits in a queue, and what becomes of it harms nobody. Head, body and trailers are whole before it begins.

import { latin1Text, Scratch } from "../base/bytes.ts";
import { type Failure, failure, FailureCause, phaseOf, Phase, Side } from "../base/failure.ts";
import { headersMax } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import { markTried, type PickState } from "../balance/balancer.ts";
import { newPickState, resetPickState } from "../balance/pick-state.ts";
import { readTrailerSection } from "../codec/chunked-body.ts";
import type { ClientTimeouts, H1Client } from "../codec/h1-client.ts";
import { Flow, type UpstreamSink } from "../codec/stream.ts";
import type { Connector } from "../pool/connector.ts";
import { NOBODY, OVER_LIMIT, type Pool } from "../pool/pool.ts";
import { EC } from "../stats/columns.ts";
import { parseRequest } from "../wire/h1/parse.ts";
import { dropFields, Head, Method, Name } from "../wire/head.ts";
import { hashOf } from "./hash-key.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { allowRetry, type AttemptHistory, Retry, type RetryPolicy } from "./retry.ts";
import type { TemplateFacts } from "./template.ts";

/** Who sends it. Every call may come before start() returns. */
export interface SubRequestOwner {
  /** The head of the final answer, valid within the call; at most once. */
  onAnswer(head: Head): void;
  /** Bytes of the answer's body, lent until this returns. */
  onBody(bytes: Uint8Array, start: number, end: number): void;
  /** It is over, exactly once; 0 = the answer is whole. A failure of the client's side: the head is no request. */
  onEnd(f: Failure): void;
}

/** What a worker sends with. */
export interface SubRequestParts {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly connector: Connector;
}

/** What all requests of one kind have in common. */
export interface SubRequestTerms {
  readonly timeouts: ClientTimeouts;
  /** From start() to the end of the answer; 0 = no bound but the timeouts. */
  readonly totalMs: number;
  /** A longer body of an answer is not read to its end. */
  readonly answerBytesMax: number;
  readonly policy: RetryPolicy;
}

/** Nothing of it is changed from start() on. */
export interface SubRequestMessage {
  /** A whole head, as HTTP/1.1 text. */
  readonly head: Uint8Array;
  /** The body without any coding; null = there is none. */
  readonly body: Uint8Array | null;
  /** A trailer section with the empty line at its end; null = there is none. */
  readonly trailers: Uint8Array | null;
  /** What a hashing balancer goes by; see hashFor(). */
  readonly hash: number;
}

/** Counts what is under way; a Generation is one: its rows stay its own until nothing is. */
export interface Holder {
  exchanges: number;
}

/** The answer is longer than anybody wants it. */
export const answerTooLong: Failure = failure(Side.Proxy, Phase.ResponseBody, FailureCause.BodyTooLarge);
const unwanted = failure(Side.Proxy, Phase.ResponseHead, FailureCause.None);
const nobodyThere = failure(Side.Proxy, Phase.Queue, FailureCause.NoEndpoint);
const allFull = failure(Side.Proxy, Phase.Queue, FailureCause.Full);

/** Fields that are put into a request of ours besides those of a client's. */
const ownFieldsMax = 32;
const sending = new Head(headersMax + ownFieldsMax);
const nothing = new Scratch(16);
const text = new Scratch(64);

/** The hash that picks an endpoint of this pool for the request; 0 = the pool's balancer wants none. */
export function hashFor(pool: Pool, facts: TemplateFacts): number {
  const key = pool.hashKey;
  if (key === null) return 0;
  text.length = 0;
  if (key.from === "source") facts.putFact("source", text);
  return hashOf(key, facts.head, latin1Text(text.bytes, 0, text.length));
}

export class SubRequest implements UpstreamSink, TimerOwner, AttemptHistory {
  // What retry.ts asks about. The body can always be sent again.
  readonly method: Method;
  readonly bodyBegun = false;
  connectFailures = 0;
  repeats = 0;
  refreshed = false;
  nothingSent = false;

  private readonly parts: SubRequestParts;
  private runtime: PoolRuntime;
  private pool: Pool;
  private readonly terms: SubRequestTerms;
  private readonly message: SubRequestMessage;
  private readonly holder: Holder;
  private readonly pick: PickState;
  private owner: SubRequestOwner | null;
  private upstream: H1Client | null = null;
  private upstreamBytesIn = 0;
  private upstreamBytesOut = 0;
  private index = -1;
  private freshOnly = false;
  private failure: Failure = 0;
  private sentMs = -1; // -1 = not sent
  private answeredMs = 0;
  private status = 0;
  private bodyLeft: number;
  private timer = -1;
  private over = false;

  /** method: that of the message. Nothing happens before start(). */
  constructor(
    parts: SubRequestParts,
    runtime: PoolRuntime,
    terms: SubRequestTerms,
    method: Method,
    message: SubRequestMessage,
    holder: Holder,
    owner: SubRequestOwner,
  ) {
    this.parts = parts;
    this.runtime = runtime;
    this.pool = runtime.pool;
    this.terms = terms;
    this.method = method;
    this.message = message;
    this.holder = holder;
    this.owner = owner;
    this.bodyLeft = terms.answerBytesMax;
    this.pick = newPickState(runtime.pool.members.length);
    this.pick.hash = message.hash;
  }

  /** Sends it; once. */
  start(): void {
    const { parts, terms, holder } = this;
    const nowMs = parts.clock.cachedMs;
    holder.exchanges++;
    const refused = this.parse();
    if (refused !== FailureCause.None) {
      this.end(failure(Side.Client, Phase.RequestHead, refused));
      return;
    }
    this.pool.budget.onRequest(nowMs);
    if (terms.totalMs !== 0) {
      this.timer = parts.timers.open(this);
      parts.timers.set(this.timer, nowMs + terms.totalMs);
    }
    this.dispatch();
  }

  /** Nobody wants it any more: no further call, and no blame for the endpoint. Harmless when it is over. */
  cancel(): void {
    this.owner = null;
    if (!this.over) this.fail(unwanted);
  }

  // ---- an attempt

  private dispatch(): void {
    const { pool, pick, runtime } = this;
    const nowMs = this.parts.clock.cachedMs;
    pick.nowMs = nowMs;
    const index = pool.acquire(pick);
    if (index === NOBODY && runtime.successor !== null) {
      this.runtime = runtime.successor; // its endpoints were all replaced in the meantime
      this.pool = this.runtime.pool;
      resetPickState(pick, this.pool.members.length, nowMs);
      pick.hash = this.message.hash;
      this.dispatch();
    } else if (index === OVER_LIMIT) this.end(pool.circuit!.refuse("requests"));
    else if (index === NOBODY) this.end(this.failure || nobodyThere);
    else if (index < 0) this.end(allFull);
    else this.attempt(index);
  }

  private attempt(index: number): void {
    const { connector } = this.parts;
    const { row, target } = this.pool.members[index]!;
    if (!connector.reserve(row, this.freshOnly)) {
      this.pool.undo(index);
      this.end(this.pool.circuit?.refuse("connections") ?? allFull); // the limit may be of a newer generation
      return;
    }
    this.index = index;
    this.sentMs = -1;
    const { timeouts } = this.terms;
    const kept = this.freshOnly ? null : connector.take(row, this, timeouts);
    this.upstreamBytesIn = kept?.bytesIn ?? 0;
    this.upstreamBytesOut = kept?.bytesOut ?? 0;
    this.upstream = kept ?? connector.connect(row, target!, this, timeouts);
    if (kept !== null) this.send();
  }

  onReady(): void {
    this.send();
  }

  /** The head into `sending`; 0, or why it is none. */
  private parse(): FailureCause {
    const { head } = this.message;
    const after = parseRequest(head, 0, head.length, sending, head.length, headersMax + ownFieldsMax);
    if (after === head.length) return FailureCause.None;
    return after < 0 ? (-after as FailureCause) : FailureCause.Protocol;
  }

  private send(): void {
    const { body, trailers } = this.message;
    const upstream = this.upstream!;
    this.sentMs = this.parts.clock.cachedMs;
    this.parse();
    dropFields(sending, Name.Expect); // the body goes along, whatever is thought of the head
    const flow = upstream.sendHead(sending, nothing, body === null, body !== null);
    if (flow === Flow.Closed || body === null) return; // of a closed one onReset has been told
    upstream.sendData(body, 0, body.length, trailers === null);
    if (trailers === null) return;
    const section = readTrailerSection(trailers, trailers.length);
    if (section === null) upstream.sendData(body, 0, 0, true);
    else upstream.sendTrailers(section);
  }

  // ---- the answer

  onHead(head: Head, last: boolean): void {
    if (head.status < 200) return; // 1xx: nobody waits for it
    this.status = head.status;
    this.answeredMs = this.parts.clock.cachedMs;
    if (this.owner !== null) this.owner.onAnswer(head);
    if (last && this.upstream !== null) this.finish();
  }

  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.bodyLeft -= end - start;
    if (this.bodyLeft < 0) {
      this.fail(answerTooLong);
      return;
    }
    if (this.owner !== null) this.owner.onBody(bytes, start, end);
    if (last && this.upstream !== null) this.finish();
  }

  onMoved(): void {
    // nothing is forwarded
  }

  onTrailers(): void {
    this.finish();
  }

  onDrain(): void {
    // all there is has been handed over
  }

  /** The endpoint failed. */
  onReset(f: Failure): void {
    const { pool, parts } = this;
    const failed = this.upstream!;
    this.upstream = null;
    this.failure = f;
    const counters = this.count(failed);
    const isConnect = phaseOf(f) === Phase.Connect;
    if (isConnect) {
      this.connectFailures++;
      counters[EC.connectFailures]!++;
    }
    this.nothingSent = failed.bytesOut === this.upstreamBytesOut;
    const nowMs = parts.clock.cachedMs;
    const retry = this.status !== 0 ? Retry.No : allowRetry(f, 0, this, this.terms.policy, pool.budget, nowMs);
    if (retry === Retry.OtherEndpoint) markTried(this.pick, this.index);
    if (retry === Retry.No) {
      this.end(f);
      return;
    }
    counters[EC.retries]!++;
    this.release(f);
    if (this.over) return; // whoever was given the place has cancelled this one
    if (!isConnect) {
      if (this.nothingSent) this.connectFailures++;
      else if (retry === Retry.FreshConnection) this.refreshed = true;
      else this.repeats++;
      this.freshOnly = retry === Retry.FreshConnection;
    }
    this.dispatch();
  }

  // ---- the end

  /** Too late. Only an endpoint that has not begun to answer is to blame. */
  onDeadline(): void {
    if (this.status !== 0) this.fail(failure(Side.Proxy, Phase.ResponseBody, FailureCause.Timeout));
    else {
      const phase = this.sentMs < 0 ? Phase.Connect : Phase.ResponseHead;
      this.fail(failure(Side.Endpoint, phase, FailureCause.Timeout));
    }
  }

  /** The answer is whole. */
  private finish(): void {
    const upstream = this.upstream!;
    this.upstream = null;
    this.over = true;
    const counters = this.count(upstream);
    counters[EC.status1xx + ((this.status / 100) | 0) - 1]!++;
    this.parts.connector.give(upstream, this.pool.config.keepAlive);
    this.end(0);
  }

  /** Breaks it off. */
  private fail(f: Failure): void {
    const upstream = this.upstream;
    this.over = true;
    if (upstream !== null) {
      this.upstream = null;
      const counters = this.count(upstream);
      if (this.status !== 0) counters[EC.status1xx + ((this.status / 100) | 0) - 1]!++;
      if (phaseOf(f) === Phase.Connect) counters[EC.connectFailures]!++;
      upstream.reset(f);
    }
    this.end(f);
  }

  private end(f: Failure): void {
    this.over = true;
    if (this.timer >= 0) this.parts.timers.close(this.timer);
    this.timer = -1;
    this.release(f);
    this.holder.exchanges--;
    const owner = this.owner;
    this.owner = null;
    if (owner !== null) owner.onEnd(f);
  }

  private release(f: Failure): void {
    const index = this.index;
    if (index < 0) return;
    this.index = -1;
    const isAnswered = this.status !== 0 && (f === 0 || f === answerTooLong);
    const latencyUs = isAnswered ? Math.max(1, Math.round((this.answeredMs - this.sentMs) * 1000)) : 0;
    this.pool.release(index, f, latencyUs, this.status);
  }

  private count(upstream: H1Client): Float64Array {
    const counters = this.parts.connector.countersOf(upstream.member);
    counters[EC.bytesReceived]! += upstream.bytesIn - this.upstreamBytesIn;
    counters[EC.bytesSent]! += upstream.bytesOut - this.upstreamBytesOut;
    return counters;
  }
}
