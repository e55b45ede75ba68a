// Which CPUs the proxy and the load run on, and which ports they use.

import { readFileSync } from "node:fs";

/** Lists for taskset, and the proxy's as numbers. */
export interface CpuPlan {
  readonly proxy: string;
  readonly load: string;
  readonly proxyCpus: readonly number[];
}

/** Parses a kernel CPU list such as "0-3,8". */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  for (const part of text.trim().split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) throw new Error(`not a CPU list: ${text}`);
    const last = Number(match[2] ?? match[1]);
    for (let cpu = Number(match[1]); cpu <= last; cpu++) cpus.push(cpu);
  }
  return cpus;
}

/** The CPUs this process may use. */
export function usableCpus(): number[] {
  const match = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "latin1"));
  if (match === null) throw new Error("/proc/self/status has no Cpus_allowed_list");
  return parseCpuList(match[1]!);
}

/**
 * The proxy gets as many CPUs as it has workers and load and origin get the rest (three at most, so that a large
 * machine gives figures comparable with a small one). Where nothing would be left, everything shares all CPUs.
 */
export function planCpus(usable: readonly number[], workers: number): CpuPlan {
  const proxyCpus = usable.slice(0, workers);
  const load = usable.slice(workers, workers + 3);
  if (load.length < workers) {
    const all = usable.join(",");
    return { proxy: all, load: all, proxyCpus: usable };
  }
  return { proxy: proxyCpus.join(","), load: load.join(","), proxyCpus };
}

// Below the usual ephemeral range (32768 and up), so that thousands of client connections cannot take a chosen port.
const PORT_FIRST = 20_000;
const PORT_LAST = 31_999;
let nextPort = PORT_FIRST + ((process.pid * 37) % (PORT_LAST - PORT_FIRST));

/** A TCP port on 127.0.0.1 that is free now; never the same one twice in a run, until the range is used up. */
export function freePort(): number {
  for (let tries = 0; tries <= PORT_LAST - PORT_FIRST; tries++) {
    const port = nextPort++;
    if (nextPort > PORT_LAST) nextPort = PORT_FIRST;
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // in use
    }
  }
  throw new Error(`no free port between ${PORT_FIRST} and ${PORT_LAST}`);
}
