// The same client or key, the same endpoint, in whichever worker; and taking an endpoint away moves only its own.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type RequestOptions, request } from "./lib/client.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origins = ["a", "b", "c"].map((name) => startOrigin({ name }));
let sluice: Sluice;

const pools: Readonly<Record<string, string>> = {
  ip: "ip-hash",
  source: "{ by: consistent-hash, load: unlimited }",
  header: '{ by: consistent-hash, key: "header:X-User", load: unlimited }',
  cookie: '{ by: consistent-hash, key: "cookie:session", load: unlimited }',
  query: '{ by: consistent-hash, key: "query:id", load: unlimited }',
  path: "{ by: consistent-hash, key: path, load: unlimited }",
  uri: "{ by: consistent-hash, key: uri, load: unlimited }",
  bounded: "{ by: consistent-hash, key: path, load: 125% }",
};

beforeAll(async () => {
  const list = origins.map(({ name, address }) => `{ id: ${name}, address: "${address}" }`).join(", ");
  const listeners = Object.keys(pools).map(
    (name) => `  ${name}: { bind: "127.0.0.1:0", forward: ${name}, trustedProxies: [127.0.0.250] }\n`,
  );
  const texts = Object.entries(pools).map(([name, by]) => `  ${name}: { balance: ${by}, endpoints: [${list}] }\n`);
  sluice = await startSluice(`workers: 2\naccessLog: off\nlisteners:\n${listeners.join("")}pools:\n${texts.join("")}`);
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
});

async function who(pool: string, options: RequestOptions): Promise<string> {
  const response = await request(sluice.address(pool), options);
  return response.header("x-origin") ?? `(${response.status})`;
}

/** Endpoint by key, each asked on connections of their own, which go to either worker. */
async function placement(
  pool: string,
  keys: readonly string[],
  of: (key: string) => RequestOptions,
): Promise<string[]> {
  const names: string[] = [];
  for (const key of keys) {
    const first = await who(pool, of(key));
    for (let i = 0; i < 3; i++) expect([key, await who(pool, of(key))]).toEqual([key, first]);
    names.push(first);
  }
  return names;
}

async function set(pool: string, id: string, admin: "ready" | "drain"): Promise<void> {
  const init = { method: "PATCH", body: JSON.stringify({ admin }) };
  expect((await sluice.admin(`/api/v1/pools/${pool}/endpoints/${id}`, init)).status).toBe(200);
}

const addresses = Array.from({ length: 24 }, (_, i) => `127.0.0.${i + 10}`);
const keys = Array.from({ length: 24 }, (_, i) => `key-${i}`);

test.each(["ip", "source"])(
  "pool %s: a client keeps its endpoint, and an endpoint's going moves only its own",
  async (pool) => {
    const before = await placement(pool, addresses, (from) => ({ from }));
    expect(new Set(before).size).toBe(3);
    await set(pool, "b", "drain");
    const without = await placement(pool, addresses, (from) => ({ from }));
    expect(without).not.toContain("b");
    for (const [i, name] of before.entries()) if (name !== "b") expect(without[i]).toBe(name);
    expect(new Set(without.filter((_, i) => before[i] === "b")).size).toBe(2);
    await set(pool, "b", "ready");
    expect(await placement(pool, addresses, (from) => ({ from }))).toEqual(before);
    // Behind a trusted proxy the client is who the proxy says it is.
    const through = await placement(pool, addresses, (address) => ({
      from: "127.0.0.250",
      headers: [`X-Forwarded-For: ${address}`],
    }));
    expect(through).toEqual(before);
  },
);

const choices: Readonly<Record<string, (key: string, noise: string) => RequestOptions>> = {
  header: (key, noise) => ({ path: `/ok?${noise}`, headers: [`x-uSER: ${key}`, `X-Noise: ${noise}`] }),
  cookie: (key, noise) => ({ headers: [`Cookie: other=${noise}; session=${key}; sessions=${noise}`] }),
  query: (key, noise) => ({ path: `/ok?idx=${noise}&id=${key}&z=${noise}` }),
  path: (key, noise) => ({ path: `/${key}?${noise}` }),
  uri: (key, noise) => ({ path: `/ok?${key}`, headers: [`X-Noise: ${noise}`] }),
};

test.each(Object.keys(choices))("consistent-hash by %s: the key decides, and nothing else", async (pool) => {
  let noise = 0;
  const names = await placement(pool, keys, (key) => choices[pool]!(key, `n${noise++}`));
  expect(new Set(names).size).toBe(3);
});

test.each(["header", "cookie", "query"])("consistent-hash by %s: requests without the key take turns", async (pool) => {
  const names = new Set<string>();
  for (let i = 0; i < 12; i++) names.add(await who(pool, { path: "/ok?other=1" }));
  expect(names.size).toBe(3);
});

test("consistent-hash with a bound on load: a hot key spills over, always to the same next one", async () => {
  const held = new Map(origins.map((origin) => [origin.name, hold(origin)]));
  const count = (name: string): number => held.get(name)!.count;
  const total = (): number => origins.reduce((sum, { name }) => sum + count(name), 0);
  const requests: Promise<unknown>[] = [];
  for (let i = 1; i <= 12; i++) {
    requests.push(request(sluice.address("bounded"), { path: "/hold", timeoutMs: 20_000 }));
    await waitFor(() => total() === i, { what: `request ${i} to arrive` });
    // At most 125 % of the mean, rounded up.
    for (const { name } of origins) expect(count(name)).toBeLessThanOrEqual(Math.ceil((i * 1.25) / 3));
  }
  const counts = origins.map(({ name }) => count(name)).sort();
  expect(counts).toEqual([2, 5, 5]);
  for (const each of held.values()) each.releaseAll();
  await Promise.all(requests);
});

test("both workers have had their part in this", async () => {
  const { workers } = await sluice.status<{ workers: { requests: number }[] }>();
  expect(workers.length).toBe(2);
  for (const { requests } of workers) expect(requests).toBeGreaterThan(20);
});
