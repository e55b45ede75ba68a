// A paused connection whose peer resets: Bun reads out all that had arrived, pause or not. What of it is passed on is
// bounded.

import { afterEach, expect, test } from "bun:test";
import { pausedBytesMax } from "../base/limits.ts";
import { Cause } from "../base/ports.ts";
import { connectedPair, type Server, serve, until, writeAll } from "./test-kit.ts";

let server: Server;
afterEach(() => server.listening.close());

test("a reset after megabytes that were not read brings no more than pausedBytesMax of them", async () => {
  server = serve();
  const { near, far } = await connectedPair(server);
  // The kernel lets its buffer grow for a reader that keeps up; then the reader stops.
  const quickBytes = 48 * 1024 * 1024;
  near.keep = false;
  const piece = new Uint8Array(1024 * 1024);
  const sender = (async (): Promise<void> => {
    for (let i = 0; i < 512; i++) await writeAll(far, piece); // more than any buffer holds, whenever the pause comes
  })().catch(() => {}); // it ends with the reset
  await until("the quick part", () => near.received >= quickBytes);
  near.connection!.pause();
  const atPause = near.received;
  await until("the far side to be stopped", () => far.connection!.unsent() > 0);
  const before = near.received - atPause;
  far.connection!.abort();
  await until("the end", () => near.closes.length > 0);
  await sender;
  expect(before).toBe(0);
  expect(near.received - atPause).toBeLessThanOrEqual(pausedBytesMax);
  expect(near.closes).toEqual([Cause.Reset]);
  expect(near.connection!.isOpen).toBe(false);
});
