// What the scripted origin does, by path. Arguments come from the query. Bad behaviour is as important as good
// behaviour.

import { createHash } from "node:crypto";
import type { Source } from "./outlet.ts";
import { headerOf, type RecordedRequest } from "./request-reader.ts";

/** One request and the means to answer it. Handlers that are null when a body arrives let it pass unseen. */
export interface OriginExchange {
  readonly request: RecordedRequest;
  readonly query: URLSearchParams;
  /** The origin's name. */
  readonly name: string;
  onBody: ((bytes: Uint8Array) => void) | null;
  /** The whole request has arrived. Not called again if it already had before the handler was set. */
  onEnd: (() => void) | null;
  /** The peer sent FIN. */
  onFinish: (() => void) | null;
  send(bytes: Uint8Array | string): void;
  stream(source: Source): void;
  /** When everything so far has been taken by the kernel. */
  afterwards(task: () => void): void;
  /** False once the connection is closed. */
  isOpen(): boolean;
  /** The answer is complete: the next request on this connection may be read. */
  done(): void;
  stopReading(): void;
  readOn(): void;
  /** Closes when everything sent has been taken by the kernel. */
  close(): void;
  /** Reset after everything sent has been taken by the kernel (which may throw some of it away). */
  reset(): void;
  /** From now on bytes go to the function. */
  upgrade(onBytes: (bytes: Uint8Array) => void): void;
}

export type Behaviour = (exchange: OriginExchange) => void;

const PIECE_BYTES = 64 * 1024;

/** The byte at a position of every generated body: position modulo 251, a prime, so that shifts are seen. */
export function patternAt(position: number): number {
  return position % 251;
}

// Any piece of a generated body is a slice of this, beginning at its position modulo 251.
const PATTERN = Uint8Array.from({ length: PIECE_BYTES + 251 }, (_, i) => patternAt(i));

/** Bytes [start, end) of a generated body; at most PIECE_BYTES of them, and only to be read. */
function patternPiece(start: number, end: number): Uint8Array {
  const offset = start % 251;
  return PATTERN.subarray(offset, offset + Math.min(PIECE_BYTES, end - start));
}

/** The whole generated body of a length, for comparing. */
export function patternBody(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => patternAt(i));
}

/** Pieces of a generated body from start to end. */
function patternSource(start: number, end: number): Source {
  let position = start;
  return () => {
    if (position >= end) return null;
    const bytes = patternPiece(position, end);
    position += bytes.length;
    return bytes;
  };
}

function count(exchange: OriginExchange, name: string, fallback: number): number {
  const text = exchange.query.get(name);
  if (text === null) return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`bad argument ${name}=${text}`);
  return value;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  304: "Not Modified",
  404: "Not Found",
};

function head(exchange: OriginExchange, status: number, fields: readonly string[]): string {
  const lines = [`HTTP/1.1 ${status} ${REASONS[status] ?? "Status"}`, `X-Origin: ${exchange.name}`, ...fields];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function isHead(exchange: OriginExchange): boolean {
  return exchange.request.method === "HEAD";
}

/** A whole answer with Content-Length. */
function answer(
  exchange: OriginExchange,
  status: number,
  body: Uint8Array | string,
  fields: readonly string[] = [],
): void {
  const bytes = typeof body === "string" ? Buffer.from(body, "latin1") : body;
  const bodyless = status === 204 || status === 304;
  const framing = bodyless ? [] : [`Content-Length: ${bytes.length}`];
  const lines = head(exchange, status, [...framing, ...fields]);
  // One write: a process that is killed has sent all of an answer or nothing.
  if (bodyless || isHead(exchange)) exchange.send(lines);
  else exchange.send(Buffer.concat([Buffer.from(lines, "latin1"), bytes]));
  exchange.done();
}

/** Calls the task when the whole request is there; asks for the body first where the client waits for that. */
function afterRequest(exchange: OriginExchange, task: () => void): void {
  if (headerOf(exchange.request, "expect")?.toLowerCase() === "100-continue") {
    exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  exchange.onEnd = task;
}

/** Answers with this status and body when the whole request has arrived. */
export function whenWhole(status: number, body = ""): Behaviour {
  return (exchange) => afterRequest(exchange, () => answer(exchange, status, body));
}

/** Everything as it came: head, then body (the first 64 KB, without chunked framing), then trailers. */
function echo(exchange: OriginExchange): void {
  afterRequest(exchange, () => {
    const { request } = exchange;
    const parts = [Buffer.from(request.head, "latin1"), request.body, Buffer.from(request.trailers, "latin1")];
    answer(exchange, 200, Buffer.concat(parts));
  });
}

/** JSON with length and SHA-256 of the body, which may be long. */
function upload(exchange: OriginExchange): void {
  const hash = createHash("sha256");
  exchange.onBody = (bytes) => void hash.update(bytes);
  afterRequest(exchange, () => {
    const length = exchange.request.bodyLength;
    answer(exchange, 200, JSON.stringify({ length, sha256: hash.digest("hex") }), ["Content-Type: application/json"]);
  });
}

function slow(exchange: OriginExchange): void {
  const ms = count(exchange, "ms", 100);
  setTimeout(() => {
    if (exchange.isOpen()) answer(exchange, 200, `${exchange.name} slow\n`);
  }, ms);
}

/** n bytes of pattern with Content-Length. */
function size(exchange: OriginExchange): void {
  const n = count(exchange, "n", 1024);
  exchange.send(head(exchange, 200, [`Content-Length: ${n}`]));
  if (!isHead(exchange)) exchange.stream(patternSource(0, n));
  exchange.done();
}

/** n bytes of pattern in chunks of at most chunk bytes, with a trailer when trailer=1. */
function chunked(exchange: OriginExchange): void {
  const n = count(exchange, "n", 1024);
  const chunk = Math.min(Math.max(1, count(exchange, "chunk", 100)), PIECE_BYTES);
  const trailer = count(exchange, "trailer", 0) === 1;
  exchange.send(head(exchange, 200, ["Transfer-Encoding: chunked", ...(trailer ? ["Trailer: X-Check"] : [])]));
  if (isHead(exchange)) return exchange.done();
  let position = 0;
  exchange.stream(() => {
    if (position >= n) return null;
    const bytes = patternPiece(position, Math.min(n, position + chunk));
    position += bytes.length;
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
  });
  exchange.send(trailer ? `0\r\nX-Check: ${n}\r\n\r\n` : "0\r\n\r\n");
  exchange.done();
}

/** Part of a body: n bytes are announced, the first `sent` are sent. */
function part(exchange: OriginExchange): void {
  const n = count(exchange, "n", 1000);
  exchange.send(head(exchange, 200, [`Content-Length: ${n}`]));
  exchange.stream(patternSource(0, Math.min(n, count(exchange, "sent", 100))));
}

/** A body that ends with the connection. */
function untilClose(exchange: OriginExchange): void {
  exchange.send(head(exchange, 200, ["Connection: close"]));
  if (!isHead(exchange)) exchange.stream(patternSource(0, count(exchange, "n", 1024)));
  exchange.close();
}

/** A good answer that allows another request, and then the connection closes all the same, ms later and unannounced. */
function hangUp(exchange: OriginExchange): void {
  answer(exchange, 200, `${exchange.name} bye\n`);
  const ms = count(exchange, "ms", 0);
  if (ms === 0) exchange.close();
  else setTimeout(() => exchange.close(), ms);
}

/** Any bytes at all: base64 (URL alphabet too) of the whole answer; close=1 ends the connection after them. */
function raw(exchange: OriginExchange): void {
  exchange.send(Buffer.from(exchange.query.get("base64") ?? "", "base64"));
  if (count(exchange, "close", 0) === 1) exchange.close();
  else exchange.done();
}

/** Switches protocols and sends back what comes; after the peer's FIN a last line, so that half-close can be seen. */
function upgradeEcho(exchange: OriginExchange): void {
  exchange.send(head(exchange, 101, ["Connection: Upgrade", "Upgrade: echo"]));
  exchange.onFinish = () => {
    exchange.send("after your FIN\n");
    exchange.close();
  };
  exchange.upgrade((bytes) => exchange.send(bytes));
}

/** For paths that are not in the table. */
export const notFound: Behaviour = (exchange) => answer(exchange, 404, "no such path\n");

/** The built-in paths. */
export const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  "/": (exchange) => answer(exchange, 200, `${exchange.name} ok\n`),
  "/ok": (exchange) => answer(exchange, 200, `${exchange.name} ok\n`),
  "/health": (exchange) => answer(exchange, 200, "ok\n"),
  "/status": (exchange) => {
    const code = count(exchange, "code", 200);
    answer(exchange, code, `${exchange.name} ${code}\n`);
  },
  "/slow": slow,
  "/size": size,
  "/chunked": chunked,
  "/until-close": untilClose,
  "/echo": echo,
  "/upload": upload,
  /** Early Hints, then the answer. */
  "/early-hints": (exchange) => {
    exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
    answer(exchange, 200, `${exchange.name} ok\n`);
  },
  /** Answers and says that it closes. */
  "/close": (exchange) => {
    answer(exchange, 200, `${exchange.name} closing\n`, ["Connection: close"]);
    exchange.close();
  },
  "/hang-up": hangUp,
  /** Fewer bytes than announced, then FIN. */
  "/close-early": (exchange) => {
    part(exchange);
    exchange.close();
  },
  /** Fewer bytes than announced, then silence. */
  "/stall": part,
  /** FIN instead of an answer. */
  "/no-answer": (exchange) => exchange.close(),
  /** Reset: instead of an answer, or after `sent` bytes of one. */
  "/reset": (exchange) => {
    if (exchange.query.has("sent")) part(exchange);
    exchange.reset();
  },
  /** Reads the request and never answers. */
  "/never": () => {},
  /** Neither reads the body nor answers. */
  "/no-read": (exchange) => exchange.stopReading(),
  "/raw": raw,
  "/upgrade": upgradeEcho,
};
