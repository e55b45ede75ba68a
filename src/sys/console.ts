// What commands say to the person or program that called them. In place and complete, also into a pipe that is slow
// or was made non-blocking; a reader that is gone is nobody's error. Not for anything that runs while traffic flows:
// it may wait.

import { writeSync } from "node:fs";
import { isatty } from "node:tty";

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text, "utf8");
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at, bytes.length - at);
    } catch (error) {
      if ((error as { code?: string }).code !== "EAGAIN") return;
      Bun.sleepSync(5);
    }
  }
}

/** Writes to standard output as it is: line ends are the caller's. */
export function print(text: string): void {
  writeAll(1, text);
}

/** Writes to standard error as it is. */
export function printError(text: string): void {
  writeAll(2, text);
}

/** True when the descriptor (1 = standard output) is a terminal. */
export function isTerminal(fd: number): boolean {
  return isatty(fd);
}

/** Columns of the terminal on standard output; 80 when there is none. */
export function terminalColumns(): number {
  return process.stdout.columns ?? 80;
}
