// Every rule of the response and trailer parsers. What requests and responses share is tested with requests.

import { describe, expect, test } from "bun:test";
import { connectionOptionsMax } from "../../base/limits.ts";
import { BODY_CHUNKED, BODY_UNTIL_CLOSE, Method } from "../head.ts";
import { fieldsMax, headBytesMax, seeResponse, seeTrailers, type SeenHead } from "./test-kit.ts";

const response = (statusLine: string, ...lines: readonly string[]): string =>
  `${statusLine}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const ok = (...lines: readonly string[]): string => response("HTTP/1.1 200 OK", ...lines);
const verdict = (input: string): string => seeResponse(input).verdict;
const forwarded = (seen: SeenHead): string[] => seen.fields.filter((field) => !field.hop).map((field) => field.name);

describe("status line (RFC 9112 4)", () => {
  const cases: readonly (readonly [what: string, line: string, expected: string])[] = [
    ["the plain form", "HTTP/1.1 200 OK", "ok"],
    ["an empty reason", "HTTP/1.1 200 ", "ok"],
    ["no reason and no space before it, which old servers send", "HTTP/1.1 200", "ok"],
    ["a reason of several words, tabs and obs-text", "HTTP/1.1 200 a\tb \xe9", "ok"],
    ["HTTP/1.0", "HTTP/1.0 200 OK", "ok"],
    ["the lowest status", "HTTP/1.1 100 x", "ok"],
    ["the highest status", "HTTP/1.1 599 x", "ok"],
    ["RFC 9110 15: a status below 100", "HTTP/1.1 099 x", "protocol"],
    ["RFC 9110 15: a status above 599", "HTTP/1.1 600 x", "protocol"],
    ["two digits", "HTTP/1.1 20 x", "protocol"],
    ["four digits", "HTTP/1.1 2000 x", "protocol"],
    ["a sign", "HTTP/1.1 +20 x", "protocol"],
    ["letters", "HTTP/1.1 2xx x", "protocol"],
    ["two spaces before the status", "HTTP/1.1  200 x", "protocol"],
    ["a tab before the status", "HTTP/1.1\t200 x", "protocol"],
    ["a tab behind the status", "HTTP/1.1 200\tx", "protocol"],
    ["NUL in the reason", "HTTP/1.1 200 a\0b", "protocol"],
    ["bare CR in the reason", "HTTP/1.1 200 a\rb", "protocol"],
    ["bare LF in the reason", "HTTP/1.1 200 a\nb", "protocol"],
    ["the version is case-sensitive", "http/1.1 200 OK", "protocol"],
    ["no version", "200 OK", "protocol"],
    ["an empty line before it", "\r\nHTTP/1.1 200 OK", "protocol"],
    ["HTTP/2.0", "HTTP/2.0 200 OK", "version"],
    ["HTTP/1.2", "HTTP/1.2 200 OK", "version"],
    ["another protocol", "ICY 200 OK", "protocol"],
  ];
  for (const [what, line, expected] of cases) {
    test(`${what}: ${expected}`, () => expect(verdict(response(line, "Content-Length: 0"))).toBe(expected));
  }
  test("the status is read", () => expect(seeResponse(response("HTTP/1.1 418 x")).status).toBe(418));
  test("bare LF behind it", () => expect(verdict("HTTP/1.1 200 OK\nA: b\r\n\r\n")).toBe("protocol"));
});

describe("body length (RFC 9112 6.3)", () => {
  const length = (input: string, method: Method = Method.Get): number => seeResponse(input, method).bodyLength;

  test("Content-Length", () => expect(length(ok("Content-Length: 7"))).toBe(7));
  test("chunked", () => expect(length(ok("Transfer-Encoding: chunked"))).toBe(BODY_CHUNKED));
  test("neither: until close", () => expect(length(ok())).toBe(BODY_UNTIL_CLOSE));
  test("no body in an answer to HEAD, whatever is said", () => {
    expect(length(ok("Content-Length: 7"), Method.Head)).toBe(0);
    expect(length(ok("Transfer-Encoding: chunked"), Method.Head)).toBe(0);
    expect(length(ok(), Method.Head)).toBe(0);
  });
  test("no body with 1xx, 204 and 304, whatever is said", () => {
    for (const status of [100, 101, 103, 199, 204, 304]) {
      for (const line of ["Content-Length: 7", "Transfer-Encoding: chunked", "A: b"]) {
        expect([status, line, length(response(`HTTP/1.1 ${status} x`, line))]).toEqual([status, line, 0]);
      }
    }
  });
  test("205 and other odd ones have one", () => {
    expect(length(response("HTTP/1.1 205 x", "Content-Length: 7"))).toBe(7);
    expect(length(response("HTTP/1.1 404 x"))).toBe(BODY_UNTIL_CLOSE);
  });
  test("RFC 9110 8.6: Content-Length is not passed on with 1xx and 204, but with 304 and to HEAD", () => {
    expect(forwarded(seeResponse(response("HTTP/1.1 204 x", "Content-Length: 7", "A: b")))).toEqual(["A"]);
    expect(forwarded(seeResponse(response("HTTP/1.1 103 x", "Content-Length: 7", "A: b")))).toEqual(["A"]);
    expect(forwarded(seeResponse(response("HTTP/1.1 304 x", "Content-Length: 7")))).toEqual(["Content-Length"]);
    expect(forwarded(seeResponse(ok("Content-Length: 7"), Method.Head))).toEqual(["Content-Length"]);
  });
  test("both are refused, in either order, also where there is no body", () => {
    expect(verdict(ok("Content-Length: 7", "Transfer-Encoding: chunked"))).toBe("protocol");
    expect(verdict(ok("Transfer-Encoding: chunked", "Content-Length: 7"))).toBe("protocol");
    expect(verdict(response("HTTP/1.1 304 x", "Transfer-Encoding: chunked", "Content-Length: 7"))).toBe("protocol");
  });
  test("repeated or malformed ones are refused as in requests", () => {
    expect(verdict(ok("Content-Length: 7", "Content-Length: 7"))).toBe("protocol");
    expect(verdict(ok("Content-Length: 7, 7"))).toBe("protocol");
    expect(verdict(ok("Transfer-Encoding: gzip, chunked"))).toBe("unsupported");
    expect(verdict(ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"))).toBe("protocol");
  });
  test("RFC 9112 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing", () => {
    expect(verdict(response("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"))).toBe("protocol");
  });
});

describe("fields of responses", () => {
  test("Host and Expect mean nothing here", () => {
    expect(verdict(ok("Host: a b", "Host: c", "Expect: x", "Content-Length: 0"))).toBe("ok");
  });
  test("connection options and hop-by-hop fields", () => {
    const seen = seeResponse(ok("Connection: close, x-a", "X-A: 1", "Keep-Alive: timeout=5", "X-B: 2"));
    expect(forwarded(seen)).toEqual(["X-B"]);
    expect(seen.flags).toEqual(["Close", "HasConnectionNames"]);
  });
  test("HTTP/1.0 closes unless it says keep-alive", () => {
    expect(seeResponse(response("HTTP/1.0 200 OK")).flags).toEqual(["Http10", "Close"]);
    const kept = seeResponse(response("HTTP/1.0 200 OK", "Connection: keep-alive", "Content-Length: 1"));
    expect(kept.flags).toEqual(["Http10", "KeepAlive", "ContentLength"]);
  });
  test("an accepted upgrade", () => {
    const seen = seeResponse(response("HTTP/1.1 101 x", "Connection: Upgrade", "Upgrade: websocket"));
    expect(seen.flags).toContain("Upgrade");
    expect(seeResponse(response("HTTP/1.1 101 x", "Upgrade: websocket")).flags).not.toContain("Upgrade");
    const h2c = response("HTTP/1.1 101 x", "Connection: Upgrade", "Upgrade: h2c");
    expect(seeResponse(h2c).flags).not.toContain("Upgrade");
  });
  test("space before the colon, folding and control bytes are refused as in requests (RFC 9112 5.1, 5.2)", () => {
    for (const lines of [["X : 1"], ["X: 1", " 2"], ["X: a\0"], [": 1"], ["X"], ["X: a\rb"], ["X: a\nY: b"]]) {
      expect([lines, verdict(ok(...lines))]).toEqual([lines, "protocol"]);
    }
  });
});

describe("limits of responses", () => {
  test("head bytes: the maximum, and one more", () => {
    const rest = ok("X: ").length;
    const of = (size: number): string => verdict(ok(`X: ${"x".repeat(size - rest)}`));
    expect(of(headBytesMax)).toBe("ok");
    expect(of(headBytesMax + 1)).toBe("too-large");
    expect(verdict(`HTTP/1.1 200 ${"x".repeat(headBytesMax)}`)).toBe("too-large");
  });
  test("fields: the maximum, and one more", () => {
    const of = (count: number): string => verdict(ok(...Array.from({ length: count }, () => "X: 1")));
    expect(of(fieldsMax)).toBe("ok");
    expect(of(fieldsMax + 1)).toBe("too-large");
  });
  test("connection options", () => {
    expect(verdict(ok(`Connection: ${"a,".repeat(connectionOptionsMax + 1)}`))).toBe("too-large");
  });
  test("every proper prefix wants more", () => {
    const whole = ok("Content-Length: 0", "A: b");
    for (let length = 0; length < whole.length; length++) {
      expect([length, verdict(whole.slice(0, length))]).toEqual([length, "more"]);
    }
  });
});

describe("trailers (RFC 9110 6.5, RFC 9112 7.1.2)", () => {
  test("fields and the empty line", () => {
    const seen = seeTrailers("X-Sum: 1\r\nServer-Timing: a;b=c\r\n\r\nGET");
    expect(seen).toMatchObject({ verdict: "ok", used: "X-Sum: 1\r\nServer-Timing: a;b=c\r\n\r\n".length });
    expect(forwarded(seen)).toEqual(["X-Sum", "Server-Timing"]);
  });
  test("an empty section", () => expect(seeTrailers("\r\n")).toMatchObject({ verdict: "ok", fields: [] }));
  for (const name of [
    "Host",
    "Content-Length",
    "Trailer",
    "TE",
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Upgrade",
    "Expect",
    "Content-Type",
    "Content-Encoding",
    "Content-Range",
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "Cache-Control",
    "If-Match",
    "Range",
    "Location",
    "Max-Forwards",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Real-IP",
    "X-Request-Id",
    "Forwarded",
    "Via",
  ]) {
    test(`${name} is not passed on (RFC 9110 6.5.1)`, () => {
      const seen = seeTrailers(`X: 1\r\n${name.toUpperCase()}: 5\r\nY: 2\r\n\r\n`);
      expect(seen.verdict).toBe("ok");
      expect(forwarded(seen)).toEqual(["X", "Y"]);
    });
  }
  test("Transfer-Encoding is not passed on either", () => {
    expect(forwarded(seeTrailers("Transfer-Encoding: chunked\r\nA: b\r\n\r\n"))).toEqual(["A"]);
  });
  test("as strict as a head", () => {
    for (const bad of [
      "X : 1\r\n\r\n",
      " X: 1\r\n\r\n",
      "X\r\n\r\n",
      "X: 1\n\r\n",
      "X: \0\r\n\r\n",
      ": 1\r\n\r\n",
      "\n",
    ]) {
      expect([bad, seeTrailers(bad).verdict]).toEqual([bad, "protocol"]);
    }
    expect(seeTrailers("A: 1\r\nB: 2\r\n\r\n", 1).verdict).toBe("too-large");
    expect(seeTrailers("A: 1\r\n").verdict).toBe("more");
  });
});
