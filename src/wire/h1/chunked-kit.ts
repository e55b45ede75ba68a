// Plain counterparts of the chunked decoder for tests and fuzzing: a slow, naive reference that sees the whole message
// at once, and a sink that records. Not used by the program.

import { ChunkedDecoder, type ChunkSink } from "./chunked.ts";

/** The whole message as the reference sees it. */
export interface Reference {
  readonly data: Uint8Array;
  /** The trailer section with its empty line, "" if there is none. */
  readonly trailers: string;
  /** Bytes of the coding. */
  readonly used: number;
  readonly hasExtensions: boolean;
}

/**
 * Decodes by regular expressions on Latin-1 text (RFC 9112 7.1, no white space, extensions of visible characters).
 * Null if the input does not begin with a whole, well-formed message. Only trailer lines' ends are checked.
 */
export function decodeReference(input: Uint8Array): Reference | null {
  const text = Buffer.from(input).toString("latin1");
  const parts: Uint8Array[] = [];
  let hasExtensions = false;
  for (let at = 0; ;) {
    const line = /^([0-9A-Fa-f]{1,13})(;[\t\x20-\x7e\x80-\xff]{0,256})?\r\n/.exec(text.slice(at, at + 300));
    if (line === null) return null;
    hasExtensions ||= line[2] !== undefined;
    const size = Number.parseInt(line[1]!, 16);
    at += line[0].length;
    if (size > 0) {
      if (text.slice(at + size, at + size + 2) !== "\r\n") return null;
      parts.push(input.slice(at, at + size));
      at += size + 2;
      continue;
    }
    const rest = /^(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(at));
    if (rest === null) return null;
    const trailers = rest[0] === "\r\n" ? "" : rest[0];
    return { data: Buffer.concat(parts), trailers, used: at + rest[0].length, hasExtensions };
  }
}

/** What a decoder said, and where it stood. */
export class RecordingSink implements ChunkSink {
  readonly parts: Uint8Array[] = [];
  trailers = "";
  /** How often the end was told; must become 1. */
  ends = 0;
  /** Position behind the message, in all bytes given. */
  endPosition = -1;
  /** The decoder's position of the first byte of the present call. */
  base = 0;
  private readonly decoder: ChunkedDecoder;
  private readonly goOn: () => boolean;

  constructor(decoder: ChunkedDecoder, goOn: () => boolean = () => true) {
    this.decoder = decoder;
    this.goOn = goOn;
  }

  onChunkBytes(bytes: Uint8Array, start: number, end: number, last: boolean): boolean {
    if (start > end || start < 0 || end > bytes.length) throw new Error(`bytes ${start}..${end} of ${bytes.length}`);
    if (start === end && !last) throw new Error("an empty run in the middle");
    this.parts.push(bytes.slice(start, end));
    if (last) this.ended();
    return this.goOn();
  }

  onChunkTrailers(section: Uint8Array, length: number): void {
    this.trailers = Buffer.from(section.subarray(0, length)).toString("latin1");
    this.ended();
  }

  private ended(): void {
    this.ends++;
    this.endPosition = this.base + this.decoder.position;
  }

  get output(): Uint8Array {
    return Buffer.concat(this.parts);
  }
}

/** How a run of the decoder over pieces ended. */
export interface Decoded {
  readonly sink: RecordingSink;
  readonly decoder: ChunkedDecoder;
  /** Bytes used of all pieces together. */
  readonly used: number;
}

/**
 * Runs a decoder over the pieces until it is done or has failed; goOn is the sink's answer, a stop is resumed at once.
 */
export function decodePieces(pieces: readonly Uint8Array[], raw: boolean, goOn?: () => boolean): Decoded {
  const decoder = new ChunkedDecoder();
  decoder.raw = raw;
  const sink = new RecordingSink(decoder, goOn);
  let before = 0;
  for (const piece of pieces) {
    let at = 0;
    // A stop may come without progress: the run before a chunk is given out first.
    for (let stuck = 0; at < piece.length && !decoder.done && !decoder.failed;) {
      sink.base = before;
      const next = decoder.decode(piece, at, piece.length, sink);
      if (next < at || next > piece.length) throw new Error(`position ${next} after ${at}`);
      stuck = next === at ? stuck + 1 : 0;
      if (stuck > 2) throw new Error(`no progress at ${at}`);
      at = next;
    }
    if (decoder.done || decoder.failed) return { sink, decoder, used: before + at };
    before += piece.length;
  }
  return { sink, decoder, used: before };
}
