// What the tests of this folder share: a connection whose other end and whose kernel the test plays, a clock, a
// server's host and sinks that record. Not used by the program.

import { latin1Text, Scratch } from "../base/bytes.ts";
import { causeWord, type Failure, phaseOf, Phase, ruleOf, Side, sideOf } from "../base/failure.ts";
import { lent } from "../base/lending.ts";
import {
  Cause,
  type Clock,
  type Connection,
  type ConnectionEvents,
  type Moved,
  NOTHING_MOVED,
  RECEIVE_MAX,
} from "../base/ports.ts";
import { TimerWheel } from "../base/timer-wheel.ts";
import { parseRequest, parseResponse } from "../wire/h1/parse.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { FIELD_LINE_END, FIELD_NAME, FIELD_WIDTH, Head, type Method } from "../wire/head.ts";
import { type ClientOwner, type ClientTimeouts, H1Client } from "./h1-client.ts";
import { H1Server } from "./h1-server.ts";
import type { ServerHost } from "./server-host.ts";
import { Flow, type HttpStreamSink, type UpstreamSink } from "./stream.ts";

export const nothing = new Scratch(16);

const silent: ConnectionEvents = { onOpen() {}, onData() {}, onDrain() {}, onFinish() {}, onClose() {} };

/** A connection in memory. What the peer sends waits while it is paused, as it would in the kernel. */
export class FakeConnection implements Connection {
  receiveMax = RECEIVE_MAX;
  events: ConnectionEvents = silent;
  readonly remoteAddress: string;
  readonly remotePort = 4321;
  isOpen = true;
  paused = false;
  /** We have sent FIN. */
  finished = false;
  /** How we ended it, "peer" if the other side did. */
  ended: "" | "close" | "abort" | "peer" = "";
  /** Bytes the kernel still takes. */
  room = Number.POSITIVE_INFINITY;
  /** What unsent() answers. */
  unsentBytes = -1;
  accepted = 0;
  /** True: moveTo() works. */
  moves = false;
  moved = 0;
  private readonly sentParts: Uint8Array[] = [];
  private inbox: (Uint8Array | "fin")[] = [];
  private delivering = false;

  constructor(remoteAddress = "192.0.2.7") {
    this.remoteAddress = remoteAddress;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (!this.isOpen || this.finished) return -1;
    const count = Math.min(end - start, this.room);
    if (count > 0) this.sentParts.push(bytes.slice(start, start + count));
    this.room -= count;
    this.accepted += count;
    return count;
  }
  read(into: Uint8Array, max: number): number {
    const piece = this.inbox[0];
    if (!this.delivering || this.paused || !this.isOpen || piece === undefined || piece === "fin") return 0;
    const count = Math.min(max, into.length, piece.length);
    into.set(piece.subarray(0, count));
    if (count === piece.length) this.inbox.shift();
    else this.inbox[0] = piece.subarray(count);
    return count;
  }
  /** Sends through the target's write(), as long as `moves` is set. */
  moveTo(target: Connection, max: number): Moved {
    if (!this.moves || !target.isOpen) return NOTHING_MOVED;
    const bytes = new Uint8Array(max);
    const taken = this.read(bytes, max);
    if (taken === 0) return NOTHING_MOVED;
    this.moved += taken;
    const accepted = Math.max(0, target.write(bytes, 0, taken));
    return { taken, rest: accepted === taken ? null : bytes.slice(accepted, taken) };
  }
  unsent(): number {
    return this.unsentBytes;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  finish(): void {
    this.finished = true;
  }
  close(): void {
    this.end("close", Cause.None);
  }
  abort(): void {
    this.end("abort", Cause.Aborted);
  }

  // What the test does to it.

  /** Bytes from the peer, each piece a receive of its own (text is Latin-1). */
  receive(...pieces: readonly (string | Uint8Array)[]): void {
    for (const piece of pieces) this.inbox.push(typeof piece === "string" ? latin1(piece) : piece);
    this.pump();
  }
  receiveFin(): void {
    this.inbox.push("fin");
    this.pump();
  }
  /** Delivers what waits, until paused. Returns true if there was anything. */
  pump(): boolean {
    let any = false;
    while (this.isOpen && !this.paused && !this.delivering) {
      const next = this.inbox.shift();
      if (next === undefined) break;
      any = true;
      this.delivering = true;
      if (next !== "fin") this.deliver(next);
      else if (this.finished) this.end("peer", Cause.None);
      else this.events.onFinish();
      this.delivering = false;
    }
    return any;
  }
  /** As the reactor does it: first the chance to move, then a part in lent memory, which is worthless afterwards. */
  private deliver(piece: Uint8Array): void {
    this.inbox.unshift(piece);
    if (this.events.onReadable !== undefined && this.events.onReadable()) return;
    const rest = this.inbox[0];
    if (rest === undefined || rest === "fin" || this.paused || !this.isOpen) return;
    const count = Math.min(rest.length, this.receiveMax);
    if (count === rest.length) this.inbox.shift();
    else this.inbox[0] = rest.subarray(count);
    lent.set(rest.subarray(0, count));
    this.events.onData(lent.subarray(0, count));
    lent.fill(0xee, 0, count);
  }
  /** The kernel takes so many more bytes. */
  drain(count: number): void {
    this.room += count;
    if (this.isOpen) this.events.onDrain();
  }
  /** The connection breaks. */
  break(cause: Cause = Cause.Reset): void {
    this.end("peer", cause);
  }
  /** Takes what was sent since the last call, as Latin-1. */
  sent(): string {
    const text = this.sentParts.map((part) => latin1Text(part, 0, part.length)).join("");
    this.sentParts.length = 0;
    return text;
  }
  /** Bytes that have come and were not delivered. */
  get waiting(): number {
    return this.inbox.reduce((sum, piece) => sum + (piece === "fin" ? 0 : piece.length), 0);
  }

  private end(how: "close" | "abort" | "peer", cause: Cause): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.ended = how;
    this.inbox = [];
    this.events.onClose(cause);
  }
}

/** Time that only moves when told to. */
export class TestTime implements Clock {
  cachedMs = 1000;
  readonly timers = new TimerWheel(this.cachedMs);

  nowMs(): number {
    return this.cachedMs;
  }
  wallMs(): number {
    return 0;
  }
  /** Lets so many milliseconds pass; deadlines fire up to a tick late, so another tick passes with them. */
  pass(ms: number): void {
    this.cachedMs += ms + 100;
    this.timers.advance(this.cachedMs);
  }
}

/** A failure as "side phase cause". */
export function failureWords(f: Failure): string {
  const nameIn = (names: object, value: number): string =>
    (Object.entries(names) as [string, number][]).find(([, number]) => number === value)?.[0] ?? "?";
  return `${nameIn(Side, sideOf(f))} ${nameIn(Phase, phaseOf(f))} ${causeWord(f)}`;
}

/** Field lines of a head as text. */
export function fieldLines(head: Head): string {
  let text = "";
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    text += latin1Text(head.bytes, head.fields[at + FIELD_NAME]!, head.fields[at + FIELD_LINE_END]!);
  }
  return text;
}

const parsed = new Head(100);

/** A response head for sendHead(), valid until the next call. */
export function responseHead(text: string, method: Method): Head {
  const bytes = latin1(text);
  if (parseResponse(bytes, 0, bytes.length, parsed, method, 65536, 100) !== bytes.length) throw new Error(text);
  return parsed;
}

/** A request head for sendHead(), valid until the next call. */
export function requestHead(text: string): Head {
  const bytes = latin1(text);
  if (parseRequest(bytes, 0, bytes.length, parsed, 65536, 100) !== bytes.length) throw new Error(text);
  return parsed;
}

/** A sink that writes down what it hears. */
export class RecordingSink implements UpstreamSink {
  ready = 0;
  /** Start and fields of each head, interim ones included. */
  readonly heads: string[] = [];
  /** bodyLength of the last head. */
  bodyLength = 0;
  body = "";
  moved = 0;
  trailers: string | null = null;
  /** How often the end was told: by a head, data or trailers. */
  ends = 0;
  drains = 0;
  resets: string[] = [];
  /** Called for each event, after it was written down. */
  also: (what: "head" | "data" | "trailers" | "drain" | "reset" | "ready") => void = () => {};

  onReady(): void {
    this.ready++;
    this.also("ready");
  }
  onHead(head: Head, last: boolean): void {
    this.heads.push(`${head.status}\r\n${fieldLines(head)}`);
    this.bodyLength = head.bodyLength;
    if (last) this.ends++;
    this.also("head");
  }
  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.body += latin1Text(bytes, start, end);
    if (last) this.ends++;
    this.also("data");
  }
  onMoved(count: number): void {
    this.moved += count;
  }
  onTrailers(head: Head): void {
    this.trailers = fieldLines(head);
    this.ends++;
    this.also("trailers");
  }
  onDrain(): void {
    this.drains++;
    this.also("drain");
  }
  onReset(f: Failure): void {
    this.resets.push(failureWords(f));
    this.also("reset");
  }
}

/** A request as the host of a server saw it, and the means to answer it. */
export class SeenRequest extends RecordingSink {
  readonly stream: H1Server;
  readonly method: Method;
  readonly line: string;
  readonly fields: string;
  readonly length: number;
  readonly last: boolean;

  constructor(stream: H1Server, head: Head, last: boolean) {
    super();
    this.stream = stream;
    this.method = head.method;
    this.line = latin1Text(head.bytes, head.methodStart, head.targetEnd);
    this.fields = fieldLines(head);
    this.length = head.bodyLength;
    this.last = last;
    stream.sink = this;
  }

  /** A head with fields like "A: 1\r\n"; body "" = what the head says decides whether one follows. */
  head(statusLine: string, fields: string, last: boolean, more = false): Flow {
    return this.stream.sendHead(responseHead(`${statusLine}\r\n${fields}\r\n`, this.method), nothing, last, more);
  }
  data(text: string, last: boolean): Flow {
    return this.stream.sendData(latin1(text), 0, text.length, last);
  }
  /** A whole response, and the end of the exchange. */
  answer(body: string, statusLine = "HTTP/1.1 200 OK"): void {
    this.head(statusLine, `Content-Length: ${body.length}\r\n`, body === "", true);
    if (body !== "") this.data(body, true);
    this.stream.done();
  }
}

export const timeouts = { requestHeadMs: 1000, idleMs: 5000, bodyMs: 2000, writeMs: 3000 } as const;

/** A server codec on a fake connection, and its host. */
export class ServerRig implements ServerHost {
  readonly time = new TestTime();
  readonly clock = this.time;
  readonly timers = this.time.timers;
  readonly connection = new FakeConnection();
  readonly requests: SeenRequest[] = [];
  readonly refused: string[] = [];
  closed = 0;
  draining = false;
  readonly headBytesMax: number;
  readonly headersMax = 50;
  readonly requestsMax: number;
  readonly requestHeadMs = timeouts.requestHeadMs;
  readonly idleMs = timeouts.idleMs;
  readonly bodyMs = timeouts.bodyMs;
  readonly writeMs = timeouts.writeMs;
  readonly server: H1Server;
  /** Called for each new request. */
  onNew: (request: SeenRequest) => void = () => {};

  constructor(options: { readonly requestsMax?: number; readonly headBytesMax?: number } = {}) {
    this.requestsMax = options.requestsMax ?? 0;
    this.headBytesMax = options.headBytesMax ?? 4096;
    this.server = new H1Server(this.connection, this, 80);
    this.connection.events = this.server;
  }

  onRequest(stream: H1Server, head: Head, last: boolean): void {
    const request = new SeenRequest(stream, head, last);
    this.requests.push(request);
    // A failed request gets its answer if there is still time for one, as an exchange would do it.
    request.also = (what) => {
      if (what === "reset") this.answerFailure(request);
    };
    this.onNew(request);
  }
  onRefused(stream: H1Server, f: Failure): void {
    this.refused.push(failureWords(f));
    stream.closeAfterResponse();
    const { status } = ruleOf(f);
    stream.sendHead(responseHead(`HTTP/1.1 ${status} no\r\nContent-Length: 0\r\n\r\n`, 1), nothing, true, false);
    stream.done();
  }
  onClosed(): void {
    this.closed++;
  }

  private answerFailure(request: SeenRequest): void {
    const { stream } = request;
    if (request.resets[0]!.endsWith("reset") || stream.headSent || !stream.isOpen) stream.reset(0);
    else request.answer("", "HTTP/1.1 400 no");
  }

  /** The request that came last. */
  get latest(): SeenRequest {
    return this.requests.at(-1)!;
  }
  get lines(): string[] {
    return this.requests.map((request) => request.line);
  }
}

export const clientTimeouts: ClientTimeouts = { connectMs: 1000, sendMs: 2000, responseMs: 3000 };

/** A client codec on a fake connection, and its owner. */
export class ClientRig implements ClientOwner {
  readonly time = new TestTime();
  readonly clock = this.time;
  readonly timers = this.time.timers;
  readonly connection: FakeConnection;
  sink = new RecordingSink();
  readonly client: H1Client;
  connected = 0;
  gone = 0;

  constructor(remoteAddress?: string) {
    this.connection = new FakeConnection(remoteAddress);
    this.client = new H1Client(this, 0, clientTimeouts, this.sink);
    this.client.connection = this.connection;
    this.connection.events = this.client;
  }

  onConnected(): void {
    this.connected++;
  }
  onGone(): void {
    this.gone++;
  }

  /** Connects and sends a request head; more body is to follow unless the head says there is none. */
  static asking(requestText = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"): ClientRig {
    const rig = new ClientRig();
    rig.client.onOpen();
    rig.ask(requestText);
    return rig;
  }
  ask(requestText: string): void {
    const head = requestHead(requestText);
    this.client.sendHead(head, nothing, head.bodyLength === 0, false);
  }
  /** Gives the connection back and takes it for another exchange, if it may be kept. */
  again(): boolean {
    if (!this.client.isReusable) return false;
    this.client.park(10_000);
    this.sink = new RecordingSink();
    this.client.assign(this.sink, clientTimeouts);
    return true;
  }
}

/** Joins a server's request to a client codec with back-pressure, as an exchange does. */
export function relay(request: SeenRequest, upstream: ClientRig, requestText: string, raw: boolean): void {
  const { stream } = request;
  const { client } = upstream;
  const finish = (): void => {
    if (client.isReusable) client.park(10_000);
    else client.close();
    stream.done();
  };
  stream.sink = {
    onHead() {},
    onData: (bytes, start, end, last) => {
      if (client.sendData(bytes, start, end, last) === Flow.Pause && !last) stream.pause();
    },
    onMoved() {},
    onTrailers: (head) => void client.sendTrailers(head),
    onDrain: () => client.resume(),
    onReset: (f) => client.reset(f),
  } satisfies HttpStreamSink;
  const toClient: UpstreamSink = {
    onReady() {},
    onHead: (head, last, more) => {
      const flow = stream.sendHead(head, nothing, last, more);
      if (head.status < 200) return;
      if (last) finish();
      else {
        if (raw) client.forward(stream);
        if (flow === Flow.Pause) client.pause();
      }
    },
    onData: (bytes, start, end, last) => {
      const flow = stream.sendData(bytes, start, end, last);
      if (last) finish();
      else if (flow === Flow.Pause) client.pause();
    },
    onMoved() {},
    onTrailers: (head) => {
      stream.sendTrailers(head);
      finish();
    },
    onDrain: () => stream.resume(),
    onReset: (f) => stream.reset(f),
  };
  client.assign(toClient, clientTimeouts);
  const flow = client.sendHead(requestHead(requestText), nothing, request.last, false);
  if (raw) stream.forward(client);
  if (flow === Flow.Pause && !request.last) stream.pause();
}
