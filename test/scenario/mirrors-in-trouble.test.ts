// Mirrors in trouble: gone, silent, failing, slow or full, replaced while copies are under way. Whatever they do,
// clients get their answers from where they always did, and what copies cost is bounded.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, request, requestBytes } from "./lib/client.ts";
import { startFlow } from "./lib/flow.ts";
import { hold } from "./lib/held.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Behaviour, patternBody, whenWhole } from "./lib/origin-behaviours.ts";
import { type Sluice, sluiceCommand, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const [app, mirror, next] = ["app", "mirror", "next"].map((name) => startOrigin({ name })) as [Origin, Origin, Origin];
/** A port that nobody listens on. */
const nobody = startOrigin({ name: "nobody" });
const held = hold(mirror);
let sluice: Sluice;
let web: string;

/** spare: where that mirror is. change: makes it another configuration. */
function yaml(spare = mirror.address, change = 0): string {
  const copy = (pool: string): string => `{ match: { host: ${pool} }, forward: app, mirror: ${pool} }`;
  return `
workers: 1
accessLog: off
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { name: "first-${change}", match: { host: timed }, forward: app, mirror: copies, timeouts: { response: 200ms } }
      - match: { host: large }
        forward: app
        mirror: { pool: copies, bodyBytes: 4m }
        timeouts: { send: 300ms }
      - ${copy("down")}
      - ${copy("one")}
      - ${copy("spare")}
      - { forward: app, mirror: copies }
pools:
  app: { endpoints: ["${app.address}"] }
  copies: { endpoints: ["${mirror.address}"], passive: off }
  spare: { endpoints: ["${spare}"] }
  down: { endpoints: ["${nobody.address}"], passive: off }
  one: { endpoints: [{ address: "${mirror.address}", maxConnections: 1 }] }
`;
}

beforeAll(async () => {
  await nobody.close();
  sluice = await startSluice(yaml());
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of [app, mirror, next]) await origin.close();
});

/** Copies that were lost, in all. */
const lost = async (pool: string): Promise<number> =>
  (await sluice.metrics()).sum("sluice_pool_copies_lost_total", { pool });

/** Copies that are under way. */
const active = async (pool: string): Promise<number> =>
  (await sluice.metrics()).sum("sluice_endpoint_active_requests", { pool });

async function settled(pool: string): Promise<void> {
  await waitFor(async () => (await active(pool)) === 0, { what: `nothing in progress at ${pool}` });
}

const sixty = 60;

/** So many requests on four kept connections; all have to be answered by the endpoint. */
async function many(count: number, requestOf: (i: number) => Uint8Array): Promise<void> {
  const one = async (): Promise<void> => {
    using client = await connect(web);
    for (let i = 0; i < count / 4; i++) {
      await client.send(requestOf(i));
      const response = await client.read();
      expect([response.status, response.header("x-origin")]).toEqual([200, "app"]);
    }
  };
  await Promise.all([one(), one(), one(), one()]);
}

/** Sixty requests for the path, with and without a body. */
async function sixtyOf(host: string, path: string): Promise<void> {
  app.on(path, whenWhole(200));
  const headers = [`Host: ${host}`];
  const both = [{}, { method: "POST", body: patternBody(4000) }].map((each) =>
    requestBytes(web, { path, headers, ...each }),
  );
  await many(sixty, (i) => both[i % 2]!);
}

const andClose =
  (text: string): Behaviour =>
  (exchange) => {
    exchange.onEnd = () => {
      exchange.send(text);
      exchange.close();
    };
  };

/** By what the mirror does: the path that does it, and how many of sixty copies are lost. */
const failing: Readonly<Record<string, readonly [path: string, lost: number, behaviour: Behaviour]>> = {
  "answers 500": ["/500", 0, whenWhole(500, "sorry")],
  resets: ["/reset-all", sixty, (exchange) => void (exchange.onEnd = () => exchange.reset())],
  "answers nonsense": ["/nonsense", sixty, andClose("what?\r\n\r\n")],
  "breaks off within its answer": ["/short", sixty, andClose("HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\nso")],
};

test.each(Object.entries(failing))("a mirror that %s", async (_name, [path, count, behaviour]) => {
  mirror.on(path, behaviour);
  const before = await lost("copies");
  await sixtyOf("any", path);
  await settled("copies");
  expect((await lost("copies")) - before).toBe(count);
  expect(mirror.stats().byPath[path]).toBe(sixty); // never twice
});

test("a mirror that is not there", async () => {
  await sixtyOf("down", "/down");
  await settled("down");
  expect(await lost("down")).toBe(sixty);
});

test("a mirror that never answers: everything is lost after its time, and nobody waits", async () => {
  mirror.on("/silent", () => {});
  const before = await lost("copies");
  await sixtyOf("timed", "/silent");
  await settled("copies");
  expect((await lost("copies")) - before).toBe(sixty);
});

test("a mirror that never answers does not take the descriptors that clients need", async () => {
  const command = ["sh", "-c", 'ulimit -n 120; exec "$@"', "sh", ...sluiceCommand("run")];
  await using small = await startSluice(yaml(), { command });
  const count = 130;
  for (let i = 0; i < count; i++) expect((await request(small.address("web"), { path: "/silent" })).status).toBe(200);
  const copies = (await small.metrics()).sum("sluice_endpoint_active_requests", { pool: "copies" });
  expect(copies).toBeGreaterThan(0);
  expect(copies).toBeLessThanOrEqual(12);
});

test("a mirror with one place gets one at a time", async () => {
  app.on("/hold", whenWhole(204));
  for (let i = 0; i < 20; i++) expect((await request(web, { path: "/hold", headers: ["Host: one"] })).status).toBe(204);
  expect([held.count, await lost("one")]).toEqual([1, 19]);
  held.releaseAll();
  await settled("one");
  expect(await lost("one")).toBe(19);
});

test("a mirror that takes nothing: what is held for it is bounded, all requests are answered", async () => {
  mirror.on("/stuck", (exchange) => exchange.stopReading());
  app.on("/stuck", whenWhole(200));
  const before = await lost("copies");
  const rssBefore = sluice.memory().rss;
  const body = patternBody(4 << 20);
  const bytes = requestBytes(web, { method: "POST", path: "/stuck", headers: ["Host: large"], body });
  const count = 32;
  await many(count, () => bytes);
  // 64 MB are 16 of the 32 bodies. Twice that is room for what the collector has not seen yet.
  expect(mirror.stats().byPath["/stuck"] ?? 0).toBeLessThanOrEqual(16);
  expect(sluice.memory().rss - rssBefore).toBeLessThan(128e6);
  await settled("copies");
  expect((await lost("copies")) - before).toBe(count);
});

test("a mirror that reads slowly: all requests are over long before their copies", async () => {
  let taken = 0;
  mirror.on("/slow-read", (exchange) => {
    exchange.onBody = (bytes) => {
      taken += bytes.length;
      exchange.stopReading();
      setTimeout(() => exchange.readOn(), 200);
    };
  });
  app.on("/slow-read", whenWhole(200));
  const before = await lost("copies");
  const body = patternBody(2 << 20);
  const bytes = requestBytes(web, { method: "POST", path: "/slow-read", headers: ["Host: large"], body });
  const count = 12;
  await many(count, () => bytes);
  expect(await active("copies")).toBe(count);
  await waitFor(() => taken > 0, { what: "the mirror to read" });
  mirror.dropConnections();
  await settled("copies");
  expect((await lost("copies")) - before).toBe(count);
});

test("reloads while copies are under way: they end where they began, and no request fails", async () => {
  for (const origin of [app, mirror]) origin.on("/flow", whenWhole(200));
  using flow = startFlow(web, "/flow");
  expect((await request(web, { path: "/hold", headers: ["Host: spare"] })).status).toBe(204);
  await waitFor(() => held.count === 1, { what: "the copy to be held" });
  // Half of a body before the reload, half behind it; its mirror has another endpoint by then.
  const bytes = requestBytes(web, { method: "POST", path: "/late", headers: ["Host: spare"], body: patternBody(2000) });
  for (const origin of [app, next]) origin.on("/late", whenWhole(200));
  using client = await connect(web);
  await client.send(bytes.subarray(0, bytes.length - 1000));
  await waitFor(() => app.stats().byPath["/late"] === 1, { what: "the endpoint to be asked" });
  expect((await sluice.reload(yaml(next.address))).status).toBe(200);
  for (let i = 0; i < 3; i++) expect((await sluice.reload(yaml(next.address, i))).status).toBe(200);
  await client.send(bytes.subarray(bytes.length - 1000));
  expect((await client.read()).status).toBe(200);
  held.releaseAll();
  await waitFor(() => next.last("/late").complete, { what: "a copy for the new mirror" });
  expect([next.last("/late").bodyLength, mirror.stats().byPath["/late"]]).toEqual([2000, undefined]);
  await flow.stop();
  await settled("copies");
  await settled("spare");
  expect([flow.failures, await lost("spare"), held.count]).toEqual([[], 0, 0]);
  expect(mirror.stats().byPath["/flow"]).toBe(app.stats().byPath["/flow"]!);
  expect((await sluice.metrics()).sum("sluice_worker_exceptions_total")).toBe(0);
  expect([app, next].flatMap((origin) => origin.stats().errors)).toEqual([]);
});

test("who stops does not wait for copies", async () => {
  expect((await request(web, { path: "/hold", headers: ["Host: any"] })).status).toBe(204);
  await waitFor(() => held.count === 1, { what: "the copy to be held" });
  expect(await sluice.stop(5000)).toBe(0);
});
