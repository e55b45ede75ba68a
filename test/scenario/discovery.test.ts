// Endpoints that come and go while requests flow: by DNS, by a file, by the admin API. Nobody's request may fail as
// long as the servers themselves serve, which they do here.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EndpointView, PoolView } from "../../src/runtime/views.ts";
import { events } from "./lib/admin.ts";
import { connect, request } from "./lib/client.ts";
import { runSluice } from "./lib/command.ts";
import { type DnsServer, startDnsServer } from "./lib/dns-server.ts";
import { startFlow } from "./lib/flow.ts";
import { hold } from "./lib/held.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

/** Origins on one port and addresses of their own. */
let origins: readonly Origin[] = [];
let port = 0;
let dns: DnsServer;

beforeAll(async () => {
  dns = await startDnsServer();
  const first = startOrigin({ name: "0" });
  port = first.port;
  const others = ["127.0.0.2", "127.0.0.3"].map((ip, i) => startOrigin({ name: String(i + 1), ip, port }));
  origins = [first, ...others, startOrigin({ name: "6", ip: "::1", port })];
});
afterAll(async () => {
  for (const origin of origins) await origin.close();
  await dns.close();
});

const served = (origin: Origin): number => origin.stats().requests;

async function pool(sluice: Sluice, name = "app"): Promise<PoolView> {
  return (await sluice.admin(`/api/v1/pools/${name}`)).json<PoolView>();
}

/** Waits until exactly these are the endpoints; their ports are left out. */
async function members(sluice: Sluice, wanted: string, name = "app"): Promise<void> {
  const look = async (): Promise<boolean> => {
    const ids = (await pool(sluice, name)).endpoints.map(({ id }) => id.replace(`:${port}`, "")).join(" ");
    if (ids !== wanted) throw new Error(ids);
    return true;
  };
  await waitFor(look, { what: `the endpoints to be ${wanted}` });
}

/** Waits until each of these origins gets requests from now on, and tells that the others get none any more. */
async function onlyThese(...serving: readonly number[]): Promise<void> {
  const before = origins.map(served);
  await waitFor(() => serving.every((i) => served(origins[i]!) > before[i]! + 20), { what: "traffic on all of them" });
  const idle = origins.filter((_, i) => !serving.includes(i));
  // The last requests under older generations have been answered long since: a hundred more pass them by.
  const counts = idle.map(served);
  const total = serving.map((i) => served(origins[i]!)).reduce((a, b) => a + b);
  await waitFor(() => serving.map((i) => served(origins[i]!)).reduce((a, b) => a + b) > total + 100, { what: "more" });
  expect(idle.map(served)).toEqual(counts);
}

const yaml = (pools: string): string => `
workers: 2
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools:
  app:
    balance: round-robin
    ${pools}
`;

describe("DNS", () => {
  const byName = (discovery: string, more = ""): string =>
    yaml(`discovery: ${discovery}\n    resolve: { min: 100ms, max: 300ms, servers: ["${dns.address}"] }\n    ${more}`);

  test("addresses appear and vanish under load, and no request fails", async () => {
    const [a, b, c, six] = [{ a: "127.0.0.1" }, { a: "127.0.0.2" }, { a: "127.0.0.3" }, { aaaa: "::1" }];
    dns.set("api.test", [a, b]);
    await using sluice = await startSluice(byName(`{ from: dns, name: api.test, port: ${port} }`));
    using flow = startFlow(sluice.address("web"));
    await onlyThese(0, 1);
    dns.set("api.test", [b, c]);
    await members(sluice, "127.0.0.2 127.0.0.3");
    await onlyThese(1, 2);
    dns.zone.truncate = true; // from here on by TCP
    dns.set("api.test", [six]);
    await members(sluice, "[::1]");
    await onlyThese(3);
    dns.set("api.test", [a, b, c, six]);
    await members(sluice, "127.0.0.1 127.0.0.2 127.0.0.3 [::1]");
    await onlyThese(0, 1, 2, 3);
    dns.zone.truncate = false;
    await flow.stop();
    console.log(`DNS: ${flow.answered} requests answered, ${flow.failures.length} failed`);
    expect(flow.failures).toEqual([]);
    expect((await pool(sluice)).endpoints[0]!.origin).toBe("dns");
    expect(dns.asked).toContain("tcp AAAA api.test");
    expect((await events(sluice, "endpoints changed")).length).toBeWithin(3, 5);
    expect(sluice.stderr()).not.toContain("level=error");
  }, 30_000);

  test("name servers that fail change nothing, but are told; that a name is gone is believed at last", async () => {
    dns.set("api.test", [{ a: "127.0.0.1" }]);
    const discovery = `{ from: dns, name: api.test, port: ${port} }`;
    await using sluice = await startSluice(byName(discovery));
    for (const trouble of ["servfail", "refused"] as const) {
      dns.fail("api.test", trouble);
      await waitFor(async () => (await pool(sluice)).discovery[0]!.trouble !== "", {
        what: "trouble",
        timeoutMs: 10_000,
      });
      expect((await request(sluice.address("web"))).status).toBe(200);
      dns.fail("api.test", null);
      await waitFor(async () => (await pool(sluice)).discovery[0]!.trouble === "", {
        what: "an end",
        timeoutMs: 10_000,
      });
    }
    expect(sluice.stderr()).toMatch(/level=warn .*event="discovery has trouble" .*name=api\.test .*keeping=1/);
    dns.remove("api.test");
    await members(sluice, "");
    expect((await request(sluice.address("web"))).status).toBe(503);
    const asked = dns.asked.filter((question) => question === "A api.test").length;
    dns.set("api.test", [{ a: "127.0.0.2" }]);
    await members(sluice, "127.0.0.2");
    expect((await request(sluice.address("web"))).header("x-origin")).toBe("1");
    expect(dns.asked.filter((question) => question === "A api.test").length).toBeGreaterThan(asked);
    expect(sluice.stderr()).toContain("no records");
  }, 30_000);

  test("services: priority, weight and port by the records, targets resolved", async () => {
    dns.set("_http._tcp.test", [
      { srv: [10, 30, port, "one.test"] },
      { srv: [10, 10, port, "two.test"] },
      { srv: [20, 5, port, "three.test"] },
    ]);
    for (const [i, name] of ["one", "two", "three"].entries()) dns.set(`${name}.test`, [{ a: `127.0.0.${i + 1}` }]);
    dns.zone.additional = true;
    const text = byName("{ from: dns, name: _http._tcp.test, type: srv }").replace(
      "round-robin",
      "weighted-round-robin",
    );
    await using sluice = await startSluice(text.replace("workers: 2", "workers: 1"));
    await members(sluice, "127.0.0.1 127.0.0.2 127.0.0.3");
    const before = origins.map(served);
    for (let i = 0; i < 40; i++) expect((await request(sluice.address("web"))).status).toBe(200);
    expect(origins.map((origin, i) => served(origin) - before[i]!)).toEqual([30, 10, 0, 0]);
    const views = (await pool(sluice)).endpoints.map(({ weight, backup }) => [weight, backup]);
    expect(views).toEqual([
      [30, false],
      [10, false],
      [5, true],
    ]);
    dns.zone.additional = false;
    dns.set("_http._tcp.test", [{ srv: [20, 5, port, "three.test"] }]);
    await members(sluice, "127.0.0.3");
    expect((await request(sluice.address("web"))).header("x-origin")).toBe("2");
    expect(dns.asked).toContain("A three.test");
    expect((await pool(sluice)).endpoints[0]!.backup).toBe(false);
  }, 20_000);
});

describe("a file", () => {
  const list = (...places: readonly number[]): string =>
    places.map((i) => `- "${origins[i]!.address}"\n`).join("") || "[]\n";

  test("swapped under load, in whatever way, fails no request; a broken one changes nothing", async () => {
    await using sluice = await startSluice(yaml("discovery: { from: file, path: endpoints.yaml }"), {
      files: { "endpoints.yaml": list(0, 1) },
    });
    const file = (name: string): string => join(sluice.dir, name);
    using flow = startFlow(sluice.address("web"));
    await onlyThese(0, 1);
    writeFileSync(file("new"), list(2));
    renameSync(file("new"), file("endpoints.yaml"));
    await members(sluice, "127.0.0.3");
    await onlyThese(2);
    writeFileSync(file("endpoints.yaml"), "- 127.0.0.1:80\n- { address: 127.0.0.2, id: x }\n");
    await waitFor(() => sluice.stderr().includes("endpoints.yaml:2:14: [1].address"), { what: "a warning" });
    await onlyThese(2);
    // As Kubernetes mounts a ConfigMap.
    for (const [name, text] of [
      ["..one", list(0)],
      ["..two", list(1, 2)],
    ] as const) {
      mkdirSync(file(name));
      writeFileSync(join(file(name), "endpoints.yaml"), text);
    }
    symlinkSync("..one", file("..data"));
    symlinkSync("..data/endpoints.yaml", file("link"));
    renameSync(file("link"), file("endpoints.yaml"));
    await members(sluice, "127.0.0.1");
    await onlyThese(0);
    symlinkSync("..two", file("..data_tmp"));
    renameSync(file("..data_tmp"), file("..data"));
    await members(sluice, "127.0.0.2 127.0.0.3");
    await onlyThese(1, 2);
    await flow.stop();
    console.log(`file: ${flow.answered} requests answered, ${flow.failures.length} failed`);
    expect(flow.failures).toEqual([]);
    const shown = await runSluice(["status", "--admin", (await sluice.status<{ admin: string }>()).admin]);
    expect(shown.stdout).toMatch(/file endpoints\.yaml: 2 endpoints, \d+s ago\n/);
    expect(shown.stdout).toContain("from file");
  }, 30_000);
});

describe("the API", () => {
  const endpoints = "/api/v1/pools/app/endpoints";
  const add = async (sluice: Sluice, body: unknown): Promise<number> =>
    (await sluice.admin(endpoints, { method: "POST", body: JSON.stringify(body) })).status;
  const remove = async (sluice: Sluice, id: string): Promise<number> =>
    (await sluice.admin(`${endpoints}/${encodeURIComponent(id)}`, { method: "DELETE" })).status;

  test("adds and removes under load, and no request fails", async () => {
    await using sluice = await startSluice(yaml(`endpoints: ["${origins[0]!.address}"]`));
    using flow = startFlow(sluice.address("web"));
    await onlyThese(0);
    expect(await add(sluice, origins[1]!.address)).toBe(201);
    expect(await add(sluice, { address: origins[2]!.address, id: "c" })).toBe(201);
    await onlyThese(0, 1, 2);
    expect(await remove(sluice, origins[0]!.address)).toBe(200);
    await onlyThese(1, 2);
    expect(await remove(sluice, "c")).toBe(200);
    await onlyThese(1);
    expect(await add(sluice, origins[0]!.address)).toBe(201);
    expect(await remove(sluice, origins[1]!.address)).toBe(200);
    await onlyThese(0);
    await flow.stop();
    console.log(`API: ${flow.answered} requests answered, ${flow.failures.length} failed`);
    expect(flow.failures).toEqual([]);
  }, 30_000);

  test("what is under way at a removed endpoint ends in peace, and its connection is not kept", async () => {
    const held = hold(origins[1]!);
    await using sluice = await startSluice(yaml(`endpoints: ["${origins[1]!.address}"]`));
    using client = await connect(sluice.address("web"));
    await client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    await waitFor(() => held.count === 1, { what: "the request to arrive" });
    expect(await add(sluice, origins[0]!.address)).toBe(201);
    const answer = await sluice.admin(`${endpoints}?id=${origins[1]!.address}`, { method: "DELETE" });
    expect(answer.json<{ active: number }>().active).toBe(1);
    for (let i = 0; i < 6; i++) {
      expect((await request(sluice.address("web"))).header("x-origin")).toBe("0");
      expect(await add(sluice, { address: "127.0.0.1:9", id: `x${i}`, weight: 0 })).toBe(201);
    }
    held.release();
    expect((await client.read()).status).toBe(200);
    await waitFor(() => origins[1]!.stats().open === 0, { what: "its connection to be closed" });
    await client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect((await client.read()).header("x-origin")).toBe("0");
  }, 20_000);

  test("added endpoints are checked and drained as others, and outlive reloads of something else", async () => {
    const text = yaml(`endpoints: []\n    health: { path: /health, interval: 50ms, initial: wait }`);
    await using sluice = await startSluice(text);
    expect(await add(sluice, { address: origins[2]!.address, id: "c", weight: 2 })).toBe(201);
    const view = async (): Promise<EndpointView> => (await sluice.admin(`${endpoints}/c`)).json<EndpointView>();
    await waitFor(async () => (await view()).usable, { what: "c to be usable" });
    expect(await view()).toMatchObject({ origin: "api", health: "up", weight: 2 });
    expect((await request(sluice.address("web"))).status).toBe(200);
    expect((await sluice.admin(`${endpoints}/c`, { method: "PATCH", body: '{"admin":"drain"}' })).status).toBe(200);
    expect((await sluice.reload(`${text}\ntimeouts: { drain: 7s }\n`)).status).toBe(200);
    expect(await view()).toMatchObject({ origin: "api", requests: 1, admin: "drain" });
    const other = text.replace("endpoints: []", `endpoints: ["${origins[0]!.address}"]`);
    expect((await sluice.reload(other)).status).toBe(200);
    await members(sluice, "127.0.0.1");
    await waitFor(() => sluice.stderr().includes("1 endpoints added at run time dropped"), { what: "to be told so" });
  }, 20_000);
});
