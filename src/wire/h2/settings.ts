// SETTINGS of HTTP/2 (RFC 9113 6.5): the values of one side with their defaults and ranges, decoded and encoded.

import type { Scratch } from "../../base/bytes.ts";
import { FRAME_BYTES_MIN, H2Error, MAX_31, Setting, WINDOW_BYTES_INITIAL } from "./frame.ts";

const frameBytesLargest = 0xff_ffff;
const unlimited = 0xffff_ffff;

/** What one side has told the other, or what holds until it does. */
export class H2Settings {
  headerTableSize = 4096;
  enablePush = true;
  maxConcurrentStreams = unlimited;
  initialWindowSize = WINDOW_BYTES_INITIAL;
  maxFrameSize = FRAME_BYTES_MIN;
  maxHeaderListSize = unlimited;
  enableConnectProtocol = false;
}

/** Who hears of each SETTINGS_HEADER_TABLE_SIZE in turn: an encoder must tell the smallest of several. */
interface TableOwner {
  setPeerTable(bytes: number): void;
}

/**
 * Takes the payload bytes[start, end) of a SETTINGS frame, whose length is a multiple of 6, into `settings`. fromServer
 * = a server has sent it, which may not offer push. Unknown settings are ignored. Returns an error of the connection,
 * or 0.
 */
export function decodeSettings(
  bytes: Uint8Array,
  start: number,
  end: number,
  settings: H2Settings,
  fromServer: boolean,
  encoder: TableOwner,
): H2Error {
  for (let at = start; at + 6 <= end; at += 6) {
    const id = (bytes[at]! << 8) | bytes[at + 1]!;
    const value = ((bytes[at + 2]! << 24) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 8) | bytes[at + 5]!) >>> 0;
    switch (id) {
      case Setting.HeaderTableSize:
        settings.headerTableSize = value;
        encoder.setPeerTable(value);
        break;
      case Setting.EnablePush:
        if (value > 1 || (fromServer && value === 1)) return H2Error.Protocol;
        settings.enablePush = value === 1;
        break;
      case Setting.MaxConcurrentStreams:
        settings.maxConcurrentStreams = value;
        break;
      case Setting.InitialWindowSize:
        if (value > MAX_31) return H2Error.FlowControl;
        settings.initialWindowSize = value;
        break;
      case Setting.MaxFrameSize:
        if (value < FRAME_BYTES_MIN || value > frameBytesLargest) return H2Error.Protocol;
        settings.maxFrameSize = value;
        break;
      case Setting.MaxHeaderListSize:
        settings.maxHeaderListSize = value;
        break;
      case Setting.EnableConnectProtocol:
        // RFC 8441 3: once offered it stays so.
        if (value > 1 || (settings.enableConnectProtocol && value === 0)) return H2Error.Protocol;
        settings.enableConnectProtocol = value === 1;
        break;
      default:
    }
  }
  return H2Error.None;
}

/** Appends one setting to the payload of a SETTINGS frame. */
export function putSetting(out: Scratch, id: Setting, value: number): void {
  out.reserve(6);
  const { bytes } = out;
  const at = out.length;
  bytes[at] = id >> 8;
  bytes[at + 1] = id;
  bytes[at + 2] = value >>> 24;
  bytes[at + 3] = value >>> 16;
  bytes[at + 4] = value >>> 8;
  bytes[at + 5] = value;
  out.length = at + 6;
}
