// A scripted endpoint and its connections: reads what the proxy sends and checks every line and byte of it, answers by
// a random plan, breaks what the plan says, closes idle connections, dies and comes back.

import type { Cause, ConnectionEvents } from "../../src/base/ports.ts";
import { latin1 } from "../../src/wire/h1/tables.ts";
import { content, firstForeign, keyOf } from "./content.ts";
import type { Server, Welcome } from "./kernel.ts";
import type { Site } from "./layout.ts";
import { type Attempt, Excuse } from "./ledger.ts";
import { type BodyRule, MessageReader, type MessageSink, type SimHead, valuesOf } from "./message-reader.ts";
import { randomResponse, type ResponsePlan } from "./responses.ts";
import { bytesStep, Sender, type Step } from "./sender.ts";
import type { SimSocket } from "./sim-socket.ts";
import { TunnelPeer } from "./tunnel-peer.ts";
import { checkRequestHead } from "./wanted.ts";
import type { World } from "./world.ts";

export class SimEndpoint implements Server {
  readonly site: Site;
  private readonly world: World;
  private readonly connections = new Set<EndpointConnection>();
  private dead = false;

  constructor(world: World, site: Site) {
    this.world = world;
    this.site = site;
    world.kernel.serve(site.key, this);
  }

  welcome(): Welcome {
    const { dice, weather } = this.world;
    if (this.dead) return "refuse";
    if (this.site.solid || !dice.chance(weather.faults)) return "accept";
    if (!weather.solid && dice.chance(0.1)) return "resources";
    return dice.pick(["refuse", "blackhole", "unreachable"]);
  }

  accept(socket: SimSocket): ConnectionEvents {
    const connection = new EndpointConnection(this.world, this, socket);
    this.connections.add(connection);
    return connection;
  }

  /** The proxy has sent the head of a request on this connection. */
  sent(socket: SimSocket, attempt: Attempt): void {
    for (const connection of this.connections) {
      if (connection.socket === socket) return connection.expect(attempt);
    }
    this.world.ledger.lost(attempt); // closed already
  }

  gone(connection: EndpointConnection): void {
    this.connections.delete(connection);
  }

  /** Loses every connection, and is not there for a while. */
  die(ms: number): void {
    if (this.site.solid) return;
    this.world.trace.note("dies", this.site.name);
    this.dead = true;
    for (const connection of [...this.connections]) connection.breakOff("reset");
    this.world.agenda.after(ms, () => (this.dead = false));
  }
}

class EndpointConnection implements ConnectionEvents, MessageSink {
  readonly socket: SimSocket;
  private readonly world: World;
  private readonly endpoint: SimEndpoint;
  private readonly reader: MessageReader;
  private readonly sender: Sender;
  /** Sent by the proxy, not read yet. */
  private readonly expected: Attempt[] = [];
  private current: Attempt | null = null;
  /** The one that was answered last. */
  private last: Attempt | null = null;
  private plan: ResponsePlan | null = null;
  private started = false;
  private bodyAt = 0;
  private over = false;
  /** Bytes nobody asked for have been sent: whoever comes next may take them for its answer. */
  private strayed = false;
  /** How often it may still stop reading for a while: a run has to end. */
  private rests = 8;

  constructor(world: World, endpoint: SimEndpoint, socket: SimSocket) {
    this.world = world;
    this.endpoint = endpoint;
    this.socket = socket;
    this.reader = new MessageReader("request", this);
    this.sender = new Sender(world.agenda, socket);
  }

  expect(attempt: Attempt): void {
    if (this.strayed && this.socket.peer!.inbox.queued === 0) {
      this.world.trace.fail("stray", `${attempt.request.name} was sent behind bytes nobody asked for`);
    }
    const { ledger, dice, weather, agenda, kernel } = this.world;
    if (this.over) {
      ledger.lost(attempt);
      return;
    }
    this.expected.push(attempt);
    if (!dice.chance(weather.idleCloses * 0.15)) return;
    // Its idle timer goes off just now.
    agenda.after(dice.real(0, kernel.latency() * 2), () => {
      if (!this.over && this.expected.includes(attempt)) this.breakOff(dice.pick(["fin", "half", "reset"]));
    });
  }

  // ---- the request

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    if (this.over) return;
    this.reader.feed(bytes);
    this.maybeRest();
  }

  /** A slow reader: no reading for a while, but less than the proxy's patience. */
  private maybeRest(): void {
    const { dice, weather, agenda } = this.world;
    const { sendMs, responseMs } = weather.deadlines;
    // The proxy waits for the answer from when the network took the request, however slowly it is read then.
    const lateMs = agenda.nowMs - this.socket.peer!.activeMs;
    if (lateMs > responseMs * 0.2 || this.rests === 0 || !dice.chance(weather.slow)) return;
    this.rests--;
    this.socket.pause();
    agenda.after(dice.real(0, Math.min(sendMs, responseMs) * 0.2), () => this.socket.resume());
  }

  onHead(head: SimHead, framing: BodyRule): BodyRule {
    const { world } = this;
    const attempt = this.expected.shift();
    const id = Number(valuesOf(head.lines, "x-sim-id")[0]);
    if (attempt === undefined || attempt.request.spec.id !== id) {
      world.trace.fail("endpoint", `an endpoint read a request ${id} that was not sent to it`);
      return { kind: "none" };
    }
    if (this.current !== null) world.trace.fail("endpoint", `${attempt.request.name} came before the last was over`);
    attempt.seen = true;
    checkRequestHead(world, attempt.request, head, framing);
    this.current = attempt;
    this.started = false;
    this.bodyAt = 0;
    const plan = randomResponse(world.dice, world.weather, attempt.request, attempt.serial);
    this.plan = plan;
    attempt.status = plan.status;
    attempt.lines = plan.lines;
    attempt.bodyLength = plan.bodyLength;
    attempt.trailers = plan.trailers;
    attempt.tunnelLength = plan.tunnelLength;
    if (plan.begins === "head") this.start();
    if (!plan.tunnel || plan.fault !== null) return framing;
    this.start();
    return { kind: "tunnel" };
  }

  onBody(bytes: Uint8Array): void {
    const attempt = this.current;
    if (attempt === null) return;
    const { spec, name } = attempt.request;
    const foreign = firstForeign(keyOf("request", spec.id), this.bodyAt, bytes);
    if (foreign >= 0) this.world.trace.fail("body", `${name}: byte ${this.bodyAt + foreign} of its body was changed`);
    this.bodyAt += bytes.length;
    if (this.plan!.begins === "middle" && this.bodyAt * 2 >= spec.bodyLength) this.start();
  }

  onEnd(trailers: readonly string[]): void {
    const attempt = this.current;
    if (attempt === null) return;
    const { spec, name } = attempt.request;
    attempt.requestWhole = true;
    if (this.bodyAt !== spec.bodyLength) {
      this.world.trace.fail("body", `${name}: ended after ${this.bodyAt} of ${spec.bodyLength} bytes`);
    }
    if (trailers.join("\n") !== spec.trailers.join("\n")) {
      this.world.trace.fail("trailers", `${name}: ${trailers.join(" | ")}`);
    }
    this.start();
    this.maybeForget();
  }

  onTunnel(): void {
    if (this.current !== null) this.world.trace.fail("tunnel", `${this.current.request.name}: bytes before the 101`);
  }

  onError(message: string): void {
    if (!this.over) this.world.trace.fail("endpoint", `an endpoint read: ${message}`);
  }

  // ---- the response

  private start(): void {
    if (this.started || this.over) return;
    const { world, sender } = this;
    const attempt = this.current!;
    const plan = this.plan!;
    this.started = true;
    attempt.early = !attempt.requestWhole && attempt.request.spec.body !== "none";
    const steps: Step[] = [{ kind: "wait", ms: plan.delayMs }];
    for (const interim of plan.interims) {
      steps.push(bytesStep(latin1(interim)));
      if (world.dice.chance(0.5)) steps.push({ kind: "wait", ms: world.dice.real(0, 3) });
    }
    if (plan.tunnel && plan.fault === null) steps.push({ kind: "do", run: () => this.openTunnel() });
    else if (plan.fault !== null && !isOfBody(plan.fault)) steps.push(...this.faultyStart(plan));
    else {
      steps.push(this.begun(), bytesStep(latin1(plan.head)), ...this.bodySteps(plan));
      steps.push({ kind: "do", run: () => this.ended(plan.after) });
    }
    sender.push(...steps);
  }

  private begun(): Step {
    return { kind: "do", run: () => (this.current!.responseBegun = true) };
  }

  private faultyStart(plan: ResponsePlan): readonly Step[] {
    const { ledger } = this.world;
    const attempt = this.current!;
    const bad = (text: string): readonly Step[] => [
      { kind: "do", run: () => ledger.excuse(attempt.request, Excuse.Endpoint) },
      bytesStep(latin1(text)),
      { kind: "do", run: () => this.stopReading() },
    ];
    const half = (how: "reset" | "fin"): readonly Step[] => [
      bytesStep(latin1(plan.head.slice(0, this.world.dice.whole(1, plan.head.length - 5)))),
      { kind: "wait", ms: this.world.dice.real(0, 3) },
      { kind: "do", run: () => this.breakOff(how) },
    ];
    switch (plan.fault) {
      case "silent":
        return [{ kind: "do", run: () => ledger.lost(attempt, Excuse.Stall) }];
      case "reset-before":
        return [{ kind: "do", run: () => this.breakOff("reset") }];
      case "fin-before":
        return [{ kind: "do", run: () => this.breakOff("fin") }];
      case "reset-head":
        return half("reset");
      case "fin-head":
        return half("fin");
      case "many-interims":
        return bad(`HTTP/1.1 103 Early Hints\r\nX-Sim-Id: ${attempt.request.spec.id}\r\n\r\n`.repeat(40));
      case "two-lengths":
        return bad("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd");
      case "length-and-chunked":
        return bad("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
      case "unasked-101":
        return attempt.request.spec.upgrades
          ? bad("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\n")
          : bad("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: simtunnel\r\n\r\nhello");
      default:
        return bad("HTTP/7 nonsense\r\n\r\n");
    }
  }

  private bodySteps(plan: ResponsePlan): readonly Step[] {
    const { dice, weather } = this.world;
    const key = keyOf("response", this.current!.serial);
    const chunked = plan.framing === "chunked";
    const faulty = plan.fault !== null;
    const whole = faulty ? dice.whole(0, Math.max(0, plan.bodyLength - 1)) : plan.bodyLength;
    const pieceMax = Math.max(1, dice.size(16_384), Math.ceil(plan.bodyLength / 40));
    const steps: Step[] = [];
    for (let at = 0; at < whole;) {
      const from = at;
      const size = Math.min(whole - at, dice.whole(1, pieceMax));
      const make = (): Uint8Array => content(key, from, size);
      if (plan.pauseMs > 0 && dice.chance(weather.slow)) steps.push({ kind: "wait", ms: plan.pauseMs });
      const extension = dice.chance(0.05) ? ";name=value" : "";
      if (chunked) steps.push(bytesStep(latin1(`${size.toString(16)}${extension}\r\n`)));
      steps.push({ kind: "bytes", make });
      if (chunked) steps.push(bytesStep(latin1("\r\n")));
      at += size;
    }
    if (faulty) steps.push(...this.faultyEnd(plan));
    else if (chunked) {
      const lines = plan.trailers.map((line) => `${line}\r\n`).join("");
      steps.push(bytesStep(latin1(`${dice.pick(["0", "000"])}\r\n${lines}\r\n`)));
    }
    return steps;
  }

  private faultyEnd(plan: ResponsePlan): readonly Step[] {
    const { ledger } = this.world;
    const { request } = this.current!;
    switch (plan.fault) {
      case "stall-body":
        return [{ kind: "do", run: () => ledger.excuse(request, Excuse.Stall) }, { kind: "gate" }];
      case "bad-chunk":
        return [
          { kind: "do", run: () => ledger.excuse(request, Excuse.Endpoint) },
          bytesStep(latin1(this.world.dice.pick(["zz\r\n", "5\nhello\r\n", " 5\r\nhello\r\n", "-1\r\n"]))),
          { kind: "gate" },
        ];
      default:
        return [
          { kind: "do", run: () => this.breakOff(plan.fault === "fin-body" ? "fin" : "reset") },
          { kind: "gate" },
        ];
    }
  }

  /** The whole response has been sent. */
  private ended(after: ResponsePlan["after"]): void {
    const { dice, agenda, weather } = this.world;
    const attempt = this.current!;
    attempt.responseWhole = true;
    this.last = attempt;
    this.maybeForget();
    if (after === "keep") return;
    const run = (): void => {
      if (this.over) return;
      // A request that came meanwhile was taken on: only an idle connection is closed.
      if (after === "close" || this.current === null || this.current === attempt) this.leave(after);
    };
    if (after === "close" || dice.chance(0.2)) run();
    // Soon: a race with a client that asks again at once.
    else agenda.after(dice.chance(0.5) ? dice.real(0, 2) : dice.real(0, weather.deadlines.keepAliveMs), run);
  }

  private leave(after: ResponsePlan["after"]): void {
    const { dice } = this.world;
    if (after === "stray") {
      // Bytes nobody asked for: an answer to nothing, which must never be taken for the next request's.
      const stray = "HTTP/1.1 408 Request Timeout\r\nX-Sim-Stray: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      this.sender.push(bytesStep(latin1(stray)), {
        kind: "do",
        run: () => {
          this.strayed = true;
          this.breakOff("fin");
        },
      });
      for (const attempt of this.expected) this.world.ledger.excuse(attempt.request, Excuse.Endpoint);
    } else if (after === "reset") this.breakOff("reset");
    else this.breakOff(dice.chance(0.5) ? "fin" : "half");
  }

  /** The exchange is over when both directions are. */
  private maybeForget(): void {
    const attempt = this.current;
    if (attempt !== null && attempt.requestWhole && attempt.responseWhole) this.current = null;
  }

  private openTunnel(): void {
    const { world, socket } = this;
    const attempt = this.current!;
    const { request } = attempt;
    const { spec } = request;
    attempt.responseBegun = true;
    attempt.responseWhole = true;
    attempt.requestWhole = true;
    this.over = true;
    socket.peer!.tap = null;
    world.ledger.tally.tunnels++;
    const peer = new TunnelPeer(world, socket, {
      name: `${request.name}, tunnel to the endpoint`,
      sendKey: keyOf("down", attempt.serial),
      sendLength: attempt.tunnelLength,
      sentBefore: 0,
      receiveKey: keyOf("up", spec.id),
      receiveLength: spec.tunnelLength,
      excused: () => request.has(Excuse.Endpoint | Excuse.Client | Excuse.Cut),
      excuse: () => world.ledger.excuse(request, Excuse.Endpoint),
    });
    this.sender.push(bytesStep(latin1(this.plan!.head)), {
      kind: "do",
      run: () => {
        socket.events = peer;
        this.endpoint.gone(this);
        peer.start();
      },
    });
  }

  // ---- the end

  /** From now on what the proxy sends is no business of this connection's. */
  private stopReading(): void {
    this.over = true;
    this.reader.stop();
  }

  /** Ends the connection: by FIN both ways, by FIN one way, or by a reset. */
  breakOff(how: "fin" | "half" | "reset"): void {
    const attempt = this.current;
    const { ledger } = this.world;
    if (attempt !== null && !attempt.responseWhole) {
      if (attempt.responseBegun) ledger.endangered(attempt);
      else ledger.lost(attempt);
    } else if (attempt !== null) ledger.excuse(attempt.request, Excuse.Endpoint); // its body has nowhere to go
    if (how === "reset" && this.last !== null && this.socket.peer!.inbox.queued > 0) {
      ledger.endangered(this.last);
    }
    for (const unread of this.expected.splice(0)) ledger.lost(unread);
    this.stopReading();
    this.sender.stop();
    if (how === "reset") this.socket.abort();
    else if (how === "fin") this.socket.close();
    else this.socket.finish();
  }

  onDrain(): void {
    this.sender.run();
  }

  onFinish(): void {
    this.stopReading();
    this.sender.stop();
    this.socket.close();
  }

  onClose(_cause: Cause): void {
    this.stopReading();
    this.sender.stop();
    this.endpoint.gone(this);
  }
}

function isOfBody(fault: NonNullable<ResponsePlan["fault"]>): boolean {
  return fault === "reset-body" || fault === "fin-body" || fault === "stall-body" || fault === "bad-chunk";
}
