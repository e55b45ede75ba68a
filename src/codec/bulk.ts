// Long bodies that nobody wants to see are moved from socket to socket inside the kernel, instead of being received and
// sent again: neither copy nor user memory. It serves both HTTP/1.1 codecs where the network asks onReadable().

import { lent } from "../base/lending.ts";
import { type Clock, RECEIVE_MAX } from "../base/ports.ts";
import { none } from "./chunked-body.ts";
import type { Inlet } from "./inlet.ts";
import { type Outlet, uncork } from "./outlet.ts";
import type { HttpStreamSink } from "./stream.ts";

/** Shorter rests of a body are received: that is as cheap, and sees what lies behind them. */
const moveBytesMin = 16 * 1024;

/** Where bodies are this long, little of the next one should come with its head: the rest is moved. */
const longBodyBytes = 256 * 1024;
const receiveBytesBeforeLong = 16 * 1024;

/** How much a connection should receive at once after a message with a body of this length. */
export function receiveMaxFor(bodyLength: number): number {
  return bodyLength >= longBodyBytes ? receiveBytesBeforeLong : RECEIVE_MAX;
}

/** What a codec has so that moveBody() can work on it. */
export interface BulkSource extends Inlet {
  sink: HttpStreamSink | null;
  bytesIn: number;
  /** Where the body may go without coming here; null = it is looked at, or framed anew. */
  directTo: Outlet | null;
  /** May bytes behind the body be read along with it? They forbid the connection's reuse. */
  readonly readsPast: boolean;
  /** So many body bytes have been taken; behind = others came after them. True if the body ends with them. */
  advance(count: number, behind: boolean): boolean;
}

/**
 * Moves what has arrived of a long body, of which `room` bytes are to come (negative = of no known length). False if
 * there is nothing to move now, or no way. Called by onReadable.
 */
export function moveBody(source: BulkSource, clock: Clock, room: number): boolean {
  const { directTo: target, sink } = source;
  if (target === null || sink === null) return false;
  clock.nowMs();
  if (room < moveBytesMin || source.readPaused || source.stash !== null) return false;
  uncork(); // the head goes first
  if (target.pending !== null) return false;
  const { taken, rest } = source.connection.moveTo(target.connection, room);
  if (taken === 0) return false;
  const passed = rest === null ? taken : taken - rest.length;
  source.bytesIn += taken;
  target.bytesOut += passed;
  const last = source.advance(taken, taken === room && source.readsPast && source.connection.read(lent, 1) > 0);
  sink.onMoved(passed);
  if (rest !== null) sink.onData(rest, 0, rest.length, last);
  else if (last) sink.onData(none, 0, 0, true);
  uncork();
  return true;
}
