// The operator's log: one line per event on standard error. Human text on a terminal, logfmt or JSON otherwise. Lines
// are written by the log sink: a stalled reader of standard error loses lines instead of stopping traffic.

import { isatty } from "node:tty";
import { logLineBytesMax } from "../base/limits.ts";
import type { Log, LogLevel } from "../base/ports.ts";
import { openLogSink } from "./log-sink.ts";

export type LogFormat = "text" | "logfmt" | "json";

export interface LogOptions {
  readonly level: LogLevel;
  /** "auto": text on a terminal, logfmt otherwise. */
  readonly format: LogFormat | "auto";
  /** Who writes: "supervisor", "worker 3". */
  readonly source: string;
}

type Fields = Readonly<Record<string, string | number | boolean | null>>;

const levelWords = ["debug", "info", "warn", "error"] as const;

/** One event as a line without the line end. */
export function formatEvent(
  format: LogFormat,
  wallMs: number,
  level: LogLevel,
  source: string,
  event: string,
  fields: Fields | undefined,
): string {
  const time = new Date(wallMs).toISOString();
  const word = levelWords[level];
  if (format === "json") return JSON.stringify({ time, level: word, source, event, ...fields });
  let line =
    format === "text"
      ? `${time.slice(11, 23)} ${word.padEnd(5)} ${source}: ${oneLine(event)}`
      : `time=${time} level=${word} source=${quoted(source)} event=${quoted(event)}`;
  for (const name in fields) line += ` ${name}=${quoted(String(fields[name]))}`;
  return line;
}

/** Control characters must not forge lines or move a terminal's cursor. */
function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function quoted(text: string): string {
  const safe = oneLine(text);
  return /^[^\s"=\\]+$/.test(safe) ? safe : JSON.stringify(safe);
}

/** A log that can be brought to an end. */
export interface SystemLog extends Log {
  /** Writes what waits, for at most deadlineMs. Leaving without it loses nothing as long as somebody reads. */
  close(deadlineMs: number): Promise<void>;
}

const encoder = new TextEncoder();

/** Writes to standard error, or to the descriptor given. Lines over logLineBytesMax are cut. */
export function createLog(options: LogOptions, fd = 2): SystemLog {
  const format: LogFormat = options.format === "auto" ? (isatty(fd) ? "text" : "logfmt") : options.format;
  const sink = openLogSink({ target: fd, flushMs: 0 });
  return {
    write(level, event, fields) {
      if (level < options.level) return;
      const bytes = encoder.encode(`${formatEvent(format, Date.now(), level, options.source, event, fields)}\n`);
      const length = Math.min(bytes.length, logLineBytesMax);
      bytes[length - 1] = 10;
      sink.append(bytes, 0, length);
    },
    close: (deadlineMs) => sink.close(deadlineMs),
  };
}
