// What a scripted peer writes, as a list of steps: bytes, waits, gates that somebody else opens, actions. It offers
// each piece until the network has taken all of it.

import type { Agenda } from "./agenda.ts";
import type { SimSocket } from "./sim-socket.ts";

export type Step =
  | { readonly kind: "bytes"; readonly make: () => Uint8Array }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "gate" }
  | { readonly kind: "do"; readonly run: () => void };

export function bytesStep(bytes: Uint8Array): Step {
  return { kind: "bytes", make: () => bytes };
}

export class Sender {
  /** Bytes the network has taken. */
  sent = 0;
  private readonly agenda: Agenda;
  private readonly socket: SimSocket;
  private steps: Step[] = [];
  private piece: Uint8Array | null = null;
  private at = 0;
  private waiting = false;
  private gated = false;
  private running = false;

  constructor(agenda: Agenda, socket: SimSocket) {
    this.agenda = agenda;
    this.socket = socket;
  }

  get isIdle(): boolean {
    return this.steps.length === 0 && this.piece === null;
  }

  push(...steps: readonly Step[]): void {
    this.steps.push(...steps);
    this.run();
  }

  /** Drops everything that is not sent yet. */
  stop(): void {
    this.steps = [];
    this.piece = null;
    this.gated = false;
  }

  /** The same; returns how many bytes were not sent. */
  abandon(): number {
    let rest = this.piece === null ? 0 : this.piece.length - this.at;
    for (const step of this.steps) if (step.kind === "bytes") rest += step.make().length;
    this.stop();
    return rest;
  }

  /** Lets the gate it stands at, or the next one, be passed. */
  openGate(): void {
    const index = this.steps.findIndex((step) => step.kind === "gate");
    if (this.gated) this.gated = false;
    else if (index >= 0) this.steps.splice(index, 1);
    this.run();
  }

  /** Goes on as far as possible; also after onDrain. */
  run(): void {
    if (this.running) return;
    this.running = true;
    while (!this.waiting && !this.gated && this.socket.isOpen) {
      if (this.piece !== null) {
        if (!this.offer(this.piece)) break;
        continue;
      }
      const step = this.steps.shift();
      if (step === undefined) break;
      this.take(step);
    }
    this.running = false;
  }

  private offer(piece: Uint8Array): boolean {
    const taken = this.socket.write(piece, this.at, piece.length);
    if (taken < 0) {
      this.stop();
      return false;
    }
    this.sent += taken;
    this.at += taken;
    if (this.at < piece.length) return false;
    this.piece = null;
    return true;
  }

  private take(step: Step): void {
    if (step.kind === "bytes") {
      this.piece = step.make();
      this.at = 0;
      if (this.piece.length === 0) this.piece = null;
    } else if (step.kind === "gate") this.gated = true;
    else if (step.kind === "do") step.run();
    else {
      this.waiting = true;
      this.agenda.after(step.ms, () => {
        this.waiting = false;
        this.run();
      });
    }
  }
}
