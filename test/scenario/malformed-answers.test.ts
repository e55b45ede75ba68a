// Endpoints that answer with something else than HTTP/1.1: 502 while nothing has gone out, a broken connection
// afterwards, and never a byte that the client could take for a whole answer.

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
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

/** Answers a path with exactly these bytes. */
function answers(path: string, bytes: string): void {
  origin.on(path, (exchange) => {
    exchange.send(bytes);
    exchange.done();
  });
}

const ok = "HTTP/1.1 200 OK\r\n";
const heads: Readonly<Record<string, string>> = {
  "no HTTP": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
  "another version": "HTTP/2.0 200 OK\r\n\r\n",
  "no status": "HTTP/1.1 OK\r\n\r\n",
  "a status beyond all": "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
  "bare LF": "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
  "a blank before the colon": `${ok}Content-Length : 0\r\n\r\n`,
  "a folded line": `${ok}X-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n`,
  "two lengths": `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
  "a negative length": `${ok}Content-Length: -1\r\n\r\n`,
  "a length and chunks": `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "an unknown coding": `${ok}Transfer-Encoding: gzip\r\n\r\nx`,
  "NUL in a value": `${ok}X-A: a\x00b\r\nContent-Length: 0\r\n\r\n`,
  "a head of 300 KB": `${ok}${`X-A: ${"x".repeat(60_000)}\r\n`.repeat(5)}Content-Length: 0\r\n\r\n`,
  "1001 fields": `${ok}${"X-A: 1\r\n".repeat(1000)}Content-Length: 0\r\n\r\n`,
  "33 interim answers": `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(33)}${ok}Content-Length: 0\r\n\r\n`,
};

test.each(Object.keys(heads))("a head with %s is a 502, and the client's connection goes on", async (what) => {
  const path = `/head-${Object.keys(heads).indexOf(what)}`;
  answers(path, heads[what]!);
  using client = await connect(address);
  await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const response = await client.read();
  expect([response.status, response.header("connection")]).toEqual([502, null]);
  await client.send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.read()).text()).toBe("a ok\n");
});

test("the log says that the endpoint broke the protocol, and the endpoint's failures count", async () => {
  const entry = await logged(sluice, ({ target }) => target === "/head-0");
  expect([entry.termination, entry.cause, entry.attempts]).toEqual(["SH", "protocol", 1]);
  const metrics = await sluice.metrics();
  expect(metrics.sum("sluice_endpoint_failures_total")).toBe(Object.keys(heads).length);
  await waitFor(() => origin.stats().open <= 1, { what: "the broken connections to be closed" });
});

const bodies: Readonly<Record<string, string>> = {
  "no chunk size": "xyz\r\n",
  "a chunk longer than said": "3\r\nabcdef\r\n0\r\n\r\n",
  "bare LF": "3\nabc\n0\n\n",
  "a malformed trailer": "0\r\nno trailer\r\n\r\n",
};

test.each(Object.keys(bodies))("a chunked body with %s breaks the client's connection too", async (what) => {
  const path = `/body-${Object.keys(bodies).indexOf(what)}`;
  answers(path, `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n${bodies[what]!}`);
  using client = await connect(address);
  await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const { bytes } = await client.readToEnd();
  expect(bytes.toString("latin1")).not.toContain("\r\n0\r\n\r\n");
  const entry = await logged(sluice, ({ target }) => target === path);
  expect([entry.status, entry.termination, entry.cause]).toEqual([200, "SL", "protocol"]);
});

test("32 interim answers are passed on", async () => {
  answers("/interim", `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(32)}${ok}Content-Length: 2\r\n\r\nok`);
  using client = await connect(address);
  await client.send("GET /interim HTTP/1.1\r\nHost: x\r\n\r\n");
  const response = await client.read();
  expect([response.interim.length, response.text()]).toEqual([32, "ok"]);
});

test("a body that the endpoint cuts off is not a whole one for the client either", async () => {
  for (const path of ["/close-early?n=1000&sent=10", "/reset?n=1000&sent=10"]) {
    using client = await connect(address);
    await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const { bytes } = await client.readToEnd();
    expect(bytes.length).toBeLessThan(1000);
  }
  // In chunked coding the end would be told by the last chunk: it must not be there.
  origin.on("/cut", (exchange) => {
    exchange.send(`${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`);
    exchange.close();
  });
  using client = await connect(address);
  await client.send("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.readToEnd()).bytes.toString("latin1")).not.toContain("0\r\n\r\n");
});
