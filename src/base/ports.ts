// What the outside world is: clock, randomness, timers, network and log, as interfaces. The real ones live in sys/, the
// simulated ones in test/sim/. Nothing here knows HTTP.

import { lent } from "./lending.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** Time. Monotonic readings share one origin across all processes of this machine (CLOCK_MONOTONIC). */
export interface Clock {
  /** Monotonic milliseconds, fractional; a fresh reading. */
  nowMs(): number;
  /** The monotonic milliseconds of the last fresh reading: free, and at most one event old. */
  readonly cachedMs: number;
  /** Milliseconds since the Unix epoch. For logs and dates, never for intervals. */
  wallMs(): number;
}

/** Randomness. Not for secrets. */
export interface Rng {
  /** A uniform unsigned 32-bit integer. */
  u32(): number;
  /** A uniform integer in [0, bound); bound from 1 to 2^32. */
  below(bound: number): number;
}

export const LogLevel = { Debug: 0, Info: 1, Warn: 2, Error: 3 } as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

/** The operator's log (not the access log): one event a call; never called per request. */
export interface Log {
  write(level: LogLevel, event: string, fields?: Readonly<Record<string, string | number | boolean | null>>): void;
}

/** Why a connection ended or could not be made. Zero is an orderly end. */
export const Cause = {
  None: 0,
  Refused: 1,
  Reset: 2,
  TimedOut: 3,
  Unreachable: 4,
  NoResources: 5,
  NotFound: 6,
  Aborted: 7,
  Other: 8,
} as const;
export type Cause = (typeof Cause)[keyof typeof Cause];

/** A transport connection. One writer, one reader; every method on a closed connection is a harmless no-op. */
export interface Connection {
  /** Who hears of this connection's events; may be swapped at any time (an upgrade turns a codec into a tunnel). */
  events: ConnectionEvents;
  /**
   * The peer's address as text, an IPv4-mapped IPv6 address as IPv4; "unix:" for unix sockets; "" if it is already
   * gone.
   */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** True from onOpen to onClose. */
  readonly isOpen: boolean;
  /**
   * How much one onData should bring at most: less than RECEIVE_MAX where the rest had better be moved. A network may
   * ignore it.
   */
  receiveMax: number;
  /**
   * Offers bytes[start, end) to the kernel. Returns how many were accepted: the rest is the caller's, to be offered
   * again after onDrain. -1 when the connection is closed. The bytes are not kept. more = another write follows at
   * once, so that these may wait for it and share a segment.
   */
  write(bytes: Uint8Array, start: number, end: number, more?: boolean): number;
  /**
   * Reads what has already arrived, at once and into the caller's memory, instead of waiting for onData: for long
   * bodies, where the copy that onData brings costs more than the call. Returns the number of bytes; 0 when there is
   * nothing now, the end has come (onFinish or onClose will tell) or the connection is paused. Only to be called from
   * within onData or onReadable.
   */
  read(into: Uint8Array, max: number): number;
  /**
   * Moves up to max bytes that have already arrived straight to the target, inside the kernel. Takes nothing when there
   * is nothing now, when either is paused, finished or not open, or where the system has no such call. The result
   * object is used again by the next call; the rest in it is the caller's to keep. Only to be called from within
   * onData or onReadable.
   */
  moveTo(target: Connection, max: number): Moved;
  /**
   * Accepted bytes that the peer has not acknowledged yet; -1 = not known. For judging progress, not for every request.
   */
  unsent(): number;
  /** Stops onData until resume(). A paused connection does not hear the peer's FIN. */
  pause(): void;
  resume(): void;
  /**
   * Half-close: sends FIN after everything accepted so far; reading goes on. The peer's FIN then closes: onClose(None).
   */
  finish(): void;
  /**
   * Closes both ways: what was accepted is still delivered, but unread input makes the peer see a reset. Calls
   * onClose(None) before it returns.
   */
  close(): void;
  /** Closes at once with a reset; also gives up a connect under way. Calls onClose(Aborted) before it returns. */
  abort(): void;
}

/** The most that one onData brings by default. */
export const RECEIVE_MAX = lent.length;

/** What moveTo() did. */
export interface Moved {
  /** Bytes that have left the source. */
  readonly taken: number;
  /** Those of them that the target did not accept; they are the caller's to send. Null = all were accepted. */
  readonly rest: Uint8Array | null;
}

/** What moveTo() says where nothing moves. */
export const NOTHING_MOVED: Moved = { taken: 0, rest: null };

/** Callbacks of a connection, in the order onOpen, (onData | onDrain | onFinish)*, onClose exactly once. */
export interface ConnectionEvents {
  /** An outgoing connection is established. Never called for accepted connections, which are open from the start. */
  onOpen(): void;
  /**
   * Bytes have arrived and are still in the kernel. Whoever moves long bodies takes them here by moveTo() or read() and
   * answers true; false, or no such method = they come by onData. Not every network asks.
   */
  onReadable?(): boolean;
  /**
   * Bytes arrived. They are lent until this returns: whoever holds on to them asks keep() (lending.ts). Never written
   * to.
   */
  onData(bytes: Uint8Array): void;
  /** There is room to write again. May come without need. */
  onDrain(): void;
  /** The peer sent FIN; writing is still possible. */
  onFinish(): void;
  /** The connection is gone. A connect that failed comes here without onOpen. */
  onClose(cause: Cause): void;
}

/** Where to connect: a literal IP and port, or a unix path ("\0name" for the abstract kind). */
export interface Target {
  readonly ip: string;
  readonly port: number;
  readonly unixPath: string | null;
}

/** A listening socket that is already bound; fd is the descriptor the process owns (or a simulated number). */
export interface Listening {
  /** The bound port; 0 for unix sockets. */
  readonly port: number;
  /** Stops accepting for now; the kernel's queue keeps waiting clients. */
  pause(): void;
  resume(): void;
  /** Stops accepting for good and closes this process's descriptor. Accepted connections are untouched. */
  close(): void;
}

export interface Net {
  /**
   * Starts accepting on an inherited, bound and listening descriptor. accept returns the events of a new connection.
   */
  adopt(fd: number, port: number, accept: (connection: Connection) => ConnectionEvents): Listening;
  /** Begins a connect. Success is events.onOpen, failure events.onClose; never both, never before connect() returns. */
  connect(target: Target, events: ConnectionEvents): Connection;
}

/** One body on its way through a compressor. */
export interface ByteCompressor {
  /**
   * Takes bytes[start, end), possibly none, and returns what they come to: a client that gets it can read all of them.
   * last = nothing follows; then only close() may be called. The result is valid until the next write, of whatever
   * compressor. Throws if there is no memory.
   */
  write(bytes: Uint8Array, start: number, end: number, last: boolean): Uint8Array;
  /** Gives it back, finished or not. Harmless twice. */
  close(): void;
}

/** Compressors of HTTP's content codings. All of them work at once, within the call. */
export interface Compressors {
  /** level = 1 (fastest) to 9 (smallest). null = as many as there may be are open. */
  open(coding: "zstd" | "br" | "gzip", level: number): ByteCompressor | null;
}

/** Takes whole lines, for the access log. Never blocks: what does not fit is dropped and counted. */
export interface LineSink {
  /** Appends bytes[start, end), which ends with a line end. The bytes are copied. */
  append(bytes: Uint8Array, start: number, end: number): void;
}

/** Something that was sealed, opened again. */
export interface Opened {
  readonly plain: Uint8Array;
  /** It was sealed under a key that is going out of use: better seal it anew. */
  readonly outdated: boolean;
}

/** Authenticated encryption of short secrets that clients keep for us. Synchronous: a microsecond or two each. */
export interface Sealer {
  /** plain under the newest key, SEAL_BYTES longer. Equal plain texts never come out equal. */
  seal(plain: Uint8Array): Uint8Array;
  /** What seal() made of it, under any key in force; null for everything else. Never throws. */
  open(bytes: Uint8Array, start: number, end: number): Opened | null;
}

/** What seal() adds to a plain text: a nonce and a tag. */
export const SEAL_BYTES = 28;

export interface Env {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly timers: TimerWheel;
  readonly net: Net;
  readonly log: Log;
}
