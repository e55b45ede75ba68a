// Socket addresses as the kernel wants them: text to bytes into one shared scratch buffer, and back. No names are
// resolved.

import { networkInterfaces } from "node:os";
import { parseIp } from "../base/ip.ts";
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

/**
 * Encodes an IP literal and port; false when the text is not a literal of either family. "fe80::1%eth0" names a zone.
 */
export function encodeAddress(ip: string, port: number): boolean {
  const percent = ip.indexOf("%");
  const bytes = parseIp(percent < 0 ? ip : ip.slice(0, percent));
  if (bytes === null) return false;
  sockaddr.fill(0, 0, 28);
  sockaddr[2] = port >>> 8;
  sockaddr[3] = port & 0xff;
  if (bytes.length === 4) {
    sockaddr.set(bytes, 4);
    header(AF_INET, 16);
    return percent < 0;
  }
  sockaddr.set(bytes, 8);
  header(AF_INET6, 28);
  if (percent < 0) return true;
  const scope = scopeOf(ip.slice(percent + 1));
  for (let i = 0; i < 4; i++) sockaddr[24 + i] = (scope >>> (8 * i)) & 0xff;
  return scope >= 0;
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

/** Index of the interface a link-local address belongs to: a number or a name; -1 when there is no such interface. */
function scopeOf(zone: string): number {
  if (/^[0-9]{1,9}$/.test(zone)) return Number(zone);
  for (const address of networkInterfaces()[zone] ?? []) {
    if (address.family === "IPv6") return address.scopeid ?? 0;
  }
  return -1;
}
