// What stands between an endpoint's response and the client when somebody changes the body on its way.

import type { Flow, ServerStream } from "../codec/stream.ts";
import type { Head } from "../wire/head.ts";

export interface BodyFilter {
  /**
   * Takes body bytes [start, end), perhaps none; last = the body ends with them. Sends what comes out of them, at once:
   * nothing stays behind. The bytes are not kept.
   */
  write(bytes: Uint8Array, start: number, end: number, last: boolean, client: ServerStream): Flow;
  /** Trailers end the body. */
  trailers(head: Head, client: ServerStream): Flow;
  /** Lets go of everything, at the end or on failure; harmless twice. */
  release(): void;
}
