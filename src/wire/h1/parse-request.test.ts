// Every rule of the request parser, one named case each, with the section of the RFC it comes from.

import { describe, expect, test } from "bun:test";
import { connectionOptionsMax, targetBytesMax } from "../../base/limits.ts";
import { BODY_CHUNKED, Method } from "../head.ts";
import { bytesOf, fieldsMax, headBytesMax, seeRequest } from "./test-kit.ts";

/** A request with these field lines behind Host. */
const withFields = (...lines: readonly string[]): string =>
  `POST /p HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const verdict = (input: string): string => seeRequest(input).verdict;

type Case = readonly [section: string, what: string, input: string, expected: string];

const lineCases: readonly Case[] = [
  ["9112 3", "the plain form", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"],
  ["9112 3", "an unknown method is passed on", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "ok"],
  ["9110 9.1", "methods are case-sensitive: get is unknown, not GET", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"],
  [
    "9110 9.1",
    "every token character is allowed in a method",
    "!#$%&'*+-.^_`|~0aZ / HTTP/1.1\r\nHost: a\r\n\r\n",
    "ok",
  ],
  ["9110 9.1", "a method is a token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9110 9.1", "obs-text in a method", "G\xc9T / HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "a tab instead of a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "white space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "white space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "an empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.2", "bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.2", "bare CR behind the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", "protocol"],
  ["9112 2.2", "CR CR LF behind the request line", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.2", "bare CR in the target", "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.2", "bare LF in the target", "GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.2", "one empty line before the request line", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"],
  ["9112 2.2", "two empty lines before it", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.2", "an empty line that is a bare LF", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.2", "a lone CR before the request line", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  [
    "9112 2.2",
    "white space between start line and fields",
    "GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n",
    "protocol",
  ],
  ["9112 2.3", "HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "ok"],
  ["9112 2.3", "HTTP/1.2: no such version to forward as", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "version"],
  ["9112 2.3", "HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "version"],
  ["9112 2.3", "HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "version"],
  ["9112 2.3", "the version is case-sensitive", "GET / http/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.3", "a version of two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.3", "HTTP/1", "GET / HTTP/1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.3", "HTTP/1,1", "GET / HTTP/1,1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 2.3", "another protocol", "GET / ICY/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3", "the simple request of HTTP/0.9", "GET /\r\nHost: a\r\n\r\n", "protocol"],
  ["9113 3.4", "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version"],
  ["9112 3.2", "a fragment is no part of a target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3.2", "NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3.2", "DEL in the target", "GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3.2", "a control byte in the target", "GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3.2", "a tab in the target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3.2", "a target without a slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3.2.3", "CONNECT with an authority", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "unsupported"],
  ["9112 3.2.3", "CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "unsupported"],
  ["9112 3.2.3", "CONNECT with a URI", "CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "unsupported"],
  ["9112 3.2.3", "an authority with another method", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3.2.4", "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "ok"],
  ["9112 3.2.4", "* with another method", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
  ["9112 3.2.4", "more behind the asterisk", "OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", "protocol"],
];

describe("request line", () => {
  for (const [section, what, input, expected] of lineCases) {
    test(`RFC ${section}: ${what}: ${expected}`, () => expect(verdict(input)).toBe(expected));
  }

  test("its parts", () => {
    const seen = seeRequest("PATCH /a/b?c=%20&d HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(seen).toMatchObject({ method: "PATCH", methodNumber: Method.Patch, target: "/a/b?c=%20&d", bodyLength: 0 });
    expect(seen.flags).toEqual([]);
  });

  test("obs-text and odd printable bytes of a target are passed on as they are", () => {
    const target = `/\xff\xc3\xa9"<>\\^\`{|}`;
    expect(seeRequest(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).target).toBe(target);
  });

  test("every method the proxy knows has its number, and their neighbours have none", () => {
    for (const [name, number] of Object.entries(Method)) {
      const word = name.toUpperCase();
      const input = (method: string): string => `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`;
      if (number === Method.Other || number === Method.Connect) continue;
      expect(seeRequest(input(word)).methodNumber).toBe(number);
      for (const other of [word.toLowerCase(), `${word}X`, `X${word.slice(1)}`, `${word.slice(0, -1)}X`]) {
        expect(seeRequest(input(other)).methodNumber).toBe(Method.Other);
      }
    }
  });
});

describe("absolute form (RFC 9112 3.2.2)", () => {
  const cases: readonly (readonly [uri: string, host: string, target: string])[] = [
    ["http://b/x?y", "b", "/x?y"],
    ["HTTP://b:81/", "b:81", "/"],
    ["hTtPs://b/x", "b", "/x"],
    ["http://b", "b", ""],
    ["http://b?q=1", "b", "?q=1"],
    ["http://[::1]:8080/x", "[::1]:8080", "/x"],
    ["http://b//x", "b", "//x"],
  ];
  for (const [uri, host, target] of cases) {
    test(`${uri}: the authority replaces Host`, () => {
      const seen = seeRequest(`GET ${uri} HTTP/1.1\r\nHost: other\r\n\r\n`);
      expect(seen).toMatchObject({ verdict: "ok", host, target, flags: ["Absolute"] });
    });
  }

  test("HTTP/1.0 needs no Host beside it", () => {
    expect(seeRequest("GET http://b/ HTTP/1.0\r\n\r\n")).toMatchObject({ verdict: "ok", host: "b" });
  });
  test("RFC 9112 3.2: HTTP/1.1 needs Host even so", () => {
    expect(verdict("GET http://b/ HTTP/1.1\r\n\r\n")).toBe("protocol");
  });
  test("RFC 9112 3.2: Host must be valid even where it is ignored", () => {
    expect(verdict("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n")).toBe("protocol");
  });
  for (const uri of [
    "http://",
    "https://",
    "http:///x",
    "http://?x",
    "http://user@b/",
    "http://user:pw@b/",
    "http://b:99999/",
    "http://b:x/",
    "http://[::1/",
    "http://b\\x/",
    "http:/b/",
    "http//b/",
    "ftp://b/",
    "ws://b/",
    "urn:b",
  ]) {
    test(`${uri} is refused`, () => {
      expect(verdict(`GET ${uri} HTTP/1.1\r\nHost: b\r\n\r\n`)).toBe("protocol");
    });
  }
});

describe("Host (RFC 9112 3.2, RFC 9110 7.2)", () => {
  const of = (host: string): string => verdict(`GET / HTTP/1.1\r\nHost:${host}\r\n\r\n`);
  for (const good of [
    "a",
    " a.example",
    " a.example:80",
    " a.example:",
    " a:65535",
    " 192.0.2.1:8080",
    " [2001:db8::1]",
    " [::ffff:192.0.2.1]:443",
    "\ta_b-c~d!$&'()*+,;=e\t ",
    " %41b.example",
  ]) {
    test(`${JSON.stringify(good)} is taken`, () => expect(of(good)).toBe("ok"));
  }
  for (const bad of [
    "",
    " ",
    " :80",
    " a b",
    " a,b c",
    " a/b",
    " a?b",
    " a#b",
    " a@b",
    " a\\b",
    ' "a"',
    " <a>",
    " a^b",
    " a|b",
    " a:b",
    " a:80:80",
    " a:123456",
    " a:65536",
    " a: 80",
    " a:-1",
    " [::1",
    " ::1",
    " []",
    " [::1]x",
    " [::1%eth0]",
    " [v1.x]",
    " a]",
    " \xe9.example",
    " %4",
    " %zz",
    " a%",
  ]) {
    test(`${JSON.stringify(bad)} is refused`, () => expect(of(bad)).toBe("protocol"));
  }

  test("missing in HTTP/1.1", () => expect(verdict("GET / HTTP/1.1\r\n\r\n")).toBe("protocol"));
  test("missing in HTTP/1.0 is allowed, and then it is empty", () => {
    expect(seeRequest("GET / HTTP/1.0\r\nA: b\r\n\r\n")).toMatchObject({ verdict: "ok", host: "" });
  });
  test("twice, even if the same", () => {
    expect(verdict("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n")).toBe("protocol");
    expect(verdict("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")).toBe("protocol");
  });
  test("never taken out by Connection", () => {
    const seen = seeRequest("GET / HTTP/1.1\r\nConnection: host, x\r\nHost: a\r\nX: 1\r\n\r\n");
    expect(seen.fields.map((field) => field.hop)).toEqual([true, false, true]);
  });
});

describe("field lines (RFC 9112 5, RFC 9110 5)", () => {
  const cases: readonly Case[] = [
    ["9112 5.1", "space before the colon", withFields("X : 1"), "protocol"],
    ["9112 5.1", "tab before the colon", withFields("X\t: 1"), "protocol"],
    ["9112 5.1", "space before the colon of a framing field", withFields("Content-Length : 5"), "protocol"],
    ["9112 5.1", "an empty name", withFields(": 1"), "protocol"],
    ["9112 5.1", "no colon", withFields("X"), "protocol"],
    ["9112 5.1", "no colon in the last line", withFields("X: 1", "Y"), "protocol"],
    ["9112 5.2", "obs-fold with a space", withFields("X: 1", " 2"), "protocol"],
    ["9112 5.2", "obs-fold with a tab", withFields("X: 1", "\t2"), "protocol"],
    ["9112 5.2", "a folded framing field", withFields("Transfer-Encoding:", " chunked"), "protocol"],
    ["9112 2.2", "bare LF ends a field line", withFields("X: 1\nY: 2"), "protocol"],
    ["9112 2.2", "bare CR in a value", withFields("X: 1\rY: 2"), "protocol"],
    ["9112 2.2", "CR CR LF", withFields("X: 1\r"), "protocol"],
    ["9112 2.2", "LF CR", withFields("X: 1\n\rY: 2"), "protocol"],
    ["9112 2.2", "bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", "protocol"],
    ["9112 2.2", "CR and something ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\rX", "protocol"],
    ["9110 5.5", "NUL in a value", withFields("X: a\0b"), "protocol"],
    ["9110 5.5", "DEL in a value", withFields("X: a\x7fb"), "protocol"],
    ["9110 5.5", "a control byte in a value", withFields("X: a\x1bb"), "protocol"],
    ["9110 5.5", "vertical tab before a value", withFields("Transfer-Encoding: \x0bchunked"), "protocol"],
    ["9110 5.5", "form feed behind a value", withFields("X: 1\x0c"), "protocol"],
    ["9110 5.6.2", "NUL in a name", withFields("X\0: 1"), "protocol"],
    ["9110 5.6.2", "a control byte in a name", withFields("X\x01: 1"), "protocol"],
    ["9110 5.6.2", "obs-text in a name", withFields("X\xe9: 1"), "protocol"],
    ["9110 5.6.2", "a separator in a name", withFields("X(Y): 1"), "protocol"],
    ["9110 5.6.2", "white space in a name", withFields("X Y: 1"), "protocol"],
    ["9110 5.6.2", "a quote in a name", withFields('"X": 1'), "protocol"],
    ["9110 5.6.2", "every token character in a name", withFields("!#$%&'*+-.^_`|~0aZ: 1"), "ok"],
    ["9110 5.5", "an empty value", withFields("X:", "Y: "), "ok"],
  ];
  for (const [section, what, input, expected] of cases) {
    test(`RFC ${section}: ${what}: ${expected}`, () => expect(verdict(input)).toBe(expected));
  }

  test("RFC 9110 5.5: obs-text, inner white space and odd characters are kept, outer white space is not", () => {
    const value = "\xff\x80 a \t b:\"\\;,'";
    const seen = seeRequest(withFields(`X-Y:  \t${value}\t  `, "Z:w", "E:\t"));
    expect(seen.fields.slice(1)).toEqual([
      { name: "X-Y", value, hop: false },
      { name: "Z", value: "w", hop: false },
      { name: "E", value: "", hop: false },
    ]);
  });

  test("each control byte is refused at each place, and every other byte is taken in a value", () => {
    for (let c = 0; c < 256; c++) {
      const ch = String.fromCharCode(c);
      const inValue = c === 9 || (c >= 32 && c !== 127);
      const target = c > 32 && c !== 127 && ch !== "#" ? "ok" : "protocol";
      expect([c, verdict(withFields(`X: a${ch}b`))]).toEqual([c, inValue ? "ok" : "protocol"]);
      expect([c, verdict(`GET /a${ch}b HTTP/1.1\r\nHost: a\r\n\r\n`)]).toEqual([c, target]);
    }
  });
});

describe("Content-Length (RFC 9112 6.2, 6.3)", () => {
  for (const [value, length] of [
    ["0", 0],
    ["5", 5],
    ["005", 5],
    [" 42\t", 42],
    ["999999999999999", 999_999_999_999_999],
  ] as const) {
    test(`${JSON.stringify(value)} is ${length}`, () => {
      const seen = seeRequest(withFields(`Content-Length:${value}`));
      expect(seen).toMatchObject({ verdict: "ok", bodyLength: length, flags: ["ContentLength"] });
    });
  }
  for (const value of [
    "",
    "+5",
    "-5",
    "5 5",
    "5,5",
    "5, 5",
    "5,",
    ",5",
    "0x5",
    "5.0",
    "5e0",
    "1_0",
    '"5"',
    "five",
    "\xb2",
    "1000000000000000",
    "00000000000000005",
    "18446744073709551616",
    "99999999999999999999999",
  ]) {
    test(`${JSON.stringify(value)} is refused`, () => {
      expect(verdict(withFields(`Content-Length: ${value}`))).toBe("protocol");
    });
  }
  test("twice, even if the same", () => {
    expect(verdict(withFields("Content-Length: 5", "Content-Length: 5"))).toBe("protocol");
    expect(verdict(withFields("Content-Length: 5", "content-length: 6"))).toBe("protocol");
    expect(verdict(withFields("Content-Length: 0", "Content-Length: 0"))).toBe("protocol");
  });
  test("never taken out by Connection: that would change the message", () => {
    const seen = seeRequest(withFields("Connection: content-length", "Content-Length: 5"));
    expect(seen.fields[2]).toEqual({ name: "Content-Length", value: "5", hop: false });
    expect(seen.bodyLength).toBe(5);
  });
  test("a name that only looks like it is not it", () => {
    for (const name of ["Content_Length", "Content-Lengt", "Content-Lengthh", "XContent-Length"]) {
      expect(seeRequest(withFields(`${name}: 5`)).bodyLength).toBe(0);
    }
  });
});

describe("Transfer-Encoding (RFC 9112 6.1, 6.3)", () => {
  for (const value of ["chunked", "CHUNKED", " cHuNkEd ", "\tchunked\t"]) {
    test(`${JSON.stringify(value)} is chunked`, () => {
      const seen = seeRequest(withFields(`Transfer-Encoding:${value}`));
      expect(seen).toMatchObject({ verdict: "ok", bodyLength: BODY_CHUNKED });
      expect(seen.fields[1]!.hop).toBe(true);
    });
  }
  test("an empty one is malformed", () => expect(verdict(withFields("Transfer-Encoding: "))).toBe("protocol"));
  for (const value of [
    "identity",
    "gzip",
    "gzip, chunked",
    "chunked, chunked",
    "chunked, identity",
    "chunked,",
    ", chunked",
    "chunked;q=1",
    '"chunked"',
    "xchunked",
    "chunkedx",
    "chunked chunked",
    "chun\u00a0ked",
    "chunke\xe4",
  ]) {
    test(`${JSON.stringify(value)} is a coding we do not have`, () => {
      expect(verdict(withFields(`Transfer-Encoding: ${value}`))).toBe("unsupported");
    });
  }
  test("twice", () => {
    expect(verdict(withFields("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"))).toBe("protocol");
    expect(verdict(withFields("Transfer-Encoding: chunked", "transfer-encoding: identity"))).toBe("protocol");
    expect(verdict(withFields("Transfer-Encoding: identity", "Transfer-Encoding: chunked"))).toBe("unsupported");
  });
  test("with Content-Length, in either order, even 0", () => {
    expect(verdict(withFields("Transfer-Encoding: chunked", "Content-Length: 5"))).toBe("protocol");
    expect(verdict(withFields("Content-Length: 5", "Transfer-Encoding: chunked"))).toBe("protocol");
    expect(verdict(withFields("Content-Length: 0", "Transfer-Encoding: chunked"))).toBe("protocol");
  });
  test("in HTTP/1.0", () => {
    expect(verdict("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")).toBe("protocol");
  });
  test("named by Connection it still frames the message", () => {
    const seen = seeRequest(withFields("Connection: transfer-encoding", "Transfer-Encoding: chunked"));
    expect(seen.bodyLength).toBe(BODY_CHUNKED);
  });
  test("without either there is no body", () => expect(seeRequest(withFields()).bodyLength).toBe(0));
});

describe("Connection (RFC 9110 7.6.1)", () => {
  const flagsOf = (value: string, version = "1.1"): readonly string[] =>
    seeRequest(`GET / HTTP/${version}\r\nHost: a\r\nConnection: ${value}\r\n\r\n`).flags;

  test("close", () => expect(flagsOf("Close")).toEqual(["Close"]));
  test("keep-alive", () => expect(flagsOf("Keep-Alive")).toEqual(["KeepAlive"]));
  test("several options, empty elements and odd white space", () => {
    expect(flagsOf(", keep-alive ,\t,close,")).toEqual(["Close", "KeepAlive"]);
  });
  test("HTTP/1.0 closes unless it says keep-alive", () => {
    expect(flagsOf("", "1.0")).toEqual(["Http10", "Close"]);
    expect(flagsOf("keep-alive", "1.0")).toEqual(["Http10", "KeepAlive"]);
    expect(flagsOf("keep-alive, close", "1.0")).toEqual(["Http10", "Close", "KeepAlive"]);
  });
  test("options that only look like close are field names", () => {
    expect(flagsOf("closed, clos")).toEqual(["HasConnectionNames"]);
  });
  test("several fields count together", () => {
    const seen = seeRequest(withFields("Connection: a", "A: 1", "B: 2", "connection: B, close", "C: 3"));
    expect(seen.fields.filter((field) => !field.hop).map((field) => field.name)).toEqual(["Host", "C"]);
    expect(seen.flags).toEqual(["Close", "HasConnectionNames"]);
  });
  test("named fields are found in any case, before and behind, all of them", () => {
    const seen = seeRequest(withFields("x-A: 1", "Connection: X-a", "X-A: 2", "X-AB: 3"));
    expect(seen.fields.filter((field) => !field.hop).map((field) => field.name)).toEqual(["Host", "X-AB"]);
  });
  test("hop-by-hop fields are so without being named", () => {
    const names = ["Keep-Alive: 5", "Proxy-Connection: close", "TE: trailers", "Upgrade: x", "Trailer: y"];
    const seen = seeRequest(withFields("Transfer-Encoding: chunked", ...names));
    expect(seen.fields.filter((field) => !field.hop).map((field) => field.name)).toEqual(["Host", "Trailer"]);
  });
  test(`${connectionOptionsMax} options are taken, one more is not: looking them up costs options times fields`, () => {
    const of = (count: number): string => verdict(withFields(`Connection: ${"a,".repeat(count)}`));
    expect(of(connectionOptionsMax)).toBe("ok");
    expect(of(connectionOptionsMax + 1)).toBe("too-large");
    const spread = Array.from({ length: fieldsMax - 1 }, () => "Connection: close, close");
    expect(verdict(withFields(...spread))).toBe("too-large");
  });
});

describe("Upgrade (RFC 9110 7.8)", () => {
  const upgrades = (...lines: readonly string[]): boolean => seeRequest(withFields(...lines)).flags.includes("Upgrade");

  test("needs the field and the option", () => {
    expect(upgrades("Connection: upgrade", "Upgrade: websocket")).toBe(true);
    expect(upgrades("Upgrade: websocket", "Connection: keep-alive, UPGRADE")).toBe(true);
    expect(upgrades("Upgrade: websocket")).toBe(false);
    expect(upgrades("Connection: upgrade")).toBe(false);
    expect(upgrades("Connection: upgrade", "Upgrade:")).toBe(false);
  });
  test("RFC 9113 3.1: never to h2c, in any place and any case", () => {
    expect(upgrades("Connection: upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x")).toBe(false);
    expect(upgrades("Connection: upgrade", "Upgrade: websocket, H2C")).toBe(false);
    expect(upgrades("Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket")).toBe(false);
    expect(upgrades("Connection: upgrade", "Upgrade: websocket", "Upgrade: h2c")).toBe(false);
    expect(upgrades("Connection: upgrade", "Upgrade: websocket,h2c;q=1")).toBe(false);
  });
  test("not in HTTP/1.0", () => {
    const lines = "Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
    expect(seeRequest(`GET / HTTP/1.0\r\n${lines}\r\n`).flags).toEqual(["Http10", "Close"]);
  });
  test("not with a body, which would run into the tunnel", () => {
    const upgrade = ["Connection: upgrade", "Upgrade: websocket"];
    expect(upgrades(...upgrade, "Content-Length: 5")).toBe(false);
    expect(upgrades(...upgrade, "Transfer-Encoding: chunked")).toBe(false);
    expect(upgrades(...upgrade, "Content-Length: 0")).toBe(true);
  });
  test("the field is hop-by-hop in any case", () => {
    expect(seeRequest(withFields("Upgrade: h2c")).fields[1]!.hop).toBe(true);
  });
});

describe("Expect (RFC 9110 10.1.1)", () => {
  test("100-continue in any case", () => {
    expect(seeRequest(withFields("Expect: 100-Continue", "Content-Length: 5")).flags).toContain("Expect100");
  });
  for (const value of ["", "100", "100-continue, x", "100-continue;a=b", "200-ok"]) {
    test(`${JSON.stringify(value)}: 417`, () => expect(verdict(withFields(`Expect: ${value}`))).toBe("expectation"));
  }
  test("ignored in HTTP/1.0", () => {
    const seen = seeRequest("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    expect(seen.flags).toEqual(["Http10", "Close", "ContentLength"]);
  });
});

describe("limits", () => {
  /** A head of exactly so many bytes. */
  const headOf = (size: number): string => {
    const rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    return rest.replace("X: ", `X: ${"x".repeat(size - rest.length)}`);
  };
  test("head bytes: the maximum, and one more", () => {
    expect(verdict(headOf(headBytesMax))).toBe("ok");
    expect(verdict(headOf(headBytesMax + 1))).toBe("too-large");
  });
  test("an empty line before the head counts", () => {
    expect(verdict(`\r\n${headOf(headBytesMax - 2)}`)).toBe("ok");
    expect(verdict(`\r\n${headOf(headBytesMax - 1)}`)).toBe("too-large");
  });
  test("bytes behind a head do not count", () => {
    expect(verdict(headOf(headBytesMax) + "x".repeat(10_000))).toBe("ok");
  });
  test("a head without an end is refused at the limit, not before", () => {
    const endless = `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(headBytesMax)}`;
    expect(verdict(endless.slice(0, headBytesMax))).toBe("more");
    expect(verdict(endless.slice(0, headBytesMax + 1))).toBe("too-large");
  });
  test("a mistake within the limit is told, not the size", () => {
    expect(verdict(`GET / HTTP/1.1\r\nHost : a\r\nX: ${"x".repeat(headBytesMax)}`)).toBe("protocol");
  });
  test("fields: the maximum, and one more", () => {
    const of = (count: number): string => verdict(withFields(...Array.from({ length: count - 1 }, () => "X: 1")));
    expect(of(fieldsMax)).toBe("ok");
    expect(of(fieldsMax + 1)).toBe("too-large");
  });
  test("RFC 9110 4.1: target bytes: the maximum, and one more", () => {
    const of = (size: number): string =>
      seeRequest(`GET /${"x".repeat(size - 1)} HTTP/1.1\r\nHost: a\r\n\r\n`, 2 * targetBytesMax).verdict;
    expect(of(targetBytesMax)).toBe("ok");
    expect(of(targetBytesMax + 1)).toBe("uri-too-long");
  });
  test("RFC 9112 3: a target that alone breaks the head's limit is too long for a URI", () => {
    expect(verdict(`GET /${"x".repeat(headBytesMax)} HTTP/1.1\r\nHost: a\r\n\r\n`)).toBe("uri-too-long");
    expect(verdict(`GET /${"x".repeat(headBytesMax)}`)).toBe("uri-too-long");
    expect(verdict(`GET /${"x".repeat(headBytesMax - 10)} HTTP/1.1\r\nHost: a\r\n\r\n`)).toBe("too-large");
  });
  test("a method without an end", () => expect(verdict("X".repeat(headBytesMax + 1))).toBe("too-large"));
});

describe("pieces", () => {
  const whole = `POST http://h:1/p?q HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`;

  test("every proper prefix of a head wants more", () => {
    const end = whole.indexOf("hello");
    for (let length = 0; length < end; length++)
      expect([length, verdict(whole.slice(0, length))]).toEqual([length, "more"]);
  });
  test("what follows is left alone", () => expect(seeRequest(whole).used).toBe(whole.length - 5));
  test("nothing of one message shines through in the next", () => {
    expect(verdict(withFields("Transfer-Encoding: chunked"))).toBe("ok");
    expect(seeRequest(withFields("Content-Length: 1")).bodyLength).toBe(1);
    expect(verdict(withFields("Content-Length: 1", "Transfer-Encoding: x"))).toBe("unsupported");
    expect(seeRequest(withFields("A: b"))).toMatchObject({ bodyLength: 0, flags: [] });
  });
  test("parsing begins where it is told", () => {
    const bytes = bytesOf(`garbage${whole}`);
    expect(seeRequest(bytes.subarray(7)).target).toBe("/p?q");
  });
});
