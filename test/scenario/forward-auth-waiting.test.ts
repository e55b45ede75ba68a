// Requests that wait for an authentication service: their bodies arrive whole, their order stays, and who goes away
// meanwhile leaves nothing behind. Reloads, and the end of the program, in between.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { lacks } from "../support/needs.ts";
import { logged } from "./lib/access-log.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { startFlow } from "./lib/flow.ts";
import { hold } from "./lib/held.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { patternBody, whenWhole } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { runTool } from "./lib/tool.ts";
import { waitFor } from "./lib/wait.ts";

const origins = ["app", "auth", "desk", "next"].map((name) => startOrigin({ name }));
const [app, auth, desk, next] = origins as [Origin, Origin, Origin, Origin];
/** Questions that wait until the test has them answered. */
const held = hold(desk);
// The status that the request's own query wants, after its ms.
auth.on("/ask", (exchange) => {
  const status = exchange.query.get("status") ?? "200";
  const ms = Number(exchange.query.get("ms") ?? 0);
  setTimeout(() => {
    exchange.send(`HTTP/1.1 ${status} x\r\nX-User: joe\r\nContent-Length: 0\r\n\r\n`);
    exchange.done();
  }, ms);
});
next.on("/hold", whenWhole(200));
let sluice: Sluice;
let web: string;

function yaml(address = desk.address, change = 0): string {
  return `
workers: 2
timeouts: { drain: 5s }
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { host: held }, forward: app, forwardAuth: { pool: held, path: /hold, copyHeaders: [x-user] } }
      - { match: { host: late }, forward: app, forwardAuth: { pool: held, path: /hold }, timeouts: { total: 100ms } }
      - { match: { host: one }, forward: app, forwardAuth: { pool: one, path: /hold } }
      - match: { host: shared }
        forward: app
        forwardAuth: { pool: held, path: /hold, cache: 1m }
      - name: rest-${change}
        forward: app
        forwardAuth: { pool: auth, path: "/ask?{query}", copyHeaders: [x-user] }
pools:
  app: { endpoints: ["${app.address}"] }
  auth: { endpoints: ["${auth.address}"], passive: off }
  held: { endpoints: ["${address}"], passive: off, keepAlive: { connections: 0 } }
  one: { endpoints: [{ address: "${desk.address}", maxConnections: 1 }] }
`;
}

beforeAll(async () => {
  sluice = await startSluice(yaml());
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
});

const isHeld = (count: number): Promise<boolean> =>
  waitFor(() => held.count === count, { what: `${count} held questions` });

/** Nothing is in progress, anywhere. */
async function nothingLeft(): Promise<void> {
  const left = async (): Promise<number> => {
    const metrics = await sluice.metrics();
    return metrics.sum("sluice_endpoint_active_requests") + metrics.sum("sluice_worker_exchanges");
  };
  await waitFor(async () => (await left()) === 0, { what: "nothing in progress" });
}

const million = patternBody(1_000_000);
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const chunked = (body: Uint8Array, size: number, trailers = ""): Buffer => {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers}\r\n`)]);
};
const post = (host: string, path: string, body: Uint8Array): Buffer =>
  requestBytes(web, { method: "POST", path, headers: [`Host: ${host}`], body });
const postChunked = (host: string, path: string, body: Uint8Array): Buffer =>
  requestBytes(web, { method: "POST", path, headers: [`Host: ${host}`, "Transfer-Encoding: chunked"], body });

describe("the body", () => {
  const bodies = {
    "with a length": () => post("held", "/upload", million),
    "in chunks": () => postChunked("held", "/upload", chunked(million, 70_000)),
    "in small chunks": () => postChunked("held", "/upload", chunked(million, 300)),
  };
  test.each(Object.entries(bodies))("of a megabyte %s arrives whole, however it came", async (_name, make) => {
    const bytes = make();
    const wanted = JSON.stringify({ length: million.length, sha256: sha256(million) });
    // All at once; only the head before the verdict; the head and a bit, and the rest before and behind the verdict.
    for (const cuts of [[bytes.length], [300, bytes.length], [301, 5000, bytes.length - 7, bytes.length]]) {
      using client = await connect(web);
      let at = 0;
      const pieces = cuts.map((cut) => bytes.subarray(at, (at = cut)));
      const early = pieces.length === 4 ? pieces.splice(0, 3) : pieces.splice(0, 1);
      const sent = client.sendPieces(early); // not all of it goes out before the verdict
      await isHeld(1);
      held.release();
      await sent;
      await client.sendPieces(pieces);
      expect((await client.read()).text()).toBe(wanted);
      expect(app.last("/upload").headers.some(([name]) => name.toLowerCase() === "x-user")).toBe(false);
    }
  });

  test("with trailers", async () => {
    using client = await connect(web);
    await client.send(postChunked("held", "/echo", chunked(patternBody(500), 100, "X-Sum: 7\r\n")));
    await isHeld(1);
    held.release();
    expect((await client.read()).status).toBe(200);
    expect([app.last("/echo").bodyLength, app.last("/echo").trailers]).toEqual([500, "X-Sum: 7\r\n"]);
  });

  test.skipIf(lacks("curl"))("of curl, which waits for 100 Continue; a No comes instead of it", async () => {
    const file = join(sluice.dir, "body");
    writeFileSync(file, million);
    const curl = ["curl", "-sS", "--max-time", "10", "--expect100-timeout", "10", "-H", "Expect: 100-continue"];
    const good = await runTool([...curl, "-T", file, `http://${web}/upload?ms=20`]);
    expect(JSON.parse(good.stdout)).toEqual({ length: million.length, sha256: sha256(million) });
    const code = ["-o", "/dev/null", "-w", "%{http_code} %{size_upload}"];
    const bad = await runTool([...curl, ...code, "-T", file, `http://${web}/upload?ms=20&status=403`]);
    expect(bad.stdout).toBe("403 0");
  });

  test("of a refused request: a short one is read, for a long one the connection ends behind the answer", async () => {
    using client = await connect(web);
    await client.send(Buffer.concat([post("x", "/no?ms=20&status=403", patternBody(5000)), requestBytes(web)]));
    expect([(await client.read()).status, (await client.read()).status]).toEqual([403, 200]);
    using other = await connect(web);
    void other.send(post("x", "/no?ms=20&status=403", patternBody(3_000_000))).catch(() => {});
    const response = await other.read();
    expect([response.status, response.header("connection")?.toLowerCase()]).toEqual([403, "close"]);
    expect(app.stats().byPath["/no"]).toBeUndefined();
  });
});

test("pipelined requests are answered in order, though every question takes its own time", async () => {
  using client = await connect(web);
  const all = Array.from({ length: 18 }, (_, i) => ({ number: i, ms: (i * 7) % 20, status: [200, 401, 302][i % 3]! }));
  const bytes = all.map(({ number, ms, status }) => {
    const path = `/size?n=${100 + number}&ms=${ms}&status=${status}`;
    return number % 2 === 0 ? requestBytes(web, { path }) : post("x", path, patternBody(number * 100));
  });
  await client.send(Buffer.concat(bytes));
  client.finish(); // and says that this is all
  for (const { number, status } of all) {
    const { status: got, body } = await client.read();
    expect([number, got, body.length]).toEqual([number, status, status === 200 ? 100 + number : 0]);
  }
  expect(await client.waitForEnd()).toBe("fin");
});

test("a client that has said all it has to say gets its answer", async () => {
  using client = await connect(web);
  await client.send(requestBytes(web, { headers: ["Host: held"] }));
  client.finish();
  await isHeld(1);
  held.release();
  expect((await client.read()).status).toBe(200);
});

describe("who goes away while it waits leaves nothing behind", () => {
  const requests: Readonly<Record<string, () => Buffer>> = {
    "a GET": () => requestBytes(web, { path: "/gone", headers: ["Host: held"] }),
    "a POST, whole": () => post("held", "/gone", patternBody(5000)),
    "a POST, half": () => post("held", "/gone", patternBody(5000)).subarray(0, 3000),
    "a POST in chunks": () => postChunked("held", "/gone", chunked(patternBody(5000), 100)).subarray(0, 1000),
    "a GET that asks with others": () => requestBytes(web, { path: "/gone", headers: ["Host: shared"] }),
  };
  test.each(Object.entries(requests))("%s", async (_name, make) => {
    const open = desk.stats().open;
    {
      using client = await connect(web);
      await client.send(make());
      await isHeld(1);
      client.reset();
    }
    await nothingLeft();
    await waitFor(() => desk.stats().open === open, { what: "the question's connection to end" });
    held.releaseAll();
    expect(app.stats().byPath["/gone"]).toBeUndefined();
  });

  test("others who asked the same hear the answer", async () => {
    const clients = await Promise.all(Array.from({ length: 12 }, () => connect(web)));
    for (const client of clients) await client.send(requestBytes(web, { headers: ["Host: shared"] }));
    const waiting = async (): Promise<number> => (await sluice.metrics()).sum("sluice_worker_exchanges");
    await waitFor(async () => (await waiting()) === 12, { what: "all to wait" });
    expect(held.count).toBeLessThanOrEqual(2); // each worker asks once
    for (const client of clients.slice(0, 6)) client.reset();
    await waitFor(async () => (await waiting()) <= 6, { what: "some to be gone" });
    held.releaseAll();
    for (const client of clients.slice(6)) expect((await client.read()).status).toBe(200);
    for (const client of clients) client.close();
    await nothingLeft();
  });
});

test("a request that has no more time: 504, and the question is given up", async () => {
  const open = desk.stats().open;
  expect((await request(web, { path: "/late", headers: ["Host: late"] })).status).toBe(504);
  const entry = await logged(sluice, ({ target }) => target === "/late");
  expect([entry.status, entry.cause, entry.attempts]).toEqual([504, "timeout", 0]);
  await waitFor(() => desk.stats().open === open, { what: "the question's connection to end" });
  held.releaseAll();
});

test("questions do not queue: beyond maxConnections of the service 503", async () => {
  using first = await connect(web);
  const bytes = requestBytes(web, { headers: ["Host: one"] });
  await first.send(bytes);
  await isHeld(1);
  for (let i = 0; i < 3; i++) expect((await request(web, { headers: ["Host: one"] })).status).toBe(503);
  held.release();
  expect((await first.read()).status).toBe(200);
  await first.send(bytes);
  await isHeld(1);
  held.release();
  expect((await first.read()).status).toBe(200);
});

test("many at once on both workers, one after the other on each connection", async () => {
  using flow = startFlow(web, "/ok?ms=1");
  await waitFor(() => flow.answered > 200, { what: "answers" });
  await flow.stop();
  expect(flow.failures).toEqual([]);
});

test("reloads while questions are under way: answers hold; one that does not come is asked for anew", async () => {
  using flow = startFlow(web, "/ok?ms=5");
  using one = await connect(web);
  using two = await connect(web);
  await one.send(requestBytes(web, { headers: ["Host: held"] }));
  await isHeld(1);
  await two.send(post("held", "/upload", patternBody(3000)));
  await isHeld(2);
  for (let i = 1; i < 4; i++) expect((await sluice.reload(yaml(next.address, i))).status).toBe(200);
  held.release();
  expect((await one.read()).status).toBe(200);
  expect(next.stats().requests).toBe(0);
  desk.dropConnections();
  expect((await two.read()).text()).toContain('"length":3000');
  expect(next.stats().byPath["/hold"]).toBe(1);
  await flow.stop();
  expect(flow.failures).toEqual([]);
  held.releaseAll();
  expect((await sluice.reload(yaml())).status).toBe(200);
  await nothingLeft();
  expect((await sluice.metrics()).sum("sluice_worker_exceptions_total")).toBe(0);
  expect(app.stats().errors).toEqual([]);
});

test("who stops waits for the verdict and the answer", async () => {
  using client = await connect(web);
  await client.send(requestBytes(web, { headers: ["Host: held"] }));
  await isHeld(1);
  sluice.signal("SIGTERM");
  const isClosed = async (): Promise<boolean> => {
    using late = await connect(web).catch(() => null);
    return late === null;
  };
  await waitFor(isClosed, { what: "no more connections to be accepted" });
  held.release();
  expect((await client.read()).status).toBe(200);
  client.close();
  expect(await sluice.exited()).toBe(0);
});
