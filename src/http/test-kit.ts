// For the tests of this folder: request heads from text and a client stream that records. Not part of the program.

import { latin1Text, type Scratch } from "../base/bytes.ts";
import type { Failure } from "../base/failure.ts";
import { type Connection, type ConnectionEvents, NOTHING_MOVED, RECEIVE_MAX } from "../base/ports.ts";
import { type Detached, Flow, type HttpStreamSink, type ServerStream } from "../codec/stream.ts";
import { parseRequest, parseResponse } from "../wire/h1/parse.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { writeRequestHead, writeResponseHead } from "../wire/h1/write.ts";
import { Scratch as Buffer } from "../base/bytes.ts";
import { BODY_CHUNKED, Head, Method } from "../wire/head.ts";
import { defaultListener, defaultMatch, defaultRetry, defaultRouteTimeouts } from "../model/defaults.ts";
import { compileRouter } from "../route/compile-router.ts";
import type { Router } from "../route/router.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { compileRetry } from "./retry.ts";
import type { Route } from "./route.ts";

/** Parses a request head given with \n line ends; throws if it is refused. */
export function requestHead(text: string): Head {
  const bytes = latin1(`${text.replaceAll("\n", "\r\n")}\r\n\r\n`);
  const head = new Head(100);
  const after = parseRequest(bytes, 0, bytes.length, head, 65536, 100);
  if (after !== bytes.length) throw new Error(`head refused or not whole: ${after}`);
  return head;
}

/** The head as it would be sent to an endpoint, as text with \n line ends. */
export function sentHead(head: Head, added: Scratch): string {
  const out = new Buffer(1024);
  writeRequestHead(out, head, added, 0);
  return latin1Text(out.bytes, 0, out.length).replaceAll("\r\n", "\n");
}

/** Parses a response head given with \n line ends; throws if it is refused. */
export function responseHead(text: string, method: Method = Method.Get): Head {
  const bytes = latin1(`${text.replaceAll("\n", "\r\n")}\r\n\r\n`);
  const head = new Head(100);
  const after = parseResponse(bytes, 0, bytes.length, head, method, 65536, 100);
  if (after !== bytes.length) throw new Error(`head refused or not whole: ${after}`);
  return head;
}

/** The response head as it would be sent to a client, as text with \n line ends. */
export function sentResponse(head: Head, added: Scratch): string {
  const out = new Buffer(1024);
  writeResponseHead(out, head, added, head.bodyLength === BODY_CHUNKED, 0);
  return latin1Text(out.bytes, 0, out.length).replaceAll("\r\n", "\n");
}

/** A client stream without a connection: it keeps what is sent to it as text. */
export class RecordingStream implements ServerStream {
  sink: HttpStreamSink | null = null;
  memo: Uint8Array | null = null;
  isOpen = true;
  headSent = false;
  endsWithClose = false;
  bytesOut = 0;
  closes = false;
  ended = false;
  resetBy: Failure = 0;
  paused = false;
  text = "";
  peer: { readonly address: Uint8Array | null } | null = null;
  clientPlace = 0;
  readonly localPort = 8080;
  readonly connection: Connection;

  constructor(remoteAddress: string) {
    this.connection = {
      events: {} as ConnectionEvents,
      remoteAddress,
      remotePort: 40000,
      isOpen: true,
      receiveMax: RECEIVE_MAX,
      write: (_bytes, start, end) => end - start,
      read: () => 0,
      moveTo: () => NOTHING_MOVED,
      unsent: () => -1,
      pause() {},
      resume() {},
      finish() {},
      close() {},
      abort() {},
    };
  }

  sendHead(head: Head, added: Scratch, last: boolean): Flow {
    const out = new Buffer(1024);
    writeResponseHead(out, head, added, false, 0);
    this.headSent = head.status >= 200;
    this.add(latin1Text(out.bytes, 0, out.length), last);
    return Flow.Go;
  }
  sendData(bytes: Uint8Array, start: number, end: number, last: boolean): Flow {
    this.add(latin1Text(bytes, start, end), last);
    return Flow.Go;
  }
  sendTrailers(): Flow {
    this.ended = true;
    return Flow.Go;
  }
  private add(text: string, last: boolean): void {
    this.text += text;
    this.bytesOut += text.length;
    if (last) this.ended = true;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  reset(f: Failure): void {
    this.resetBy = f;
    this.isOpen = false;
  }
  forward(): boolean {
    return false;
  }
  takesBytes(): null {
    return null;
  }
  takesRawChunks(): boolean {
    return false;
  }
  takeBytesIn(): number {
    return 0;
  }
  takeBytesOut(): number {
    return 0;
  }
  closeAfterResponse(): void {
    this.closes = true;
  }
  closeWhenIdle(): void {}
  done(): void {}
  detach(): Detached {
    return { received: null, unsent: null, finished: false };
  }
}

/** A route that sends everything to one pool, with the defaults. */
export function plainRoute(pool: PoolRuntime): Route {
  return {
    ...defaultRouteTimeouts,
    name: "0",
    pool,
    arms: null,
    redirect: null,
    respond: null,
    bodyBytesMax: 0,
    retry: compileRetry(defaultRetry),
    minRate: null,
    guard: null,
    responseHooks: null,
    mirror: null,
    rewrite: null,
    requestEdits: null,
    responseEdits: null,
    cors: null,
    compress: null,
    captures: [],
    decorates: false,
  };
}

/** A router with nothing but this route. */
export function routerOf(route: Route): Router<Route> {
  return compileRouter([{ match: defaultMatch, value: route }], defaultListener.paths).router!;
}
