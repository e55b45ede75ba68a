// Reads the access log that a balancer writes in JSON, on its standard output unless a text is given.

import type { Sluice } from "./sluice.ts";
import { waitFor } from "./wait.ts";

/** One line of the json format. */
export interface LogEntry {
  readonly time: string;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly protocol: string;
  readonly status: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMs: number;
  readonly queueMs: number;
  readonly connectMs: number;
  readonly responseMs: number;
  readonly listener: string;
  readonly route: string;
  readonly pool: string;
  readonly endpoint: string;
  readonly attempts: number;
  readonly termination: string;
  readonly cause: string;
  readonly requestId: string;
  readonly userAgent: string;
  readonly referer: string;
}

/** Every whole line, parsed. Throws on a line that is no JSON. */
export function parseLog(text: string): LogEntry[] {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as LogEntry);
}

/** Waits for a line that fits, the last one if there are several. Lines are written a moment after the request. */
export function logged(sluice: Sluice, fits: (entry: LogEntry) => boolean): Promise<LogEntry> {
  return waitFor(() => parseLog(sluice.stdout()).findLast(fits) ?? null, {
    what: `a line of the access log among\n${sluice.stdout().slice(-4000)}`,
  });
}
