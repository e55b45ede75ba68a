// Compression of answers with real decompressors at the other end: every coding, any way the body came, streams that
// must not wait, and answers that are left as they are.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { connect, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;
const text = Array.from({ length: 4000 }, (_, i) => `line ${i} of a text that repeats itself\n`).join("");
const typed = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

origin.on("/known", (exchange) => {
  exchange.send(`${typed}ETag: "v1"\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  exchange.done();
});
origin.on("/chunked", (exchange) => {
  exchange.send(`${typed}Transfer-Encoding: chunked\r\n\r\n`);
  for (let at = 0; at < text.length; at += 5000) {
    const piece = text.slice(at, at + 5000);
    exchange.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
  }
  exchange.send("0\r\n\r\n");
  exchange.done();
});
origin.on("/short", (exchange) => {
  exchange.send(`${typed}Content-Length: 5\r\n\r\nshort`);
  exchange.done();
});
origin.on("/picture", (exchange) => {
  exchange.send(`HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  exchange.done();
});
origin.on("/coded", (exchange) => {
  exchange.send(`${typed}Content-Encoding: x-own\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  exchange.done();
});

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { path: /plain }, rewrite: { path: "^/plain$", to: /known }, forward: app }
      - { forward: app, compress: { types: ["text/*", text/event-stream] } }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
});
afterAll(async () => {
  await sluice.kill();
  await origin[Symbol.asyncDispose]();
});

const get = (path: string, coding: string, method = "GET"): ReturnType<typeof request> =>
  request(sluice.address("web"), { method, path, headers: ["Host: h", `Accept-Encoding: ${coding}`] });

const decoders = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const;

test.each(["gzip", "br", "zstd"] as const)("%s: decompressed it is the same, however it came", async (coding) => {
  for (const path of ["/known", "/chunked"]) {
    const response = await get(path, coding);
    expect([response.status, response.header("content-encoding"), response.header("vary")]).toEqual([
      200,
      coding,
      "Accept-Encoding",
    ]);
    expect(response.body.length).toBeLessThan(text.length / 5);
    expect(decoders[coding](response.body).toString()).toBe(text);
  }
  expect((await get("/known", coding)).header("etag")).toBe('W/"v1"');
});

test.each([
  ["a client that knows none", "/known", "identity"],
  ["a client that refuses it", "/known", "gzip;q=0, *;q=0"],
  ["a short answer", "/short", "gzip"],
  ["a type that is not listed", "/picture", "gzip"],
  ["what is coded already", "/coded", "gzip"],
  ["a route that does not ask for it", "/plain", "gzip"],
])("left as it is: %s", async (_what, path, coding) => {
  const response = await get(path, coding);
  expect(response.header("content-encoding")).toBe(path === "/coded" ? "x-own" : null);
  expect(response.text()).toBe(path === "/short" ? "short" : text);
});

test("events go on as they come, one by one", async () => {
  let next: (event: string) => void = () => {};
  origin.on("/events", (exchange) => {
    exchange.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    next = (event) => exchange.send(`${event.length.toString(16)}\r\n${event}\r\n`);
  });
  const controller = new AbortController();
  const response = await fetch(`http://${sluice.address("web")}/events`, { signal: controller.signal });
  expect(response.headers.get("content-encoding")).not.toBeNull();
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let i = 0; i < 5; i++) {
    const event = `data: ${i}\n\n`;
    next(event);
    let seen = "";
    while (seen.length < event.length) seen += (await reader.read()).value ?? "";
    expect(seen).toBe(event);
  }
  controller.abort();
});

test("many at once on kept connections stay apart", async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(sluice.address("web"))));
  await Promise.all(
    clients.map(async (client, i) => {
      const coding = (["gzip", "br", "zstd"] as const)[i % 3]!;
      for (let k = 0; k < 5; k++) {
        await client.send(`GET /known HTTP/1.1\r\nHost: h\r\nAccept-Encoding: ${coding}\r\n\r\n`);
        const response = await client.read();
        expect(decoders[coding](response.body).toString()).toBe(text);
      }
      client.close();
    }),
  );
});
