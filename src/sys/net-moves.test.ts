// Tests of every network (bun-net.test.ts runs them once more): bytes that go from socket to socket.

import { afterEach, describe, expect, test } from "bun:test";
import { keep } from "../base/lending.ts";
import { connectedPair, pattern, serve, settle, until } from "./test-kit.ts";
import type { Server } from "./test-kit.ts";

describe("moving", () => {
  let server: Server;
  afterEach(() => {
    server.listening.close();
    for (const recorder of server.accepted) recorder.connection!.abort();
  });

  test("bytes move from socket to socket inside the kernel; what the target does not take comes back", async () => {
    server = serve();
    const source = await connectedPair(server);
    const sink = await connectedPair(server);
    const body = pattern(3_000_000);
    let movedBytes = 0;
    let rest = 0;
    // The sink's peer does not read until all has been offered: at some time its kernel takes no more.
    sink.near.connection.pause();
    const kept: Uint8Array[] = [];
    source.far.connection.events = {
      onOpen() {},
      onDrain() {},
      onFinish() {},
      onClose() {},
      onData(bytes) {
        const taken = rest === 0 ? sink.far.connection.write(bytes, 0, bytes.length) : 0;
        if (taken < bytes.length) {
          rest += bytes.length - taken;
          kept.push(keep(bytes, taken, bytes.length));
        }
        while (rest === 0) {
          const moved = source.far.connection.moveTo(sink.far.connection, 100_000);
          if (moved.taken === 0) return;
          expect(moved.taken).toBeLessThanOrEqual(100_000);
          movedBytes += moved.taken;
          if (moved.rest !== null) {
            rest = moved.rest.length;
            kept.push(moved.rest);
          }
        }
      },
    };
    let sent = 0;
    await until("all sent or the way full", () => {
      const accepted = source.near.connection.write(body, sent, Math.min(body.length, sent + 400_000));
      sent += Math.max(0, accepted);
      return sent === body.length || rest > 0;
    });
    await settle();
    expect(movedBytes).toBeGreaterThan(0);
    sink.near.connection.resume();
    // What is still on its way comes by onData, and is kept.
    const keptBytes = (): number => kept.reduce((sum, piece) => sum + piece.length, 0);
    await until("all that was sent", () => sink.near.received + keptBytes() === sent);
    const got = Buffer.concat([...sink.near.chunks, ...kept]);
    expect(got.equals(Buffer.from(body.subarray(0, sent)))).toBe(true);
    for (const end of [source, sink]) end.near.connection.abort();
  });

  test("nothing moves to a connection that is finished, closed or of another kind", async () => {
    server = serve();
    const source = await connectedPair(server);
    const sink = await connectedPair(server);
    const taken: number[] = [];
    source.far.connection.events = {
      onOpen() {},
      onDrain() {},
      onFinish() {},
      onClose() {},
      onData() {
        sink.far.connection.finish();
        taken.push(source.far.connection.moveTo(sink.far.connection, 10).taken);
        sink.far.connection.abort();
        taken.push(source.far.connection.moveTo(sink.far.connection, 10).taken);
        taken.push(source.far.connection.moveTo({ ...sink.far.connection }, 10).taken);
      },
    };
    source.near.connection.write(pattern(1000), 0, 1000);
    await until("the attempts", () => taken.length === 3);
    expect(taken).toEqual([0, 0, 0]);
    source.near.connection.abort();
  });
});
