// Every rule about field sections (RFC 9113 8.1 to 8.6, RFC 8441), one named case each with its section; and that what
// is accepted is laid out as HTTP/1.1 text of the same meaning, which the helpers check for every head.

import { describe, expect, test } from "bun:test";
import { targetBytesMax } from "../../base/limits.ts";
import { BODY_CHUNKED, FIELD_HOP, FIELD_ID, FIELD_WIDTH, Method, Name } from "../head.ts";
import { FieldRule, fieldRuleText } from "./field-rules.ts";
import { flagsOf, type Line, type SeeOptions, seeRequest, seeResponse, seeTrailers } from "./test-kit.ts";

const start: readonly Line[] = [
  [":method", "POST"],
  [":scheme", "https"],
  [":authority", "a.test"],
  [":path", "/p"],
];
const connect: readonly Line[] = [
  [":method", "CONNECT"],
  [":protocol", "websocket"],
  [":scheme", "https"],
  [":path", "/chat"],
  [":authority", "a.test"],
];
const withFields = (...fields: readonly Line[]): readonly Line[] => [...start, ...fields];
/** The start with some pseudo-header fields replaced, or left out where the value is null. */
const instead = (changes: Readonly<Record<string, string | null>>, ...fields: readonly Line[]): readonly Line[] => [
  ...start.flatMap(([name, value]): Line[] => {
    const change = changes[name];
    return change === null ? [] : [[name, change ?? value]];
  }),
  ...fields,
];

type Case = readonly [section: string, what: string, lines: readonly Line[], expected: string];

const fieldCases: readonly Case[] = [
  ["8.2.1", "an upper-case letter in a name", withFields(["X-a", "1"]), "UpperCase"],
  ["8.2.1", "an upper-case letter in a known name", withFields(["Host", "a.test"]), "UpperCase"],
  ["8.2.1", "an empty name", withFields(["", "1"]), "Name"],
  ["8.2.1", "a space in a name", withFields(["x a", "1"]), "Name"],
  ["8.2.1", "a colon in a name", withFields(["x:a", "1"]), "Name"],
  ["8.2.1", "a colon behind a name", withFields(["x-a:", "1"]), "Name"],
  ["8.2.1", "CR LF in a name", withFields(["x\r\nx-b", "1"]), "Name"],
  ["8.2.1", "NUL in a name", withFields(["x\0", "1"]), "Name"],
  ["8.2.1", "DEL in a name", withFields(["x\x7f", "1"]), "Name"],
  ["8.2.1", "obs-text in a name", withFields(["x\xe4", "1"]), "Name"],
  ["9110 5.1", "a parenthesis in a name", withFields(["x(a)", "1"]), "Name"],
  ["9110 5.6.2", "every other token character in a name", withFields(["!#$%&'*+-.^_`|~0az", "1"]), "ok"],
  ["8.2.1", "CR in a value", withFields(["x-a", "1\r2"]), "Value"],
  ["8.2.1", "LF in a value", withFields(["x-a", "1\n2"]), "Value"],
  ["8.2.1", "CR LF and a field in a value", withFields(["x-a", "1\r\nx-b: 2"]), "Value"],
  ["8.2.1", "NUL in a value", withFields(["x-a", "1\x002"]), "Value"],
  ["9110 5.5", "another control character in a value", withFields(["x-a", "1\x1b2"]), "Value"],
  ["9110 5.5", "DEL in a value", withFields(["x-a", "1\x7f2"]), "Value"],
  ["8.2.1", "a space before a value", withFields(["x-a", " 1"]), "ValueBlanks"],
  ["8.2.1", "a space behind a value", withFields(["x-a", "1 "]), "ValueBlanks"],
  ["8.2.1", "a tab behind a value", withFields(["x-a", "1\t"]), "ValueBlanks"],
  ["8.2.1", "nothing but a space", withFields(["x-a", " "]), "ValueBlanks"],
  ["9110 5.5", "an empty value", withFields(["x-a", ""]), "ok"],
  ["9110 5.5", "blanks and obs-text inside a value", withFields(["x-a", "a \t\xe4\xff b"]), "ok"],
  ["8.2.1", "control characters in a pseudo-header field", instead({ ":path": "/\r\nx: 1" }), "Value"],
  ["8.2.1", "blanks around a pseudo-header field", instead({ ":path": "/ " }), "ValueBlanks"],
  ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].map((name): Case => [
    "8.2.2",
    name,
    withFields([name, "chunked"]),
    "Connection",
  ]),
  ["8.2.2", "an empty connection field", withFields(["connection", ""]), "Connection"],
  ["8.2.2", "te: trailers", withFields(["te", "trailers"]), "ok"],
  ["8.2.2", "te: Trailers", withFields(["te", "Trailers"]), "ok"],
  ["8.2.2", "te with something else", withFields(["te", "gzip"]), "Te"],
  ["8.2.2", "te with something else behind it", withFields(["te", "trailers, gzip"]), "Te"],
  ["8.2.2", "an empty te", withFields(["te", ""]), "Te"],
];

const pseudoCases: readonly Case[] = [
  ["8.3", "an unknown pseudo-header field", [...start, [":x", "1"]], "PseudoUnknown"],
  ["8.3", "a colon as a name", [...start, [":", "1"]], "Name"],
  ["8.3", "a pseudo-header field in upper case", instead({ ":path": null }, [":Path", "/"]), "UpperCase"],
  ["8.3", "one of responses", [...start, [":status", "200"]], "PseudoKind"],
  ["8.3", "one behind a regular field", instead({ ":path": null }, ["x-a", "1"], [":path", "/"]), "PseudoOrder"],
  ["8.3", "one twice", [...start, [":path", "/"]], "PseudoTwice"],
  ["8.3", "one twice with the same value", [...start, [":method", "POST"]], "PseudoTwice"],
  ["8.3", "any order among them", start.toReversed(), "ok"],
  ["8.3.1", "no :method", instead({ ":method": null }), "PseudoMissing"],
  ["8.3.1", "no :scheme", instead({ ":scheme": null }), "PseudoMissing"],
  ["8.3.1", "no :path", instead({ ":path": null }), "PseudoMissing"],
  ["8.3.1", "nothing at all", [], "PseudoMissing"],
  ["8.3.1", "an empty :method", instead({ ":method": "" }), "Method"],
  ["8.3.1", "a :method with a space: two of them on one line", instead({ ":method": "GET /x" }), "Method"],
  ["8.3.1", "an unknown :method", instead({ ":method": "BREW" }), "ok"],
  ["8.3.1", ":scheme http", instead({ ":scheme": "http" }), "ok"],
  ["8.3.1", ":scheme in upper case", instead({ ":scheme": "HTTPS" }), "ok"],
  ["8.3.1", "an empty :scheme", instead({ ":scheme": "" }), "Scheme"],
  ["8.3.1", "a :scheme that is none", instead({ ":scheme": "http://x/?" }), "Scheme"],
  ["8.3.1", "another :scheme", instead({ ":scheme": "ftp" }), "unsupported"],
  ["8.3.1", "an empty :path", instead({ ":path": "" }), "Path"],
  ["8.3.1", "a :path without a slash", instead({ ":path": "p" }), "Path"],
  ["8.3.1", "a :path that is an absolute form", instead({ ":path": "http://b.test/" }), "Path"],
  ["8.3.1", "a :path that is a query", instead({ ":path": "?a" }), "Path"],
  ["8.3.1", "a :path with a space and a version", instead({ ":path": "/ HTTP/1.1" }), "Path"],
  ["8.3.1", "a :path with a fragment", instead({ ":path": "/#a" }), "Path"],
  ["8.3.1", "a :path with a tab", instead({ ":path": "/a\tb" }), "Path"],
  ["8.3.1", "a :path with bytes of UTF-8", instead({ ":path": "/\xc3\xa4?\xc3" }), "ok"],
  ["8.3.1", "* for OPTIONS", instead({ ":method": "OPTIONS", ":path": "*" }), "ok"],
  ["8.3.1", "* for another method", instead({ ":path": "*" }), "Path"],
  ["8.3.1", "* and more", instead({ ":method": "OPTIONS", ":path": "*a" }), "Path"],
  ["8.3.1", "an empty :authority", instead({ ":authority": "" }), "Authority"],
  ["8.3.1", "user information in :authority", instead({ ":authority": "me@a.test" }), "Authority"],
  ["8.3.1", ":authority with a path", instead({ ":authority": "a.test/x" }), "Authority"],
  ["8.3.1", ":authority with a port", instead({ ":authority": "a.test:8443" }), "ok"],
  ["8.3.1", ":authority with a wrong port", instead({ ":authority": "a.test:70000" }), "Authority"],
  ["8.3.1", ":authority with an IPv6 address", instead({ ":authority": "[::1]:80" }), "ok"],
  ["8.3.1", "Host instead of :authority", instead({ ":authority": null }, ["host", "b.test"]), "ok"],
  ["8.3.1", "neither of them", instead({ ":authority": null }), "Host"],
  ["8.3.1", "an empty Host", instead({ ":authority": null }, ["host", ""]), "Host"],
  ["8.3.1", "an invalid Host", instead({ ":authority": null }, ["host", "a b"]), "Host"],
  ["9110 7.2", "two Host fields", instead({ ":authority": null }, ["host", "a"], ["host", "a"]), "Host"],
  ["8.3.1", "Host as in :authority", withFields(["host", "A.test"]), "ok"],
  ["8.3.1", "Host of another value", withFields(["host", "b.test"]), "HostDiffers"],
  ["8.3.1", "Host with another port", withFields(["host", "a.test:443"]), "HostDiffers"],
];

describe("fields and pseudo-header fields of requests (RFC 9113)", () => {
  test.each([...fieldCases, ...pseudoCases])("%s: %s", (_section, _what, lines, expected) => {
    expect(seeRequest(lines).verdict).toBe(expected);
  });
  test("the same for responses and trailers", () => {
    for (const [, , lines, expected] of fieldCases) {
      const fields = lines.filter(([name]) => !start.some(([pseudo]) => pseudo === name));
      if (fields.length === 0) continue;
      expect(seeResponse([[":status", "200"], ...fields]).verdict).toBe(expected);
      expect(seeTrailers(fields).verdict).toBe(expected);
    }
  });
  test("every rule has words", () => {
    for (const rule of Object.values(FieldRule)) expect(fieldRuleText(rule)).toMatch(/^[a-z]/);
  });
});

describe("methods with rules of their own", () => {
  const cases: readonly (readonly [...Case, SeeOptions?])[] = [
    [
      "8.5",
      "CONNECT, which is for forward proxies",
      [
        [":method", "CONNECT"],
        [":authority", "a:1"],
      ],
      "unsupported",
    ],
    [
      "8.5",
      "CONNECT with :path",
      [
        [":method", "CONNECT"],
        [":authority", "a:1"],
        [":path", "/"],
      ],
      "Connect",
    ],
    [
      "8.5",
      "CONNECT with :scheme",
      [
        [":method", "CONNECT"],
        [":authority", "a:1"],
        [":scheme", "http"],
      ],
      "Connect",
    ],
    ["8.5", "CONNECT without :authority", [[":method", "CONNECT"]], "Connect"],
    ["8441 4", ":protocol that was not offered", connect, "Protocol"],
    ["8441 4", ":protocol without CONNECT", [...start, [":protocol", "websocket"]], "Protocol", { webSocket: true }],
    ["8441 4", "extended CONNECT", connect, "ok", { webSocket: true, endStream: false }],
    [
      "8441 4",
      "extended CONNECT without :path",
      connect.filter(([name]) => name !== ":path"),
      "PseudoMissing",
      { webSocket: true },
    ],
    [
      "8441 4",
      "extended CONNECT without :scheme",
      connect.filter(([name]) => name !== ":scheme"),
      "PseudoMissing",
      { webSocket: true },
    ],
    ["8441 4", "extended CONNECT without :authority", connect.slice(0, 4), "Host", { webSocket: true }],
    [
      "9220 3",
      "another :protocol",
      connect.map(([name, value]) => [name, name === ":protocol" ? "h2c" : value]),
      "unsupported",
      { webSocket: true },
    ],
    [
      "8441 5",
      "extended CONNECT with a length",
      [...connect, ["content-length", "0"]],
      "ContentLength",
      { webSocket: true },
    ],
  ];
  for (const [section, what, lines, expected, options] of cases) {
    test(`${section}: ${what}`, () => expect(seeRequest(lines, options).verdict).toBe(expected));
  }
});

describe("the length of content (RFC 9113 8.1.1)", () => {
  type LengthCase = readonly [what: string, value: readonly string[], endStream: boolean, expected: string | number];
  const cases: readonly LengthCase[] = [
    ["none, and the stream ends", [], true, 0],
    ["none, and the stream goes on", [], false, BODY_CHUNKED],
    ["0, and the stream ends", ["0"], true, 0],
    ["0, and the stream goes on", ["0"], false, 0],
    ["5, and the stream goes on", ["5"], false, 5],
    ["5, and the stream ends", ["5"], true, "ContentLengthEnd"],
    ["leading zeros", ["005"], false, 5],
    ["twice the same", ["5", "5"], false, "ContentLength"],
    ["a list", ["5, 5"], false, "ContentLength"],
    ["empty", [""], false, "ContentLength"],
    ["negative", ["-1"], false, "ContentLength"],
    ["a sign", ["+1"], false, "ContentLength"],
    ["16 digits", ["1000000000000000"], false, "ContentLength"],
  ];
  test.each(cases)("%s", (_what, lengths, endStream, expected) => {
    const fields = lengths.map((value): Line => ["content-length", value]);
    for (const seen of [
      seeRequest(withFields(...fields), { endStream }),
      seeResponse([[":status", "200"], ...fields], { endStream }),
    ]) {
      expect(seen.verdict === "ok" ? seen.block.head.bodyLength : seen.verdict).toBe(expected);
    }
  });
  const answers: readonly (readonly [
    what: string,
    status: string,
    method: Method,
    lines: readonly Line[],
    body: number,
  ])[] = [
    ["HEAD may tell a length", "200", Method.Head, [["content-length", "5"]], 0],
    ["304 may tell a length", "304", Method.Get, [["content-length", "5"]], 0],
    ["204 may not, and it goes no further", "204", Method.Get, [["content-length", "5"]], 0],
    ["HEAD without one", "200", Method.Head, [], 0],
  ];
  test.each(answers)("%s", (_what, status, method, lines, body) => {
    for (const endStream of [true, false]) {
      const seen = seeResponse([[":status", status], ...lines], { endStream, method });
      expect(seen.verdict).toBe("ok");
      expect(seen.block.head.bodyLength).toBe(body);
    }
  });
});

describe("status (RFC 9113 8.3.2)", () => {
  test.each([
    ["none", [], "PseudoMissing"],
    ["empty", [[":status", ""]], "Status"],
    ["two digits", [[":status", "20"]], "Status"],
    ["four digits", [[":status", "0200"]], "Status"],
    ["letters", [[":status", "2oo"]], "Status"],
    ["099", [[":status", "099"]], "Status"],
    ["600", [[":status", "600"]], "Status"],
    ["599", [[":status", "599"]], "ok"],
    [
      "twice",
      [
        [":status", "200"],
        [":status", "200"],
      ],
      "PseudoTwice",
    ],
    [
      "behind a field",
      [
        ["x-a", "1"],
        [":status", "200"],
      ],
      "PseudoOrder",
    ],
    [
      "one of requests",
      [
        [":status", "200"],
        [":path", "/"],
      ],
      "PseudoKind",
    ],
    ["101, which HTTP/2 does not have (8.6)", [[":status", "101"]], "Status"],
    ["an interim response that ends the stream (8.1)", [[":status", "103"]], "Interim"],
  ] satisfies [string, Line[], string][])("%s", (_what, lines, expected) => {
    expect(seeResponse(lines).verdict).toBe(expected);
  });
  test("an interim response", () => {
    const seen = seeResponse(
      [
        [":status", "103"],
        ["link", "</a>"],
      ],
      { endStream: false },
    );
    expect(seen.text).toBe("HTTP/1.1 103\r\nlink: </a>\r\n\r\n");
    expect(seen.block.head).toMatchObject({ status: 103, bodyLength: 0 });
  });
});

describe("other causes", () => {
  test("a path of the longest length, and one byte more", () => {
    const path = (length: number): string => seeRequest(instead({ ":path": `/${"a".repeat(length - 1)}` })).verdict;
    expect([path(targetBytesMax), path(targetBytesMax + 1)]).toEqual(["ok", "uri-too-long"]);
  });
  test("a section of the largest size, and one byte more", () => {
    const size = start.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    const verdicts = [size, size - 1].map((bytesMax) => seeRequest(start, { bytesMax }).verdict);
    expect(verdicts).toEqual(["ok", "too-large"]);
  });
  test("the largest number of fields, and one more", () => {
    const lines = withFields(["a", "1"], ["b", "2"]);
    expect([6, 5].map((countMax) => seeRequest(lines, { countMax }).verdict)).toEqual(["ok", "too-large"]);
  });
  test("the largest number of fields still leaves room for those of ours", () => {
    for (const lines of [connect, connect.slice(0, 4).concat([["host", "a.test"]]), start]) {
      const webSocket = lines !== start;
      const countMax = lines.length;
      const seen = seeRequest(lines, { countMax, webSocket, endStream: false });
      expect(seen.verdict).toBe("ok");
      expect(seen.block.head.fieldCount).toBeLessThanOrEqual(countMax);
    }
  });
  test("an expectation", () => {
    expect(flagsOf(seeRequest(withFields(["expect", "100-Continue"])).block.head)).toContain("Expect100");
    expect(seeRequest(withFields(["expect", "200-ok"])).verdict).toBe("expectation");
  });
});

describe("the text", () => {
  test("of a request", () => {
    const seen = seeRequest(withFields(["x-a", "1"], ["x-b", ""], ["te", "trailers"], ["content-length", "5"]), {
      endStream: false,
    });
    expect(seen.text).toBe(
      "POST /p HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\nx-b: \r\nte: trailers\r\ncontent-length: 5\r\n\r\n",
    );
    const { fields } = seen.block.head;
    expect(fields[3 * FIELD_WIDTH + FIELD_ID]).toBe(Name.Te | FIELD_HOP);
  });
  test("of a request with Host: its place is the client's", () => {
    const lines = instead({ ":authority": null, ":method": "GET" }, ["x-a", "1"], ["host", "b.test"]);
    expect(seeRequest(lines).text).toBe("GET /p HTTP/1.1\r\nx-a: 1\r\nhost: b.test\r\n\r\n");
    expect(seeRequest(withFields(["x-a", "1"], ["host", "A.TEST"]), { endStream: false }).text).toBe(
      "POST /p HTTP/1.1\r\nx-a: 1\r\nhost: A.TEST\r\ntransfer-encoding: chunked\r\n\r\n",
    );
  });
  test("a request without content says so where one is usual", () => {
    const text = (method: string): string => seeRequest(instead({ ":method": method })).text;
    for (const method of ["POST", "PUT", "PATCH"]) expect(text(method)).toEndWith("content-length: 0\r\n\r\n");
    for (const method of ["GET", "HEAD", "DELETE", "x"]) expect(text(method)).not.toContain("content-length");
  });
  test("a response whose end is told by nothing else says that it has no content", () => {
    expect(seeResponse([[":status", "200"]]).text).toBe("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n");
    expect(seeResponse([[":status", "404"]], { endStream: false }).text).toBe(
      "HTTP/1.1 404\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    expect(seeResponse([[":status", "204"]]).text).toBe("HTTP/1.1 204\r\n\r\n");
    expect(seeResponse([[":status", "200"]], { method: Method.Head }).text).toBe("HTTP/1.1 200\r\n\r\n");
  });
  test("a field that was never to be indexed has no space behind its colon", () => {
    const seen = seeRequest(withFields(["x-key", "1", "never"], ["x-a", "1"]), { endStream: true });
    expect(seen.text).toContain("\r\nx-key:1\r\nx-a: 1\r\n");
  });
  test("of an upgrade, both ways", () => {
    const request = seeRequest([...connect, ["sec-websocket-version", "13"]], { webSocket: true, endStream: false });
    expect(request.text).toBe(
      "GET /chat HTTP/1.1\r\nhost: a.test\r\nsec-websocket-version: 13\r\nconnection: upgrade\r\n" +
        "upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    expect(flagsOf(request.block.head)).toEqual(["Upgrade"]);
    const given = seeRequest([...connect, ["sec-websocket-key", "abc"]], { webSocket: true });
    expect(given.text).toContain("\r\nsec-websocket-key: abc\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    const lines: Line[] = [
      [":status", "200"],
      ["sec-websocket-protocol", "chat"],
      ["content-length", "7"],
    ];
    const response = seeResponse(lines, { webSocket: true, endStream: false });
    expect(response.text).toBe(
      "HTTP/1.1 101\r\nsec-websocket-protocol: chat\r\ncontent-length: 7\r\nconnection: upgrade\r\n" +
        "upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    expect(response.block.head).toMatchObject({ status: 101, bodyLength: 0 });
    expect(seeResponse([[":status", "403"]], { webSocket: true }).block.head.status).toBe(403);
  });
  test("an empty section of trailers, and one", () => {
    expect(seeTrailers([]).text).toBe("\r\n");
    const seen = seeTrailers([
      ["grpc-status", "0"],
      ["content-length", "3"],
      ["x-forwarded-for", "::1"],
    ]);
    expect(seen.text).toBe("grpc-status: 0\r\ncontent-length: 3\r\nx-forwarded-for: ::1\r\n\r\n");
    const hops = [0, 1, 2].map((i) => (seen.block.head.fields[i * FIELD_WIDTH + FIELD_ID]! & FIELD_HOP) !== 0);
    expect(hops).toEqual([false, true, true]);
    expect(seeTrailers([[":path", "/"]]).verdict).toBe("PseudoKind");
    expect(seeTrailers([[":status", "200"]]).verdict).toBe("PseudoKind");
  });
});

describe("cookies (RFC 9113 8.2.3)", () => {
  const text = (...fields: readonly Line[]): string => {
    const seen = seeRequest(instead({ ":method": "GET" }, ...fields));
    expect(seen.verdict).toBe("ok");
    return seen.text.slice("GET /p HTTP/1.1\r\nhost: a.test\r\n".length, -2);
  };
  test("several become one line, where the first one stood", () => {
    expect(text(["cookie", "a=1"], ["cookie", "b=2"], ["cookie", "c=3"])).toBe("cookie: a=1; b=2; c=3\r\n");
    expect(text(["x", "1"], ["cookie", "a=1"], ["y", "2"], ["cookie", "b=2"], ["z", "3"])).toBe(
      "x: 1\r\ncookie: a=1; b=2\r\ny: 2\r\nz: 3\r\n",
    );
  });
  test("one alone is left as it is", () => expect(text(["cookie", "a=1; b=2"])).toBe("cookie: a=1; b=2\r\n"));
  test("empty ones vanish", () => {
    expect(text(["cookie", "a=1"], ["cookie", ""])).toBe("cookie: a=1\r\n");
    expect(text(["cookie", ""], ["cookie", "a=1"])).toBe("cookie: a=1\r\n");
    expect(text(["cookie", ""], ["cookie", ""])).toBe("cookie: \r\n");
  });
  test("if one is never to be indexed, neither is the line", () => {
    expect(text(["cookie", "a=1"], ["cookie", "b=2", "never"])).toBe("cookie:a=1; b=2\r\n");
  });
  test("Host moves along", () => {
    const lines = instead({ ":authority": null }, ["cookie", "a"], ["cookie", "b"], ["host", "h"], ["cookie", "c"]);
    const { block, text: whole } = seeRequest(lines);
    expect(whole).toBe("POST /p HTTP/1.1\r\ncookie: a; b; c\r\nhost: h\r\ncontent-length: 0\r\n\r\n");
    expect(block.head.hostEnd - block.head.hostStart).toBe(1);
  });
});
