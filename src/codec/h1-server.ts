// One client connection speaking HTTP/1.1 to us: receives requests, sends responses, keeps order under pipelining,
// closes without losing bytes. It is the stream of its one exchange at a time. It decides framing and connection reuse;
// what a request means is decided by its host. Deadlines: head, body, idle, write, linger.

import type { Scratch } from "../base/bytes.ts";
import { type Failure, failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { headersMax, lingerBytesMax, lingerMs } from "../base/limits.ts";
import { Cause, type Connection, type ConnectionEvents } from "../base/ports.ts";
import type { TimerOwner } from "../base/timer-wheel.ts";
import { type BulkSource, moveBody, receiveMaxFor } from "./bulk.ts";
import { ChunkedDecoder, type ChunkSink } from "../wire/h1/chunked.ts";
import { HeadBuffer } from "../wire/h1/head-buffer.ts";
import { NEED_MORE, parseRequest } from "../wire/h1/parse.ts";
import { ConnectionSays, writeResponseHead } from "../wire/h1/write.ts";
import { BODY_CHUNKED, Head, HeadFlag } from "../wire/head.ts";
import { none, readTrailerSection, sendChunk, sendTrailerSection } from "./chunked-body.ts";
import { hold, takeHeld, updateSocket } from "./inlet.ts";
import { begin, discardCork, flush, noteUnsent, type Outlet, peerReads } from "./outlet.ts";
import { send, sendBody, takePending, uncork } from "./outlet.ts";
import type { ServerHost } from "./server-host.ts";
import { type Detached, Flow, type HttpStream, type HttpStreamSink, type ServerStream } from "./stream.ts";

const State = {
  Idle: 0, // between requests, nothing received
  Head: 1, // part of a head received
  Body: 2, // request body arriving
  Busy: 3, // request whole, exchange under way
  Flushing: 4, // exchange over, the last bytes of the response wait for the client
  Lingering: 5, // FIN sent, reading and discarding
  Detached: 6, // the connection belongs to a tunnel
  Closed: 7,
} as const;
type State = (typeof State)[keyof typeof State];

// Shared by all connections of the process: valid only until the call that filled it returns.
const requestHead = new Head(headersMax);

export class H1Server implements ConnectionEvents, ServerStream, ChunkSink, TimerOwner, BulkSource, Outlet {
  readonly connection: Connection;
  readonly host: ServerHost;
  readonly localPort: number;
  sink: HttpStreamSink | null = null;
  pending: Uint8Array | null = null;
  pendingAt = 0;
  unsentBefore = 0;
  bytesOut = 0;
  bytesIn = 0;
  private bytesOutTaken = 0;
  /** Requests begun on this connection. */
  requests = 0;
  /** Set when the final response head has been sent: no other answer is possible. */
  headSent = false;
  endsWithClose = false;
  memo: Uint8Array | null = null;
  peer: { readonly address: Uint8Array | null } | null = null;
  clientPlace = 0;
  private state: State = State.Idle;
  private readonly timer: number;
  private headBuffer: HeadBuffer | null = null;
  private decoder: ChunkedDecoder | null = null;
  private bodyLeft = 0;
  stash: Uint8Array | null = null;
  stashAt = 0;
  readPaused = false;
  directTo: Outlet | null = null;
  readonly readsPast = false; // the next request is none of this one's business
  socketPaused = false;
  private consuming = false;
  private peerFinished = false;
  private closeAfter = false;
  private clientCloses = false;
  private http10 = false;
  private chunkedOut = false;
  private rawOut = false;
  private awaitsContinue = false;
  private requestDone = false;
  /** The response went out before the request was whole: the rest of the body is read and dropped. */
  private discarding = false;
  private lingered = 0;

  /** localPort = the port the client connected to; 0 for unix sockets. */
  constructor(connection: Connection, host: ServerHost, localPort: number) {
    this.connection = connection;
    this.host = host;
    this.localPort = localPort;
    this.timer = host.timers.open(this);
    host.clock.nowMs();
    this.setDeadline(host.requestHeadMs);
  }

  get isOpen(): boolean {
    return this.state < State.Lingering;
  }

  /** True between two requests, with nothing half received: such a connection may be closed without harm. */
  get isIdle(): boolean {
    return this.betweenRequests && this.stash === null;
  }

  /** Also with an empty line received: some clients send one behind a body, and no request may follow. */
  private get betweenRequests(): boolean {
    return this.state === State.Idle || (this.state === State.Head && this.headBuffer!.isBlank);
  }

  // ---- receiving

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.host.clock.nowMs();
    this.bytesIn += bytes.length;
    if (this.stash !== null) hold(this, bytes, 0, bytes.length);
    else this.consume(bytes, 0, bytes.length);
    uncork();
  }

  onReadable(): boolean {
    return this.directTo !== null && this.state === State.Body && moveBody(this, this.host.clock, this.bodyLeft);
  }

  advance(count: number, _behind: boolean): boolean {
    this.bodyLeft -= count;
    if (this.bodyLeft === 0) this.requestReceived();
    else this.armReceive();
    return this.bodyLeft === 0;
  }

  onFinish(): void {
    this.peerFinished = true;
    switch (this.state) {
      case State.Idle:
      case State.Head:
      case State.Lingering:
        this.connection.close();
        return;
      case State.Body:
        if (this.stash === null) this.fail(failure(Side.Client, Phase.RequestBody, FailureCause.Reset));
        return; // else the held bytes may complete the body
      default:
        // Half-closed: the response still goes out, as do those to requests that are held. Behind the last we close.
        if (this.stash === null) this.closeAfter = true;
    }
  }

  onClose(cause: Cause): void {
    if (this.state === State.Closed || this.state === State.Detached) return;
    const phase =
      this.state === State.Body ? Phase.RequestBody : this.headSent ? Phase.ResponseBody : Phase.ResponseHead;
    const sink = this.sink;
    this.shut();
    if (sink === null) return;
    // Our own doing: the drain deadline has come, or there is a bug.
    const ours = this.host.draining ? FailureCause.Drain : FailureCause.Internal;
    const theirs = cause === Cause.TimedOut ? FailureCause.Timeout : FailureCause.Reset;
    sink.onReset(cause === Cause.Aborted ? failure(Side.Proxy, phase, ours) : failure(Side.Client, phase, theirs));
  }

  onDrain(): void {
    if (this.state >= State.Lingering || this.pending === null) return;
    this.host.clock.nowMs();
    const flow = flush(this);
    if (flow === Flow.Closed) return;
    if (flow === Flow.Pause) {
      this.awaitClient();
      return;
    }
    if (this.state === State.Flushing) this.finishExchange();
    else {
      this.armReceive();
      if (this.sink !== null) this.sink.onDrain();
    }
    uncork();
  }

  onDeadline(_slot: number, _nowMs: number): void {
    if (this.betweenRequests || this.state === State.Lingering) this.connection.close();
    else if (this.state === State.Head) {
      this.refuse(failure(Side.Client, Phase.RequestHead, FailureCause.Timeout));
      uncork();
    } else if (peerReads(this)) this.awaitClient();
    else {
      const phase =
        this.pending !== null ? (this.headSent ? Phase.ResponseBody : Phase.ResponseHead) : Phase.RequestBody;
      this.fail(failure(Side.Client, phase, FailureCause.Timeout));
      uncork();
    }
  }

  consume(bytes: Uint8Array, from: number, end: number): void {
    this.consuming = true;
    let at = from;
    while (at < end) {
      const state = this.state;
      if (state === State.Idle || state === State.Head) at = this.receiveHead(bytes, at, end);
      else if (state === State.Body && !this.readPaused) at = this.receiveBody(bytes, at, end);
      else if (state === State.Lingering) {
        this.linger(end - at);
        break;
      } else {
        if (state !== State.Closed) hold(this, bytes, at, end);
        break;
      }
    }
    this.consuming = false;
  }

  private receiveHead(bytes: Uint8Array, from: number, end: number): number {
    const host = this.host;
    let source = bytes;
    let start = from;
    let limit = end;
    const buffer = this.headBuffer;
    if (buffer !== null) {
      if (!buffer.append(bytes, from, end, host.headBytesMax)) return end;
      source = buffer.bytes;
      start = 0;
      limit = buffer.length;
    }
    const after = parseRequest(source, start, limit, requestHead, host.headBytesMax, host.headersMax);
    if (after > 0) {
      this.headBuffer = null;
      this.beginRequest(requestHead, after < limit);
      if (buffer === null) return after;
      if (after < limit) this.consumeRest(source, after, limit); // what lay behind the head continues there
      return end;
    }
    if (after === NEED_MORE && (buffer === null || buffer.length <= host.headBytesMax)) {
      if (buffer === null) {
        this.headBuffer = new HeadBuffer();
        this.headBuffer.append(source, start, limit, host.headBytesMax);
        this.state = State.Head;
        this.setDeadline(host.requestHeadMs);
      }
      return end;
    }
    const cause = after === NEED_MORE ? FailureCause.TooLarge : (-after as FailureCause);
    this.refuse(failure(Side.Client, Phase.RequestHead, cause));
    return end;
  }

  private consumeRest(bytes: Uint8Array, from: number, end: number): void {
    this.consume(bytes, from, end);
    this.consuming = true;
  }

  private beginRequest(head: Head, more: boolean): void {
    const host = this.host;
    const flags = head.flags;
    this.requests++;
    this.directTo = null;
    this.http10 = (flags & HeadFlag.Http10) !== 0;
    this.clientCloses = (flags & HeadFlag.Close) !== 0;
    this.closeAfter = this.clientCloses || (host.requestsMax !== 0 && this.requests >= host.requestsMax);
    this.awaitsContinue = (flags & HeadFlag.Expect100) !== 0;
    this.headSent = false;
    this.endsWithClose = false;
    this.chunkedOut = false;
    this.rawOut = false;
    const length = head.bodyLength;
    const last = length === 0;
    this.requestDone = last;
    if (last) {
      this.state = State.Busy;
      host.timers.clear(this.timer);
    } else {
      this.state = State.Body;
      if (length === BODY_CHUNKED) {
        if (this.decoder === null) this.decoder = new ChunkedDecoder();
        else this.decoder.reset();
      }
      this.bodyLeft = length;
      this.connection.receiveMax = receiveMaxFor(length);
      this.armReceive();
    }
    host.onRequest(this, head, last, more && !last);
  }

  private receiveBody(bytes: Uint8Array, at: number, end: number): number {
    this.awaitsContinue = false;
    if (this.discarding) {
      this.lingered += end - at;
      if (this.lingered > lingerBytesMax) {
        this.stopDiscarding();
        return at;
      }
    }
    if (this.bodyLeft === BODY_CHUNKED) {
      const decoder = this.decoder!;
      const after = decoder.decode(bytes, at, end, this);
      if (decoder.failed && this.state === State.Body) {
        this.fail(failure(Side.Client, Phase.RequestBody, FailureCause.Protocol));
        return end;
      }
      if (this.state === State.Body) this.armReceive();
      return after;
    }
    const take = Math.min(this.bodyLeft, end - at);
    const last = this.advance(take, false);
    if (this.sink !== null) this.sink.onData(bytes, at, at + take, last);
    return at + take;
  }

  onChunkBytes(bytes: Uint8Array, start: number, end: number, last: boolean): boolean {
    if (last) this.requestReceived();
    if (this.sink !== null) this.sink.onData(bytes, start, end, last);
    return !this.readPaused && this.state === State.Body;
  }

  onChunkTrailers(section: Uint8Array, length: number): void {
    const trailers = readTrailerSection(section, length);
    if (trailers === null) {
      this.fail(failure(Side.Client, Phase.RequestBody, FailureCause.Protocol));
      return;
    }
    this.requestReceived();
    if (this.sink !== null) this.sink.onTrailers(trailers);
  }

  private requestReceived(): void {
    this.requestDone = true;
    this.state = State.Busy;
    if (this.discarding) {
      this.discarding = false;
      if (this.pending !== null) this.awaitClient();
      this.done();
      return;
    }
    if (this.pending === null) this.host.timers.clear(this.timer);
  }

  private releaseStash(): void {
    const held = this.stash;
    if (held !== null && !this.consuming) {
      this.stash = null;
      this.consume(held, this.stashAt, held.length);
      uncork(); // not every caller is a receive
    }
    if (this.state < State.Detached) updateSocket(this);
    if (held !== null && this.stash === null && this.peerFinished && this.state <= State.Body) this.onFinish();
  }

  pause(): void {
    this.readPaused = true;
    this.armReceive();
    if (!this.consuming) updateSocket(this);
  }

  resume(): void {
    if (!this.readPaused) return;
    this.readPaused = false;
    this.armReceive();
    this.releaseStash();
  }

  forward(target: HttpStream): boolean {
    if (this.bodyLeft > 0) this.directTo = target.takesBytes();
    if (this.bodyLeft !== BODY_CHUNKED || this.requestDone || !target.takesRawChunks()) return false;
    this.decoder!.raw = true;
    return true;
  }

  // ---- sending

  sendHead(head: Head, added: Scratch, last: boolean, more: boolean): Flow {
    const interim = head.status < 200 && head.status !== 101;
    if (interim) {
      if (this.http10) return Flow.Go; // RFC 9110 15.2
      writeResponseHead(begin(), head, added, false, ConnectionSays.Nothing);
      if (head.status === 100) this.awaitsContinue = false;
      this.armReceive(); // whoever waited for this has its time for the body from now on
      return this.after(send(this, false));
    }
    this.headSent = true;
    const length = head.bodyLength;
    if (!last && length < 0) {
      if (this.http10) this.closeAfter = this.endsWithClose = true;
      else this.chunkedOut = true;
    }
    // An early answer: if the rest of the request will not be read, the client should know (RFC 9110 10.1.1, RFC 9112
    // 9.6). A client that still waits for 100 may now send its body or not: only the close tells its end.
    const unread = (last || more) && !this.worthReading;
    if (!this.requestDone && (unread || this.awaitsContinue)) this.closeAfter = true;
    if (this.host.draining) this.closeAfter = true;
    let says: ConnectionSays = ConnectionSays.Nothing;
    if (head.status === 101) says = ConnectionSays.Upgrade;
    else if (this.closeAfter) says = ConnectionSays.Close;
    else if (this.http10) says = ConnectionSays.KeepAlive;
    writeResponseHead(begin(), head, added, this.chunkedOut, says);
    return this.after(send(this, more && !last));
  }

  sendData(bytes: Uint8Array, start: number, end: number, last: boolean): Flow {
    const ownChunks = this.chunkedOut && !this.rawOut;
    return this.after(ownChunks ? sendChunk(this, bytes, start, end, last) : sendBody(this, bytes, start, end, none));
  }

  sendTrailers(head: Head): Flow {
    if (!this.chunkedOut) return this.after(sendBody(this, none, 0, 0, none)); // HTTP/1.0 knows no trailers
    return this.after(sendTrailerSection(this, head, this.rawOut));
  }

  takesBytes(): Outlet | null {
    return this.chunkedOut ? null : this;
  }

  takesRawChunks(): boolean {
    this.rawOut = this.chunkedOut;
    return this.rawOut;
  }

  private after(flow: Flow): Flow {
    if (flow === Flow.Pause) this.awaitClient();
    return flow;
  }

  /** The client has not read all of what was sent. */
  private awaitClient(): void {
    noteUnsent(this);
    this.setDeadline(this.host.writeMs);
  }

  takeBytesIn(): number {
    const count = this.bytesIn;
    this.bytesIn = 0;
    return count;
  }

  takeBytesOut(): number {
    const count = this.bytesOut - this.bytesOutTaken;
    this.bytesOutTaken = this.bytesOut;
    return count;
  }

  closeAfterResponse(): void {
    this.closeAfter = true;
  }

  done(): void {
    this.sink = null;
    this.directTo = null;
    if (this.state >= State.Lingering) return;
    if (!this.requestDone) {
      // done() comes again behind the rest; perhaps it has, and the next request has begun
      if (this.discardRest()) return;
      this.closeAfter = true;
    }
    if (this.pending !== null) {
      this.state = State.Flushing;
      return;
    }
    this.finishExchange();
  }

  /** A short rest of a request body is worth reading to keep the connection. */
  private get worthReading(): boolean {
    return this.state === State.Body && this.bodyLeft <= lingerBytesMax;
  }

  private discardRest(): boolean {
    if (!this.worthReading || this.closeAfter || this.host.draining) return false;
    this.discarding = true;
    this.lingered = 0;
    this.readPaused = false;
    this.setDeadline(lingerMs);
    this.releaseStash();
    return true;
  }

  /** The rest is too long, too slow or broken: the connection closes behind the response. */
  private stopDiscarding(): void {
    this.discarding = false;
    this.closeAfter = true;
    if (this.pending !== null) this.awaitClient();
    this.done();
  }

  private finishExchange(): void {
    if (this.closeAfter || this.host.draining) {
      this.startClosing();
      return;
    }
    this.readPaused = false;
    this.state = State.Idle;
    this.setDeadline(this.host.idleMs);
    if (this.peerFinished && this.stash === null) {
      this.connection.close();
      return;
    }
    if (this.stash !== null || this.socketPaused) this.releaseStash();
  }

  private startClosing(): void {
    uncork();
    // A client that announced its close and has been read to the end sends nothing more: no reset can hurt it.
    if (this.peerFinished || (this.clientCloses && this.requestDone && this.stash === null)) {
      this.connection.close();
      return;
    }
    this.state = State.Lingering;
    this.lingered = 0;
    this.stash = null;
    this.headBuffer = null;
    this.connection.finish();
    this.setDeadline(lingerMs);
    this.readPaused = false;
    updateSocket(this);
  }

  private linger(count: number): void {
    this.lingered += count;
    if (this.lingered > lingerBytesMax) this.connection.abort();
  }

  /** Closes an idle connection now, with FIN first (drain, removed listener), a busy one after its response. */
  closeWhenIdle(): void {
    if (this.isIdle) {
      this.clientCloses = false;
      this.startClosing();
    } else this.closeAfter = true;
  }

  /** The host does not hear onClosed for a connection that was given away. */
  detach(): Detached {
    const received = takeHeld(this);
    const unsent = takePending(this);
    this.state = State.Detached;
    this.host.timers.close(this.timer);
    this.sink = null;
    return { received, unsent, finished: this.peerFinished };
  }

  reset(_f: Failure): void {
    this.sink = null;
    discardCork(this);
    if (this.state >= State.Detached) return;
    this.connection.abort();
    this.shut();
  }

  // ---- failing

  private refuse(f: Failure): void {
    this.closeAfter = true;
    this.clientCloses = false;
    this.requestDone = false;
    this.headBuffer = null;
    this.headSent = false;
    this.chunkedOut = false;
    this.rawOut = false;
    this.state = State.Busy;
    this.host.timers.clear(this.timer);
    this.host.onRefused(this, f);
  }

  /** The request cannot be completed. The exchange decides whether an answer is still possible. */
  private fail(f: Failure): void {
    if (this.discarding) {
      this.stopDiscarding();
      return;
    }
    this.closeAfter = true;
    this.clientCloses = false;
    this.host.timers.clear(this.timer);
    if (this.state === State.Body) this.state = State.Busy;
    const sink = this.sink;
    this.sink = null;
    if (sink !== null) sink.onReset(f);
    else this.reset(f);
  }

  private shut(): void {
    if (this.state === State.Closed) return;
    this.state = State.Closed;
    this.sink = null;
    this.pending = null;
    this.stash = null;
    this.headBuffer = null;
    this.host.timers.close(this.timer);
    this.host.onClosed(this);
  }

  // ---- deadlines

  private setDeadline(ms: number): void {
    if (ms === 0) this.host.timers.clear(this.timer);
    else this.host.timers.set(this.timer, this.host.clock.cachedMs + ms);
  }

  /**
   * The deadline for body bytes: only while we wait for them, not while we hold the client back. A client that waits
   * for "100 Continue" is under it as well: on neither side has such a wait another end.
   */
  private armReceive(): void {
    if (this.pending !== null || this.discarding) return; // what is discarded is under the deadline of its beginning
    if (this.state !== State.Body) {
      if (this.state === State.Busy) this.host.timers.clear(this.timer);
    } else if (this.readPaused) this.host.timers.clear(this.timer);
    else this.setDeadline(this.host.bodyMs);
  }
}
