// CPU time and memory of a process and everything below it, read from /proc. Pure parsers first, then the readers.
// Linux only. CPU time has the kernel's resolution of one clock tick (10 ms), so measure over seconds.

import { readdirSync, readFileSync } from "node:fs";

/** The fields of /proc/PID/stat that we use. Times are clock ticks; the c... times are those of reaped children. */
export interface ProcStat {
  readonly pid: number;
  readonly parent: number;
  readonly utime: number;
  readonly stime: number;
  readonly cutime: number;
  readonly cstime: number;
}

/**
 * Memory of a process or a tree in bytes. rss counts shared pages once per process, pss divides them among the sharers.
 */
export interface Memory {
  readonly rss: number;
  readonly pss: number;
}

/** Time of one CPU (or several, added up) in clock ticks since boot. */
export interface CpuTicks {
  /** user + nice + system: what processes were charged. */
  readonly process: number;
  /** irq + softirq: charged to nobody on kernels with interrupt time accounting, zero on others. */
  readonly interrupt: number;
  readonly steal: number;
}

/** Clock ticks per second as seen by user space; 100 on every Linux port that matters (USER_HZ). */
export const TICKS_PER_SECOND = 100;

/** Parses one line of /proc/PID/stat. The command name may contain spaces and parentheses: it ends at the last ")". */
export function parseStat(line: string): ProcStat {
  const open = line.indexOf("(");
  const close = line.lastIndexOf(")");
  if (open < 0 || close < open) throw new Error(`not a /proc/PID/stat line: ${line.slice(0, 80)}`);
  const rest = line.slice(close + 2).split(" ");
  const field = (index: number): number => {
    const value = Number(rest[index]);
    if (rest[index] === undefined || !Number.isFinite(value))
      throw new Error(`/proc/PID/stat field ${index + 3} is bad`);
    return value;
  };
  return {
    pid: Number(line.slice(0, open)),
    parent: field(1),
    utime: field(11),
    stime: field(12),
    cutime: field(13),
    cstime: field(14),
  };
}

/** Parses /proc/PID/smaps_rollup. */
export function parseSmapsRollup(text: string): Memory {
  const kb = (name: string): number => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text);
    if (match === null) throw new Error(`smaps_rollup has no ${name}`);
    return Number(match[1]) * 1024;
  };
  return { rss: kb("Rss"), pss: kb("Pss") };
}

/** Adds up the lines "cpuN" of /proc/stat for the given CPU numbers. */
export function parseCpuTicks(text: string, cpus: readonly number[]): CpuTicks {
  let process = 0;
  let interrupt = 0;
  let steal = 0;
  for (const cpu of cpus) {
    const match = new RegExp(`^cpu${cpu} (.*)$`, "m").exec(text);
    if (match === null) throw new Error(`/proc/stat has no cpu${cpu}`);
    const ticks = match[1]!.trim().split(/\s+/).map(Number);
    process += (ticks[0] ?? 0) + (ticks[1] ?? 0) + (ticks[2] ?? 0);
    interrupt += (ticks[5] ?? 0) + (ticks[6] ?? 0);
    steal += ticks[7] ?? 0;
  }
  return { process, interrupt, steal };
}

/** The root and all its descendants, given the stat lines of all processes. Empty when the root is not among them. */
export function treeOf(root: number, all: readonly ProcStat[]): ProcStat[] {
  const tree = all.filter((stat) => stat.pid === root);
  for (let i = 0; i < tree.length; i++) {
    const pid = tree[i]!.pid;
    for (const stat of all) if (stat.parent === pid && stat.pid !== pid) tree.push(stat);
  }
  return tree;
}

/** Reads the process tree under root. Processes that vanish while being read are left out. */
export function readTree(root: number): ProcStat[] {
  const all: ProcStat[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      all.push(parseStat(readFileSync(`/proc/${name}/stat`, "latin1")));
    } catch {
      // gone between readdir and open
    }
  }
  return treeOf(root, all);
}

/**
 * CPU seconds used by a tree since it started. Includes reaped children, so that a worker that ends within the measured
 * window moves from its own line to its parent's and is not lost. Throws when the root is gone.
 */
export function readTreeCpuSeconds(root: number): number {
  const tree = readTree(root);
  if (tree.length === 0) throw new Error(`process ${root} is gone`);
  let ticks = 0;
  for (const stat of tree) ticks += stat.utime + stat.stime + stat.cutime + stat.cstime;
  return ticks / TICKS_PER_SECOND;
}

/** Memory of a tree. Throws when the root is gone. */
export function readTreeMemory(root: number): Memory {
  const tree = readTree(root);
  if (tree.length === 0) throw new Error(`process ${root} is gone`);
  let rss = 0;
  let pss = 0;
  for (const { pid } of tree) {
    const memory = parseSmapsRollup(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"));
    rss += memory.rss;
    pss += memory.pss;
  }
  return { rss, pss };
}

/** Ticks of the given CPUs since boot. */
export function readCpuTicks(cpus: readonly number[]): CpuTicks {
  return parseCpuTicks(readFileSync("/proc/stat", "latin1"), cpus);
}
