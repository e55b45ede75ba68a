// Writes the frames of HTTP/2 (RFC 9113 6) into a scratch buffer. The callers keep the rules of sending: it checks
// nothing.

import type { Scratch } from "../../base/bytes.ts";
import { FRAME_HEADER_BYTES, FrameFlag, FrameType, type H2Error, type Setting } from "./frame.ts";
import { putSetting } from "./settings.ts";

/** Writes the 9 bytes of a frame header at `at`, which must be within the buffer. */
function setHeader(bytes: Uint8Array, at: number, length: number, type: FrameType, flags: number, id: number): void {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  setU32(bytes, at + 5, id);
}

function setU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Appends a frame header and room for a payload of that length; returns where the payload begins. */
function putFrame(out: Scratch, length: number, type: FrameType, flags: number, id: number): number {
  out.reserve(FRAME_HEADER_BYTES + length);
  const at = out.length;
  setHeader(out.bytes, at, length, type, flags, id);
  out.length = at + FRAME_HEADER_BYTES + length;
  return at + FRAME_HEADER_BYTES;
}

/** Appends the header of a DATA frame; its `length` bytes follow. */
export function putDataHeader(out: Scratch, streamId: number, length: number, endStream: boolean): void {
  out.reserve(FRAME_HEADER_BYTES);
  setHeader(out.bytes, out.length, length, FrameType.Data, endStream ? FrameFlag.EndStream : 0, streamId);
  out.length += FRAME_HEADER_BYTES;
}

/** Begins a HEADERS frame: the field block is appended next, then endHeaders() is called with what this returns. */
export function beginHeaders(out: Scratch): number {
  out.reserve(FRAME_HEADER_BYTES);
  const at = out.length;
  out.length = at + FRAME_HEADER_BYTES;
  return at;
}

/** Ends the HEADERS frame that begins at `at`. What is longer than a frame goes on in CONTINUATION frames. */
export function endHeaders(
  out: Scratch,
  at: number,
  streamId: number,
  endStream: boolean,
  frameBytesMax: number,
): void {
  const blockStart = at + FRAME_HEADER_BYTES;
  const length = out.length - blockStart;
  const flags = endStream ? FrameFlag.EndStream : 0;
  if (length <= frameBytesMax) {
    setHeader(out.bytes, at, length, FrameType.Headers, flags | FrameFlag.EndHeaders, streamId);
    return;
  }
  // From the last one to the first, each piece moves up by the headers in front of it.
  const pieces = Math.ceil(length / frameBytesMax);
  out.reserve((pieces - 1) * FRAME_HEADER_BYTES);
  const { bytes } = out;
  for (let i = pieces - 1; i >= 0; i--) {
    const from = blockStart + i * frameBytesMax;
    const to = Math.min(from + frameBytesMax, blockStart + length);
    const header = at + i * (frameBytesMax + FRAME_HEADER_BYTES);
    if (i > 0) bytes.copyWithin(header + FRAME_HEADER_BYTES, from, to);
    const type = i === 0 ? FrameType.Headers : FrameType.Continuation;
    const last = i === pieces - 1 ? FrameFlag.EndHeaders : 0;
    setHeader(bytes, header, to - from, type, last | (i === 0 ? flags : 0), streamId);
  }
  out.length += (pieces - 1) * FRAME_HEADER_BYTES;
}

/** Appends a SETTINGS frame. */
export function putSettings(out: Scratch, settings: readonly (readonly [id: Setting, value: number])[]): void {
  const payload = putFrame(out, settings.length * 6, FrameType.Settings, 0, 0);
  out.length = payload;
  for (const [id, value] of settings) putSetting(out, id, value);
}

export function putSettingsAck(out: Scratch): void {
  putFrame(out, 0, FrameType.Settings, FrameFlag.Ack, 0);
}

/** Appends a PING with the eight bytes of payload[start, +8). */
export function putPing(out: Scratch, ack: boolean, payload: Uint8Array, start: number): void {
  const at = putFrame(out, 8, FrameType.Ping, ack ? FrameFlag.Ack : 0, 0);
  for (let i = 0; i < 8; i++) out.bytes[at + i] = payload[start + i]!;
}

/** Appends a GOAWAY; debug = Latin-1 text for whoever looks at the peer's log. */
export function putGoAway(out: Scratch, lastStreamId: number, error: H2Error, debug: string): void {
  const at = putFrame(out, 8 + debug.length, FrameType.GoAway, 0, 0);
  setU32(out.bytes, at, lastStreamId);
  setU32(out.bytes, at + 4, error);
  for (let i = 0; i < debug.length; i++) out.bytes[at + 8 + i] = debug.charCodeAt(i);
}

export function putRstStream(out: Scratch, streamId: number, error: H2Error): void {
  setU32(out.bytes, putFrame(out, 4, FrameType.RstStream, 0, streamId), error);
}

/** streamId 0 = the connection; increment from 1 to 2^31 - 1. */
export function putWindowUpdate(out: Scratch, streamId: number, increment: number): void {
  setU32(out.bytes, putFrame(out, 4, FrameType.WindowUpdate, 0, streamId), increment);
}
