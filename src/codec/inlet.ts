// The receiving side that both HTTP/1.1 codecs share: input that came before it was wanted is held and the socket
// stopped, so that what waits in the program is at most what one receive brought (and rarely two). When it goes on is
// the codec's business.

import { keep } from "../base/lending.ts";
import type { Connection } from "../base/ports.ts";

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

/** Keeps bytes[start, end) behind what is held already. */
export function hold(inlet: Inlet, bytes: Uint8Array, start: number, end: number): void {
  const old = inlet.stash;
  if (old === null) {
    inlet.stash = keep(bytes, start, end);
    inlet.stashAt = 0;
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
