// Every deadline passes once: what the client then gets, and what the log says. How long it takes is not looked at.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged, type LogEntry } from "./lib/access-log.ts";
import { connect, request } from "./lib/client.ts";
import { type FullListener, startFullListener } from "./lib/full-listener.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const mebibyte = 1024 * 1024;
const origin = startOrigin({ name: "a" });
let full: FullListener;
let sluice: Sluice;

beforeAll(async () => {
  full = await startFullListener();
  const listener = (name: string, listenerTimeouts: string, routeTimeouts: string, pool = "app"): string =>
    `  ${name}: { bind: "127.0.0.1:0", timeouts: { ${listenerTimeouts} }, ` +
    `routes: [ { forward: ${pool}, timeouts: { ${routeTimeouts} } } ] }\n`;
  sluice = await startSluice(`
workers: 1
listeners:
${listener("requestHead", "requestHead: 500ms", "")}
${listener("idle", "idle: 500ms", "")}
${listener("body", "body: 500ms", "")}
${listener("write", "write: 500ms", "")}
${listener("connect", "", "connect: 500ms", "full")}
${listener("elsewhere", "", "connect: 500ms", "half")}
${listener("send", "", "send: 500ms")}
${listener("response", "", "response: 1s")}
${listener("total", "", "total: 500ms")}
${listener("tunnel", "", "tunnel: 500ms")}
${listener("queue", "", "", "narrow")}
pools:
  app: { endpoints: ["${origin.address}"] }
  full: { endpoints: ["${full.address}"] }
  half: { balance: round-robin, endpoints: ["${full.address}", "${origin.address}"] }
  narrow: { endpoints: [ { address: "${origin.address}", maxConnections: 1 } ], queue: { timeout: 500ms } }
`);
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
  await full[Symbol.asyncDispose]();
});

/** Termination code, cause and status of the last line of this listener. */
async function outcome(listener: string, fits: (entry: LogEntry) => boolean = () => true): Promise<string> {
  const entry = await logged(sluice, (each) => each.listener === listener && fits(each));
  return `${entry.termination} ${entry.cause} ${entry.status}`;
}

test.concurrent("requestHead: 408, also when the first request was in time", async () => {
  using client = await connect(sluice.address("requestHead"));
  await client.send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.read()).status).toBe(200);
  await client.send("GET /ok HT");
  expect((await client.read()).status).toBe(408);
  expect(await client.waitForEnd()).toBe("fin");
  expect(await outcome("requestHead", ({ status }) => status !== 200)).toBe("cR timeout 408");
  using silent = await connect(sluice.address("requestHead"));
  expect((await silent.readToEnd()).bytes.length).toBe(0);
});

test.concurrent("idle: the connection is closed without a word", async () => {
  using client = await connect(sluice.address("idle"));
  await client.send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.read()).status).toBe(200);
  const { bytes, ending } = await client.readToEnd();
  expect([bytes.length, ending]).toEqual([0, "fin"]);
});

test.concurrent("body: 408, and the endpoint's part is given up", async () => {
  using client = await connect(sluice.address("body"));
  let isOpen = (): boolean => true;
  origin.on("/half", (exchange) => (isOpen = exchange.isOpen));
  await client.send("POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  expect((await client.read()).status).toBe(408);
  await client.waitForEnd();
  expect(await outcome("body")).toBe("cD timeout 408");
  expect(origin.last("/half").complete).toBe(false);
  await waitFor(() => !isOpen(), { what: "the connection to the endpoint to be closed" });
});

test.concurrent("write: a client that reads nothing is cut off", async () => {
  using client = await connect(sluice.address("write"));
  client.pause();
  await client.send(`GET /size?n=${256 * mebibyte} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(await outcome("write")).toBe("cL timeout 200");
  client.discard();
  client.resume();
  await client.waitForEnd();
  expect(client.received()).toBeLessThan(256 * mebibyte);
});

test.concurrent("connect: 504 where there is nobody else, another endpoint where there is", async () => {
  expect((await request(sluice.address("connect"))).status).toBe(504);
  expect(await outcome("connect")).toBe("sC timeout 504");
  for (let i = 0; i < 2; i++) {
    const body = "x".repeat(100_000);
    const response = await request(sluice.address("elsewhere"), { method: "POST", path: `/upload?${i}`, body });
    expect(JSON.parse(response.text())).toMatchObject({ length: 100_000 });
  }
  const moved = await logged(sluice, ({ listener, attempts }) => listener === "elsewhere" && attempts === 2);
  expect([moved.termination, moved.endpoint]).toEqual(["--", origin.address]);
});

test.concurrent(
  "send: an endpoint that takes no more of a body: 504",
  async () => {
    using client = await connect(sluice.address("send"));
    const body = Buffer.alloc(32 * mebibyte);
    await client.send(`POST /no-read HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
    void client.send(body).catch(() => {}); // it will not all be taken
    expect((await client.read({ timeoutMs: 20_000 })).status).toBe(504);
    expect(await outcome("send")).toBe("sD timeout 504");
  },
  30_000,
);

test.concurrent("response: 504 before the head; behind it the client sees that the body is not whole", async () => {
  const address = sluice.address("response");
  expect((await request(address, { method: "POST", path: "/never", body: "" })).status).toBe(504);
  expect(await outcome("response")).toBe("sH timeout 504");
  using client = await connect(address);
  await client.send("GET /stall?n=1000&sent=100 HTTP/1.1\r\nHost: x\r\n\r\n");
  const { bytes } = await client.readToEnd();
  expect(bytes.toString("latin1")).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(await outcome("response", ({ target }) => target.startsWith("/stall"))).toBe("sL timeout 200");
});

test.concurrent("response: a body that keeps coming is not cut off", async () => {
  origin.on("/drip", (exchange) => {
    exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n");
    let left = 15;
    const timer = setInterval(() => {
      exchange.send("x");
      if (--left > 0) return;
      clearInterval(timer);
      exchange.done();
    }, 100);
  });
  expect((await request(sluice.address("response"), { path: "/drip" })).text()).toBe("x".repeat(15));
  // The whole of it takes longer than any piece: total has an end for that too.
  using client = await connect(sluice.address("total"));
  await client.send("GET /drip HTTP/1.1\r\nHost: x\r\n\r\n");
  const { bytes } = await client.readToEnd();
  expect(bytes.toString("latin1").endsWith("x".repeat(15))).toBe(false);
  expect(await outcome("total", ({ target }) => target === "/drip")).toBe("pL timeout 200");
});

test.concurrent("total: 504 before the head", async () => {
  expect((await request(sluice.address("total"), { path: "/never" })).status).toBe(504);
  expect(await outcome("total", ({ target }) => target === "/never")).toBe("pH timeout 504");
});

test.concurrent("tunnel: silence in both directions ends an upgraded connection", async () => {
  using socket = await openWebSocket(`ws://${sluice.address("tunnel")}/echo`);
  expect(await socket.echo("still here")).toBe("still here");
  await waitFor(() => socket.closeCode() !== null, { what: "the WebSocket to be closed" });
  expect(socket.closeCode()).toBe(1006);
  expect(await outcome("tunnel")).toBe("pT timeout 101");
  await waitFor(async () => (await sluice.metrics()).sum("sluice_tunnels_open") === 0, { what: "the gauge to fall" });
});

test.concurrent("queue: 503 for a request that waited in vain", async () => {
  const address = sluice.address("queue");
  using busy = await connect(address);
  await busy.send("GET /never?queue HTTP/1.1\r\nHost: x\r\n\r\n");
  const isBusy = (): boolean => origin.requests().some(({ target }) => target === "/never?queue");
  await waitFor(isBusy, { what: "the endpoint to be busy" });
  expect((await request(address, { path: "/ok" })).status).toBe(503);
  expect(await outcome("queue")).toBe("pQ timeout 503");
  const metrics = await sluice.metrics();
  expect(metrics.sum("sluice_queue_timeouts_total", { listener: "queue" })).toBe(1);
  expect(metrics.sum("sluice_queued_requests", { listener: "queue" })).toBe(0);
});
