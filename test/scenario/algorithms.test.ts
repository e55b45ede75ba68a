// Who gets which request, with one worker, where turns are exact.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type RawClient, request } from "./lib/client.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const origins = ["a", "b", "c"].map((name) => startOrigin({ name }));
const [a, b, c] = origins as [(typeof origins)[0], (typeof origins)[0], (typeof origins)[0]];
const held = { a: hold(a), b: hold(b), c: hold(c) };
let sluice: Sluice;

const pools: Readonly<Record<string, { readonly balance: string; readonly endpoints: readonly string[] }>> = {
  turns: { balance: "round-robin", endpoints: ["weight: 3", "weight: 2", "weight: 1"] },
  smooth: { balance: "weighted-round-robin", endpoints: ["weight: 3", "weight: 2", "weight: 1"] },
  block: { balance: "{ by: weighted-round-robin, order: block }", endpoints: ["weight: 3", "weight: 2", "weight: 1"] },
  zero: { balance: "round-robin", endpoints: ["", "weight: 0", ""] },
  backup: { balance: "round-robin", endpoints: ["maxConnections: 1", "backup: true", "backup: true"] },
  least: { balance: "least-connections", endpoints: ["", "", ""] },
  leastWeighted: { balance: "least-connections", endpoints: ["weight: 2", "weight: 1"] },
  byDefault: { balance: "", endpoints: ["", "", ""] },
  twoChoices: { balance: "random-two-choices", endpoints: ["", "", ""] },
  fastest: { balance: "{ by: least-response-time, decay: 100ms }", endpoints: ["", ""] },
};

beforeAll(async () => {
  const names = Object.keys(pools);
  const listeners = names.map((name) => `  ${name}: { bind: "127.0.0.1:0", forward: ${name} }\n`);
  const texts = Object.entries(pools).map(([name, { balance, endpoints }]) => {
    const list = endpoints.map((more, i) => {
      const origin = origins[i]!;
      return `{ id: ${origin.name}, address: "${origin.address}"${more === "" ? "" : `, ${more}`} }`;
    });
    return `  ${name}: { ${balance === "" ? "" : `balance: ${balance}, `}endpoints: [${list.join(", ")}] }\n`;
  });
  sluice = await startSluice(`workers: 1\naccessLog: off\nlisteners:\n${listeners.join("")}pools:\n${texts.join("")}`);
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
});

/** Who answers so many requests, one after the other, as one word. */
async function order(pool: string, count: number, path = "/ok"): Promise<string> {
  let names = "";
  for (let i = 0; i < count; i++) {
    const response = await request(sluice.address(pool), { path });
    names += response.header("x-origin") ?? `(${response.status})`;
  }
  return names;
}

/** Begins so many requests that stay in progress, one after the other; tells who got them. */
async function begin(pool: string, count: number, clients: RawClient[]): Promise<string> {
  let names = "";
  const counts = (): number[] => [held.a.count, held.b.count, held.c.count];
  for (let i = 0; i < count; i++) {
    const before = counts();
    const client = await connect(sluice.address(pool));
    clients.push(client);
    await client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    const who = await waitFor(
      () => {
        const index = counts().findIndex((now, k) => now > before[k]!);
        return index < 0 ? null : index;
      },
      { what: `request ${i} to arrive` },
    );
    names += "abc"[who];
  }
  return names;
}

/** Answers all that is in progress and waits until the balancer knows. */
async function end(pool: string, clients: readonly RawClient[]): Promise<void> {
  for (const each of Object.values(held)) each.releaseAll();
  for (const client of clients) {
    await client.read();
    client.close();
  }
  await waitFor(async () => (await sluice.metrics()).sum("sluice_endpoint_active_requests", { pool }) === 0, {
    what: "nothing to be in progress",
  });
}

test("round-robin: each in turn, whatever the weights", async () => {
  expect(await order("turns", 9)).toBe("abcabcabc");
});

test("weighted-round-robin is smooth by default", async () => {
  expect(await order("smooth", 12)).toBe("abacbaabacba");
});

test("weighted-round-robin in blocks", async () => {
  expect(await order("block", 12)).toBe("aaabbcaaabbc");
});

test("weight 0 receives nothing", async () => {
  expect(await order("zero", 6)).toBe("acacac");
});

test("backups serve while no other can: when the others are full, and when they are out", async () => {
  expect(await order("backup", 4)).toBe("aaaa");
  const clients: RawClient[] = [];
  expect(await begin("backup", 1, clients)).toBe("a");
  expect(await order("backup", 4)).toBe("bcbc");
  await end("backup", clients);
  expect(await order("backup", 3)).toBe("aaa");
  const patch = (admin: string): ReturnType<Sluice["admin"]> =>
    sluice.admin("/api/v1/pools/backup/endpoints/a", { method: "PATCH", body: JSON.stringify({ admin }) });
  expect((await patch("drain")).status).toBe(200);
  expect((await order("backup", 4)).replace(/[bc]/g, "")).toBe("");
  expect((await patch("ready")).status).toBe(200);
  expect(await order("backup", 3)).toBe("aaa");
});

test.each(["least", "byDefault"])("least-connections, pool %s: the one with the fewest in progress", async (pool) => {
  const clients: RawClient[] = [];
  expect([...(await begin(pool, 3, clients))].sort().join("")).toBe("abc");
  held.b.release();
  await waitFor(async () => (await sluice.metrics()).sum("sluice_endpoint_active_requests", { pool }) === 2, {
    what: "b to be free",
  });
  expect(await order(pool, 5)).toBe("bbbbb");
  expect(await begin(pool, 1, clients)).toBe("b");
  expect([...(await begin(pool, 3, clients))].sort().join("")).toBe("abc");
  await end(pool, clients);
});

test("least-connections without load takes turns", async () => {
  expect([...(await order("least", 9))].sort().join("")).toBe("aaabbbccc");
});

test("least-connections counts requests in progress by weight", async () => {
  const clients: RawClient[] = [];
  expect([...(await begin("leastWeighted", 6, clients))].sort().join("")).toBe("aaaabb");
  await end("leastWeighted", clients);
});

test("random-two-choices: everybody gets some, and whoever is busier than all others gets nothing", async () => {
  expect(new Set(await order("twoChoices", 60)).size).toBe(3);
  const clients: RawClient[] = [];
  await begin("twoChoices", 1, clients);
  const busy = held.a.count > 0 ? "a" : held.b.count > 0 ? "b" : "c";
  expect(await order("twoChoices", 40)).not.toContain(busy);
  await end("twoChoices", clients);
});

test("least-response-time: the fast one gets most, and the slow one is asked again", async () => {
  a.on("/work", (exchange) => {
    setTimeout(() => {
      exchange.send("HTTP/1.1 200 OK\r\nX-Origin: a\r\nContent-Length: 0\r\n\r\n");
      exchange.done();
    }, 60);
  });
  b.on("/work", (exchange) => {
    exchange.send("HTTP/1.1 200 OK\r\nX-Origin: b\r\nContent-Length: 0\r\n\r\n");
    exchange.done();
  });
  let names = "";
  await waitFor(
    async () => {
      names += await order("fastest", 5, "/work");
      return names.split("a").length > 3;
    },
    { what: "the slow one to be asked three times", everyMs: 0, timeoutMs: 20_000 },
  );
  const slow = names.split("a").length - 1;
  console.log(`least-response-time: ${slow} of ${names.length} requests to the slow endpoint`);
  expect(names.length - slow).toBeGreaterThan(4 * slow);
  expect(names.slice(names.indexOf("b"))).toContain("a");
}, 30_000);
