// Reloads that switch routes while requests flow: none fails, each is treated by one table of routes from its match
// to its answer, and once a reload is done the new table is in force in every worker.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type RawClient, request, requestBytes } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { patternBody } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const even = startOrigin({ name: "even" });
const odd = startOrigin({ name: "odd" });
let sluice: Sluice;
let address = "";

/** Table n: the same paths lead elsewhere, and everything that a route does tells the table's number. */
const yaml = (n: number, more = ""): string => `
workers: 2
accessLog: off
listeners:
  web:
    bind: "127.0.0.1:0"
    paths: { mode: ${n % 3 === 0 ? "strict" : "normalize"} }
    routes:
${more}
      - name: table-${n}
        match: { ${n % 2 === 0 ? "prefix: /x" : 'regex: "^/(x)/"'} }
        forward: ${n % 2 === 0 ? "even" : "odd"}
        rewrite: { path: "^/x/", to: "/", host: table-${n} }
        requestHeaders: { set: { x-table: "${n}" } }
        responseHeaders: { set: { x-table: "{route}" } }
      - { match: { path: /fixed }, respond: { body: "${n}" } }
      - { match: { path: /away }, redirect: "/to-${n}" }
pools: { even: { endpoints: ["${even.address}"] }, odd: { endpoints: ["${odd.address}"] } }
`;

beforeAll(async () => {
  sluice = await startSluice(yaml(0));
  address = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await even.close();
  await odd.close();
});

const echo = requestBytes("h", { path: "/x/echo", headers: ["Host: h"] });

/** The table that treated a request, as every part of what it did tells; throws if they disagree. */
async function tableOf(client: RawClient): Promise<number> {
  await client.send(echo);
  const response = await client.read();
  const said = [
    /^table-(\d+)$/.exec(response.header("x-table") ?? "")?.[1],
    /\r\nx-table: (\d+)\r\n/.exec(response.text())?.[1],
    /\r\nhost: table-(\d+)\r\n/i.exec(response.text())?.[1],
  ];
  const table = Number(said[0]);
  const isOne = said.every((each) => each === said[0]) && response.header("x-origin") === (table % 2 ? "odd" : "even");
  if (response.status !== 200 || !isOne) throw new Error(`${response.status} ${said.join()}: ${response.head}`);
  return table;
}

const fixed = async (): Promise<string> => (await request(address, { path: "/fixed" })).text();

test("a dozen reloads under load: no failure, no mixture, and never back to an older table", async () => {
  let going = true;
  let answered = 0;
  const visitor = async (): Promise<void> => {
    let latest = 0;
    using client = await connect(address); // one connection for all of it: no reload closes it
    while (going) {
      const table = await tableOf(client);
      expect(table).toBeGreaterThanOrEqual(latest);
      latest = table;
      answered++;
    }
  };
  const newcomer = async (): Promise<void> => {
    while (going) {
      using client = await connect(address);
      await tableOf(client);
      answered++;
    }
  };
  const flow = Promise.all([visitor(), visitor(), visitor(), visitor(), newcomer()]);
  using kept = await connect(address);
  for (let n = 1; n <= 12; n++) {
    expect((await sluice.reload(yaml(n))).status).toBe(200);
    // Done is done, on old connections as on new ones, in each worker.
    expect(await tableOf(kept)).toBe(n);
    const text = String(n);
    expect(await Promise.all([fixed(), fixed(), fixed(), fixed()])).toEqual([text, text, text, text]);
    expect((await request(address, { path: "/away" })).header("location")).toBe(`/to-${n}`);
  }
  going = false;
  await flow;
  expect(answered).toBeGreaterThan(50);
  for (const origin of [even, odd]) expect(origin.stats().errors).toEqual([]);
}, 20_000);

test("requests and tunnels that are under way end under the table that they began with", async () => {
  expect((await sluice.reload(yaml(30))).status).toBe(200);
  let release = (): void => {};
  even.on("/held", (exchange) => {
    release = () => {
      exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      exchange.done();
    };
  });
  const arrived = (path: string): boolean => even.requests().some(({ target }) => target === path);
  using waiting = await connect(address);
  await waiting.send(requestBytes(address, { path: "/x/held" }));
  using sending = await connect(address);
  await sending.send("POST /x/upload HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
  await sending.send(patternBody(50_000));
  using socket = await openWebSocket(`ws://${address}/x/chat`);
  for (const path of ["/held", "/upload", "/chat"]) await waitFor(() => arrived(path), { what: path });

  const closed = `      - { match: { prefix: /x }, respond: { status: 410 }, bodyBytes: 5 }`;
  expect((await sluice.reload(yaml(31, closed))).status).toBe(200);
  expect((await request(address, { path: "/x/held" })).status).toBe(410);
  release();
  const late = await waiting.read();
  expect([late.status, late.text(), late.header("x-table")]).toEqual([200, "ok", "table-30"]);
  await sending.send(patternBody(50_000));
  const upload = await sending.read();
  expect([upload.status, upload.header("x-table")]).toEqual([200, "table-30"]);
  expect(await socket.echo("still here")).toBe("still here");
  // Their connections stay, and what comes next on them meets the new table.
  for (const client of [waiting, sending]) {
    await client.send(requestBytes(address, { path: "/x/held" }));
    expect((await client.read()).status).toBe(410);
  }
});

test("a table with a mistake changes nothing", async () => {
  expect((await sluice.reload(yaml(40))).status).toBe(200);
  for (const bad of [
    `      - { match: { regex: "(" }, forward: even }`,
    `      - { forward: nowhere }`,
    `      - { match: { path: /y }, redirect: "/{nothing}" }`,
    `      - { match: { path: /y }, forward: even, respond: { body: x } }`,
  ]) {
    const refused = await sluice.reload(yaml(41, bad));
    expect([bad, refused.status]).toEqual([bad, 422]);
    using client = await connect(address);
    expect(await tableOf(client)).toBe(40);
  }
});

test("from three routes to three hundred and back", async () => {
  const many = Array.from(
    { length: 300 },
    (_, i) => `      - { match: { host: h${i}.example, prefix: /p${i} }, respond: { body: "${i}" } }`,
  ).join("\n");
  using client = await connect(address);
  expect((await sluice.reload(yaml(50, many))).status).toBe(200);
  for (const i of [0, 150, 299]) {
    const headers = [`Host: h${i}.example`];
    expect((await request(address, { path: `/p${i}/y`, headers })).text()).toBe(String(i));
    expect((await request(address, { path: `/p${i + 1}`, headers })).status).toBe(404);
  }
  expect(await tableOf(client)).toBe(50);
  expect((await sluice.reload(yaml(52))).status).toBe(200);
  expect(await tableOf(client)).toBe(52);
  expect((await request(address, { path: "/p0", headers: ["Host: h0.example"] })).status).toBe(404);
});
