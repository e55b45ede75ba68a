// Long bodies: byte for byte the same behind the balancer, uploads and downloads and both at once, whoever is slow.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { connect, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { BEHAVIOURS, patternBody } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const mebibyte = 1024 * 1024;
const origin = startOrigin({ name: "a" });
let sluice: Sluice;
let address = "";

/** Sends every piece of the request's body back at once, as the response's. */
origin.on("/mirror", (exchange) => {
  exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  exchange.onBody = (bytes) => {
    exchange.send(`${bytes.length.toString(16)}\r\n`);
    exchange.send(bytes.slice());
    exchange.send("\r\n");
  };
  exchange.onEnd = () => {
    exchange.send("0\r\n\r\n");
    exchange.done();
  };
});

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The body in chunked coding, in pieces of different lengths. */
function inChunks(body: Uint8Array): Buffer {
  const parts: Uint8Array[] = [];
  for (let at = 0, n = 1; at < body.length; n = (n * 7 + 3) % 70_001) {
    const piece = body.subarray(at, at + n + 1);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
    at += piece.length;
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

test("uploads arrive byte for byte, with a length and in chunks", async () => {
  const body = patternBody(24 * mebibyte + 17);
  const expected = { length: body.length, sha256: sha256(body) };
  const plain = await request(address, { method: "POST", path: "/upload", body, timeoutMs: 30_000 });
  expect(JSON.parse(plain.text())).toEqual(expected);
  const headers = ["Transfer-Encoding: chunked"];
  const options = { method: "PUT", path: "/upload", headers, body: inChunks(body), timeoutMs: 30_000 };
  expect(JSON.parse((await request(address, options)).text())).toEqual(expected);
}, 60_000);

test("downloads arrive byte for byte, with a length, in chunks and until the close", async () => {
  const n = 24 * mebibyte + 17;
  const expected = sha256(patternBody(n));
  for (const path of [`/size?n=${n}`, `/chunked?n=${n}&chunk=50021`, `/until-close?n=${n}`]) {
    const hash = createHash("sha256");
    const response = await fetch(`http://${address}${path}`);
    for await (const piece of response.body!) hash.update(piece);
    expect([path, hash.digest("hex")]).toEqual([path, expected]);
  }
}, 60_000);

test("one connection carries both directions at once", async () => {
  const body = patternBody(6 * mebibyte + 5);
  const chunks = inChunks(body);
  using client = await connect(address);
  await client.send("POST /mirror HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const first = mebibyte;
  await client.send(chunks.subarray(0, first));
  // The response is under way long before the request is whole.
  await waitFor(() => client.received() > first / 2, { what: "the first part to come back" });
  await client.send(chunks.subarray(first));
  const response = await client.read({ timeoutMs: 30_000 });
  expect(response.body.equals(body)).toBe(true);
}, 60_000);

test("a slow reader gets all of it, and so does everybody else meanwhile", async () => {
  const n = 8 * mebibyte;
  using slow = await connect(address);
  await slow.send(`GET /size?n=${n} HTTP/1.1\r\nHost: x\r\n\r\n`);
  slow.pause();
  for (let i = 0; i < 20; i++) expect((await request(address, { path: "/size?n=100000" })).body.length).toBe(100_000);
  slow.resume();
  expect((await slow.read({ timeoutMs: 30_000 })).body.equals(patternBody(n))).toBe(true);
}, 60_000);

test("a slow endpoint gets all of an upload", async () => {
  const body = patternBody(8 * mebibyte);
  origin.on("/sip", (exchange) => {
    exchange.stopReading();
    setTimeout(() => exchange.readOn(), 200);
    BEHAVIOURS["/upload"]!(exchange);
  });
  const response = await request(address, { method: "POST", path: "/sip", body, timeoutMs: 30_000 });
  expect(JSON.parse(response.text())).toEqual({ length: body.length, sha256: sha256(body) });
}, 60_000);

test("an answer that comes before the end of the upload is passed on, and ends the connection", async () => {
  using client = await connect(address);
  const head = `POST /status?code=403 HTTP/1.1\r\nHost: x\r\nContent-Length: ${64 * mebibyte}\r\n\r\n`;
  await client.send(head);
  expect((await client.read()).status).toBe(403);
  expect(await client.waitForEnd()).toBe("fin");
});
