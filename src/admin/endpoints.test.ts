// Adding and removing endpoints by the admin API: what is accepted, what is refused and why, how long it holds.

import { beforeEach, describe, expect, test } from "bun:test";
import { LogLevel } from "../base/ports.ts";
import { loadText } from "../config/load.ts";
import { type FakeWorker, FakeHost, FakeWorld, settle } from "../runtime/fakes.ts";
import { LevelLog } from "../runtime/level-log.ts";
import { Supervisor } from "../runtime/supervisor.ts";
import type { EndpointView, PoolView } from "../runtime/views.ts";
import { columnsBytes, openColumns, type Columns } from "../stats/columns.ts";
import { RecordType } from "../wire/dns/message.ts";
import { answer } from "./api.ts";
import { formatMetrics } from "./metrics.ts";

const base = `
workers: 2
listeners: { web: { bind: 127.0.0.1:80, forward: users } }
pools:
  users: { endpoints: [{ address: 10.0.0.1:80, id: a, weight: 3 }, "10.0.0.2:80"] }
  found: { discovery: [{ from: dns, name: api.test, port: 81 }, { from: file, path: more.yaml }] }
`;
const users = "/api/v1/pools/users/endpoints";
const found = "/api/v1/pools/found/endpoints";

let world: FakeWorld;
let host: FakeHost;
let columns: Columns;
let supervisor: Supervisor;
let file = base;

beforeEach(async () => {
  world = new FakeWorld();
  host = new FakeHost();
  resolveTo("10.1.0.1", "10.1.0.2");
  host.write("more.yaml", "[10.2.0.1:81]");
  const size = { workers: 4, listeners: 256, endpoints: 64 };
  columns = openColumns(new ArrayBuffer(columnsBytes(size)), size);
  const log = new LevelLog(world.env.log, LogLevel.Info);
  file = base;
  supervisor = new Supervisor({
    env: { ...world.env, log },
    host,
    columns,
    log,
    cpuCount: 2,
    load: () => Promise.resolve(loadText(file, "sluice.yaml")),
    startAdmin: () => ({ address: "127.0.0.1:9900", setToken() {}, stop() {} }),
  });
  expect(await supervisor.start()).toEqual({ ok: true });
});

function resolveTo(...addresses: readonly string[]): void {
  const answers = addresses.map((address) => ({ type: RecordType.A, name: "api.test", ttl: 5, address }));
  host.records.set(`${RecordType.A} api.test`, { answers });
  host.records.set(`${RecordType.AAAA} api.test`, {});
}

interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
  readonly headers: Headers;
}

/** A call; time passes until it is answered. */
async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const options = { supervisor, env: world.env, pid: 1, token: () => null, overUnixSocket: false };
  const init = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
  const headers = { host: "127.0.0.1:9900" };
  const request = new Request(`http://127.0.0.1:9900${path}`, { method, headers, ...init });
  const given: Response[] = [];
  void Promise.resolve(answer(options, request, "127.0.0.1")).then((response) => given.push(response));
  for (let i = 0; i < 100 && given.length === 0; i++) {
    await settle();
    if (given.length === 0) await world.pass(100);
  }
  const [response] = given;
  if (response === undefined) throw new Error(`${method} ${path} was not answered`);
  return { status: response.status, json: JSON.parse(await response.text()), headers: response.headers };
}

/** "id origin" of every endpoint of a pool, as GET shows them. */
async function members(pool = "users"): Promise<string[]> {
  const { json } = await call("GET", `/api/v1/pools/${pool}`);
  return (json as unknown as PoolView).endpoints.map(({ id, origin }) => `${id} ${origin}`);
}

/** The ids of a pool in the plan that a worker has last been given. */
function known(worker: FakeWorker, pool = "users"): readonly string[] {
  const prepares = worker.received.filter((message) => message.kind === "prepare");
  return prepares
    .at(-1)!
    .plan.config.pools.find(({ name }) => name === pool)!
    .endpoints.map(({ id }) => id);
}

async function reload(text: string): Promise<void> {
  file = text;
  expect((await supervisor.reload()).reason).toBe("");
}

describe("adding", () => {
  test("is answered once every worker knows the endpoint", async () => {
    const body = { address: "10.0.0.3:80", id: "c", weight: 2, backup: true, maxConnections: 7, admin: "drain" };
    const { status, json, headers } = await call("POST", users, body);
    expect([status, headers.get("location")]).toEqual([201, "/api/v1/pools/users/endpoints/c"]);
    expect(json).toMatchObject({ ...body, origin: "api", usable: false, health: "unknown", requests: 0 });
    for (const worker of host.alive) expect(known(worker)).toEqual(["a", "10.0.0.2:80", "c"]);
    expect(await members()).toEqual(["a config", "10.0.0.2:80 config", "c api"]);
    expect(world.lines.join("\n")).toMatch(/endpoint added pool=users endpoint=c address=10.0.0.3:80 weight=2 by=127/);
  });

  test("takes the short form, unix sockets and host names", async () => {
    expect((await call("POST", users, '"10.0.0.3:80"')).status).toBe(201);
    host.names.set("app.test", { addresses: ["10.0.0.9"], ttlMs: 1000 });
    expect((await call("POST", users, { address: "app.test:80" })).json).toMatchObject({ resolved: "10.0.0.9" });
    const { headers } = await call("POST", users, { address: "unix:/run/c.sock" });
    expect(headers.get("location")).toBe("/api/v1/pools/users/endpoints/unix%3A%2Frun%2Fc.sock");
    expect(await members()).toContain("unix:/run/c.sock api");
  });

  test("many at once are one change, in the order of the calls", async () => {
    const before = supervisor.plan!.generation;
    const calls = Array.from({ length: 20 }, (_, i) => call("POST", users, `"10.0.1.${i}:80"`));
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(20).fill(201));
    expect(supervisor.plan!.generation - before).toBeLessThanOrEqual(2);
    expect(known(host.alive[0]!).length).toBe(22);
  });

  test("to a pool that has only sources", async () => {
    expect((await call("POST", found, '"10.3.0.1:81"')).status).toBe(201);
    const all = ["10.3.0.1:81 api", "10.2.0.1:81 file", "10.1.0.1:81 dns", "10.1.0.2:81 dns"];
    expect(await members("found")).toEqual(all);
  });

  test("bad bodies are 400 with place and remedy", async () => {
    for (const [body, error, hint] of [
      ["{", "the body is not JSON", "address"],
      [{}, "address: missing: expected an address", "send for example"],
      ['"10.0.0.3"', '"10.0.0.3" has no port', "write 10.0.0.3:80"],
      [{ address: "10.0.0.3:80", weigth: 1 }, 'weigth: unknown key "weigth"', "did you mean weight"],
      [{ address: "10.0.0.3:80", weight: 1001 }, "weight: expected a whole number from 0 to 1000", ""],
      [["10.0.0.3:80"], "expected an address", ""],
      ["null", "expected an address", ""],
      ['{"address": "10.0.0.3:80", "__proto__": 1}', "__proto__", ""],
    ] as const) {
      const { status, json } = await call("POST", users, body);
      expect([body, status]).toEqual([body, 400]);
      expect(json["error"]).toContain(error);
      expect(json["hint"]).toContain(hint);
    }
    const { json } = await call("POST", users, { address: "10.0.0.3", weight: -1 });
    expect(json["problems"]).toMatchObject([{ path: "address" }, { path: "weight" }]);
    expect(await members()).toEqual(["a config", "10.0.0.2:80 config"]);
  });

  test("an unknown pool is 404, a taken id 409, whoever has it", async () => {
    expect((await call("POST", "/api/v1/pools/user/endpoints", '"10.0.0.3:80"')).json).toMatchObject({
      error: 'there is no pool "user"',
      hint: "did you mean users?",
    });
    const taken = await call("POST", users, { address: "10.0.0.9:80", id: "a" });
    expect([taken.status, taken.json["error"]]).toEqual([
      409,
      'there is an endpoint "a" in pool users already (from: config)',
    ]);
    expect((await call("POST", found, '"10.1.0.1:81"')).json["error"]).toContain("(from: dns)");
    expect((await call("POST", users, '"10.0.0.3:80"')).status).toBe(201);
    expect((await call("POST", users, '"10.0.0.3:80"')).json["error"]).toContain("(from: api)");
  });

  test("two calls at once for one id: one is first", async () => {
    const calls = await Promise.all([call("POST", users, '"10.0.0.3:80"'), call("POST", users, '"10.0.0.3:80"')]);
    expect(calls.map(({ status }) => status).toSorted()).toEqual([201, 409]);
  });

  test("what no worker takes is taken back", async () => {
    host.alive[1]!.refuse = "no room";
    const { status, json } = await call("POST", users, '"10.0.0.3:80"');
    expect([status, json["error"]]).toEqual([503, "not changed: worker 1: no room"]);
    host.alive[1]!.refuse = "";
    await world.pass(10_000);
    expect(await members()).toEqual(["a config", "10.0.0.2:80 config"]);
    expect((await call("POST", users, '"10.0.0.3:80"')).status).toBe(201);
  });
});

describe("removing", () => {
  test("an added one, by path, by query and by body", async () => {
    for (const id of ["10.0.0.3:80", "x/y", "10.0.0.5:80"]) {
      expect((await call("POST", users, { address: "10.0.0.9:80", id })).status).toBe(201);
    }
    columns.active[supervisor.findEndpoint("users", "10.0.0.3:80")!.row] = 2;
    const { status, json } = await call("DELETE", `${users}/10.0.0.3:80`);
    expect(status).toBe(200);
    expect(json).toMatchObject({ pool: "users", id: "10.0.0.3:80", origin: "api", removed: true, active: 2 });
    expect((await call("DELETE", `${users}?id=${encodeURIComponent("x/y")}`)).status).toBe(200);
    expect((await call("DELETE", users, { id: "10.0.0.5:80" })).status).toBe(200);
    expect(await members()).toEqual(["a config", "10.0.0.2:80 config"]);
    for (const worker of host.alive) expect(known(worker)).toEqual(["a", "10.0.0.2:80"]);
  });

  test("mistakes are told", async () => {
    expect((await call("DELETE", `${users}/b`)).status).toBe(404);
    expect((await call("DELETE", "/api/v1/pools/none/endpoints/a")).status).toBe(404);
    expect((await call("DELETE", users, {})).json["hint"]).toContain("?id=");
    expect((await call("DELETE", users, "[")).status).toBe(400);
    expect((await call("DELETE", `${users}/a`)).status).toBe(200);
    expect((await call("DELETE", `${users}/a`)).status).toBe(404);
  });

  test("a written one stays out until the list changes, or until it is added as written", async () => {
    expect((await call("DELETE", `${users}/a`)).json).toMatchObject({ origin: "config" });
    await reload(`${base}timeouts: { drain: 5s }\n`);
    expect(await members()).toEqual(["10.0.0.2:80 config"]);
    expect((await call("POST", users, { address: "10.0.0.1:80", id: "a", weight: 3 })).json["origin"]).toBe("config");
    expect((await call("DELETE", `${users}/a`)).status).toBe(200);
    expect((await call("POST", users, { address: "10.0.0.7:80", id: "a" })).json["origin"]).toBe("api");
    await reload(base.replace('"10.0.0.2:80"', '"10.0.0.2:80", "10.0.0.4:80"'));
    expect(await members()).toEqual(["a config", "10.0.0.2:80 config", "10.0.0.4:80 config"]);
    expect(supervisor.lastReload!.changes).toContainEqual(
      "pool users: 1 endpoints added at run time dropped: the file's endpoints have changed",
    );
  });

  test("a discovered one stays out while its source names it", async () => {
    expect((await call("DELETE", `${found}/10.1.0.1:81`)).json).toMatchObject({ origin: "dns" });
    expect((await call("DELETE", `${found}/10.2.0.1:81`)).json).toMatchObject({ origin: "file" });
    await world.pass(12_000);
    expect(await members("found")).toEqual(["10.1.0.2:81 dns"]);
    resolveTo("10.1.0.2", "10.1.0.3");
    host.write("more.yaml", "[]");
    await world.pass(12_000);
    resolveTo("10.1.0.1", "10.1.0.2");
    host.write("more.yaml", "[10.2.0.1:81]");
    await world.pass(12_000);
    expect(await members("found")).toEqual(["10.2.0.1:81 file", "10.1.0.1:81 dns", "10.1.0.2:81 dns"]);
  });

  test("keeps the others' rows, health and weights", async () => {
    const { row } = supervisor.findEndpoint("users", "10.0.0.2:80")!;
    await call("PATCH", `${users}/10.0.0.2:80`, { weight: 9 });
    await call("DELETE", `${users}/a`);
    await call("POST", users, '"10.0.0.3:80"');
    expect(supervisor.findEndpoint("users", "10.0.0.2:80")!.row).toBe(row);
    const { json } = await call("GET", `${users}/10.0.0.2:80`);
    expect((json as unknown as EndpointView).weight).toBe(9);
  });
});

test("GET lists the endpoints; the configuration is shown as it is written", async () => {
  await call("POST", users, '"10.0.0.3:80"');
  const { json } = await call("GET", users);
  expect((json["endpoints"] as EndpointView[]).map(({ id }) => id)).toEqual(["a", "10.0.0.2:80", "10.0.0.3:80"]);
  const config = JSON.stringify((await call("GET", "/api/v1/config")).json);
  expect(config).not.toContain("10.0.0.3");
  expect(config).not.toContain("10.1.0.1");
});

test("status and pools tell how the sources are doing", async () => {
  host.records.set(`${RecordType.A} api.test`, new Error("the name server failed"));
  host.records.set(`${RecordType.AAAA} api.test`, new Error("the name server failed"));
  host.write("more.yaml", "[10.2.0.1]");
  await world.pass(7000);
  const { json } = await call("GET", "/api/v1/pools/found");
  expect(json["discovery"]).toMatchObject([
    { from: "dns", name: "api.test", endpoints: 2, trouble: "the name server failed" },
    { from: "file", name: "more.yaml", endpoints: 1 },
  ]);
  const [dns, fromFile] = (json as unknown as PoolView).discovery;
  expect(dns!.ageMs).toBeGreaterThanOrEqual(7000);
  expect(fromFile!.trouble).toStartWith("more.yaml:1:2: [0]:");
  const metrics = formatMetrics(supervisor, world.nowMs);
  expect(metrics).toContain('sluice_discovery_endpoints{pool="found",from="dns",source="api.test"} 2\n');
  expect(metrics).toMatch(/sluice_discovery_age_seconds\{pool="found",from="dns",source="api.test"\} [7-9]/);
  expect(metrics).toContain('sluice_discovery_trouble{pool="found",from="file",source="more.yaml"} 1\n');
  const status = await call("GET", "/api/v1/status");
  expect(JSON.stringify(status.json["pools"])).toContain("the name server failed");
});
