// Our own responses: framed, dated, JSON for those who ask for it, and never a word about endpoints.

import { expect, test } from "bun:test";
import { Method } from "../wire/head.ts";
import { acceptsJson, answer } from "./answer.ts";
import { RecordingStream, requestHead } from "./test-kit.ts";

function sent(method: Method, status: number, requestId: string, json: boolean): string {
  const client = new RecordingStream("192.0.2.1");
  answer(client, method, status, requestId, json, Date.UTC(2026, 10, 22, 12, 0, 0));
  expect(client.ended).toBe(true);
  return client.text.replaceAll("\r\n", "\n");
}

test("text", () => {
  expect(sent(Method.Get, 503, "abc", false)).toBe(
    "HTTP/1.1 503 Service Unavailable\nDate: Sun, 22 Nov 2026 12:00:00 GMT\nContent-Type: text/plain\n" +
      "Content-Length: 40\n\n503 Service Unavailable\nrequest id: abc\n",
  );
});

test("JSON", () => {
  const text = sent(Method.Get, 502, "abc", true);
  expect(JSON.parse(text.slice(text.indexOf("\n\n")))).toEqual({
    error: { status: 502, message: "Bad Gateway", requestId: "abc" },
  });
});

test("HEAD gets the head alone, with the length it would have", () => {
  const text = sent(Method.Head, 404, "", false);
  expect(text).toEndWith("Content-Length: 14\n\n");
});

test.each([
  ["application/json", true],
  ["text/html, application/problem+json;q=0.5", true],
  ["*/*", false],
  ["text/jsonp", false],
])("Accept: %s", (accept, json) => {
  expect(acceptsJson(requestHead(`GET / HTTP/1.1\nHost: h\nAccept: ${accept}`))).toBe(json);
});
