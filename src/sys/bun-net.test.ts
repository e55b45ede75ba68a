// The network on Bun's sockets against the suite, and what it does where there is no FFI.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { Cause } from "../base/ports.ts";
import { createBunNet } from "./bun-net.ts";
import { anyPort, closedPort, dial, serve, settle, until, useNet } from "./test-kit.ts";
import type { Server } from "./test-kit.ts";

useNet(createBunNet);
// With a query each is a module of its own: the same one would not be run again for another network.
const suites = ["./net.test.ts?bun-net", "./net-moves.test.ts?bun-net", "./net-ends.test.ts?bun-net"];
for (const suite of suites) await import(suite);

const folder = mkdtempSync(`${tmpdir()}/sluice-bun-net-`);
const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

describe("without FFI", () => {
  let server: Server;
  const net = createBunNet({ onError: () => {}, keepAliveMs: 0, withoutLibc: true });

  afterEach(() => {
    server.listening.close();
    for (const recorder of server.accepted) recorder.connection!.abort();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([anyPort, { ip: "", port: 0, unixPath: `${folder}/fallback.sock` }])("connects to %j", async (bind) => {
    server = serve(bind);
    const near = dial(net, server.target);
    expect(near.order).toEqual([]);
    await until("both ends", () => near.opened === 1 && server.accepted.length === 1);
    near.connection.write(bytesOf("hello"), 0, 5);
    await until("data", () => server.accepted[0]!.text === "hello");
    near.connection.abort();
    await until("reset", () => server.accepted[0]!.isClosed);
  });

  test("failures come later and once; giving up is told at once and the late socket is dropped", async () => {
    server = serve();
    const refusing = closedPort();
    const absent = { ip: "", port: 0, unixPath: `${folder}/absent.sock` };
    for (const [target, cause] of [[refusing.target, Cause.Refused] as const, [absent, Cause.NotFound] as const]) {
      const near = dial(net, target);
      expect(near.order).toEqual([]);
      await until("failure", () => near.isClosed);
      await settle();
      expect([near.order, near.closes]).toEqual([["close"], [cause]]);
    }
    refusing.release();
    const near = dial(net, server.target);
    near.connection.abort();
    expect(near.closes).toEqual([Cause.Aborted]);
    await until("the late socket to go", () => server.accepted.length === 1 && server.accepted[0]!.isClosed);
    expect(near.order).toEqual(["close"]);
  });
});
