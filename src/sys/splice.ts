// splice(2): moves bytes from one socket to another through a pipe, inside the kernel, without copying them. Linux
// only; elsewhere there is no splicer and bytes take the ordinary way. One pipe serves a whole process, because it is
// empty between two calls.

import { dlopen } from "bun:ffi";
import type { Moved } from "../base/ports.ts";
import { libc } from "./libc.ts";

const int = "i32" as const;
const ptr = "ptr" as const;
const symbols = {
  // Results are read as 32 bits: a pipe holds at most a megabyte.
  splice: { args: [int, ptr, int, ptr, "u64", "u32"], returns: int },
  pipe2: { args: [ptr, int], returns: int },
  read: { args: [int, ptr, "u64"], returns: int },
  fcntl: { args: [int, int, int], returns: int },
} as const;

interface Calls {
  splice(from: number, fromOffset: null, to: number, toOffset: null, length: number, flags: number): number;
  pipe2(fds: Int32Array, flags: number): number;
  read(fd: number, into: Uint8Array, length: number): number;
  fcntl(fd: number, command: number, value: number): number;
}

const O_NONBLOCK_CLOEXEC = 0x80800;
const F_SETPIPE_SZ = 1031;
const SPLICE_F_MOVE_NONBLOCK = 3;
/** The most that is moved in one call. */
const pipeBytes = 1024 * 1024;

export class Splicer implements Moved {
  taken = 0;
  rest: Uint8Array | null = null;
  /** Why the source gave nothing, and the target did not take all; 0 = it gave something or has ended, it took all. */
  fromErrno = 0;
  toErrno = 0;
  private readonly calls: Calls;
  private readonly readEnd: number;
  private readonly writeEnd: number;

  constructor(calls: Calls, fds: Int32Array) {
    this.calls = calls;
    this.readEnd = fds[0]!;
    this.writeEnd = fds[1]!;
  }

  /** Moves up to max bytes between two stream sockets; the result is this object. */
  move(from: number, to: number, max: number): Moved {
    const { calls } = this;
    this.rest = null;
    this.toErrno = 0;
    const got = calls.splice(from, null, this.writeEnd, null, Math.min(max, pipeBytes), SPLICE_F_MOVE_NONBLOCK);
    this.fromErrno = got < 0 ? libc!.errno() : 0;
    this.taken = Math.max(0, got);
    let left = this.taken;
    while (left > 0) {
      const passed = calls.splice(this.readEnd, null, to, null, left, SPLICE_F_MOVE_NONBLOCK);
      if (passed < 0) this.toErrno = libc!.errno();
      if (passed <= 0) break;
      left -= passed;
    }
    if (left > 0) this.rest = this.readBack(left);
    return this;
  }

  /** The target is full: what is in the pipe comes out as bytes. */
  private readBack(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      const count = this.calls.read(this.readEnd, at === 0 ? bytes : bytes.subarray(at), length - at);
      if (count <= 0) {
        this.abandon();
        throw new Error(`the splice pipe lost ${length - at} bytes`);
      }
      at += count;
    }
    return bytes;
  }

  /** Whatever is in the pipe is one client's: nobody else may get it. */
  private abandon(): void {
    if (shared === this) shared = undefined;
    libc!.close(this.readEnd);
    libc!.close(this.writeEnd);
  }
}

let shared: Splicer | null | undefined;

/** This process's splicer, with its pipe made at the first call; null where there is none to be had. */
export function splicer(): Splicer | null {
  if (shared === undefined) shared = create();
  return shared;
}

function create(): Splicer | null {
  if (process.platform !== "linux" || libc === null) return null;
  for (const name of ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"]) {
    try {
      const calls = dlopen(name, symbols).symbols as unknown as Calls;
      const fds = new Int32Array(2);
      if (calls.pipe2(fds, O_NONBLOCK_CLOEXEC) !== 0) return null;
      calls.fcntl(fds[1]!, F_SETPIPE_SZ, pipeBytes); // without the right to it the pipe keeps its 64 KB
      return new Splicer(calls, fds);
    } catch {
      // Not this name; the next one, or none.
    }
  }
  return null;
}
