// Upgraded connections: bytes pass in both directions whatever they are, also those that come early; each side's end
// reaches the other.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, type RawClient } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { patternBody } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;
let address = "";

const yaml = `
workers: 1
timeouts: { drain: 500ms }
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: ["${origin.address}"] } }
`;

beforeAll(async () => {
  sluice = await startSluice(yaml);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

/** A connection that the echoing endpoint has switched. */
async function upgrade(query: string, early = ""): Promise<RawClient> {
  const client = await connect(address);
  const fields = "Host: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo/1, other\r\n";
  await client.send(`GET /upgrade?${query} HTTP/1.1\r\n${fields}\r\n${early}`);
  const response = await client.read();
  expect([response.status, response.header("upgrade"), response.header("connection")?.toLowerCase()]).toEqual([
    101,
    "echo",
    "upgrade",
  ]);
  return client;
}

const outcome = async (query: string): Promise<string> => {
  const entry = await logged(sluice, ({ target }) => target === `/upgrade?${query}`);
  return `${entry.status} ${entry.termination} ${entry.cause}`;
};

test("WebSockets: text, bytes, long messages and the close code pass", async () => {
  using socket = await openWebSocket(`ws://${address}/chat`, { headers: { "X-Own": "1" } });
  expect(await socket.echo("grüße")).toBe("grüße");
  socket.send(Uint8Array.from([0, 1, 254, 255]));
  expect(await socket.next()).toBe("\x00\x01\xfe\xff");
  const long = "x".repeat(3_000_000);
  expect((await socket.echo(long)) === long).toBe(true);
  expect(origin.last("/chat").headers).toContainEqual(["X-Own", "1"]);
  expect(origin.last("/chat").headers).toContainEqual(["X-Forwarded-For", "127.0.0.1"]);
  expect(await socket.close(4321)).toBe(4321);
  const entry = await logged(sluice, ({ target }) => target === "/chat");
  expect([entry.status, entry.termination]).toEqual([101, "--"]);
  expect(entry.bytesReceived).toBeGreaterThan(long.length);
});

test("what the client sends behind its request is the tunnel's, and the request keeps its Upgrade fields", async () => {
  using client = await upgrade("early", "early bird");
  expect((await client.readBytes(10)).toString()).toBe("early bird");
  const { headers } = origin.last("/upgrade");
  const named = headers.filter(([name]) => /^(connection|upgrade)$/i.test(name));
  expect(named.map(([name, value]) => `${name}: ${value}`.toLowerCase()).sort()).toEqual([
    "connection: upgrade",
    "upgrade: echo/1, other",
  ]);
});

test("a megabyte in both directions at once, byte for byte", async () => {
  using client = await upgrade("long");
  const bytes = patternBody(2_000_003);
  await client.send(bytes);
  expect((await client.readBytes(bytes.length, 20_000)).equals(bytes)).toBe(true);
});

test("a FIN passes through, and the other direction stays open until its own", async () => {
  using client = await upgrade("fin");
  await client.send("last words\n");
  client.finish();
  const { bytes, ending } = await client.readToEnd();
  expect([bytes.toString(), ending]).toEqual(["last words\nafter your FIN\n", "fin"]);
  expect(await outcome("fin")).toBe("101 -- none");
});

test("a reset passes through, and the log says whose it was", async () => {
  const client = await upgrade("client");
  client.reset();
  expect(await outcome("client")).toBe("101 CT reset");
  using other = await upgrade("endpoint");
  origin.dropConnections();
  expect(await other.waitForEnd()).toBe("reset");
  expect(await outcome("endpoint")).toBe("101 ST reset");
  await waitFor(async () => (await sluice.metrics()).sum("sluice_tunnels_open") === 0, {
    what: "no tunnel to be open",
  });
});

test("an endpoint that does not switch gives an ordinary answer on an ordinary connection", async () => {
  using client = await connect(address);
  for (let i = 0; i < 2; i++) {
    await client.send("GET /ok HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: nothing\r\n\r\n");
    expect((await client.read()).text()).toBe("a ok\n");
  }
});

test("an endpoint that switches unasked is a 502, an upgrade to cleartext HTTP/2 is not passed on", async () => {
  using client = await connect(address);
  const unasked = Buffer.from("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").toString(
    "base64url",
  );
  await client.send(`GET /raw?base64=${unasked} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect((await client.read()).status).toBe(502);
  using h2c = await connect(address);
  const fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n";
  await h2c.send(`GET /ok?h2c HTTP/1.1\r\nHost: x\r\n${fields}\r\n`);
  expect((await h2c.read()).status).toBe(200);
  const names = origin.last("/ok").headers.map(([name]) => name.toLowerCase());
  for (const name of ["upgrade", "connection", "http2-settings"]) expect(names).not.toContain(name);
});

test("open tunnels do not keep the balancer from ending at its drain deadline", async () => {
  await using brief = await startSluice(yaml);
  using socket = await openWebSocket(`ws://${brief.address("web")}/chat`);
  expect(await socket.echo("still")).toBe("still");
  expect(await brief.stop()).toBe(0);
  await waitFor(() => socket.closeCode() !== null, { what: "the WebSocket to be closed" });
  expect(brief.stderr()).toContain("drain timeout, connections closed");
});
