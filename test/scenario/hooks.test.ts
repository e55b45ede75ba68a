// Hooks in real processes: how they fail and whom that concerns, how reloads bring new code, and what becomes of code
// that cannot be loaded.

import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { logged } from "./lib/access-log.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { runSluice } from "./lib/command.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";
import { openWebSocket } from "./lib/websocket-client.ts";

const origin = startOrigin({ name: "a" });
const held = hold(origin);
afterAll(() => origin.close());

/** A configuration with these routes; before = code that stands before it. */
function config(routes: string, before = ""): string {
  return `
import { defineConfig } from "sluice";
${before}
export default defineConfig({
  workers: 2,
  admin: { bind: "127.0.0.1:0" },
  accessLog: { format: "json" },
  listeners: { web: { bind: "127.0.0.1:0", routes: [${routes}] } },
  pools: { app: { endpoints: ["${origin.address}"] } },
});
`;
}

function start(text: string, files: Readonly<Record<string, string>> = {}): Promise<Sluice> {
  return startSluice(text, { fileName: "sluice.config.ts", files });
}

/** The status of a path. */
async function statusOf(sluice: Sluice, path: string): Promise<number> {
  return (await request(sluice.address("web"), { path })).status;
}

describe("hooks that fail", () => {
  const failing = `
    { name: "throws", match: { path: "/throws" }, forward: "app", hooks: { request() { throw new Error("no way"); } } },
    { name: "rejects", match: { path: "/rejects" }, forward: "app",
      hooks: { async request() { await Bun.sleep(1); throw new TypeError("not now"); } } },
    { name: "late", match: { path: "/late" }, forward: "app",
      hooks: { timeout: "100ms", request: () => new Promise(() => {}) } },
    { name: "nonsense", match: { path: "/nonsense" }, forward: "app",
      hooks: { request: () => ({ status: "ok" }) as never } },
    { name: "response", match: { path: "/response" }, forward: "app",
      rewrite: { path: ".*", to: "/ok" }, hooks: { response() { throw new Error("after all"); } } },
    { name: "bypass", match: { prefix: "/bypass" }, forward: "app", rewrite: { path: ".*", to: "/ok" },
      hooks: {
        onError: "bypass",
        timeout: "100ms",
        request(req) {
          req.setHeader("x-from-hook", "1");
          if (req.path === "/bypass/late") return new Promise(() => {});
          throw new Error("who cares");
        },
        response() { return Promise.reject(new Error("who cares")); },
      } },
    { forward: "app" },`;

  test("fail their own requests and are counted; all others go on meanwhile", async () => {
    await using sluice = await start(config(failing));
    let over = false;
    const others = (async (): Promise<number[]> => {
      const statuses = new Set<number>();
      while (!over) statuses.add(await statusOf(sluice, "/ok"));
      return [...statuses];
    })();
    const paths = ["/throws", "/rejects", "/late", "/nonsense", "/response"];
    for (let round = 0; round < 3; round++) {
      const statuses = await Promise.all(paths.map((path) => statusOf(sluice, path)));
      expect(statuses).toEqual(paths.map(() => 500));
    }
    expect(await Promise.all([1, 2, 3].map(() => statusOf(sluice, "/bypass/throws")))).toEqual([200, 200, 200]);
    expect(origin.last("/ok").headers.some(([name]) => name === "x-from-hook")).toBe(false);
    expect(await statusOf(sluice, "/bypass/late")).toBe(200);
    over = true;
    expect(await others).toEqual([200]);
    const metrics = await sluice.metrics();
    expect(metrics.sum("sluice_hook_errors_total", { listener: "web" })).toBe(4 * 3 + 3 * 2 + 1);
    expect(metrics.sum("sluice_hook_timeouts_total", { listener: "web" })).toBe(3 + 1);
    expect(metrics.sum("sluice_worker_exceptions_total") + metrics.sum("sluice_worker_restarts_total")).toBe(0);
    expect(await logged(sluice, ({ target }) => target === "/throws")).toMatchObject({
      cause: "hook",
      termination: "PR",
    });
    expect(await logged(sluice, ({ target }) => target === "/response")).toMatchObject({ cause: "hook", status: 500 });
    await waitFor(
      () => /route=throws hook=request error="Error: no way" at=sluice\.config\.ts:\d+:\d+/.test(sluice.stderr()),
      {
        what: `the report among\n${sluice.stderr()}`,
      },
    );
    expect(sluice.stderr()).toContain('hook=response error="Error: after all"');
    expect(sluice.stderr()).toContain('event="hook failed, the request went on without it"');
  });

  test("a promise of theirs that nobody waits for ends no worker", async () => {
    const stray = `{ forward: "app", hooks: { request() {
      void Promise.reject(new Error("stray"));
      setTimeout(() => { throw new Error("later"); }, 1);
    } } },`;
    await using sluice = await start(config(stray));
    for (let i = 0; i < 5; i++) expect(await statusOf(sluice, "/ok")).toBe(200);
    const exceptions = async (): Promise<number> => (await sluice.metrics()).sum("sluice_worker_exceptions_total");
    await waitFor(async () => (await exceptions()) === 10, { what: "the exceptions to be counted" });
    expect((await sluice.metrics()).sum("sluice_worker_restarts_total")).toBe(0);
  });
});

describe("a reload", () => {
  const helper = (text: string): string => `export const text: string = ${JSON.stringify(text)};`;
  const route = `{ forward: "app", hooks: { async request(req) {
    if (req.path === "/hold") await fetch("http://${origin.address}/hold");
    return { status: 200, body: text + " " + ++calls };
  } } },`;
  const text = config(route, 'import { text } from "./helper.ts";\nlet calls = 0;');
  const said = async (sluice: Sluice): Promise<string> => (await request(sluice.address("web"))).text();

  test("brings new code, also of imported files; what is under way ends as it began", async () => {
    await using sluice = await start(text, { "helper.ts": helper("one") });
    expect(await said(sluice)).toStartWith("one ");
    using client = await connect(sluice.address("web"));
    await client.send(requestBytes("x", { path: "/hold" }));
    await waitFor(() => held.count === 1, { what: "the hook to ask" });
    writeFileSync(join(sluice.dir, "helper.ts"), helper("two"));
    const answer = await sluice.reload();
    expect(answer.json()).toMatchObject({ ok: true, changes: ["the code of hooks is another"] });
    for (let i = 0; i < 6; i++) expect(await said(sluice)).toStartWith("two ");
    held.release();
    expect((await client.read()).text()).toStartWith("one ");
  });

  test("of the same code does not load it again: what it remembers stays", async () => {
    await using sluice = await start(text.replace("workers: 2", "workers: 1"), { "helper.ts": helper("one") });
    for (let i = 1; i <= 3; i++) expect(await said(sluice)).toBe(`one ${i}`);
    expect((await sluice.reload()).json()).toMatchObject({ ok: true, changes: [] });
    expect(await said(sluice)).toBe("one 4");
    const other = text.replace("workers: 2", "workers: 1").replace('format: "json"', 'format: "combined"');
    expect((await sluice.reload(other)).status).toBe(200);
    expect(await said(sluice)).toBe("one 1");
  });

  test("with code that is broken, for whatever reason, changes nothing and says why", async () => {
    await using sluice = await start(text, { "helper.ts": helper("one") });
    const broken: readonly (readonly [string, string])[] = [
      ["export const text = ;", "the module failed"],
      ['throw new Error("no database");\nexport const text = "";', "no database"],
      ['import "./nowhere.ts";\nexport const text = "";', "nowhere.ts"],
      [
        'if (process.env["SLUICE_ROLE"] === "worker") throw new Error("only here");\nexport const text = "";',
        "only here",
      ],
    ];
    for (const [code, why] of broken) {
      writeFileSync(join(sluice.dir, "helper.ts"), code);
      const answer = await sluice.reload();
      expect(answer.status).not.toBe(200);
      expect(answer.text).toContain(why);
      expect(await said(sluice)).toStartWith("one ");
    }
    const elsewhere = config(
      `process.env["SLUICE_ROLE"] === "worker" ? { forward: "app" } : ${route}`,
      'const text = "x"; let calls = 0;',
    );
    const answer = await sluice.reload(elsewhere);
    expect(answer.text).toContain("hooks are not where they were when the module was checked");
    expect(await said(sluice)).toStartWith("one ");
    sluice.writeConfig(text);
    writeFileSync(join(sluice.dir, "helper.ts"), helper("three"));
    expect((await sluice.reload()).status).toBe(200);
    expect(await said(sluice)).toStartWith("three ");
  });

  test("is what brings new code: a worker that is replaced runs what the others run", async () => {
    await using sluice = await start(text, { "helper.ts": helper("one") });
    rmSync(join(sluice.dir, "helper.ts"));
    sluice.writeConfig("export default 5;");
    const [victim] = sluice.workerPids();
    process.kill(victim!, "SIGKILL");
    const back = async (): Promise<boolean> => {
      const { workers } = await sluice.status<{ workers: { pid: number; state: string }[] }>();
      return workers.every(({ pid, state }) => state === "running" && pid !== victim);
    };
    await waitFor(back, { what: "another worker" });
    for (let i = 0; i < 12; i++) expect(await said(sluice)).toStartWith("one ");
  });
});

describe("code that cannot be loaded", () => {
  const route = '{ forward: "app", hooks: { request() {} } },';

  test("is found by check, with its place", async () => {
    const files = {
      "sluice.config.ts": config(route, 'import "./helper.ts";'),
      "helper.ts": "\n  throw new Error('no');",
    };
    const failed = await runSluice(["check", "sluice.config.ts"], { files });
    expect([failed.code, `${failed.stdout}${failed.stderr}`]).toEqual([
      1,
      expect.stringMatching(/helper\.ts:2:\d+.*the module failed: no/),
    ]);
    const sound = await runSluice(["check", "sluice.config.ts"], { files: { ...files, "helper.ts": "" } });
    expect([sound.code, sound.stderr]).toEqual([0, ""]);
  });

  test("ends the start with its reason", async () => {
    const only = 'if (process.env["SLUICE_ROLE"] === "worker") throw new Error("only here");';
    const failed = await runSluice(["run", "sluice.config.ts"], { files: { "sluice.config.ts": config(route, only) } });
    expect(failed.code).toBe(3);
    expect(failed.stderr).toContain("the module with the hooks failed: Error: only here");
  });
});

test("hooks of a tunnel and of long bodies, synchronous or not", async () => {
  const routes = ["", "await Bun.sleep(20);"].map(
    (pause, i) => `{ match: { header: { "x-kind": "${i}" } }, forward: "app", hooks: {
      async request(req) { ${pause} req.setHeader("x-seen", req.method); },
      ${pause === "" ? "" : "async "}response(res) { ${pause} res.setHeader("x-hook", String(res.status)); },
    } },`,
  );
  await using sluice = await start(config(routes.join("").replaceAll("header:", "headers:")));
  for (const kind of ["0", "1"]) {
    using socket = await openWebSocket(`ws://${sluice.address("web")}/ws`, { headers: { "x-kind": kind } });
    expect(await socket.echo("hello")).toBe("hello");
    const size = 3_000_000;
    const headers = [`X-Kind: ${kind}`];
    const down = await request(sluice.address("web"), { path: `/size?n=${size}`, headers });
    expect([down.status, down.body.length, down.header("x-hook")]).toEqual([200, size, "200"]);
    const body = Buffer.alloc(size, "hook");
    const up = await request(sluice.address("web"), { method: "POST", path: "/upload", headers, body });
    const sha256 = createHash("sha256").update(body).digest("hex");
    expect([up.status, JSON.parse(up.text())]).toEqual([200, { length: size, sha256 }]);
    expect(origin.last("/upload").headers).toContainEqual(["x-seen", "POST"]);
  }
});

test("a hook's choice of a pool has nothing to do with the side that a client is on", async () => {
  const route = `{
    forward: [{ pool: "app", weight: 1 }, { pool: "other", weight: 0 }],
    sticky: { by: "cookie", name: "SIDE" },
    hooks: { request(req) { const pool = req.query("to"); if (pool !== null) req.forwardTo(pool as "app"); } },
  },`;
  const pools = `app: { endpoints: ["${origin.address}"] }, other: { endpoints: ["${origin.address}"] }`;
  const more = `pools: { ${pools} }, secret: "a secret of at least thirty-two letters",`;
  const text = config(route)
    .replace(/pools: .*/, more)
    .replace("workers: 2", "workers: 1");
  await using sluice = await start(text);
  const ask = (path: string, headers: string[] = []): ReturnType<typeof request> =>
    request(sluice.address("web"), { path, headers });
  const cookie = (await ask("/ok")).header("set-cookie")!.split(";")[0]!;
  expect(cookie).toStartWith("SIDE=");
  expect((await ask("/ok", [`Cookie: ${cookie}`])).header("set-cookie")).toBeNull();
  for (const pool of ["app", "other"]) {
    const answer = await ask(`/ok?to=${pool}`);
    expect([answer.status, answer.header("set-cookie")]).toEqual([200, null]);
    expect((await logged(sluice, ({ target }) => target === `/ok?to=${pool}`)).pool).toBe(pool);
  }
});
