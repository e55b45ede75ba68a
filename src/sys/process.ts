// This process and its children: command line, signals, limits, privileges, and the pairing of supervisor and
// workers. Workers are the same program started again with SLUICE_ROLE=worker; they talk JSON over Bun's IPC, and
// descriptors over the channel.

import { availableParallelism } from "node:os";
import { readFileSync } from "node:fs";
import { libc } from "./libc.ts";
import { platform } from "./platform.ts";

/** Read at start: after the program file has been replaced, the system would report "… (deleted)". */
const execPath = process.execPath;

/** Descriptor numbers in a worker. */
export const CHANNEL_FD = 3;
export const MEMORY_FD = 4;

export type Role = "supervisor" | "worker";

/** Which of the two this process is. */
export function role(): Role {
  return process.env["SLUICE_ROLE"] === "worker" ? "worker" : "supervisor";
}

export interface WorkerOptions {
  /** Arguments after the program's own. */
  readonly args: readonly string[];
  /** Added to this process's environment; SLUICE_ROLE=worker is set besides. */
  readonly env: Readonly<Record<string, string>>;
  /** This process's descriptor that becomes CHANNEL_FD of the worker; null = none. */
  readonly channelFd: number | null;
  /** This process's descriptor that becomes MEMORY_FD of the worker; null = none. */
  readonly memoryFd: number | null;
  readonly onMessage: (message: unknown) => void;
  /** Called once, also for a worker that was killed; signal is "SIGKILL" and the like. */
  readonly onExit: (code: number | null, signal: string | null) => void;
  /** Script to run instead of this program's; for tests. */
  readonly script?: string;
}

export interface WorkerProcess {
  readonly pid: number;
  /** Sends plain data as JSON; false when the worker is gone. */
  send(message: unknown): boolean;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a worker. Throws when the program cannot be started. */
export function spawnWorker(options: WorkerOptions): WorkerProcess {
  const script = options.script ?? Bun.main;
  // The launcher's flags keep files of the working directory out of the program; they must hold for workers too.
  const program =
    Bun.isStandaloneExecutable && options.script === undefined ? [execPath] : [execPath, ...process.execArgv, script];
  const child = Bun.spawn([...program, ...options.args], {
    env: { ...process.env, ...options.env, SLUICE_ROLE: "worker" },
    stdio: ["inherit", "inherit", "inherit", options.channelFd ?? "ignore", options.memoryFd ?? "ignore"],
    serialization: "json",
    ipc: (message) => options.onMessage(message),
    onExit: (_child, code, signal) => options.onExit(code, signal === null ? null : String(signal)),
  });
  return {
    pid: child.pid,
    send(message) {
      try {
        child.send(message);
        return true;
      } catch {
        return false;
      }
    },
    kill: (signal) => child.kill(signal),
  };
}

/** Worker: sends plain data to the supervisor; false when it is gone. */
export function sendToParent(message: unknown): boolean {
  try {
    return process.send !== undefined && process.send(message);
  } catch {
    return false;
  }
}

/** Worker: hears the supervisor's messages. */
export function onParentMessage(listen: (message: unknown) => void): void {
  process.on("message", listen);
}

/** Worker: the supervisor has ended, however it died. */
export function onParentGone(listen: () => void): void {
  process.once("disconnect", listen);
  if (process.connected === false) queueMicrotask(listen); // it was gone before anybody listened
}

/** Calls listen at every arrival of the signal, instead of the signal's default action. */
export function onSignal(name: NodeJS.Signals, listen: () => void): void {
  process.on(name, listen);
}

/** Hears every exception and rejection nobody caught; the process goes on. */
export function onUncaught(listen: (error: unknown) => void): void {
  process.on("uncaughtException", listen);
  process.on("unhandledRejection", listen);
}

/** Arguments after the program's name. */
export function argv(): readonly string[] {
  return process.argv.slice(2);
}

export function env(name: string): string | undefined {
  return process.env[name];
}

/** All variables of the environment. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

export function pid(): number {
  return process.pid;
}

export function workingDirectory(): string {
  return process.cwd();
}

/** Ends the process at once. */
export function exit(code: number): never {
  process.exit(code);
}

/** Resident memory of this process in bytes. */
export function rssBytes(): number {
  try {
    lastRssBytes = process.memoryUsage.rss();
  } catch {
    // reading it takes a descriptor, and there may be none left: the last value stands
  }
  return lastRssBytes;
}
let lastRssBytes = 0;

/** CPUs this process may use: affinity and the control group's quota (cgroup v2) are honoured. At least 1. */
export function cpuCount(): number {
  let count = availableParallelism();
  try {
    const [quota, period] = readFileSync("/sys/fs/cgroup/cpu.max", "utf8").trim().split(" ");
    const cpus = Math.ceil(Number(quota) / Number(period));
    if (cpus >= 1 && cpus < count) count = cpus;
  } catch {
    // No control group, no quota.
  }
  return Math.max(1, count);
}

export interface FileLimit {
  /** Open files this process may have now. */
  readonly soft: number;
  readonly hard: number;
}

/** Raises the soft limit of open files to the hard one. null when limits cannot be read here. */
export function raiseFileLimit(): FileLimit | null {
  if (libc === null) return null;
  const limit = new BigUint64Array(2);
  if (libc.getrlimit(platform.rlimitNofile, limit) !== 0) return null;
  const hard = limit[1]!;
  if (limit[0]! < hard) {
    const before = limit[0]!;
    limit[0] = hard;
    if (libc.setrlimit(platform.rlimitNofile, limit) !== 0) limit[0] = before;
  }
  return { soft: Number(limit[0]), hard: Number(hard) };
}
