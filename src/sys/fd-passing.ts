// Hands open descriptors from one process to another over a pair of unix sockets (SCM_RIGHTS, unix(7)): how a worker
// gets its listening sockets. Each message is one descriptor and a number that says which it is. The receiver is told
// over IPC that something was sent, and then fetches it here.

import { closeFd, libc, requireLibc } from "./libc.ts";
import type { Libc } from "./libc.ts";
import { errorName, isLinux, platform } from "./platform.ts";
import { ptr } from "bun:ffi";
import { AF_UNIX } from "./sockaddr.ts";
import { sleep } from "./timers.ts";

export interface Channel {
  /** The end that stays here. */
  readonly nearFd: number;
  /** The end to give to the other process; close it here once that has started. */
  readonly farFd: number;
}

export interface ReceivedFd {
  readonly fd: number;
  /** The number given to sendFd. */
  readonly tag: number;
}

const SOCK_DGRAM = 2;
const SOCK_SEQPACKET = 5;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = isLinux ? 8 : 0x20;
const F_SETFD = 2;
const retryMs = 2;

/** A connected pair of sockets that keeps messages apart. Throws. */
export function createChannel(): Channel {
  const c = requireLibc("passing descriptors");
  const fds = new Int32Array(2);
  const type = isLinux ? SOCK_SEQPACKET : SOCK_DGRAM;
  if (c.socketpair(AF_UNIX, type | platform.sockCloexec, 0, fds) !== 0) {
    throw new Error(`cannot create a socket pair: ${errorName(c.errno())}`);
  }
  return { nearFd: fds[0]!, farFd: fds[1]! };
}

// One message, reused: msghdr -> iovec -> tag, and msghdr -> cmsghdr with one descriptor. All lengths for 64-bit
// systems.
const tagBytes = new Uint32Array(1);
const iovec = new BigUint64Array(2);
const header = new DataView(new ArrayBuffer(56));
const headerBytes = new Uint8Array(header.buffer);
const cmsgHeaderBytes = isLinux ? 16 : 12;
const cmsgBytes = isLinux ? 24 : 16; // CMSG_SPACE(4)
const cmsg = new DataView(new ArrayBuffer(24));
const flagsAt = isLinux ? 48 : 44;

function prepare(): void {
  iovec[0] = BigInt(ptr(tagBytes));
  iovec[1] = 4n;
  headerBytes.fill(0);
  header.setBigUint64(16, BigInt(ptr(iovec)), true);
  header.setUint32(24, 1, true);
  header.setBigUint64(32, BigInt(ptr(cmsg)), true);
  header.setUint32(40, cmsgBytes, true);
}

function setControl(fd: number): void {
  const length = cmsgHeaderBytes + 4;
  if (isLinux) cmsg.setBigUint64(0, BigInt(length), true);
  else cmsg.setUint32(0, length, true);
  cmsg.setUint32(cmsgHeaderBytes - 8, platform.solSocket, true);
  cmsg.setUint32(cmsgHeaderBytes - 4, SCM_RIGHTS, true);
  cmsg.setInt32(cmsgHeaderBytes, fd, true);
}

/**
 * Sends a descriptor, which stays open here. False when the channel is full for the moment. Throws when it is broken.
 */
export function trySendFd(channelFd: number, fd: number, tag: number): boolean {
  const c = requireLibc("passing descriptors");
  prepare();
  tagBytes[0] = tag;
  setControl(fd);
  if (c.sendmsg(channelFd, headerBytes, platform.msgDontWait) === 4) return true;
  const code = errorName(c.errno());
  if (code === "EAGAIN" || code === "ENOBUFS" || code === "EINTR") return false;
  throw new Error(`cannot send descriptor ${fd} over channel ${channelFd}: ${code}`);
}

/** The next descriptor, or null when none waits. Throws when the channel is broken or closed at the other end. */
export function tryReceiveFd(channelFd: number): ReceivedFd | null {
  const c = requireLibc("passing descriptors");
  prepare();
  cmsg.setInt32(cmsgHeaderBytes, -1, true);
  const length = c.recvmsg(channelFd, headerBytes, platform.msgDontWait | platform.msgCmsgCloexec);
  if (length < 0) return nothingOrThrow(c, channelFd);
  if (length === 0) throw new Error(`channel ${channelFd} was closed at the other end`);
  const fd = cmsg.getInt32(cmsgHeaderBytes, true);
  const lost = header.getUint32(40, true) < cmsgHeaderBytes + 4 || (header.getUint32(flagsAt, true) & MSG_CTRUNC) !== 0;
  if (lost || fd < 0) {
    throw new Error(`a descriptor sent over channel ${channelFd} was lost: the limit of open files is reached`);
  }
  if (platform.msgCmsgCloexec === 0) c.fcntl(fd, F_SETFD, 1);
  return { fd, tag: tagBytes[0]! };
}

function nothingOrThrow(c: Libc, channelFd: number): null {
  const code = errorName(c.errno());
  if (code === "EAGAIN" || code === "EINTR") return null;
  throw new Error(`cannot receive a descriptor over channel ${channelFd}: ${code}`);
}

/** trySendFd until there is room, for at most deadlineMs. */
export async function sendFd(channelFd: number, fd: number, tag: number, deadlineMs = 5000): Promise<void> {
  for (const end = performance.now() + deadlineMs; !trySendFd(channelFd, fd, tag);) {
    if (performance.now() > end) throw new Error(`nobody takes descriptors from channel ${channelFd}`);
    await sleep(retryMs);
  }
}

/** The next descriptor, waited for at most deadlineMs. It is closed on exec and owned by the caller. */
export async function receiveFd(channelFd: number, deadlineMs = 5000): Promise<ReceivedFd> {
  for (const end = performance.now() + deadlineMs; ;) {
    const received = tryReceiveFd(channelFd);
    if (received !== null) return received;
    if (performance.now() > end) throw new Error(`no descriptor came over channel ${channelFd} in ${deadlineMs} ms`);
    await sleep(retryMs);
  }
}

/** Closes both ends in this process. */
export function closeChannel(channel: Channel): void {
  if (libc === null) return;
  closeFd(channel.nearFd);
  closeFd(channel.farFd);
}
