// Spares loopback connections the pacing of BBR. Where BBR is the system's congestion control, the kernel starts a
// timer for nearly every segment, also towards a program on the same machine, where no network can be congested.
// Measured (1 MB bodies between local programs on a virtual machine): a third of all CPU time went there. Connections
// to other machines keep what the operator has chosen.

import { readFileSync } from "node:fs";
import { libc } from "./libc.ts";
import { isLinux } from "./platform.ts";

const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;

function words(name: string): readonly string[] {
  try {
    return readFileSync(`/proc/sys/net/ipv4/${name}`, "latin1").trim().split(/\s+/);
  } catch {
    return []; // not Linux, or no such file: nothing to change
  }
}

/** What loopback connections should use; null = what they have anyway. */
function chooseUnpaced(): Uint8Array | null {
  if (!isLinux || !words("tcp_congestion_control").some((name) => name.startsWith("bbr"))) return null;
  const allowed = words("tcp_allowed_congestion_control");
  const name = ["cubic", "reno"].find((each) => allowed.includes(each));
  return name === undefined ? null : new TextEncoder().encode(name);
}

const unpaced = chooseUnpaced();

/** True where unpace() has something to do. */
export const pacesLoopback = unpaced !== null;

/** Turns pacing off for a socket whose peer is on this machine. Accepted connections inherit it from their listener. */
export function unpace(fd: number): void {
  if (unpaced !== null) libc?.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, unpaced, unpaced.length);
}
