// Messages of HTTP/1.1 through the balancer, in all the ways they can be framed: what an endpoint gets is what the
// client sent, what the client gets is what the endpoint sent, and the connections go on to the next message.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { lacks } from "../support/needs.ts";
import { connect, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { patternBody } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { runTool } from "./lib/tool.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;
let address = "";

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", protocol: http, forward: app } }
pools: { app: { protocol: http, endpoints: ["${origin.address}"] } }
`);
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

/** The path of an answer that is exactly these bytes. */
function raw(answer: string): string {
  return `/raw?base64=${Buffer.from(answer, "latin1").toString("base64url")}`;
}

test("many requests share a client's connection, and one to the endpoint", async () => {
  const before = origin.stats().accepted;
  using client = await connect(address);
  for (let i = 0; i < 5; i++) {
    await client.send(`GET /ok?n=${i} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const response = await client.read();
    expect(response.status).toBe(200);
    expect(response.header("connection")).toBeNull();
  }
  expect(origin.stats().accepted - before).toBeLessThanOrEqual(1);
});

test("pipelined requests are answered in their order, and reach the endpoint one by one", async () => {
  using client = await connect(address);
  const paths = ["/slow?ms=80", "/ok", "/chunked?n=300", "/size?n=10", "/status?code=404"];
  const body = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
  await client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join("") + body);
  const texts: string[] = [];
  for (let i = 0; i < 6; i++) texts.push((await client.read()).text());
  expect(texts[0]).toBe("a slow\n");
  expect(texts[1]).toBe("a ok\n");
  expect(texts[2]).toBe(Buffer.from(patternBody(300)).toString());
  expect(texts[3]).toBe(Buffer.from(patternBody(10)).toString());
  expect(texts[4]).toBe("a 404\n");
  expect(texts[5]!.endsWith("\r\n\r\nhello")).toBe(true);
  expect(origin.stats().errors).toEqual([]);
});

test("a request in pieces of one byte is the same request", async () => {
  using client = await connect(address);
  const text = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  await client.sendPieces([...text]);
  const response = await client.read();
  expect(response.status).toBe(200);
  expect(response.text().endsWith("\r\n\r\nabc")).toBe(true);
});

test("HEAD, 204 and 304 have no body, and the connection goes on behind them", async () => {
  using client = await connect(address);
  const exchange = async (method: string, path: string): ReturnType<typeof client.read> => {
    await client.send(`${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return client.read({ method });
  };
  const sized = await exchange("HEAD", "/size?n=5000");
  expect([sized.status, sized.header("content-length"), sized.framing]).toEqual([200, "5000", "none"]);
  expect((await exchange("HEAD", "/chunked")).header("content-length")).toBeNull();
  const empty = await exchange("GET", "/status?code=204");
  expect([empty.status, empty.header("content-length"), empty.header("transfer-encoding")]).toEqual([204, null, null]);
  expect((await exchange("GET", "/status?code=304")).status).toBe(304);
  expect((await exchange("GET", "/size?n=0")).body.length).toBe(0);
  expect((await exchange("GET", "/ok")).text()).toBe("a ok\n");
});

test("chunked bodies with trailers pass in both directions", async () => {
  using client = await connect(address);
  const head = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
  await client.send(`${head}5\r\nhello\r\n7;ext=1\r\n, world\r\n0\r\nX-Sum: 42\r\n\r\n`);
  await client.read();
  const seen = origin.last("/echo");
  expect(Buffer.from(seen.body).toString()).toBe("hello, world");
  expect(seen.trailers).toBe("X-Sum: 42\r\n");
  expect(seen.headers.filter(([name]) => name.toLowerCase() === "content-length")).toEqual([]);
  await client.send("GET /chunked?n=100000&chunk=977&trailer=1 HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n");
  const response = await client.read();
  expect(response.framing).toBe("chunked");
  expect(response.body.equals(patternBody(100_000))).toBe(true);
  expect(response.trailers).toEqual([["X-Check", "100000"]]);
});

test("a client of HTTP/1.0 gets bodies without chunks, and keeps its connection if it asks for that", async () => {
  using once = await connect(address);
  await once.send("GET /chunked?n=3000 HTTP/1.0\r\n\r\n");
  const unframed = await once.read();
  expect([unframed.framing, unframed.header("transfer-encoding")]).toEqual(["close", null]);
  expect(unframed.body.equals(patternBody(3000))).toBe(true);
  const seen = origin.last("/chunked");
  expect(seen.head.startsWith("GET /chunked?n=3000 HTTP/1.1\r\n")).toBe(true);
  expect(seen.headers.filter(([name]) => name === "Host")).toEqual([["Host", origin.address]]);
  using kept = await connect(address);
  for (let i = 0; i < 2; i++) {
    await kept.send("GET /ok HTTP/1.0\r\nHost: old\r\nConnection: keep-alive\r\n\r\n");
    const response = await kept.read();
    expect(response.header("connection")?.toLowerCase()).toBe("keep-alive");
  }
  await kept.send("GET /early-hints HTTP/1.0\r\nHost: old\r\n\r\n");
  expect((await kept.read()).interim).toEqual([]);
  expect(await kept.waitForEnd()).toBe("fin");
});

test("the client's Connection: close is obeyed and does not reach the endpoint", async () => {
  using client = await connect(address);
  await client.send("GET /ok?closing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect((await client.read()).header("connection")).toBe("close");
  expect(await client.waitForEnd()).toBe("fin");
  expect(origin.last("/ok").headers.some(([name]) => name.toLowerCase() === "connection")).toBe(false);
});

test("a client that has sent its FIN still gets its answer", async () => {
  using client = await connect(address);
  await client.send("GET /slow?ms=50 HTTP/1.1\r\nHost: x\r\n\r\n");
  client.finish();
  expect((await client.read()).text()).toBe("a slow\n");
  expect(await client.waitForEnd()).toBe("fin");
});

test("Expect: 100-continue: the body is sent when the endpoint asks for it", async () => {
  using client = await connect(address);
  await client.send("POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  expect((await client.readBytes(25)).toString()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  await client.send("body");
  expect(JSON.parse((await client.read()).text())).toMatchObject({ length: 4 });
  expect(origin.last("/upload").headers).toContainEqual(["Expect", "100-continue"]);
  // An endpoint that does not want the body answers at once, and the client's connection then has to close.
  await client.send("POST /status?code=403 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  const refused = await client.read();
  expect([refused.status, refused.interim.length, refused.header("connection")]).toEqual([403, 0, "close"]);
});

test.skipIf(lacks("curl"))("curl waits for 100 Continue and uploads", async () => {
  const command = ["curl", "-sv", "--expect100-timeout", "30", "-H", "Expect: 100-continue"];
  const { stdout, stderr } = await runTool([...command, "--data-binary", "x".repeat(5000), `http://${address}/upload`]);
  expect(stderr).toContain("HTTP/1.1 100 Continue");
  expect(JSON.parse(stdout)).toMatchObject({ length: 5000 });
});

test("other interim responses pass too", async () => {
  const response = await request(address, { path: "/early-hints" });
  expect(response.status).toBe(200);
  expect(response.interim.map(({ head }) => head)).toEqual([
    "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
  ]);
});

test("a body that ends with the endpoint's connection gets an end of its own", async () => {
  using client = await connect(address);
  await client.send("GET /until-close?n=70000 HTTP/1.1\r\nHost: x\r\n\r\nGET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
  const response = await client.read();
  expect(response.framing).toBe("chunked");
  expect(response.body.equals(patternBody(70_000))).toBe(true);
  expect((await client.read()).text()).toBe("a ok\n");
});

test("the absolute form becomes the origin form, and its authority the Host", async () => {
  using client = await connect(address);
  await client.send("GET http://shop.example:81/echo?a=b HTTP/1.1\r\nHost: ignored.example\r\n\r\n");
  const text = (await client.read()).text();
  expect(text.startsWith("GET /echo?a=b HTTP/1.1\r\n")).toBe(true);
  expect(origin.last("/echo").headers.filter(([name]) => name === "Host")).toEqual([["Host", "shop.example:81"]]);
  await client.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
  expect((await client.read()).status).toBe(404);
  expect(origin.requests().at(-1)!.target).toBe("*");
});

test("header fields pass byte for byte, in order, in both directions", async () => {
  const fields = [
    "hOsT: MiXeD.Example:8080",
    "x-lower: a",
    "X-UPPER: B",
    "X-oDD-cAsE:  two  blanks inside  ",
    "X-Latin: caf\xe9 \xff\x80",
    "X-Tab: a\tb",
    "X-Empty:",
    "X-Twice: 1",
    "x-twice: 2",
    'X-Signs: !#$%&*+-^_`|~()<>@,;:\\"/[]?={}',
  ];
  using client = await connect(address);
  await client.send(Buffer.from(`GET /echo?%C3%A9&x={y} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`, "latin1"));
  const sent = (await client.read()).body.toString("latin1");
  expect(sent.startsWith(`GET /echo?%C3%A9&x={y} HTTP/1.1\r\n${fields.join("\r\n")}\r\n`)).toBe(true);
  const answer = [
    "HTTP/1.1 299 Na\xefve reason",
    "sErVeR: x/1",
    "Set-Cookie: a=1",
    "X-Latin: \xe9",
    "set-cookie: b=2; Path=/",
    "x-empty:",
    "CONTENT-LENGTH: 0",
  ];
  await client.send(`GET ${raw(`${answer.join("\r\n")}\r\n\r\n`)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect((await client.read()).head).toBe(`${answer.join("\r\n")}\r\n\r\n`);
});

test("hop-by-hop fields end here, those that Connection names included", async () => {
  using client = await connect(address);
  const hop = ["Connection: keep-alive, X-Private, x-other", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive"];
  const fields = [...hop, "X-Private: 1", "X-OTHER: 2", "TE: trailers", "X-Public: 3", "Upgrade: foo/1"];
  await client.send(`GET /echo HTTP/1.1\r\nHost: x\r\n${fields.join("\r\n")}\r\n\r\n`);
  await client.read();
  const names = origin.last("/echo").headers.map(([name]) => name.toLowerCase());
  expect(names).toContain("x-public");
  for (const name of ["connection", "keep-alive", "proxy-connection", "x-private", "x-other", "te", "upgrade"]) {
    expect(names).not.toContain(name);
  }
  const gone = "Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n";
  const answer = `HTTP/1.1 200 OK\r\n${gone}X-Kept: 1\r\nContent-Length: 0\r\n\r\n`;
  await client.send(`GET ${raw(answer)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect((await client.read()).head).toBe("HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n");
});

test("Connection cannot take away what frames or routes a message", async () => {
  using client = await connect(address);
  const head = "POST /echo HTTP/1.1\r\nHost: kept.example\r\nConnection: host, content-length, x-forwarded-for";
  await client.send(`${head}\r\nContent-Length: 4\r\n\r\nbody`);
  expect((await client.read()).status).toBe(200);
  const { headers, bodyLength } = origin.last("/echo");
  expect(bodyLength).toBe(4);
  expect(headers).toContainEqual(["Host", "kept.example"]);
  expect(headers).toContainEqual(["X-Forwarded-For", "127.0.0.1"]);
});
