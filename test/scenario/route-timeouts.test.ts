// Timeouts of routes: each route has its own, also on connections that it shares with others; `total` ends a request
// whatever it is at, and nothing behind it; `tunnelLifetime` ends upgraded connections. The single deadlines are
// timeouts.test.ts. How long anything takes is not looked at.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged, type LogEntry } from "./lib/access-log.ts";
import { connect, request } from "./lib/client.ts";
import { type FullListener, startFullListener } from "./lib/full-listener.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const origin = startOrigin({ name: "a" });
let full: FullListener;
let sluice: Sluice;
let address = "";

const route = (name: string, timeouts: string, pool = "app", more = ""): string =>
  `      - { name: ${name}, match: { prefix: /${name} }, forward: ${pool}, timeouts: { ${timeouts} }, ` +
  `rewrite: { path: "^/${name}", to: "" }${more} }\n`;
const yaml = (lifetime: string): string => `
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
${route("patient", "response: 30s")}
${route("hasty", "response: 300ms", "app", ", retry: off")}
${route("whole", "total: 400ms")}
${route("busy", "", "narrow")}
${route("queued", "total: 400ms", "narrow")}
${route("unconnected", "total: 400ms, connect: 30s", "full")}
${route("repeated", "total: 400ms", "pair", ", retry: { attempts: 8, on: [timeout], attemptTimeout: 150ms }")}
${route("brief", `tunnelLifetime: ${lifetime}`)}
${route("long", "total: 400ms")}
${route("quiet", "tunnel: 400ms, tunnelLifetime: 30s")}
      - { name: fixed, match: { prefix: /fixed }, respond: { body: x } }
pools:
  app: { endpoints: ["${origin.address}"] }
  full: { endpoints: ["${full.address}"] }
  narrow: { endpoints: [ { address: "${origin.address}", maxConnections: 1 } ], queue: { timeout: 30s } }
  pair: { endpoints: [ { id: one, address: "${origin.address}" }, { id: two, address: "${origin.address}" } ] }
`;

beforeAll(async () => {
  full = await startFullListener();
  sluice = await startSluice(yaml("500ms"));
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
  await full[Symbol.asyncDispose]();
});

/** Termination code, cause and status of the request with this target. */
async function outcome(target: string, fits: (entry: LogEntry) => boolean = () => true): Promise<string> {
  const entry = await logged(sluice, (each) => each.target === target && fits(each));
  return `${entry.route} ${entry.termination} ${entry.cause} ${entry.status}`;
}

test.concurrent("a connection to an endpoint takes on the timeouts of the route that uses it", async () => {
  using client = await connect(address);
  const ask = async (path: string): Promise<number> => {
    await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return (await client.read()).status;
  };
  expect(await ask("/hasty/ok")).toBe(200);
  expect(await ask("/patient/slow?ms=600")).toBe(200);
  expect(await ask("/hasty/slow?ms=5000")).toBe(504);
  expect(await ask("/patient/slow?ms=400")).toBe(200);
  expect(await outcome("/hasty/slow?ms=5000")).toBe("hasty sH timeout 504");
});

test.concurrent("total: while an endpoint thinks", async () => {
  expect((await request(address, { path: "/whole/never" })).status).toBe(504);
  expect(await outcome("/whole/never")).toBe("whole pH timeout 504");
});

test.concurrent("total: while the client is sending, however busily", async () => {
  using client = await connect(address);
  await client.send("POST /whole/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  const timer = setInterval(() => void client.send("x").catch(() => {}), 50);
  const { status } = await client.read().finally(() => clearInterval(timer));
  expect(status).toBe(504);
  expect(await outcome("/whole/upload")).toBe("whole pD timeout 504");
});

test.concurrent("total: while it waits for an endpoint; the queue is shorter by one", async () => {
  using busy = await connect(address);
  await busy.send("GET /busy/never?q HTTP/1.1\r\nHost: x\r\n\r\n");
  const isBusy = (): boolean => origin.requests().some(({ target }) => target === "/never?q");
  await waitFor(isBusy, { what: "the endpoint to be busy" });
  expect((await request(address, { path: "/queued/ok" })).status).toBe(503);
  expect(await outcome("/queued/ok")).toBe("queued pQ timeout 503");
  expect((await sluice.metrics()).sum("sluice_queued_requests")).toBe(0);
});

test.concurrent("total: while it connects", async () => {
  expect((await request(address, { path: "/unconnected/ok" })).status).toBe(504);
  expect(await outcome("/unconnected/ok")).toBe("unconnected pC timeout 504");
});

test.concurrent("total: over all attempts together", async () => {
  expect((await request(address, { path: "/repeated/never" })).status).toBe(504);
  const entry = await logged(sluice, ({ target }) => target === "/repeated/never");
  expect([entry.attempts > 1, entry.cause]).toEqual([true, "timeout"]);
});

test.concurrent("total: within a body that a client is slow to take; its connection is cut", async () => {
  using client = await connect(address);
  client.pause();
  await client.send(`GET /whole/size?n=${64 << 20} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(await outcome(`/whole/size?n=${64 << 20}`)).toBe("whole pL timeout 200");
  client.discard();
  client.resume();
  await client.waitForEnd();
  expect(client.received()).toBeLessThan(64 << 20);
});

test.concurrent("total ends with its request: what follows on the connection has its own time", async () => {
  using client = await connect(address);
  await client.send("GET /whole/ok HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.read()).status).toBe(200);
  await client.send("GET /patient/slow?ms=900 HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.read()).status).toBe(200);
  await client.send("GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.read()).text()).toBe("x");
});

test.concurrent("total does not end what has become a tunnel", async () => {
  using socket = await openWebSocket(`ws://${address}/long/chat`);
  using brief = await openWebSocket(`ws://${address}/brief/chat`);
  await waitFor(() => brief.closeCode() !== null, { what: "the one that is older than total to be closed" });
  expect(await socket.echo("still here")).toBe("still here");
});

test.concurrent("tunnelLifetime: a WebSocket is cut, busy as it is", async () => {
  using socket = await openWebSocket(`ws://${address}/brief/busy`);
  let echoes = 0;
  const talk = async (): Promise<void> => {
    for (;;) {
      await socket.echo(`message ${echoes}`);
      echoes++;
      await Bun.sleep(20);
    }
  };
  await talk().catch(() => {});
  expect(echoes).toBeGreaterThan(1);
  await waitFor(() => socket.closeCode() !== null, { what: "the close" });
  expect(socket.closeCode()).toBe(1006);
  expect(await outcome("/brief/busy")).toBe("brief pT timeout 101");
});

test.concurrent("tunnel: silence ends it long before its lifetime", async () => {
  using socket = await openWebSocket(`ws://${address}/quiet/chat`);
  expect(await socket.echo("x")).toBe("x");
  await waitFor(() => socket.closeCode() !== null, { what: "the close" });
  expect(await outcome("/quiet/chat")).toBe("quiet pT timeout 101");
});

test("a reload with another lifetime is for those who come after it", async () => {
  using before = await openWebSocket(`ws://${address}/brief/before`);
  expect((await sluice.reload(yaml("30s"))).status).toBe(200);
  using after = await openWebSocket(`ws://${address}/brief/after`);
  await waitFor(() => before.closeCode() !== null, { what: "the older one to be closed" });
  expect(await after.echo("still here")).toBe("still here");
  expect(await outcome("/brief/before")).toBe("brief pT timeout 101");
  after.close();
  const none = async (): Promise<boolean> => (await sluice.metrics()).sum("sluice_tunnels_open") === 0;
  await waitFor(none, { what: "no tunnel to be open" });
});
