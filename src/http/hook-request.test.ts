// Request hooks: what they are told, what they can do to the request, and that whatever they do stays their own
// request's business.

import { describe, expect, test } from "bun:test";
import type { HookRequest, RequestHook } from "../config/ts/hook-types.ts";
import { get, headOf, HookRig, later, ok, settle, timeoutMs } from "./hook-rig.ts";
import { bench } from "./hooks.bench.ts";
import { Respond } from "./respond.ts";
import { Rewrite } from "./rewrite.ts";

const idle = [0, 0, 0, 0, 0, 0];

/** Field lines of what an endpoint was sent, in lower case, without those that every request has. */
function fieldsOf(sent: string): string[] {
  const lines = sent.split("\r\n\r\n", 1)[0]!.split("\r\n").slice(1);
  return lines.filter((line) => !/^(x-forwarded|x-real-ip|x-request-id|traceparent)/i.test(line));
}

describe("a request hook is told", () => {
  test("everything about its request", () => {
    let seen: unknown;
    const rig = new HookRig({
      request(r) {
        seen = {
          ...{ method: r.method, url: r.url, path: r.path, search: r.search, host: r.host, hostname: r.hostname },
          ...{ scheme: r.scheme, source: r.source, listener: r.listener, route: r.route, id: r.requestId },
          fields: [r.header("X-A"), r.header("x-none"), r.header("cookie")],
          cookies: [r.cookie("a"), r.cookie("b"), r.cookie("c")],
          arguments: [r.query("b"), r.query("t"), r.query("none")],
          headers: r.headers(),
        };
      },
    });
    const head = ["Host: Shop.Example:8080", "x-a: 1", "X-A:  2 ", "Cookie: a=1; b=%20", "X-Request-Id: id-1"];
    rig.forwarded(`POST /x/../%7ea?b=1&t=a+b%21 HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n`);
    expect(seen).toEqual({
      ...{ method: "POST", url: "/~a?b=1&t=a+b%21", path: "/~a", search: "?b=1&t=a+b%21" },
      ...{ host: "shop.example:8080", hostname: "shop.example", scheme: "http", source: "192.0.2.7" },
      ...{ listener: "web", route: "shop", id: "id-1" },
      fields: ["1, 2", null, "a=1; b=%20"],
      cookies: ["1", "%20", null],
      arguments: ["1", "a b!", null],
      headers: [
        ["host", "Shop.Example:8080"],
        ["x-a", "1"],
        ["x-a", "2"],
        ["cookie", "a=1; b=%20"],
        ["x-request-id", "id-1"],
      ],
    });
  });

  test("the id that the endpoint gets, and what is not there", () => {
    let seen: unknown[] = [];
    const request: RequestHook = (r) => void (seen = [r.requestId, r.search, r.query("a"), r.cookie("a"), r.get("k")]);
    const rig = new HookRig({ request });
    const sent = rig.forwarded("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    const id = /X-Request-Id: (\w+)/.exec(sent)![1];
    expect(seen).toEqual([id, "", null, null, undefined]);
  });

  test("what checks before it have put into the request", () => {
    let seen: unknown[] = [];
    const rig = new HookRig({
      checks: [
        {
          check(x) {
            x.extras.push({
              apply(head, added) {
                head.fields[1 * 6 + 5]! |= 0x200; // Authorization is dropped
                added.putText("X-User: joe\r\n");
              },
            });
            return 0;
          },
        },
      ],
      request: (r) => void (seen = [r.header("x-user"), r.header("authorization"), r.headers().map(([name]) => name)]),
    });
    const sent = rig.forwarded("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: x\r\n\r\n");
    expect(seen).toEqual(["joe", null, ["host", "x-user"]]);
    expect(fieldsOf(sent)).toEqual(["Host: h", "X-User: joe"]);
  });
});

describe("a request hook changes", () => {
  test("fields, and sees its own changes", () => {
    let seen: unknown;
    const rig = new HookRig({
      request(r) {
        r.setHeader("X-User", ["a", " b "]);
        r.appendHeader("X-User", "c");
        r.appendHeader("X-More", "2");
        r.removeHeader("x-gone");
        r.setHeader("X-Forwarded-For", "10.0.0.1");
        seen = [r.header("x-user"), r.header("x-more"), r.header("x-gone"), r.headers()];
      },
    });
    const head = ["Host: h", "x-user: evil", "X_User: evil", "X-More: 1", "X-Gone: 1", "x_gone: 1"];
    const sent = rig.forwarded(`GET / HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n`);
    expect(fieldsOf(sent)).toEqual(["Host: h", "X-More: 1", "X-User: a", "X-User: b", "X-User: c", "X-More: 2"]);
    expect(sent.match(/^X-Forwarded-For: .*$/gm)).toEqual(["X-Forwarded-For: 10.0.0.1"]);
    expect(seen).toEqual([
      "a, b, c",
      "1, 2",
      null,
      [
        ["host", "h"],
        ["x_user", "evil"],
        ["x-more", "1"],
        ["x_gone", "1"],
        ["x-user", "a"],
        ["x-user", "b"],
        ["x-user", "c"],
        ["x-more", "2"],
        ["x-forwarded-for", "10.0.0.1"],
      ],
    ]);
  });

  test("path and host, after a rewrite of the route, for every attempt", () => {
    const rewrite = new Rewrite({ path: "^/a", to: "/rewritten", host: "rewritten" });
    const rig = new HookRig({
      endpoints: [{}, {}],
      route: { rewrite },
      request(r) {
        r.setPath("/new/%20");
        r.setHost("[::1]:80");
        expect([r.path, r.host]).toEqual(["/a", "h"]);
      },
    });
    rig.ask(get);
    const first = rig.pool.latest.open();
    expect(first.sent()).toStartWith("GET /new/%20?b=1 HTTP/1.1\r\nHost: [::1]:80\r\n");
    first.break();
    const second = rig.pool.latest.open();
    expect(second.row).not.toBe(first.row);
    expect(second.sent()).toStartWith("GET /new/%20?b=1 HTTP/1.1\r\nHost: [::1]:80\r\n");
  });

  test.each([
    ["/x", "/x?b=1"],
    ["/x?", "/x?"],
    ["/x?c=2", "/x?c=2"],
    ["/", "/?b=1"],
  ])("the path to %s", (path, target) => {
    const rig = new HookRig({ request: (r) => r.setPath(path) });
    expect(rig.forwarded()).toStartWith(`GET ${target} HTTP/1.1\r\n`);
  });

  test("the pool, also of a route that answers itself", () => {
    const answer = new Respond({ kind: "respond", status: 404, body: "", headers: [] });
    const request: RequestHook = (r) => {
      if (r.path === "/a") r.forwardTo("app");
    };
    const rig = new HookRig({ request, route: { pool: null, respond: answer } });
    expect(rig.forwarded()).toStartWith("GET /a?b=1");
    expect(headOf(rig.ask("GET /b HTTP/1.1\r\nHost: h\r\n\r\n"))).toStartWith("HTTP/1.1 404");
  });

  test("the line in the access log", () => {
    const rig = new HookRig({
      request(r) {
        r.log("user", "joe");
        r.log("plan", 1);
        r.log("user", "ann");
      },
    });
    rig.forwarded();
    expect(rig.log).toBe('200 none user="ann" plan=1\n');
  });

  const wrong: readonly (readonly [string, (r: HookRequest) => void, string])[] = [
    ["a name", (r) => r.setHeader("x y", "1"), '"x y" is not the name of a header'],
    ["a name that is none", (r) => r.setHeader(1 as never, "1"), "a number is not the name of a header"],
    ["Host", (r) => r.setHeader("Host", "x"), "the header Host cannot be changed: use setHost"],
    ["framing", (r) => r.removeHeader("content-length"), "it belongs to the connection"],
    ["a value with a line end", (r) => r.setHeader("x-a", "1\r\nx-b: 2"), "cannot be the value of the header x-a"],
    ["a value in Unicode", (r) => r.appendHeader("x-a", "\u0105"), "encodeURIComponent()"],
    ["a value that is none", (r) => r.setHeader("x-a", null as never), "is not"],
    ["one value of several", (r) => r.setHeader("x-a", ["1", 2 as never]), "a number cannot be the value"],
    ["too many fields", (r) => r.setHeader("x-a", Array(70).fill("x".repeat(1000))), "65536 bytes of header fields"],
    ["a path with a blank", (r) => r.setPath("/a b"), 'setPath: "/a b" is no path'],
    ["a path without a slash", (r) => r.setPath("a"), "is no path"],
    ["a path with a fragment", (r) => r.setPath("/a#b"), "is no path"],
    ["a path that climbs", (r) => r.setPath("/a/%2e%2E/b"), "has dot segments"],
    ["a path that is a host", (r) => r.setPath("//evil"), "begins with two slashes"],
    ["a long path", (r) => r.setPath(`/${"x".repeat(40_000)}`), "longer than 32768 bytes"],
    ["a host", (r) => r.setHost("a b"), 'setHost: "a b" is no host'],
    ["a host that is none", (r) => r.setHost(null as never), "is no host"],
    ["a pool", (r) => r.forwardTo("ap"), 'forwardTo: there is no pool "ap"'],
    ["a name for the log", (r) => r.log("a b", 1), 'log: "a b" is not the name of a field'],
    ["a name that the log has", (r) => r.log("status", 1), "the access log has a field status of its own"],
    ["a value for the log", (r) => r.log("x", {} as never), "log: x: expected a text, a number, true or false"],
    ["no number for the log", (r) => r.log("x", NaN), "log: x: expected"],
    ["much for the log", (r) => Array.from({ length: 33 }, (_, i) => r.log(`f${i}`, 1)), "more than 32 fields"],
  ];
  test.each(wrong)("nothing by mistake: %s", (_, request, message) => {
    const rig = new HookRig({ request });
    expect(headOf(rig.ask(get))).toStartWith("HTTP/1.1 500");
    expect(rig.counted).toEqual([1, 0]);
    expect(rig.errors[0]).toContain(message);
    expect(rig.underWay).toEqual(idle);
  });
});

describe("a request hook answers", () => {
  test("with status, fields and a body", () => {
    const rig = new HookRig({
      request: () => ({ status: 401, headers: { "WWW-Authenticate": ["a", "b"], Date: "never" }, body: "nö\n" }),
    });
    const client = rig.ask(get);
    expect(client.sent()).toBe(
      "HTTP/1.1 401 Unauthorized\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nWWW-Authenticate: a\r\n" +
        "WWW-Authenticate: b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\nn\u00c3\u00b6\n",
    );
    client.receive("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(client.sent()).toEndWith("Content-Length: 4\r\n\r\n");
    expect(rig.log).toBe("401 none\n401 none\n");
    expect(rig.pool.connections.length).toBe(0);
    expect(rig.counted).toEqual([0, 0]);
  });

  test.each([
    [{ status: 204, body: "not sent" }, "\r\n\r\n"],
    [{ status: 200 }, "Content-Length: 0\r\n\r\n"],
    [{ status: 200, body: new Uint8Array([65, 66]) }, "GMT\r\nContent-Length: 2\r\n\r\nAB"],
    [
      { status: 200, body: "{}", headers: { "content-type": "application/json" } },
      "json\r\nContent-Length: 2\r\n\r\n{}",
    ],
  ])("%j", (said, end) => {
    const rig = new HookRig({ request: () => said });
    expect(rig.ask(get).sent()).toEndWith(end);
  });

  test("to a request whose body is on its way", () => {
    const rig = new HookRig({ request: () => ({ status: 403 }) });
    const client = rig.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    expect(headOf(client)).toStartWith("HTTP/1.1 403");
    client.receive("cdGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(headOf(client)).toStartWith("HTTP/1.1 403");
    expect(rig.underWay).toEqual(idle);
  });

  test.each([
    [5, "the hook returned a number; expected nothing, or { status, headers, body }"],
    ["text", 'the hook returned "text"'],
    [{ status: 600 }, "expected a number from 200 to 599"],
    [{ status: 101 }, "expected a number from 200 to 599"],
    [{ status: "200" }, "expected a number from 200 to 599"],
    [{ status: 200, body: 5 }, "the hook returned a number for a body"],
    [{ status: 200, body: "x".repeat(1024 * 1024 + 1) }, "the hook's body is over 1048576 bytes"],
    [{ status: 200, headers: 5 }, "the hook returned a number for headers"],
    [{ status: 200, headers: { "x a": "" } }, "is not the name of a header"],
    [{ status: 200, headers: { connection: "close" } }, "the header connection cannot be changed"],
    [{ status: 200, headers: { "x-a": Array(1000).fill("1") } }, "more headers than a response can have"],
  ])("nothing by mistake: %j", (said, message) => {
    const rig = new HookRig({ request: () => said as never });
    expect(headOf(rig.ask(get))).toStartWith("HTTP/1.1 500");
    expect(rig.errors[0]).toContain(message);
    expect(rig.log).toBe("500 hook\n");
  });
});

describe("a request hook that throws", () => {
  const thrown: readonly unknown[] = [
    new TypeError("no"),
    "a text",
    null,
    undefined,
    Object.create(null),
    {
      toString() {
        throw new Error("even this");
      },
    },
    Object.defineProperty(new Error("x"), "message", {
      get() {
        throw new Error("even this");
      },
    }),
  ];

  test.each(thrown.map((what, i) => [i, what] as const))("fails its request, whatever it throws (%#)", (_, what) => {
    const rig = new HookRig({
      request() {
        throw what;
      },
    });
    const client = rig.ask(get);
    expect(client.sent()).toStartWith("HTTP/1.1 500 Internal Server Error");
    client.receive(get); // the connection goes on
    expect(client.sent()).toStartWith("HTTP/1.1 500");
    expect(rig.counted).toEqual([2, 0]);
    expect(rig.log).toBe("500 hook\n500 hook\n");
    expect(rig.underWay).toEqual(idle);
  });

  test("is passed over where the route says so, with all that it has done", () => {
    const rig = new HookRig({
      onError: "bypass",
      request(r) {
        r.setHeader("x-a", "1");
        r.setPath("/x");
        r.log("a", 1);
        throw new Error("no");
      },
    });
    expect(fieldsOf(rig.forwarded())).toEqual(["Host: h"]);
    expect(rig.log).toBe("200 none\n");
    expect(rig.counted).toEqual([1, 0]);
    expect(rig.reports[0]).toStartWith("hook failed, the request went on without it");
  });

  test("is reported with its place, not more than once a second", () => {
    const rig = new HookRig({
      request() {
        throw new TypeError("no way");
      },
    });
    for (let i = 0; i < 5; i++) rig.ask(get);
    expect(rig.reports.length).toBe(1);
    expect(rig.reports[0]).toMatch(
      /"route":"shop","hook":"request","error":"TypeError: no way","at":".*test\.ts:\d+:\d+"\}$/,
    );
    rig.pool.time.pass(1000);
    rig.ask(get);
    expect(rig.reports.length).toBe(2);
    expect(rig.reports[1]).toContain('"unreported":4');
    expect(rig.counted).toEqual([6, 0]);
  });
});

describe("an asynchronous request hook", () => {
  test("holds its request back, body and all", async () => {
    const gate = later();
    const rig = new HookRig({
      async request(r) {
        await gate.promise;
        r.setHeader("x-late", r.path);
      },
    });
    const client = rig.ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    expect(rig.pool.connections.length).toBe(0);
    client.receive("cd");
    expect(client.paused).toBe(true);
    gate.resolve();
    await settle();
    const endpoint = rig.pool.latest.open();
    client.pump();
    const sent = endpoint.sent();
    expect(sent).toContain("x-late: /a\r\n");
    expect(sent).toEndWith("\r\n\r\nabcd");
    endpoint.receive(ok);
    expect(client.sent()).toEndWith("ok");
    expect(rig.counted).toEqual([0, 0]);
    expect(rig.end().every((left) => left === 0)).toBe(true);
  });

  test("may answer, also later, and also with nonsense", async () => {
    for (const [said, status] of [
      [{ status: 418 }, 418],
      [5, 500],
    ] as const) {
      const rig = new HookRig({ request: () => Promise.resolve(said as never) });
      const client = rig.ask(get);
      expect(client.sent()).toBe("");
      await settle();
      expect(client.sent()).toStartWith(`HTTP/1.1 ${status}`);
      expect(rig.end().every((left) => left === 0)).toBe(true);
    }
  });

  test("that rejects fails its request", async () => {
    const rig = new HookRig({ request: () => Promise.reject(new Error("no")) });
    const client = rig.ask(get);
    await settle();
    expect(client.sent()).toStartWith("HTTP/1.1 500");
    expect(rig.counted).toEqual([1, 0]);
    expect(rig.reports[0]).toContain("Error: no");
  });

  test("that is late fails its request, and what it does afterwards is nobody's", async () => {
    const gate = later();
    const after: unknown[] = [];
    const rig = new HookRig({
      async request(r) {
        await gate.promise;
        for (const late of [() => r.path, () => r.setHeader("x", "1"), () => r.log("a", 1)]) {
          try {
            after.push(late());
          } catch (error) {
            after.push((error as Error).message.split(":")[0]);
          }
        }
        throw new Error("and this");
      },
    });
    const client = rig.ask(get);
    rig.pool.time.pass(timeoutMs);
    expect(client.sent()).toStartWith("HTTP/1.1 500");
    expect(rig.counted).toEqual([0, 1]);
    expect(rig.reports[0]).toContain("not done after 1000 ms");
    client.receive(get); // perhaps in the same exchange
    gate.resolve();
    await settle();
    expect(after).toEqual(Array(6).fill("this request is over").slice(0, 3).concat(["/a", undefined, undefined]));
    expect(rig.counted).toEqual([1, 1]);
  });

  test("that is late is passed over where the route says so", async () => {
    const gate = later();
    const rig = new HookRig({
      onError: "bypass",
      async request(r) {
        r.setHeader("x-early", "1");
        await gate.promise;
        r.setHeader("x-late", "1");
      },
    });
    const client = rig.ask(get);
    rig.pool.time.pass(timeoutMs);
    const endpoint = rig.pool.latest.open();
    gate.resolve();
    await settle();
    expect(fieldsOf(endpoint.sent())).toEqual(["Host: h"]);
    endpoint.receive(ok);
    expect(client.sent()).toEndWith("ok");
    expect(rig.counted).toEqual([0, 1]);
    expect(rig.end().every((left) => left === 0)).toBe(true);
  });

  test("is forgotten when its client goes, or the route's time is over", async () => {
    const gate = later();
    for (const gone of ["client", "total"]) {
      const rig = new HookRig({ request: () => gate.promise, route: { totalMs: 500 } });
      const client = rig.ask(get);
      if (gone === "client") client.break();
      else rig.pool.time.pass(500);
      expect(rig.log).toBe(gone === "client" ? "0 reset\n" : "504 timeout\n");
      expect(rig.underWay).toEqual(idle);
      gate.resolve();
      await settle();
      expect(rig.pool.connections.length).toBe(0);
      expect(rig.counted).toEqual([0, 0]);
      expect(rig.end().every((left) => left === 0)).toBe(true);
    }
  });

  test("may give back any thenable", async () => {
    // oxlint-disable-next-line unicorn/no-thenable -- that is what is tested
    const thenable = { then: (done: (said: unknown) => void) => done({ status: 299 }) };
    const rig = new HookRig({ request: () => thenable as never });
    const client = rig.ask(get);
    await settle();
    expect(client.sent()).toStartWith("HTTP/1.1 299");
  });
});

describe("requests are kept apart", () => {
  test("a hook that reads another request's object gets that one's facts, and spoils nobody's", () => {
    const seen: HookRequest[] = [];
    const read: string[] = [];
    const rig = new HookRig({
      request(r) {
        seen.push(r);
        for (const one of seen) read.push(`${one.url} ${one.header("x-n")} ${one.requestId.length}`);
      },
    });
    const ask = (n: number): void => void rig.ask(`GET /x/./${n}?q=${n} HTTP/1.1\r\nHost: h${n}\r\nX-N: ${n}\r\n\r\n`);
    for (const n of [1, 2, 3]) ask(n);
    expect(read).toEqual([1, 1, 2, 1, 2, 3].map((n) => `/x/${n}?q=${n} ${n} 32`));
    for (const [i, connection] of rig.pool.connections.entries()) {
      const sent = connection.open().sent();
      expect(sent).toStartWith(`GET /x/${i + 1}?q=${i + 1} HTTP/1.1\r\nHost: h${i + 1}\r\nX-N: ${i + 1}\r\n`);
    }
  });

  test("after its end a request says nothing any more, and after its hook it cannot be changed", () => {
    let kept: HookRequest | null = null;
    const rig = new HookRig({ request: (r) => void (kept ??= r) });
    rig.ask(get);
    const request = kept as unknown as HookRequest;
    expect(request.path).toBe("/a");
    expect(() => request.setHeader("x", "1")).toThrow("too late");
    expect(() => request.setPath("/x")).toThrow("too late");
    expect(() => request.forwardTo("app")).toThrow("too late");
    rig.answer();
    rig.ask(get.replace("/a", "/other"));
    for (const say of [() => request.path, () => request.header("x"), () => request.route, () => request.get("k")]) {
      expect(say).toThrow("this request is over");
    }
    expect(() => request.set("k", 1)).toThrow("this request is over");
    expect(() => request.setHeader("x", "1")).toThrow("this request is over");
  });
});

test("the bench runs", async () => {
  for (const ns of Object.values(await bench(20))) expect(ns).toBeGreaterThan(0);
});
