// Runs wrk and reads its report. wrk is a closed-loop generator: it always keeps its connections busy, so the latency
// it reports is that of a saturated proxy.

import type { Children } from "./children.ts";

/** What wrk printed. Latencies are milliseconds. */
export interface WrkReport {
  readonly requests: number;
  /** Length of the run as wrk saw it. */
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Failed connects, reads and writes, timeouts, and answers other than 2xx and 3xx. */
  readonly errors: number;
}

/** One run of the load generator. */
export interface WrkRun {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  readonly headers: readonly string[];
  /** Path of a Lua script, or null for plain GET. */
  readonly script: string | null;
  /** CPU list for taskset, for example "1". */
  readonly cpus: string;
}

const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "1.25ms" -> 1.25, "830.00us" -> 0.83, "1.02s" -> 1020, "1.50m" -> 90000. Throws on anything else. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s|m|h)$/.exec(text);
  if (match === null) throw new Error(`wrk: not a duration: ${text}`);
  return Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** Parses the report of `wrk --latency`. Throws, with the text, when a part is missing. */
export function parseWrk(text: string): WrkReport {
  const find = (what: string, pattern: RegExp): RegExpExecArray => {
    const match = pattern.exec(text);
    if (match === null) throw new Error(`wrk printed no ${what}:\n${text}`);
    return match;
  };
  const total = find("request count", /^\s*(\d+) requests in ([\d.]+[a-z]+),/m);
  const rate = find("rate", /^Requests\/sec:\s+([\d.]+)/m);
  const p50 = find("median", /^\s+50%\s+(\S+)/m);
  const p99 = find("99th percentile", /^\s+99%\s+(\S+)/m);
  const socket = /^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/m.exec(text);
  const status = /^\s*Non-2xx or 3xx responses: (\d+)/m.exec(text);
  let errors = status === null ? 0 : Number(status[1]);
  if (socket !== null) for (let i = 1; i <= 4; i++) errors += Number(socket[i]);
  return {
    requests: Number(total[1]),
    seconds: parseDurationMs(total[2]!) / 1000,
    requestsPerSecond: Number(rate[1]),
    p50Ms: parseDurationMs(p50[1]!),
    p99Ms: parseDurationMs(p99[1]!),
    errors,
  };
}

/** A wrk script that sends a POST with a body of the given length with every request. */
export function postScript(bodyBytes: number): string {
  return [
    `wrk.method = "POST"`,
    `wrk.body = string.rep("0123456789abcdef", ${Math.ceil(bodyBytes / 16)}):sub(1, ${bodyBytes})`,
    `wrk.headers["Content-Type"] = "application/octet-stream"`,
    "",
  ].join("\n");
}

/** Runs wrk with one thread to its end. Rejects when it fails or prints something else. */
export async function runWrk(children: Children, run: WrkRun): Promise<WrkReport> {
  const command = ["wrk", "-t1", `-c${run.connections}`, `-d${run.seconds}s`, "--latency", "--timeout", "10s"];
  for (const header of run.headers) command.push("-H", header);
  if (run.script !== null) command.push("-s", run.script);
  command.push(run.url);
  const child = children.start({ name: "wrk", command, cpus: run.cpus, logFile: null });
  const code = await child.exited;
  const text = child.output();
  if (code !== 0) throw new Error(`wrk ended with code ${code}:\n${text}`);
  return parseWrk(text);
}
