// Deliberate mistakes, to prove that the simulator finds such: some on the proxy's side of the network, some put into
// the proxy's own classes for the time of one run.

import { TimerWheel } from "../../src/base/timer-wheel.ts";
import { Attempts } from "../../src/http/attempts.ts";
import { Exchange } from "../../src/http/exchange.ts";
import { HeldLimits } from "../../src/http/held-limits.ts";
import { MirrorRun } from "../../src/http/mirror.ts";
import { Connector } from "../../src/pool/connector.ts";
import { Pool } from "../../src/pool/pool.ts";
import { Method } from "../../src/wire/head.ts";
import type { Sabotage, SimSocket } from "./sim-socket.ts";

export interface Canary {
  readonly name: string;
  /** One of profileNames. */
  readonly profile: string;
  /** The rules of which one has to be reported. */
  readonly rules: readonly string[];
  /** Made anew for each run. */
  readonly sabotage?: () => Sabotage;
  /** Breaks the proxy; returns how to mend it. */
  readonly install?: () => () => void;
}

/** True for the n-th call, false for all others. */
function nth(n: number): () => boolean {
  let calls = 0;
  return () => ++calls === n;
}

/** Replaces a method for as long as the returned function is not called. */
function replace<T extends object, K extends keyof T>(target: T, name: K, make: (original: T[K]) => T[K]): () => void {
  const original = target[name];
  target[name] = make(original);
  return () => (target[name] = original);
}

const wrongBytes = ["body", "response", "request", "endpoint", "trailers", "whole", "crossed", "tunnel", "unknown"];

function changing(name: string, change: (bytes: Uint8Array) => Uint8Array): Canary {
  return {
    name,
    profile: "calm",
    rules: [...wrongBytes, "stuck", "status", "unanswered", "broken", "twice"],
    sabotage: () => {
      const now = nth(40);
      return { outgoing: (_socket, bytes) => (now() ? change(bytes) : bytes) };
    },
  };
}

/** Bytes for one client go to another. */
function crossing(): Sabotage {
  const clients: SimSocket[] = [];
  const now = nth(30);
  return {
    route: (socket) => {
      if (socket.isOutgoing) return socket;
      if (!clients.includes(socket)) clients.push(socket);
      const other = clients.find((client) => client !== socket && client.isOpen);
      return other !== undefined && now() ? other : socket;
    },
  };
}

export const canaries: readonly Canary[] = [
  changing("a byte is dropped", (bytes) => bytes.subarray(1)),
  changing("a bit is turned", (bytes) => bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 1 : byte))),
  changing("a piece is sent twice", (bytes) => Buffer.concat([bytes, bytes])),
  changing("a piece is lost", () => new Uint8Array(0)),
  {
    name: "a piece goes to another client",
    profile: "calm",
    rules: [...wrongBytes, "unanswered", "broken", "status"],
    sabotage: crossing,
  },
  {
    name: "room to write is not noticed",
    profile: "calm",
    rules: ["status", "broken", "unanswered", "stuck", "leak", "gauge"],
    sabotage: () => ({ swallowDrain: () => true }),
  },
  {
    name: "received bytes are written to",
    profile: "calm",
    rules: ["frozen"],
    // Long after they were used: otherwise it is the content that is found wrong first.
    sabotage: () => {
      const now = nth(150);
      let first: Uint8Array | null = null;
      return {
        delivered: (_socket, bytes) => {
          first ??= bytes;
          if (now()) first[0] = first[0]! ^ 1;
        },
      };
    },
  },
  {
    name: "an exception",
    profile: "calm",
    rules: ["throws"],
    sabotage: () => {
      const now = nth(20);
      return {
        beforeWrite: () => {
          if (now()) throw new Error("canary");
        },
      };
    },
  },
  {
    name: "an endpoint is not released",
    profile: "calm",
    rules: ["gauge", "active"],
    install: () => {
      const now = nth(5);
      return replace(
        Pool.prototype,
        "release",
        (release) =>
          function (this: Pool, ...args) {
            if (!now()) release.apply(this, args);
          },
      );
    },
  },
  {
    name: "an endpoint is released twice",
    profile: "calm",
    rules: ["gauge", "active"],
    install: () => {
      const now = nth(5);
      return replace(
        Pool.prototype,
        "release",
        (release) =>
          function (this: Pool, ...args) {
            release.apply(this, args);
            if (now()) release.apply(this, args);
          },
      );
    },
  },
  {
    name: "a timer is not given back",
    profile: "calm",
    rules: ["gauge"],
    install: () => {
      const now = nth(5);
      return replace(
        TimerWheel.prototype,
        "close",
        (close) =>
          function (this: TimerWheel, slot) {
            if (now()) this.clear(slot);
            else close.call(this, slot);
          },
      );
    },
  },
  {
    name: "deadlines never come",
    profile: "endpoints",
    rules: ["leak", "stuck", "gauge"],
    install: () => replace(TimerWheel.prototype, "advance", () => () => {}),
  },
  {
    name: "deadlines come early",
    profile: "endpoints",
    rules: ["early"],
    install: () =>
      replace(
        TimerWheel.prototype,
        "set",
        (set) =>
          function (this: TimerWheel, slot, deadlineMs) {
            set.call(this, slot, deadlineMs - 150);
          },
      ),
  },
  {
    name: "what may not be repeated is repeated",
    profile: "endpoints",
    rules: ["twice"],
    install: () =>
      replace(
        Attempts.prototype,
        "onReset",
        (onReset) =>
          function (this: Attempts, f) {
            if (this.method === Method.Post) this.method = Method.Put;
            onReset.call(this, f);
          },
      ),
  },
  {
    name: "nothing is repeated",
    profile: "idle-races",
    rules: ["status"],
    install: () =>
      replace(
        Attempts.prototype,
        "onReset",
        (onReset) =>
          function (this: Attempts, f) {
            this.bodyBegun = true;
            onReset.call(this, f);
          },
      ),
  },
  {
    name: "a head is read once more, and what was done to it is undone",
    profile: "policies",
    rules: ["request"],
    install: () =>
      replace(
        Exchange.prototype,
        "requestIdText",
        (text) =>
          function (this: Exchange) {
            return text.call(this);
          },
      ),
  },
  {
    name: "facts of another request",
    profile: "policies",
    rules: ["request", "response"],
    install: () =>
      replace(
        Exchange.prototype,
        "openAgain",
        () =>
          function (this: Exchange) {
            return this.headAgain();
          },
      ),
  },
  {
    name: "places of limits are not given back",
    profile: "policies",
    rules: ["gauge"],
    install: () => replace(HeldLimits.prototype, "release", () => () => {}),
  },
  {
    name: "a copy is not ended",
    profile: "policies",
    rules: ["gauge"],
    install: () => replace(MirrorRun.prototype, "end", () => () => {}),
  },
  {
    name: "a connection is opened without a place",
    profile: "policies",
    rules: ["circuit"],
    install: () => replace(Connector.prototype, "reserve", () => () => true),
  },
];
