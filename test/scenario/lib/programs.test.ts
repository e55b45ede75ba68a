// What runs in processes of its own: the origin as a child, WebSockets, the programs beside us, and the balancer's
// handle, which is tested on a stand-in that only does what the handle relies on.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lacks } from "../../support/needs.ts";
import { request } from "./client.ts";
import { spawnOrigin } from "./origin-child.ts";
import { startOrigin } from "./origin.ts";
import { startSluice } from "./sluice.ts";
import { runTool, startLoad, startSlowClients, startTool } from "./tool.ts";
import { waitFor } from "./wait.ts";
import { openWebSocket } from "./websocket-client.ts";

describe("an origin in a process of its own", () => {
  test("serves, counts, can be stopped and continued", async () => {
    await using origin = await spawnOrigin({ name: "child" });
    expect((await request(origin.address)).text()).toBe("child ok\n");
    expect(await origin.stats()).toMatchObject({ accepted: 1, requests: 1 });
    origin.signal("SIGSTOP");
    await expect(request(origin.address, { timeoutMs: 50 })).rejects.toThrow("timed out");
    origin.signal("SIGCONT");
    expect((await request(origin.address)).status).toBe(200);
  });

  test("is gone when killed, and comes back on its port", async () => {
    const origin = await spawnOrigin({ name: "first" });
    await origin.kill();
    await expect(request(origin.address)).rejects.toThrow();
    await expect(origin.stats()).rejects.toThrow("has ended");
    await using again = await spawnOrigin({ name: "second", port: origin.port });
    expect((await request(again.address)).text()).toBe("second ok\n");
  });

  test("a port that is taken is an error, at once", async () => {
    await using first = startOrigin({ name: "first" });
    await expect(spawnOrigin({ name: "second", port: first.port })).rejects.toThrow("has ended");
  });
});

describe("WebSocket", () => {
  test("messages of every length class come back, text and binary", async () => {
    await using origin = startOrigin({ name: "ws" });
    using socket = await openWebSocket(`ws://${origin.address}/socket`);
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 200_000]) {
      const message = "é".repeat(length / 2) + (length % 2 === 1 ? "x" : "");
      expect(await socket.echo(message)).toBe(message);
    }
    socket.send(Uint8Array.of(0, 255, 128));
    expect(await socket.next()).toBe("\0\xff\x80");
    expect(socket.isOpen()).toBe(true);
    expect(await socket.close(4001)).toBe(4001);
    expect(socket.isOpen()).toBe(false);
  });

  test("an abrupt end is 1006, and waiting for a message then fails", async () => {
    await using origin = startOrigin({ name: "ws" });
    using socket = await openWebSocket(`ws://${origin.address}/`);
    const next = socket.next();
    origin.dropConnections();
    await expect(next).rejects.toThrow("1006");
    expect(socket.closeCode()).toBe(1006);
  });

  test("a refused handshake is an error", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("no", { status: 403 }) });
    try {
      await expect(openWebSocket(`ws://127.0.0.1:${server.port}/`)).rejects.toThrow("403");
    } finally {
      await server.stop(true);
    }
  });
});

describe("programs", () => {
  test.skipIf(lacks("curl"))("curl", async () => {
    await using origin = startOrigin({ name: "one" });
    const run = await runTool(["curl", "-sS", "--fail", `http://${origin.address}/ok`]);
    expect(run.stdout).toBe("one ok\n");
    await expect(runTool(["curl", "-sS", "--fail", `http://${origin.address}/nowhere`])).rejects.toThrow("404");
  });

  test.skipIf(lacks("wrk"))("wrk", async () => {
    await using origin = startOrigin({ name: "one" });
    using load = startLoad({ url: `http://${origin.address}/ok`, connections: 4, seconds: 1 });
    const report = await load.report;
    expect(report.errors).toBe(0);
    expect(report.requests).toBeGreaterThan(0);
    expect(origin.stats().requests).toBeGreaterThanOrEqual(report.requests);
  });

  test.skipIf(lacks("slowhttptest"))("slowhttptest", async () => {
    await using origin = startOrigin({ name: "one" });
    using slow = startSlowClients({ url: `http://${origin.address}/`, connections: 20, kind: "head", seconds: 60 });
    await waitFor(() => origin.stats().open >= 20, { what: "the slow clients", timeoutMs: 20_000 });
    expect(origin.stats().requests).toBeLessThan(10); // its probes; none of the twenty
    expect((await request(origin.address)).status).toBe(200);
    slow[Symbol.dispose]();
    await slow.finished;
  });

  test("a missing program is an error; a run past its time is ended", async () => {
    expect(() => startTool(["no-such-program"])).toThrow("not installed");
    using tool = startTool(["sleep", "600"], 10);
    expect((await tool.finished).code).not.toBe(0);
  });
});

/** A program that reads its configuration, says where it listens, and answers like an admin listener. */
const STAND_IN = `
import { renameSync, writeFileSync, readFileSync } from "node:fs";
const file = process.argv.at(-1);
let reloads = 0;
const admin = Bun.serve({ port: 0, hostname: "127.0.0.1", async fetch(request) {
  const { pathname } = new URL(request.url);
  if (pathname === "/metrics") return new Response("# TYPE reloads counter\\nreloads " + reloads + "\\n");
  if (pathname === "/api/v1/status") return Response.json({ config: readFileSync(file, "utf8") });
  if (pathname === "/api/v1/reload" && request.method === "POST") return Response.json({ reloads: ++reloads });
  return new Response("no such path", { status: 404 });
} });
const child = Bun.spawn(["sleep", "600"]);
console.log("out");
console.error("err");
process.on("SIGTERM", () => { child.kill(); process.exit(7); });
if (process.env.FAIL) process.exit(3);
const ready = { event: "ready", admin: "127.0.0.1:" + admin.port, listeners: { web: ["127.0.0.1:1", "127.0.0.1:2"] } };
const target = process.env.SLUICE_READY_FILE;
writeFileSync(target + ".new", JSON.stringify(ready) + "\\n");
renameSync(target + ".new", target);
`;

describe("the balancer's handle", () => {
  const dir = mkdtempSync(join(tmpdir(), "sluice-stand-in-"));
  const program = join(dir, "stand-in.ts");
  writeFileSync(program, STAND_IN);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const command = [process.execPath, program];

  test("learns the ports, talks to the admin listener, reloads", async () => {
    await using sluice = await startSluice("listeners: {}\n", { command, files: { "extra.txt": "x" } });
    expect(sluice.address("web")).toBe("127.0.0.1:1");
    expect(sluice.ports()).toEqual({ web: ["127.0.0.1:1", "127.0.0.1:2"] });
    expect(() => sluice.address("wbe")).toThrow("no listener wbe among web");
    expect(existsSync(join(sluice.dir, "extra.txt"))).toBe(true);
    const withAdmin = `admin: { bind: "127.0.0.1:0" }\nlisteners: {}\n`;
    expect(await sluice.status()).toEqual({ config: withAdmin });
    expect((await sluice.reload("admin: { bind: x }\n")).json<object>()).toEqual({ reloads: 1 });
    expect(await sluice.status()).toEqual({ config: "admin: { bind: x }\n" });
    expect((await sluice.metrics()).sum("reloads")).toBe(1);
    expect((await sluice.admin("/nowhere")).status).toBe(404);
    await waitFor(() => sluice.logs() === "out\nerr\n", { what: "both outputs" });
  });

  test("stop gives the exit code; kill takes the children too and removes the directory", async () => {
    const sluice = await startSluice("", { command });
    expect(sluice.workerPids().length).toBe(1);
    expect(sluice.memory().rss).toBeGreaterThan(1_000_000);
    expect(await sluice.stop()).toBe(7);
    await sluice.kill();
    const other = await startSluice("", { command });
    const pids = other.workerPids();
    await other.kill();
    expect(existsSync(other.dir)).toBe(false);
    // Nobody may be there to reap them: then they stay as zombies, which have no command line.
    const isRunning = (pid: number): boolean =>
      existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`).length > 0;
    await waitFor(() => !pids.some(isRunning), { what: "the children to be gone" });
  });

  test("one that ends instead of getting ready is an error with its output", async () => {
    await expect(startSluice("", { command, env: { FAIL: "1" } })).rejects.toThrow(/ended with 3:\n[^]*err/);
  });
});
