// Requests that are sent to another endpoint: by cause and by status, with their body, within their time; and those
// that must not be. What a client is told when nothing helps.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { logged } from "./lib/access-log.ts";
import { connect, type RequestOptions, request, requestBytes } from "./lib/client.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Behaviour, patternBody } from "./lib/origin-behaviours.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

// a and b fail in the same ways, c works.
const [a, b, c] = ["a", "b", "c"].map((name) => startOrigin({ name })) as [Origin, Origin, Origin];
const origins = [a, b, c];
let sluice: Sluice;
let web: string;

/** Answers when the whole request is there. */
const answer =
  (status: number, fields = "", body = ""): Behaviour =>
  (exchange) => {
    exchange.onEnd = () => {
      const head = `HTTP/1.1 ${status} x\r\nX-Origin: ${exchange.name}\r\nContent-Length: ${body.length}\r\n`;
      exchange.send(`${head}${fields}\r\n${body}`);
      exchange.done();
    };
  };
for (const origin of [a, b]) {
  origin.on("/503", answer(503, "", "x".repeat(5000)));
  origin.on("/504", answer(504));
  origin.on("/reset", (exchange) => void (exchange.onEnd = () => exchange.reset()));
  origin.on("/early", answer(503));
}
for (const path of ["/503", "/504", "/reset", "/never"]) c.on(path, answer(200));
for (const origin of origins) {
  origin.on("/all", answer(503, `Retry-After: 7\r\nX-Own: ${origin.name}\r\n`, `sorry, ${origin.name}\n`));
}

/** Hosts, each with a pool of its own: the round begins with a, and goes on where it was. */
const hosts: Readonly<Record<string, readonly [retry: string, endpoints: readonly Origin[]]>> = {
  status: ["{ attempts: 2, on: [connect, reset, 503], budgetMin: 1000 }", origins],
  once: ["{ attempts: 1, on: [reset, 503], budgetMin: 1000 }", origins],
  body: ["{ attempts: 1, on: [reset, 503], bufferBytes: 300k, budgetMin: 1000 }", [a, c]],
  post: ["{ attempts: 1, on: [reset, 503], nonIdempotent: true, budgetMin: 1000 }", [a, c]],
  timed: ["{ attempts: 1, on: [timeout], attemptTimeout: 150ms, budgetMin: 1000 }", [a, c]],
  causes: ["{ attempts: 1, on: [503], budgetMin: 1000 }", [a, c]],
  off: ["off", [a, c]],
};

beforeAll(async () => {
  const routes: string[] = [];
  const pools: string[] = [];
  for (const [host, [retry, of]] of Object.entries(hosts)) {
    routes.push(`      - { match: { host: ${host} }, forward: ${host}, retry: ${retry} }\n`);
    const list = of.map(({ name, address }) => `{ id: ${name}, address: "${address}" }`).join(", ");
    // A kept connection that breaks is replaced besides: where resets are counted there are none.
    const kept = host === "status" ? 8 : 0;
    pools.push(
      `  ${host}: { balance: round-robin, passive: off, keepAlive: { connections: ${kept} }, endpoints: [${list}] }\n`,
    );
  }
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:\n${routes.join("")}
pools:\n${pools.join("")}
`);
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
});

/** Sends a request to a host; says who answered what, and how many endpoints saw it. */
async function ask(host: string, options: RequestOptions & { readonly path: string }): Promise<string> {
  const seen = (): number => origins.reduce((sum, origin) => sum + (origin.stats().byPath[options.path] ?? 0), 0);
  const before = seen();
  const response = await request(web, { ...options, headers: [`Host: ${host}`, ...(options.headers ?? [])] });
  return `${response.header("x-origin") ?? "-"} ${response.status} ${seen() - before}`;
}

/** The same, as often as it takes for each of two endpoints to be the first once; in the order of the alphabet. */
async function askTwice(host: string, options: RequestOptions & { readonly path: string }): Promise<string[]> {
  return [await ask(host, options), await ask(host, options)].toSorted();
}

test("by status: until somebody answers otherwise; a status that is not in the list is passed on", async () => {
  const accepted = (): number => a.stats().accepted + b.stats().accepted;
  expect(await ask("status", { path: "/503" })).toBe("c 200 3");
  const before = accepted();
  for (let i = 0; i < 5; i++) expect(await ask("status", { path: "/503" })).toBe("c 200 3");
  expect(accepted()).toBe(before); // the answers that nobody wanted cost no connection
  expect(await ask("status", { path: "/504" })).toBe("a 504 1");
  const metrics = await sluice.metrics();
  expect(metrics.sum("sluice_pool_repeats_total", { pool: "status" })).toBe(12);
  expect(metrics.sum("sluice_endpoint_requests_total", { pool: "status" })).toBe(19);
  const entry = await logged(sluice, ({ target, attempts }) => target === "/503" && attempts === 3);
  expect([entry.status, entry.termination, entry.endpoint]).toEqual([200, "--", "c"]);
});

test("attempts: the last answer is passed on as it came, with its Retry-After", async () => {
  const response = await request(web, { path: "/all", headers: ["Host: once"] });
  expect([response.status, response.header("retry-after"), response.header("x-own")]).toEqual([503, "7", "b"]);
  expect(response.text()).toBe("sorry, b\n");
  expect(await ask("once", { path: "/503" })).toBe("c 200 1");
  expect(await ask("once", { path: "/reset" })).toBe("- 502 2");
});

test("a PUT is repeated with its whole body, also one in chunks, unless it is longer than what is kept", async () => {
  const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  c.on("/503", (exchange) => {
    const sum = createHash("sha256");
    exchange.onBody = (bytes) => void sum.update(bytes);
    exchange.onEnd = () => {
      exchange.send(`HTTP/1.1 200 x\r\nX-Sum: ${sum.digest("hex")}\r\nContent-Length: 0\r\n\r\n`);
      exchange.done();
    };
  });
  for (const length of [1, 20_000, 250_000]) {
    const body = patternBody(length);
    const put = { method: "PUT", path: "/503", body, headers: ["Host: body"] };
    expect((await request(web, put)).header("x-sum")).toBe(sha(body));
    const coded = Buffer.concat([Buffer.from(`${length.toString(16)}\r\n`), body, Buffer.from("\r\n0\r\n\r\n")]);
    const chunked = { ...put, body: coded, headers: [...put.headers, "Transfer-Encoding: chunked"] };
    expect((await request(web, chunked)).header("x-sum")).toBe(sha(body));
  }
  c.on("/503", answer(200));
  expect(await ask("body", { method: "PUT", path: "/reset", body: patternBody(300_000) })).toBe("c 200 2");
  expect(await ask("body", { method: "PUT", path: "/reset", body: patternBody(400_000) })).toBe("- 502 1");
});

test("a body that is still coming when the first endpoint says no goes on to the second", async () => {
  const body = patternBody(100_000);
  a.on("/slow", (exchange) => {
    exchange.onBody = () => {
      exchange.onBody = null;
      exchange.send("HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      exchange.close();
    };
  });
  c.on("/slow", (exchange) => {
    const parts: Uint8Array[] = [];
    exchange.onBody = (bytes) => void parts.push(Buffer.from(bytes));
    exchange.onEnd = () => {
      const isWhole = Buffer.concat(parts).equals(body);
      exchange.send(`HTTP/1.1 200 x\r\nX-Whole: ${isWhole}\r\nContent-Length: 0\r\n\r\n`);
      exchange.done();
    };
  });
  // Whose turn it is depends on the tests before: one of two is enough.
  for (let i = 0; i < 2; i++) {
    using client = await connect(web);
    const asked = c.stats().byPath["/slow"] ?? 0;
    const bytes = requestBytes("body", { method: "PUT", path: "/slow", headers: ["Host: body"], body });
    await client.send(bytes.subarray(0, bytes.length - 50_000));
    await waitFor(() => (c.stats().byPath["/slow"] ?? 0) > asked, { what: "c to be asked" });
    await client.send(bytes.subarray(bytes.length - 50_000));
    expect((await client.read()).header("x-whole")).toBe("true");
  }
  expect(a.stats().byPath["/slow"]).toBeGreaterThan(0);
});

test("a POST that may have been received is not repeated, unless nonIdempotent says so", async () => {
  const post = (path: string) => ({ method: "POST", path, body: "x" });
  expect(await askTwice("body", post("/503"))).toEqual(["a 503 1", "c 200 1"]);
  expect(await askTwice("body", post("/reset"))).toEqual(["- 502 1", "c 200 1"]);
  for (const path of ["/503", "/reset"]) expect(await askTwice("post", post(path))).toEqual(["c 200 2", "c 200 2"]);
});

test("a cause that is not in the list is not repeated; off repeats nothing", async () => {
  expect(await askTwice("causes", { path: "/reset" })).toEqual(["- 502 1", "c 200 1"]);
  expect(await ask("causes", { path: "/503" })).toBe("c 200 2");
  expect(await askTwice("off", { path: "/reset" })).toEqual(["- 502 1", "c 200 1"]);
});

test("attemptTimeout: a slow endpoint costs that much, and when all are slow the client hears 504", async () => {
  expect(await ask("timed", { path: "/never" })).toBe("c 200 2");
  c.on("/never", () => {});
  expect(await ask("timed", { path: "/never" })).toBe("- 504 2");
  const entry = await logged(sluice, ({ status, attempts }) => status === 504 && attempts === 2);
  expect([entry.attempts, entry.termination, entry.cause]).toEqual([2, "sH", "timeout"]);
  // A response that has begun may take its time.
  const slow: Behaviour = (exchange) => {
    exchange.send(`HTTP/1.1 200 x\r\nX-Origin: ${exchange.name}\r\nContent-Length: 2\r\n\r\n`);
    setTimeout(() => {
      exchange.send("ok");
      exchange.done();
    }, 300);
  };
  for (const origin of origins) origin.on("/begun", slow);
  expect(await ask("timed", { path: "/begun" })).toMatch(/^[ac] 200 1$/);
});
