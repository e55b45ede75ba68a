// The client's side of HTTP/1.1 on a connection in memory: order, reuse, bodies both ways, back-pressure, endings and
// deadlines.

import { describe, expect, test } from "bun:test";
import { lingerBytesMax, lingerMs } from "../base/limits.ts";
import { Cause } from "../base/ports.ts";
import { BODY_CHUNKED, Method } from "../wire/head.ts";
import { requestHead, nothing, ServerRig, timeouts } from "./test-kit.ts";
import { Flow } from "./stream.ts";

const get = (path: string, ...fields: readonly string[]): string =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`;
const post = (...rest: readonly string[]): string => get("/", ...rest).replace("GET", "POST");
const ok = (body: string, ...fields: readonly string[]): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n${body}`;

function rigWith(...input: readonly string[]): ServerRig {
  const rig = new ServerRig();
  rig.connection.receive(...input);
  return rig;
}

describe("requests in order", () => {
  test("one request, one response, and the connection is idle again", () => {
    const rig = rigWith(get("/1", "X: 1"));
    expect(rig.latest).toMatchObject({ line: "GET /1", fields: "Host: a\r\nX: 1\r\n", last: true, length: 0 });
    expect(rig.server.isIdle).toBe(false);
    rig.latest.answer("one");
    expect(rig.connection.sent()).toBe(ok("one"));
    expect(rig.server.isIdle).toBe(true);
    rig.connection.receive(get("/2"));
    expect(rig.lines).toEqual(["GET /1", "GET /2"]);
  });

  test("RFC 9112 9.3.2: pipelined requests are answered one after the other; the rest waits, the socket too", () => {
    const rig = rigWith(get("/1") + get("/2") + get("/3"));
    expect(rig.lines).toEqual(["GET /1"]);
    expect(rig.connection.paused).toBe(true);
    rig.connection.receive(get("/4"));
    expect(rig.connection.waiting).toBeGreaterThan(0);
    rig.latest.answer("one");
    expect(rig.lines).toEqual(["GET /1", "GET /2"]);
    expect(rig.connection.sent()).toBe(ok("one"));
    rig.latest.answer("two");
    rig.latest.answer("three");
    expect(rig.connection.paused).toBe(false);
    rig.connection.pump();
    rig.latest.answer("four");
    expect(rig.connection.sent()).toBe(ok("two") + ok("three") + ok("four"));
    expect(rig.lines).toEqual(["GET /1", "GET /2", "GET /3", "GET /4"]);
  });

  test("many pipelined requests answered at once need no stack", () => {
    const rig = new ServerRig();
    rig.onNew = (request) => request.answer(request.line);
    rig.connection.receive(Array.from({ length: 20_000 }, (_, i) => get(`/${i}`)).join(""));
    expect(rig.requests).toHaveLength(20_000);
    expect(rig.latest.line).toBe("GET /19999");
    expect(rig.connection.sent().endsWith(ok("GET /19999"))).toBe(true);
  });

  test("requests in single bytes, with bodies of both kinds and an empty line between", () => {
    const chunked = `${post("Transfer-Encoding: chunked")}3;x=y\r\nabc\r\n0\r\nT: 1\r\nHost: b\r\n\r\n`;
    const input = `${post("Content-Length: 5")}hello\r\n${chunked}${get("/end")}`;
    const rig = new ServerRig();
    rig.onNew = (request) => {
      request.also = () => {
        if (request.ends === 1) request.answer(request.body);
      };
      if (request.last) request.answer("end");
    };
    rig.connection.receive(...input);
    expect(rig.requests.map((request) => [request.body, request.trailers, request.ends])).toEqual([
      ["hello", null, 1],
      ["abc", "T: 1\r\nHost: b\r\n", 1],
      ["", null, 0],
    ]);
    expect(rig.connection.sent()).toBe(ok("hello") + ok("abc") + ok("end"));
  });

  test("body and next request in one piece are told apart", () => {
    for (const body of ["hello", "5\r\nhello\r\n0\r\n\r\n"]) {
      const field = body === "hello" ? "Content-Length: 5" : "Transfer-Encoding: chunked";
      const rig = rigWith(post(field) + body + get("/2"));
      expect(rig.latest).toMatchObject({ body: "hello", ends: 1 });
      expect(rig.requests).toHaveLength(1);
      rig.latest.answer("x");
      expect(rig.latest.line).toBe("GET /2");
    }
  });
});

describe("connection reuse (RFC 9112 9.3)", () => {
  const old = (...fields: readonly string[]): string => get("/", ...fields).replace("HTTP/1.1", "HTTP/1.0");

  test("HTTP/1.1 close: said and done; nothing more will come, so it may be closed at once", () => {
    const rig = rigWith(get("/", "Connection: close"));
    rig.latest.answer("x");
    expect(rig.connection.sent()).toBe(ok("x", "Connection: close").replace("x\r\n\r\n", "x\r\n\r\n"));
    expect([rig.connection.ended, rig.closed]).toEqual(["close", 1]);
  });
  test("requests behind one that said close are not served", () => {
    const rig = rigWith(get("/1", "Connection: close") + get("/2"));
    rig.latest.answer("x");
    expect(rig.requests).toHaveLength(1);
    expect(rig.connection.finished || rig.connection.ended === "close").toBe(true);
  });
  test("HTTP/1.0 closes", () => {
    const rig = rigWith(old());
    rig.latest.answer("x");
    expect(rig.connection.sent()).toBe(ok("x", "Connection: close"));
    expect(rig.connection.ended).toBe("close");
  });
  test("HTTP/1.0 with keep-alive is kept, and told so", () => {
    const rig = rigWith(old("Connection: Keep-Alive"));
    rig.latest.answer("x");
    expect(rig.connection.sent()).toBe(ok("x", "Connection: keep-alive"));
    expect(rig.server.isIdle).toBe(true);
  });
  test("HTTP/1.0 with keep-alive cannot be kept when only the close can tell the end", () => {
    const rig = rigWith(old("Connection: keep-alive"));
    rig.latest.head("HTTP/1.1 200 OK", "", false, true);
    rig.latest.data("x", true);
    rig.latest.stream.done();
    expect(rig.connection.sent()).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx");
    expect(rig.connection.finished).toBe(true);
  });
  test("the last request of the allowed number is told, and what follows dropped", () => {
    const rig = new ServerRig({ requestsMax: 2 });
    rig.connection.receive(get("/1") + get("/2") + get("/3"));
    rig.latest.answer("1");
    rig.latest.answer("2");
    expect(rig.connection.sent()).toBe(ok("1") + ok("2", "Connection: close"));
    expect([rig.requests.length, rig.connection.finished]).toEqual([2, true]);
  });
  test("draining closes after the response under way, even if its head did not say so", () => {
    const rig = rigWith(get("/1"));
    rig.latest.head("HTTP/1.1 200 OK", "Content-Length: 1\r\n", false);
    rig.draining = true;
    rig.latest.data("x", true);
    rig.latest.stream.done();
    expect(rig.connection.finished).toBe(true);
    const other = rigWith(get("/1"));
    other.draining = true;
    other.latest.answer("x");
    expect(other.connection.sent()).toBe(ok("x", "Connection: close"));
  });
  test("closeWhenIdle closes an idle connection at once, a busy one after its response", () => {
    const idle = rigWith(get("/1"));
    idle.latest.answer("x");
    idle.server.closeWhenIdle();
    expect([idle.connection.finished, idle.connection.isOpen]).toEqual([true, true]);
    idle.connection.receiveFin();
    expect(idle.closed).toBe(1);
    const busy = rigWith(get("/1"));
    busy.server.closeWhenIdle();
    expect(busy.connection.finished).toBe(false);
    busy.latest.answer("x");
    expect(busy.connection.sent()).toBe(ok("x", "Connection: close"));
    const half = rigWith("GET / HT");
    half.server.closeWhenIdle();
    expect(half.connection.finished).toBe(false);
  });
});

describe("response bodies", () => {
  test("none for HEAD, 204 and 304, whatever the fields say; the connection is kept", () => {
    const rig = rigWith(get("/").replace("GET", "HEAD"));
    expect(rig.latest.method).toBe(Method.Head);
    rig.latest.head("HTTP/1.1 200 OK", "Content-Length: 5\r\n", true);
    rig.latest.stream.done();
    rig.connection.receive(get("/"));
    rig.latest.head("HTTP/1.1 204 No Content", "", true);
    rig.latest.stream.done();
    rig.connection.receive(get("/"));
    rig.latest.head("HTTP/1.1 304 Not Modified", "Content-Length: 7\r\n", true);
    rig.latest.stream.done();
    expect(rig.connection.sent()).toBe(
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n" +
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    );
    expect(rig.server.isIdle).toBe(true);
  });
  test("a HEAD answered with chunked coding has no chunks and no such field", () => {
    const rig = rigWith(get("/").replace("GET", "HEAD"));
    rig.latest.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", true);
    expect(rig.connection.sent()).toBe("HTTP/1.1 200 OK\r\n\r\n");
  });
  for (const [what, field] of [
    ["of unknown length", ""],
    ["that came chunked", "Transfer-Encoding: chunked\r\n"],
  ] as const) {
    test(`one ${what} is chunked for HTTP/1.1`, () => {
      const rig = rigWith(get("/"));
      rig.latest.head("HTTP/1.1 200 OK", field, false, true);
      rig.latest.data("hello", false);
      rig.latest.data("", false);
      rig.latest.data("x".repeat(17), false);
      rig.latest.data("", true);
      rig.latest.stream.done();
      expect(rig.connection.sent()).toBe(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n11\r\n${"x".repeat(17)}\r\n0\r\n\r\n`,
      );
      expect(rig.server.isIdle).toBe(true);
    });
    test(`one ${what} ends with the connection for HTTP/1.0, without trailers`, () => {
      const rig = rigWith("GET / HTTP/1.0\r\n\r\n");
      rig.latest.head("HTTP/1.1 200 OK", field, false, true);
      rig.latest.data("hello", false);
      rig.latest.stream.sendTrailers(requestHead("T: 1\r\n\r\n".replace(/^/, "GET / HTTP/1.0\r\n")));
      rig.latest.stream.done();
      expect(rig.connection.sent()).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
      expect(rig.connection.ended).toBe("close");
    });
  }
  test("the last data and the last chunk share a write", () => {
    const rig = rigWith(get("/"));
    rig.latest.head("HTTP/1.1 200 OK", "", false, true);
    rig.latest.data("hi", true);
    expect(rig.connection.sent().endsWith("\r\n\r\n2\r\nhi\r\n0\r\n\r\n")).toBe(true);
  });
  test("trailers end a chunked body; chunks that are passed on as they stand have ended theirs themselves", () => {
    for (const raw of [false, true]) {
      const rig = rigWith(get("/"));
      rig.latest.head("HTTP/1.1 200 OK", "", false);
      expect(raw ? rig.latest.stream.takesRawChunks() : true).toBe(true);
      rig.latest.data(raw ? "1\r\nx\r\n0\r\n" : "x", false);
      const trailers = requestHead("GET / HTTP/1.0\r\nT: 1\r\n\r\n");
      trailers.start = trailers.startLineEnd + 2; // the field lines alone
      rig.latest.stream.sendTrailers(trailers);
      expect(rig.connection.sent().endsWith("\r\n\r\n1\r\nx\r\n0\r\nT: 1\r\n\r\n")).toBe(true);
    }
  });
  test("only a chunked response takes chunks as they stand", () => {
    const rig = rigWith(get("/"));
    rig.latest.head("HTTP/1.1 200 OK", "Content-Length: 1\r\n", false);
    expect(rig.latest.stream.takesRawChunks()).toBe(false);
    const old = rigWith("GET / HTTP/1.0\r\n\r\n");
    old.latest.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", false);
    expect(old.latest.stream.takesRawChunks()).toBe(false);
  });
  test("nothing of one response's framing shines through in the next", () => {
    const rig = rigWith(get("/1") + get("/2"));
    rig.latest.head("HTTP/1.1 200 OK", "", false);
    rig.latest.stream.takesRawChunks();
    rig.latest.data("0\r\n\r\n", true);
    rig.latest.stream.done();
    rig.connection.sent();
    rig.latest.answer("x");
    expect(rig.connection.sent()).toBe(ok("x"));
  });
});

describe("Expect and interim responses (RFC 9110 10.1.1, 15.2)", () => {
  const waiting = (): ServerRig => rigWith(post("Content-Length: 5", "Expect: 100-continue"));

  test("100 is passed on, then the body comes, then the response", () => {
    const rig = waiting();
    rig.latest.head("HTTP/1.1 100 Continue", "", false);
    expect(rig.connection.sent()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    rig.connection.receive("hello");
    expect(rig.latest).toMatchObject({ body: "hello", ends: 1 });
    rig.latest.answer("x");
    expect(rig.connection.sent()).toBe(ok("x"));
    expect(rig.server.isIdle).toBe(true);
  });
  test("other interim responses pass, their connection fields do not", () => {
    const rig = rigWith(get("/"));
    rig.latest.head("HTTP/1.1 103 Early Hints", "Link: x\r\nConnection: close\r\n", false);
    rig.latest.answer("x");
    expect(rig.connection.sent()).toBe(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok("x")}`);
  });
  test("HTTP/1.0 gets none", () => {
    const rig = rigWith("GET / HTTP/1.0\r\n\r\n");
    rig.latest.head("HTTP/1.1 100 Continue", "", false);
    expect(rig.connection.sent()).toBe("");
  });
  test("a final answer instead: close is said, and what follows is not taken for a request", () => {
    const rig = waiting();
    rig.latest.answer("no", "HTTP/1.1 417 no");
    expect(rig.connection.sent()).toBe("HTTP/1.1 417 no\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    expect(rig.connection.finished).toBe(true);
    rig.connection.receive(get("/smuggled"));
    expect(rig.requests).toHaveLength(1);
  });
  test("a client that never sends its body is not waited for forever, neither before a 100 nor after", () => {
    const before = waiting();
    before.time.pass(timeouts.bodyMs);
    expect(before.latest.resets).toEqual(["Client RequestBody timeout"]);
    const after = waiting();
    after.time.pass(timeouts.bodyMs - 500);
    after.latest.head("HTTP/1.1 100 Continue", "", false);
    after.time.pass(timeouts.bodyMs - 500);
    expect(after.latest.resets).toEqual([]);
    after.time.pass(500);
    expect(after.latest.resets).toEqual(["Client RequestBody timeout"]);
  });
});

describe("early answers", () => {
  test("a short rest of the body is read and dropped, and the connection kept", () => {
    for (const [field, rest] of [
      ["Content-Length: 5", "llo"],
      ["Transfer-Encoding: chunked", "\r\n3\r\nllo\r\n0\r\n\r\n"],
    ] as const) {
      const rig = rigWith(`${post(field)}${field.startsWith("C") ? "he" : "2\r\nhe"}`);
      rig.latest.answer("no");
      expect(rig.connection.sent()).toBe(ok("no"));
      rig.connection.receive(rest + get("/2"));
      expect(rig.lines).toEqual(["POST /", "GET /2"]);
      rig.latest.answer("yes");
      expect(rig.connection.sent()).toBe(ok("yes"));
    }
  });
  test("a rest that is held, with requests behind it, is dropped and they come one by one", () => {
    const rig = new ServerRig();
    rig.onNew = (request) => {
      if (rig.requests.length === 1) request.stream.pause();
    };
    rig.connection.receive(`${post("Content-Length: 5")}hello${get("/2")}${get("/3")}`);
    rig.latest.answer("1");
    expect(rig.lines).toEqual(["POST /", "GET /2"]);
    rig.latest.answer("2");
    rig.latest.answer("3");
    expect(rig.lines).toEqual(["POST /", "GET /2", "GET /3"]);
    expect(rig.connection.sent()).toBe(ok("1") + ok("2") + ok("3"));
    expect([rig.server.isIdle, rig.requests[0]!.body]).toEqual([true, ""]);
  });
  test("a long rest is not: close is said", () => {
    const rig = rigWith(post(`Content-Length: ${lingerBytesMax + 1}`));
    rig.latest.answer("no");
    expect(rig.connection.sent()).toBe(ok("no", "Connection: close"));
    expect(rig.connection.finished).toBe(true);
  });
  test("a chunked rest that turns out long ends the connection, with FIN first", () => {
    const rig = rigWith(post("Transfer-Encoding: chunked"));
    rig.latest.answer("no");
    const quarter = "x".repeat(lingerBytesMax / 4);
    rig.connection.receive("200000\r\n", quarter, quarter, quarter, quarter);
    expect([rig.connection.finished, rig.connection.isOpen]).toEqual([true, true]);
  });
  test("a rest that does not come, breaks off or is malformed ends the connection, with FIN first", () => {
    const started = (): ServerRig => {
      const rig = rigWith(post("Transfer-Encoding: chunked"));
      rig.latest.answer("no");
      expect(rig.connection.finished).toBe(false);
      return rig;
    };
    const silent = started();
    silent.time.pass(lingerMs);
    const broken = started();
    broken.connection.receive("x");
    const badTrailers = started();
    badTrailers.connection.receive("0\r\nX : 1\r\n\r\n");
    for (const rig of [silent, broken, badTrailers]) {
      expect([rig.connection.finished, rig.connection.ended]).toEqual([true, ""]);
    }
    const dribbling = started();
    for (const piece of ["f", "f", "\r", "\n", "x", "x"]) {
      dribbling.time.pass(lingerMs / 5);
      dribbling.connection.receive(piece);
    }
    expect(dribbling.connection.finished).toBe(true);
    const finished = started();
    finished.connection.receiveFin();
    expect(finished.connection.ended).toBe("close");
  });
  test("while a slow client still reads the answer, the rest of its body does not cut it off", () => {
    const rig = new ServerRig();
    rig.connection.room = 10;
    rig.connection.receive(post("Content-Length: 5"));
    rig.latest.answer("a longer answer");
    rig.connection.unsentBytes = 100;
    rig.time.pass(lingerMs);
    expect(rig.connection.isOpen).toBe(true);
    rig.connection.drain(1000);
    expect(rig.connection.sent()).toBe(ok("a longer answer"));
    expect(rig.connection.finished).toBe(true);
  });
  test("an answer streaming while the body streams ends neither", () => {
    const rig = rigWith(`${post("Content-Length: 5")}he`);
    rig.latest.head("HTTP/1.1 200 OK", "", false);
    rig.latest.data("HE", false);
    rig.connection.receive("llo");
    rig.latest.data("LLO", true);
    rig.latest.stream.done();
    expect(rig.connection.sent()).toBe(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nHE\r\n3\r\nLLO\r\n0\r\n\r\n",
    );
    expect([rig.latest.body, rig.server.isIdle]).toEqual(["hello", true]);
  });
});

describe("refused requests", () => {
  test("are told their status, then FIN; what still comes is read and dropped until the client closes", () => {
    for (const [input, failure, status] of [
      ["GET / HTTP/1.1\r\n\r\n", "protocol", 400],
      ["GET / HTTP/1.1\nHost: a\n\n", "protocol", 400],
      [`GET /${"x".repeat(5000)} HTTP/1.1\r\n\r\n`, "uri-too-long", 414],
      [get("/", `X: ${"x".repeat(5000)}`), "too-large", 431],
      ["CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "unsupported", 501],
      [get("/", "Expect: x"), "expectation", 417],
      ["GET / HTTP/2.0\r\n\r\n", "version", 505],
    ] as const) {
      const rig = rigWith(input);
      expect(rig.refused).toEqual([`Client RequestHead ${failure}`]);
      const answered = `HTTP/1.1 ${status} no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
      expect(rig.connection.sent()).toBe(answered);
      expect([rig.connection.finished, rig.connection.isOpen]).toEqual([true, true]);
      rig.connection.receive(get("/smuggled"));
      expect([rig.requests.length, rig.refused.length, rig.connection.sent()]).toEqual([0, 1, ""]);
      rig.connection.receiveFin();
      expect([rig.closed, rig.timers.size]).toEqual([1, 0]);
    }
  });
  test("come after the responses to what was pipelined before them", () => {
    const rig = rigWith(`${get("/1")}${post("Content-Length: 1")}xBAD\r\n\r\n`);
    rig.latest.answer("one");
    rig.latest.answer("two");
    expect(rig.connection.sent()).toBe(
      `${ok("one")}${ok("two")}HTTP/1.1 400 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  });
  test("lingering has an end: in bytes, by a reset", () => {
    const rig = rigWith("BAD\r\n\r\n");
    const piece = "x".repeat(64 * 1024);
    for (let sent = 0; sent <= lingerBytesMax + piece.length; sent += piece.length) rig.connection.receive(piece);
    expect([rig.connection.ended, rig.closed]).toEqual(["abort", 1]);
  });
  test("lingering has an end: in time", () => {
    const rig = rigWith("BAD\r\n\r\n");
    rig.time.pass(lingerMs);
    expect([rig.connection.ended, rig.closed, rig.timers.size]).toEqual(["close", 1, 0]);
  });
  test("a head that grows over the limit in pieces is refused as one in one piece", () => {
    const rig = rigWith(
      get("/", "X: 1").slice(0, -2),
      ...Array.from({ length: 100 }, () => `Y: ${"y".repeat(50)}\r\n`),
    );
    expect(rig.refused).toEqual(["Client RequestHead too-large"]);
  });
});

describe("broken request bodies", () => {
  for (const [what, body] of [
    ["a bad chunk size", "x\r\n"],
    ["a missing CRLF", "1\r\nxx"],
    ["bad trailers", "0\r\nX : 1\r\n\r\n"],
    ["bare LF in trailers", "0\r\nX: 1\n\r\n"],
  ] as const) {
    test(`${what}: the exchange hears of it, can still answer, and the connection closes`, () => {
      const rig = rigWith(post("Transfer-Encoding: chunked"), body, get("/smuggled"));
      expect(rig.latest.resets).toEqual(["Client RequestBody protocol"]);
      expect(rig.connection.sent()).toBe("HTTP/1.1 400 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      expect([rig.requests.length, rig.connection.finished]).toEqual([1, true]);
    });
  }
  test("after the response head has gone out nothing but a reset is left", () => {
    const rig = rigWith(post("Transfer-Encoding: chunked"));
    rig.latest.head("HTTP/1.1 200 OK", "", false);
    rig.connection.receive("x");
    expect(rig.connection.ended).toBe("abort");
  });
});

describe("endings by the client", () => {
  test("FIN between requests, or within a head, closes", () => {
    for (const input of ["", get("/"), "GET / HT"]) {
      const rig = rigWith(input);
      if (rig.requests.length > 0) rig.latest.answer("x");
      rig.connection.receiveFin();
      expect([rig.connection.ended, rig.closed, rig.timers.size]).toEqual(["close", 1, 0]);
    }
  });
  test("FIN behind a request: the response still goes out, and then we close (RFC 9112 9.6)", () => {
    const rig = rigWith(get("/"));
    rig.connection.receiveFin();
    expect(rig.latest.resets).toEqual([]);
    rig.latest.answer("x");
    expect(rig.connection.sent()).toBe(ok("x", "Connection: close"));
    expect(rig.connection.ended).toBe("close");
  });
  test("FIN behind pipelined requests: all are answered, and then we close", () => {
    const rig = rigWith(get("/1") + get("/2") + get("/3"));
    rig.connection.events.onFinish(); // however early it is heard
    rig.latest.answer("1");
    rig.latest.answer("2");
    expect(rig.connection.isOpen).toBe(true);
    rig.latest.answer("3");
    expect(rig.lines).toEqual(["GET /1", "GET /2", "GET /3"]);
    expect(rig.connection.sent()).toBe(ok("1") + ok("2") + ok("3"));
    expect(rig.connection.ended).toBe("close");
  });
  test("FIN within a body is a broken request", () => {
    const rig = rigWith(`${post("Content-Length: 5")}he`);
    rig.connection.receiveFin();
    expect(rig.latest.resets).toEqual(["Client RequestBody reset"]);
    expect([rig.connection.ended, rig.closed]).toEqual(["abort", 1]);
  });
  test("FIN while the end of the body is held back is none", () => {
    const rig = new ServerRig();
    rig.onNew = (request) => request.stream.pause();
    rig.connection.receive(`${post("Content-Length: 5")}hello`);
    rig.connection.events.onFinish();
    rig.latest.stream.resume();
    expect(rig.latest).toMatchObject({ body: "hello", ends: 1, resets: [] });
    rig.latest.answer("x");
    expect(rig.connection.ended).toBe("close");
  });
  test("FIN while the body is held back and never whole is a broken request, once that is clear", () => {
    const rig = new ServerRig();
    rig.onNew = (request) => request.stream.pause();
    rig.connection.receive(`${post("Content-Length: 9")}hello`);
    rig.connection.events.onFinish();
    expect(rig.latest.resets).toEqual([]);
    rig.latest.stream.resume();
    expect(rig.latest).toMatchObject({ body: "hello", resets: ["Client RequestBody reset"] });
  });
  test("a break is heard once, with its phase", () => {
    const cases: readonly (readonly [string, (rig: ServerRig) => void, string])[] = [
      [post("Content-Length: 5"), () => {}, "Client RequestBody reset"],
      [get("/"), () => {}, "Client ResponseHead reset"],
      [get("/"), (rig) => void rig.latest.head("HTTP/1.1 200 OK", "", false), "Client ResponseBody reset"],
    ];
    for (const [input, act, expected] of cases) {
      const rig = rigWith(input);
      act(rig);
      rig.connection.break();
      expect([rig.latest.resets, rig.closed, rig.timers.size]).toEqual([[expected], 1, 0]);
      expect(rig.latest.data("x", true)).toBe(Flow.Closed);
    }
    const late = rigWith(get("/"));
    late.connection.break(Cause.TimedOut);
    expect(late.latest.resets).toEqual(["Client ResponseHead timeout"]);
  });
  test("a break while idle is only told to the host", () => {
    const rig = rigWith(get("/"));
    rig.latest.answer("x");
    rig.connection.break();
    expect([rig.latest.resets, rig.closed]).toEqual([[], 1]);
  });
});

describe("deadlines", () => {
  test("no first byte, and no next request: closed without a word", () => {
    const fresh = new ServerRig();
    fresh.time.pass(timeouts.requestHeadMs);
    expect([fresh.connection.ended, fresh.connection.sent()]).toEqual(["close", ""]);
    const idle = rigWith(get("/"));
    idle.latest.answer("x");
    idle.connection.sent();
    idle.time.pass(timeouts.idleMs - 500);
    expect(idle.connection.isOpen).toBe(true);
    idle.time.pass(500);
    expect([idle.connection.ended, idle.connection.sent()]).toEqual(["close", ""]);
  });
  test("a head that dribbles gets 408, however it dribbles", () => {
    const rig = rigWith("G");
    for (const piece of ["E", "T", " "]) {
      rig.time.pass(timeouts.requestHeadMs / 4 - 100);
      rig.connection.receive(piece);
    }
    expect(rig.refused).toEqual([]);
    rig.time.pass(timeouts.requestHeadMs / 4);
    expect(rig.refused).toEqual(["Client RequestHead timeout"]);
    expect(rig.connection.sent()).toBe("HTTP/1.1 408 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  test("an empty line behind a request begins no other: closed without a word, and idle until then", () => {
    const rig = rigWith(post("Content-Length: 1"), "x");
    rig.latest.answer("x");
    rig.connection.receive("\r", "\n");
    expect(rig.server.isIdle).toBe(true);
    const drained = rigWith(get("/"));
    drained.latest.answer("x");
    drained.connection.receive("\r\n");
    drained.server.closeWhenIdle();
    expect(drained.connection.finished).toBe(true);
    rig.connection.sent();
    rig.time.pass(timeouts.requestHeadMs);
    expect([rig.connection.ended, rig.connection.sent(), rig.refused]).toEqual(["close", "", []]);
    const begun = rigWith("\r\nG");
    begun.time.pass(timeouts.requestHeadMs);
    expect(begun.refused).toEqual(["Client RequestHead timeout"]);
  });
  test("a body may dribble, but not pause", () => {
    const rig = rigWith(post("Content-Length: 9"));
    for (const piece of "hello") {
      rig.time.pass(timeouts.bodyMs - 500);
      rig.connection.receive(piece);
    }
    expect(rig.latest.resets).toEqual([]);
    rig.time.pass(timeouts.bodyMs);
    expect(rig.latest.resets).toEqual(["Client RequestBody timeout"]);
  });
  test("a client that is held back is not under the body's deadline", () => {
    const rig = rigWith(post("Content-Length: 9"));
    rig.latest.stream.pause();
    rig.time.pass(10 * timeouts.bodyMs);
    expect(rig.latest.resets).toEqual([]);
    rig.latest.stream.resume();
    rig.time.pass(timeouts.bodyMs);
    expect(rig.latest.resets).toEqual(["Client RequestBody timeout"]);
  });
  test("an exchange under way has no deadline here", () => {
    const rig = rigWith(get("/"));
    rig.time.pass(1_000_000);
    expect([rig.latest.resets, rig.connection.isOpen]).toEqual([[], true]);
  });
  test("a client that reads nothing is given up; one that reads slowly is not", () => {
    const rig = rigWith(get("/"));
    rig.connection.room = 0;
    rig.connection.unsentBytes = 1000;
    expect(rig.latest.head("HTTP/1.1 200 OK", "Content-Length: 5\r\n", false)).toBe(Flow.Pause);
    for (const left of [900, 500, 100]) {
      rig.connection.unsentBytes = left;
      rig.time.pass(timeouts.writeMs);
      expect(rig.latest.resets).toEqual([]);
    }
    rig.time.pass(timeouts.writeMs);
    expect(rig.latest.resets).toEqual(["Client ResponseBody timeout"]);
    expect(rig.connection.ended).toBe("abort");
  });
  test("a client that does not read the end of a response is given up, too", () => {
    const rig = rigWith(get("/"));
    rig.connection.room = 3;
    rig.latest.answer("x");
    rig.time.pass(timeouts.writeMs);
    expect([rig.connection.ended, rig.closed, rig.timers.size]).toEqual(["abort", 1, 0]);
  });
});

describe("back-pressure", () => {
  test("what the kernel does not take is kept, in order; the source hears when it has gone", () => {
    const rig = rigWith(get("/"));
    rig.connection.room = 10;
    expect(rig.latest.head("HTTP/1.1 200 OK", "Content-Length: 10\r\n", false)).toBe(Flow.Pause);
    expect(rig.latest.data("hello", false)).toBe(Flow.Pause);
    rig.connection.drain(5);
    expect(rig.latest.drains).toBe(0);
    rig.connection.drain(1000);
    expect(rig.latest.drains).toBe(1);
    expect(rig.latest.data("world", true)).toBe(Flow.Go);
    expect(rig.connection.sent()).toBe(ok("helloworld"));
  });
  test("the next request waits until the client has taken the response", () => {
    const rig = rigWith(get("/1") + get("/2"));
    rig.connection.room = 5;
    rig.latest.answer("one");
    expect(rig.lines).toEqual(["GET /1"]);
    rig.connection.drain(1000);
    expect(rig.lines).toEqual(["GET /1", "GET /2"]);
    expect(rig.connection.sent()).toBe(ok("one"));
  });
  test("and so does the close", () => {
    const rig = rigWith(get("/", "Connection: close"));
    rig.connection.room = 5;
    rig.latest.answer("one");
    expect(rig.connection.isOpen).toBe(true);
    rig.connection.drain(1000);
    expect([rig.connection.sent(), rig.connection.ended]).toEqual([ok("one", "Connection: close"), "close"]);
  });
  test("a paused body is held, the socket stopped, and goes on where it was", () => {
    for (const [field, body] of [
      ["Content-Length: 10", "helloworld"],
      ["Transfer-Encoding: chunked", "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"],
    ] as const) {
      const rig = new ServerRig();
      rig.onNew = (request) => {
        request.also = () => request.stream.pause();
      };
      rig.connection.receive(post(field), body.slice(0, 13), body.slice(13));
      const first = rig.latest.body;
      expect(first.length).toBeLessThanOrEqual(10);
      for (let k = 0; k < 20 && rig.latest.ends === 0; k++) {
        rig.latest.stream.resume();
        rig.connection.pump();
      }
      expect(rig.latest).toMatchObject({ body: "helloworld", ends: 1 });
      rig.latest.answer("x");
      rig.connection.pump();
      expect([rig.server.isIdle, rig.connection.paused]).toEqual([true, false]);
    }
  });
  test("a paused client is stopped before a second receive is held", () => {
    const rig = rigWith(post("Content-Length: 1000000"));
    rig.latest.stream.pause();
    expect(rig.connection.paused).toBe(true);
    rig.connection.receive("x".repeat(1000), "x".repeat(1000));
    expect([rig.latest.body, rig.connection.waiting]).toEqual(["", 2000]);
  });
  test("bytes are counted both ways, and each taken once", () => {
    const rig = rigWith(`${post("Content-Length: 5")}hello`);
    expect([rig.server.takeBytesIn(), rig.server.takeBytesIn()]).toEqual([post("Content-Length: 5").length + 5, 0]);
    rig.latest.answer("x");
    const { length } = rig.connection.sent();
    expect([rig.server.takeBytesOut(), rig.server.takeBytesOut()]).toEqual([length, 0]);
  });
  test("long bodies come in lent memory, and what is kept of it is copied", () => {
    const rig = new ServerRig();
    const pieces = Array.from({ length: 6 }, (_, i) => String.fromCharCode(97 + i).repeat(150_000));
    let paused = false;
    rig.onNew = (request) => {
      request.also = () => {
        if (!paused && request.body.length > 400_000) request.stream.pause();
        paused ||= request.body.length > 400_000;
      };
    };
    rig.connection.receive(post("Content-Length: 900000"), ...pieces, get("/2"));
    expect(rig.latest.body.length).toBeLessThan(900_000);
    rig.latest.stream.resume();
    rig.connection.pump();
    expect(rig.latest.body === pieces.join("")).toBe(true);
    rig.latest.answer("x");
    rig.connection.pump();
    expect(rig.lines).toEqual(["POST /", "GET /2"]);
  });
});

describe("giving the connection away", () => {
  test("an upgrade hands over early bytes, unsent bytes and a FIN; the host hears no more", () => {
    const rig = rigWith(`${get("/", "Connection: upgrade", "Upgrade: websocket")}early`);
    expect(rig.connection.paused).toBe(true);
    rig.connection.room = 10;
    rig.latest.head("HTTP/1.1 101 Switching", "Connection: upgrade\r\nUpgrade: websocket\r\n", true);
    const { received, unsent, finished } = rig.server.detach();
    expect(Buffer.from(received!).toString()).toBe("early");
    expect(rig.connection.sent() + Buffer.from(unsent!).toString()).toBe(
      "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    expect([finished, rig.timers.size]).toEqual([false, 0]);
    rig.connection.break();
    expect([rig.closed, rig.latest.resets]).toEqual([0, []]);
  });
  test("with nothing left over there is nothing", () => {
    const rig = rigWith(get("/", "Connection: upgrade", "Upgrade: websocket"));
    rig.connection.receiveFin();
    expect(rig.server.detach()).toEqual({ received: null, unsent: null, finished: true });
  });
});

test("forwarding chunks as they stand is only agreed to for a chunked body that has not come yet", () => {
  const taker = rigWith(get("/"));
  taker.latest.head("HTTP/1.1 200 OK", "", false);
  const forwards = (input: string): boolean => {
    const rig = rigWith(input);
    return rig.server.forward(taker.server);
  };
  expect(forwards(post("Transfer-Encoding: chunked"))).toBe(true);
  expect(forwards(post("Content-Length: 5"))).toBe(false);
  expect(forwards(get("/"))).toBe(false);
  expect(forwards(`${post("Transfer-Encoding: chunked")}0\r\n\r\n`)).toBe(false);
  const chunks = rigWith(post("Transfer-Encoding: chunked"));
  expect(chunks.latest.length).toBe(BODY_CHUNKED);
  chunks.server.forward(taker.server);
  chunks.connection.receive("5;ext\r\nhel", "lo\r\n0\r\n\r\n");
  expect(chunks.latest).toMatchObject({ body: "5\r\nhello\r\n0\r\n\r\n", ends: 1 });
});

test("a reset breaks the connection, throws away a waiting head, and is heard by nobody", () => {
  const rig = rigWith(get("/"));
  rig.latest.head("HTTP/1.1 200 OK", "Content-Length: 5\r\n", false, true); // waits for its body
  rig.server.reset(0);
  expect([rig.connection.ended, rig.connection.sent(), rig.closed]).toEqual(["abort", "", 1]);
  expect(rig.latest.resets).toEqual([]);
  const other = rigWith(get("/"));
  other.latest.answer("x");
  expect(other.connection.sent()).toBe(ok("x"));
});

test("a head whose body does not come in the same call leaves at the end of the receive", () => {
  const rig = new ServerRig();
  rig.onNew = (request) => void request.head("HTTP/1.1 200 OK", "Content-Length: 5\r\n", false, true);
  rig.connection.receive(get("/"));
  expect(rig.connection.sent()).toBe("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
});

test("and also when no receive brought its request", () => {
  const rig = rigWith(get("/1") + get("/2"));
  rig.onNew = (request) => void request.head("HTTP/1.1 200 OK", "Content-Length: 5\r\n", false, true);
  rig.latest.answer("1"); // as from a timer
  expect(rig.connection.sent()).toBe(`${ok("1")}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n`);
});

test("a response that waits for its body does not keep another connection's bytes", () => {
  const one = rigWith(get("/"));
  const two = rigWith(get("/"));
  one.latest.head("HTTP/1.1 200 OK", "Content-Length: 1\r\n", false, true);
  two.latest.stream.sendHead(requestHead("GET / HTTP/1.0\r\nA: 1\r\n\r\n"), nothing, true, false);
  one.latest.data("x", true);
  expect(one.connection.sent()).toBe(ok("x"));
});
