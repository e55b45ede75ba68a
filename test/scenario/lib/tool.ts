// Runs the programs that scenarios use beside Sluice: curl, wrk, slowhttptest. A test that needs one says
// test.skipIf(lacks("wrk")) with support/needs.ts; here a missing program is an error.

import { parseWrk, type WrkReport } from "../../../bench/lib/wrk.ts";
import { tied } from "./tied.ts";

/** How a program ended. */
export interface ToolRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that is running. Killed by `using`. */
export interface RunningTool extends Disposable {
  readonly pid: number;
  /** Resolves when it has ended, whatever the code. */
  readonly finished: Promise<ToolRun>;
}

/** Starts a program; after timeoutMs (default 60 s) it is killed. */
export function startTool(command: readonly string[], timeoutMs = 60_000): RunningTool {
  const program = command[0] ?? "";
  if (Bun.which(program) === null) throw new Error(`${program} is not installed`);
  const child = Bun.spawn(tied(command), {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const kill = (): void => child.kill("SIGKILL");
  const finish = async (): Promise<ToolRun> => {
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  };
  return { pid: child.pid, finished: finish(), [Symbol.dispose]: kill };
}

/** Runs a program to its end. Throws, with what it printed, when it ends with another code than 0. */
export async function runTool(command: readonly string[], timeoutMs?: number): Promise<ToolRun> {
  using tool = startTool(command, timeoutMs);
  const run = await tool.finished;
  if (run.code !== 0) throw new Error(`${command.join(" ")} ended with ${run.code}:\n${run.stdout}${run.stderr}`);
  return run;
}

/** A load run of wrk. */
export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** "Name: value" */
  readonly headers?: readonly string[];
}

/** Starts wrk with one thread; the report says how many requests were answered and how many failed. */
export function startLoad(options: LoadOptions): Disposable & { readonly report: Promise<WrkReport> } {
  const headers = (options.headers ?? []).flatMap((header) => ["-H", header]);
  const size = ["-t1", `-c${options.connections}`, `-d${options.seconds}s`];
  const command = ["wrk", ...size, "--latency", "--timeout", "10s", ...headers, options.url];
  const tool = startTool(command, (options.seconds + 30) * 1000);
  return { report: tool.finished.then((run) => parseWrk(run.stdout)), [Symbol.dispose]: () => tool[Symbol.dispose]() };
}

/** A slowhttptest run: so many connections that never get on. */
export interface SlowOptions {
  readonly url: string;
  readonly connections: number;
  /** "head": headers that never end; "body": a body that never ends; "read": an answer that is hardly read. */
  readonly kind: "head" | "body" | "read";
  readonly seconds: number;
}

/** Starts slowhttptest; opens its connections as fast as it can. */
export function startSlowClients(options: SlowOptions): RunningTool {
  const kind = { head: "-H", body: "-B", read: "-X" }[options.kind];
  const rate = Math.max(50, options.connections);
  const times = ["-i", "1", "-l", String(options.seconds), "-r", String(rate), "-p", "3"];
  const command = ["slowhttptest", kind, "-c", String(options.connections), ...times, "-u", options.url];
  return startTool(command, (options.seconds + 30) * 1000);
}
