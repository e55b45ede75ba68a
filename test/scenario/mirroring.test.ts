// Copies of requests for another pool: what they are, and of which requests there are any. What a mirror in trouble
// does to others, which is nothing: mirrors-in-trouble.test.ts.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { lacks } from "../support/needs.ts";
import { connect, request, requestBytes, type RequestOptions } from "./lib/client.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Behaviour, patternBody, whenWhole } from "./lib/origin-behaviours.ts";
import { headerOf, type RecordedRequest } from "./lib/request-reader.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { runTool } from "./lib/tool.ts";
import { waitFor } from "./lib/wait.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const [app, other, mirror] = ["app", "other", "mirror"].map((name) => startOrigin({ name })) as [
  Origin,
  Origin,
  Origin,
];
/** A port that nobody listens on. */
const nobody = startOrigin({ name: "nobody" });
let sluice: Sluice;
let web: string;

const ends = (...origins: readonly Origin[]): string => origins.map(({ address }) => `"${address}"`).join(", ");
const retry = "{ attempts: 1, on: [connect, reset, 503], nonIdempotent: true, budgetMin: 1000 }";
const yaml = `
workers: 2
accessLog: off
listeners:
  web:
    bind: "127.0.0.1:0"
    via: balancer
    routes:
      - { match: { host: whole }, forward: app, mirror: { pool: copies, bodyBytes: 1m } }
      - match: { host: changed }
        forward: app
        mirror: copies
        rewrite: { path: "^/old", to: "/new", host: "inside.example" }
        requestHeaders: { set: { X-Set: "{source}" }, remove: [x-secret] }
      - { match: { host: share }, forward: app, mirror: { pool: copies, share: 25% } }
      - { match: { host: heads }, forward: app, mirror: { pool: copies, bodyBytes: 0 } }
      - { match: { host: again }, forward: two, retry: ${retry}, mirror: copies }
      - { match: { host: gone }, forward: half, retry: ${retry}, mirror: copies }
pools:
  app: { endpoints: [${ends(app)}] }
  two: { balance: round-robin, passive: off, keepAlive: { connections: 0 }, endpoints: [${ends(app, other)}] }
  half: { balance: round-robin, passive: off, endpoints: [${ends(nobody, other)}] }
  copies: { endpoints: [${ends(mirror)}], passive: off }
`;

beforeAll(async () => {
  await nobody.close();
  sluice = await startSluice(yaml);
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of [app, other, mirror]) await origin.close();
});

let numbers = 0;

/** A request with a number of its own, by which it is found again. */
function numbered(host: string, options: RequestOptions = {}): RequestOptions & { readonly number: string } {
  const number = String(++numbers);
  return { ...options, headers: [`Host: ${host}`, `X-Number: ${number}`, ...(options.headers ?? [])], number };
}

const those = (origin: Origin, number: string): RecordedRequest[] =>
  origin.requests().filter((each) => headerOf(each, "x-number") === number);

/** The whole of the copy, waited for; there is just one. */
async function copyOf(number: string): Promise<RecordedRequest> {
  await waitFor(() => those(mirror, number).some(({ complete }) => complete), { what: `a copy of ${number}` });
  const [copy, ...more] = those(mirror, number);
  expect(more).toEqual([]);
  return copy!;
}

async function expectCopied(number: string, origin = app): Promise<RecordedRequest> {
  const copy = await copyOf(number);
  const original = those(origin, number).at(-1)!;
  expect(copy.head).toBe(original.head.replace("Expect: 100-continue\r\n", "")); // the body goes along
  expect(Buffer.from(copy.body).equals(original.body)).toBe(true);
  expect([copy.bodyLength, copy.trailers]).toEqual([original.bodyLength, original.trailers]);
  return copy;
}

/** Copies that were lost, in all. */
const lost = async (): Promise<number> => (await sluice.metrics()).sum("sluice_pool_copies_lost_total");

/** No copy is under way. */
async function settled(): Promise<void> {
  const active = async (): Promise<number> =>
    (await sluice.metrics()).sum("sluice_endpoint_active_requests", { pool: "copies" });
  await waitFor(async () => (await active()) === 0, { what: "nothing in progress at the mirror" });
}

const inChunks = (pieces: readonly Uint8Array[], trailers = ""): Buffer =>
  Buffer.concat([
    ...pieces.flatMap((piece) => [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]),
    Buffer.from(`0\r\n${trailers}\r\n`),
  ]);

const requests: Readonly<Record<string, RequestOptions>> = {
  "a GET with odd fields": { path: "/echo?a=%2f&b", headers: ["x-ODD:   value \t", "X-Odd: again", "Cookie: a=1"] },
  "a HEAD": { method: "HEAD" },
  "a method of its own": { method: "PURGE", path: "/no/such" },
  "a POST without a body": { method: "POST", body: "" },
  "a PUT with a length": { method: "PUT", path: "/echo", body: patternBody(60_000) },
  "a long POST": { method: "POST", path: "/upload", body: patternBody(1_000_000) },
  "a POST in chunks": {
    method: "POST",
    path: "/upload",
    headers: ["Transfer-Encoding: chunked"],
    body: inChunks([patternBody(5), patternBody(70_000), patternBody(1)]),
  },
  "a PUT in chunks with trailers": {
    method: "PUT",
    path: "/echo",
    headers: ["Transfer-Encoding: chunked", "Trailer: X-Sum"],
    body: inChunks([patternBody(900)], "X-Sum: 7\r\nX-More: 8\r\n"),
  },
  "only trailers": {
    method: "POST",
    path: "/echo",
    headers: ["Transfer-Encoding: chunked"],
    body: inChunks([], "X-Sum: 7\r\n"),
  },
};

test.each(Object.entries(requests))("%s is copied byte for byte", async (_name, options) => {
  const sent = numbered("whole", options);
  expect((await request(web, sent)).status).toBeLessThan(405);
  const copy = await expectCopied(sent.number);
  expect(headerOf(copy, "via")).toContain("balancer");
  expect(headerOf(copy, "x-request-id")).toBeString();
});

test("a copy is what the endpoint is sent: after the rewrite, with the edits", async () => {
  const sent = numbered("changed", { path: "/old/x?y", headers: ["X-Secret: 1"] });
  await request(web, sent);
  const copy = await expectCopied(sent.number);
  expect([copy.target, headerOf(copy, "host"), headerOf(copy, "x-set")]).toEqual([
    "/new/x?y",
    "inside.example",
    "127.0.0.1",
  ]);
  expect(headerOf(copy, "x-secret")).toBeUndefined();
});

test("requests on one connection, each with its body, pieces of which come one by one", async () => {
  using client = await connect(web);
  const all = [1, 20_000, 0, 3].map((length) =>
    numbered("whole", { method: "POST", path: "/echo", body: patternBody(length) }),
  );
  const bytes = Buffer.concat(all.map((each) => requestBytes(web, each)));
  const cuts = [0, 30, 300, 301, 9000, 20_500, 20_900, bytes.length];
  await client.sendPieces(cuts.slice(1).map((cut, i) => bytes.subarray(cuts[i], cut)));
  for (const { number } of all) {
    expect((await client.read()).status).toBe(200);
    await expectCopied(number);
  }
});

test("Expect is left out, the body is not", async () => {
  const sent = numbered("whole", { method: "POST", path: "/echo", headers: ["Expect: 100-continue"], body: "hello" });
  await request(web, sent);
  const copy = await expectCopied(sent.number);
  expect(headerOf(copy, "expect")).toBeUndefined();
  expect(Buffer.from(copy.body).toString()).toBe("hello");
});

test.skipIf(lacks("curl"))("curl uploads, with a length and in chunks", async () => {
  const file = join(sluice.dir, "body");
  writeFileSync(file, patternBody(300_000));
  for (const extra of [[], ["-H", "Transfer-Encoding: chunked"]]) {
    const { number } = numbered("whole");
    const fields = ["-H", "Host: whole", "-H", `X-Number: ${number}`, ...extra];
    await runTool(["curl", "-sSf", "--max-time", "10", ...fields, "-T", file, `http://${web}/upload`]);
    expect((await expectCopied(number)).bodyLength).toBe(300_000);
  }
});

test("bodies up to bodyBytes are copied, longer ones are not, and are not lost either", async () => {
  const before = await lost();
  const chunked = { method: "POST", path: "/upload", headers: ["Transfer-Encoding: chunked"] };
  const million = patternBody(1 << 20);
  const cases: readonly (readonly [isCopied: boolean, host: string, options: RequestOptions])[] = [
    [true, "whole", { method: "POST", path: "/upload", body: million }],
    [false, "whole", { method: "POST", path: "/upload", body: patternBody((1 << 20) + 1) }],
    [true, "whole", { ...chunked, body: inChunks([million]) }],
    [false, "whole", { ...chunked, body: inChunks([million, patternBody(1)]) }],
    [true, "heads", {}],
    [true, "heads", { method: "POST", path: "/upload", body: "" }],
    [false, "heads", { method: "POST", path: "/upload", body: "x" }],
    [false, "heads", { ...chunked, body: inChunks([]) }],
  ];
  const sent = cases.map(([, host, options]) => numbered(host, options));
  for (const each of sent) {
    expect((await request(web, each)).status).toBe(200);
    const { bodyLength } = those(app, each.number)[0]!;
    const coded = each.headers!.includes("Transfer-Encoding: chunked");
    if (!coded) expect(bodyLength).toBe(Buffer.from(each.body ?? "").length);
  }
  await settled();
  for (const [i, { number }] of sent.entries()) {
    const [isCopied] = cases[i]!;
    if (isCopied) await copyOf(number);
    expect([i, those(mirror, number).length]).toEqual([i, isCopied ? 1 : 0]);
  }
  expect(await lost()).toBe(before);
});

test("a request that is answered before its body is whole is not copied", async () => {
  app.on("/early", (exchange) => {
    exchange.send("HTTP/1.1 204 x\r\n\r\n");
    exchange.done();
  });
  const early = numbered("whole", { method: "POST", path: "/early", body: patternBody(5000) });
  const bytes = requestBytes(web, early);
  using client = await connect(web);
  await client.send(bytes.subarray(0, 3000));
  expect((await client.read()).status).toBe(204);
  await client.send(bytes.subarray(3000));
  const next = numbered("whole");
  await client.send(requestBytes(web, next));
  expect((await client.read()).status).toBe(200);
  await expectCopied(next.number);
  expect(those(mirror, early.number)).toEqual([]);
});

test("a request that breaks off is not copied; the connection's next one is another matter", async () => {
  const broken = numbered("whole", { method: "POST", path: "/upload", body: patternBody(5000) });
  {
    using client = await connect(web);
    await client.send(requestBytes(web, broken).subarray(0, 3000));
    await waitFor(() => those(app, broken.number).length === 1, { what: "the endpoint to be asked" });
    client.reset();
  }
  const next = numbered("whole", { method: "POST", path: "/upload", body: patternBody(5000) });
  await request(web, next);
  await expectCopied(next.number);
  expect(those(mirror, broken.number)).toEqual([]);
});

test("the share: a quarter of the requests, each for itself", async () => {
  const count = 1200;
  using client = await connect(web);
  const one = requestBytes(web, { path: "/share", headers: ["Host: share"] });
  await client.send(Buffer.concat(Array.from({ length: count }, () => one)));
  for (let i = 0; i < count; i++) await client.read();
  await settled();
  // Five standard deviations of the binomial distribution: one run in a million is beyond them.
  const spread = 5 * Math.sqrt(count * 0.25 * 0.75);
  const copied = mirror.stats().byPath["/share"] ?? 0;
  expect(copied).toBeGreaterThan(count * 0.25 - spread);
  expect(copied).toBeLessThan(count * 0.25 + spread);
  expect(app.stats().byPath["/share"]).toBe(count);
});

test("a request that is repeated at another endpoint is copied once, and whole", async () => {
  const fail: Behaviour = (exchange) => void (exchange.onEnd = () => exchange.reset());
  for (const [path, behaviour] of Object.entries({ "/reset": fail, "/503": whenWhole(503) })) {
    app.on(path, behaviour);
    for (const each of [other, mirror]) each.on(path, whenWhole(200));
    const before = app.stats().byPath[path] ?? 0;
    for (const options of [
      { path },
      { path, method: "PUT", body: patternBody(3000) },
      { path, method: "POST", body: "x" },
    ]) {
      for (let turn = 0; turn < 2; turn++) {
        const sent = numbered("again", options);
        expect((await request(web, sent)).status).toBe(200);
        await expectCopied(sent.number, other);
      }
    }
    expect((app.stats().byPath[path] ?? 0) - before).toBeGreaterThan(0);
  }
});

test("a request whose first endpoint cannot be connected to is copied once, too", async () => {
  for (let turn = 0; turn < 4; turn++) {
    for (const options of [{}, { method: "POST", path: "/upload", body: patternBody(3000) }]) {
      const sent = numbered("gone", options);
      expect((await request(web, sent)).status).toBe(200);
      await expectCopied(sent.number, other);
    }
  }
});

test("WebSockets are not copied", async () => {
  const { number } = numbered("whole");
  using socket = await openWebSocket(`ws://${web}/chat`, { headers: { Host: "whole", "X-Number": number } });
  expect(await socket.echo("hello")).toBe("hello");
  await settled();
  expect([those(app, number).map((each) => headerOf(each, "host")), those(mirror, number)]).toEqual([["whole"], []]);
});
