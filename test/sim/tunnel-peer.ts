// One scripted end of an upgraded connection: sends its stream, reads and checks the other's, finishes in its own time.
// Both the client's and the endpoint's end are of this kind.

import type { Cause, ConnectionEvents } from "../../src/base/ports.ts";
import { content, firstForeign } from "./content.ts";
import { Sender, type Step } from "./sender.ts";
import type { SimSocket } from "./sim-socket.ts";
import type { World } from "./world.ts";

export interface TunnelTerms {
  readonly name: string;
  readonly sendKey: number;
  readonly sendLength: number;
  /** How much of it has been sent before the tunnel was there. */
  readonly sentBefore: number;
  readonly receiveKey: number;
  readonly receiveLength: number;
  /** May the tunnel end before everything has passed? */
  excused(): boolean;
  /** This end breaks the tunnel or goes silent for too long. */
  excuse(): void;
}

export class TunnelPeer implements ConnectionEvents {
  private readonly world: World;
  private readonly socket: SimSocket;
  private readonly terms: TunnelTerms;
  private readonly sender: Sender;
  private received = 0;
  private sentAll = false;
  private heardAll = false;

  constructor(world: World, socket: SimSocket, terms: TunnelTerms) {
    this.world = world;
    this.socket = socket;
    this.terms = terms;
    this.sender = new Sender(world.agenda, socket);
  }

  /** Begins to send. */
  start(): void {
    const { dice, weather } = this.world;
    const { sendKey, sendLength, sentBefore } = this.terms;
    const steps: Step[] = [];
    const rude = dice.chance(weather.rude * 0.5);
    const stopAt = rude ? dice.whole(sentBefore, sendLength) : Infinity;
    for (let at = sentBefore; at < sendLength;) {
      const from = at;
      const size = Math.min(sendLength - at, dice.whole(1, 8000));
      if (from <= stopAt && stopAt < from + size) steps.push({ kind: "do", run: () => this.misbehave() });
      steps.push({ kind: "bytes", make: () => content(sendKey, from, size) });
      if (dice.chance(weather.slow)) steps.push({ kind: "wait", ms: dice.real(0, weather.deadlines.tunnelMs * 0.4) });
      at += size;
    }
    steps.push({ kind: "wait", ms: dice.real(0, weather.deadlines.tunnelMs * 0.4) });
    steps.push({ kind: "do", run: () => this.finish() });
    this.sender.push(...steps);
  }

  private misbehave(): void {
    this.terms.excuse();
    this.sender.stop();
    const { dice } = this.world;
    if (dice.chance(0.6)) this.socket.abort();
    else if (dice.chance(0.5)) this.socket.close();
    // else silence, until the tunnel's deadline
  }

  private finish(): void {
    this.sentAll = true;
    this.socket.finish();
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    const { trace } = this.world;
    const { name, receiveKey, receiveLength } = this.terms;
    const foreign = firstForeign(receiveKey, this.received, bytes);
    if (foreign >= 0) trace.fail("tunnel", `${name}: byte ${this.received + foreign} is not what the other end sent`);
    this.received += bytes.length;
    if (this.received > receiveLength) trace.fail("tunnel", `${name}: more than the other end sent`);
  }

  onDrain(): void {
    this.sender.run();
  }

  onFinish(): void {
    this.heard();
  }

  onClose(cause: Cause): void {
    // An answered FIN of ours comes as an orderly close.
    if (cause === 0 && this.sentAll) this.heard();
    this.judge(`closed:${cause}`);
    this.sender.stop();
  }

  private heard(): void {
    if (this.heardAll) return;
    const { name, receiveLength } = this.terms;
    this.heardAll = true;
    if (this.received !== receiveLength && !this.terms.excused()) {
      this.world.trace.fail("tunnel", `${name}: FIN after ${this.received} of ${receiveLength} bytes`);
    }
  }

  private judge(how: string): void {
    if ((this.sentAll && this.heardAll) || this.terms.excused()) return;
    this.world.trace.fail(
      "tunnel",
      `${this.terms.name}: ${how}, sent all: ${this.sentAll}, heard all: ${this.heardAll}`,
    );
  }
}
