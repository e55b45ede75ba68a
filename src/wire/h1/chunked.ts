// Decoder of the chunked transfer coding (RFC 9112 7.1), strict: hexadecimal size without white space, CRLF only,
// bounded extensions, bounded trailers. It gives out either the data alone or, in raw mode, the validated coding
// itself, which may then be passed on as it stands; chunk extensions are left out in both.

import { chunkLineBytesMax, trailerBytesMax } from "../../base/limits.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { hexValue, kind, VCHAR } from "./tables.ts";

const State = {
  Size: 0, // first digit of a chunk size
  SizeMore: 1,
  Extension: 2,
  SizeLf: 3,
  Data: 4,
  DataCr: 5,
  DataLf: 6,
  End: 7, // after the last-chunk line: CR of the end, or a trailer
  EndLf: 8,
  Trailers: 9,
  Done: 10,
  Bad: 11,
} as const;
type State = (typeof State)[keyof typeof State];

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
const sizeDigitsMax = 13; // 2^52 - 1: exact in a double

export interface ChunkSink {
  /** Body bytes (raw coding in raw mode); last = the message ends here, without trailers. False stops the decoder. */
  onChunkBytes(bytes: Uint8Array, start: number, end: number, last: boolean): boolean;
  /** The trailer section, up to and including its empty line; the message ends here. */
  onChunkTrailers(section: Uint8Array, length: number): void;
}

export class ChunkedDecoder {
  private state: State = State.Size;
  private left = 0;
  private digits = 0;
  private lineBytes = 0;
  private trailers: HeadBuffer | null = null;
  // What is to be given out next: [from, to). In raw mode it grows over the coding, else over one run of data.
  private from = 0;
  private to = 0;
  /** Give out the coding itself instead of the data. May be set before the first byte only. */
  raw = false;
  /** When the sink hears that the message ends: the position behind it in the bytes given to decode(). */
  position = 0;

  get done(): boolean {
    return this.state === State.Done;
  }
  get failed(): boolean {
    return this.state === State.Bad;
  }

  /** Ready for another message. */
  reset(): void {
    this.state = State.Size;
    this.left = 0;
    this.digits = 0;
    this.lineBytes = 0;
    this.trailers = null;
    this.raw = false;
  }

  /**
   * Decodes bytes[start, end). Returns the position after the last byte used: end, or less when the message is done,
   * broken (see failed) or the sink said stop. Work is linear in the bytes.
   */
  decode(bytes: Uint8Array, start: number, end: number, sink: ChunkSink): number {
    this.from = start;
    this.to = start;
    let at = start;
    while (at < end) {
      const state = this.state;
      if (state === State.Data) at = this.takeData(bytes, at, end, sink);
      else if (state < State.Data) at = this.takeSizeLine(bytes, at, end, sink);
      else if (state < State.End) at = this.takeDataEnd(bytes, at);
      else if (state < State.Trailers) at = this.takeEnd(bytes, at, sink);
      else if (state === State.Trailers) return this.collectTrailers(bytes, at, end, sink);
      else return at;
      if (at < 0) return ~at;
    }
    if (this.to > this.from) sink.onChunkBytes(bytes, this.from, this.to, false);
    return at;
  }

  // Each of these takes what it can of bytes[at, end) and returns the position after it; ~position to end the call
  // there.

  private takeSizeLine(bytes: Uint8Array, start: number, end: number, sink: ChunkSink): number {
    let at = start;
    while (at < end) {
      const c = bytes[at]!;
      const state = this.state;
      if (state <= State.SizeMore) {
        const digit = hexValue[c]!;
        if (digit !== 255) {
          if (++this.digits > sizeDigitsMax) return this.fail(at);
          this.left = this.left * 16 + digit;
          this.state = State.SizeMore;
          at++;
          continue;
        }
        if (state === State.Size) return this.fail(at);
        if (c === CR) this.state = State.SizeLf;
        else if (c === SEMICOLON) return this.beginExtension(bytes, at, sink);
        else return this.fail(at);
      } else if (state === State.Extension) {
        if (c === CR) {
          this.state = State.SizeLf;
          if (this.raw) this.from = at; // else the data before the extension waits at its own place
        } else if ((kind[c]! & VCHAR) === 0 || ++this.lineBytes > chunkLineBytesMax) return this.fail(at);
      } else {
        if (c !== LF) return this.fail(at);
        at++;
        this.digits = 0;
        this.state = this.left === 0 ? State.End : State.Data;
        if (this.raw) this.to = at;
        return at;
      }
      at++;
    }
    if (this.raw && this.state !== State.Extension) this.to = at;
    return at;
  }

  private beginExtension(bytes: Uint8Array, at: number, sink: ChunkSink): number {
    const { from } = this;
    const to = this.raw ? at : this.to; // raw: with the digits before the semicolon
    const next = at + 1;
    this.state = State.Extension;
    this.lineBytes = 0;
    this.from = next;
    this.to = next;
    return to > from && !sink.onChunkBytes(bytes, from, to, false) ? ~next : next;
  }

  private takeData(bytes: Uint8Array, at: number, end: number, sink: ChunkSink): number {
    if (!this.raw) {
      // A second run of data in this buffer: give out the first.
      if (this.to > this.from && !sink.onChunkBytes(bytes, this.from, this.to, false)) return ~at;
      this.from = at;
    }
    const run = Math.min(this.left, end - at);
    this.left -= run;
    if (this.left === 0) this.state = State.DataCr;
    this.to = at + run;
    return at + run;
  }

  private takeDataEnd(bytes: Uint8Array, at: number): number {
    if (this.state === State.DataCr) {
      if (bytes[at] !== CR) return this.fail(at);
      this.state = State.DataLf;
    } else {
      if (bytes[at] !== LF) return this.fail(at);
      this.state = State.Size;
    }
    if (this.raw) this.to = at + 1;
    return at + 1;
  }

  private takeEnd(bytes: Uint8Array, at: number, sink: ChunkSink): number {
    const next = at + 1;
    if (this.state === State.EndLf) {
      if (bytes[at] !== LF) return this.fail(at);
      this.state = State.Done;
      this.position = next;
      sink.onChunkBytes(bytes, this.from, this.raw ? next : this.to, true);
      return ~next;
    }
    if (bytes[at] === CR) {
      this.state = State.EndLf;
      if (this.raw) this.to = next;
      return next;
    }
    if (this.to > this.from && !sink.onChunkBytes(bytes, this.from, this.to, false)) return ~at;
    this.from = at;
    this.to = at;
    this.state = State.Trailers;
    this.trailers = new HeadBuffer();
    return at;
  }

  private collectTrailers(bytes: Uint8Array, start: number, end: number, sink: ChunkSink): number {
    const buffer = this.trailers!;
    // The section's end must be found exactly: bytes behind it belong to the next message.
    let at = start;
    while (at < end) {
      let lineEnd = bytes.indexOf(LF, at);
      lineEnd = lineEnd < 0 || lineEnd >= end ? end : lineEnd + 1;
      const full = buffer.append(bytes, at, lineEnd, trailerBytesMax);
      at = lineEnd;
      if (!full) continue;
      if (buffer.length > trailerBytesMax) {
        this.state = State.Bad;
        return at;
      }
      this.state = State.Done;
      this.trailers = null;
      this.position = at;
      sink.onChunkTrailers(buffer.bytes, buffer.length);
      return at;
    }
    return at;
  }

  private fail(at: number): number {
    this.state = State.Bad;
    return ~at;
  }
}
