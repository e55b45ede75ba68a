// The servers behind the authentication service and the mirror: they are sent what the proxy itself sends, and check
// that it is a request of somebody's, with that one's own body. They answer well, badly, late or never.

import type { ConnectionEvents } from "../../src/base/ports.ts";
import { latin1 } from "../../src/wire/h1/tables.ts";
import { content, firstForeign, keyOf } from "./content.ts";
import type { Server, Welcome } from "./kernel.ts";
import type { Site } from "./layout.ts";
import { type BodyRule, MessageReader, type MessageSink, type SimHead, valuesOf } from "./message-reader.ts";
import { userField } from "./policies.ts";
import { bytesStep, Sender } from "./sender.ts";
import type { SimSocket } from "./sim-socket.ts";
import type { World } from "./world.ts";

export class SimSink implements Server {
  private readonly world: World;

  constructor(world: World, site: Site) {
    this.world = world;
    world.kernel.serve(site.key, this);
  }

  welcome(): Welcome {
    const { dice, weather } = this.world;
    return dice.chance(weather.faults) ? dice.pick(["refuse", "blackhole", "unreachable"]) : "accept";
  }

  accept(socket: SimSocket): ConnectionEvents {
    return new SinkConnection(this.world, socket);
  }
}

class SinkConnection implements ConnectionEvents, MessageSink {
  private readonly world: World;
  private readonly socket: SimSocket;
  private readonly reader: MessageReader;
  private readonly sender: Sender;
  private id = 0;
  private isQuestion = false;
  private bodyAt = 0;

  constructor(world: World, socket: SimSocket) {
    this.world = world;
    this.socket = socket;
    this.reader = new MessageReader("request", this);
    this.sender = new Sender(world.agenda, socket);
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.reader.feed(bytes);
  }

  onHead(head: SimHead, framing: BodyRule): BodyRule {
    const { world } = this;
    this.id = Number(valuesOf(head.lines, "x-sim-id")[0] ?? 0);
    this.isQuestion = head.startLine.startsWith("GET /ask?m=");
    this.bodyAt = 0;
    const request = world.ledger.request(this.id);
    if (request === undefined && !(this.isQuestion && this.id === 0)) {
      world.trace.fail("unknown", `a sink was sent a request ${this.id} nobody made`);
    }
    if (this.isQuestion && framing.kind !== "none") world.trace.fail("request", "a question with a body");
    if (this.isQuestion && request !== undefined) {
      const { method, wantedStart } = request.spec;
      const path = (wantedStart.split(" ")[1] ?? "").replace(/\?.*$/, "");
      const wanted = `GET /ask?m=${method}&p=${path} HTTP/1.1`;
      if (head.startLine !== wanted) world.trace.fail("request", `${head.startLine} is asked, not ${wanted}`);
    }
    if (world.dice.chance(world.weather.faults)) this.stumble();
    return framing;
  }

  /** Something goes wrong before the answer. */
  private stumble(): void {
    const { dice, agenda } = this.world;
    agenda.after(dice.real(0, 5), () => {
      if (dice.chance(0.5)) this.socket.abort();
      else this.socket.close();
    });
  }

  onBody(bytes: Uint8Array): void {
    const foreign = firstForeign(keyOf("request", this.id), this.bodyAt, bytes);
    if (foreign >= 0) this.world.trace.fail("body", `byte ${this.bodyAt + foreign} of the copy of ${this.id} differs`);
    this.bodyAt += bytes.length;
  }

  onEnd(): void {
    const { world, sender } = this;
    const { dice, weather } = world;
    const spec = world.ledger.request(this.id)?.spec;
    if (!this.isQuestion && spec !== undefined && this.bodyAt !== spec.bodyLength) {
      world.trace.fail("body", `a copy of request ${this.id} ended after ${this.bodyAt} of ${spec.bodyLength} bytes`);
    }
    if (dice.chance(weather.faults * 0.3)) return; // it never answers
    const status = this.isQuestion ? dice.pick([200, 200, 200, 204, 403, 500]) : dice.pick([200, 500]);
    const length = status === 204 ? 0 : dice.size(this.isQuestion ? 300 : 5000);
    const user = this.isQuestion && this.id !== 0 ? `${userField}: u${this.id}\r\n` : "";
    const close = dice.chance(0.1);
    const head = `HTTP/1.1 ${status} x\r\n${user}${close ? "Connection: close\r\n" : ""}`;
    const isHead = spec?.method === "HEAD" && !this.isQuestion;
    sender.push({ kind: "wait", ms: dice.real(0, dice.chance(weather.slow) ? 300 : 3) });
    sender.push(bytesStep(latin1(`${head}${status === 204 ? "" : `Content-Length: ${length}\r\n`}\r\n`)));
    if (!isHead) sender.push(bytesStep(content(keyOf("response", this.id), 0, length)));
    if (close) sender.push({ kind: "do", run: () => this.socket.close() });
  }

  onTunnel(): void {}

  onError(message: string): void {
    this.world.trace.fail("endpoint", `a sink read: ${message}`);
  }

  onDrain(): void {
    this.sender.run();
  }

  onFinish(): void {
    this.reader.stop();
    this.sender.stop();
    this.socket.close();
  }

  onClose(): void {
    this.reader.stop();
    this.sender.stop();
  }
}
