// The head writer: what passes unchanged, what goes, what is rebuilt; and that parsing it again gives the same.

import { describe, expect, test } from "bun:test";
import { latin1Text, Scratch } from "../../base/bytes.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { FIELD_DROPPED, FIELD_ID, FIELD_WIDTH, Head, HeadFlag, Method } from "../head.ts";
import { parseRequest, parseResponse, parseTrailers } from "./parse.ts";
import { bytesOf, fieldsMax, headBytesMax, seeRequest, seeResponse } from "./test-kit.ts";
import { ConnectionSays, writeChunkSize, writeRequestHead, writeResponseHead, writeTrailers } from "./write.ts";

interface WriteOptions {
  readonly added?: string;
  readonly says?: ConnectionSays;
  readonly chunked?: boolean;
  readonly method?: Method;
  /** Indices of fields that the exchange drops. */
  readonly dropped?: readonly number[];
  /** In place of the client's. */
  readonly target?: string;
  readonly host?: string;
}

const scratch = (text: string): Scratch => {
  const out = new Scratch(16);
  out.putText(text);
  return out;
};

function drop(head: Head, dropped: readonly number[] = []): void {
  for (const i of dropped) head.fields[i * FIELD_WIDTH + FIELD_ID]! |= FIELD_DROPPED;
}

function replace(head: Head, { target, host }: WriteOptions): void {
  if (target !== undefined) {
    head.flags |= HeadFlag.NewTarget;
    head.newTarget = scratch(target);
  }
  if (host !== undefined) {
    head.flags |= HeadFlag.NewHost;
    head.newHost = scratch(host);
  }
}

/** Parses a request and writes it. It begins somewhere inside its array, as requests do. */
function forwardRequest(text: string, options: WriteOptions = {}): string {
  const bytes = bytesOf(`....${text}`);
  const head = new Head(fieldsMax);
  const after = parseRequest(bytes, 4, bytes.length, head, headBytesMax, fieldsMax);
  if (after <= 0) throw new Error(`refused: ${JSON.stringify(text)}`);
  drop(head, options.dropped);
  replace(head, options);
  const out = scratch("before ");
  writeRequestHead(out, head, scratch(options.added ?? ""), options.says ?? ConnectionSays.Nothing);
  return latin1Text(out.bytes, 7, out.length);
}

function forwardResponse(text: string, options: WriteOptions = {}): string {
  const bytes = bytesOf(`....${text}`);
  const head = new Head(fieldsMax);
  const after = parseResponse(bytes, 4, bytes.length, head, options.method ?? Method.Get, headBytesMax, fieldsMax);
  if (after <= 0) throw new Error(`refused: ${JSON.stringify(text)}`);
  drop(head, options.dropped);
  const out = scratch("before ");
  const says = options.says ?? ConnectionSays.Nothing;
  writeResponseHead(out, head, scratch(options.added ?? ""), options.chunked ?? false, says);
  return latin1Text(out.bytes, 7, out.length);
}

describe("request head", () => {
  test("passes unchanged, byte by byte, when there is nothing to change", () => {
    const text =
      "PoST /a%2f../b?c&\xff HTTP/1.1\r\nhOST:a\r\nX-a:\t 1 \t\r\nx-A: \xe9\x80\r\n" +
      "Empty:\r\nContent-Length:  007\r\n\r\n";
    expect(forwardRequest(text)).toBe(text);
  });
  test("bytes behind the head and an empty line before it stay away", () => {
    const text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    expect(forwardRequest(`\r\n${text}body`)).toBe(text);
  });
  test("hop-by-hop fields go, wherever they stand", () => {
    const text =
      "GET / HTTP/1.1\r\nConnection: x-a, close\r\nHost: a\r\nX-A: 1\r\nKeep-Alive: 5\r\nB: 2\r\nTE: trailers\r\n" +
      "Proxy-Connection: close\r\nUpgrade: x\r\nC: 3\r\nx-a: 4\r\n\r\n";
    expect(forwardRequest(text)).toBe("GET / HTTP/1.1\r\nHost: a\r\nB: 2\r\nC: 3\r\n\r\n");
  });
  test("fields the exchange drops go, and its own come behind the rest", () => {
    const text = "GET / HTTP/1.1\r\nX: 1\r\nHost: a\r\nY: 2\r\n\r\n";
    const written = forwardRequest(text, { dropped: [0, 2], added: "Z: 3\r\n" });
    expect(written).toBe("GET / HTTP/1.1\r\nHost: a\r\nZ: 3\r\n\r\n");
  });
  test("all fields can go", () => {
    const text = "GET / HTTP/1.0\r\nConnection: x\r\nX: 1\r\n\r\n";
    expect(forwardRequest(text)).toBe("GET / HTTP/1.1\r\n\r\n");
  });
  test("Content-Length passes as it came, chunked coding is announced anew", () => {
    const text = "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:  CHUNKED\r\nB: 1\r\n\r\n";
    expect(forwardRequest(text)).toBe("POST / HTTP/1.1\r\nHost: a\r\nB: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    const named = "POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length, host\r\nContent-Length: 5\r\n\r\n";
    expect(forwardRequest(named)).toBe("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  });
  test("an upgrade keeps its Upgrade fields, all of them", () => {
    const text =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, x\r\nUpgrade: websocket\r\nX: 1\r\nupgrade: b/2\r\n" +
      "Sec-WebSocket-Key: k\r\n\r\n";
    expect(forwardRequest(text, { says: ConnectionSays.Upgrade })).toBe(
      "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\n" +
        "Connection: upgrade\r\nUpgrade: websocket\r\nupgrade: b/2\r\n\r\n",
    );
  });
  test("RFC 9112 2.3: HTTP/1.0 goes on as HTTP/1.1", () => {
    const text = "GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nB: 1\r\n\r\n";
    expect(forwardRequest(text)).toBe("GET /x HTTP/1.1\r\nHost: a\r\nB: 1\r\n\r\n");
    expect(forwardRequest("OPTIONS * HTTP/1.0\r\nHost: a\r\n\r\n")).toBe("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  const absolute: readonly (readonly [what: string, text: string, written: string])[] = [
    [
      "a URI",
      "GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\nC: 1\r\n\r\n",
      "GET /x?y HTTP/1.1\r\nHost: b:81\r\nC: 1\r\n\r\n",
    ],
    [
      "Host in the middle",
      "GET http://b/ HTTP/1.1\r\nC: 1\r\nHost: a\r\nD: 2\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: b\r\nC: 1\r\nD: 2\r\n\r\n",
    ],
    ["an empty path", "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: b\r\n\r\n"],
    ["only a query", "GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q HTTP/1.1\r\nHost: b\r\n\r\n"],
    ["HTTP/1.0 without Host", "GET http://b/x HTTP/1.0\r\nC: 1\r\n\r\n", "GET /x HTTP/1.1\r\nHost: b\r\nC: 1\r\n\r\n"],
    [
      "RFC 9112 3.2.4: OPTIONS without a path",
      "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n",
    ],
    ["OPTIONS with a path", "OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS / HTTP/1.1\r\nHost: b\r\n\r\n"],
    [
      "OPTIONS with a query",
      "OPTIONS http://b?q HTTP/1.1\r\nHost: a\r\n\r\n",
      "OPTIONS /?q HTTP/1.1\r\nHost: b\r\n\r\n",
    ],
  ];
  for (const [what, text, written] of absolute) {
    test(`absolute form (RFC 9112 3.2.2), ${what}`, () => expect(forwardRequest(text)).toBe(written));
  }
  test("an empty query of an absolute form is kept", () => {
    expect(forwardRequest("GET http://b/? HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("GET /? HTTP/1.1\r\nHost: b\r\n\r\n");
  });
});

describe("a request whose target or Host was replaced", () => {
  const text = "POST /a?b HTTP/1.1\r\nA: 1\r\nHOST: a\r\nContent-Length: 5\r\nTE: x\r\nB: 2\r\n\r\n";
  test("the target alone: the fields stay as they are", () => {
    const written = forwardRequest(text, { target: "/new?c" });
    expect(written).toBe("POST /new?c HTTP/1.1\r\nA: 1\r\nHOST: a\r\nContent-Length: 5\r\nB: 2\r\n\r\n");
  });
  test("the Host alone: one Host, before the others", () => {
    const written = forwardRequest(text, { host: "new:81", added: "C: 3\r\n" });
    expect(written).toBe("POST /a?b HTTP/1.1\r\nHost: new:81\r\nA: 1\r\nContent-Length: 5\r\nB: 2\r\nC: 3\r\n\r\n");
  });
  const forms = ["GET http://b/x?y HTTP/1.1", "GET /x?y HTTP/1.0", "GET http://b HTTP/1.0"];
  for (const line of forms) {
    test(`both, after ${line}`, () => {
      const written = forwardRequest(`${line}\r\nHost: a\r\nB: 2\r\n\r\n`, { target: "/", host: "n" });
      expect(written).toBe("GET / HTTP/1.1\r\nHost: n\r\nB: 2\r\n\r\n");
    });
  }
  test("a request without Host gets the new one", () => {
    expect(forwardRequest("GET / HTTP/1.0\r\nB: 2\r\n\r\n", { host: "n" })).toBe(
      "GET / HTTP/1.1\r\nHost: n\r\nB: 2\r\n\r\n",
    );
  });
  test("another parse of the head forgets it", () => {
    const bytes = bytesOf(text);
    const head = new Head(fieldsMax);
    const out = scratch("");
    replace(head, { target: "/new", host: "n" });
    parseRequest(bytes, 0, bytes.length, head, headBytesMax, fieldsMax);
    writeRequestHead(out, head, scratch(""), ConnectionSays.Nothing);
    expect(latin1Text(out.bytes, 0, out.length)).toBe(text.replace("TE: x\r\n", ""));
  });
});

describe("response head", () => {
  test("passes unchanged when there is nothing to change", () => {
    const text = "HTTP/1.1 404 Not\tfound \xe9\r\nA:1\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 3\r\n\r\n";
    expect(forwardResponse(text)).toBe(text);
  });
  test("HTTP/1.0 goes on as HTTP/1.1, hop-by-hop fields go, chunked is announced", () => {
    const text = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nA: 1\r\nKeep-Alive: 5\r\n\r\n";
    const written = forwardResponse(text, { chunked: true, added: "Via: x\r\n", says: ConnectionSays.Close });
    expect(written).toBe(
      "HTTP/1.1 200 OK\r\nA: 1\r\nVia: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    );
  });
  test("keep-alive is said to clients that need it", () => {
    const written = forwardResponse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", { says: ConnectionSays.KeepAlive });
    expect(written).toBe("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n");
  });
  test("RFC 9112 4: the space behind the status is there even without a reason", () => {
    expect(forwardResponse("HTTP/1.1 200\r\nA: 1\r\n\r\n")).toBe("HTTP/1.1 200 \r\nA: 1\r\n\r\n");
    expect(forwardResponse("HTTP/1.0 200\r\nConnection: x\r\nA: 1\r\n\r\n")).toBe("HTTP/1.1 200 \r\nA: 1\r\n\r\n");
    expect(forwardResponse("HTTP/1.1 200 \r\n\r\n")).toBe("HTTP/1.1 200 \r\n\r\n");
    expect(forwardResponse("HTTP/1.1 200\r\n\r\n")).toBe("HTTP/1.1 200 \r\n\r\n");
  });
  test("an accepted upgrade", () => {
    const text = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nS: k\r\n\r\n";
    expect(forwardResponse(text, { says: ConnectionSays.Upgrade })).toBe(
      "HTTP/1.1 101 Switching\r\nS: k\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
  });
  test("Content-Length goes from 204, and stays in an answer to HEAD", () => {
    expect(forwardResponse("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n")).toBe("HTTP/1.1 204 x\r\n\r\n");
    const toHead = "HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n";
    expect(forwardResponse(toHead, { method: Method.Head })).toBe(toHead);
  });
});

describe("body pieces", () => {
  test("chunk sizes", () => {
    const out = scratch("");
    for (const size of [0, 1, 15, 16, 255, 65536, 2 ** 52]) writeChunkSize(out, size);
    expect(latin1Text(out.bytes, 0, out.length)).toBe("0\r\n1\r\nf\r\n10\r\nff\r\n10000\r\n10000000000000\r\n");
  });
  test("trailers without those that must not be passed on", () => {
    const bytes = bytesOf("..Host: x\r\nA: 1\r\nContent-Length: 5\r\nB:2\r\n\r\nnext");
    const head = new Head(fieldsMax);
    parseTrailers(bytes, 2, bytes.length, head, fieldsMax);
    const out = scratch("0\r\n");
    writeTrailers(out, head);
    expect(latin1Text(out.bytes, 0, out.length)).toBe("0\r\nA: 1\r\nB:2\r\n\r\n");
  });
  test("trailers of which none may be passed on", () => {
    const bytes = bytesOf("Host: x\r\n\r\n");
    const head = new Head(fieldsMax);
    parseTrailers(bytes, 0, bytes.length, head, fieldsMax);
    const out = scratch("0\r\n");
    writeTrailers(out, head);
    expect(latin1Text(out.bytes, 0, out.length)).toBe("0\r\n\r\n");
  });
});

test("parse after write gives the end-to-end fields, in order and unchanged, and the same framing", () => {
  const seed = 99;
  const rng = seededRng(seed);
  const pick = <T>(list: readonly T[]): T => list[rng.below(list.length)]!;
  const hop = ["Connection: k1", "Keep-Alive: 1", "TE: trailers", "connection: close, K2", "Proxy-Connection: x"];
  const end = ["A: 1", "b:2", "C:\t \xff ", "K3: x", "Accept:", "Via: 1.1 x", "Cookie: a=b"];
  const named = ["K1: 1", "k2: 2"];
  for (let round = 0; round < 2000; round++) {
    const lines = Array.from({ length: rng.below(12) }, () => pick([...hop, ...end, ...named]));
    const framing = pick([[], ["Content-Length: 5"], ["Transfer-Encoding: chunked"]]);
    lines.splice(rng.below(lines.length + 1), 0, ...framing);
    const isResponse = rng.below(2) === 0;
    const start = isResponse
      ? "HTTP/1.1 200 OK"
      : pick(["GET /p HTTP/1.1", "POST http://h/p HTTP/1.1", "GET /p HTTP/1.0"]);
    if (!isResponse) lines.splice(rng.below(lines.length + 1), 0, "Host: h");
    if (start.endsWith("1.0") && framing[0]?.startsWith("T") === true) continue;
    const text = `${start}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
    const see = isResponse ? seeResponse : seeRequest;
    const before = see(text);
    const written = isResponse ? forwardResponse(text, { chunked: before.bodyLength === -1 }) : forwardRequest(text);
    const after = see(written);
    const keep = (seen: typeof before): string[] =>
      seen.fields.filter((field) => !field.hop).map((field) => `${field.name}|${field.value}`);
    const sorted = (list: readonly string[]): string => list.toSorted().join();
    const moved = text.includes("http://"); // there Host moves to the front
    const same = moved ? sorted(keep(before)) === sorted(keep(after)) : keep(before).join() === keep(after).join();
    const where = `seed ${seed}, round ${round}: ${JSON.stringify(text)} -> ${JSON.stringify(written)}`;
    if (after.verdict !== "ok" || !same) throw new Error(`fields: ${where}`);
    if (before.bodyLength !== after.bodyLength || before.host !== after.host) throw new Error(`framing: ${where}`);
    if (after.fields.some((field) => field.hop && field.name !== "Transfer-Encoding")) throw new Error(`hop: ${where}`);
    for (const line of lines) {
      const kept = end.includes(line) && !(moved && line.startsWith("Host"));
      if (kept && !written.includes(`\r\n${line}\r\n`)) throw new Error(`line ${line}: ${where}`);
    }
  }
});
