// One request through the real data plane, over a network that leads nowhere: what it says of a request is what traffic
// gets, because it is the same code.

import type { Env, Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { TimerWheel } from "../base/timer-wheel.ts";
import { compile } from "../compile/compile.ts";
import { DataPlane, type WorkerContext } from "../http/data-plane.ts";
import type { Generation } from "../http/generation.ts";
import { sealerOf } from "../sys/sealer.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { DryNet } from "./dry-net.ts";
import type { DryPlan } from "./dry-plan.ts";
import { type Field, type MessageText, readMessage } from "./message-text.ts";

export interface DryRequest {
  readonly bytes: Uint8Array;
  /** The client's address; "unix:" for unix sockets. */
  readonly source: string;
  /** The listener's port; 0 = a unix socket. */
  readonly port: number;
}

/** What time it is, and what chance says. */
export interface DryMoment {
  /** Monotonic, on the clock of the columns. */
  readonly nowMs: number;
  readonly wallMs: number;
  /** What the draw of an arm comes to, from 0 to the sum of all weights. */
  readonly drawn: number;
}

/** What a line of the access log tells. */
export interface DryLog {
  readonly status: number;
  readonly route: string;
  readonly pool: string;
  readonly endpoint: string;
  readonly cause: string;
  readonly client: string;
  readonly requestId: string;
}

export interface DryOutcome {
  readonly generation: Generation;
  /** The connection was accepted. */
  readonly admitted: boolean;
  /** null = the request is not over: it waits. */
  readonly log: DryLog | null;
  /** What the client gets; null = nothing. */
  readonly answer: MessageText | null;
  /** What an endpoint got; null = none did. */
  readonly sent: MessageText | null;
}

const textDecoder = new TextDecoder();

/**
 * answerFields: of the endpoint's response, a 200 without a body. look: called before the request comes, for it changes
 * what is remembered of its client.
 */
export function dryRun(
  dry: DryPlan,
  request: DryRequest,
  moment: DryMoment,
  answerFields: readonly Field[],
  look: (generation: Generation) => void,
): DryOutcome {
  const { plan, columns } = dry;
  const [listener] = plan.config.listeners;
  const net = new DryNet(answerBytes(answerFields));
  const lines: string[] = [];
  const context: WorkerContext = {
    env: dryEnv(moment, net),
    columns,
    worker: 0,
    accessLog: { append: (bytes, start, end) => void lines.push(textDecoder.decode(bytes.subarray(start, end))) },
    connectionsMax: 0,
    newSealer: sealerOf,
    passwords: net.passwords(),
    compressors: { open: () => null },
  };
  const generation = compile(plan, null, context);
  look(generation);
  const plane = new DataPlane(context);
  plane.apply(generation);
  plane.adopt(listener!.name, 0, request.port);
  const admitted = net.say(request.bytes, request.source);
  const { got, sent } = net;
  const outcome = {
    generation,
    admitted,
    log: lines.length === 0 ? null : (JSON.parse(lines[0]!) as DryLog),
    answer: got.length === 0 ? null : readMessage(got.slice()),
    sent: sent.length === 0 ? null : readMessage(sent.at(-1)!.slice()),
  };
  net.hangUp();
  return outcome;
}

function answerBytes(fields: readonly Field[]): Uint8Array {
  const lines = fields.map(({ name, value }) => `${name}: ${value}\r\n`);
  return latin1(`HTTP/1.1 200 OK\r\n${lines.join("")}Content-Length: 0\r\nConnection: close\r\n\r\n`);
}

function dryEnv({ nowMs, wallMs, drawn }: DryMoment, net: DryNet): Env {
  return {
    clock: { nowMs: () => nowMs, cachedMs: nowMs, wallMs: () => wallMs },
    rng: drawing(drawn),
    timers: new TimerWheel(nowMs),
    net,
    log: { write() {} },
  };
}

/** The first thing that a request draws is its arm. */
function drawing(first: number): Rng {
  const others = seededRng(1);
  let isFirst = true;
  return {
    u32: others.u32,
    below(bound) {
      const drawn = isFirst && first < bound ? first : others.below(bound);
      isFirst = false;
      return drawn;
    },
  };
}
