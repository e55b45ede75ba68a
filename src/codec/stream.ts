// The waist of the house: what an exchange sees of a protocol. One HttpStream is one half of a pair (the client's or
// the endpoint's); a codec implements it, an exchange drives it. Everything is a synchronous call; nothing is copied
// that need not be.

import type { Scratch } from "../base/bytes.ts";
import type { Failure } from "../base/failure.ts";
import type { Connection } from "../base/ports.ts";
import type { Outlet } from "./outlet.ts";
import type { Head } from "../wire/head.ts";

/**
 * Answer of a send: go on, or stop the source until onDrain. After Closed nothing need be sent: onReset has come or
 * will.
 */
export const Flow = { Go: 0, Pause: 1, Closed: 2 } as const;
export type Flow = (typeof Flow)[keyof typeof Flow];

export interface HttpStream {
  /** Who hears of what arrives; null drops it. */
  sink: HttpStreamSink | null;
  /**
   * Sends a head with `added` field lines behind its own. last = no body follows. more = sendData follows within this
   * very call stack, so that head and body may share one write.
   */
  sendHead(head: Head, added: Scratch, last: boolean, more: boolean): Flow;
  /** Sends body bytes[start, end) (possibly none); last = the message ends here. The bytes may be kept, not changed. */
  sendData(bytes: Uint8Array, start: number, end: number, last: boolean): Flow;
  /** Sends trailers and ends the message. */
  sendTrailers(head: Head): Flow;
  /** Stops and restarts what arrives. Bytes already here are held back. */
  pause(): void;
  resume(): void;
  /** Gives the stream up. No callback follows. */
  reset(failure: Failure): void;
  /**
   * From here on nobody wants to see the arriving body but `target`: its coding may be passed on as it stands, and its
   * bytes may go past the sink (which hears onMoved). Called once, right after heads were exchanged; false if all comes
   * through onData, decoded.
   */
  forward(target: HttpStream): boolean;
  /** Where body bytes may be put without sendData, as they need no framing; null = nowhere. Asked by forward. */
  takesBytes(): Outlet | null;
  /** True if sendData takes chunked coding as it stands (the sender has been told so by forward). */
  takesRawChunks(): boolean;
}

export interface HttpStreamSink {
  /** A head; last = no body; more = body bytes follow in this call stack. An interim response (1xx) comes here too. */
  onHead(head: Head, last: boolean, more: boolean): void;
  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void;
  /** So many body bytes have gone straight to the stream that forward() named. */
  onMoved(count: number): void;
  /** Trailers; the message ends here. */
  onTrailers(head: Head): void;
  /** What was sent has gone out: a paused source may go on. */
  onDrain(): void;
  /** The stream is gone before its message was whole. */
  onReset(failure: Failure): void;
}

/** The client's half: besides the response it ends the exchange. */
export interface ServerStream extends HttpStream {
  readonly connection: Connection;
  /** The port the client connected to; 0 for unix sockets. */
  readonly localPort: number;
  /** True while a response can still be sent. */
  readonly isOpen: boolean;
  /** The final response head has been sent. */
  readonly headSent: boolean;
  /** The end of the response under way is told by the close alone: only a reset can say that it was cut short. */
  readonly endsWithClose: boolean;
  /** Bytes the client has accepted so far, over all exchanges of the connection. */
  readonly bytesOut: number;
  /** Bytes received from, and accepted by, the client since the last call. */
  takeBytesIn(): number;
  takeBytesOut(): number;
  /** Something an exchange wants to remember with the connection: its forwarded fields. */
  memo: Uint8Array | null;
  /** The peer's address in bytes (null = it has none), once somebody has asked for it. */
  peer: { readonly address: Uint8Array | null } | null;
  /** What the listener's gate gave it (http/client-gate.ts). */
  clientPlace: number;
  /** The response under way is the last one on this connection. */
  closeAfterResponse(): void;
  /** Closes an idle connection now, a busy one after its response. */
  closeWhenIdle(): void;
  /** The exchange is over, its response complete: go on with the next request, or close. */
  done(): void;
  /** Gives the connection to a tunnel, with what was received but not used and what was sent but not accepted. */
  detach(): Detached;
}

export interface Detached {
  readonly received: Uint8Array | null;
  readonly unsent: Uint8Array | null;
  /** The peer has already sent its FIN. */
  readonly finished: boolean;
}

/** The sink of a stream to an endpoint, which may have to wait for its connection. A failed connect is an onReset. */
export interface UpstreamSink extends HttpStreamSink {
  /** The connection is established: the request may be sent. */
  onReady(): void;
}
