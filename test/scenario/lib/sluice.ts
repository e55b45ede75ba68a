// Starts the real program with a configuration of the scenario's, tells where it listens, talks to its admin API and
// signals it. It ends with the scenario: `await using sluice = await startSluice(yaml)`.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Memory, readTree, readTreeMemory } from "../../../bench/lib/proc-stat.ts";
import { type Metrics, parseMetrics } from "./metrics.ts";
import { killGroup, tied } from "./tied.ts";
import { waitFor, within } from "./wait.ts";

/** What the program writes into the file named by SLUICE_READY_FILE once every worker accepts connections. */
export interface ReadyReport {
  readonly event: "ready";
  /** "127.0.0.1:PORT" or "unix:/path", or null without an admin listener. */
  readonly admin: string | null;
  /** Real addresses by listener name, in the order of its bind list. */
  readonly listeners: Readonly<Record<string, readonly string[]>>;
}

/** An answer of the admin API. */
export interface AdminAnswer {
  readonly status: number;
  readonly text: string;
  /** The body as JSON. Throws when it is none. */
  json<T = unknown>(): T;
}

export interface SluiceOptions {
  /** Command line up to the configuration file's path; default is `run` of this tree. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files beside the configuration, name to text. */
  readonly files?: Readonly<Record<string, string>>;
  /** Name of the configuration file; default sluice.yaml. */
  readonly fileName?: string;
  /** A descriptor for its standard output, which then is not collected. */
  readonly stdout?: number;
}

/** A running balancer. */
export interface Sluice extends AsyncDisposable {
  readonly pid: number;
  /** The directory with the configuration; the working directory of the process. */
  readonly dir: string;
  /** The first address of a listener, "127.0.0.1:PORT". Throws on an unknown name. */
  address(listener: string): string;
  /** All addresses of all listeners. */
  ports(): Readonly<Record<string, readonly string[]>>;
  /** A call to the admin listener; any status is an answer. */
  admin(path: string, init?: RequestInit): Promise<AdminAnswer>;
  /** GET /metrics, parsed. */
  metrics(): Promise<Metrics>;
  /** GET /api/v1/status. */
  status<T = Record<string, unknown>>(): Promise<T>;
  /** Replaces the configuration file's text; nothing happens until a reload. */
  writeConfig(yaml: string): void;
  /** POST /api/v1/reload, after writing the new text if there is one. */
  reload(yaml?: string): Promise<AdminAnswer>;
  signal(signal: NodeJS.Signals): void;
  /** Process ids below the supervisor; the workers. */
  workerPids(): number[];
  memory(): Memory;
  /** Everything printed so far. */
  stdout(): string;
  stderr(): string;
  /** Both, for messages. */
  logs(): string;
  /** Waits until it has ended, workers too; the exit code, or 128 + signal number. */
  exited(timeoutMs?: number): Promise<number>;
  /** TERM; its exit code. Rejects when it has not ended within the time (default 10 s). */
  stop(timeoutMs?: number): Promise<number>;
  /** Kills supervisor and workers at once, and removes the directory. */
  kill(): Promise<void>;
}

const ROOT = resolve(import.meta.dir, "../../..");
const READY_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 10_000;

/** The command line that runs this tree's program. */
export function sluiceCommand(...args: readonly string[]): string[] {
  return [process.execPath, join(ROOT, "src/cli/main.ts"), ...args];
}

/** The text with an admin listener on any free port, if it is YAML and has none. */
function withAdmin(text: string, file: string): string {
  return !file.endsWith(".yaml") || /^admin:/m.test(text) ? text : `admin: { bind: "127.0.0.1:0" }\n${text}`;
}

/** A stream's text so far, and the promise of its end. */
interface Collected {
  readonly text: () => string;
  readonly ended: Promise<void>;
}

function collect(stream: ReadableStream<Uint8Array> | number | undefined): Collected {
  if (typeof stream !== "object") return { text: () => "", ended: Promise.resolve() };
  const decoder = new TextDecoder();
  let text = "";
  const read = async (): Promise<void> => {
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  };
  return { text: () => text, ended: read() };
}

interface Started {
  readonly child: Bun.Subprocess<"ignore", "pipe" | number, "pipe">;
  readonly dir: string;
  readonly file: string;
  readonly readyFile: string;
}

function spawn(yaml: string, options: SluiceOptions): Started {
  const dir = mkdtempSync(join(tmpdir(), "sluice-scenario-"));
  const file = join(dir, options.fileName ?? "sluice.yaml");
  const readyFile = join(dir, "ready.json");
  writeFileSync(file, withAdmin(yaml, file));
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(dir, name), text);
  const child = Bun.spawn(tied([...(options.command ?? sluiceCommand("run")), file]), {
    cwd: dir,
    detached: true,
    stdio: ["ignore", options.stdout ?? "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", ...options.env, SLUICE_READY_FILE: readyFile },
  });
  return { child, dir, file, readyFile };
}

async function waitForReady({ child, readyFile }: Started): Promise<ReadyReport> {
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const timing = { what: "the balancer to be ready", timeoutMs: READY_TIMEOUT_MS };
  await waitFor(() => hasEnded() || existsSync(readyFile), timing);
  if (!existsSync(readyFile)) throw new Error(`the balancer ended with ${child.signalCode ?? child.exitCode}`);
  return JSON.parse(readFileSync(readyFile, "utf8")) as ReadyReport;
}

type AdminCalls = Pick<Sluice, "address" | "ports" | "admin" | "metrics" | "status" | "reload">;

/** The methods that follow from the ready report. */
function adminCalls(ready: ReadyReport, writeConfig: (text: string) => void): AdminCalls {
  const admin = async (path: string, init: RequestInit = {}): Promise<AdminAnswer> => {
    if (ready.admin === null) throw new Error("there is no admin listener");
    const unix = ready.admin.startsWith("unix:") ? { unix: ready.admin.slice(5) } : {};
    const host = "unix" in unix ? "localhost" : ready.admin;
    const response = await fetch(`http://${host}${path}`, { keepalive: false, ...unix, ...init });
    const text = await response.text();
    return { status: response.status, text, json: <T>() => JSON.parse(text) as T };
  };
  const get = async (path: string): Promise<AdminAnswer> => {
    const answer = await admin(path);
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    return answer;
  };
  return {
    address(listener) {
      const address = ready.listeners[listener]?.[0];
      if (address !== undefined) return address;
      throw new Error(`no listener ${listener} among ${Object.keys(ready.listeners).join(", ")}`);
    },
    ports: () => ready.listeners,
    admin,
    metrics: async () => parseMetrics((await get("/metrics")).text),
    status: async <T>() => (await get("/api/v1/status")).json<T>(),
    reload(text) {
      if (text !== undefined) writeConfig(text);
      return admin("/api/v1/reload", { method: "POST" });
    },
  };
}

/** Starts the balancer and waits until it accepts connections. Rejects, with what it printed, when it does not. */
export async function startSluice(yaml: string, options: SluiceOptions = {}): Promise<Sluice> {
  const started = spawn(yaml, options);
  const { child, dir, file } = started;
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const logs = (): string => `${stdout.text()}${stderr.text()}`;
  /** After the last process has let go of its output, so that logs() has all of it. */
  const ended = async (): Promise<number> => (await Promise.all([child.exited, stdout.ended, stderr.ended]))[0];
  const kill = async (): Promise<void> => {
    killGroup(child.pid);
    await ended();
    rmSync(dir, { recursive: true, force: true });
  };
  const ready = await waitForReady(started).catch(async (error: unknown) => {
    await kill();
    throw new Error(`${error instanceof Error ? error.message : String(error)}:\n${logs()}`);
  });
  const exited = (timeoutMs = STOP_TIMEOUT_MS): Promise<number> =>
    within(ended(), timeoutMs, () => `the balancer to end\n${logs()}`);
  const writeConfig = (text: string): void => writeFileSync(file, withAdmin(text, file));
  return {
    pid: child.pid,
    dir,
    ...adminCalls(ready, writeConfig),
    writeConfig,
    signal: (signal) => child.kill(signal),
    workerPids: () =>
      readTree(child.pid)
        .slice(1)
        .map((stat) => stat.pid),
    memory: () => readTreeMemory(child.pid),
    stdout: stdout.text,
    stderr: stderr.text,
    logs,
    exited,
    async stop(timeoutMs = STOP_TIMEOUT_MS) {
      child.kill("SIGTERM");
      return await exited(timeoutMs);
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
