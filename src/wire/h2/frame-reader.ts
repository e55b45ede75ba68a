// Reads the frames of HTTP/2 (RFC 9113 4 to 6) from bytes as they arrive, whatever pieces they come in. It checks what
// a frame shows by itself and in its place between others: sizes, padding, identifiers, flags, header blocks in one
// piece. What depends on the state of a stream is the codec's business. DATA is given out as spans of what was
// received; other payloads are only copied if they come in pieces. Field blocks are put together, not decoded.

import { copyBytes } from "../../base/bytes.ts";
import { h2ContinuationsMax, h2FrameBytesMax, h2SettingsMax } from "../../base/limits.ts";
import { FRAME_HEADER_BYTES, FrameFlag, FrameType, H2Error, MAX_31 } from "./frame.ts";

/** What take() has come to. */
export const FrameEvent = {
  /** More bytes are needed. */
  None: 0,
  /** A piece of a DATA frame: its span, `begins`, `ends`, and with the first one `overhead`. */
  Data: 1,
  /** A whole field block: its span, endStream, and `error` if the stream is to be reset once it has been decoded. */
  Headers: 2,
  Priority: 3,
  /** value = the error code. */
  RstStream: 4,
  /** The payload's span, of whole settings. */
  Settings: 5,
  SettingsAck: 6,
  /** The payload's span, 8 bytes. */
  Ping: 7,
  PingAck: 8,
  /** value = the last stream identifier, error = any code, the span is debug data. */
  GoAway: 9,
  /** value = the increment; streamId 0 = the connection. */
  WindowUpdate: 10,
  /** A frame of an unknown type, whose payload is passed over. */
  Ignored: 11,
  /** The stream is to be reset with `error`; nothing else is known to be wrong. */
  StreamError: 12,
  /** The connection is to be closed with `error`. Every further call gives the same. */
  ConnectionError: 13,
} as const;
export type FrameEvent = (typeof FrameEvent)[keyof typeof FrameEvent];

const State = {
  Header: 0,
  PadLength: 1, // of a DATA frame
  Data: 2,
  Payload: 3, // any other payload that is wanted whole
  Skip: 4, // padding of DATA, unknown frames
  Failed: 5,
} as const;
type State = (typeof State)[keyof typeof State];

const none = new Uint8Array(0);
const priorityBytes = 5;

export class FrameReader {
  event: FrameEvent = FrameEvent.None;
  streamId = 0;
  /** Payload bytes of the frame, padding included: what flow control counts for DATA. */
  length = 0;
  /** Of a DATA or HEADERS frame. In Data events look at `ends` before you believe that the stream ends. */
  endStream = false;
  /** The span bytes[start, end) of the event; valid until the next take(). */
  bytes: Uint8Array = none;
  start = 0;
  end = 0;
  /** First and last piece of a DATA frame. An empty frame is one piece. */
  begins = false;
  ends = false;
  /** Bytes of the DATA frame that are padding, with its length: counted by flow control, but never given out. */
  overhead = 0;
  value = 0;
  error: number = H2Error.None;
  /** What is wrong, with the section of RFC 9113. */
  reason = "";
  private state: State = State.Header;
  private type = 0;
  private flags = 0;
  /** Bytes of the present state that are still to come. */
  private left = 0;
  private isFirst = false;
  private readonly header = new Uint8Array(FRAME_HEADER_BYTES);
  private headerLength = 0;
  /** A payload that comes in pieces. */
  private payload: Uint8Array | null = null;
  /** The field block that goes on in CONTINUATION frames, its stream, and what its HEADERS frame said. */
  private block: Uint8Array | null = null;
  private blockLength = 0;
  private blockStream = 0;
  private blockEndsStream = false;
  private blockError: H2Error = H2Error.None;
  private continuations = 0;
  private hasSettings = false;
  private readonly blockBytesMax: number;

  /**
   * blockBytesMax = the largest field block, as it comes. A larger one ends the connection: it cannot be passed over.
   */
  constructor(blockBytesMax: number) {
    this.blockBytesMax = blockBytesMax;
  }

  /** True between two frames, with no field block begun: what a connection may end with. */
  get isBetweenFrames(): boolean {
    return this.state === State.Header && this.headerLength === 0 && this.blockStream === 0;
  }

  /**
   * Takes bytes[from, end) up to the next event and returns the position after what was used. Without an event that is
   * `end`. Work is linear in the bytes.
   */
  take(bytes: Uint8Array, from: number, end: number): number {
    this.event = FrameEvent.None;
    let at = from;
    for (;;) {
      // An empty payload is whole without another byte; the other states end before nothing is left.
      if (at === end && (this.state !== State.Payload || this.left > 0) && this.state !== State.Failed) return at;
      switch (this.state) {
        case State.Header:
          at = this.takeHeader(bytes, at, end);
          break;
        case State.PadLength:
          this.takePadLength(bytes[at++]!);
          break;
        case State.Data:
          at = this.takeData(bytes, at, end);
          break;
        case State.Payload:
          at = this.takePayload(bytes, at, end);
          break;
        case State.Skip:
          at = this.skip(at, end);
          break;
        default:
          this.event = FrameEvent.ConnectionError;
          return end;
      }
      if (this.event !== FrameEvent.None) return at;
    }
  }

  private takeHeader(bytes: Uint8Array, from: number, end: number): number {
    if (this.headerLength === 0 && end - from >= FRAME_HEADER_BYTES) {
      this.beginFrame(bytes, from);
      return from + FRAME_HEADER_BYTES;
    }
    const { header } = this;
    let at = from;
    while (at < end && this.headerLength < FRAME_HEADER_BYTES) header[this.headerLength++] = bytes[at++]!;
    if (this.headerLength === FRAME_HEADER_BYTES) {
      this.headerLength = 0;
      this.beginFrame(header, 0);
    }
    return at;
  }

  private beginFrame(header: Uint8Array, at: number): void {
    const length = (header[at]! << 16) | (header[at + 1]! << 8) | header[at + 2]!;
    const type = header[at + 3]!;
    const flags = header[at + 4]!;
    this.length = length;
    this.type = type;
    this.flags = flags;
    this.streamId = u31(header, at + 5);
    this.left = length;
    this.error = H2Error.None;
    if (length > h2FrameBytesMax) return this.fail(H2Error.FrameSize, "a frame larger than allowed (4.2)");
    if (!this.hasSettings) {
      if (type !== FrameType.Settings || (flags & FrameFlag.Ack) !== 0) {
        return this.fail(H2Error.Protocol, "the first frame is not SETTINGS (3.4)");
      }
      this.hasSettings = true;
    }
    if (this.blockStream !== 0 && (type !== FrameType.Continuation || this.streamId !== this.blockStream)) {
      return this.fail(H2Error.Protocol, "another frame within a field block (4.3)");
    }
    if (type === FrameType.Data) return this.beginData();
    if (type > FrameType.Continuation) {
      this.event = FrameEvent.Ignored;
      this.beginSkip(length);
      return;
    }
    const wrong = this.checkPlace();
    if (wrong !== "") return this.fail(H2Error.Protocol, wrong);
    this.checkLength();
  }

  /** What is wrong with a frame where it stands, or "". */
  private checkPlace(): string {
    const { streamId } = this;
    switch (this.type) {
      case FrameType.Headers:
      case FrameType.RstStream:
        if (streamId === 0) return "a frame of a stream on stream 0 (6.2, 6.4)";
        return isPushed(streamId) ? "a frame of a stream that nobody has opened (5.1)" : "";
      case FrameType.Priority:
        return streamId === 0 ? "PRIORITY on stream 0 (6.3)" : "";
      case FrameType.WindowUpdate:
        return isPushed(streamId) ? "a frame of a stream that nobody has opened (5.1)" : "";
      case FrameType.Settings:
      case FrameType.Ping:
      case FrameType.GoAway:
        return streamId === 0 ? "" : "a frame of the connection on a stream (6.5, 6.7, 6.8)";
      case FrameType.Continuation:
        return this.blockStream === 0 ? "CONTINUATION without HEADERS (6.10)" : "";
      default:
        return "PUSH_PROMISE, which nobody has allowed (6.6)";
    }
  }

  /** Finds a wrong length of a frame other than DATA, or begins to take the payload. */
  private checkLength(): void {
    const { length, type, flags } = this;
    let fits = true;
    if (type === FrameType.RstStream || type === FrameType.WindowUpdate) fits = length === 4;
    else if (type === FrameType.Ping) fits = length === 8;
    else if (type === FrameType.GoAway) fits = length >= 8;
    else if (type === FrameType.Settings) {
      fits = (flags & FrameFlag.Ack) !== 0 ? length === 0 : length % 6 === 0;
      if (length > h2SettingsMax * 6) return this.fail(H2Error.EnhanceYourCalm, "too many settings (10.5)");
    } else if (type === FrameType.Headers) fits = length >= headersBytesMin(flags);
    else if (type === FrameType.Continuation) return this.beginContinuation();
    else if (length !== priorityBytes) {
      this.failStream(H2Error.FrameSize, "PRIORITY of a wrong length (6.3)");
      this.beginSkip(length);
      return;
    }
    if (!fits) return this.fail(H2Error.FrameSize, "a frame of a wrong length (4.2)");
    this.state = State.Payload;
  }

  private beginContinuation(): void {
    if (++this.continuations > h2ContinuationsMax) {
      return this.fail(H2Error.EnhanceYourCalm, "too many CONTINUATION frames (10.5.1)");
    }
    this.state = State.Payload;
  }

  private beginData(): void {
    const { flags, length, streamId } = this;
    if (streamId === 0) return this.fail(H2Error.Protocol, "DATA on stream 0 (6.1)");
    if (isPushed(streamId)) return this.fail(H2Error.Protocol, "DATA on a stream that nobody has opened (5.1)");
    this.endStream = (flags & FrameFlag.EndStream) !== 0;
    this.overhead = 0;
    this.isFirst = true;
    if ((flags & FrameFlag.Padded) !== 0) {
      if (length === 0) return this.fail(H2Error.FrameSize, "padded DATA without a padding length (6.1)");
      this.state = State.PadLength;
    } else this.beginContent(length);
  }

  private takePadLength(padding: number): void {
    if (padding >= this.length) return this.fail(H2Error.Protocol, "more padding than payload (6.1)");
    this.overhead = padding + 1;
    this.beginContent(this.length - this.overhead);
  }

  /** The content of a DATA frame follows; if there is none, that is an event by itself. */
  private beginContent(length: number): void {
    this.left = length;
    this.state = State.Data;
    if (length === 0) this.takeData(none, 0, 0);
  }

  private takeData(bytes: Uint8Array, at: number, end: number): number {
    const take = Math.min(this.left, end - at);
    this.left -= take;
    this.give(FrameEvent.Data, bytes, at, at + take);
    this.begins = this.isFirst;
    this.isFirst = false;
    this.ends = this.left === 0;
    if (this.ends) this.beginSkip(this.overhead - 1);
    return at + take;
  }

  private beginSkip(length: number): void {
    this.left = length;
    this.state = length > 0 ? State.Skip : State.Header;
  }

  private skip(at: number, end: number): number {
    const take = Math.min(this.left, end - at);
    this.beginSkip(this.left - take);
    return at + take;
  }

  private takePayload(bytes: Uint8Array, at: number, end: number): number {
    const take = Math.min(this.left, end - at);
    const { length } = this;
    this.left -= take;
    if (take === length) {
      this.state = State.Header;
      this.endPayload(bytes, at, at + take);
      return at + take;
    }
    const payload = (this.payload ??= new Uint8Array(length));
    copyBytes(payload, length - this.left - take, bytes, at, at + take);
    if (this.left === 0) {
      this.payload = null;
      this.state = State.Header;
      this.endPayload(payload, 0, length);
    }
    return at + take;
  }

  /** The payload of a frame other than DATA is whole. */
  private endPayload(bytes: Uint8Array, start: number, end: number): void {
    const acks = (this.flags & FrameFlag.Ack) !== 0;
    switch (this.type) {
      case FrameType.Headers:
        return this.takeHeaders(bytes, start, end);
      case FrameType.Continuation:
        return this.takeContinuation(bytes, start, end);
      case FrameType.Priority:
        // Nothing in RFC 9113 any more, but RFC 7540 5.3.1 demanded it, and it can only be a mistake.
        if (u31(bytes, start) === this.streamId) return this.failStream(H2Error.Protocol, "a stream depends on itself");
        return this.give(FrameEvent.Priority, bytes, start, end);
      case FrameType.RstStream:
        this.value = u32(bytes, start);
        return this.give(FrameEvent.RstStream, bytes, start, end);
      case FrameType.Settings:
        return this.give(acks ? FrameEvent.SettingsAck : FrameEvent.Settings, bytes, start, end);
      case FrameType.Ping:
        return this.give(acks ? FrameEvent.PingAck : FrameEvent.Ping, bytes, start, end);
      case FrameType.GoAway:
        this.value = u31(bytes, start);
        this.error = u32(bytes, start + 4);
        return this.give(FrameEvent.GoAway, bytes, start + 8, end);
      default:
        return this.takeWindowUpdate(bytes, start, end);
    }
  }

  private takeWindowUpdate(bytes: Uint8Array, start: number, end: number): void {
    this.value = u31(bytes, start);
    if (this.value > 0) this.give(FrameEvent.WindowUpdate, bytes, start, end);
    else if (this.streamId === 0) this.fail(H2Error.Protocol, "WINDOW_UPDATE by nothing (6.9)");
    else this.failStream(H2Error.Protocol, "WINDOW_UPDATE by nothing (6.9)");
  }

  private takeHeaders(bytes: Uint8Array, from: number, to: number): void {
    const { flags } = this;
    let start = from;
    let end = to;
    if ((flags & FrameFlag.Padded) !== 0) end -= bytes[start++]!;
    let error: H2Error = H2Error.None;
    if ((flags & FrameFlag.Priority) !== 0) {
      if (u31(bytes, start) === this.streamId) {
        error = H2Error.Protocol;
        this.reason = "a stream depends on itself";
      }
      start += priorityBytes;
    }
    if (end < start) return this.fail(H2Error.Protocol, "more padding than payload (6.2)");
    if (end - start > this.blockBytesMax) return this.failLength();
    const endStream = (flags & FrameFlag.EndStream) !== 0;
    if ((flags & FrameFlag.EndHeaders) !== 0) return this.giveHeaders(bytes, start, end, endStream, error);
    this.blockStream = this.streamId;
    this.blockEndsStream = endStream;
    this.blockError = error;
    this.blockLength = 0;
    this.continuations = 0;
    this.appendBlock(bytes, start, end);
  }

  private takeContinuation(bytes: Uint8Array, start: number, end: number): void {
    if (this.blockLength + end - start > this.blockBytesMax) return this.failLength();
    this.appendBlock(bytes, start, end);
    if ((this.flags & FrameFlag.EndHeaders) === 0) return;
    const block = this.block ?? none;
    this.block = null;
    this.blockStream = 0;
    this.giveHeaders(block, 0, this.blockLength, this.blockEndsStream, this.blockError);
  }

  private appendBlock(bytes: Uint8Array, start: number, end: number): void {
    const length = this.blockLength + end - start;
    const old = this.block;
    if (old === null || length > old.length) {
      this.block = new Uint8Array(Math.min(this.blockBytesMax, length * 2));
      if (old !== null) copyBytes(this.block, 0, old, 0, this.blockLength);
    }
    copyBytes(this.block!, this.blockLength, bytes, start, end);
    this.blockLength = length;
  }

  private giveHeaders(bytes: Uint8Array, start: number, end: number, endStream: boolean, error: H2Error): void {
    this.endStream = endStream;
    this.error = error;
    this.give(FrameEvent.Headers, bytes, start, end);
  }

  private give(event: FrameEvent, bytes: Uint8Array, start: number, end: number): void {
    this.event = event;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  private failLength(): void {
    this.fail(H2Error.EnhanceYourCalm, "a field block larger than allowed (10.5.1)");
  }

  private failStream(error: H2Error, reason: string): void {
    this.event = FrameEvent.StreamError;
    this.error = error;
    this.reason = reason;
  }

  private fail(error: H2Error, reason: string): void {
    this.event = FrameEvent.ConnectionError;
    this.error = error;
    this.reason = reason;
    this.state = State.Failed;
    this.payload = null;
    this.block = null;
  }
}

/** Even identifiers are for streams that servers push (5.1.1), which nobody here allows. */
function isPushed(streamId: number): boolean {
  return streamId !== 0 && (streamId & 1) === 0;
}

/** What must at least be in a HEADERS frame with these flags. */
function headersBytesMin(flags: number): number {
  return ((flags & FrameFlag.Padded) !== 0 ? 1 : 0) + ((flags & FrameFlag.Priority) !== 0 ? priorityBytes : 0);
}

/** The reserved bit is ignored (4.1). */
function u31(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) & MAX_31;
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
