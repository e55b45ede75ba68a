// Requests that are refused: each with its status, the close of the connection and a line in the access log that says
// why; no endpoint hears of them.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;
let address = "";

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    forward: app
    timeouts: { requestHead: 400ms }
    limits: { headBytes: 2k, headers: 20, bodyBytes: 1000 }
  noRoutes: { bind: "127.0.0.1:0", routes: [] }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

interface Refusal {
  readonly what: string;
  readonly bytes: string;
  readonly status: number;
  /** Termination code and cause of the log line. */
  readonly logged: string;
}

const host = "Host: x\r\n";
const get = (fields: string): string => `GET /ok HTTP/1.1\r\n${fields}\r\n`;
const post = (fields: string, body = ""): string => `POST /upload HTTP/1.1\r\n${host}${fields}\r\n${body}`;
const malformed = (what: string, bytes: string): Refusal => ({ what, bytes, status: 400, logged: "CR protocol" });

const refusals: readonly Refusal[] = [
  malformed("bare LF", "GET /ok HTTP/1.1\nHost: x\n\n"),
  malformed("bare CR in a value", get(`${host}X-A: a\rb\r\n`)),
  malformed("no version", "GET /ok\r\n\r\n"),
  malformed("no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
  malformed("two blanks in the request line", `GET  /ok HTTP/1.1\r\n${host}\r\n`),
  malformed("a control byte in the target", `GET /o\x01k HTTP/1.1\r\n${host}\r\n`),
  malformed("a relative target", `GET ok HTTP/1.1\r\n${host}\r\n`),
  malformed("a fragment", `GET /ok#top HTTP/1.1\r\n${host}\r\n`),
  malformed("user information", `GET http://u:p@x/ok HTTP/1.1\r\n${host}\r\n`),
  malformed("no Host", get("")),
  malformed("two Hosts", get(`${host}${host}`)),
  malformed("a malformed Host", get("Host: a b\r\n")),
  malformed("blank before the colon", get(`${host}X-A : b\r\n`)),
  malformed("a folded line", get(`${host}X-A: b\r\n c\r\n`)),
  malformed("NUL in a value", get(`${host}X-A: a\x00b\r\n`)),
  malformed("a field without name", get(`${host}: b\r\n`)),
  malformed("a field without colon", get(`${host}X-A\r\n`)),
  malformed(
    "Content-Length with Transfer-Encoding",
    post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
  ),
  malformed("Content-Length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc")),
  malformed("Content-Length as a list", post("Content-Length: 3, 3\r\n", "abc")),
  malformed("a signed Content-Length", post("Content-Length: +3\r\n", "abc")),
  malformed("a hexadecimal Content-Length", post("Content-Length: 0x3\r\n", "abc")),
  malformed(
    "Transfer-Encoding twice",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
  ),
  malformed("chunks from HTTP/1.0", `POST /upload HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  {
    what: "another coding",
    bytes: post("Transfer-Encoding: gzip, chunked\r\n"),
    status: 501,
    logged: "CR unsupported",
  },
  { what: "identity", bytes: post("Transfer-Encoding: identity\r\n"), status: 501, logged: "CR unsupported" },
  { what: "CONNECT", bytes: `CONNECT x:443 HTTP/1.1\r\n${host}\r\n`, status: 501, logged: "CR unsupported" },
  { what: "expectation", bytes: get(`${host}Expect: 200-ok\r\n`), status: 417, logged: "CR expectation" },
  { what: "HTTP/2.0", bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505, logged: "CR version" },
  { what: "HTTP/1.2", bytes: `GET /ok HTTP/1.2\r\n${host}\r\n`, status: 505, logged: "CR version" },
  { what: "long target", bytes: `GET /${"a".repeat(4000)}`, status: 414, logged: "CR uri-too-long" },
  { what: "long field", bytes: get(`${host}X-A: ${"a".repeat(2100)}\r\n`), status: 431, logged: "CR too-large" },
  { what: "many fields", bytes: get(host + "a: b\r\n".repeat(20)), status: 431, logged: "CR too-large" },
  { what: "long body", bytes: post("Content-Length: 1001\r\n", "x"), status: 413, logged: "CD body-too-large" },
];

/** Sends it from an address of its own, by which its log line is found. */
async function refuse({ what, bytes, status, logged: expected }: Refusal, from: string): Promise<void> {
  using client = await connect(address, { from });
  await client.send(Buffer.from(bytes, "latin1"));
  const response = await client.read();
  expect([what, response.status, response.header("connection")]).toEqual([what, status, "close"]);
  expect(response.text()).toStartWith(`${status} ${response.reason}\n`);
  expect([what, await client.waitForEnd()]).toEqual([what, "fin"]);
  const line = await logged(sluice, ({ client: ip }) => ip === from);
  expect([what, line.status, `${line.termination} ${line.cause}`]).toEqual([what, status, expected]);
}

test("what may not be forwarded is answered, closed, logged, and not forwarded", async () => {
  await Promise.all(refusals.map((refusal, i) => refuse(refusal, `127.0.1.${i + 1}`)));
  const { requests, accepted } = origin.stats();
  expect([requests, accepted]).toEqual([0, 0]);
  const metrics = await sluice.metrics();
  const web = { listener: "web" };
  expect(metrics.sum("sluice_bad_requests_total", web)).toBe(refusals.length);
  const of = (digit: number): number => refusals.filter(({ status }) => Math.floor(status / 100) === digit).length;
  expect(metrics.sum("sluice_responses_total", { ...web, class: "4xx" })).toBe(of(4));
  expect(metrics.sum("sluice_responses_total", { ...web, class: "5xx" })).toBe(of(5));
});

test("a head that does not end in time: 408", async () => {
  using client = await connect(address);
  await client.send("GET /ok HTTP/1.1\r\nHost: x\r\nX-Slow: ");
  const response = await client.read();
  expect([response.status, response.header("connection")]).toEqual([408, "close"]);
  await client.waitForEnd();
  const line = await logged(sluice, (entry) => entry.status === 408);
  expect([line.termination, line.cause]).toEqual(["cR", "timeout"]);
  using silent = await connect(address);
  await silent.waitForEnd();
  expect((await sluice.metrics()).sum("sluice_client_timeouts_total", { listener: "web" })).toBe(1);
});

test("what comes behind a refused request is not looked at", async () => {
  const before = origin.stats().requests;
  using client = await connect(address);
  await client.send("GET /ok HTTP/1.1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.read()).status).toBe(400);
  expect((await client.readToEnd()).bytes.length).toBe(0);
  expect(origin.stats().requests).toBe(before);
});

test("a request before a malformed one is answered", async () => {
  using client = await connect(address);
  await client.send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\nGET /ok HTTP/1.1\r\n\r\n");
  expect((await client.read()).status).toBe(200);
  expect((await client.read()).status).toBe(400);
  await client.waitForEnd();
});

const badChunks: Readonly<Record<string, string>> = {
  "no size": "xyz\r\n",
  "a size that does not fit": "fffffffffffffffff\r\n",
  "no line end behind the data": "3\r\nabcd\r\n",
  "a bare LF": "3\nabc\n0\n\n",
  "a long extension": `3;${"x".repeat(300)}\r\nabc\r\n`,
  "a malformed trailer": "0\r\nbad trailer\r\n\r\n",
};

test("of a chunked body that is malformed the endpoint gets no end: 400", async () => {
  const whole = (): number => origin.requests().filter(({ complete }) => complete).length;
  const before = whole();
  for (const [what, chunks] of Object.entries(badChunks)) {
    using client = await connect(address);
    await client.send(post("Transfer-Encoding: chunked\r\n", `2\r\nok\r\n${chunks}`));
    expect([what, (await client.read()).status]).toEqual([what, 400]);
    await client.waitForEnd();
  }
  await waitFor(() => origin.stats().open === 0, { what: "their connections to the endpoint to be given up" });
  expect([whole(), origin.stats().errors]).toEqual([before, []]);
});

test("a chunked body that grows over limits.bodyBytes: 413", async () => {
  using client = await connect(address);
  await client.send(post("Transfer-Encoding: chunked\r\n", `3e8\r\n${"x".repeat(1000)}\r\n1\r\nx\r\n0\r\n\r\n`));
  expect((await client.read()).status).toBe(413);
  await client.waitForEnd();
});

test("a listener without routes answers 404 and keeps the connection", async () => {
  using client = await connect(sluice.address("noRoutes"));
  for (let i = 0; i < 2; i++) {
    await client.send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
    const response = await client.read();
    expect([response.status, response.header("connection")]).toEqual([404, null]);
  }
  const line = await logged(sluice, (entry) => entry.status === 404);
  expect([line.listener, line.termination]).toEqual(["noRoutes", "--"]);
});
