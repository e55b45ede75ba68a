// Socket addresses as the kernel wants them: text to bytes into one shared scratch buffer, and back. No names are resolved.

import { networkInterfaces } from "node:os";
import { isLinux, platform } from "./platform.ts";

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = platform.afInet6;
export const SOCK_STREAM = 1;

/** Longest path of a unix socket in bytes, the closing zero not counted. */
export const unixPathBytesMax = isLinux ? 107 : 103;

/** Filled by encodeAddress and encodeUnixAddress; valid until the next of either. */
export const sockaddr = new Uint8Array(128);
/** Address family and length in bytes of what is in `sockaddr`. */
export const encoded = { family: 0, length: 0 };

const groups = new Uint16Array(8);

function header(family: number, length: number): void {
  encoded.family = family;
  encoded.length = length;
  if (platform.sockaddrHasLength) {
    sockaddr[0] = length;
    sockaddr[1] = family;
  } else {
    sockaddr[0] = family; // little-endian sa_family_t
    sockaddr[1] = 0;
  }
}

/** Encodes an IP literal and port; false when the text is not a literal of either family. */
export function encodeAddress(ip: string, port: number): boolean {
  sockaddr[2] = port >>> 8;
  sockaddr[3] = port & 0xff;
  if (parseIpv4(ip, 4)) {
    sockaddr.fill(0, 8, 16);
    header(AF_INET, 16);
    return true;
  }
  const percent = ip.indexOf("%");
  if (!parseIpv6(percent < 0 ? ip : ip.slice(0, percent))) return false;
  sockaddr.fill(0, 4, 8); // flow information
  for (let i = 0; i < 8; i++) {
    sockaddr[8 + 2 * i] = groups[i]! >>> 8;
    sockaddr[9 + 2 * i] = groups[i]! & 0xff;
  }
  const scope = percent < 0 ? 0 : scopeOf(ip.slice(percent + 1));
  if (scope < 0) return false;
  for (let i = 0; i < 4; i++) sockaddr[24 + i] = (scope >>> (8 * i)) & 0xff;
  header(AF_INET6, 28);
  return true;
}

/** Encodes a unix socket path ("\0name" is abstract); false when it is empty or too long. */
export function encodeUnixAddress(path: string): boolean {
  const bytes = Buffer.from(path, "utf8");
  const abstract = path.charCodeAt(0) === 0;
  if (bytes.length === 0 || bytes.length > unixPathBytesMax || (abstract && !isLinux)) return false;
  sockaddr.fill(0);
  sockaddr.set(bytes, 2);
  header(AF_UNIX, 2 + bytes.length + (abstract ? 0 : 1));
  return true;
}

/** The port in `sockaddr` after getsockname(). */
export function decodePort(): number {
  const family = platform.sockaddrHasLength ? sockaddr[1]! : sockaddr[0]!;
  return family === AF_INET || family === AF_INET6 ? (sockaddr[2]! << 8) | sockaddr[3]! : 0;
}

/** Dotted quad without leading zeros into sockaddr[at, at + 4). */
function parseIpv4(text: string, at: number): boolean {
  let value = -1;
  let digits = 0;
  let count = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) : 0x2e;
    if (c === 0x2e) {
      if (value < 0 || count === 4) return false;
      sockaddr[at + count++] = value;
      value = -1;
      digits = 0;
    } else if (c >= 0x30 && c <= 0x39) {
      if (digits > 0 && value === 0) return false;
      value = (value < 0 ? 0 : value * 10) + c - 0x30;
      digits++;
      if (value > 255) return false;
    } else {
      return false;
    }
  }
  return count === 4;
}

/** RFC 4291 2.2 text into `groups`; accepts a dotted quad as the last 32 bits. */
function parseIpv6(text: string): boolean {
  let rest = text;
  const lastColon = text.lastIndexOf(":");
  if (lastColon < 0) return false;
  if (text.includes(".")) {
    if (!parseIpv4(text.slice(lastColon + 1), 4)) return false;
    const high = ((sockaddr[4]! << 8) | sockaddr[5]!).toString(16);
    const low = ((sockaddr[6]! << 8) | sockaddr[7]!).toString(16);
    rest = `${text.slice(0, lastColon + 1)}${high}:${low}`;
  }
  const halves = rest.split("::");
  if (halves.length > 2) return false;
  const head = halves[0] === "" ? [] : halves[0]!.split(":");
  const tail = halves.length < 2 || halves[1] === "" ? [] : halves[1]!.split(":");
  const given = head.length + tail.length;
  if (halves.length === 1 ? given !== 8 : given > 7) return false;
  groups.fill(0);
  return fillGroups(head, 0) && fillGroups(tail, 8 - tail.length);
}

function fillGroups(parts: readonly string[], at: number): boolean {
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return false;
    groups[at + i] = Number.parseInt(part, 16);
  }
  return true;
}

/** Index of the interface a link-local address belongs to: a number or a name; -1 when there is no such interface. */
function scopeOf(zone: string): number {
  if (/^[0-9]{1,9}$/.test(zone)) return Number(zone);
  for (const address of networkInterfaces()[zone] ?? []) {
    if (address.family === "IPv6") return address.scopeid ?? 0;
  }
  return -1;
}
