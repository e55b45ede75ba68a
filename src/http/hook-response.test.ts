// Response hooks: what they are told, what they can do to the head, and what becomes of the response while they think.

import { describe, expect, test } from "bun:test";
import type { HookRequest, HookResponseView, ResponseHook } from "../config/ts/hook-types.ts";
import { EC } from "../stats/columns.ts";
import { defaultRetry } from "../model/defaults.ts";
import { compileEdits } from "./header-edits.ts";
import { get, headOf, HookRig, later, ok, settle, timeoutMs } from "./hook-rig.ts";
import { Respond } from "./respond.ts";
import { compileRetry } from "./retry.ts";

const idle = [0, 0, 0, 0, 0, 0];
const nothingLeft = (left: readonly number[]): boolean => left.every((count) => count === 0);

describe("a response hook", () => {
  test("is told what the endpoint said, and what its request was", () => {
    let seen: unknown;
    const rig = new HookRig({
      request: (r) => r.set("user", "joe"),
      response(res, req) {
        seen = {
          ...{ status: res.status, pool: res.pool, endpoint: res.endpoint, elapsedMs: res.elapsedMs },
          fields: [res.header("X-A"), res.header("x-none"), res.headers()],
          request: [req.get("user"), req.path, req.header("host")],
        };
      },
    });
    rig.ask(get);
    rig.pool.time.cachedMs += 250;
    rig.answer("HTTP/1.1 404 no\r\nx-a: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n");
    expect(seen).toEqual({
      ...{ status: 404, pool: "auth", endpoint: "e0", elapsedMs: 250 },
      fields: [
        "1, 2",
        null,
        [
          ["x-a", "1"],
          ["x-a", "2"],
          ["content-length", "0"],
        ],
      ],
      request: ["joe", "/a", "h"],
    });
  });

  test("changes fields, after the route's own edits, and adds to the log", () => {
    const response: ResponseHook = (res, req) => {
      res.setHeader("X-Both", "hook");
      res.removeHeader("Server");
      res.appendHeader("Set-Cookie", "a=1");
      res.appendHeader("Set-Cookie", "b=2");
      expect(res.header("set-cookie")).toBe("z=0, a=1, b=2");
      expect(res.header("server")).toBeNull();
      expect(() => res.setHeader("Content-Length", "1")).toThrow("cannot be changed");
      req.log("cached", false);
      expect(() => req.setHeader("x", "1")).toThrow("too late");
    };
    const edits = { remove: [], set: [{ name: "X-Both", value: "route" }], add: [{ name: "X-Route", value: "1" }] };
    const rig = new HookRig({ response, route: { responseEdits: compileEdits(edits, "response") } });
    const client = rig.ask(get);
    rig.answer("HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: z=0\r\nContent-Length: 2\r\n\r\nok");
    expect(client.sent().split("\r\n")).toEqual([
      "HTTP/1.1 200 OK",
      "Set-Cookie: z=0",
      "Content-Length: 2",
      "X-Route: 1",
      "X-Both: hook",
      "Set-Cookie: a=1",
      "Set-Cookie: b=2",
      "",
      "ok",
    ]);
    expect(rig.counted).toEqual([0, 0]);
    expect(rig.log).toBe("200 none cached=false\n");
  });

  test("sees answers of the route and of the request hook, not errors", async () => {
    const seen: unknown[] = [];
    for (const isLater of [false, true]) {
      const answer = new Respond({ kind: "respond", status: 404, body: "gone", headers: [] });
      const rig = new HookRig({
        request: (r) => (r.query("own") === null ? undefined : { status: 401, body: "no" }),
        response(res): void | Promise<void> {
          seen.push([res.status, res.pool, res.endpoint]);
          if (!isLater) return res.setHeader("x-hook", "1");
          return Promise.resolve().then(() => res.setHeader("x-hook", `${res.header("content-type")?.length}`));
        },
        route: { pool: null, respond: answer },
      });
      const client = rig.ask(get);
      client.receive(get.replace("b=1", "own=1"));
      await settle();
      const sent = client.sent();
      const count = isLater ? "25" : "1";
      expect(sent.match(/HTTP[^\r]*|x-hook: [^\r]*|\n(gone|no)/g)).toEqual([
        "HTTP/1.1 404 Not Found",
        `x-hook: ${count}`,
        "\ngone",
        "HTTP/1.1 401 Unauthorized",
        `x-hook: ${count}`,
        "\nno",
      ]);
      expect(rig.log).toBe("404 none\n401 none\n");
      expect(nothingLeft(rig.end())).toBe(true);
    }
    expect(seen).toEqual([
      [404, "", ""],
      [401, "", ""],
      [404, "", ""],
      [401, "", ""],
    ]);
    const refused = new HookRig({ response: () => void seen.push("an error") });
    refused.ask(get);
    refused.pool.latest.break();
    expect(refused.log).toBe("502 refused\n");
    expect(seen.length).toBe(4);
  });

  test("that throws costs its client the response, and the endpoint nothing", () => {
    const rig = new HookRig({
      response() {
        throw new Error("no");
      },
    });
    const client = rig.ask(get);
    rig.answer();
    expect(client.sent()).toStartWith("HTTP/1.1 500 Internal Server Error");
    expect(rig.log).toBe("500 hook\n");
    expect(rig.counted).toEqual([1, 0]);
    expect(rig.reports[0]).toContain('"hook":"response","error":"Error: no"');
    expect(rig.pool.sum("failures")).toBe(0);
    client.receive(get);
    rig.answer();
    expect(client.sent()).toStartWith("HTTP/1.1 500");
    expect(nothingLeft(rig.end())).toBe(true);
  });

  test("that throws about an answer of ours costs that, too", () => {
    const answer = new Respond({ kind: "respond", status: 200, body: "fine", headers: [] });
    const rig = new HookRig({
      response() {
        throw new Error("no");
      },
      route: { pool: null, respond: answer },
    });
    expect(headOf(rig.ask(get))).toStartWith("HTTP/1.1 500");
    expect(rig.log).toBe("500 hook\n");
    expect(rig.underWay).toEqual(idle);
  });

  test("that throws is passed over where the route says so, with all that it has done", () => {
    const rig = new HookRig({
      onError: "bypass",
      response(res) {
        res.setHeader("x-hook", "1");
        throw new Error("no");
      },
    });
    const client = rig.ask(get);
    rig.answer();
    expect(client.sent()).toBe(ok);
    expect(rig.counted).toEqual([1, 0]);
  });

  test("may keep what it was given, and learns nothing from it afterwards", () => {
    let kept: readonly [HookResponseView, HookRequest] | null = null;
    const rig = new HookRig({ response: (res, req) => void (kept ??= [res, req]) });
    const client = rig.ask(get);
    rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    const [res, req] = kept as unknown as readonly [HookResponseView, HookRequest];
    expect(() => res.setHeader("x", "1")).toThrow("too late");
    expect(() => res.header("x")).toThrow("has gone on");
    expect(req.path).toBe("/a");
    rig.pool.latest.receive("k");
    client.receive(get);
    expect(() => res.header("x")).toThrow("is over");
    expect(() => res.elapsedMs).toThrow("is over");
    expect(() => req.path).toThrow("is over");
  });
});

/** A rig whose response hook waits for the gate, and then says so in a field. */
function waiting(more: { onError?: "bypass"; route?: object } = {}): {
  rig: HookRig;
  gate: PromiseWithResolvers<void>;
} {
  const gate = later();
  const rig = new HookRig({
    async response(res) {
      await gate.promise;
      res.setHeader("x-hook", `${res.status} ${res.header("x-a")}`);
    },
    ...more,
  });
  return { rig, gate };
}

describe("an asynchronous response hook", () => {
  const bodies: readonly (readonly [name: string, pieces: readonly string[], body: string])[] = [
    ["of a known length", ["Content-Length: 6\r\n\r\nab", "cd", "ef"], "abcdef"],
    ["that came whole", ["Content-Length: 6\r\n\r\nabcdef"], "abcdef"],
    ["of nothing", ["Content-Length: 0\r\n\r\n"], ""],
    [
      "in chunks",
      ["Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "3\r\ndef\r\n0\r\nT: 1\r\n\r\n"],
      "3\r\nabc\r\n3\r\ndef\r\n0\r\nT: 1\r\n\r\n",
    ],
    ["up to the end", ["Connection: close\r\n\r\nab", "cdef"], "2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n"],
  ];
  test.each(bodies)("holds back a body %s", async (name, [first, ...rest], body) => {
    const { rig, gate } = waiting();
    const client = rig.ask(get);
    rig.answer(`HTTP/1.1 200 OK\r\nX-A: 1\r\n${first}`);
    const endpoint = rig.pool.latest;
    endpoint.receive(...rest);
    if (name === "up to the end") endpoint.receiveFin();
    expect(client.sent()).toBe("");
    gate.resolve();
    await settle();
    while (endpoint.pump());
    const sent = client.sent();
    const end = sent.indexOf("\r\n\r\n") + 4;
    expect(sent.slice(0, end)).toStartWith("HTTP/1.1 200 OK\r\nX-A: 1\r\n");
    expect(sent.slice(0, end)).toContain("\r\nx-hook: 200 1\r\n");
    expect(sent.slice(end)).toBe(body);
    expect(rig.log).toBe("200 none\n");
    expect(rig.counted).toEqual([0, 0]);
    expect(nothingLeft(rig.end())).toBe(true);
  });

  test("holds back a response whose end is the end of the connection, and which is empty", async () => {
    const { rig, gate } = waiting();
    const client = rig.ask("GET / HTTP/1.0\r\nHost: h\r\n\r\n");
    rig.answer("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    rig.pool.latest.receiveFin();
    expect(client.sent()).toBe("");
    gate.resolve();
    await settle();
    expect(client.sent()).toContain("x-hook: 200 null\r\n");
    expect(rig.log).toBe("200 none\n");
    expect(nothingLeft(rig.end())).toBe(true);
  });

  test("keeps the connection to the endpoint, and goes on with the next request", async () => {
    const { rig, gate } = waiting();
    const client = rig.ask(get);
    client.receive(get.replace("/a", "/second"));
    rig.answer();
    gate.resolve();
    await settle();
    expect(rig.pool.connections.length).toBe(1);
    expect(rig.answer(ok)).toStartWith("GET /second");
    await settle();
    expect(client.sent().match(/\nok/g)?.length).toBe(2);
    expect(rig.log).toBe("200 none\n200 none\n");
    expect(nothingLeft(rig.end())).toBe(true);
  });

  test("holds back a tunnel, and what comes through it", async () => {
    const { rig, gate } = waiting();
    const upgrade = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (const early of ["", "first "]) {
      const client = rig.ask(upgrade);
      rig.answer(`HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n${early}`);
      const endpoint = rig.pool.latest;
      endpoint.receive("frame");
      expect(client.sent()).toBe("");
      gate.resolve();
      await settle();
      while (endpoint.pump());
      const sent = client.sent();
      expect(sent).toStartWith("HTTP/1.1 101");
      expect(sent).toContain("x-hook: 101 null\r\n");
      expect(sent).toEndWith(`\r\n\r\n${early}frame`);
      client.receive("back");
      expect(endpoint.sent()).toEndWith("back");
      client.break();
    }
  });

  test("holds back a tunnel whose endpoint goes meanwhile: there is none", async () => {
    const { rig, gate } = waiting();
    const client = rig.ask("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    rig.answer("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst");
    rig.pool.latest.break();
    gate.resolve();
    await settle();
    expect(client.sent()).toStartWith("HTTP/1.1 502");
    expect(client.sent()).not.toContain("first");
    expect([rig.log, rig.underWay, rig.pool.connector.open]).toEqual(["502 reset\n", idle, 0]);
    expect(nothingLeft(rig.end())).toBe(true);
  });

  test("that is late, or rejects, costs the response or is passed over", async () => {
    for (const onError of ["fail", "bypass"] as const) {
      for (const how of ["late", "rejects"] as const) {
        const gate = later();
        const rig = new HookRig({
          onError,
          async response(res) {
            res.setHeader("x-early", "1");
            await gate.promise;
            res.setHeader("x-late", "1");
          },
        });
        const client = rig.ask(get);
        rig.answer();
        if (how === "late") rig.pool.time.pass(timeoutMs);
        else gate.reject(new Error("no"));
        await settle();
        if (onError === "bypass") expect(client.sent()).toBe(ok);
        else expect(client.sent()).toStartWith("HTTP/1.1 500");
        expect(rig.counted).toEqual(how === "late" ? [0, 1] : [1, 0]);
        expect(rig.pool.sum("failures")).toBe(0);
        gate.resolve();
        await settle();
        expect(rig.counted).toEqual(how === "late" ? [0, 1] : [1, 0]);
        expect(nothingLeft(rig.end())).toBe(true);
      }
    }
  });

  test("is forgotten when the endpoint or the client goes, or the route's time is over", async () => {
    for (const gone of ["endpoint", "client", "total"] as const) {
      const { rig, gate } = waiting({ route: { totalMs: 500 } });
      const client = rig.ask(get);
      rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
      if (gone === "endpoint") rig.pool.latest.break();
      else if (gone === "client") client.break();
      else rig.pool.time.pass(500);
      expect(rig.log).toBe({ endpoint: "502 reset\n", client: "200 reset\n", total: "504 timeout\n" }[gone]);
      gate.resolve();
      await settle();
      expect(client.sent()).not.toContain("x-hook");
      expect(rig.counted).toEqual([0, 0]);
      expect(rig.underWay).toEqual(idle);
      expect(nothingLeft(rig.end())).toBe(true);
    }
  });

  test("is not overtaken by a client that reads again, or an endpoint that reads slowly", async () => {
    const { rig, gate } = waiting();
    const client = rig.ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    const endpoint = rig.pool.latest.open();
    endpoint.receive("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 6\r\n\r\nabc");
    client.drain(100);
    client.receive("cd");
    endpoint.drain(100);
    endpoint.receive("def");
    expect(client.sent()).toBe("");
    gate.resolve();
    await settle();
    while (endpoint.pump());
    expect(client.sent()).toEndWith("x-hook: 200 1\r\n\r\nabcdef");
    expect(rig.pool.columns.endpoint(0, endpoint.row)[EC.status2xx]).toBe(1);
    expect(rig.underWay).toEqual(idle);
  });

  test("is not overtaken by an interim response that the client takes late", async () => {
    const { rig, gate } = waiting();
    const client = rig.ask(get);
    client.room = 10;
    const endpoint = rig.pool.latest.open();
    endpoint.receive("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    endpoint.receive("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", "def");
    client.drain(10_000);
    expect(client.sent()).toEndWith("Link: </a.css>\r\n\r\n");
    gate.resolve();
    await settle();
    while (endpoint.pump());
    expect(client.sent()).toEndWith("x-hook: 200 null\r\n\r\nabcdef");
    expect(rig.underWay).toEqual(idle);
  });

  test("is asked anew about the answer to a repeated request", async () => {
    const gates = [later(), later()];
    const shown: string[] = [];
    const rig = new HookRig({
      endpoints: [{}, {}],
      route: { retry: compileRetry({ ...defaultRetry, on: ["reset"], bufferBytes: 1024 }) },
      async response(res) {
        shown.push(res.header("x-a")!);
        await gates[shown.length - 1]!.promise;
        res.setHeader("x-hook", res.header("x-a")!);
      },
    });
    const client = rig.ask("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    const first = rig.pool.latest.open();
    first.receive("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 6\r\n\r\n"); // before it has the whole request
    first.write = () => -1;
    client.receive("cd");
    first.receiveFin(); // and is gone before it has sent the whole answer
    const second = rig.pool.latest.open();
    expect(second).not.toBe(first);
    expect(second.sent()).toEndWith("\r\n\r\nabcd");
    gates[0]!.resolve();
    await settle();
    second.receive("HTTP/1.1 200 OK\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nok");
    await settle();
    expect(client.sent()).toBe("");
    gates[1]!.resolve();
    await settle();
    while (second.pump());
    expect(client.sent()).toEndWith("x-hook: 2\r\n\r\nok");
    expect(shown).toEqual(["1", "2"]);
    expect(rig.underWay).toEqual(idle);
  });
});
