// The endpoint's side of HTTP/1.1 on a connection in memory: requests, responses of every framing, reuse,
// back-pressure, endings and deadlines.

import { describe, expect, test } from "bun:test";
import { interimResponsesMax, lingerMs, responseHeadBytesMax } from "../base/limits.ts";
import { Cause } from "../base/ports.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { BODY_CHUNKED, BODY_UNTIL_CLOSE } from "../wire/head.ts";
import { lent } from "../base/lending.ts";
import { Flow } from "./stream.ts";
import { ClientRig, clientTimeouts, nothing, requestHead, ServerRig } from "./test-kit.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const post = (field: string): string => `POST / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`;
const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
const data = (rig: ClientRig, text: string, last: boolean): Flow =>
  rig.client.sendData(latin1(text), 0, text.length, last);

/** A connection that has sent a request and received these bytes. */
function answered(response: string, request = get): ClientRig {
  const rig = ClientRig.asking(request);
  rig.connection.receive(response);
  return rig;
}

describe("requests", () => {
  test("a head passes unchanged, with the added fields behind it", () => {
    const rig = ClientRig.asking("GET /x HTTP/1.1\r\nhost:  a\r\nConnection: x\r\nX: 1\r\nY: 2\r\n\r\n");
    expect(rig.connection.sent()).toBe("GET /x HTTP/1.1\r\nhost:  a\r\nY: 2\r\n\r\n");
    expect([rig.connected, rig.client.requests, rig.client.reused]).toEqual([1, 1, false]);
  });
  test("a body of known length passes as it is", () => {
    const rig = ClientRig.asking(post("Content-Length: 10"));
    data(rig, "hello", false);
    data(rig, "world", true);
    expect(rig.connection.sent()).toBe(`${post("Content-Length: 10")}helloworld`);
  });
  test("a chunked body is sent in our own chunks, with trailers", () => {
    const rig = ClientRig.asking(post("Transfer-Encoding: chunked"));
    data(rig, "hello", false);
    data(rig, "", false);
    const trailers = requestHead("GET / HTTP/1.0\r\nT: 1\r\n\r\n");
    trailers.start = trailers.startLineEnd + 2; // the field lines alone
    rig.client.sendTrailers(trailers);
    expect(rig.connection.sent()).toBe(`${post("Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\nT: 1\r\n\r\n`);
  });
  test("or as it stands", () => {
    const rig = ClientRig.asking(post("Transfer-Encoding: chunked"));
    expect(rig.client.takesRawChunks()).toBe(true);
    data(rig, "05\r\nhello\r\n0\r\n\r\n", true);
    expect(rig.connection.sent()).toBe(`${post("Transfer-Encoding: chunked")}05\r\nhello\r\n0\r\n\r\n`);
    expect(ClientRig.asking(post("Content-Length: 5")).client.takesRawChunks()).toBe(false);
  });
  test("an upgrade is asked for in our own words", () => {
    const rig = ClientRig.asking(upgrade);
    expect(rig.connection.sent()).toBe(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
  });
  for (const [address, host] of [
    ["192.0.2.7", "192.0.2.7:4321"],
    ["2001:db8::1", "[2001:db8::1]:4321"],
  ] as const) {
    test(`RFC 9112 3.2: a request without Host (HTTP/1.0) gets the endpoint's address as Host: ${host}`, () => {
      const rig = new ClientRig(address);
      rig.client.onOpen();
      rig.ask("GET /x HTTP/1.0\r\nA: 1\r\n\r\n");
      expect(rig.connection.sent()).toBe(`GET /x HTTP/1.1\r\nA: 1\r\nHost: ${host}\r\n\r\n`);
    });
  }
  test("a head waits for body bytes of the same call, and leaves with them", () => {
    const rig = new ClientRig();
    rig.client.onOpen();
    rig.client.sendHead(requestHead(post("Content-Length: 5")), nothing, false, true);
    expect(rig.connection.accepted).toBe(0);
    data(rig, "hello", true);
    expect(rig.connection.sent()).toBe(`${post("Content-Length: 5")}hello`);
  });
});

describe("response bodies (RFC 9112 6.3)", () => {
  test("of known length", () => {
    const rig = answered(ok("hello"));
    expect(rig.sink).toMatchObject({ heads: ["200\r\nContent-Length: 5\r\n"], body: "hello", ends: 1 });
    expect(rig.client.isReusable).toBe(true);
  });
  test("empty", () => {
    const rig = answered(ok(""));
    expect([rig.sink.ends, rig.client.isReusable]).toEqual([1, true]);
  });
  test("chunked, with trailers", () => {
    const rig = answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: 1\r\n\r\n");
    expect(rig.sink).toMatchObject({ bodyLength: BODY_CHUNKED, body: "hello", trailers: "T: 1\r\n", ends: 1 });
    expect(rig.client.isReusable).toBe(true);
  });
  test("until FIN", () => {
    const rig = answered("HTTP/1.1 200 OK\r\n\r\nhel");
    rig.connection.receive("lo");
    expect(rig.sink).toMatchObject({ bodyLength: BODY_UNTIL_CLOSE, body: "hello", ends: 0 });
    rig.connection.receiveFin();
    expect([rig.sink.ends, rig.sink.resets, rig.client.isReusable]).toEqual([1, [], false]);
  });
  test("until an orderly close", () => {
    const rig = answered("HTTP/1.1 200 OK\r\n\r\nhello");
    rig.connection.break(Cause.None);
    expect([rig.sink.ends, rig.sink.resets, rig.gone]).toEqual([1, [], 1]);
  });
  test("RFC 9112 8: until close, but broken: incomplete", () => {
    const rig = answered("HTTP/1.1 200 OK\r\n\r\nhello");
    rig.connection.break(Cause.Reset);
    expect([rig.sink.ends, rig.sink.resets]).toEqual([0, ["Endpoint ResponseBody reset"]]);
  });
  test("none for HEAD, 204 and 304; the connection is kept", () => {
    const rig = answered("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", get.replace("GET", "HEAD"));
    expect([rig.sink.ends, rig.client.isReusable]).toEqual([1, true]);
    for (const status of ["204 x", "304 x"]) {
      const other = answered(`HTTP/1.1 ${status}\r\nContent-Length: 5\r\n\r\n`);
      expect([other.sink.ends, other.client.isReusable]).toEqual([1, true]);
    }
  });
  test("in single bytes", () => {
    const text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    const rig = ClientRig.asking();
    rig.connection.receive(...text);
    expect([rig.sink.body, rig.sink.ends, rig.client.isReusable]).toEqual(["hello world", 1, true]);
  });
});

describe("interim responses (RFC 9110 15.2)", () => {
  test("are passed on, and the final one still comes, also all in one piece", () => {
    const hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    for (const pieces of [[hints + ok("x")], [...(hints + ok("x"))], [`${hints}HTT`, ok("x").slice(3)]]) {
      const rig = ClientRig.asking();
      rig.connection.receive(...pieces);
      expect(rig.sink.heads).toEqual(["100\r\n", "103\r\nLink: x\r\n", "200\r\nContent-Length: 1\r\n"]);
      expect([rig.sink.body, rig.sink.ends, rig.client.isReusable]).toEqual(["x", 1, true]);
    }
  });
  test("do not come without end", () => {
    const rig = answered("HTTP/1.1 102 Processing\r\n\r\n".repeat(interimResponsesMax));
    expect(rig.sink.resets).toEqual([]);
    rig.connection.receive("HTTP/1.1 102 Processing\r\n\r\n");
    expect(rig.sink.resets).toEqual(["Endpoint ResponseHead protocol"]);
  });
});

describe("reuse (RFC 9112 9.3)", () => {
  test("the next request follows on the same connection, and knows it", () => {
    const rig = answered(ok("one"));
    expect(rig.again()).toBe(true);
    rig.connection.sent();
    rig.ask(get);
    expect([rig.connection.sent(), rig.client.reused]).toEqual([get, true]);
    rig.connection.receive(ok("two"));
    expect([rig.sink.body, rig.sink.ends]).toEqual(["two", 1]);
  });
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n";
  for (const [what, response] of [
    ["Connection: close", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["bytes behind a body of known length", `${ok("x")}y`],
    ["bytes behind an empty body", `${ok("")}y`],
    ["a whole response behind a response", ok("x") + ok("y")],
    ["bytes behind a chunked body", `${chunked}\r\ny`],
    ["bytes behind trailers", `${chunked}T: 1\r\n\r\ny`],
    ["bytes behind a 304", "HTTP/1.1 304 x\r\n\r\ny"],
    ["a body behind a 204", "HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\ny"],
  ] as const) {
    test(`not after ${what}`, () => {
      const rig = ClientRig.asking();
      const atEnd: boolean[] = []; // that is when it is decided
      rig.sink.also = () => {
        if (rig.sink.ends === 1) atEnd.push(rig.client.isReusable);
      };
      rig.connection.receive(response);
      expect([rig.sink.ends, rig.sink.resets, rig.client.isReusable]).toEqual([1, [], false]);
      expect(atEnd).toEqual([false]);
      expect(rig.sink.body.length).toBeLessThan(2);
    });
    test(`not after ${what}, in single bytes`, () => {
      const rig = ClientRig.asking();
      rig.connection.receive(...response);
      expect([rig.sink.ends, rig.sink.resets, rig.client.isReusable]).toEqual([1, [], false]);
    });
  }
  test("HTTP/1.0 with keep-alive is kept", () => {
    const rig = answered("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx");
    expect(rig.client.isReusable).toBe(true);
  });
  test("not while the request is not out: the response came early", () => {
    const rig = answered(ok("no"), post("Content-Length: 5"));
    expect([rig.sink.body, rig.sink.ends, rig.client.isReusable]).toEqual(["no", 1, false]);
    expect(data(rig, "hello", true)).toBe(Flow.Go); // nobody wants it any more
    expect(rig.connection.sent()).toBe(post("Content-Length: 5"));
  });
  test("not while a part of the request waits for the endpoint to read", () => {
    const rig = ClientRig.asking(post("Content-Length: 5"));
    rig.connection.room = 2;
    expect(data(rig, "hello", true)).toBe(Flow.Pause);
    rig.connection.receive(ok("x"));
    expect([rig.sink.ends, rig.client.isReusable]).toEqual([1, false]);
  });
  test("not after FIN", () => {
    const rig = ClientRig.asking();
    rig.connection.receive("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    rig.client.pause();
    rig.connection.receive("x");
    rig.connection.events.onFinish();
    rig.client.resume();
    rig.connection.pump();
    expect([rig.sink.body, rig.client.isReusable]).toEqual(["", false]);
  });
  test("bytes nobody asked for close an idle connection: they must not answer the next request", () => {
    const rig = answered(ok("x"));
    expect(rig.again()).toBe(true);
    rig.connection.receive(ok("evil"));
    expect([rig.connection.ended, rig.gone, rig.sink.heads]).toEqual(["close", 1, []]);
    const fresh = new ClientRig();
    fresh.client.onOpen();
    fresh.connection.receive(ok("evil"));
    expect([fresh.connection.ended, fresh.gone]).toEqual(["close", 1]);
  });
  test("FIN and a break end an idle connection quietly", () => {
    for (const act of ["receiveFin", "break"] as const) {
      const rig = answered(ok("x"));
      rig.again();
      rig.connection[act]();
      expect([rig.gone, rig.connection.isOpen, rig.sink.resets, rig.timers.size]).toEqual([1, false, [], 0]);
    }
  });
  test("an idle connection is closed when its time is up", () => {
    const rig = answered(ok("x"));
    rig.again();
    rig.time.pass(9000);
    expect(rig.connection.isOpen).toBe(true);
    rig.time.pass(1000);
    expect([rig.connection.ended, rig.gone]).toEqual(["close", 1]);
  });
});

describe("broken responses", () => {
  for (const [what, response, phase] of [
    ["garbage", "garbage\r\n\r\n", "ResponseHead protocol"],
    ["HTTP/0.9", "<html>\r\n\r\n", "ResponseHead protocol"],
    ["bare LF", "HTTP/1.1 200 OK\nA: b\n\n", "ResponseHead protocol"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "ResponseHead protocol"],
    [
      "a length and a coding",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "ResponseHead protocol",
    ],
    ["an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "ResponseHead protocol"],
    [
      "101 that nobody asked for",
      "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
      "ResponseHead protocol",
    ],
    ["a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "ResponseBody protocol"],
    [
      "bad trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n",
      "ResponseBody protocol",
    ],
    ["a head without end", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(responseHeadBytesMax)}`, "ResponseHead protocol"],
  ] as const) {
    test(`${what}: told once, the connection broken`, () => {
      for (const pieces of [
        [response],
        response.length < 1000 ? [...response] : [response.slice(0, 9), response.slice(9)],
      ]) {
        const rig = ClientRig.asking();
        rig.connection.receive(...pieces);
        expect(rig.sink.resets).toEqual([`Endpoint ${phase}`]);
        expect([rig.connection.ended, rig.gone, rig.timers.size]).toEqual(["abort", 1, 0]);
      }
    });
  }
  test("101 without the field, and to another protocol than asked for", () => {
    const rig = answered("HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n", upgrade);
    expect(rig.sink.resets).toEqual(["Endpoint ResponseHead protocol"]);
    const h2c = answered("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", upgrade);
    expect(h2c.sink.resets).toEqual(["Endpoint ResponseHead protocol"]);
  });
});

describe("endings by the endpoint", () => {
  test("each is told once, with its phase", () => {
    const part = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello";
    for (const [request, response, expected] of [
      [post("Content-Length: 5"), "", "RequestBody"],
      [get, "", "ResponseHead"],
      [get, "HTTP/1.1 20", "ResponseHead"],
      [get, "HTTP/1.1 100 Continue\r\n\r\n", "ResponseHead"],
      [get, part, "ResponseBody"],
      [get, chunked, "ResponseBody"],
    ] as const) {
      for (const act of ["receiveFin", "break"] as const) {
        const rig = answered(response, request);
        rig.connection[act]();
        expect(rig.sink.resets).toEqual([`Endpoint ${expected} reset`]);
        expect([rig.connection.isOpen, rig.gone, rig.timers.size, rig.sink.ends]).toEqual([false, 1, 0, 0]);
      }
    }
  });
  test("a write that finds the connection closed is told once, also when onClose follows", () => {
    const rig = ClientRig.asking(post("Content-Length: 5"));
    rig.connection.isOpen = false;
    expect(data(rig, "hell", false)).toBe(Flow.Closed);
    rig.client.onClose(Cause.Reset);
    expect([rig.sink.resets, rig.gone]).toEqual([["Endpoint RequestBody reset"], 1]);
  });
  test("a connect that fails, by its cause", () => {
    for (const [cause, word] of [
      [Cause.Refused, "refused"],
      [Cause.Unreachable, "refused"],
      [Cause.NotFound, "refused"],
      [Cause.Reset, "refused"],
      [Cause.TimedOut, "timeout"],
      [Cause.NoResources, "resources"],
    ] as const) {
      const rig = new ClientRig();
      rig.connection.break(cause);
      expect([rig.sink.resets, rig.connected, rig.gone]).toEqual([[`Endpoint Connect ${word}`], 0, 1]);
    }
  });
  test("FIN while the end of the body is held back is none", () => {
    for (const [head, body, ends] of [
      ["Content-Length: 5\r\n", "hello", 1],
      ["Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", 1],
      ["", "hello", 1],
      ["Content-Length: 9\r\n", "hello", 0],
    ] as const) {
      const rig = ClientRig.asking();
      rig.sink.also = (what) => {
        if (what === "head") rig.client.pause();
      };
      rig.connection.receive(`HTTP/1.1 200 OK\r\n${head}\r\n${body}`);
      rig.connection.events.onFinish();
      expect([rig.sink.body, rig.sink.ends]).toEqual(["", 0]);
      rig.client.resume();
      expect([rig.sink.body, rig.sink.ends, rig.client.isReusable]).toEqual(["hello", ends, false]);
      expect(rig.sink.resets).toEqual(ends === 1 ? [] : ["Endpoint ResponseBody reset"]);
    }
  });
});

describe("a connection that ends while the end of the response is held", () => {
  const held = (response: string): ClientRig => {
    const rig = ClientRig.asking();
    rig.sink.also = (what) => {
      if (what === "head") rig.client.pause();
    };
    rig.connection.receive(response);
    return rig;
  };
  for (const cause of [Cause.None, Cause.Reset] as const) {
    test(`cause ${cause}: a whole response is still delivered`, () => {
      for (const response of [
        ok("hello"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
      ]) {
        const rig = held(response);
        rig.connection.break(cause);
        rig.time.pass(10 * clientTimeouts.responseMs);
        expect([rig.sink.body, rig.sink.resets, rig.gone]).toEqual(["", [], 0]);
        rig.client.resume();
        expect([rig.sink.body, rig.sink.ends, rig.sink.resets, rig.client.isReusable]).toEqual(["hello", 1, [], false]);
        rig.client.close();
        expect([rig.gone, rig.timers.size]).toEqual([1, 0]);
      }
    });
    test(`cause ${cause}: one that is not whole fails when that is clear`, () => {
      const rig = held("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
      rig.connection.break(cause);
      rig.client.resume();
      expect([rig.sink.body, rig.sink.ends, rig.gone]).toEqual(["hello", 0, 1]);
      expect(rig.sink.resets).toEqual(["Endpoint ResponseBody reset"]);
    });
  }
  test("until close: whole after an orderly end only", () => {
    for (const [cause, ends] of [
      [Cause.None, 1],
      [Cause.Reset, 0],
    ] as const) {
      const rig = held("HTTP/1.1 200 OK\r\n\r\nhello");
      rig.connection.break(cause);
      rig.client.resume();
      expect([rig.sink.body, rig.sink.ends, rig.sink.resets.length]).toEqual(["hello", ends, 1 - ends]);
    }
  });
  test("a request still under way is dropped, and giving up leaves nothing behind", () => {
    const rig = ClientRig.asking(post("Content-Length: 5"));
    rig.sink.also = () => rig.client.pause();
    rig.connection.receive(ok("hello"));
    rig.connection.break();
    expect(data(rig, "hello", true)).toBe(Flow.Go);
    rig.client.reset(0);
    expect([rig.gone, rig.timers.size, rig.sink.resets]).toEqual([1, 0, []]);
  });
});

describe("deadlines", () => {
  test("connect", () => {
    const rig = new ClientRig();
    rig.time.pass(clientTimeouts.connectMs);
    expect([rig.sink.resets, rig.connection.ended]).toEqual([["Endpoint Connect timeout"], "abort"]);
  });
  test("the response head, counted from the request's end", () => {
    const rig = ClientRig.asking(post("Content-Length: 5"));
    rig.time.pass(10 * clientTimeouts.responseMs);
    data(rig, "hello", true);
    rig.time.pass(clientTimeouts.responseMs - 500);
    expect(rig.sink.resets).toEqual([]);
    rig.time.pass(500);
    expect(rig.sink.resets).toEqual(["Endpoint ResponseHead timeout"]);
  });
  test("between body bytes, but not while we hold the endpoint back", () => {
    const rig = answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    for (const piece of "hello") {
      rig.time.pass(clientTimeouts.responseMs - 500);
      rig.connection.receive(piece);
    }
    rig.client.pause();
    rig.time.pass(10 * clientTimeouts.responseMs);
    expect(rig.sink.resets).toEqual([]);
    rig.client.resume();
    rig.time.pass(clientTimeouts.responseMs);
    expect(rig.sink.resets).toEqual(["Endpoint ResponseBody timeout"]);
  });
  test("an endpoint that does not read; one that reads slowly is waited for", () => {
    const rig = ClientRig.asking(post("Content-Length: 5"));
    rig.connection.room = 1;
    rig.connection.unsentBytes = 100;
    expect(data(rig, "hello", true)).toBe(Flow.Pause);
    rig.connection.unsentBytes = 50;
    rig.time.pass(clientTimeouts.sendMs);
    expect(rig.sink.resets).toEqual([]);
    rig.time.pass(clientTimeouts.sendMs);
    expect(rig.sink.resets).toEqual(["Endpoint ResponseHead timeout"]);
  });
});

describe("back-pressure", () => {
  test("what the kernel does not take is kept, in order; the source hears when it has gone", () => {
    const rig = ClientRig.asking(post("Transfer-Encoding: chunked"));
    rig.connection.sent();
    rig.connection.room = 4;
    expect(data(rig, "hello", false)).toBe(Flow.Pause);
    expect(data(rig, "world", true)).toBe(Flow.Pause);
    rig.connection.drain(3);
    expect(rig.sink.drains).toBe(0);
    rig.connection.drain(100);
    expect(rig.sink.drains).toBe(1);
    expect(rig.connection.sent()).toBe("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n");
  });
  test("a paused response is held, the socket stopped, and goes on where it was", () => {
    for (const response of [
      "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n",
    ]) {
      const rig = ClientRig.asking();
      rig.sink.also = () => rig.client.pause();
      rig.connection.receive(...response.match(/[^]{1,25}/g)!);
      expect(rig.sink.ends).toBe(0);
      for (let k = 0; k < 20 && rig.sink.ends === 0; k++) {
        rig.client.resume();
        rig.connection.pump();
      }
      expect([rig.sink.body, rig.sink.ends]).toEqual(["hello world", 1]);
    }
  });
  test("long bodies come in lent memory, and what is held of it is copied", () => {
    const pieces = Array.from({ length: 6 }, (_, i) => String.fromCharCode(97 + i).repeat(150_000));
    for (const chunked of [false, true]) {
      const rig = ClientRig.asking();
      let paused = false;
      rig.sink.also = () => {
        if (!paused && rig.sink.body.length > 400_000) rig.client.pause();
        paused ||= rig.sink.body.length > 400_000;
      };
      const field = chunked ? "Transfer-Encoding: chunked" : "Content-Length: 900000";
      const framed = chunked ? [...pieces.map((piece) => `249f0\r\n${piece}\r\n`), "0\r\n\r\n"] : pieces;
      rig.connection.receive(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n`, ...framed);
      expect(rig.sink.body.length).toBeLessThan(900_000);
      lent.fill(0);
      rig.client.resume();
      rig.connection.pump();
      expect([rig.sink.body === pieces.join(""), rig.sink.ends]).toEqual([true, 1]);
    }
  });
  test("chunks are passed on as they stand, without their extensions, if the other side takes them", () => {
    const server = new ServerRig();
    server.connection.receive(get);
    server.latest.head("HTTP/1.1 200 OK", "", false);
    const rig = ClientRig.asking();
    rig.sink.also = (what) => {
      if (what === "head") expect(rig.client.forward(server.server)).toBe(true);
    };
    rig.connection.receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n005;x\r\nhel", "lo\r\n0\r\n\r\n");
    expect([rig.sink.body, rig.sink.ends]).toEqual(["005\r\nhello\r\n0\r\n\r\n", 1]);
    expect(rig.client.isReusable).toBe(true);
  });
});

describe("upgrades (RFC 9110 7.8)", () => {
  const switched = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
  test("hand over early bytes, however they come, and nothing more is heard", () => {
    for (const pieces of [
      [`${switched}early`],
      [...switched, "early"],
      [switched.slice(0, 9), `${switched.slice(9)}early`],
    ]) {
      const rig = ClientRig.asking(upgrade);
      let received = "";
      rig.sink.also = (what) => {
        if (what === "head") received = Buffer.from(rig.client.detach().received ?? []).toString();
      };
      rig.connection.receive(...pieces);
      expect(rig.sink.heads[0]!.startsWith("101\r\n")).toBe(true);
      expect(["", "early"]).toContain(received);
      const together = pieces.at(-1) !== "early";
      expect(received).toBe(together ? "early" : "");
      expect([rig.gone, rig.timers.size]).toEqual([1, 0]);
      rig.connection.break();
      expect([rig.sink.resets, rig.gone]).toEqual([[], 1]);
    }
  });
  test("refused by another status, the connection goes on as usual", () => {
    const rig = answered(ok("no"), upgrade);
    expect([rig.sink.body, rig.sink.ends, rig.client.isReusable]).toEqual(["no", 1, true]);
  });
  test("h2c is not asked for (RFC 9113 3.1)", () => {
    const rig = ClientRig.asking(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
    );
    expect(rig.connection.sent()).toBe(get);
  });
});

describe("an endpoint that has closed while a request is sent to it", () => {
  /** A part of a body has been sent; writing more fails from now on. */
  function deaf(): ClientRig {
    const rig = ClientRig.asking(post("Content-Length: 10"));
    data(rig, "hello", false);
    rig.connection.finished = true; // the next write finds the connection gone
    expect(data(rig, "wo", false)).toBe(Flow.Closed);
    return rig;
  }
  const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nsorry";

  test("is heard out: its early answer may have arrived", () => {
    const rig = deaf();
    expect([rig.sink.resets, data(rig, "rld", true)]).toEqual([[], Flow.Go]);
    rig.connection.receive(early);
    expect([rig.sink.heads[0]!.slice(0, 3), rig.sink.body, rig.sink.ends]).toEqual(["413", "sorry", 1]);
    expect(rig.client.isReusable).toBe(false);
  });
  test("has failed if it goes without an answer, within it, or says nothing more", () => {
    const without = deaf();
    without.connection.receiveFin();
    expect(without.sink.resets).toEqual(["Endpoint RequestBody reset"]);
    const within = deaf();
    within.connection.receive(early.slice(0, -1));
    within.connection.receiveFin();
    expect([within.sink.ends, within.sink.resets.length]).toEqual([0, 1]);
    const untilClose = deaf(); // a reset may look like a FIN once a write has taken notice of it
    untilClose.connection.receive("HTTP/1.1 413 Content Too Large\r\n\r\nsorry");
    untilClose.client.onFinish();
    expect([untilClose.sink.ends, untilClose.sink.resets.length]).toEqual([0, 1]);
    const silent = deaf();
    silent.time.pass(lingerMs);
    expect([silent.sink.resets.length, silent.gone]).toEqual([1, 1]);
  });
});

test("a reset is silent, throws away a waiting head, and may come twice", () => {
  const rig = new ClientRig();
  rig.client.onOpen();
  rig.client.sendHead(requestHead(post("Content-Length: 5")), nothing, false, true);
  rig.client.reset(0);
  rig.client.reset(0);
  expect([rig.connection.ended, rig.connection.sent(), rig.gone, rig.sink.resets]).toEqual(["abort", "", 1, []]);
  expect(data(rig, "hello", true)).toBe(Flow.Go);
});
