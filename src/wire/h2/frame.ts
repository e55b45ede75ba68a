// The numbers of HTTP/2 framing (RFC 9113 4, 6, 7): frame types, flags, error codes, settings, and the preface.

import { latin1 } from "../h1/tables.ts";

export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  RstStream: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  GoAway: 7,
  WindowUpdate: 8,
  Continuation: 9,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** EndStream and Ack are the same bit, of different frames. */
export const FrameFlag = { EndStream: 1, Ack: 1, EndHeaders: 4, Padded: 8, Priority: 0x20 } as const;

/** RFC 9113 7 */
export const H2Error = {
  None: 0,
  Protocol: 1,
  Internal: 2,
  FlowControl: 3,
  SettingsTimeout: 4,
  StreamClosed: 5,
  FrameSize: 6,
  RefusedStream: 7,
  Cancel: 8,
  Compression: 9,
  Connect: 10,
  EnhanceYourCalm: 11,
  InadequateSecurity: 12,
  Http11Required: 13,
} as const;
export type H2Error = (typeof H2Error)[keyof typeof H2Error];

const errorNames: readonly string[] = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

/** The name of an error code for logs; a peer may send any number. */
export function h2ErrorName(code: number): string {
  return errorNames[code] ?? `0x${code.toString(16)}`;
}

/** RFC 9113 6.5.2, RFC 8441 3 */
export const Setting = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
  EnableConnectProtocol: 8,
} as const;
export type Setting = (typeof Setting)[keyof typeof Setting];

export const FRAME_HEADER_BYTES = 9;
/** The largest flow-control window, stream identifier and window increment. */
export const MAX_31 = 0x7fff_ffff;
/** Every peer takes frames of this size (SETTINGS_MAX_FRAME_SIZE). */
export const FRAME_BYTES_MIN = 16_384;
/** The window of a stream and of the connection before anything was said (RFC 9113 6.9.2). */
export const WINDOW_BYTES_INITIAL = 65_535;

/** What a client's connection begins with (RFC 9113 3.4). */
export const clientPreface = latin1("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Compares bytes[start, end) with the client's preface, of which `matched` bytes have been seen before. Returns how
 * many have been seen now, clientPreface.length when it is whole, or -1 at the first other byte.
 */
export function matchPreface(bytes: Uint8Array, start: number, end: number, matched: number): number {
  const take = Math.min(end - start, clientPreface.length - matched);
  for (let i = 0; i < take; i++) if (bytes[start + i] !== clientPreface[matched + i]) return -1;
  return matched + take;
}
