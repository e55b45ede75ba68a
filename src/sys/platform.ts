// Numbers of the C library and kernel that differ between Linux and macOS. Linux is the platform that is tested;
// macOS is kept for development.

/** Everything a system call here needs to know about the platform. */
export interface Platform {
  /** Shared library names to try, in this order. */
  readonly libraries: readonly string[];
  /** Name of the function that returns the address of errno. */
  readonly errnoSymbol: string;
  /** sockaddr begins with a length byte. */
  readonly sockaddrHasLength: boolean;
  /** msghdr and cmsghdr carry 32-bit lengths. */
  readonly shortMessageHeader: boolean;
  readonly clockMonotonic: number;
  readonly afInet6: number;
  /** Flags for socket(); 0 where they must be set by fcntl. */
  readonly sockNonblock: number;
  readonly sockCloexec: number;
  readonly oNonblock: number;
  readonly solSocket: number;
  readonly soReuseAddr: number;
  readonly soReusePort: number;
  readonly soError: number;
  readonly soKeepAlive: number;
  readonly tcpKeepIdle: number;
  readonly tcpKeepInterval: number;
  readonly tcpKeepCount: number;
  readonly ipv6V6Only: number;
  readonly msgDontWait: number;
  /** recvmsg: close-on-exec for received descriptors; 0 where unknown. */
  readonly msgCmsgCloexec: number;
  readonly rlimitNofile: number;
  readonly errors: Readonly<Record<number, string>>;
}

const linux: Platform = {
  libraries: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"],
  errnoSymbol: "__errno_location",
  sockaddrHasLength: false,
  shortMessageHeader: false,
  clockMonotonic: 1,
  afInet6: 10,
  sockNonblock: 0x800,
  sockCloexec: 0x80000,
  oNonblock: 0x800,
  solSocket: 1,
  soReuseAddr: 2,
  soReusePort: 15,
  soError: 4,
  soKeepAlive: 9,
  tcpKeepIdle: 4,
  tcpKeepInterval: 5,
  tcpKeepCount: 6,
  ipv6V6Only: 26,
  msgDontWait: 0x40,
  msgCmsgCloexec: 0x40000000,
  rlimitNofile: 7,
  errors: {
    1: "EPERM",
    2: "ENOENT",
    4: "EINTR",
    9: "EBADF",
    11: "EAGAIN",
    12: "ENOMEM",
    13: "EACCES",
    22: "EINVAL",
    23: "ENFILE",
    24: "EMFILE",
    32: "EPIPE",
    97: "EAFNOSUPPORT",
    98: "EADDRINUSE",
    99: "EADDRNOTAVAIL",
    100: "ENETDOWN",
    101: "ENETUNREACH",
    104: "ECONNRESET",
    105: "ENOBUFS",
    110: "ETIMEDOUT",
    111: "ECONNREFUSED",
    112: "EHOSTDOWN",
    113: "EHOSTUNREACH",
    115: "EINPROGRESS",
  },
};

const darwin: Platform = {
  libraries: ["libSystem.B.dylib"],
  errnoSymbol: "__error",
  sockaddrHasLength: true,
  shortMessageHeader: true,
  clockMonotonic: 6,
  afInet6: 30,
  sockNonblock: 0,
  sockCloexec: 0,
  oNonblock: 4,
  solSocket: 0xffff,
  soReuseAddr: 4,
  soReusePort: 0x200,
  soError: 0x1007,
  soKeepAlive: 8,
  tcpKeepIdle: 0x10,
  tcpKeepInterval: 0x101,
  tcpKeepCount: 0x102,
  ipv6V6Only: 27,
  msgDontWait: 0x80,
  msgCmsgCloexec: 0,
  rlimitNofile: 8,
  errors: {
    1: "EPERM",
    2: "ENOENT",
    4: "EINTR",
    9: "EBADF",
    12: "ENOMEM",
    13: "EACCES",
    22: "EINVAL",
    23: "ENFILE",
    24: "EMFILE",
    32: "EPIPE",
    35: "EAGAIN",
    36: "EINPROGRESS",
    47: "EAFNOSUPPORT",
    48: "EADDRINUSE",
    49: "EADDRNOTAVAIL",
    50: "ENETDOWN",
    51: "ENETUNREACH",
    54: "ECONNRESET",
    55: "ENOBUFS",
    60: "ETIMEDOUT",
    61: "ECONNREFUSED",
    64: "EHOSTDOWN",
    65: "EHOSTUNREACH",
  },
};

export const platform: Platform = process.platform === "darwin" ? darwin : linux;
export const isLinux = process.platform === "linux";

/** The symbolic name of an error number: "ECONNREFUSED", or "errno 77" for one that nothing here treats specially. */
export function errorName(errno: number): string {
  return platform.errors[errno] ?? `errno ${errno}`;
}
