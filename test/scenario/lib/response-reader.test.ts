// Strictness of the client's response reader: every case of message framing, whole and in every possible cut, and
// everything that a proxy must never write.

import { describe, expect, test } from "bun:test";
import { type RawResponse, readResponse } from "./response-reader.ts";

function read(text: string, method = "GET", ended = false): RawResponse | null {
  return readResponse(Buffer.from(text, "latin1"), method, ended)?.response ?? null;
}

const WHOLE: readonly (readonly [string, string, string, string])[] = [
  ["with length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"],
  ["with length zero", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""],
  ["chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"],
  [
    "chunked with trailers",
    "GET",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
    "0123456789",
  ],
  ["for HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ""],
  ["304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""],
  ["204, empty reason", "GET", "HTTP/1.1 204 \r\n\r\n", ""],
  [
    "after interim ones",
    "GET",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
    "",
  ],
  ["switching protocols", "GET", "HTTP/1.1 101 Switching\r\nUpgrade: echo\r\n\r\n", ""],
];

describe.each(WHOLE)("%s", (_, method, text, body) => {
  test("is read whole, and what follows is left", () => {
    const result = readResponse(Buffer.from(`${text}HTTP/1.1`, "latin1"), method, false);
    expect(result?.used).toBe(text.length);
    expect(result?.response.text()).toBe(body);
  });

  test("no shorter piece of it is taken for the whole; at the end of the connection each is an error", () => {
    for (let length = 0; length < text.length; length++) {
      expect(read(text.slice(0, length), method)).toBeNull();
      expect(() => read(text.slice(0, length), method, true)).toThrow("connection closed within");
    }
  });
});

test("fields keep order, case and inner blanks; trailers are apart", () => {
  const response = read(
    "HTTP/1.1 200 OK\r\nX-A:  one  two \t\r\nx-a:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\n",
  );
  expect(response?.headers).toEqual([
    ["X-A", "one  two"],
    ["x-a", ""],
    ["Transfer-Encoding", "chunked"],
  ]);
  expect(response?.header("X-a")).toBe("one  two");
  expect(response?.header("t")).toBeNull();
  expect(response?.trailers).toEqual([["T", "1"]]);
});

test("interim responses are kept", () => {
  const response = read("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 x\r\n\r\n");
  expect(response?.status).toBe(204);
  expect(response?.interim).toEqual([{ status: 103, head: "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" }]);
});

test("a body without length ends with the connection", () => {
  const text = "HTTP/1.1 200 OK\r\n\r\nsome";
  expect(read(text)).toBeNull();
  expect(read(text, "GET", true)).toMatchObject({ framing: "close" });
  expect(read(text, "GET", true)?.text()).toBe("some");
});

const ok = "HTTP/1.1 200 OK\r\n";

describe("is refused:", () => {
  test.each([
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"],
    ["no blank after the code", "HTTP/1.1 200\r\n\r\n"],
    ["a code of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a control byte in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n"],
    ["space before the colon", `${ok}A : b\r\n\r\n`],
    ["a folded line", `${ok}A: b\r\n c\r\n\r\n`],
    ["a bare LF in a value", `${ok}A: b\nC: d\r\n\r\n`],
    ["a bare CR in a value", `${ok}A: b\rC: d\r\n\r\n`],
    ["a NUL in a value", `${ok}A: b\0\r\n\r\n`],
    ["a line without colon", `${ok}A\r\n\r\n`],
    ["an empty name", `${ok}: b\r\n\r\n`],
    ["two lengths, even equal ones", `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`],
    ["length and coding", `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["a signed length", `${ok}Content-Length: +1\r\n\r\nx`],
    ["a list of lengths", `${ok}Content-Length: 1, 1\r\n\r\nx`],
    ["another coding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ["a chunk extension", `${ok}Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n`],
    ["a chunk size with 0x", `${ok}Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n`],
    ["a chunk that is too long", `${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n`],
    ["a malformed trailer", `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n`],
    ["a coding in a 204", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ])("%s", (_, text) => {
    expect(() => read(text)).toThrow();
  });
});
