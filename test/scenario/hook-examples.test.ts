// The examples under examples/hooks, as they stand, in front of real back ends.

import { afterAll, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { logged } from "./lib/access-log.ts";
import { request, type RequestOptions } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const examples = resolve(import.meta.dir, "../../examples/hooks");
const a = startOrigin({ name: "a" });
const b = startOrigin({ name: "b" });
afterAll(async () => {
  await a.close();
  await b.close();
});

/** Runs an example with two workers, listening on any free port, its pools served by these addresses. */
function run(
  name: string,
  pools: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Sluice> {
  const text = `
import example from ${JSON.stringify(join(examples, name))};
const anywhere = (map, change) =>
  Object.fromEntries(Object.entries(map).map(([name, value]) => [name, { ...value, ...change(name) }]));
const addresses = ${JSON.stringify(pools)};
export default {
  accessLog: { format: "json" },
  ...example,
  workers: 2,
  admin: { bind: "127.0.0.1:0" },
  listeners: anywhere(example.listeners, () => ({ bind: "127.0.0.1:0" })),
  pools: anywhere(example.pools, (name) => ({ endpoints: [{ id: name, address: addresses[name] }] })),
};
`;
  return startSluice(text, { fileName: "sluice.config.ts", env });
}

/** A token with these claims. */
function tokenOf(claims: object, secret: string, alg = "HS256"): string {
  const signed = [{ alg, typ: "JWT" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

test("jwt.ts: only valid tokens pass, and the endpoint is told whose", async () => {
  const secret = "a secret that nobody can guess, for it is long";
  await using sluice = await run("jwt.ts", { api: a.address }, { JWT_SECRET: secret });
  const address = sluice.address("api");
  const ask = (authorization: string | null, path = "/ok"): ReturnType<typeof request> => {
    const headers = ["X-User: evil", ...(authorization === null ? [] : [`Authorization: ${authorization}`])];
    return request(address, { path, headers });
  };
  const soon = Math.floor(Date.now() / 1000) + 60;
  expect((await ask(null, "/health")).text()).toBe("ok\n");
  expect((await ask(`Bearer ${tokenOf({ sub: "joe", exp: soon }, secret)}`)).status).toBe(200);
  const { headers } = a.last("/ok");
  expect(headers.filter(([name]) => /^(x-user|authorization)$/i.test(name))).toEqual([["x-user", "joe"]]);
  expect(await logged(sluice, ({ target }) => target === "/ok")).toMatchObject({ user: "joe" });
  const refused: readonly (string | null)[] = [
    null,
    "Basic am9lOnB3",
    "Bearer",
    "Bearer a.b.c",
    `Bearer ${tokenOf({ sub: "joe", exp: soon }, "another secret")}`,
    `Bearer ${tokenOf({ sub: "joe", exp: soon - 61 }, secret)}`,
    `Bearer ${tokenOf({ sub: "joe" }, secret)}`,
    `Bearer ${tokenOf({ sub: "joe\r\nX-Admin: 1", exp: soon }, secret)}`,
    `Bearer ${tokenOf({ sub: "joe", exp: soon }, secret, "none")}`,
    `Bearer ${tokenOf({ sub: "joe", exp: soon }, secret)}x`,
  ];
  const before = a.stats().requests;
  for (const authorization of refused) {
    const answer = await ask(authorization);
    expect([answer.status, answer.header("www-authenticate")]).toEqual([401, 'Bearer realm="api"']);
    expect(JSON.parse(answer.text())).toHaveProperty("requestId");
  }
  expect(a.stats().requests).toBe(before);
  expect((await sluice.metrics()).sum("sluice_hook_errors_total")).toBe(0);
});

test("tenant.ts: a header from a look-up in another service, remembered, and what its failure costs", async () => {
  let status = 200;
  const asked: string[] = [];
  using directory = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(question) {
      const key = new URL(question.url).pathname;
      asked.push(key);
      if (key === "/keys/wrong") return new Response("", { status: 404 });
      return Response.json({ tenant: `tenant of ${key.slice(6)}` }, { status });
    },
  });
  await using sluice = await run("tenant.ts", { api: a.address }, { DIRECTORY: `http://127.0.0.1:${directory.port}` });
  const ask = (key: string | null): ReturnType<typeof request> =>
    request(sluice.address("api"), { headers: key === null ? [] : [`X-Api-Key: ${key}`] });
  expect((await ask(null)).status).toBe(401);
  expect((await ask("wrong")).status).toBe(403);
  for (let i = 0; i < 10; i++) {
    expect((await ask("k1")).status).toBe(200);
    expect(a.last("/ok").headers).toContainEqual(["x-tenant", "tenant of k1"]);
  }
  expect(asked.filter((key) => key === "/keys/k1").length).toBeLessThanOrEqual(2); // once for each worker
  status = 500;
  const known = await Promise.all(Array.from({ length: 10 }, () => ask("k1")));
  expect((await ask("k2")).status).toBe(500);
  expect(known.filter((answer) => answer.status === 200).length).toBeGreaterThan(0);
  const metrics = await sluice.metrics();
  expect(metrics.sum("sluice_hook_errors_total", { listener: "api" })).toBeGreaterThan(0);
  await waitFor(() => sluice.stderr().includes("the directory says 500"), { what: "the reason in the log" });
});

test("experiment.ts: a tenth of the users, always the same ones", async () => {
  await using sluice = await run("experiment.ts", { shop: a.address, trial: b.address });
  const sideOf = async (user: number): Promise<string> => {
    const answer = await request(sluice.address("shop"), { headers: [`Cookie: x=1; uid=u${user}`] });
    expect(answer.header("x-experiment")).toBe({ a: "shop", b: "trial" }[answer.header("x-origin")!]!);
    expect([answer.header("vary"), answer.header("cache-control")]).toEqual(["cookie", "private"]);
    return answer.header("x-origin")!;
  };
  const users = Array.from({ length: 300 }, (_, i) => i);
  const sides: string[] = [];
  for (const user of users) sides.push(await sideOf(user));
  const inTrial = users.filter((user) => sides[user] === "b");
  expect(inTrial.length).toBeGreaterThan(10);
  expect(inTrial.length).toBeLessThan(60);
  for (const user of [...inTrial.slice(0, 5), 0, 1, 2]) expect(await sideOf(user)).toBe(sides[user]!);
  const stranger = await request(sluice.address("shop"));
  expect([stranger.header("x-origin"), stranger.header("cache-control")]).toEqual(["a", null]);
  expect(await logged(sluice, ({ endpoint }) => endpoint === "trial")).toMatchObject({ experiment: "trial" });
});

test("maintenance.ts: a page for all but the office, while a file is there", async () => {
  const flag = join(tmpdir(), `sluice-maintenance-${process.pid}`);
  await using sluice = await run(
    "maintenance.ts",
    { shop: a.address },
    { MAINTENANCE_FILE: flag, OFFICE: "127.0.0.9" },
  );
  const ask = (path: string, options: RequestOptions = {}): ReturnType<typeof request> =>
    request(sluice.address("shop"), { path, ...options });
  try {
    expect((await ask("/ok")).status).toBe(200);
    writeFileSync(flag, "");
    await waitFor(async () => (await ask("/ok")).status === 503, { what: "the shop to close" });
    const page = await waitFor(
      async () => {
        const answer = await ask("/ok");
        return answer.status === 503 ? answer : null;
      },
      { what: "the page" },
    );
    expect(page.text()).toContain("We are back in a few minutes");
    expect([page.header("retry-after"), page.header("content-type")]).toEqual(["300", "text/html; charset=utf-8"]);
    expect((await ask("/ok", { from: "127.0.0.9" })).status).toBe(200);
    expect((await ask("/assets/logo.svg")).header("x-origin")).toBe("a");
    rmSync(flag);
    const isOpen = async (): Promise<boolean> => {
      for (let i = 0; i < 8; i++) if ((await ask("/ok")).status !== 200) return false;
      return true;
    };
    await waitFor(isOpen, { what: "the shop to open" });
  } finally {
    rmSync(flag, { force: true });
  }
});

test("logging.ts: fields of its own in the access log", async () => {
  a.on("/cached", (exchange) => {
    exchange.send(
      "HTTP/1.1 200 OK\r\nX-Cache: HIT\r\nContent-Type: text/css; charset=utf-8\r\nContent-Length: 0\r\n\r\n",
    );
    exchange.done();
  });
  await using sluice = await run("logging.ts", { web: a.address });
  const headers = ["Cookie: sid=secret", "Accept-Language: de-AT"];
  const answer = await request(sluice.address("web"), { path: "/cached", headers });
  expect([answer.status, answer.header("x-cache")]).toEqual([200, null]);
  const entry = await logged(sluice, ({ target }) => target === "/cached");
  expect(entry).toMatchObject({ session: "2bb80d537b1d", language: "de", type: "text/css", cached: true, status: 200 });
  expect(entry).not.toHaveProperty("slow");
  await request(sluice.address("web"), { path: "/slow?ms=700" });
  expect(await logged(sluice, ({ target }) => target.startsWith("/slow"))).toMatchObject({ slow: true, cached: false });
});
