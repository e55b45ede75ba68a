// The operator's log: one line per event on standard error. Human text on a terminal, logfmt or JSON otherwise.

import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { LogLevel } from "../base/ports.ts";
import type { Log } from "../base/ports.ts";

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

/** Writes to standard error. */
export function createLog(options: LogOptions): Log {
  const format: LogFormat = options.format === "auto" ? (isatty(2) ? "text" : "logfmt") : options.format;
  return {
    write(level, event, fields) {
      if (level < options.level) return;
      const line = formatEvent(format, Date.now(), level, options.source, event, fields);
      try {
        writeSync(2, `${line}\n`);
      } catch {
        // Nobody reads standard error any more.
      }
    },
  };
}
