// Child processes and temporary files that must not outlive the benchmark. Each child gets its own process group, which
// is killed on every way out; a parent-death signal covers SIGKILL of the benchmark itself.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What to start. */
export interface ChildPlan {
  readonly name: string;
  readonly command: readonly string[];
  /** CPU list for taskset; null = no pinning. */
  readonly cpus: string | null;
  /** Where standard output and error go; null = kept in memory, see output(). */
  readonly logFile: string | null;
  readonly env?: Readonly<Record<string, string>>;
}

/** A running child. */
export interface Child {
  readonly pid: number;
  /** Exit code, 128 + signal number style is not used: a death by signal gives -1. */
  readonly exited: Promise<number>;
  /** Everything printed so far. */
  output(): string;
  /** Next lines of standard output, for children that are talked to. */
  readonly process: ChildProcess;
  /** TERM, then KILL after a grace of three seconds; resolves when the whole group is gone or was killed. */
  stop(): Promise<void>;
}

/** Owner of all children and of the temporary directory. */
export interface Children {
  /** A directory on a memory file system where there is one. Removed at the end. */
  readonly dir: string;
  start(plan: ChildPlan): Child;
  /** Kills everything and removes the directory, at once. May be called more than once. */
  destroy(): void;
}

const STOP_GRACE_MS = 3000;
const DIR_PREFIX = "sluice-bench-";

/** The command with CPU pinning, the highest file limit allowed, and a signal for when the benchmark dies. */
export function wrapCommand(plan: ChildPlan): string[] {
  const wrapped = ["setpriv", "--pdeathsig", "TERM"];
  if (plan.cpus !== null) wrapped.push("taskset", "-c", plan.cpus);
  wrapped.push("sh", "-c", `ulimit -n "$(ulimit -Hn)"; exec "$@"`, "sh");
  return [...wrapped, ...plan.command];
}

/** Directories of earlier runs whose process was killed before it could clean up. */
function removeStale(base: string): void {
  for (const name of readdirSync(base)) {
    const match = /^sluice-bench-(\d+)-/.exec(name);
    if (match !== null && !existsSync(`/proc/${match[1]}`)) rmSync(join(base, name), { recursive: true, force: true });
  }
}

function killGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

function startChild(plan: ChildPlan, running: Set<number>): Child {
  const [file, ...args] = wrapCommand(plan);
  const log = plan.logFile === null ? -1 : openSync(plan.logFile, "a");
  const sink = log < 0 ? ("pipe" as const) : log;
  const child = spawn(file!, args, {
    detached: true,
    stdio: ["pipe", sink, sink],
    env: { ...process.env, ...plan.env },
  });
  if (log >= 0) closeSync(log);
  const pid = child.pid;
  if (pid === undefined) throw new Error(`cannot start ${plan.name}: ${plan.command.join(" ")}`);
  running.add(pid);
  let text = "";
  const keep = (chunk: Buffer): void => {
    if (text.length < 1 << 20) text += chunk.toString("latin1");
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  child.stdin?.on("error", () => {}); // the child may be gone when we say goodbye
  const exited = new Promise<number>((resolve) => {
    child.on("close", (code) => resolve(code ?? -1));
    child.on("error", () => resolve(-1));
  });
  const stop = async (): Promise<void> => {
    killGroup(pid, "SIGTERM");
    const late = setTimeout(() => killGroup(pid, "SIGKILL"), STOP_GRACE_MS);
    await exited;
    clearTimeout(late);
    killGroup(pid, "SIGKILL"); // workers that outlived their parent
    running.delete(pid);
  };
  const output = (): string => (plan.logFile === null ? text : readFileSync(plan.logFile, "latin1"));
  return { pid, exited, output, process: child, stop };
}

/** Makes the owner and installs the handlers that call destroy() on exit, on signals and on uncaught errors. */
export function createChildren(): Children {
  const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  removeStale(base);
  const dir = mkdtempSync(join(base, `${DIR_PREFIX}${process.pid}-`));
  const running = new Set<number>();
  const destroy = (): void => {
    for (const pid of running) killGroup(pid, "SIGKILL");
    running.clear();
    rmSync(dir, { recursive: true, force: true });
  };
  process.on("exit", destroy);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => process.exit(2));
  }
  return { dir, start: (plan) => startChild(plan, running), destroy };
}
