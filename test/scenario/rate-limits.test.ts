// Rate limits: as many as may and not one more, whichever worker is asked; by what they count; what clients are told;
// and that neither a reload nor a crash makes the balancer forget.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { type RequestOptions, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import type { RawResponse } from "./lib/response-reader.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;
let web: string;

/** Routes by path, each with its limit. An hour is longer than any test. */
const limits: Readonly<Record<string, string>> = {
  exact: "{ requests: 50, per: 1h }",
  worker: "{ requests: 11, per: 1h, scope: worker }",
  burst: "{ requests: 2, per: 1h, burst: 7 }",
  flow: "{ requests: 50, per: 1s, burst: 2 }",
  header: '{ requests: 3, per: 1h, by: "header:x-key" }',
  cookie: '{ requests: 3, per: 1h, by: "cookie:id" }',
  query: '{ requests: 3, per: 1h, by: "query:id" }',
  path: "{ requests: 3, per: 1h, by: path }",
  uri: "{ requests: 3, per: 1h, by: uri }",
  route: "{ requests: 3, per: 1h, by: route }",
  both: '[{ requests: 10, per: 1h }, { requests: 3, per: 1h, by: "header:x-key", status: 503 }]',
  kept: "{ requests: 20, per: 1h }",
};

const fields = ["ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

function yaml(change: Readonly<Record<string, string>> = {}): string {
  const routes = Object.entries({ ...limits, ...change }).map(
    ([name, limit]) => `      - { name: r-${name}, match: { prefix: /${name} }, forward: app, rateLimit: ${limit} }\n`,
  );
  return `
workers: 2
listeners:
  web:
    bind: "127.0.0.1:0"
    trustedProxies: [127.0.0.250]
    routes:
${routes.join("")}
      - match: { prefix: /quiet }
        forward: app
        rateLimit: { requests: 9 }
        responseHeaders: { remove: [${fields.join(", ")}] }
      - { forward: app }
pools: { app: { endpoints: ["${origin.address}"] } }
`;
}

beforeAll(async () => {
  for (const name of Object.keys(limits)) {
    for (const path of [`/${name}`, `/${name}/2`]) {
      origin.on(path, (exchange) => {
        exchange.send("HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n");
        exchange.done();
      });
    }
  }
  sluice = await startSluice(yaml());
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

/** So many requests, ten at a time, each on a connection of its own, which goes to either worker; statuses by count. */
async function ask(path: string, count: number, options: RequestOptions = {}): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  let left = count;
  const some = async (): Promise<void> => {
    while (left-- > 0) {
      const { status } = await request(web, { ...options, path });
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 10 }, some));
  return statuses;
}

function fieldsOf(response: RawResponse): Record<string, string> {
  const wanted = response.headers.filter(([name]) => /^(ratelimit|retry-after)/i.test(name));
  return Object.fromEntries(wanted.map(([name, value]) => [name.toLowerCase(), value]));
}

test("exact: N are allowed over all workers, for each client by itself", async () => {
  const counts = await Promise.all(["127.0.1.1", "127.0.1.2", "127.0.1.3"].map((from) => ask("/exact", 90, { from })));
  for (const count of counts) expect(count).toEqual({ 200: 50, 429: 40 });
  expect(await ask("/", 30, { from: "127.0.1.1" })).toEqual({ 200: 30 });
  // Behind a trusted proxy the client is the forwarded one.
  const proxied = (client: string) => ({ from: "127.0.0.250", headers: [`X-Forwarded-For: ${client}`] });
  expect(await ask("/exact", 10, proxied("127.0.1.2"))).toEqual({ 429: 10 });
  expect(await ask("/exact", 10, proxied("127.0.1.4"))).toEqual({ 200: 10 });
  const metrics = await sluice.metrics();
  expect(metrics.sum("sluice_limited_total", { listener: "web" })).toBe(130);
});

test("scope worker: each worker allows its share, rounded up", async () => {
  expect(await ask("/worker", 80)).toEqual({ 200: 12, 429: 68 });
});

test("burst: so many at once; what is refused costs nothing; in a time no more than the rate allows", async () => {
  expect(await ask("/burst", 30)).toEqual({ 200: 7, 429: 23 });
  const start = performance.now();
  let allowed = 0;
  await waitFor(
    async () => {
      allowed += (await ask("/flow", 10))[200] ?? 0;
      return allowed >= 12;
    },
    { what: "the bucket to be filled again and again" },
  );
  expect(allowed).toBeLessThanOrEqual(2 + Math.ceil(((performance.now() - start) * 50) / 1000));
});

test("the client is told what is left, and when to come again", async () => {
  const from = "127.0.2.1";
  const first = await request(web, { path: "/both", from, headers: ["X-Key: told"] });
  const policy = { "ratelimit-policy": '"header";q=3;w=3600', "ratelimit-limit": "3" };
  expect([first.status, fieldsOf(first)]).toEqual([
    200,
    { ...policy, ratelimit: '"header";r=2;t=1200', "ratelimit-remaining": "2", "ratelimit-reset": "1200" },
  ]);
  for (let i = 0; i < 2; i++) await request(web, { path: "/both", from, headers: ["X-Key: told"] });
  const path = "/both?refused";
  const refused = await request(web, { path, from, headers: ["X-Key: told"] });
  const told = fieldsOf(refused);
  expect([refused.status, told]).toEqual([503, expect.objectContaining({ ...policy, "ratelimit-remaining": "0" })]);
  expect(Number(told["retry-after"])).toBeGreaterThan(1100);
  expect(Number(told["retry-after"])).toBeLessThanOrEqual(1200);
  const entry = await logged(sluice, ({ target }) => target === path);
  expect([entry.termination, entry.cause, entry.attempts]).toEqual(["PR", "limited", 0]);
  // Of several limits the one with the least left is told: the other one has 6 of 10.
  const other = await request(web, { path: "/both", from });
  expect(fieldsOf(other)["ratelimit-policy"]).toBe('"source";q=10;w=3600');
  expect(fieldsOf(other)["ratelimit-remaining"]).toBe("5");
  expect(fieldsOf(await request(web, { path: "/", from }))).toEqual({});
  // The endpoint's own fields stand beside ours; all of them can be taken out.
  for (const each of ["/both/2", "/quiet"]) {
    origin.on(each, (exchange) => {
      exchange.send("HTTP/1.1 200 x\r\nRateLimit-Limit: 99\r\nContent-Length: 0\r\n\r\n");
      exchange.done();
    });
  }
  const beside = (await request(web, { path: "/both/2", from })).headers.filter(([name]) => name === "RateLimit-Limit");
  expect(beside.map(([, value]) => value)).toEqual(["99", "10"]);
  expect(fieldsOf(await request(web, { path: "/quiet", from }))).toEqual({});
});

const some = { 200: 3, 429: 5 };
test.each([
  ["header", (value: string) => ["/header", { headers: [`X-Key: ${value}`] }] as const],
  ["cookie", (value: string) => ["/cookie", { headers: [`Cookie: a=b; id=${value}`] }] as const],
  ["query", (value: string) => [`/query?x=1&id=${value}`, {}] as const],
])("by %s: each value by itself; a request without it is not counted", async (name, of) => {
  for (const value of ["one", "two"]) {
    const [path, options] = of(value);
    expect(await ask(path, 8, options)).toEqual(some);
  }
  expect(await ask(`/${name}`, 12)).toEqual({ 200: 12 });
});

test("by path, by path and query, by the whole route", async () => {
  for (const path of ["/path?1", "/path/2"]) expect(await ask(path, 8)).toEqual(some);
  expect(await ask("/path?another", 4)).toEqual({ 429: 4 });
  for (const path of ["/uri?1", "/uri?2"]) expect(await ask(path, 8)).toEqual(some);
  expect(await ask("/route", 8, { from: "127.0.3.1" })).toEqual(some);
  expect(await ask("/route/2", 4, { from: "127.0.3.2" })).toEqual({ 429: 4 });
});

test("counts outlive a reload that leaves the limit as it is, and workers; another limit begins anew", async () => {
  expect(await ask("/kept", 8)).toEqual({ 200: 8 });
  expect((await sluice.reload(yaml({ more: "{ requests: 1 }" }))).status).toBe(200);
  expect(await ask("/kept", 7)).toEqual({ 200: 7 });
  const pids = sluice.workerPids();
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await waitFor(() => sluice.workerPids().filter((pid) => !pids.includes(pid)).length === 2, { what: "new workers" });
  expect(await ask("/kept", 10)).toEqual({ 200: 5, 429: 5 });
  expect((await sluice.reload(yaml({ kept: "{ requests: 20, per: 1h, status: 420 }" }))).status).toBe(200);
  expect(await ask("/kept", 4)).toEqual({ 420: 4 });
  expect((await sluice.reload(yaml({ kept: "{ requests: 21, per: 1h }" }))).status).toBe(200);
  expect(await ask("/kept", 25)).toEqual({ 200: 21, 429: 4 });
}, 20_000);
