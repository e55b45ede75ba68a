// Answers to HTTP checks, each given in pieces of every size.

import { describe, expect, test } from "bun:test";
import { probeBodyBytesMax } from "../base/limits.ts";
import { AnswerReader, formatStatusRanges, type Expectation } from "./answer.ts";

const plain: Expectation = { method: "GET", expectStatus: [[200, 299]], expectBody: null };
const wantsOk: Expectation = { ...plain, expectBody: "ok" };

/** The verdict on text given in pieces of every size from 1 to its length; all must agree. "+" or the reason. */
function judge(text: string, expected: Expectation = plain, close = true): string {
  const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
  const seen = new Set<string>();
  for (let size = 1; size <= bytes.length; size++) {
    const reader = new AnswerReader(expected);
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    if (close) reader.finish();
    seen.add(reader.verdict === null ? "open" : reader.verdict.ok ? "+" : reader.verdict.reason);
  }
  expect(seen.size).toBe(1);
  return [...seen][0]!;
}

describe("status", () => {
  test("in the accepted ranges", () => {
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).toBe("+");
    expect(judge("HTTP/1.0 204\r\n\r\n")).toBe("+");
    expect(
      judge("HTTP/1.1 301 \r\n\r\n", {
        ...plain,
        expectStatus: [
          [200, 200],
          [300, 399],
        ],
      }),
    ).toBe("+");
  });

  test("outside them", () => {
    expect(judge("HTTP/1.1 500 Oops\r\n\r\n")).toBe("status 500, expected 200-299");
    expect(
      judge("HTTP/1.1 200 OK\r\n\r\n", {
        ...plain,
        expectStatus: [
          [204, 204],
          [300, 302],
        ],
      }),
    ).toBe("status 200, expected 204, 300-302");
  });

  test("interim answers are passed over", () => {
    expect(
      judge("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ).toBe("+");
    expect(judge("HTTP/1.1 100 Continue\r\n\r\n".repeat(40))).toBe("malformed response: too many interim answers");
    expect(judge("HTTP/1.1 101 Switching Protocols\r\n\r\n")).toStartWith("status 101");
  });
});

describe("malformed heads", () => {
  test.each([
    ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an HTTP/1 status line"],
    ["HTTP/2 200\r\n\r\n", "not an HTTP/1 status line"],
    ["HTTP/1.1 99 x\r\n\r\n", "not an HTTP/1 status line"],
    ["HTTP/1.1 2000 x\r\n\r\n", "not an HTTP/1 status line"],
    ["HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "bad header line"],
    ["HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "bad header line"],
    ["HTTP/1.1 200 OK\r\nX: y\nZ: w\r\n\r\n", "bad header line"],
    ["HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "bad Content-Length"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "bad Content-Length"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "bad Transfer-Encoding"],
    [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
      "Content-Length with Transfer-Encoding",
    ],
  ])("%j: %s", (text, reason) => {
    expect(judge(text)).toBe(`malformed response: ${reason}`);
  });

  test("a head without end is given up at the limit", () => {
    const reader = new AnswerReader(plain);
    reader.push(new TextEncoder().encode(`HTTP/1.1 200 OK\r\nX: ${"a".repeat(20_000)}`));
    expect(reader.verdict?.reason).toContain("head longer than");
    expect(reader.complete).toBe(true);
  });

  test("closing early", () => {
    expect(judge("HTTP/1.1 200 O")).toBe("connection closed before an answer");
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno", wantsOk)).toBe("connection closed in the body");
  });
});

describe("body", () => {
  test("with Content-Length", () => {
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n ok.", wantsOk, false)).toBe("+");
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok", wantsOk, false)).toBe('body lacks "ok"');
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", wantsOk, false)).toBe('body lacks "ok"');
  });

  test("until close", () => {
    expect(judge("HTTP/1.1 200 OK\r\n\r\nall is ok here", wantsOk, false)).toBe("+");
    expect(judge("HTTP/1.1 200 OK\r\n\r\nall is well", wantsOk)).toBe('body lacks "ok"');
    expect(judge("HTTP/1.1 200 OK\r\n\r\nall is well", wantsOk, false)).toBe("open");
  });

  test("chunked, the text across chunks", () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    expect(judge(`${head}1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n`, wantsOk, false)).toBe("+");
    expect(judge(`${head}5\r\nhello\r\n0\r\n\r\n`, wantsOk, false)).toBe('body lacks "ok"');
    expect(judge(`${head}5\r\nhellok0\r\n\r\n`, wantsOk)).toBe("malformed response: bad chunk");
    expect(judge(`${head}5 x\r\nhello`, wantsOk)).toBe("malformed response: bad chunk size");
    expect(judge(`${head}5\nhello`, wantsOk)).toBe("malformed response: bad chunk size");
  });

  test("overlapping beginnings of the text", () => {
    const expected = { ...plain, expectBody: "aab" };
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\naaaaab", expected, false)).toBe("+");
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\naaaaac", expected, false)).toBe('body lacks "aab"');
  });

  test("HEAD has none", () => {
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", { ...wantsOk, method: "HEAD" }, false)).toBe(
      'body lacks "ok"',
    );
    expect(judge("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", { ...plain, method: "HEAD" }, false)).toBe("+");
  });

  test("only the first part is looked at", () => {
    const reader = new AnswerReader(wantsOk);
    reader.push(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
    reader.push(new Uint8Array(probeBodyBytesMax).fill(65));
    expect(reader.verdict?.ok).toBe(false);
    expect(reader.complete).toBe(true);
  });

  test("complete tells when the message is whole, verdict or not", () => {
    const reader = new AnswerReader(plain);
    reader.push(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"));
    expect([reader.verdict?.ok, reader.complete]).toEqual([true, false]);
    reader.push(new TextEncoder().encode("hi"));
    expect(reader.complete).toBe(true);
  });
});

test("status ranges are printed as they are written", () => {
  expect(
    formatStatusRanges([
      [200, 299],
      [304, 304],
    ]),
  ).toBe("200-299, 304");
});
