// Long bodies: what has already arrived is taken on the spot instead of waiting for the next receive, and where nobody
// wants to see it, it is moved from socket to socket inside the kernel. Each receive that the event loop makes costs a
// new buffer of up to 512 KB and a copy into it; these two ways cost neither.

import { none } from "./chunked-body.ts";
import { type Inlet, lent } from "./inlet.ts";
import { type Outlet, uncork } from "./outlet.ts";
import type { HttpStreamSink } from "./stream.ts";

/** A receive at least this long belongs to a long body: there is probably more behind it. */
export const bulkBytes = 128 * 1024;
/** Takes between two turns of the event loop: others want their turn, too. */
const takesMax = 32;

/** What a codec has so that readOn() can work on it. */
export interface BulkSource extends Inlet {
  sink: HttpStreamSink | null;
  bytesIn: number;
  /** Where the body may go without coming here; null = it is looked at, or framed anew. */
  directTo: Outlet | null;
  /** May bytes behind the body be read along with it? They come to consume(). */
  readonly readsPast: boolean;
  /**
   * How many body bytes may be taken from the socket now. 0 = none: the body is over, held back, or ends with the
   * close.
   */
  bulkRoom(): number;
  consume(bytes: Uint8Array, from: number, end: number): void;
  /** So many body bytes have been taken; behind = others came after them. True if the body ends with them. */
  advance(count: number, behind: boolean): boolean;
}

/** Takes what has arrived of a long body. Called at the end of onData. */
export function readOn(source: BulkSource): void {
  for (let takes = 0; takes < takesMax; takes++) {
    const room = source.bulkRoom();
    if (room === 0) return;
    const target = source.directTo;
    if (target !== null && source.sink !== null && moveOn(source, source.sink, target, room)) continue;
    const count = source.connection.read(lent, source.readsPast ? lent.length : room);
    if (count === 0) return;
    source.bytesIn += count;
    source.consume(lent, 0, count);
  }
}

/** False when there is nothing to move now, or no way. */
function moveOn(source: BulkSource, sink: HttpStreamSink, target: Outlet, room: number): boolean {
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
  return true;
}
