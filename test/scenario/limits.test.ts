// The limits of a listener, each at its value and one beyond.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type RawClient, request, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;

beforeAll(async () => {
  sluice = await startSluice(`
workers: 2
accessLog: off
listeners:
  small: { bind: "127.0.0.1:0", forward: app, limits: { headBytes: 1k, headers: 7, bodyBytes: 1000, requests: 3 } }
  large: { bind: "127.0.0.1:0", forward: app, limits: { headBytes: 1m, headers: 1000, bodyBytes: unlimited } }
  default: { bind: "127.0.0.1:0", forward: app }
  few: { bind: "127.0.0.1:0", forward: app, limits: { connections: 5 } }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

/** The status of a request whose head is exactly so long. */
async function withHead(listener: string, headBytes: number): Promise<number> {
  const rest = "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n";
  using client = await connect(sluice.address(listener));
  // Several fields, for a single one would be bounded by nothing but the head.
  const fields: string[] = [];
  for (let left = headBytes - rest.length; left > 0; left -= fields.at(-1)!.length) {
    const size = left > 20_000 ? 10_000 : left;
    fields.push(`A: ${"x".repeat(size - 5)}\r\n`);
  }
  await client.send(rest.replace("\r\n\r\n", `\r\n${fields.join("")}\r\n`));
  return (await client.read()).status;
}

async function withFields(listener: string, count: number): Promise<number> {
  const fields = ["Host: x", ...Array.from({ length: count - 1 }, (_, i) => `A${i}: b`)];
  return (await request(sluice.address(listener), { headers: fields })).status;
}

const kib = 1024;

for (const [listener, headBytes] of [
  ["small", kib],
  ["default", 64 * kib],
  ["large", 1024 * kib],
] as const) {
  test(`limits.headBytes of ${headBytes}: as many pass, one more is 431`, async () => {
    expect(await withHead(listener, headBytes)).toBe(200);
    expect(await withHead(listener, headBytes + 1)).toBe(431);
  });
}

for (const [listener, headers] of [
  ["small", 7],
  ["default", 100],
  ["large", 1000],
] as const) {
  test(`limits.headers of ${headers}: as many pass, one more is 431`, async () => {
    expect(await withFields(listener, headers)).toBe(200);
    expect(await withFields(listener, headers + 1)).toBe(431);
  });
}

test("a target of 32k passes, one byte more is 414", async () => {
  const target = (length: number): string => `/ok?${"x".repeat(length - 4)}`;
  expect((await request(sluice.address("large"), { path: target(32 * kib) })).status).toBe(200);
  expect((await request(sluice.address("large"), { path: target(32 * kib + 1) })).status).toBe(414);
});

test("limits.bodyBytes: as many pass, with a length and in chunks, one more is 413", async () => {
  const small = sluice.address("small");
  const post = async (length: number): Promise<number> =>
    (await request(small, { method: "POST", path: "/upload", body: "x".repeat(length) })).status;
  expect([await post(1000), await post(1001)]).toEqual([200, 413]);
  const chunked = async (length: number): Promise<number> => {
    const body = `${"1\r\nx\r\n".repeat(length)}0\r\n\r\n`;
    const headers = ["Transfer-Encoding: chunked"];
    return (await request(small, { method: "POST", path: "/upload", headers, body })).status;
  };
  expect([await chunked(1000), await chunked(1001)]).toEqual([200, 413]);
});

test("limits.requests: the last one on a connection says close, and what is behind it is not answered", async () => {
  const small = sluice.address("small");
  using client = await connect(small);
  const before = origin.stats().requests;
  await client.send(Buffer.concat(Array.from({ length: 5 }, () => requestBytes(small))));
  const says: (string | null)[] = [];
  for (let i = 0; i < 3; i++) says.push((await client.read()).header("connection"));
  expect(says).toEqual([null, null, "close"]);
  expect((await client.readToEnd()).bytes.length).toBe(0);
  expect(origin.stats().requests - before).toBe(3);
});

test("limits.connections: no more are open at once; further clients wait until others leave", async () => {
  const few = sluice.address("few");
  const clients: RawClient[] = [];
  try {
    const counted = async (name: string): Promise<number> => (await sluice.metrics()).sum(name, { listener: "few" });
    for (let i = 0; i < 16; i++) {
      const client = await connect(few);
      clients.push(client);
      await client.send(requestBytes(few));
    }
    await waitFor(() => clients.some((client) => client.unread().length > 0), { what: "the first to be served" });
    // Each one that is served leaves: in the end all have been, and never were more than five open at once.
    let served = 0;
    const waiting = new Set(clients);
    while (waiting.size > 0) {
      expect(await counted("sluice_connections_open")).toBeLessThanOrEqual(5);
      const ready = await waitFor(() => [...waiting].find((client) => client.unread().length > 0) ?? null, {
        what: `one of ${waiting.size} to be served`,
      });
      expect((await ready.read()).status).toBe(200);
      served++;
      waiting.delete(ready);
      ready.close();
    }
    expect(served).toBe(16);
    expect(await counted("sluice_connections_accepted_total")).toBe(16);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
});
