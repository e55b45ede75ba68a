// What the reactor owes to the rest of the process and to descriptors that are used again: Bun's timers, immediates and
// microtasks run beside busy sockets, events meant for a closed socket reach nobody, and want of descriptors passes.

import { afterEach, expect, test } from "bun:test";
import { Cause } from "../base/ports.ts";
import type { Connection } from "../base/ports.ts";
import { libc } from "./libc.ts";
import { isLinux, platform } from "./platform.ts";
import { nextTurn, reactor } from "./reactor.ts";
import { connectedPair, dial, pattern, Recorder, serve, settle, until, writeAll } from "./test-kit.ts";
import type { Server } from "./test-kit.ts";

let server: Server;
afterEach(() => {
  server.listening.close();
  for (const recorder of server.accepted) recorder.connection!.abort();
});

const byte = Uint8Array.of(1);

/** Both ends answer every byte with another one, until one is closed. */
async function pingPong(): Promise<Connection> {
  const { near, far } = await connectedPair(server);
  for (const end of [near, far]) {
    end.connection.events = Object.assign(new Recorder(), {
      onData: () => void end.connection.write(byte, 0, 1),
      onClose() {},
    });
  }
  near.connection.write(byte, 0, 1);
  return near.connection;
}

test.if(isLinux)("Linux has one", () => {
  server = serve();
  expect(reactor()).not.toBeNull();
});

test("timers, immediates and promises have their turn beside sockets that are never quiet", async () => {
  server = serve();
  const busy = [await pingPong(), await pingPong(), await pingPong()];
  let timeouts = 0;
  let immediates = 0;
  const again = (): void => {
    immediates++;
    if (busy[0]!.isOpen) setImmediate(again);
  };
  setImmediate(again);
  const timer = setInterval(() => timeouts++, 1);
  await until("many of each", () => timeouts >= 20 && immediates >= 20);
  clearInterval(timer);
  for (const connection of busy) connection.abort();
});

test("what an event promises is kept before the reactor waits again", async () => {
  server = serve();
  const { near, far } = await connectedPair(server);
  const order: string[] = [];
  near.connection.events = Object.assign(new Recorder(), {
    onData() {
      order.push("data");
      queueMicrotask(() => {
        order.push("promise");
        near.connection.write(byte, 0, 1);
      });
    },
  });
  far.connection.write(byte, 0, 1);
  await until("the answer", () => far.received === 1);
  expect(order).toEqual(["data", "promise"]);
  near.connection.abort();
});

/** Whichever of two hears first ends the other, whose event is in the same batch, and takes its descriptor. */
async function takeOver(): Promise<void> {
  const first = await connectedPair(server);
  const second = await connectedPair(server);
  const accepted = server.accepted.length;
  const replacements: (Recorder & { connection: Connection })[] = [];
  const fight = (mine: Recorder, other: Recorder): void => {
    mine.connection!.events = Object.assign(new Recorder(), {
      onData() {
        other.connection!.abort();
        replacements.push(dial(server.net, server.target));
      },
      onClose() {},
    });
  };
  fight(first.near, second.near);
  fight(second.near, first.near);
  first.far.connection.write(byte, 0, 1);
  second.far.connection.write(byte, 0, 1);
  await until("the replacement", () => server.accepted.length > accepted && replacements[0]!.opened === 1);
  expect(replacements.map((each) => each.order)).toEqual([["open"]]);
  replacements[0]!.connection.abort();
  for (const pair of [first, second]) pair.near.connection.abort();
}

test("a socket closed in the same turn hears nothing, nor does one that has its descriptor", async () => {
  server = serve();
  for (let round = 0; round < 20; round++) await takeOver();
});

test.if(isLinux)("without descriptors accepting rests and says so; the waiting client is served later", async () => {
  server = serve();
  const { near } = await connectedPair(server);
  const waiting = dial(server.net, server.target);
  const limit = new BigUint64Array(2);
  libc!.getrlimit(platform.rlimitNofile, limit);
  const before = limit[0]!;
  limit[0] = 3n;
  libc!.setrlimit(platform.rlimitNofile, limit);
  await until("the complaint", () => server.errors.length > 0);
  limit[0] = before;
  libc!.setrlimit(platform.rlimitNofile, limit);
  expect(String(server.errors[0])).toContain("cannot accept: EMFILE");
  await until("the waiting client", () => server.accepted.length === 2);
  expect(waiting.closes).toEqual([]);
  waiting.connection.abort();
  await until("its end", () => server.accepted[1]!.closes[0] === Cause.Reset);
  near.connection.abort();
});

test.if(isLinux)(
  "what had come in good order before a write found the peer gone is a whole message, and then broken",
  async () => {
    server = serve();
    const { near, far } = await connectedPair(server);
    near.connection.pause();
    const bytes = pattern(20_000);
    await writeAll(far, bytes);
    far.connection.close(); // FIN; what is written to it from now on is answered by a reset
    await settle();
    near.connection.write(byte, 0, 1);
    await until("a write that fails", () => near.isClosed || near.connection.write(byte, 0, 1) < 0);
    await until("the end", () => near.isClosed);
    expect([near.order.at(-2), near.finished, near.closes]).toEqual(["finish", 1, [Cause.Reset]]);
    expect(Buffer.concat(near.chunks).equals(bytes)).toBe(true);
  },
);

test.if(isLinux)("nobody who waits for a turn of the event loop waits for the network", async () => {
  server = serve();
  await connectedPair(server);
  const { calls } = reactor()!;
  const waits: number[] = [];
  const { epoll_wait } = calls;
  const spied = calls as { -readonly [K in keyof typeof calls]: (typeof calls)[K] };
  spied.epoll_wait = (epoll, events, count, timeoutMs) => {
    waits.push(timeoutMs);
    return epoll_wait(epoll, events, count, timeoutMs);
  };
  for (let i = 0; i < 10; i++) await nextTurn();
  spied.epoll_wait = epoll_wait;
  expect(waits.length).toBeGreaterThan(5);
  expect(waits.every((timeoutMs) => timeoutMs === 0)).toBe(true);
});
