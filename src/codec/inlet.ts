// The receiving side that both HTTP/1.1 codecs share: input that came before it was wanted is held and the socket
// stopped, so that what waits in the program is at most what one receive brought (and rarely two). When it goes on is
// the codec's business.

import { copyOf } from "../base/bytes.ts";
import { keep } from "../base/lending.ts";
import type { Connection } from "../base/ports.ts";

/**
 * Where long bodies are read into, over and over: no allocation, no garbage, warm in the cache (measured: 20 % less CPU
 * for 1 MB responses). Its bytes are valid within the call only; whoever keeps bytes copies those of this array.
 */
export const lent = new Uint8Array(128 * 1024);

/** What a codec has so that hold() can work on it. */
export interface Inlet {
  readonly connection: Connection;
  /** Received bytes not used yet, from stashAt on. */
  stash: Uint8Array | null;
  stashAt: number;
  /** The stream's user wants no more for now. */
  readPaused: boolean;
  /** The connection has been told. */
  socketPaused: boolean;
}

/** Keeps bytes[start, end) behind what is held already. The array is kept as it is, unless it is the lent one. */
export function hold(inlet: Inlet, bytes: Uint8Array, start: number, end: number): void {
  keep(bytes);
  const old = inlet.stash;
  if (old === null) {
    if (bytes === lent) {
      inlet.stash = copyOf(bytes, start, end);
      inlet.stashAt = 0;
    } else {
      inlet.stash = end === bytes.length ? bytes : bytes.subarray(0, end);
      inlet.stashAt = start;
    }
  } else {
    const kept = old.length - inlet.stashAt;
    const joined = new Uint8Array(kept + end - start);
    joined.set(old.subarray(inlet.stashAt));
    joined.set(bytes.subarray(start, end), kept);
    inlet.stash = joined;
    inlet.stashAt = 0;
  }
  updateSocket(inlet);
}

/** Stops or restarts the socket as the present state wants it. */
export function updateSocket(inlet: Inlet): void {
  const want = inlet.stash !== null || inlet.readPaused;
  if (want === inlet.socketPaused) return;
  inlet.socketPaused = want;
  if (want) inlet.connection.pause();
  else inlet.connection.resume();
}

/** Gives up what is held, for whoever takes the connection over. */
export function takeHeld(inlet: Inlet): Uint8Array | null {
  const held = inlet.stash;
  inlet.stash = null;
  return held === null ? null : held.subarray(inlet.stashAt);
}
