// Fixed answers: their framing for every kind of status and method, and what may stand in them.

import { expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { Flow } from "../codec/stream.ts";
import { Method } from "../wire/head.ts";
import { compileEdits } from "./header-edits.ts";
import { ownLinesMax, reasonOf, sendOwn } from "./own-answer.ts";
import { Respond } from "./respond.ts";
import { factsOf } from "./test-facts.ts";
import { RecordingStream, requestHead } from "./test-kit.ts";

const wallMs = Date.UTC(2026, 10, 22, 12, 0, 0);
const dated = "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n";
const facts = factsOf(requestHead("GET /a?b HTTP/1.1\nHost: h\nX-A: <i>"), { source: "192.0.2.1\r\n\r\n" });

function sent(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
  method: Method = Method.Get,
): string {
  const list = Object.entries(headers).map(([name, value]) => ({ name, value }));
  const respond = new Respond({ kind: "respond", status, body, headers: list });
  respond.assemble(method, respond.needsFacts ? facts : null, wallMs);
  const client = new RecordingStream("192.0.2.1");
  sendOwn(client, new Scratch(8));
  expect(client.ended).toBe(true);
  return client.text;
}

test("status, fields and body of the configuration", () => {
  expect(sent(200, "pong\n", { "content-type": "text/html", "x-b": "1" })).toBe(
    `HTTP/1.1 200 OK\r\n${dated}content-type: text/html\r\nx-b: 1\r\nContent-Length: 5\r\n\r\npong\n`,
  );
});

test("a body without a type is text in UTF-8; no body has no type", () => {
  expect(sent(200, "é")).toBe(
    `HTTP/1.1 200 OK\r\n${dated}Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n\xc3\xa9`,
  );
  expect(sent(404, "")).toBe(`HTTP/1.1 404 Not Found\r\n${dated}Content-Length: 0\r\n\r\n`);
});

test("templates: a body as it is, a field that stays one", () => {
  const text = sent(503, '{"path": "{path}", "from": "{source}"}', { "x-from": "{source}", "x-a": "{header.x-a}" });
  expect(text).toBe(
    `HTTP/1.1 503 Service Unavailable\r\n${dated}x-from: 192.0.2.1\r\nx-a: <i>\r\n` +
      "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 39\r\n\r\n" +
      '{"path": "/a", "from": "192.0.2.1\r\n\r\n"}',
  );
});

test("HEAD has the length and no body", () => {
  for (const body of ["pong", "{path}xy"]) {
    expect(sent(200, body, {}, Method.Head)).toEndWith("\r\nContent-Length: 4\r\n\r\n");
  }
});

test("204 and 304 have neither body nor length, 205 has the length 0", () => {
  for (const method of [Method.Get, Method.Head]) {
    expect(sent(204, "body", { "x-a": "1", "content-type": "a/b" }, method)).toEndWith(
      "x-a: 1\r\ncontent-type: a/b\r\n\r\n",
    );
    expect(sent(304, "{path}", {}, method)).not.toContain("Content-Length");
    expect(sent(205, "body", {}, method)).toEndWith("\r\nContent-Length: 0\r\n\r\n");
  }
});

test("fields that frame the message, and Date, are the proxy's", () => {
  const headers = {
    "content-length": "9",
    "Transfer-Encoding": "chunked",
    connection: "x",
    date: "never",
    upgrade: "x",
  };
  expect(sent(200, "a", headers)).toBe(
    `HTTP/1.1 200 OK\r\n${dated}Content-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\na`,
  );
});

test("edits of the route act on it", () => {
  const respond = new Respond({ kind: "respond", status: 200, body: "a", headers: [{ name: "server", value: "s" }] });
  const edits = compileEdits({ remove: ["server"], set: [{ name: "date", value: "x" }], add: [] }, "response")!;
  const added = new Scratch(8);
  edits.apply(respond.assemble(Method.Get, null, wallMs), added, null);
  const client = new RecordingStream("192.0.2.1");
  sendOwn(client, added);
  expect(client.text).toBe(
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\ndate: x\r\n\r\na",
  );
});

test("a body of holes is the client's own copy", () => {
  const respond = new Respond({ kind: "respond", status: 200, body: "{path}", headers: [] });
  const client = new RecordingStream("192.0.2.1");
  const kept: Uint8Array[] = [];
  client.sendData = (bytes) => {
    kept.push(bytes);
    return Flow.Go;
  };
  for (const path of ["/one", "/two"]) {
    respond.assemble(Method.Get, factsOf(requestHead(`GET ${path} HTTP/1.1\nHost: h`)), wallMs);
    sendOwn(client, new Scratch(8));
  }
  expect(kept.map((bytes) => new TextDecoder().decode(bytes))).toEqual(["/one", "/two"]);
});

test("more headers than fit are refused when it is made, and as many as fit are sent", () => {
  const headers = (count: number): { name: string; value: string }[] =>
    Array.from({ length: count }, (_, i) => ({ name: `x-${i}`, value: "" }));
  const make = (count: number): Respond =>
    new Respond({ kind: "respond", status: 200, body: "a", headers: headers(count) });
  expect(() => make(ownLinesMax)).toThrow("at most");
  expect(make(ownLinesMax - 1).assemble(Method.Get, null, wallMs).fieldCount).toBe(ownLinesMax + 2);
});

test("every status has a reason", () => {
  expect([200, 299, 399, 418, 599].map(reasonOf)).toEqual(["OK", "OK", "Redirect", "Error", "Error"]);
});
