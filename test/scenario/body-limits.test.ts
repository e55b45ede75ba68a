// bodyBytes of routes: at the limit and one byte beyond, with a length and in chunks, and what the endpoint sees of a
// body that turns out too long.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { patternBody } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;
let address = "";

/** Limits in bytes by the first segment of the path; the route passes on what is behind it. */
const limits = { small: 10, large: 100_000, listener: 1000 } as const;

beforeAll(async () => {
  const route = (name: string, more: string): string =>
    `      - { name: ${name}, match: { prefix: /${name} }, forward: app, ` +
    `rewrite: { path: "^/${name}", to: "" }${more} }`;
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    limits: { bodyBytes: ${limits.listener} }
    routes:
${route("small", `, bodyBytes: ${limits.small}`)}
${route("large", `, bodyBytes: ${limits.large}`)}
${route("listener", "")}
${route("any", ", bodyBytes: unlimited")}
${route("repeated", ", bodyBytes: 10, retry: { attempts: 2, on: [503], nonIdempotent: true }")}
      - { match: { prefix: /fixed }, respond: { body: fixed }, bodyBytes: 10 }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

const chunk = (bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);

/** A request in chunks of at most so many bytes. */
function chunkedRequest(path: string, body: Uint8Array, piece: number): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; at += piece) chunks.push(chunk(body.subarray(at, at + piece)));
  return Buffer.concat([Buffer.from(head), ...chunks, Buffer.from("0\r\n\r\n")]);
}

const lengthOf = (text: string): number => (JSON.parse(text) as { length: number }).length;

const each = Object.entries(limits);

test.each(each)("%s: %d bytes pass and one more does not, with a length", async (name, max) => {
  const path = `/${name}/upload`;
  const whole = await request(address, { method: "POST", path, body: patternBody(max) });
  expect([whole.status, lengthOf(whole.text())]).toEqual([200, max]);
  const before = origin.stats().requests;
  const over = await request(address, { method: "POST", path, body: patternBody(max + 1) });
  expect([over.status, over.header("connection")]).toEqual([413, "close"]);
  expect(origin.stats().requests).toBe(before); // the endpoint has not heard of it
});

test.each(each)("%s: %d bytes and no more, in chunks of any size", async (name, max) => {
  for (const piece of [max + 1, Math.ceil(max / 3)]) {
    using client = await connect(address);
    await client.send(chunkedRequest(`/${name}/upload`, patternBody(max), piece));
    const whole = await client.read();
    expect([whole.status, lengthOf(whole.text())]).toEqual([200, max]);
    await client.send(chunkedRequest(`/${name}/upload`, patternBody(max + 1), piece)).catch(() => {});
    const over = await client.read();
    expect([over.status, over.header("connection")]).toEqual([413, "close"]);
  }
});

test("a body in chunks that turns out too long is never whole for the endpoint", async () => {
  using client = await connect(address);
  const head = "POST /small/half HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  let isOpen = (): boolean => true;
  origin.on("/half", (exchange) => (isOpen = exchange.isOpen));
  await client.send(head + "5\r\nabcde\r\n");
  await waitFor(() => origin.last("/half").bodyLength === 5, { what: "the first chunk to arrive" });
  await client.send("6\r\nfghijk\r\n0\r\n\r\n");
  expect((await client.read()).status).toBe(413);
  await waitFor(() => !isOpen(), { what: "the connection to the endpoint to be closed" });
  expect(origin.last("/half").complete).toBe(false);
  const entry = await logged(sluice, ({ target }) => target === "/small/half");
  expect([entry.status, entry.route, entry.termination, entry.cause]).toEqual([413, "small", "CD", "body-too-large"]);
  const failures = (await sluice.metrics()).sum("sluice_endpoint_failures_total");
  expect(failures).toBe(0); // nobody blames the endpoint
});

test("once the answer has begun, its connection ends instead", async () => {
  origin.on("/early", (exchange) => exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"));
  using client = await connect(address);
  await client.send("POST /small/early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
  await waitFor(() => client.unread().includes("begun"), { what: "the answer to begin" });
  await client.send("a\r\n0123456789\r\n");
  const { bytes } = await client.readToEnd();
  expect(bytes.toString("latin1")).toEndWith("begun");
});

test("a route without limit takes what the listener would not", async () => {
  const body = patternBody(3_000_000);
  const whole = await request(address, { method: "PUT", path: "/any/upload", body });
  expect([whole.status, lengthOf(whole.text())]).toEqual([200, body.length]);
  using client = await connect(address);
  await client.send(chunkedRequest("/any/upload", body, 60_000));
  expect(lengthOf((await client.read()).text())).toBe(body.length);
});

test("a client that asks first is refused before it sends anything", async () => {
  using client = await connect(address);
  await client.send("PUT /small/upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  const refused = await client.read();
  expect([refused.status, refused.interim.length]).toEqual([413, 0]);
  using other = await connect(address);
  await other.send("PUT /small/upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
  await waitFor(() => other.unread().includes("100 Continue"), { what: "the interim answer" });
  await other.send("0123456789");
  expect((await other.read()).status).toBe(200);
});

test("a fixed answer has a limit, too", async () => {
  const path = "/fixed";
  expect((await request(address, { method: "POST", path, body: "0123456789" })).text()).toBe("fixed");
  expect((await request(address, { method: "POST", path, body: "0123456789a" })).status).toBe(413);
});

test("each request on a connection has the limit of its own route", async () => {
  using client = await connect(address);
  const sizes = { "/large/upload": 5000, "/small/upload": 10, "/any/upload": 20_000, "/listener/upload": 1000 };
  const requests = Object.entries(sizes).map(([path, size]) =>
    requestBytes(address, { method: "POST", path, body: patternBody(size) }),
  );
  await client.send(Buffer.concat(requests));
  for (const size of Object.values(sizes)) expect(lengthOf((await client.read()).text())).toBe(size);
  await client.send(requestBytes(address, { method: "POST", path: "/small/upload", body: patternBody(5000) }));
  expect((await client.read()).status).toBe(413);
  expect(await client.waitForEnd()).toBe("fin");
});

test("bodies that are kept to be sent again are measured as well", async () => {
  using client = await connect(address);
  await client.send(chunkedRequest("/repeated/upload", patternBody(10), 4));
  expect(lengthOf((await client.read()).text())).toBe(10);
  await client.send(chunkedRequest("/repeated/upload", patternBody(11), 4));
  expect((await client.read()).status).toBe(413);
});
