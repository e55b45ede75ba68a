// Where log lines go: appended to memory, written by a thread, never waited for. A reader that is slow costs lines,
// which are counted, and one that is gone costs all of them; neither stops or ends this process. It knows nothing of
// the lines but their ends. One sink is one descriptor; several processes may write to the same file or pipe.

import { closeSync, fstatSync, openSync, write, writeSync } from "node:fs";
import { copyBytes } from "../base/bytes.ts";
import { logBufferBytesMax, logLineBytesMax } from "../base/limits.ts";
import { isWritable } from "./libc.ts";

export interface LogSinkOptions {
  /** A path, opened for appending and created if absent, or a descriptor, which stays the caller's. */
  readonly target: string | number;
  /** Bytes waiting at most; lines beyond are dropped. Default logBufferBytesMax. */
  readonly bufferBytesMax?: number;
  /** How long a line may wait for company, in ms. 0 = until the next turn of the event loop. Default 200. */
  readonly flushMs?: number;
  /**
   * Told when writing begins to fail, with the system's code ("EPIPE", "ENOSPC"), and with null when it works again.
   */
  readonly onTrouble?: (code: string | null) => void;
}

export interface LogSink {
  /** Takes bytes[start, end), which must be whole lines with their line ends. False when there is no room: dropped. */
  append(bytes: Uint8Array, start: number, end: number): boolean;
  /** Lines that were dropped, for want of room or because writing failed. */
  readonly dropped: number;
  /** Opens the path anew, after a rotation. Throws, and goes on with the old file, when that fails. */
  reopen(): void;
  /** Takes no more lines and writes what waits, for at most deadlineMs. */
  close(deadlineMs: number): Promise<void>;
}

const flushBytes = 64 * 1024;
const firstBufferBytes = 8 * 1024;
const retryMs = 50;
const lineEnd = 10;

class FileSink implements LogSink {
  dropped: number;
  private fd: number;
  private readonly path: string | null;
  private readonly bytesMax: number;
  private readonly flushMs: number;
  private readonly onTrouble: (code: string | null) => void;
  /** Writes above PIPE_BUF may be torn between those of other processes. */
  private writeMax: number;
  private filling: Uint8Array;
  private filled: number;
  private writing: Uint8Array;
  private writeAt: number;
  private writeEnd: number;
  /** A write is with the thread, or waits to be tried again. */
  private busy: boolean;
  /** The descriptor a reopen() has replaced, to be closed when the write that uses it is done. */
  private retiredFd: number;
  private timer: ReturnType<typeof setTimeout> | null;
  private trouble: string | null;
  private closed: (() => void) | null;
  private accepting: boolean;

  constructor(options: LogSinkOptions) {
    this.dropped = 0;
    this.path = typeof options.target === "string" ? options.target : null;
    this.fd = typeof options.target === "number" ? options.target : openAppending(options.target);
    this.bytesMax = options.bufferBytesMax ?? logBufferBytesMax;
    this.flushMs = options.flushMs ?? 200;
    this.onTrouble = options.onTrouble ?? (() => {});
    this.writeMax = writeMaxOf(this.fd);
    this.filling = new Uint8Array(Math.min(firstBufferBytes, this.bytesMax));
    this.filled = 0;
    this.writing = new Uint8Array(0);
    this.writeAt = 0;
    this.writeEnd = 0;
    this.busy = false;
    this.retiredFd = -1;
    this.timer = null;
    this.trouble = null;
    this.closed = null;
    this.accepting = true;
  }

  append(bytes: Uint8Array, start: number, end: number): boolean {
    const needed = this.filled + end - start;
    if (!this.accepting || needed + this.writeEnd - this.writeAt > this.bytesMax) {
      this.dropped += countLines(bytes, start, end);
      return false;
    }
    if (needed > this.filling.length) this.grow(needed);
    this.filled = copyBytes(this.filling, this.filled, bytes, start, end);
    if (this.busy) return true;
    if (this.filled >= flushBytes) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), this.flushMs);
    return true;
  }

  reopen(): void {
    if (this.path === null) return;
    const fresh = openAppending(this.path);
    const old = this.fd;
    this.fd = fresh;
    this.writeMax = writeMaxOf(fresh);
    if (!this.busy) closeSync(old);
    else if (this.retiredFd < 0) this.retiredFd = old;
    else closeSync(old); // replaced twice within one write: nothing was written to this one
  }

  close(deadlineMs: number): Promise<void> {
    this.accepting = false;
    return new Promise((resolve) => {
      const done = (): void => {
        openSinks.delete(this);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, deadlineMs);
      this.closed = done;
      this.flush();
    });
  }

  /** At exit without close(): what waits is written in place, as far as that needs no waiting. */
  flushAtExit(): void {
    if (this.busy) return; // in the middle of a line, or nobody reads
    this.flushInPlace();
    this.filled = 0;
  }

  private flushInPlace(): void {
    let at = 0;
    while (at < this.filled) {
      if (this.writeMax !== Infinity && !isWritable(this.fd)) return;
      try {
        at += writeSync(this.fd, this.filling, at, pieceLength(this.filling, at, this.filled, this.writeMax));
      } catch {
        return;
      }
    }
  }

  private flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.busy) return;
    if (this.filled === 0) {
      if (!this.accepting) this.finishClose();
      return;
    }
    const spare = this.writing;
    this.writing = this.filling;
    this.writeAt = 0;
    this.writeEnd = this.filled;
    this.filling = spare.length > 0 ? spare : new Uint8Array(Math.min(firstBufferBytes, this.bytesMax));
    this.filled = 0;
    this.busy = true;
    this.writeSome();
  }

  private writeSome(): void {
    const length = pieceLength(this.writing, this.writeAt, this.writeEnd, this.writeMax);
    write(this.fd, this.writing, this.writeAt, length, null, (error, written) => this.wrote(error, written));
  }

  private wrote(error: Error | null, written: number): void {
    if (this.retiredFd >= 0) {
      closeSync(this.retiredFd);
      this.retiredFd = -1;
    }
    if (error === null) {
      this.report(null);
      this.writeAt += written;
      if (this.writeAt < this.writeEnd) return this.writeSome();
    } else {
      const code = (error as { code?: string }).code ?? "unknown";
      if (code === "EAGAIN" || code === "EINTR") {
        setTimeout(() => this.writeSome(), retryMs); // a pipe that somebody made non-blocking is full
        return;
      }
      this.report(code);
      this.dropped += countLines(this.writing, this.writeAt, this.writeEnd);
      this.writeAt = this.writeEnd;
    }
    this.busy = false;
    if (this.filled >= flushBytes || !this.accepting) this.flush();
    else if (this.filled > 0) this.timer ??= setTimeout(() => this.flush(), this.flushMs);
  }

  private report(code: string | null): void {
    if (code === this.trouble) return;
    this.trouble = code;
    this.onTrouble(code);
  }

  private finishClose(): void {
    if (this.path !== null && this.fd >= 0) closeSync(this.fd);
    this.fd = -1;
    this.closed?.();
  }

  private grow(needed: number): void {
    const wider = new Uint8Array(Math.min(this.bytesMax, Math.max(needed, this.filling.length * 2)));
    wider.set(this.filling.subarray(0, this.filled));
    this.filling = wider;
  }
}

/** A descriptor that appends to the file, which is created if absent. Throws. */
export /** How much to write at once: all of it to a file, whole lines within PIPE_BUF to anything else. */
function pieceLength(bytes: Uint8Array, at: number, end: number, writeMax: number): number {
  if (end - at <= writeMax) return end - at;
  const last = bytes.lastIndexOf(lineEnd, at + writeMax - 1);
  return last < at ? writeMax : last + 1 - at;
}

/** A descriptor that appends to the file, which is created if absent. Throws. */
export function openAppending(path: string): number {
  return openSync(path, "a", 0o640);
}

function writeMaxOf(fd: number): number {
  return fstatSync(fd).isFile() ? Infinity : logLineBytesMax;
}

function countLines(bytes: Uint8Array, start: number, end: number): number {
  let lines = 0;
  for (let i = start; i < end; i++) if (bytes[i] === lineEnd) lines++;
  return lines;
}

/** What is still to be flushed when the process exits. */
const openSinks = new Set<FileSink>();
let hooked = false;

/** Opens a sink. Throws when the path cannot be opened. */
export function openLogSink(options: LogSinkOptions): LogSink {
  const sink = new FileSink(options);
  if (!hooked) process.once("exit", flushAllAtExit);
  hooked = true;
  openSinks.add(sink);
  return sink;
}

function flushAllAtExit(): void {
  for (const sink of openSinks) sink.flushAtExit();
}
