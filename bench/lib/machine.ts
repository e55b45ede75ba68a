// What the figures were measured on, and whether the machine is quiet enough to measure at all.

import { readFileSync } from "node:fs";
import { firstLine } from "./contender.ts";
import { usableCpus } from "./cpus.ts";

export interface Machine {
  readonly kernel: string;
  readonly cpu: string;
  /** How many this process may use. */
  readonly cpus: number;
  /** One-minute load average at the start. */
  readonly load: number;
  /** True when the kernel accounts interrupt time apart from process time (CONFIG_IRQ_TIME_ACCOUNTING). */
  readonly separateInterrupts: boolean;
  readonly wrk: string;
}

/** Above this one-minute load average the figures would say more about the neighbours than about the proxies. */
export const LOAD_MAX = 0.5;

/** Programs without which nothing works, with the Debian package of each. */
const NEEDED: readonly (readonly [string, string])[] = [
  ["wrk", "wrk"],
  ["nginx", "nginx-light"],
  ["taskset", "util-linux"],
  ["setpriv", "util-linux"],
];

/** The packages to install; empty when all is there. */
export function missingPackages(): string[] {
  return NEEDED.filter(([program]) => Bun.which(program) === null).map(([, name]) => name);
}

/** "model name" of /proc/cpuinfo; "unknown" where there is none. */
export function parseCpuModel(cpuinfo: string): string {
  return /^model name\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.trim() ?? "unknown";
}

/** The names of the kernel's functions; "" where they are hidden. */
function kernelSymbols(): string {
  try {
    return readFileSync("/proc/kallsyms", "latin1");
  } catch {
    return "";
  }
}

/** Reads the machine's description. */
export function describeMachine(): Machine {
  return {
    kernel: readFileSync("/proc/sys/kernel/osrelease", "latin1").trim(),
    cpu: parseCpuModel(readFileSync("/proc/cpuinfo", "latin1")),
    cpus: usableCpus().length,
    load: Number(readFileSync("/proc/loadavg", "latin1").split(" ")[0]),
    separateInterrupts: kernelSymbols().includes(" irqtime_account_irq"),
    wrk: firstLine(["wrk", "-v"], 1).replace(/ \[.*$/, ""),
  };
}
