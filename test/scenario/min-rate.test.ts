// minRate: clients that send a body, or take a response, too slowly are cut; those that are merely slow, or kept
// waiting by us, are not. The tests run at once, for all they do is let time pass.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { BEHAVIOURS } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
const size = 70_000_000; // more than all buffers on the way, several times
origin.on("/free/up", () => {});
origin.on("/free/down", BEHAVIOURS["/size"]!);
let sluice: Sluice;
let web: string;
beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - match: { prefix: /free }
        forward: app
      - forward: app
        minRate: { request: 100, response: 10k, grace: 1s }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

const upload = (path: string, length: number): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;

/** Ticks of a fifth of a second, so many. */
async function every200ms(ticks: number, task: () => Promise<void> | void): Promise<void> {
  for (let i = 0; i < ticks; i++) {
    await task();
    await Bun.sleep(200);
  }
}

test.concurrent(
  "a body that drips is answered 408, one that keeps the rate arrives, one without a rate may drip",
  async () => {
    using slow = await connect(web);
    using steady = await connect(web);
    using free = await connect(web);
    await slow.send(upload("/upload?slow", 1000));
    await steady.send(upload("/upload", 560));
    await free.send(upload("/free/up", 1000));
    await every200ms(7, async () => {
      if (slow.ending() === null && slow.received() === 0) await slow.send("x".repeat(2));
      await steady.send("x".repeat(80));
      await free.send("x");
    });
    const refused = await slow.read();
    expect([refused.status, refused.header("connection")]).toEqual([408, "close"]);
    expect(await slow.waitForEnd()).toBe("fin");
    expect((await steady.read()).status).toBe(200);
    expect([free.received(), free.ending()]).toEqual([0, null]);
    const entry = await logged(sluice, ({ target }) => target === "/upload?slow");
    expect([entry.termination, entry.cause, entry.endpoint]).toEqual(["cD", "timeout", origin.address]);
    expect((await sluice.metrics()).sum("sluice_endpoint_failures_total")).toBe(0);
  },
  20_000,
);

test.concurrent(
  "a response that nobody reads is reset; one that is read slowly but well enough goes on",
  async () => {
    using dead = await connect(web);
    using slow = await connect(web);
    using free = await connect(web);
    for (const client of [dead, slow, free]) client.pause();
    slow.discard();
    await dead.send(`GET /size?n=${size}&dead HTTP/1.1\r\nHost: x\r\n\r\n`);
    await slow.send(`GET /size?n=${size} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await free.send(`GET /free/down?n=${size} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await every200ms(7, async () => {
      const before = slow.received();
      slow.resume();
      await waitFor(() => slow.received() > before, { what: "a part of the response", everyMs: 1 });
      slow.pause();
    });
    const entry = await logged(sluice, ({ target }) => target.endsWith("&dead"));
    expect([entry.status, entry.termination, entry.cause]).toEqual([200, "cL", "timeout"]);
    dead.resume();
    dead.discard();
    expect(await dead.waitForEnd()).toBe("reset");
    expect(slow.ending()).toBeNull();
    slow.resume();
    await waitFor(() => slow.received() > size, { what: "the rest" });
    free.discard();
    free.resume();
    await waitFor(() => free.received() > size, { what: "what has no rate" });
  },
  20_000,
);
