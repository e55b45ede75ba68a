// The C library by FFI: what Bun itself has no call for. A call costs 0.2 to 0.4 µs. `libc` is null where the library
// or one of its symbols is missing (an unknown libc, FFI forbidden): callers then do without, or say clearly what is
// not possible. Calls return -1 on failure; errno() must be read at once.

import { dlopen, read } from "bun:ffi";
import type { Pointer } from "bun:ffi";
import { platform } from "./platform.ts";

const int = "i32" as const;
const ptr = "ptr" as const;
// fcntl is variadic. Where variadic arguments go on the stack (Apple's arm64), six unused ones push the value there.
const stackVariadic = process.platform === "darwin" && process.arch === "arm64";

// ssize_t results are read as 32 bits: every message here is a few bytes long.
const fcntlArgs: readonly ("i32" | "i64")[] = stackVariadic
  ? [int, int, "i64", "i64", "i64", "i64", "i64", "i64", "i64"]
  : [int, int, int];

const symbols = {
  socket: { args: [int, int, int], returns: int },
  connect: { args: [int, ptr, "u32"], returns: int },
  bind: { args: [int, ptr, "u32"], returns: int },
  listen: { args: [int, int], returns: int },
  setsockopt: { args: [int, int, int, ptr, "u32"], returns: int },
  getsockopt: { args: [int, int, int, ptr, ptr], returns: int },
  getsockname: { args: [int, ptr, ptr], returns: int },
  socketpair: { args: [int, int, int, ptr], returns: int },
  sendmsg: { args: [int, ptr, int], returns: int },
  recvmsg: { args: [int, ptr, int], returns: int },
  close: { args: [int], returns: int },
  dup: { args: [int], returns: int },
  fcntl: { args: fcntlArgs, returns: int },
  recv: { args: [int, ptr, "u64", int], returns: int },
  ioctl: { args: [int, "u64", ptr], returns: int },
  clock_gettime: { args: [int, ptr], returns: int },
  getrlimit: { args: [int, ptr], returns: int },
  setrlimit: { args: [int, ptr], returns: int },
  setgid: { args: ["u32"], returns: int },
  setuid: { args: ["u32"], returns: int },
  setgroups: { args: ["u64", ptr], returns: int },
  ftruncate: { args: [int, "i64"], returns: int },
  poll: { args: [ptr, "u64", int], returns: int },
} as const;

/** Absent on some systems, one by one; null when missing. */
const optionalSymbols = {
  memfd_create: { args: [ptr, "u32"], returns: int },
} as const;

type Calls = Omit<Libc, "errno" | "memfd_create">;
type Bytes = Uint8Array | Int32Array | Uint32Array | BigUint64Array | BigInt64Array;

/** The calls, with views instead of pointers. The memory must stay reachable for the length of the call only. */
export interface Libc {
  socket(family: number, type: number, protocol: number): number;
  connect(fd: number, address: Bytes, length: number): number;
  bind(fd: number, address: Bytes, length: number): number;
  listen(fd: number, backlog: number): number;
  setsockopt(fd: number, level: number, option: number, value: Bytes, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Bytes, length: Bytes): number;
  getsockname(fd: number, address: Bytes, length: Bytes): number;
  socketpair(family: number, type: number, protocol: number, fds: Int32Array): number;
  sendmsg(fd: number, message: Bytes, flags: number): number;
  recvmsg(fd: number, message: Bytes, flags: number): number;
  close(fd: number): number;
  dup(fd: number): number;
  fcntl(fd: number, command: number, value: number): number;
  recv(fd: number, into: Bytes, length: number, flags: number): number;
  /** Only for requests whose argument is a pointer. */
  ioctl(fd: number, request: number, argument: Int32Array): number;
  clock_gettime(clock: number, timespec: BigInt64Array): number;
  getrlimit(resource: number, limit: BigUint64Array): number;
  setrlimit(resource: number, limit: BigUint64Array): number;
  setgid(gid: number): number;
  setuid(uid: number): number;
  setgroups(count: number, gids: Uint32Array): number;
  ftruncate(fd: number, length: number): number;
  poll(fds: Bytes, count: number, timeoutMs: number): number;
  /** An anonymous file that lives as long as somebody has it open. Null where the system has none. */
  readonly memfd_create: ((name: Bytes, flags: number) => number) | null;
  /** The error number of the last failed call of this thread. */
  errno(): number;
}

function load(): Libc | null {
  for (const name of platform.libraries) {
    try {
      const calls = dlopen(name, symbols).symbols as unknown as Calls;
      const errnoCall = dlopen(name, { [platform.errnoSymbol]: { args: [], returns: ptr } }).symbols;
      const address = errnoCall[platform.errnoSymbol]!() as Pointer | null; // thread-local: constant on this thread
      if (address === null) continue;
      return wrap(calls, address, memfdCreate(name));
    } catch {
      // Not this name; the next one, or none.
    }
  }
  return null;
}

function memfdCreate(library: string): Libc["memfd_create"] {
  try {
    return dlopen(library, optionalSymbols).symbols.memfd_create as Libc["memfd_create"];
  } catch {
    return null;
  }
}

function wrap(calls: Calls, errnoAddress: Pointer, memfd: Libc["memfd_create"]): Libc {
  const raw = calls.fcntl as unknown as (...args: number[]) => number;
  const fcntl = stackVariadic
    ? (fd: number, command: number, value: number): number => raw(fd, command, 0, 0, 0, 0, 0, 0, value)
    : calls.fcntl;
  return {
    ...calls,
    fcntl,
    memfd_create: memfd,
    errno: () => read.i32(errnoAddress, 0),
  };
}

export const libc: Libc | null = load();

/** libc, or an error that names what cannot be done without it. */
export function requireLibc(purpose: string): Libc {
  if (libc === null) {
    throw new Error(
      `${purpose} needs the C library, which could not be loaded (tried ${platform.libraries.join(", ")})`,
    );
  }
  return libc;
}

const option = new Int32Array(1);
const optionLength = new Uint32Array(1);

/** Sets an integer socket option; false when the kernel refused. */
export function setIntOption(fd: number, level: number, name: number, value: number): boolean {
  option[0] = value;
  return libc !== null && libc.setsockopt(fd, level, name, option, 4) === 0;
}

/** Reads an integer socket option; null when the kernel refused. */
export function getIntOption(fd: number, level: number, name: number): number | null {
  if (libc === null) return null;
  optionLength[0] = 4;
  return libc.getsockopt(fd, level, name, option, optionLength) === 0 ? option[0]! : null;
}

const F_DUPFD_CLOEXEC = process.platform === "darwin" ? 67 : 1030;
const F_SETFD = 2;
const F_SETFL = 4;

/** Closes a descriptor; an already closed one is no error. */
export function closeFd(fd: number): void {
  libc?.close(fd);
}

/** A second descriptor for the same open file, closed on exec. -1 when out of descriptors. */
export function dupFd(fd: number): number {
  return libc === null ? -1 : libc.fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/** Linux's ioctl for the bytes in a socket's send queue; 0 = none such here. */
const SIOCOUTQ = process.platform === "linux" ? 0x5411 : 0;
const outQueue = new Int32Array(1);

/** Accepted bytes that the peer has not acknowledged; -1 = not known. */
export function unsentBytes(fd: number): number {
  return libc === null || SIOCOUTQ === 0 || libc.ioctl(fd, SIOCOUTQ, outQueue) < 0 ? -1 : outQueue[0]!;
}

const pollFd = new Int32Array(2);
const POLLOUT = 4;

/** Would a small write be taken at once? False where that cannot be asked. */
export function isWritable(fd: number): boolean {
  pollFd[0] = fd;
  pollFd[1] = POLLOUT; // events; revents above it is zero
  return libc !== null && libc.poll(pollFd, 1, 0) === 1 && pollFd[1]! >>> 16 === POLLOUT;
}

/** socket(), non-blocking and closed on exec on every platform. -1 on failure, with errno set. */
export function openSocket(c: Libc, family: number, type: number): number {
  const fd = c.socket(family, type | platform.sockNonblock | platform.sockCloexec, 0);
  if (fd >= 0 && platform.sockNonblock === 0) {
    c.fcntl(fd, F_SETFL, platform.oNonblock);
    c.fcntl(fd, F_SETFD, 1);
  }
  return fd;
}
