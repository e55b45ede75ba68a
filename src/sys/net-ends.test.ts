// Tests of every network (bun-net.test.ts runs them once more): how a connection learns of its end when something else
// has heard of it first. The kernel tells an error once, to whichever call comes first; from then on the queue looks
// as if the peer had finished in good order, and a body that was cut short would pass for a whole one.

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { Cause } from "../base/ports.ts";
import type { Connection } from "../base/ports.ts";
import { anyPort, connectedPair, pattern, serve, settle, until, writeAll } from "./test-kit.ts";
import type { Recorder, Server } from "./test-kit.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-ends-`);
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
let server: Server;
let sockets = 0;
const unixSocket = (): { ip: string; port: number; unixPath: string } => ({
  ip: "",
  port: 0,
  unixPath: `${folder}/${sockets++}.sock`,
});

type End = Recorder & { connection: Connection };
const byte = Uint8Array.of(1);

/** Runs `act` within the next onData of this end. */
function atNextData(end: End, act: () => void): void {
  const { connection } = end;
  connection.events = Object.assign(Object.create(end) as Recorder, {
    onData(bytes: Uint8Array) {
      connection.events = end;
      end.onData(bytes);
      act();
    },
  });
}

describe("ends", () => {
  afterEach(() => {
    server.listening.close();
    for (const recorder of server.accepted) recorder.connection!.abort();
  });

  describe("a reset that another call hears of first is told as a reset, once", () => {
    const calls: readonly (readonly [string, (near: End, sink: Connection) => void])[] = [
      ["write", (near) => near.connection.write(byte, 0, 1)],
      ["read", (near) => near.connection.read(new Uint8Array(10), 10)],
      ["moveTo", (near, sink) => near.connection.moveTo(sink, 1000)],
      ["being moved to", (near, sink) => sink.moveTo(near.connection, 1000)],
    ];

    const places = [anyPort, null] as const;
    const all = places.flatMap((bind) =>
      calls.map(([name, call]) => [bind === null ? "unix" : "TCP", name, bind, call] as const),
    );
    test.each(all)("%s: %s", async (_place, name, bind, call) => {
      server = serve(bind ?? unixSocket());
      const { near, far } = await connectedPair(server);
      const other = await connectedPair(server);
      // Bytes that the far side has not read make a reset of its close also for unix sockets.
      far.connection.pause();
      near.connection.write(byte, 0, 1);
      const isTarget = name === "being moved to";
      atNextData(isTarget ? other.far : near, () => {
        far.connection.abort();
        call(near, other.far.connection);
      });
      if (!isTarget) far.connection.write(byte, 0, 1);
      other.near.connection.write(pattern(200_000), 0, 200_000);
      await until("the end", () => near.isClosed);
      await settle();
      expect([near.closes, near.finished]).toEqual([[Cause.Reset], 0]);
      other.near.connection.abort();
    });
  });

  test.each([false, true])("a reset behind FIN is told behind it; written to meanwhile: %p", async (writes) => {
    server = serve();
    const { near, far } = await connectedPair(server);
    far.connection.write(byte, 0, 1);
    far.connection.finish();
    await until("FIN", () => near.finished === 1);
    far.connection.abort();
    if (writes) expect(near.connection.write(byte, 0, 1)).toBe(-1);
    await until("the end", () => near.isClosed);
    expect([near.closes, near.finished, near.received]).toEqual([[Cause.Reset], 1, 1]);
  });

  describe("a paused connection", () => {
    test("hears of a reset that had come before it was paused", async () => {
      server = serve();
      const { near, far } = await connectedPair(server);
      atNextData(near, () => {
        far.connection.abort();
        near.connection.pause();
      });
      far.connection.write(byte, 0, 1);
      await until("the end", () => near.isClosed);
      expect([near.closes, near.finished]).toEqual([[Cause.Reset], 0]);
    });

    test("hears of a reset that came with the bytes after which it was paused", async () => {
      server = serve();
      const { near, far } = await connectedPair(server);
      near.connection.pause();
      far.connection.write(byte, 0, 1);
      await settle();
      near.connection.resume();
      atNextData(near, () => near.connection.pause());
      far.connection.abort(); // heard of in the same turn as the byte
      await until("the end", () => near.isClosed);
      expect([near.closes, near.finished, near.received]).toEqual([[Cause.Reset], 0, 1]);
    });

    test.each([anyPort, null])("gets all of what a peer sent that is gone in good order: %j", async (bind) => {
      server = serve(bind ?? unixSocket());
      const { near, far } = await connectedPair(server);
      near.connection.finish();
      await until("our FIN", () => far.finished === 1);
      near.connection.pause();
      const bytes = pattern(50_000);
      const accepted = far.connection.write(bytes, 0, bytes.length);
      far.connection.close();
      await settle();
      expect([near.received, near.closes]).toEqual([0, []]);
      near.connection.resume();
      await until("the end", () => near.isClosed);
      expect(near.closes).toEqual([Cause.None]);
      expect(Buffer.concat(near.chunks).equals(bytes.subarray(0, accepted))).toBe(true);
    });

    test("may be paused from onOpen on and then hears of a reset", async () => {
      server = serve(anyPort, (recorder) => recorder.connection!.pause());
      const { near, far } = await connectedPair(server);
      near.connection.abort();
      await until("the end", () => far.isClosed);
      expect(far.closes).toEqual([Cause.Reset]);
    });

    test("hears FIN of a unix peer that has closed, behind all that it sent", async () => {
      server = serve(unixSocket());
      const { near, far } = await connectedPair(server);
      near.connection.pause();
      const bytes = pattern(100_000);
      await writeAll(far, bytes);
      far.connection.close();
      await settle();
      expect([near.received, near.closes]).toEqual([0, []]);
      near.connection.resume();
      await until("the end", () => near.finished === 1);
      expect(Buffer.concat(near.chunks).equals(bytes)).toBe(true);
      near.connection.close();
      expect(near.closes).toEqual([Cause.None]);
    });
  });
});
