// Heads as field blocks: from HTTP/1.1 text to HPACK, from HPACK to HPACK, and random messages through both, over the
// tables of one connection.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../../base/bytes.ts";
import type { Rng } from "../../base/ports.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { parseRequest, parseResponse, parseTrailers } from "../h1/parse.ts";
import { latin1 } from "../h1/tables.ts";
import { ConnectionSays, writeRequestHead } from "../h1/write.ts";
import { dropFields, Head, HeadFlag, Method, Name } from "../head.ts";
import { HpackDecoder } from "../hpack/decoder.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import { decodeFields, type Field, fieldsMax, listBytesMax, randomField } from "../hpack/test-kit.ts";
import { BlockKind, FieldBlock } from "./field-block.ts";
import { readRequestHead } from "./read-head.ts";
import { checkAgainstText, type Line, seeRequest, seeResponse } from "./test-kit.ts";
import { encodeRequestHead, encodeResponseHead, encodeTrailers } from "./write-head.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 9113);
const runs = Number(process.env["SLUICE_RUNS"] ?? 60);
const fallback = latin1("10.0.0.1:80");

function parsedRequest(text: string): Head {
  const bytes = latin1(text.replaceAll("\n", "\r\n"));
  const head = new Head(fieldsMax);
  expect(parseRequest(bytes, 0, bytes.length, head, bytes.length, fieldsMax)).toBe(bytes.length);
  return head;
}

function parsedResponse(text: string): Head {
  const bytes = latin1(text.replaceAll("\n", "\r\n"));
  const head = new Head(fieldsMax);
  expect(parseResponse(bytes, 0, bytes.length, head, Method.Get, bytes.length, fieldsMax)).toBe(bytes.length);
  return head;
}

function lines(text: string): Scratch {
  const added = new Scratch(64);
  added.putText(text.replaceAll("\n", "\r\n"));
  return added;
}

/** The block's fields as "name: value", pseudo-header fields first; secret ones without the space. */
function shown(out: Scratch, kind: BlockKind): string[] {
  const fields = decodeFields(new HpackDecoder(4096), out.bytes.slice(0, out.length), kind);
  if (typeof fields === "string") throw new Error(fields);
  return fields.map(({ name, value, secret }) => (secret === true ? `${name}:${value}` : `${name}: ${value}`));
}

function request(head: Head, added = "", https = true, extended = false): string[] {
  const out = new Scratch(16);
  encodeRequestHead(new HpackEncoder(), out, head, lines(added), https, fallback, extended);
  return shown(out, BlockKind.Request);
}

function response(head: Head, added = ""): string[] {
  const out = new Scratch(16);
  encodeResponseHead(new HpackEncoder(), out, head, lines(added));
  return shown(out, BlockKind.Response);
}

describe("requests", () => {
  test("from HTTP/1.1: Host is :authority, names in lower case, hop-by-hop fields stay behind", () => {
    const head = parsedRequest(
      "GET /a?b HTTP/1.1\nHost: A.test:8\nX-One: 1\nConnection: x-hop, keep-alive\nX-Hop: 1\nKeep-Alive: 5\n" +
        "Cookie: a=1\nTransfer-Encoding: chunked\nUpgrade: x\n\n",
    );
    const fields = [":method: GET", ":scheme: https", ":authority: A.test:8", ":path: /a?b"];
    expect(request(head, "Via: 1.1 x\nX-Forwarded-For: ::1\n")).toEqual([
      ...fields,
      "x-one: 1",
      "cookie:a=1",
      "via: 1.1 x",
      "x-forwarded-for: ::1",
    ]);
  });
  test.each(["GET", "POST", "HEAD", "BREW"])("the method %s", (method) => {
    expect(request(parsedRequest(`${method} / HTTP/1.1\nHost: a\n\n`))[0]).toBe(`:method: ${method}`);
  });
  test("the scheme", () => {
    expect(request(parsedRequest("GET / HTTP/1.1\nHost: a\n\n"), "", false)[1]).toBe(":scheme: http");
  });
  test.each([
    ["GET http://b.test:1?q HTTP/1.1\nHost: a\n\n", ":authority: b.test:1", ":path: /?q"],
    ["GET http://b.test HTTP/1.1\nHost: a\n\n", ":authority: b.test", ":path: /"],
    ["OPTIONS * HTTP/1.1\nHost: a\n\n", ":authority: a", ":path: *"],
    ["OPTIONS http://b.test HTTP/1.1\nHost: a\n\n", ":authority: b.test", ":path: *"],
    ["GET / HTTP/1.0\n\n", ":authority: 10.0.0.1:80", ":path: /"],
  ])("the target of %j", (text, authority, path) => {
    expect(request(parsedRequest(text)).slice(2)).toEqual([authority, path]);
  });
  test("a target and a Host that the exchange put in place of the client's", () => {
    const head = parsedRequest("GET /old HTTP/1.1\nHost: a\nX: 1\n\n");
    head.flags |= HeadFlag.NewTarget | HeadFlag.NewHost;
    head.newTarget = lines("/new");
    head.newHost = lines("b");
    expect(request(head).slice(2)).toEqual([":authority: b", ":path: /new", "x: 1"]);
  });
  test("dropped fields stay behind, and so does what HTTP/2 does not have of the lines added", () => {
    const head = parsedRequest("GET / HTTP/1.1\nHost: a\nX-Real-IP: 1\nX: 1\n\n");
    dropFields(head, Name.XRealIp);
    expect(request(head, "Host: b\nConnection: close\nTE: gzip\nUpgrade: x\nX-Real-IP: 2\nA:\n").slice(4)).toEqual([
      "x: 1",
      "x-real-ip: 2",
      "a:",
    ]);
  });
  test.each([
    ["trailers", true],
    ["gzip;q=0.5, Trailers", true],
    ["trailers;q=1", true],
    ["trailersx, xtrailers", false],
    ["gzip", false],
    ["", false],
  ])("TE: %s", (value, goesOn) => {
    const head = parsedRequest(`GET / HTTP/1.1\nHost: a\nTE: ${value}\nConnection: TE\n\n`);
    expect(request(head).slice(4)).toEqual(goesOn ? ["te: trailers"] : []);
    dropFields(head, Name.Te);
    expect(request(head).slice(4)).toEqual([]);
  });
  test("RFC 8441: an upgrade as extended CONNECT", () => {
    const head = parsedRequest(
      "GET /chat HTTP/1.1\nHost: a\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Key: abc\n" +
        "Sec-WebSocket-Version: 13\n\n",
    );
    expect(request(head, "", true, true)).toEqual([
      ":method: CONNECT",
      ":scheme: https",
      ":authority: a",
      ":path: /chat",
      ":protocol: websocket",
      "sec-websocket-version: 13",
    ]);
  });
});

describe("responses", () => {
  test("from HTTP/1.1", () => {
    const head = parsedResponse(
      "HTTP/1.1 200 OK\nServer: x\nSet-Cookie: a\nSet-Cookie: b\nConnection: close\nTransfer-Encoding: chunked\n\n",
    );
    const expected = [":status: 200", "server: x", "set-cookie:a", "set-cookie:b", "x-a: 1"];
    expect(response(head, "X-A: 1\n")).toEqual(expected);
  });
  test("a Host field of a response is none of ours", () => {
    expect(response(parsedResponse("HTTP/1.1 200 OK\nHost: a\n\n"))).toEqual([":status: 200"]);
  });
  test("every status", () => {
    for (let status = 100; status < 600; status++) {
      if (status === 101) continue;
      const [first] = response(parsedResponse(`HTTP/1.1 ${status} x\n\n`));
      expect(first).toBe(`:status: ${status}`);
    }
  });
  test("RFC 8441: 101 as 200", () => {
    const text =
      "HTTP/1.1 101 x\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Accept: abc\n" +
      "Sec-WebSocket-Protocol: p\n\n";
    expect(response(parsedResponse(text))).toEqual([":status: 200", "sec-websocket-protocol: p"]);
  });
  test("1xx and 204 without a length", () => {
    expect(response(parsedResponse("HTTP/1.1 204 x\nContent-Length: 5\nX: 1\n\n"))).toEqual([":status: 204", "x: 1"]);
  });
});

test("trailers, without those that may not be passed on", () => {
  const bytes = latin1("Grpc-Status: 0\r\nContent-Length: 5\r\nX: y\r\n\r\n");
  const head = new Head(10);
  expect(parseTrailers(bytes, 0, bytes.length, head, 10)).toBe(bytes.length);
  const out = new Scratch(16);
  encodeTrailers(new HpackEncoder(), out, head);
  expect(shown(out, BlockKind.Trailers)).toEqual(["grpc-status: 0", "x: y"]);
});

test("what was never to be indexed stays so from one connection to the next, also through the text alone", () => {
  const { block } = seeRequest([
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "a"],
    [":path", "/"],
    ["x-key", "1", "never"],
    ["x-a", "1"],
  ]);
  const { head } = block;
  expect(request(head).slice(4)).toEqual(["x-key:1", "x-a: 1"]);
  const kept = head.bytes.slice(head.start, head.end);
  const again = new Head(10);
  parseRequest(kept, 0, kept.length, again, kept.length, 10);
  expect(request(again).slice(4)).toEqual(["x-key:1", "x-a: 1"]);
});

/** A request that breaks no rule, as the fields it comes in. */
function randomRequest(rng: Rng): Line[] {
  const fields = Array.from({ length: rng.below(14) }, () => randomField(rng)).filter(
    ({ name }) => name !== "content-length",
  );
  const pseudos: Line[] = [
    [":method", ["GET", "POST", "HEAD", "BREW"][rng.below(4)]!],
    [":scheme", ["http", "https"][rng.below(2)]!],
    [":path", `/${"p".repeat(rng.below(80))}`],
  ];
  const host: Line = [rng.below(3) === 0 ? "host" : ":authority", ["a.test", "[::1]:8", "B"][rng.below(3)]!];
  const regular = fields.map(({ name, value, secret }): Line => (secret ? [name, value, "never"] : [name, value]));
  if (host[0] === "host") regular.splice(rng.below(regular.length + 1), 0, host);
  else pseudos.splice(rng.below(4), 0, host);
  return [...pseudos, ...regular];
}

/** Names and values alone: what is secret by its name becomes so on the way. */
const plain = (fields: readonly Field[]): string[] => fields.map(({ name, value }) => `${name}: ${value}`);

test(`any request goes from HTTP/2 to HTTP/2 and to HTTP/1.1 unchanged, seed ${seed}`, () => {
  const rng = seededRng(seed);
  for (let run = 0; run < runs; run++) {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096);
    const block = new FieldBlock(100);
    const own = Array.from({ length: 3 }, () => randomRequest(rng));
    for (let i = 0; i < 10; i++) {
      const sent = rng.below(3) > 0 ? own[rng.below(3)]! : randomRequest(rng);
      const endStream = rng.below(2) === 0;
      const first = seeRequest(sent, { endStream });
      expect(first.verdict).toBe("ok");
      const out = new Scratch(16);
      encodeRequestHead(encoder, out, first.block.head, lines(""), sent[1]![1] === "https", fallback, false);
      block.begin(BlockKind.Request, listBytesMax, 100);
      expect(decoder.decode(out.bytes, 0, out.length, block)).toBe(0);
      expect(readRequestHead(block, endStream, null)).toBe(0);
      checkAgainstText(block.head, null);
      const h1 = new Scratch(16);
      writeRequestHead(h1, first.block.head, lines(""), ConnectionSays.Nothing);
      const text = Buffer.from(h1.bytes.subarray(0, h1.length)).toString("latin1").replaceAll("\r\n", "\n");
      const parsed = parsedRequest(text);
      expect(parsed.bodyLength).toBe(first.block.head.bodyLength);
      expect(plainLines(request(parsed))).toEqual(plainLines(request(first.block.head)));
    }
  }
});

const plainLines = (fields: readonly string[]): string[] => fields.map((line) => line.replace(/^([^:]+): ?/, "$1: "));

test(`any response as well, seed ${seed}`, () => {
  const rng = seededRng(seed);
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096);
  for (let run = 0; run < runs * 5; run++) {
    const fields = Array.from({ length: rng.below(12) }, () => randomField(rng)).filter(
      ({ name }) => name !== "content-length",
    );
    const sent: Line[] = [
      [":status", String(200 + rng.below(300))],
      ...fields.map(({ name, value }): Line => [name, value]),
    ];
    const seen = seeResponse(sent, { endStream: false });
    expect(seen.verdict).toBe("ok");
    const out = new Scratch(16);
    encodeResponseHead(encoder, out, seen.block.head, lines(""));
    const back = decodeFields(decoder, out.bytes.slice(0, out.length), BlockKind.Response);
    if (typeof back === "string") throw new Error(back);
    expect(plain(back)).toEqual(sent.map(([name, value]) => `${name}: ${value}`));
  }
});
