// The admin plane's server and the commands' client, against each other.

import { afterAll, afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { ClientError, requestHttp } from "./http-client.ts";
import type { ClientRequest } from "./http-client.ts";
import { serveHttp } from "./http-server.ts";
import type { HttpServer, HttpServerOptions } from "./http-server.ts";
import { ListenError } from "./listen-socket.ts";
import { anyPort } from "./test-kit.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-http-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let server: HttpServer | null = null;
const errors: unknown[] = [];

afterEach(() => {
  server?.stop(true);
  errors.length = 0;
});

function start(handler: HttpServerOptions["handler"], bind: HttpServerOptions["bind"] = anyPort): string {
  server = serveHttp({ bind, handler, maxBodyBytes: 1000, onError: (error) => errors.push(error) });
  return `http://127.0.0.1:${server.port}`;
}

const get = (origin: string, more: Partial<ClientRequest> = {}): ReturnType<typeof requestHttp> =>
  requestHttp({ method: "GET", path: "/", to: { origin }, timeoutMs: 5000, ...more });

async function failureOf(request: Promise<unknown>): Promise<ClientError> {
  const outcome = await request.catch((error: unknown) => error);
  if (outcome instanceof ClientError) return outcome;
  throw new Error("the request was answered");
}

test("method, path, headers and body go there; status, headers and body come back", async () => {
  const origin = start(async (request, client) =>
    Response.json(
      { method: request.method, url: new URL(request.url).search, body: await request.text(), client },
      { status: 202, headers: { "x-answer": request.headers.get("x-question") ?? "" } },
    ),
  );
  const response = await get(origin, { method: "PUT", path: "/a?b=c", headers: { "x-question": "q" }, body: "hello" });
  expect([response.status, response.headers.get("x-answer")]).toEqual([202, "q"]);
  expect(JSON.parse(response.body)).toEqual({ method: "PUT", url: "?b=c", body: "hello", client: "127.0.0.1" });
});

test("over a unix socket", async () => {
  const unixPath = `${folder}/admin.sock`;
  start((_request, client) => new Response(client), { ip: "", port: 0, unixPath });
  expect(server!.port).toBe(0);
  expect((await get("", { to: { unixPath } })).body).toBe("unix:");
  server!.stop(true);
  expect(existsSync(unixPath)).toBe(false);
  expect((await failureOf(get("", { to: { unixPath } }))).code).toBe("ENOENT");
});

test("exceptions and rejections become a 500 in JSON, are told, and harm nobody", async () => {
  const origin = start((request) => {
    if (request.url.endsWith("/throw")) throw new Error("thrown");
    if (request.url.endsWith("/reject")) return Promise.reject(new Error("rejected"));
    return new Response("fine");
  });
  for (const path of ["/throw", "/reject"]) {
    const response = await get(origin, { path });
    expect([response.status, response.body]).toEqual([500, '{"error":"internal error"}']);
  }
  expect(errors.map(String)).toEqual(["Error: thrown", "Error: rejected"]);
  expect((await get(origin)).body).toBe("fine");
});

test("a body over the limit is refused", async () => {
  const origin = start(async (request) => new Response(await request.text()));
  expect((await get(origin, { method: "PUT", body: "x".repeat(1000) })).status).toBe(200);
  expect((await get(origin, { method: "PUT", body: "x".repeat(1001) })).status).toBe(413);
});

test("an event stream arrives piece by piece and ends when the client leaves", async () => {
  let cancelled = false;
  let push = (_text: string): void => {};
  const origin = start(() => {
    const body = new ReadableStream({
      start(controller) {
        push = (text) => controller.enqueue(new TextEncoder().encode(text));
        push("data: 1\n\n");
      },
      cancel() {
        cancelled = true;
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  const abort = new AbortController();
  const response = await fetch(origin, { signal: abort.signal });
  const reader = response.body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: 1\n\n");
  push("data: 2\n\n");
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("data: 2\n\n");
  abort.abort();
  for (let i = 0; i < 500 && !cancelled; i++) await Bun.sleep(2);
  expect(cancelled).toBe(true);
});

test("redirects are answers, not followed", async () => {
  const origin = start(() => new Response(null, { status: 302, headers: { location: "/elsewhere" } }));
  expect((await get(origin)).status).toBe(302);
});

test("no answer in time, and nobody there", async () => {
  const origin = start(() => new Promise<Response>(() => {}));
  const late = await failureOf(get(origin, { timeoutMs: 50 }));
  expect([late.code, late.message]).toEqual(["ETIMEDOUT", `no answer from ${origin} within 50 ms`]);
  server!.stop(true);
  const absent = await failureOf(get(origin));
  expect([absent.code, absent.message]).toEqual(["ECONNREFUSED", `nothing listens on ${origin}`]);
});

test("an address in use is a ListenError with a hint", () => {
  start(() => new Response());
  let caught: unknown = null;
  try {
    serveHttp({
      bind: { ...anyPort, port: server!.port },
      handler: () => new Response(),
      maxBodyBytes: 10,
      onError: () => {},
    });
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(ListenError);
  expect((caught as ListenError).code).toBe("EADDRINUSE");
  expect((caught as ListenError).hint).toContain("choose another port");
});

test("a unix socket left behind by a killed process is taken over", async () => {
  const unixPath = `${folder}/stale.sock`;
  const source = `
    Bun.serve({ unix: "${unixPath}", fetch: () => new Response() });
    process.kill(process.pid, "SIGKILL");`;
  Bun.spawnSync([process.execPath, "-e", source]);
  expect(existsSync(unixPath)).toBe(true);
  expect((await failureOf(get("", { to: { unixPath } }))).code).toMatch(/ECONNREFUSED|ENOENT/);
  start(() => new Response("new"), { ip: "", port: 0, unixPath });
  expect((await get("", { to: { unixPath } })).body).toBe("new");
});
