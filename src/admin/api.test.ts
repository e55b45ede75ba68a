// The admin API as functions: every path, every mistake, on a supervisor over a machine of objects.

import { beforeEach, describe, expect, test } from "bun:test";
import { adminBodyBytesMax } from "../base/limits.ts";
import { LogLevel } from "../base/ports.ts";
import { loadText } from "../config/load.ts";
import { FakeHost, FakeWorld, settle } from "../runtime/fakes.ts";
import { LevelLog } from "../runtime/level-log.ts";
import { Supervisor } from "../runtime/supervisor.ts";
import { Admin, columnsBytes, EC, Health, LC, openColumns, WC, type Columns } from "../stats/columns.ts";
import { record } from "../stats/histogram.ts";
import { answer } from "./api.ts";
import type { ApiOptions } from "./call.ts";

let world: FakeWorld;
let host: FakeHost;
let columns: Columns;
let supervisor: Supervisor;
let options: ApiOptions;
let file = "";
let token: string | null = null;

const base = `
workers: 2
admin: { bind: 127.0.0.1:9900, token: a-token-of-letters }
listeners: { web: { bind: 127.0.0.1:80, forward: users } }
pools:
  users:
    health: { path: /health, headers: { authorization: hushed, x-plain: seen } }
    endpoints: [{ address: 10.0.0.1:80, id: a, weight: 3 }, "10.0.0.2:80", "unix:/run/c.sock"]
`;

beforeEach(async () => {
  world = new FakeWorld();
  host = new FakeHost();
  token = null;
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
  options = { supervisor, env: world.env, pid: 4711, token: () => token, overUnixSocket: false };
  expect(await supervisor.start()).toEqual({ ok: true });
});

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly json: Record<string, unknown>;
  readonly headers: Headers;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const init = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
  const request = new Request(`http://127.0.0.1:9900${path}`, {
    method,
    headers: { host: "127.0.0.1:9900", ...headers },
    ...init,
  });
  const response = await answer(options, request, "127.0.0.1");
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  return { status: response.status, body: text, json: isJson ? JSON.parse(text) : {}, headers: response.headers };
}

const row = (id: string): number => supervisor.findEndpoint("users", id)!.row;

describe("reading", () => {
  test("status has the workers, listeners, pools and events", async () => {
    columns.listener(0, 0)[LC.requests] = 5;
    columns.listener(1, 0)[LC.requests] = 6;
    columns.listener(1, 0)[LC.open] = 2;
    const { status, json } = await call("GET", "/api/v1/status");
    expect(status).toBe(200);
    expect(json).toMatchObject({
      pid: 4711,
      state: "running",
      generation: 1,
      workers: [
        { worker: 0, state: "running", requests: 5 },
        { worker: 1, state: "running", requests: 6, openConnections: 2 },
      ],
      listeners: [{ name: "web", addresses: ["127.0.0.1:80"], counters: { requests: 11, open: 2 } }],
      pools: [{ name: "users", endpoints: 3, usable: 3 }],
    });
    expect(JSON.stringify(json["events"])).toContain("worker started");
  });

  test("pools have their endpoints with counts of all workers", async () => {
    const r = row("a");
    columns.endpoint(0, r)[EC.requests] = 10;
    columns.endpoint(1, r)[EC.requests] = 20;
    columns.active[r] = 4;
    record(columns.histogram(1, r), 5000);
    columns.admin[row("10.0.0.2:80")] = Admin.Maint;
    columns.health[row("unix:/run/c.sock")] = Health.Down;
    const { json } = await call("GET", "/api/v1/pools");
    expect(json["pools"]).toMatchObject([
      {
        name: "users",
        usable: 1,
        endpoints: [
          {
            id: "a",
            address: "10.0.0.1:80",
            weight: 3,
            health: "unknown",
            admin: "ready",
            usable: true,
            active: 4,
            requests: 30,
          },
          { id: "10.0.0.2:80", admin: "maint", usable: false, reason: "operator: maint", latencyMs: null },
          { id: "unix:/run/c.sock", health: "down", usable: false, reason: "down" },
        ],
      },
    ]);
    const one = await call("GET", "/api/v1/pools/users/endpoints/a");
    expect((one.json["latencyMs"] as { p50: number }).p50).toBeGreaterThan(4);
    expect((await call("GET", "/api/v1/pools/users/endpoints/unix%3A%2Frun%2Fc.sock")).status).toBe(200);
  });

  test("config is shown without secrets", async () => {
    const { json, body } = await call("GET", "/api/v1/config");
    expect(json).toMatchObject({ generation: 1, config: { admin: { token: "***" } } });
    expect(body).toContain('"x-plain": "seen"');
    expect(body).not.toContain("a-token-of-letters");
    expect(body).not.toContain("hushed");
  });

  test("metrics are Prometheus text", async () => {
    columns.endpoint(0, row("a"))[EC.requests] = 3;
    const { body, headers } = await call("GET", "/metrics");
    expect(headers.get("content-type")).toContain("version=0.0.4");
    for (const line of [
      'sluice_endpoint_requests_total{pool="users",endpoint="a"} 3',
      'sluice_endpoint_weight{pool="users",endpoint="a"} 3',
      'sluice_endpoint_health{pool="users",endpoint="a",state="unknown"} 1',
      'sluice_requests_total{listener="web"} 0',
      'sluice_reloads_total{result="refused"} 0',
      'sluice_worker_restarts_total{worker="1"} 0',
      "sluice_generation 1",
    ]) {
      expect(body).toContain(`\n${line}\n`);
    }
    for (const line of body.trimEnd().split("\n"))
      expect(line).toMatch(/^(# (HELP|TYPE) sluice_\w+ .+|sluice_\w+(\{.*\})? [-+\w.]+)$/);
  });
});

describe("health", () => {
  test("is a word, and readiness follows the state", async () => {
    expect((await call("GET", "/health")).body).toBe("ok\n");
    expect(await call("GET", "/health/ready")).toMatchObject({
      status: 200,
      json: { ready: true, workers: { running: 2 } },
    });
    await supervisor.drain();
    expect(await call("GET", "/health/ready")).toMatchObject({ status: 503, json: { ready: false, state: "stopped" } });
    expect((await call("GET", "/health")).status).toBe(200);
  });

  test("pools without a usable endpoint are named", async () => {
    for (const id of ["a", "10.0.0.2:80", "unix:/run/c.sock"]) columns.health[row(id)] = Health.Down;
    const { json, status } = await call("GET", "/health/ready");
    expect([status, json["pools"]]).toEqual([200, [{ name: "users", usable: 0, endpoints: 3 }]]);
  });
});

describe("PATCH of an endpoint", () => {
  test("changes weight and admin word", async () => {
    const { status, json } = await call("PATCH", "/api/v1/pools/users/endpoints/a", { weight: 7, admin: "drain" });
    expect([status, json["weight"], json["admin"], json["usable"]]).toEqual([200, 7, "drain", false]);
    expect([columns.weight[row("a")], columns.admin[row("a")]]).toEqual([7, Admin.Drain]);
  });

  test.each([
    ["not json", "the body is not JSON"],
    [[1], "the body is not a JSON object"],
    [{}, "nothing to change"],
    [{ weight: 1.5 }, "weight must be a whole number from 0 to 1000"],
    [{ weight: -1 }, "weight must be"],
    [{ weight: "3" }, "weight must be"],
    [{ weight: 1001 }, "weight must be"],
    [{ admin: "off" }, "admin must be ready, drain or maint"],
    [{ admin: null }, "admin must be ready, drain or maint"],
    [{ wieght: 3 }, 'unknown key "wieght"'],
  ])("refuses %j", async (body, error) => {
    const { status, json } = await call("PATCH", "/api/v1/pools/users/endpoints/a", body);
    expect(status).toBe(400);
    expect(json["error"]).toContain(error);
    expect(String(json["hint"]).length).toBeGreaterThan(5);
    expect(columns.weight[row("a")]).toBe(3);
  });

  test("refuses unknown pools and endpoints, with the nearest name", async () => {
    expect(await call("PATCH", "/api/v1/pools/user/endpoints/a", { weight: 1 })).toMatchObject({
      status: 404,
      json: { error: 'there is no pool "user"', hint: expect.stringContaining("users") },
    });
    expect((await call("PATCH", "/api/v1/pools/users/endpoints/x", { weight: 1 })).status).toBe(404);
  });

  test("refuses a body that is too large", async () => {
    const { status } = await call("PATCH", "/api/v1/pools/users/endpoints/a", " ".repeat(adminBodyBytesMax + 1));
    expect(status).toBe(413);
  });
});

describe("reload", () => {
  test("answers with the new generation and what is different", async () => {
    file = base.replace("weight: 3", "weight: 4");
    const { status, json } = await call("POST", "/api/v1/reload");
    expect(status).toBe(200);
    expect(json).toMatchObject({ ok: true, generation: 2 });
    expect(JSON.stringify(json["changes"])).toContain("weight: 3 -> 4");
  });

  test("answers with the mistakes", async () => {
    file = "listenrs: {}";
    const { status, json } = await call("POST", "/api/v1/reload");
    expect(status).toBe(422);
    expect(json).toMatchObject({ ok: false, generation: 1, error: "the configuration has errors" });
    expect(JSON.stringify(json["diagnostics"])).toContain("listeners");
  });
});

describe("who may call", () => {
  test("with a token only its bearer", async () => {
    token = "a-token-of-letters";
    for (const authorization of [
      "",
      "Bearer",
      "Bearer a-token-of-letterz",
      "Bearer a-token-of-letters2",
      "Basic eDp5",
    ]) {
      const { status, headers, json } = await call("GET", "/api/v1/status", undefined, { authorization });
      expect(status).toBe(401);
      expect(headers.get("www-authenticate")).toContain("Bearer");
      expect(json["hint"]).toContain("Authorization: Bearer");
    }
    expect((await call("GET", "/nothing")).status).toBe(401);
    const right = { authorization: "bearer a-token-of-letters" };
    expect((await call("GET", "/api/v1/status", undefined, right)).status).toBe(200);
    expect((await call("GET", "/health")).status).toBe(200);
    expect((await call("GET", "/health/ready")).status).toBe(200);
  });

  test("without a token no web page", async () => {
    const refused = async (headers: Record<string, string>): Promise<boolean> =>
      (await call("POST", "/api/v1/reload", undefined, headers)).status === 403;
    expect(await refused({ host: "evil.example" })).toBe(true);
    expect(await refused({ origin: "http://evil.example" })).toBe(true);
    expect(await refused({ origin: "null" })).toBe(true);
    expect(await refused({ origin: "http://127.0.0.1:9900" })).toBe(false);
    expect(await refused({ host: "localhost:9900" })).toBe(false);
    expect(await refused({ host: "[::1]:9900" })).toBe(false);
  });
});

describe("wrong calls", () => {
  test("unknown paths are 404 with the nearest known one", async () => {
    expect(await call("GET", "/api/v1/statsu")).toMatchObject({
      status: 404,
      json: { hint: expect.stringContaining("/api/v1/status") },
    });
    expect((await call("GET", "/api/v1/pools/users/")).status).toBe(404);
    expect((await call("GET", "/api/v1/pools/%ff")).status).toBe(404);
    expect((await call("GET", "//")).status).toBe(404);
  });

  test("the path counts, not what the Host makes of it", async () => {
    const ask = async (url: string, name: string): Promise<number> => {
      const request = { url, method: "GET", headers: new Headers(name === "" ? {} : { host: name }) } as Request;
      return (await answer(options, request, "127.0.0.1")).status;
    };
    // As Bun gives them for HTTP/1.0 without Host, and for a Host that is none.
    expect([await ask("/health", ""), await ask("/health?a=b", "a b"), await ask("//health", "")]).toEqual([
      200, 200, 403,
    ]);
    expect(await ask("/api/v1/status", "a b")).toBe(403);
  });

  test("unknown methods are 405 with those that are possible", async () => {
    const { status, headers } = await call("PUT", "/api/v1/pools/users/endpoints/a");
    expect([status, headers.get("allow")]).toEqual([405, "GET, PATCH, DELETE"]);
    expect((await call("GET", "/api/v1/reload")).status).toBe(405);
  });
});

describe("events", () => {
  async function open(path: string, headers: Record<string, string> = {}): Promise<() => Promise<string>> {
    const request = new Request(`http://127.0.0.1:9900${path}`, { headers: { host: "127.0.0.1", ...headers } });
    const response = await answer(options, request, "127.0.0.1");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body!.getReader();
    return async () => {
      const { value, done } = await reader.read();
      return done ? "END" : new TextDecoder().decode(value);
    };
  }

  test("begin with those that are known, and go on as they happen", async () => {
    const last = supervisor.journal.latest(1)[0]!.id;
    const next = await open(`/api/v1/events?after=${last - 1}`);
    expect(await next()).toBe("retry: 1000\n\n");
    expect(await next()).toStartWith(`id: ${last}\nevent: running\ndata: {`);
    supervisor.patchEndpoint("users", "a", { weight: 1 }, "test");
    expect(await next()).toContain('"weight":1');
    const again = await open("/api/v1/events", { "last-event-id": String(last) });
    await again();
    expect(await again()).toStartWith(`id: ${last + 1}\n`);
    for (const worker of [0, 1]) columns.worker(worker)[WC.heartbeatMs] = world.nowMs + 60_000;
    await world.pass(15_200);
    expect(await again()).toBe(": still here\n\n");
  });

  test("a client that does not read is cut off", async () => {
    const next = await open("/api/v1/events?after=999999");
    const timers = world.env.timers.size;
    for (let i = 0; i < 2000; i++) supervisor.journal.remember(LogLevel.Info, "noise", {});
    expect(world.env.timers.size).toBe(timers - 1);
    let read = 0;
    while ((await next()) !== "END") read++;
    expect(read).toBeLessThan(1100);
  });

  test("only so many streams are open at once", async () => {
    for (let i = 0; i < 64; i++) await open("/api/v1/events?after=999999");
    expect((await call("GET", "/api/v1/events")).status).toBe(503);
    await settle();
  });

  test("after must be a number", async () => {
    expect((await call("GET", "/api/v1/events?after=x")).status).toBe(400);
  });
});

test("the index names every path", async () => {
  expect(await call("GET", "/")).toMatchObject({ status: 200, json: { name: "sluice" } });
});
