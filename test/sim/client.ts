// A scripted client connection: sends its requests with pipelining, pauses and pieces, reads the responses with a
// strict reader, checks every line and byte, and misbehaves when its script says so.

import { gunzipSync } from "node:zlib";
import type { Cause, ConnectionEvents } from "../../src/base/ports.ts";
import { latin1 } from "../../src/wire/h1/tables.ts";
import { content, firstForeign, keyOf } from "./content.ts";
import { type Attempt, Excuse, type SimRequest } from "./ledger.ts";
import { type BodyRule, MessageReader, type MessageSink, type SimHead, valuesOf } from "./message-reader.ts";
import { randomRequest } from "./requests.ts";
import { bytesStep, Sender, type Step } from "./sender.ts";
import type { SimSocket } from "./sim-socket.ts";
import { TunnelPeer } from "./tunnel-peer.ts";
import { checkResponseHead } from "./wanted.ts";
import type { World } from "./world.ts";

type Leaving = "close" | "finish" | "wait" | "abort";

export class SimClient implements ConnectionEvents, MessageSink {
  readonly listener: string;
  private readonly world: World;
  private readonly socket: SimSocket;
  private readonly reader: MessageReader;
  private readonly sender: Sender;
  private readonly toSend: SimRequest[] = [];
  /** Begun and not answered, in order. */
  private readonly waiting: SimRequest[] = [];
  private readonly depth: number;
  private readonly leaving: Leaving;
  private readonly rude: boolean;
  /** The final response that is being read. */
  private attempt: Attempt | null = null;
  private own = 0;
  private stray = false;
  private inResponse = false;
  private interim = false;
  private bodyAt = 0;
  /** The pieces of a body that was compressed on its way; null = this one was not. */
  private packed: Uint8Array[] | null = null;
  private closing = false;
  private gone = false;
  private tunnel: TunnelPeer | null = null;
  /** Bytes of the tunnel sent right behind the request, before anybody agreed to one. */
  private early = 0;
  /** How often it may still stop reading for a while: a run has to end. */
  private rests = 8;

  constructor(world: World, listener: string) {
    const { dice, weather, ledger } = world;
    this.world = world;
    this.listener = listener;
    const address = dice.pick(["192.0.2.7", "192.0.2.8", "198.51.100.3", "203.0.113.77"]);
    const count = dice.whole(1, dice.chance(0.2) ? 12 : 4);
    for (let i = 0; i < count; i++) {
      const spec = randomRequest(dice, weather, world.nextId(), address, i === count - 1, world.layout.policies);
      const request = ledger.open(spec);
      if (weather.bodyLimit !== 0 && spec.bodyLength > weather.bodyLimit) request.excuse |= Excuse.TooBig;
      this.toSend.push(request);
    }
    this.depth = dice.chance(0.3) ? dice.whole(2, 6) : 1;
    this.leaving = dice.pick(["close", "close", "finish", "wait", "abort"]);
    this.rude = dice.chance(weather.rude);
    // A tunnel that is heard of late would be silent for the proxy.
    if (this.toSend.some(({ spec }) => spec.upgrades)) this.rests = 0;
    this.socket = world.kernel.dial(world.layout.portOf(listener), address, this);
    this.reader = new MessageReader("response", this);
    this.sender = new Sender(world.agenda, this.socket);
  }

  get isOver(): boolean {
    return this.gone;
  }

  onOpen(): void {
    const { dice, agenda, weather } = this.world;
    if (this.rude) agenda.after(dice.real(0, dice.pick([10, 300, weather.seconds * 500])), () => this.misbehave());
    agenda.after(dice.real(0, weather.deadlines.requestHeadMs * 0.3), () => this.sendNext());
  }

  // ---- sending

  private sendNext(): void {
    while (!this.closing && !this.gone && this.waiting.length < this.depth && this.sender.isIdle) {
      const request = this.toSend.shift();
      if (request === undefined) break;
      this.begin(request);
    }
    if (this.toSend.length === 0 && this.waiting.length === 0 && this.sender.isIdle) this.leave();
  }

  private begin(request: SimRequest): void {
    const { dice, weather, agenda, ledger } = this.world;
    const { spec } = request;
    const { requestHeadMs, idleMs } = weather.deadlines;
    const silentMs = agenda.nowMs - this.socket.peer!.activeMs;
    // Whatever this client still has to read of older responses: the proxy may be through with them.
    if (silentMs > Math.min(idleMs, requestHeadMs) * 0.6) ledger.excuse(request, Excuse.Idle);
    if (this.world.isClosing(this.listener)) ledger.excuse(request, Excuse.Drain);
    request.sentAtMs = agenda.nowMs;
    this.waiting.push(request);
    const steps: Step[] = [];
    const cut = dice.chance(0.2) ? dice.whole(1, spec.head.length - 1) : 0;
    if (cut > 0) {
      steps.push(bytesStep(spec.head.subarray(0, cut)));
      if (dice.chance(0.5)) steps.push({ kind: "wait", ms: dice.real(0, requestHeadMs * 0.4) });
    }
    steps.push(bytesStep(spec.head.subarray(cut)), ...this.bodySteps(request));
    steps.push({ kind: "do", run: () => this.requestSent(request) });
    this.sender.push(...steps);
  }

  private bodySteps(request: SimRequest): readonly Step[] {
    const { dice, weather, agenda } = this.world;
    const { spec } = request;
    if (spec.upgrades && dice.chance(0.3)) {
      this.early = Math.min(spec.tunnelLength, dice.whole(1, 5000));
      return [bytesStep(content(keyOf("up", spec.id), 0, this.early))];
    }
    if (spec.body === "none") return [];
    const key = keyOf("request", spec.id);
    const chunked = spec.body === "chunked";
    const steps: Step[] = [];
    if (spec.expects) {
      steps.push({ kind: "gate" });
      agenda.after(dice.real(20, weather.deadlines.bodyMs * 0.3), () => this.continueWith(request));
    }
    const pieceMax = Math.max(1, dice.size(16_384), Math.ceil(spec.bodyLength / 40));
    for (let at = 0; at < spec.bodyLength;) {
      const from = at;
      const size = Math.min(spec.bodyLength - at, dice.whole(1, pieceMax));
      if (chunked) steps.push(bytesStep(latin1(`${size.toString(16)}${dice.chance(0.05) ? ";x=y" : ""}\r\n`)));
      steps.push({ kind: "bytes", make: () => content(key, from, size) });
      if (chunked) steps.push(bytesStep(latin1("\r\n")));
      if (dice.chance(weather.slow)) steps.push({ kind: "wait", ms: dice.real(0, weather.deadlines.bodyMs * 0.3) });
      at += size;
    }
    if (chunked) steps.push(bytesStep(latin1(`0\r\n${spec.trailers.map((line) => `${line}\r\n`).join("")}\r\n`)));
    return steps;
  }

  /** A client that waits for "100 Continue" waits for a while only (RFC 9110 10.1.1). */
  private continueWith(request: SimRequest): void {
    const begun = this.inResponse && this.waiting[0] === request;
    if (this.waiting[this.waiting.length - 1] === request && !begun) this.sender.openGate();
  }

  private requestSent(request: SimRequest): void {
    const { dice, agenda } = this.world;
    if (request.spec.closes) this.toSend.length = 0;
    if (this.toSend.length === 0 && this.leaving === "finish" && !request.spec.upgrades) this.socket.finish();
    else if (this.depth > 1) agenda.after(dice.chance(0.5) ? 0 : dice.real(0, 3), () => this.sendNext());
  }

  private leave(): void {
    if (this.closing || this.gone) return;
    this.closing = true;
    if (this.leaving === "close") this.socket.close();
    else if (this.leaving === "abort") this.socket.abort();
    else if (this.leaving === "finish") this.socket.finish();
  }

  /** Breaks its own connection's promises: what is under way has no claim to an answer any more. */
  private misbehave(): void {
    if (this.gone || this.closing) return;
    const { dice, ledger } = this.world;
    const how = dice.pick(["abort", "close", "finish", "stop-sending", "stop-reading"]);
    this.world.trace.note("rude", this.socket.label, how);
    for (const request of this.waiting) ledger.excuse(request, Excuse.Client);
    this.toSend.length = 0;
    if (how === "stop-reading") {
      this.socket.pause();
      return;
    }
    this.sender.stop();
    if (how === "close") this.reader.stop(); // its own end says nothing about the response's
    if (how === "abort") this.socket.abort();
    else if (how === "close") this.socket.close();
    else if (how === "finish") this.socket.finish();
  }

  onDrain(): void {
    this.sender.run();
  }

  // ---- the responses

  onData(bytes: Uint8Array): void {
    this.reader.feed(bytes);
    const { dice, weather, agenda } = this.world;
    if (this.gone || this.rests === 0 || !dice.chance(weather.slow)) return;
    this.rests--;
    this.socket.pause();
    agenda.after(dice.real(0, weather.deadlines.writeMs * 0.3), () => this.socket.resume());
  }

  onHead(head: SimHead, framing: BodyRule): BodyRule {
    const { ledger, trace } = this.world;
    const request = this.waiting[0];
    if (request === undefined) {
      // Bytes for a tunnel that was refused are no request.
      if (this.early === 0) trace.fail("response", `a response to nothing: ${head.startLine}`);
      this.reader.stop();
      return { kind: "none" };
    }
    const status = Number(head.startLine.slice(9, 12));
    const id = valuesOf(head.lines, "x-sim-id")[0];
    if (id !== undefined && Number(id) !== request.spec.id) {
      trace.fail("crossed", `${request.name} got the response of request ${id}`);
    }
    this.interim = status < 200 && status !== 101;
    if (this.interim) {
      if (request.spec.http10) trace.fail("response", `${request.name}: ${status} to HTTP/1.0`);
      if (status === 100) this.sender.openGate();
      return { kind: "none" };
    }
    this.inResponse = true;
    this.bodyAt = 0;
    if (valuesOf(head.lines, "connection").includes("close")) this.announced();
    const serial = valuesOf(head.lines, "x-sim-attempt")[0];
    this.attempt = serial === undefined ? null : ledger.attempt(Number(serial));
    this.own = this.attempt === null ? status : 0;
    request.answeredBy = this.attempt;
    this.packed = valuesOf(head.lines, "content-encoding").length > 0 ? [] : null;
    if (this.attempt !== null) checkResponseHead(this.world, this.attempt, head);
    this.stray = valuesOf(head.lines, "x-sim-stray").length > 0;
    if (status === 101) return this.openTunnel(request);
    if (!this.sender.isIdle && this.waiting.length === 1) this.answeredEarly(request);
    if (request.spec.method === "HEAD" || status === 204 || status === 304) return { kind: "none" };
    if (!request.spec.http10 && framing.kind === "close") trace.fail("response", `${request.name}: until close`);
    if (framing.kind === "close") this.announced();
    return framing;
  }

  /** No request behind the first may expect an answer. */
  private announced(): void {
    this.toSend.length = 0;
    for (const request of this.waiting.slice(1)) this.world.ledger.excuse(request, Excuse.Announced);
  }

  /** The answer is here before the request is out: its sender may stop and close, or go on. */
  private answeredEarly(request: SimRequest): void {
    const { dice, ledger } = this.world;
    const stops = dice.chance(0.4) || request.spec.expects;
    if (stops) {
      // It may, but then the deadline for request bodies may come before a long response is over.
      ledger.excuse(request, Excuse.Client);
      this.sender.stop();
      this.toSend.length = 0;
    } else for (const later of this.toSend) ledger.excuse(later, Excuse.Announced);
  }

  onBody(bytes: Uint8Array): void {
    if (this.packed !== null) this.packed.push(bytes.slice());
    else this.check(bytes);
  }

  private check(bytes: Uint8Array): void {
    const { attempt } = this;
    if (attempt !== null) {
      const foreign = firstForeign(keyOf("response", attempt.serial), this.bodyAt, bytes);
      if (foreign >= 0) {
        this.world.trace.fail(
          "body",
          `${attempt.request.name}: byte ${this.bodyAt + foreign} of its response was changed`,
        );
      }
    }
    this.bodyAt += bytes.length;
  }

  onEnd(trailers: readonly string[]): void {
    if (this.interim) return;
    const { ledger, trace } = this.world;
    const { attempt } = this;
    const request = this.waiting.shift()!;
    this.inResponse = false;
    if (this.packed !== null && this.packed.length > 0) this.check(gunzipSync(Buffer.concat(this.packed)));
    if (attempt === null) {
      ledger.refused(request, this.own, this.stray);
      if (request.spec.body !== "none")
        for (const later of [...this.waiting, ...this.toSend]) ledger.excuse(later, Excuse.Announced);
    } else {
      if (!attempt.responseWhole) trace.fail("whole", `${request.name}: a cut response was passed off as whole`);
      if (this.bodyAt !== attempt.bodyLength)
        trace.fail("body", `${request.name}: ${this.bodyAt} of ${attempt.bodyLength} bytes`);
      if (!request.spec.http10 && trailers.join("\n") !== attempt.trailers.join("\n")) {
        trace.fail("trailers", `${request.name}: ${trailers.join(" | ")}`);
      }
      if (attempt.early) for (const later of [...this.waiting, ...this.toSend]) ledger.excuse(later, Excuse.Announced);
      ledger.answered(request);
    }
    if (request.spec.closes || request.spec.upgrades) this.toSend.length = 0;
    // Its last bytes may have come behind its deadline: then nothing follows.
    const { totalMs } = this.world.weather.deadlines;
    const late = totalMs !== 0 && this.world.agenda.nowMs - request.sentAtMs >= totalMs;
    if (late) for (const later of [...this.waiting, ...this.toSend]) ledger.excuse(later, Excuse.Announced);
    this.think();
  }

  /** Pauses before the next request; now and then for about as long as the proxy waits. */
  private think(): void {
    const { dice, agenda, weather } = this.world;
    const { idleMs } = weather.deadlines;
    const long = dice.chance(0.05);
    agenda.after(long ? dice.real(idleMs * 0.8, idleMs * 1.3) : dice.real(0, dice.pick([0, 5, idleMs * 0.5])), () =>
      this.sendNext(),
    );
  }

  onTunnel(bytes: Uint8Array): void {
    this.tunnel?.onData(bytes); // what came with the 101
  }

  onError(message: string): void {
    this.world.trace.fail("response", `a client read: ${message}`);
  }

  private openTunnel(request: SimRequest): BodyRule {
    const { world, socket } = this;
    const attempt = this.attempt!;
    const peer = new TunnelPeer(world, socket, {
      name: `${request.name}, tunnel to the client`,
      sendKey: keyOf("up", request.spec.id),
      sendLength: request.spec.tunnelLength,
      sentBefore: this.early - this.sender.abandon(),
      receiveKey: keyOf("down", attempt.serial),
      receiveLength: attempt.tunnelLength,
      excused: () => request.has(Excuse.Endpoint | Excuse.Client | Excuse.Cut),
      excuse: () => world.ledger.excuse(request, Excuse.Client),
    });
    this.waiting.shift();
    this.toSend.length = 0;
    this.gone = true;
    this.inResponse = false;
    world.ledger.answered(request);
    this.tunnel = peer;
    socket.events = peer;
    peer.start();
    return { kind: "tunnel" };
  }

  // ---- the end

  onFinish(): void {
    if (this.gone) return;
    const clean = this.reader.finish();
    this.end(clean ? "FIN" : "FIN in a message");
    this.socket.close();
  }

  onClose(cause: Cause): void {
    if (this.gone) return;
    // Our own FIN was sent before: the peer's comes as an orderly close.
    if (cause === 0 && !this.closing) this.reader.finish();
    this.end(`closed:${cause}`);
  }

  private end(how: string): void {
    this.gone = true;
    this.sender.stop();
    const { ledger } = this.world;
    // The reset that ends a later response, or answers a request that came too late, may overtake the whole of earlier
    // ones.
    const overtaken = this.waiting.slice(1).some((later) => later.mayBreak || later.has(Excuse.Idle));
    this.waiting.forEach((request, i) => {
      if (overtaken) ledger.excuse(request, Excuse.Cut);
      if (this.world.isClosing(this.listener)) ledger.excuse(request, Excuse.Drain);
      if (i > 0) ledger.excuse(request, Excuse.Announced); // the first has to be explained
      if (this.inResponse && i === 0) ledger.broken(request, how);
      else ledger.unanswered(request, how);
    });
    this.toSend.length = 0;
  }
}
