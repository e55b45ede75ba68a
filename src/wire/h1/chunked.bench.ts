// Cost of decoding a chunk: small ones, where the framing is all there is to do.

import { ChunkedDecoder, type ChunkSink } from "./chunked.ts";
import { latin1 } from "./tables.ts";

const chunksInMessage = 500;
const message = latin1(`${`64\r\n${"x".repeat(100)}\r\n`.repeat(chunksInMessage)}0\r\n\r\n`);
const sink: ChunkSink = { onChunkBytes: () => true, onChunkTrailers() {} };

/** Nanoseconds per chunk of 100 bytes. */
export function bench(iterations: number): number {
  const decoder = new ChunkedDecoder();
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k += chunksInMessage) {
    decoder.reset();
    decoder.decode(message, 0, message.length, sink);
  }
  return (Bun.nanoseconds() - started) / iterations;
}
