// The access log: its formats, every placeholder, what is escaped, rotation, and readers that are slow or gone.

import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accessLogFields } from "../../src/model/log-fields.ts";
import { lacks } from "../support/needs.ts";
import { logged, parseLog } from "./lib/access-log.ts";
import { connect, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { startSluice } from "./lib/sluice.ts";
import { runTool, startLoad } from "./lib/tool.ts";
import { waitFor } from "./lib/wait.ts";

const origin = startOrigin({ name: "a" });
const dir = mkdtempSync(join(tmpdir(), "sluice-log-"));
afterAll(async () => {
  await origin.close();
  rmSync(dir, { recursive: true, force: true });
});

const yaml = (log: string): string => `
workers: 1
accessLog: ${log}
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: [ { id: first, address: "${origin.address}" } ] } }
`;

const headers = ["Host: shop.example", "User-Agent: cli/1 (x)", "Referer: http://from.example/", "X-Request-Id: id-1"];

test("json, the default: one object per request, with every field", async () => {
  await using sluice = await startSluice(yaml("{}"));
  const path = "/upload?a=b%20c";
  await request(sluice.address("web"), { method: "POST", path, headers, body: "hello" });
  const entry = await logged(sluice, () => true);
  const { time, durationMs, connectMs, responseMs, queueMs, bytesReceived, bytesSent, ...rest } = entry;
  expect(rest).toEqual({
    client: "127.0.0.1",
    method: "POST",
    host: "shop.example",
    target: path,
    protocol: "HTTP/1.1",
    status: 200,
    listener: "web",
    route: "0",
    pool: "app",
    endpoint: "first",
    attempts: 1,
    termination: "--",
    cause: "none",
    requestId: "id-1",
    userAgent: "cli/1 (x)",
    referer: "http://from.example/",
  });
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
  for (const ms of [durationMs, connectMs, responseMs, queueMs]) expect(ms).toBeGreaterThanOrEqual(0);
  expect(durationMs).toBeGreaterThanOrEqual(responseMs);
  expect(bytesReceived).toBeGreaterThan(100);
  expect(bytesSent).toBeGreaterThan(60);
});

test("combined: as Apache and nginx write it", async () => {
  await using sluice = await startSluice(yaml("{ format: combined }"));
  await request(sluice.address("web"), { path: "/ok?x", headers });
  await request(sluice.address("web"), { path: "/ok?y", headers: ["Host: h"] });
  await waitFor(() => sluice.stdout().includes("?y"), { what: "both lines" });
  const [first, second] = sluice.stdout().split("\n");
  const start = String.raw`^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]`;
  expect(first).toMatch(
    new RegExp(String.raw`${start} "GET /ok\?x HTTP/1\.1" 200 \d+ "http://from\.example/" "cli/1 \(x\)"$`),
  );
  expect(second).toMatch(new RegExp(String.raw`${start} "GET /ok\?y HTTP/1\.1" 200 \d+ "-" "-"$`));
});

test("a template may use every placeholder", async () => {
  const template = accessLogFields.map((field) => `${field}={${field}}`).join(" | ");
  await using sluice = await startSluice(yaml(`{ format: '${template}' }`));
  await request(sluice.address("web"), { path: "/ok", headers });
  await waitFor(() => sluice.stdout().includes("\n"), { what: "the line" });
  const fields = new Map(
    sluice
      .stdout()
      .trim()
      .split(" | ")
      .map((part): [string, string] => {
        const at = part.indexOf("=");
        return [part.slice(0, at), part.slice(at + 1)];
      }),
  );
  expect([...fields.keys()]).toEqual([...accessLogFields]);
  for (const [name, value] of fields) expect([name, value === "" || value.includes("{")]).toEqual([name, false]);
  expect(fields.get("peer")).toBe("127.0.0.1");
  expect(fields.get("request")).toBe("GET /ok HTTP/1.1");
  expect(fields.get("attempts")).toBe("1");
});

test("what clients send cannot forge a line", async () => {
  await using sluice = await startSluice(yaml("{}"));
  using client = await connect(sluice.address("web"));
  const agent = 'User-Agent: a"b\\c\t\xe9"}\x85';
  await client.send(Buffer.from(`GET /ok?"quote\\ HTTP/1.1\r\nHost: x\r\n${agent}\r\n\r\n`, "latin1"));
  await client.read();
  await request(sluice.address("web"), { path: `/ok?${"y".repeat(20_000)}` });
  await waitFor(() => parseLog(sluice.stdout()).length === 2, { what: "two lines" });
  const [odd, long] = parseLog(sluice.stdout());
  expect([odd!.userAgent, odd!.target]).toEqual(['a"b\\c\t\xe9"}\x85', '/ok?"quote\\']);
  expect(long!.target.length).toBeLessThan(2000);
  expect(long!.status).toBe(200);
});

test("USR1 opens the file anew, after a rotation, without a line lost", async () => {
  await using sluice = await startSluice(
    yaml('{ format: "{target}", file: ./access.log }').replace("workers: 1", "workers: 2"),
  );
  const [file, old] = [join(sluice.dir, "access.log"), join(sluice.dir, "access.log.1")];
  const lines = (path: string): string[] => readFileSync(path, "utf8").split("\n").slice(0, -1);
  for (let i = 0; i < 20; i++) await request(sluice.address("web"), { path: `/ok?${i}` });
  await waitFor(() => existsSync(file) && lines(file).length > 0, { what: "some lines" });
  renameSync(file, old);
  sluice.signal("SIGUSR1");
  await waitFor(() => existsSync(file), { what: "the new file" });
  for (let i = 20; i < 40; i++) await request(sluice.address("web"), { path: `/ok?${i}` });
  await waitFor(() => lines(file).length + lines(old).length === 40, { what: "all lines" });
  const all = [...lines(old), ...lines(file)].sort((x, y) => Number(x.slice(4)) - Number(y.slice(4)));
  expect(all).toEqual(Array.from({ length: 40 }, (_, i) => `/ok?${i}`));
  expect(lines(file).length).toBeGreaterThan(10);
});

test("a file that cannot be opened stops the start, and refuses a reload", async () => {
  const broken = yaml("{ file: /no/such/directory/access.log }");
  const failed = await startSluice(broken).then(
    () => "started",
    (error: Error) => error.message,
  );
  expect(failed).toContain("ended with 3");
  expect(failed).toContain("/no/such/directory/access.log");
  await using sluice = await startSluice(yaml("off"));
  const answer = await sluice.reload(broken);
  expect([answer.status, answer.text.includes("/no/such/directory/access.log")]).toEqual([422, true]);
  expect((await request(sluice.address("web"))).status).toBe(200);
});

/** A named pipe with both its ends open. */
async function openPipe(name: string): Promise<{ readonly reader: number; readonly writer: number }> {
  const path = join(dir, name);
  await runTool(["mkfifo", path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY) };
}

test.skipIf(lacks("wrk", "mkfifo"))(
  "a reader of standard output that is slow, or gone, stops nobody",
  async () => {
    const { reader, writer } = await openPipe("stdout");
    await using sluice = await startSluice(yaml("{}"), { stdout: writer });
    closeSync(writer);
    const url = `http://${sluice.address("web")}/ok?${"x".repeat(1500)}`;
    const loads = async (): Promise<void> => {
      using load = startLoad({ url, connections: 8, seconds: 1 });
      const { requests, errors } = await load.report;
      expect(errors).toBe(0);
      expect(requests).toBeGreaterThan(100);
    };
    const dropped = async (): Promise<number> => (await sluice.metrics()).sum("sluice_worker_log_dropped_total");
    // Nobody reads: a megabyte later lines are dropped, and counted.
    await waitFor(
      async () => {
        await loads();
        return (await dropped()) > 0;
      },
      { what: "lines to be dropped", timeoutMs: 20_000 },
    );
    const buffer = Buffer.alloc(1 << 20);
    expect(readSync(reader, buffer)).toBeGreaterThan(4000);
    closeSync(reader);
    await loads();
    await waitFor(() => sluice.stderr().includes("access log cannot be written"), { what: "the trouble to be told" });
    expect(sluice.stderr()).toContain("EPIPE");
    expect((await request(sluice.address("web"))).status).toBe(200);
    expect((await sluice.metrics()).sum("sluice_worker_restarts_total")).toBe(0);
  },
  30_000,
);
