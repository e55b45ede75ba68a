// Sticky sessions that the balancer remembers: by the application's own cookie, learned from answers, and by the
// client's address. One table for all workers, kept through reloads, crashes and restarts.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { patch } from "./lib/admin.ts";
import { type RequestOptions, request } from "./lib/client.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const state = mkdtempSync(join(tmpdir(), "sluice-sticky-"));
const origins = ["a", "b", "c"].map((name) => startOrigin({ name }));
const [a, b] = origins as [Origin, Origin, Origin];
// An application that gives a session to whoever asks for one.
for (const origin of origins) {
  origin.on("/login", (exchange) => {
    const cookie = `Set-Cookie: other=1; Path=/\r\nset-cookie: SID=${exchange.query.get("id")}; HttpOnly`;
    exchange.send(`HTTP/1.1 200 OK\r\nX-Origin: ${exchange.name}\r\n${cookie}\r\nContent-Length: 0\r\n\r\n`);
    exchange.done();
  });
}
let sluice: Sluice;
beforeAll(async () => void (sluice = await startSluice(yaml())));
afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
  rmSync(state, { recursive: true, force: true });
});

function yaml(of: readonly Origin[] = origins, size = 100): string {
  const list = of.map(({ name, address }) => `{ id: ${name}, address: "${address}" }`).join(", ");
  const pool = `balance: round-robin, endpoints: [${list}], passive: off`;
  return `
workers: 2
accessLog: off
state: ${state}
listeners:
  app: { bind: "127.0.0.1:0", forward: app }
  source: { bind: "127.0.0.1:0", forward: source, trustedProxies: [127.0.0.250] }
pools:
  app: { ${pool}, sticky: { by: app-cookie, name: SID, ttl: 1h, size: ${size} } }
  source: { ${pool}, sticky: { by: source-ip, ttl: 10m, size: ${size} } }
`;
}

async function who(listener: string, options: RequestOptions, of = sluice): Promise<string> {
  const response = await request(of.address(listener), options);
  return response.status === 200 ? response.header("x-origin")! : `(${response.status})`;
}

/** Who answers so many requests, each on a connection of its own, which goes to either worker. */
async function whoEach(listener: string, options: RequestOptions, count = 8, of = sluice): Promise<string> {
  let names = "";
  for (let i = 0; i < count; i++) names += await who(listener, options, of);
  return names;
}

let made = 0;
/** A session at this endpoint: what its requests are like. */
function sessionAt(name: string, of = sluice): Promise<RequestOptions> {
  const login = async (): Promise<RequestOptions | null> => {
    const id = `session-${++made}`;
    return (await who("app", { path: `/login?id=${id}` }, of)) === name
      ? { headers: [`Cookie: x=1; SID=${id}`] }
      : null;
  };
  return waitFor(login, { what: `a session at ${name}`, everyMs: 0 });
}

test("app-cookie: learned from answers alone, known to every worker; the client gets nothing of ours", async () => {
  const [one, two] = [await sessionAt("a"), await sessionAt("c")];
  expect([await whoEach("app", one), await whoEach("app", two)]).toEqual(["aaaaaaaa", "cccccccc"]);
  const response = await request(sluice.address("app"), one);
  expect(response.header("set-cookie")).toBeNull();
  const madeUp = await whoEach("app", { headers: ["Cookie: SID=made-up"] }, 9);
  expect(new Set(madeUp).size).toBe(3);
  expect(new Set(await whoEach("app", {}, 9)).size).toBe(3);
});

test("app-cookie: a drained endpoint keeps its sessions; one that dies loses them in the same request", async () => {
  const session = await sessionAt("b");
  expect((await patch(sluice, "app", "b", { admin: "drain" })).status).toBe(200);
  await waitFor(async () => !(await whoEach("app", {})).includes("b"), { what: "b to get nobody new" });
  expect(await whoEach("app", session)).toBe("bbbbbbbb");
  expect((await patch(sluice, "app", "b", { admin: "ready" })).status).toBe(200);
  const mortal = startOrigin({ name: "m" });
  mortal.on("/login", (exchange) => {
    exchange.send(`HTTP/1.1 200 OK\r\nX-Origin: m\r\nSet-Cookie: SID=mortal\r\nContent-Length: 0\r\n\r\n`);
    exchange.done();
  });
  expect((await sluice.reload(yaml([a, b, mortal]))).status).toBe(200);
  const login = (): Promise<string> => who("app", { path: "/login" });
  await waitFor(async () => (await login()) === "m", { what: "a session at m", everyMs: 0 });
  const orphan = { headers: ["Cookie: SID=mortal"] };
  expect(await whoEach("app", orphan)).toBe("mmmmmmmm");
  await mortal.close();
  const next = await who("app", { ...orphan, method: "POST", body: "x" });
  expect(next).toMatch(/^[ab]$/);
  expect(await whoEach("app", orphan)).toBe(next.repeat(8));
  expect((await sluice.reload(yaml())).status).toBe(200);
});

test("source-ip: from the first request on, behind a trusted proxy by the forwarded address", async () => {
  const clients = Array.from({ length: 6 }, (_, i) => `127.0.1.${i + 1}`);
  const places: string[] = [];
  for (const from of clients) {
    const place = await who("source", { from });
    const others = await Promise.all(Array.from({ length: 7 }, () => who("source", { from })));
    expect(others.join("")).toBe(place.repeat(7));
    places.push(place);
  }
  expect(new Set(places).size).toBe(3);
  for (const [i, client] of clients.entries()) {
    const proxied = { from: "127.0.0.250", headers: [`X-Forwarded-For: ${client}`] };
    expect(await whoEach("source", proxied, 3)).toBe(places[i]!.repeat(3));
  }
});

test("both outlive reloads, another size, a worker's crash, and a restart with the same state", async () => {
  const session = await sessionAt("b");
  const client: RequestOptions = { from: "127.0.2.1" };
  const place = await who("source", client);
  const check = async (of: Sluice): Promise<void> => {
    expect(await whoEach("app", session, 6, of)).toBe("bbbbbb");
    expect(await whoEach("source", client, 6, of)).toBe(place.repeat(6));
  };
  for (const text of [yaml(origins.toReversed()), yaml(origins, 5000), yaml(origins, 100)]) {
    expect((await sluice.reload(text)).status).toBe(200);
    await check(sluice);
  }
  const [victim] = sluice.workerPids();
  process.kill(victim!, "SIGKILL");
  await waitFor(() => sluice.workerPids().length === 2 && !sluice.workerPids().includes(victim!), {
    what: "another worker",
  });
  await check(sluice);
  expect(await sluice.stop()).toBe(0);
  await using after = await startSluice(yaml());
  await check(after);
}, 20_000);
