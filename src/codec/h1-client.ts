// One connection to an endpoint speaking HTTP/1.1: sends a request, receives its response, may then be kept for the
// next one. It is the stream of its one exchange at a time. It never pipelines. Anything odd in a response ends the
// connection's reuse. Deadlines: connect, send, response (head and between body bytes), idle.

import { Scratch } from "../base/bytes.ts";
import { type Failure, failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { interimResponsesMax, lingerMs, responseHeadBytesMax, responseHeadersMax } from "../base/limits.ts";
import { Cause, type Clock, type Connection, type ConnectionEvents } from "../base/ports.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import { type BulkSource, moveBody, receiveMaxFor } from "./bulk.ts";
import { ChunkedDecoder, type ChunkSink } from "../wire/h1/chunked.ts";
import { HeadBuffer } from "../wire/h1/head-buffer.ts";
import { NEED_MORE, parseResponse } from "../wire/h1/parse.ts";
import { ConnectionSays, writeRequestHead } from "../wire/h1/write.ts";
import { BODY_CHUNKED, BODY_UNTIL_CLOSE, Head, HeadFlag, Method } from "../wire/head.ts";
import { none, readTrailerSection, sendChunk, sendTrailerSection } from "./chunked-body.ts";
import { hold, takeHeld, updateSocket } from "./inlet.ts";
import { begin, discardCork, flush, noteUnsent, type Outlet, peerReads } from "./outlet.ts";
import { send, sendBody, takePending, uncork } from "./outlet.ts";
import { type Detached, Flow, type HttpStream, type UpstreamSink } from "./stream.ts";
import { connectCause, unconnected } from "./unconnected.ts";

/** Milliseconds; 0 = no deadline. */
export interface ClientTimeouts {
  readonly connectMs: number;
  readonly sendMs: number;
  readonly responseMs: number;
}

/** Who opened the connection and keeps it between exchanges. */
export interface ClientOwner {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  /** The connection is established; its sink may now send. */
  onConnected(client: H1Client): void;
  /** The connection is gone, whatever it was doing. Called exactly once, before the sink hears of it. */
  onGone(client: H1Client): void;
}

const State = {
  Connecting: 0,
  Idle: 1, // established, no exchange
  Waiting: 2, // request (partly) sent, no final response head yet
  Body: 3,
  Done: 4, // response whole; the exchange has not given the connection back yet
  Detached: 5,
  Closed: 6,
} as const;
type State = (typeof State)[keyof typeof State];

const responseHead = new Head(responseHeadersMax);
const named = new Scratch(1024);

export class H1Client implements ConnectionEvents, HttpStream, ChunkSink, TimerOwner, BulkSource, Outlet {
  connection: Connection;
  readonly owner: ClientOwner;
  /** Which endpoint of its pool this connection leads to; for the owner. */
  readonly member: number;
  timeouts: ClientTimeouts;
  sink: UpstreamSink | null;
  pending: Uint8Array | null = null;
  pendingAt = 0;
  unsentBefore = 0;
  bytesOut = 0;
  bytesIn = 0;
  /** Requests begun on this connection. */
  requests = 0;
  /** Where it leads, in numbers of the owner; -1 = nowhere that counts. */
  place = -1;
  // Links of the owner's list of idle connections.
  idleNext: H1Client | null = null;
  idlePrevious: H1Client | null = null;
  isLinked = false;
  private state: State = State.Connecting;
  private readonly timer: number;
  private headBuffer: HeadBuffer | null = null;
  private decoder: ChunkedDecoder | null = null;
  private bodyLeft = 0;
  private receiveEnd = 0;
  stash: Uint8Array | null = null;
  stashAt = 0;
  readPaused = false;
  directTo: Outlet | null = null;
  readonly readsPast = true; // bytes behind a response forbid the connection's reuse: they must be seen
  socketPaused = false;
  private consuming = false;
  private method: Method = Method.Get;
  private asksUpgrade = false;
  private interims = 0;
  private chunkedOut = false;
  private rawOut = false;
  private requestDone = false;
  private keepable = false;
  private peerFinished = false;
  /** The connection is gone, but something of the response may still be held here or in the kernel: how it ended. */
  private brokenBy: Failure = 0;

  constructor(owner: ClientOwner, member: number, timeouts: ClientTimeouts, sink: UpstreamSink) {
    this.owner = owner;
    this.member = member;
    this.timeouts = timeouts;
    this.sink = sink;
    this.connection = unconnected;
    this.timer = owner.timers.open(this);
    this.setDeadline(timeouts.connectMs);
  }

  /** True if the connection served an exchange before the present one. */
  get reused(): boolean {
    return this.requests > 1;
  }

  /** True when an exchange has ended cleanly, or never began, and another may follow. */
  get isReusable(): boolean {
    return this.state === State.Idle || (this.state === State.Done && this.keepable);
  }

  get isIdle(): boolean {
    return this.state === State.Idle;
  }

  /** True if, as far as the response's head tells, another exchange may follow once its body is there. */
  get mayBeKept(): boolean {
    return this.keepable && this.requestDone && this.pending === null;
  }

  // ---- life of the connection

  onOpen(): void {
    this.owner.clock.nowMs();
    this.state = State.Idle;
    this.owner.timers.clear(this.timer);
    this.owner.onConnected(this);
    uncork();
  }

  /** Takes the connection for an exchange. */
  assign(sink: UpstreamSink, timeouts: ClientTimeouts): void {
    this.sink = sink;
    this.timeouts = timeouts;
  }

  /** Puts it to rest until the next exchange, for at most idleMs. */
  park(idleMs: number): void {
    this.sink = null;
    this.state = State.Idle;
    this.setDeadline(idleMs);
  }

  /** Closes an idle or finished connection in good order. */
  close(): void {
    if (this.state >= State.Detached) return;
    this.connection.close();
    this.shut();
  }

  onFinish(): void {
    this.peerFinished = true;
    this.keepable = false;
    if (this.stash !== null) return; // what is held still counts
    this.finished();
  }

  private finished(): void {
    switch (this.state) {
      case State.Waiting:
        this.fail(failure(Side.Endpoint, this.sendPhase(), FailureCause.Reset, this.reused));
        break;
      case State.Body:
        if (this.bodyLeft !== BODY_UNTIL_CLOSE || this.brokenBy !== 0) {
          this.fail(this.brokenBy || failure(Side.Endpoint, Phase.ResponseBody, FailureCause.Reset, this.reused));
          break;
        }
        this.responseReceived();
        if (this.sink !== null) this.sink.onData(none, 0, 0, true);
        break;
      case State.Idle:
        this.close();
        break;
      default:
    }
    uncork();
  }

  onClose(cause: Cause): void {
    if (this.state >= State.Detached) return;
    let f: Failure;
    if (this.state === State.Connecting) f = failure(Side.Endpoint, Phase.Connect, connectCause(cause));
    else {
      const phase = this.state === State.Body ? Phase.ResponseBody : this.sendPhase();
      const why = cause === Cause.TimedOut ? FailureCause.Timeout : FailureCause.Reset;
      f = failure(Side.Endpoint, phase, why, this.reused);
    }
    this.owner.clock.nowMs();
    const endsHere = this.state === State.Body && this.bodyLeft === BODY_UNTIL_CLOSE && cause === Cause.None;
    if (endsHere && this.stash === null) {
      this.finished();
      if (this.state === (State.Done as State)) this.shut();
      return;
    }
    if (this.state === State.Body && this.stash !== null) {
      this.outlive(cause === Cause.None ? 0 : f);
      return;
    }
    const sink = this.state === State.Idle || this.state === State.Done ? null : this.sink;
    this.shut();
    if (sink !== null) sink.onReset(f);
    uncork();
  }

  /** The connection is gone, but what had arrived of the response waits for the client: perhaps it is all of it. */
  private outlive(f: Failure): void {
    this.peerFinished = true;
    this.keepable = false;
    this.brokenBy ||= f;
    this.pending = null;
    this.owner.timers.clear(this.timer);
  }

  onDeadline(_slot: number, _nowMs: number): void {
    if (peerReads(this)) {
      this.awaitEndpoint();
      return;
    }
    switch (this.state) {
      case State.Idle:
      case State.Done:
        this.close();
        return;
      case State.Connecting:
        this.fail(failure(Side.Endpoint, Phase.Connect, FailureCause.Timeout));
        break;
      case State.Waiting:
        this.fail(failure(Side.Endpoint, this.sendPhase(), FailureCause.Timeout, this.reused));
        break;
      default:
        this.fail(failure(Side.Endpoint, Phase.ResponseBody, FailureCause.Timeout, this.reused));
    }
    uncork();
  }

  /** What a failure before the answer interrupts. */
  sendPhase(): Phase {
    return this.requestDone ? Phase.ResponseHead : Phase.RequestBody;
  }

  // ---- sending the request

  sendHead(head: Head, added: Scratch, last: boolean, more: boolean): Flow {
    this.requests++;
    this.directTo = null;
    this.state = State.Waiting;
    this.method = head.method;
    this.asksUpgrade = (head.flags & HeadFlag.Upgrade) !== 0;
    this.interims = 0;
    this.keepable = false;
    this.requestDone = last;
    this.chunkedOut = head.bodyLength === BODY_CHUNKED;
    this.rawOut = false;
    const says = this.asksUpgrade ? ConnectionSays.Upgrade : ConnectionSays.Nothing;
    writeRequestHead(begin(), head, this.withHost(head, added), says);
    return this.sent(send(this, more && !last), true);
  }

  /** A request of HTTP/1.0 without Host goes on as HTTP/1.1, which wants one (RFC 9112 3.2): the endpoint's address. */
  private withHost(head: Head, added: Scratch): Scratch {
    if (head.hostEnd > head.hostStart || (head.flags & HeadFlag.NewHost) !== 0) return added;
    const { remoteAddress, remotePort } = this.connection;
    const host = remoteAddress.includes(":") ? `[${remoteAddress}]` : remoteAddress;
    named.length = 0;
    named.putText(remotePort === 0 ? "Host: localhost\r\n" : `Host: ${host}:${remotePort}\r\n`);
    named.put(added.bytes, 0, added.length);
    return named;
  }

  sendData(bytes: Uint8Array, start: number, end: number, last: boolean): Flow {
    if (!this.wantsRequest) return Flow.Go;
    if (last) this.requestDone = true;
    const ownChunks = this.chunkedOut && !this.rawOut;
    return this.sent(ownChunks ? sendChunk(this, bytes, start, end, last) : sendBody(this, bytes, start, end, none));
  }

  sendTrailers(head: Head): Flow {
    if (!this.wantsRequest) return Flow.Go;
    this.requestDone = true;
    return this.sent(sendTrailerSection(this, head, this.rawOut));
  }

  /** Not when it was answered early, or has outlived its connection: the rest is dropped. */
  private get wantsRequest(): boolean {
    if (this.brokenBy !== 0) return false;
    return (
      this.state === State.Waiting || (this.state === State.Body && (!this.peerFinished || this.connection.isOpen))
    );
  }

  takesBytes(): Outlet | null {
    return this.chunkedOut ? null : this;
  }

  takesRawChunks(): boolean {
    if (this.chunkedOut) this.rawOut = true;
    return this.chunkedOut;
  }

  private awaitEndpoint(): void {
    noteUnsent(this);
    this.setDeadline(this.timeouts.sendMs);
  }

  private sent(flow: Flow, begins = false): Flow {
    if (flow === Flow.Pause) this.awaitEndpoint();
    else if (flow === Flow.Go) this.armResponse();
    else if (this.state < State.Detached) {
      // The kernel says the connection is gone: whether onClose follows or not, the exchange hears of it once. But an
      // endpoint that has answered a part of the request and closed is heard out first.
      this.brokenBy = failure(Side.Endpoint, this.sendPhase(), FailureCause.Reset, this.reused);
      this.pending = null;
      if (begins) this.fail(this.brokenBy);
      else if (this.state === State.Waiting) this.setDeadline(lingerMs);
      else this.armResponse();
    }
    return flow;
  }

  onDrain(): void {
    if (this.pending === null || this.state >= State.Detached) return;
    this.owner.clock.nowMs();
    const flow = flush(this);
    if (flow !== Flow.Go) {
      this.sent(flow);
      return;
    }
    this.armResponse();
    if (this.sink !== null) this.sink.onDrain();
    uncork();
  }

  // ---- receiving the response

  onData(bytes: Uint8Array): void {
    this.owner.clock.nowMs();
    this.bytesIn += bytes.length;
    if (this.stash !== null) hold(this, bytes, 0, bytes.length);
    else this.consume(bytes, 0, bytes.length);
    uncork();
  }

  onReadable(): boolean {
    return this.directTo !== null && this.state === State.Body && moveBody(this, this.owner.clock, this.bodyLeft);
  }

  advance(count: number, behind: boolean): boolean {
    this.bodyLeft -= count;
    if (behind) this.keepable = false;
    if (this.bodyLeft === 0) this.responseReceived();
    else this.armResponse();
    return this.bodyLeft === 0;
  }

  consume(bytes: Uint8Array, from: number, end: number): void {
    this.consuming = true;
    let at = from;
    while (at < end) {
      const state = this.state;
      if (state === State.Waiting) at = this.receiveHead(bytes, at, end);
      else if (state === State.Body) {
        if (this.readPaused) {
          hold(this, bytes, at, end);
          break;
        }
        at = this.receiveBody(bytes, at, end);
      } else if (state === State.Idle) {
        this.close(); // bytes nobody asked for: never let them answer the next request
        break;
      } else if (state === State.Detached) {
        hold(this, bytes, at, end);
        break;
      } else {
        this.keepable = false; // bytes behind a whole response
        break;
      }
    }
    this.consuming = false;
  }

  private receiveHead(bytes: Uint8Array, from: number, end: number): number {
    let source = bytes;
    let start = from;
    let limit = end;
    const buffer = this.headBuffer;
    if (buffer !== null) {
      if (!buffer.append(bytes, from, end, responseHeadBytesMax)) return end;
      source = buffer.bytes;
      start = 0;
      limit = buffer.length;
    }
    const bytesMax = responseHeadBytesMax;
    const after = parseResponse(source, start, limit, responseHead, this.method, bytesMax, responseHeadersMax);
    if (after > 0) {
      this.headBuffer = null;
      if (responseHead.status === 101 && after < limit) {
        hold(this, source, after, limit); // first bytes of the tunnel
        this.beginResponse(responseHead, 0);
        return end;
      }
      this.beginResponse(responseHead, limit - after);
      if (buffer === null) return after;
      if (after < limit) this.consumeRest(source, after, limit);
      return end;
    }
    if (after === NEED_MORE && (buffer === null || buffer.length <= responseHeadBytesMax)) {
      if (buffer === null) {
        this.headBuffer = new HeadBuffer();
        this.headBuffer.append(source, start, limit, responseHeadBytesMax);
      }
      return end;
    }
    this.fail(failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Protocol));
    return end;
  }

  private consumeRest(bytes: Uint8Array, from: number, end: number): void {
    this.consume(bytes, from, end);
    this.consuming = true;
  }

  /** behind = how many bytes came with the head. */
  private beginResponse(head: Head, behind: number): void {
    const sink = this.sink;
    if (head.status < 200) {
      if (head.status === 101) {
        if (!this.asksUpgrade || (head.flags & HeadFlag.Upgrade) === 0) {
          this.fail(failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Protocol));
          return;
        }
        this.state = State.Done;
        this.owner.timers.clear(this.timer);
      } else if (++this.interims > interimResponsesMax) {
        this.fail(failure(Side.Endpoint, Phase.ResponseHead, FailureCause.Protocol));
        return;
      }
      if (sink !== null) sink.onHead(head, head.status === 101, false);
      return;
    }
    const length = head.bodyLength;
    this.keepable = (head.flags & HeadFlag.Close) === 0 && !this.peerFinished;
    this.bodyLeft = length;
    this.connection.receiveMax = receiveMaxFor(length);
    if (length === 0) {
      if (behind > 0) this.keepable = false;
      this.responseReceived();
      if (sink !== null) sink.onHead(head, true, false);
      return;
    }
    this.state = State.Body;
    if (length === BODY_UNTIL_CLOSE) this.keepable = false;
    else if (length === BODY_CHUNKED) {
      if (this.decoder === null) this.decoder = new ChunkedDecoder();
      else this.decoder.reset();
    } else if (behind > length) this.keepable = false;
    this.armResponse();
    if (sink !== null) sink.onHead(head, false, behind > 0);
  }

  private receiveBody(bytes: Uint8Array, at: number, end: number): number {
    if (this.bodyLeft === BODY_CHUNKED) {
      const decoder = this.decoder!;
      this.receiveEnd = end;
      const after = decoder.decode(bytes, at, end, this);
      if (decoder.failed && this.state === State.Body) {
        this.fail(failure(Side.Endpoint, Phase.ResponseBody, FailureCause.Protocol));
        return end;
      }
      if (this.state === State.Body) this.armResponse();
      return after;
    }
    if (this.bodyLeft === BODY_UNTIL_CLOSE) {
      this.armResponse();
      if (this.sink !== null) this.sink.onData(bytes, at, end, false);
      return end;
    }
    const take = Math.min(this.bodyLeft, end - at);
    const last = this.advance(take, at + take < end);
    if (this.sink !== null) this.sink.onData(bytes, at, at + take, last);
    return last ? end : at + take;
  }

  onChunkBytes(bytes: Uint8Array, start: number, end: number, last: boolean): boolean {
    if (last) {
      if (this.decoder!.position < this.receiveEnd) this.keepable = false;
      this.responseReceived();
    }
    if (this.sink !== null) this.sink.onData(bytes, start, end, last);
    return !this.readPaused && this.state === State.Body;
  }

  onChunkTrailers(section: Uint8Array, length: number): void {
    const trailers = readTrailerSection(section, length);
    if (trailers === null) {
      this.fail(failure(Side.Endpoint, Phase.ResponseBody, FailureCause.Protocol));
      return;
    }
    if (this.decoder!.position < this.receiveEnd) this.keepable = false;
    this.responseReceived();
    if (this.sink !== null) this.sink.onTrailers(trailers);
  }

  private responseReceived(): void {
    this.state = State.Done;
    this.owner.timers.clear(this.timer);
    if (!this.requestDone || this.pending !== null || this.brokenBy !== 0) this.keepable = false;
  }

  // ---- flow control

  pause(): void {
    if (this.readPaused) return;
    this.readPaused = true;
    this.armResponse();
    if (!this.consuming) updateSocket(this);
  }

  resume(): void {
    if (!this.readPaused) return;
    this.readPaused = false;
    this.armResponse();
    const held = this.stash;
    if (held !== null && !this.consuming) {
      this.stash = null;
      this.consume(held, this.stashAt, held.length);
      if (this.peerFinished && this.stash === null && this.state < State.Detached) this.finished();
    }
    if (this.state < State.Detached) updateSocket(this);
  }

  forward(target: HttpStream): boolean {
    if (this.bodyLeft > 0) this.directTo = target.takesBytes();
    if (this.state !== State.Body || this.bodyLeft !== BODY_CHUNKED || !target.takesRawChunks()) return false;
    this.decoder!.raw = true;
    return true;
  }

  // ---- the end

  /** Gives the connection to a tunnel, with what was received but not used and what was sent but not accepted. */
  detach(): Detached {
    const received = takeHeld(this);
    const unsent = takePending(this);
    this.sink = null;
    this.state = State.Detached;
    this.owner.timers.close(this.timer);
    this.owner.onGone(this);
    return { received, unsent, finished: this.peerFinished };
  }

  reset(_f: Failure): void {
    this.sink = null;
    discardCork(this);
    if (this.state >= State.Detached) return;
    this.connection.abort();
    this.shut();
  }

  private fail(f: Failure): void {
    const sink = this.sink;
    this.reset(f);
    if (sink !== null) sink.onReset(f);
  }

  private shut(): void {
    if (this.state === State.Closed) return;
    this.state = State.Closed;
    this.sink = null;
    this.pending = null;
    this.stash = null;
    this.headBuffer = null;
    this.owner.timers.close(this.timer);
    this.owner.onGone(this);
  }

  // ---- deadlines

  private setDeadline(ms: number): void {
    if (ms === 0) this.owner.timers.clear(this.timer);
    else this.owner.timers.set(this.timer, this.owner.clock.cachedMs + ms);
  }

  /** The response is due once the request is out; between body bytes only while we are willing to read them. */
  private armResponse(): void {
    if (this.pending !== null) return;
    const due = this.state === State.Waiting ? this.requestDone : this.state === State.Body && !this.readPaused;
    if (due) this.setDeadline(this.timeouts.responseMs);
    else if (this.state === State.Waiting || this.state === State.Body) this.owner.timers.clear(this.timer);
  }
}
