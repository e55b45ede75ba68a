// Makes listening sockets as bare descriptors, so that the supervisor can hold them without ever accepting and hand
// one to each worker. Net.adopt() accepts on them. Errors are for the operator: each says what to do.

import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { closeFd, libc, openSocket, requireLibc, setIntOption } from "./libc.ts";
import type { Libc } from "./libc.ts";
import { errorName, platform } from "./platform.ts";
import { AF_INET6, AF_UNIX, decodePort, encodeAddress, encoded, encodeUnixAddress } from "./sockaddr.ts";
import { SOCK_STREAM, sockaddr, unixPathBytesMax } from "./sockaddr.ts";

export { closeFd, dupFd } from "./libc.ts";

/** Where to listen: an IP literal and a port, 0 being any free one; or a unix path ("\0name" for the abstract kind). */
export interface ListenAddress {
  readonly ip: string;
  readonly port: number;
  readonly unixPath: string | null;
}

export interface ListenOptions {
  /** Connections the kernel queues; the system's somaxconn caps it. */
  readonly backlog: number;
  /** Several sockets share the port and the kernel spreads new connections over them. Ignored for unix sockets. */
  readonly reusePort: boolean;
  /** Permission bits of a unix socket's file; default 0o666, so that access is decided by the directory. */
  readonly unixMode?: number;
}

export interface ListenSocket {
  /** Owned by the caller; close it with closeFd. Closed on exec. */
  readonly fd: number;
  /** The bound port; 0 for unix sockets. */
  readonly port: number;
}

/** Why a listening socket could not be made. */
export class ListenError extends Error {
  /** "EADDRINUSE", "EACCES", "EADDRNOTAVAIL" and so on. */
  readonly code: string;
  /** What to do about it, as a sentence. */
  readonly hint: string;

  constructor(message: string, code: string, hint: string) {
    super(message);
    this.name = "ListenError";
    this.code = code;
    this.hint = hint;
  }
}

/** "127.0.0.1:8080", "[::1]:8080" or "unix:/path". */
export function formatBind(bind: ListenAddress): string {
  if (bind.unixPath !== null) return `unix:${bind.unixPath.replace("\0", "@")}`;
  return bind.ip.includes(":") ? `[${bind.ip}]:${bind.port}` : `${bind.ip}:${bind.port}`;
}

/** Binds and listens. Throws ListenError. */
export function createListener(bind: ListenAddress, options: ListenOptions): ListenSocket {
  const c = requireLibc("listening");
  const path = bind.unixPath;
  if (path !== null) removeStaleSocket(path);
  if (!encode(bind)) {
    const hint =
      path === null
        ? "Give an IP address, not a name; 0.0.0.0 or [::] listens on all of them."
        : `A unix socket path has 1 to ${unixPathBytesMax} bytes.`;
    throw new ListenError(`cannot listen on ${formatBind(bind)}: not a usable address`, "EINVAL", hint);
  }
  const { family, length } = encoded;
  const fd = openSocket(c, family, SOCK_STREAM);
  if (fd < 0) throw listenError(bind, errorName(c.errno()));
  if (family !== AF_UNIX) {
    setIntOption(fd, platform.solSocket, platform.soReuseAddr, 1);
    if (options.reusePort) setIntOption(fd, platform.solSocket, platform.soReusePort, 1);
  }
  // "::" serves IPv4 too; any other IPv6 address is that address alone.
  if (family === AF_INET6) setIntOption(fd, 41, platform.ipv6V6Only, bind.ip === "::" ? 0 : 1);
  if (c.bind(fd, sockaddr, length) < 0 || c.listen(fd, options.backlog) < 0) {
    const code = errorName(c.errno());
    c.close(fd);
    throw listenError(bind, code);
  }
  if (path !== null) {
    if (path.charCodeAt(0) !== 0) chmodSync(path, options.unixMode ?? 0o666);
    return { fd, port: 0 };
  }
  return { fd, port: boundPort(c, fd) };
}

function encode(bind: ListenAddress): boolean {
  return bind.unixPath === null ? encodeAddress(bind.ip, bind.port) : encodeUnixAddress(bind.unixPath);
}

/** The port a socket is bound to; 0 for unix sockets. */
function boundPort(c: Libc, fd: number): number {
  const length = new Uint32Array([sockaddr.length]);
  return c.getsockname(fd, sockaddr, length) === 0 ? decodePort() : 0;
}

/**
 * Removes the file of a unix socket on which nobody listens any more. Other files are left for bind() to complain
 * about.
 */
export function removeStaleSocket(path: string): void {
  if (libc === null || path.charCodeAt(0) === 0) return;
  // Connecting to an ordinary file is refused too: only a socket may be taken for a stale one.
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true || !encodeUnixAddress(path)) return;
  const fd = openSocket(libc, AF_UNIX, SOCK_STREAM);
  if (fd < 0) return;
  const refused = libc.connect(fd, sockaddr, encoded.length) < 0 && errorName(libc.errno()) === "ECONNREFUSED";
  closeFd(fd);
  if (refused) unlinkSync(path);
}

function listenError(bind: ListenAddress, code: string): ListenError {
  const place = formatBind(bind);
  const [reason, hint] = explainBind(bind, code);
  return new ListenError(`cannot listen on ${place}: ${reason}`, code, hint);
}

/** Why a bind failed and what to do, as parts of sentences. */
export function explainBind(bind: ListenAddress, code: string): readonly [reason: string, hint: string] {
  if (code === "EADDRINUSE") {
    return bind.unixPath === null
      ? [
          "the address is in use (EADDRINUSE)",
          "Stop the program that uses it (ss -ltnp shows which) or choose another port.",
        ]
      : [
          "another program listens on it, or the path is not a socket (EADDRINUSE)",
          "Stop that program or choose another path.",
        ];
  }
  if (code === "EACCES") {
    return bind.unixPath === null && bind.port < 1024
      ? ["permission denied (EACCES)", "Ports below 1024 need root or CAP_NET_BIND_SERVICE."]
      : ["permission denied (EACCES)", "Check the permissions of the directory and of this process."];
  }
  if (code === "EADDRNOTAVAIL") {
    return [
      "this machine has no such address (EADDRNOTAVAIL)",
      "Use an address of an interface that is up, or 0.0.0.0 for all.",
    ];
  }
  if (code === "EAFNOSUPPORT")
    return ["the address family is off (EAFNOSUPPORT)", "IPv6 may be disabled on this machine."];
  if (code === "ENOENT") return ["the directory does not exist (ENOENT)", "Create the directory first."];
  if (code === "EMFILE" || code === "ENFILE")
    return [`no descriptors left (${code})`, "Raise the open files limit (ulimit -n)."];
  return [code, "See the error code in bind(2) and listen(2)."];
}
