// One request and its response: finds the route, asks its guard, does what the route says, and accounts for everything
// at the end. The endpoint's half is in attempts.ts. It knows streams, not protocols. Objects are pooled: begin() …
// finish(), then reused.

import { Scratch } from "../base/bytes.ts";
import { type Failure, failure, FailureCause, Phase, ruleOf, sideOf, Side } from "../base/failure.ts";
import { Flow, type ServerStream } from "../codec/stream.ts";
import { StickyMark } from "../pool/stickiness/stickiness.ts";
import { LC } from "../stats/columns.ts";
import type { MinRateConfig } from "../model/route-config.ts";
import { type Head, HeadFlag, Method } from "../wire/head.ts";
import { acceptsJson, answer } from "./answer.ts";
import { Attempts } from "./attempts.ts";
import { ClientPace } from "./client-pace.ts";
import { Deadline, Deadlines, type DeadlineOwner } from "./deadlines.ts";
import { drawArm } from "./draw-arm.ts";
import { requestIdText, sentRequestId } from "./forwarded.ts";
import type { Generation } from "./generation.ts";
import { type RequestExtra, type Sleeper, Verdict } from "./guard.ts";
import { HeldLimits } from "./held-limits.ts";
import type { HookRun } from "./hook-request.ts";
import type { ResponseView } from "./hook-response.ts";
import { KeptHead } from "./kept-head.ts";
import type { Listener } from "./listener.ts";
import { keepOwn, type KeptOwn, resumeOwn, sendOwn } from "./own-answer.ts";
import type { PathRules } from "../route/path.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { badPath, bodyTooLarge } from "./refusals.ts";
import { addressOf, requestFacts } from "./request-facts.ts";
import { RequestSide } from "./request-side.ts";
import { ResponseLines } from "./response-lines.ts";
import { putRetryAfter, retryAfterSeconds } from "./retry-after.ts";
import type { Route } from "./route.ts";
import type { TunnelRun } from "./tunnel-run.ts";

const extra = new Scratch(64);
const nothing = new Scratch(16);

export class Exchange implements DeadlineOwner {
  // Set by begin(); the access log reads them.
  listener: Listener;
  client: ServerStream | null = null;
  generation: Generation | null = null;
  route: Route | null = null;
  method: Method = Method.Get;
  bodyLength = 0;
  startMs = 0;
  /** When the response head had come, or our own was sent; 0 = never. */
  answeredMs = 0;
  status = 0;
  /** The answer is one of ours. */
  isOwnAnswer = false;
  requestBodyBytes = 0;
  clientBytesOutBefore = 0;
  /** What a tunnel carried to the client; the stream does not count it. */
  tunnelBytesSent = 0;
  tunnel: TunnelRun | null = null;
  /** Words of the request id we made; ownId tells whether it was used. */
  readonly requestId = new Uint32Array(4);
  ownId = false;
  failure: Failure = 0;

  /** The endpoint's half. */
  readonly attempts: Attempts = new Attempts(this);
  readonly deadlines: Deadlines = new Deadlines(this);
  /** Number of the guard's check that comes next. */
  guardAt = 0;
  /** Places and figures of the limits that the request has passed. */
  readonly limits = new HeldLimits();
  /** What the guard found out that the endpoint is to see. */
  readonly extras: RequestExtra[] = [];
  /** The arm of a weighted forward that was taken, and the one that the client is kept on. */
  arm = -1;
  readonly armSticky = new StickyMark();

  /** Watches that the client is fast enough; null = it may be as slow as it likes. */
  pace: ClientPace | null = null;

  /** What the route's hooks make of this request; null = there are none. */
  hooked: HookRun | null = null;

  private ownPace: ClientPace | null = null;
  /** An answer of ours that waits for a hook. */
  private ownHeld: KeptOwn | null = null;
  /** Those in force when the request began: its path is read once more for each attempt. */
  pathRules: PathRules;
  private readonly requestSide: RequestSide;
  private readonly kept = new KeptHead();
  /** The response has been handed over whole, but the client has not taken all of it. */
  private completed = false;
  private asleep = false;
  private sleeper: Sleeper | null = null;
  /** Counts the requests this object has served: a ticket of an earlier one wakes nobody. */
  private serial = 0;

  constructor(listener: Listener) {
    this.listener = listener;
    this.pathRules = listener.plan.pathRules;
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
    this.answeredMs = 0;
    this.status = 0;
    this.isOwnAnswer = false;
    this.requestBodyBytes = 0;
    this.clientBytesOutBefore = client.bytesOut;
    this.ownId = false;
    this.tunnelBytesSent = 0;
    this.failure = 0;
    this.completed = false;
    this.asleep = false;
    this.arm = -1;
    this.attempts.begin(head.method);
    client.sink = this.requestSide;
    listener.makeRequestId(this.requestId);
    listener.counters[LC.requests]!++;
    this.enter(head, more);
  }

  /** Finds the route and asks its guard. */
  private enter(head: Head, more: boolean): void {
    const { router, pathRules } = this.listener.plan;
    this.pathRules = pathRules;
    if (!requestFacts.open(this, head, pathRules)) {
      this.refuse(badPath);
      return;
    }
    if (router.readsAddress) requestFacts.input.address = addressOf(this, head);
    const found = router.find(head, requestFacts.input);
    if (found < 0) {
      this.answerError(404, nothing);
      this.finish(0);
      return;
    }
    const route = router.values[found]!;
    this.route = route;
    if (route.bodyBytesMax !== 0 && this.bodyLength > route.bodyBytesMax) {
      this.refuse(bodyTooLarge);
      return;
    }
    if (route.totalMs !== 0) this.setDeadline(Deadline.Total, route.totalMs);
    if (route.minRate !== null) this.watchPace(route.minRate, head);
    const { guard } = route;
    if (guard === null) this.act(head, more);
    else if (guard.admit(this, head, 0) === Verdict.Pass) this.act(guard.disturbs ? this.openAgain() : head, more);
  }

  /** Does what the route says. head = the request's, opened in requestFacts. */
  private act(head: Head, more: boolean): void {
    const { redirect, respond } = this.route!;
    const pool = this.hooked?.pool ?? this.route!.pool;
    if (pool !== null) {
      this.attempts.start(pool, head, more);
      return;
    }
    const wallMs = this.listener.clock.wallMs();
    if (redirect !== null) {
      const own = redirect.assemble(this.method, requestFacts, wallMs);
      if (own === null) this.refuse(badPath);
      else this.answerOwn(own, true);
    } else if (respond !== null) this.answerOwn(respond.assemble(this.method, requestFacts, wallMs), true);
    else this.attempts.start(this.drawArm(head), head, more);
  }

  private watchPace(rate: MinRateConfig, head: Head): void {
    this.ownPace ??= new ClientPace(this);
    this.pace = this.ownPace;
    this.pace.begin(rate, this.bodyLength !== 0, (head.flags & HeadFlag.Expect100) !== 0);
  }

  /** The pool of the arm that the client is on, or that a draw gives it. */
  private drawArm(head: Head): PoolRuntime {
    const { pools, upTo, sticky } = this.route!.arms!;
    const known = sticky === null ? -1 : sticky.recall(this.armSticky, head);
    this.arm = known >= 0 ? known : drawArm(upTo, this.listener.rng);
    return pools[this.arm]!;
  }

  /** The request head once more, in a shared Head that is valid until the next call. */
  headAgain(): Head {
    return this.kept.again();
  }

  /** The same in a Head of the caller's, with room for headersMax fields. */
  headInto(head: Head): void {
    this.kept.into(head);
  }

  /** The same, opened in requestFacts, in the form that is forwarded. */
  openAgain(): Head {
    const head = this.kept.again();
    requestFacts.open(this, head, this.pathRules);
    return head;
  }

  /** The request id as text: the client's own, or ours. head = the request's, which whoever has it at hand gives. */
  requestIdText(head: Head = this.headAgain()): string {
    return (this.ownId ? "" : sentRequestId(head)) || requestIdText(this.requestId);
  }

  // ---- waiting for a check of the guard

  /** The request waits, until wake() is called with this ticket. */
  sleep(sleeper: Sleeper): number {
    this.asleep = true;
    this.sleeper = sleeper;
    if (this.bodyLength !== 0) this.holdClient();
    return this.serial;
  }

  /** True while the request that got this ticket waits for it. */
  isAsleep(ticket: number): boolean {
    return this.asleep && ticket === this.serial;
  }

  /** Goes on behind the check that made it wait; nothing happens if the request is over. */
  wake(ticket: number): void {
    if (!this.isAsleep(ticket)) return;
    this.asleep = false;
    this.sleeper = null;
    const { guard } = this.route!;
    const head = this.openAgain();
    if (guard!.admit(this, head, this.guardAt) === Verdict.Pass)
      this.act(guard!.disturbs ? this.openAgain() : head, false);
  }

  // ---- answers

  /** The endpoint's part is over; the exchange is when the client has taken the last of the response. */
  complete(flow: Flow): void {
    if (flow === Flow.Pause) {
      if (this.pace !== null) this.pace.onBlocked();
      this.completed = true;
      this.attempts.letGo(0);
    } else this.finish(0);
  }

  /** Answers for the guard, with further lines (or null), and ends. */
  deny(status: number, f: Failure, lines: Scratch | null): Verdict {
    this.answerError(status, lines ?? nothing);
    this.finish(f);
    return Verdict.Done;
  }

  /** Sends the answer that was assembled by own-answer.ts, and ends. decorate = with the route's own edits. */
  answerOwn(head: Head, decorate: boolean): Verdict {
    this.status = head.status;
    this.isOwnAnswer = true;
    this.answeredMs = this.listener.clock.cachedMs;
    const { responseHooks, decorates } = this.route!;
    if (decorate && responseHooks !== null) {
      const verdict = responseHooks.show(this, head);
      if (verdict === Verdict.Wait) this.ownHeld = keepOwn(this.method);
      if (verdict !== Verdict.Pass) return Verdict.Done;
    }
    sendOwn(this.client!, decorate && decorates ? ResponseLines.forOwn(this, head) : nothing);
    this.finish(0);
    return Verdict.Done;
  }

  /** The response that the hook was shown goes on. */
  onResponseHook(view: ResponseView): void {
    const { ownHeld } = this;
    if (ownHeld === null) {
      this.attempts.goOn(view.again());
      return;
    }
    sendOwn(this.client!, ResponseLines.forOwn(this, resumeOwn(ownHeld)));
    this.finish(0);
  }

  private answerError(status: number, lines: Scratch): void {
    this.status = status;
    this.isOwnAnswer = true;
    this.answeredMs = this.listener.clock.cachedMs;
    const json = acceptsJson(this.headAgain());
    const id = this.requestIdText();
    const all = this.route?.cors ? ResponseLines.forError(this, lines) : lines;
    answer(this.client!, this.method, status, id, json, this.listener.clock.wallMs(), all);
  }

  /** Ends with the failure's status, or with a broken connection if a response has begun. */
  refuse(f: Failure): void {
    const client = this.client!;
    const status = ruleOf(f).status;
    this.failure = f;
    if (client.headSent || !client.isOpen || status === 0) {
      this.finish(f);
      return;
    }
    // What a client that breaks the rules goes on to send is not to be taken for its next request.
    if (sideOf(f) === Side.Client) client.closeAfterResponse();
    extra.length = 0;
    putRetryAfter(extra, retryAfterSeconds(f, this.attempts.pool?.pool ?? null, this.listener.clock.cachedMs));
    this.answerError(status, extra);
    this.finish(f);
  }

  // ---- the client's part

  onClientData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.requestBodyBytes += end - start;
    if (this.pace !== null) this.pace.onReceived(end - start, last);
    const max = this.route!.bodyBytesMax;
    if (max !== 0 && this.requestBodyBytes > max) this.abandon(bodyTooLarge);
    else this.attempts.send(bytes, start, end, last);
  }

  onClientMoved(count: number): void {
    this.requestBodyBytes += count;
    if (this.pace !== null) this.pace.onReceived(count, false);
    this.attempts.bodyBegun = true;
  }

  onClientTrailers(head: Head): void {
    if (this.pace !== null) this.pace.onReceived(0, true);
    this.attempts.sendTrailers(head);
  }

  /** Stops and restarts the request's body. */
  holdClient(): void {
    this.client!.pause();
    if (this.pace !== null) this.pace.onHold();
  }

  readClient(): void {
    if (this.pace !== null) this.pace.onRead();
    this.client!.resume();
  }

  onClientDrain(): void {
    if (this.pace !== null) this.pace.onFlushed();
    if (this.completed) this.finish(0);
    else this.attempts.resume();
  }

  /** The client is gone, too slow, or sends what cannot be relayed: the endpoint's part is given up without blame. */
  abandon(f: Failure): void {
    this.attempts.abandon(f);
    this.refuse(f);
  }

  // ---- the end

  /** Accounts for the exchange and lets the client's connection go on, or breaks it. */
  private finish(f: Failure): void {
    const client = this.client!;
    const { listener, isOwnAnswer } = this;
    this.attempts.letGo(f);
    if (this.status >= 100) listener.counters[LC.status1xx + ((this.status / 100) | 0) - 1]!++;
    if (f !== 0) listener.countFailure(f);
    listener.counters[LC.bytesReceived]! += client.takeBytesIn();
    listener.counters[LC.bytesSent]! += client.takeBytesOut();
    this.dispose(f);
    if (f === 0 || isOwnAnswer) client.done();
    else if (sideOf(f) === Side.Client || client.endsWithClose) client.reset(f);
    else {
      client.closeAfterResponse(); // what has been sent arrives; that the rest is missing, its framing tells
      client.done();
    }
  }

  onTunnelEnd(f: Failure, fromClient: number, fromEndpoint: number): void {
    const client = this.client!;
    this.tunnel = null;
    this.requestBodyBytes = fromClient;
    this.tunnelBytesSent = fromEndpoint;
    this.listener.onTunnelClosed(this, client);
    this.attempts.release(f);
    this.dispose(f);
  }

  /** Logs, forgets everything and goes back to the free list. */
  private dispose(f: Failure): void {
    const { listener } = this;
    this.failure = f;
    this.serial++;
    this.asleep = false;
    if (this.sleeper !== null) this.sleeper.forget();
    this.sleeper = null;
    this.deadlines.close();
    if (listener.accessLog !== null) listener.accessLog.write(this);
    if (this.hooked !== null) this.hooked.end();
    this.hooked = null;
    this.ownHeld = null;
    if (this.limits.any) this.limits.release();
    if (this.extras.length > 0) this.extras.length = 0;
    this.attempts.forget();
    this.pace = null;
    this.generation!.exchanges--;
    this.client = null;
    this.generation = null;
    this.route = null;
    this.kept.forget();
    listener.exchanges.give(this);
  }

  // ---- deadlines

  setDeadline(which: Deadline, ms: number): void {
    this.deadlines.set(which, this.listener.clock.cachedMs + ms, this.listener.timers);
  }

  onExpired(which: Deadline): void {
    if (which === Deadline.Attempt) this.attempts.expire();
    else if (which === Deadline.Pace) {
      const f = this.pace === null ? 0 : this.pace.judge();
      if (f !== 0) this.abandon(f);
    } else if (which === Deadline.Total) {
      const phase = this.status === 0 ? this.attempts.phase : Phase.ResponseBody;
      this.abandon(failure(Side.Proxy, phase, FailureCause.Timeout));
    } else if (this.attempts.queued) {
      this.listener.counters[LC.queueTimeouts]!++;
      this.abandon(failure(Side.Proxy, Phase.Queue, FailureCause.Timeout));
    }
  }
}
