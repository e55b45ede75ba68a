// One cell of the table: one proxy in one scenario, once. Starts a fresh proxy, checks it, warms it up, measures, stops
// it.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child, Children } from "./children.ts";
import type { Contender } from "./contender.ts";
import { type CpuPlan, freePort, planCpus, usableCpus } from "./cpus.ts";
import { type Origin, waitForHttp } from "./origin.ts";
import { readCpuTicks, readTreeCpuSeconds, readTreeMemory, TICKS_PER_SECOND } from "./proc-stat.ts";
import type { IdleScenario, LoadScenario, Scenario } from "./scenarios.ts";
import { verifyProxy } from "./verify.ts";
import { postScript, runWrk } from "./wrk.ts";

/** The figures of a cell. A field that has no meaning in the scenario is null. */
export interface CellFigures {
  readonly cpuUsPerRequest: number | null;
  readonly requestsPerSecond: number | null;
  readonly p99Ms: number | null;
  /** Under load, or with all connections idle. */
  readonly rssBytes: number;
  readonly pssBytes: number;
  readonly bytesPerConnection: number | null;
  readonly requests: number;
  /** Connections to the origin opened within the measured window. */
  readonly upstreamOpened: number;
  /**
   * Interrupt time of the proxy's CPUs per request, on kernels that keep it out of process time: it comes on top of
   * cpuUsPerRequest. Null on the others, where cpuUsPerRequest includes it.
   */
  readonly interruptUsPerRequest: number | null;
  /** Share of the proxy's CPUs that other processes used or the hypervisor took during the window; 0 is quiet. */
  readonly foreignShare: number | null;
}

/** What every cell needs. */
export interface CellContext {
  readonly children: Children;
  readonly origin: Origin;
  readonly seconds: number;
  readonly warmupSeconds: number;
  /** See Machine. */
  readonly separateInterrupts: boolean;
}

interface Proxy {
  readonly child: Child;
  readonly port: number;
  readonly base: string;
}

const US = 1e6;
const IDLE_SETTLE_MS = 1000;
const IDLE_SETTLE_MAX_MS = 15_000;
let cells = 0;

async function startProxy(context: CellContext, contender: Contender, workers: number, cpus: CpuPlan): Promise<Proxy> {
  const dir = join(context.children.dir, `${contender.name}-${++cells}`);
  mkdirSync(dir);
  const port = freePort();
  const setup = { dir, port, adminPort: freePort(), endpoints: context.origin.endpoints, workers };
  const plan = contender.plan(setup);
  for (const [name, text] of Object.entries(plan.files)) writeFileSync(join(dir, name), text);
  const logFile = join(dir, "output.log");
  const child = context.children.start({ name: contender.name, command: plan.command, cpus: cpus.proxy, logFile });
  const proxy = { child, port, base: `http://127.0.0.1:${port}` };
  try {
    await waitForHttp(`${proxy.base}/small`, child);
    await verifyProxy(proxy.base, context.origin, workers);
  } catch (error) {
    await child.stop();
    throw error;
  }
  return proxy;
}

function cpusFor(scenario: Scenario): CpuPlan {
  const shared = scenario.kind === "load" ? scenario.proxyCpus : 0;
  return planCpus(usableCpus(), Math.max(shared, scenario.workers));
}

async function measureLoad(
  context: CellContext,
  proxy: Proxy,
  scenario: LoadScenario,
  cpus: CpuPlan,
): Promise<CellFigures> {
  const script = scenario.bodyBytes > 0 ? join(context.children.dir, `post-${scenario.bodyBytes}.lua`) : null;
  if (script !== null) writeFileSync(script, postScript(scenario.bodyBytes));
  const run = {
    url: proxy.base + scenario.path,
    connections: scenario.connections,
    headers: scenario.closing ? ["Connection: close"] : [],
    script,
    cpus: cpus.load,
  };
  if (context.warmupSeconds > 0) await runWrk(context.children, { ...run, seconds: context.warmupSeconds });

  const openedBefore = await context.origin.accepted();
  const machineBefore = readCpuTicks(cpus.proxyCpus);
  const cpuBefore = readTreeCpuSeconds(proxy.child.pid);
  const running = runWrk(context.children, { ...run, seconds: context.seconds });
  running.catch(() => {}); // awaited below; here only so that an early failure is not "unhandled"
  await Bun.sleep(context.seconds * 750);
  const memory = readTreeMemory(proxy.child.pid);
  const report = await running;
  const cpu = readTreeCpuSeconds(proxy.child.pid) - cpuBefore;
  const machine = readCpuTicks(cpus.proxyCpus);
  const upstreamOpened = (await context.origin.accepted()) - openedBefore;

  if (report.errors > 0) throw new Error(`${report.errors} of ${report.requests} requests failed`);
  if (report.requests === 0) throw new Error("no request was answered");
  const opens = Math.max(scenario.connections * 4, report.requests * 0.01);
  if (upstreamOpened > opens)
    throw new Error(`${upstreamOpened} connections to the origin for ${report.requests} requests`);
  const interrupt = (machine.interrupt - machineBefore.interrupt) / TICKS_PER_SECOND;
  const charged = (machine.process + machine.steal - machineBefore.process - machineBefore.steal) / TICKS_PER_SECOND;
  const busy = context.separateInterrupts ? charged : charged + interrupt;
  const alone = cpus.proxy !== cpus.load; // otherwise the load itself is among the others
  return {
    cpuUsPerRequest: (cpu * US) / report.requests,
    requestsPerSecond: report.requestsPerSecond,
    p99Ms: report.p99Ms,
    rssBytes: memory.rss,
    pssBytes: memory.pss,
    bytesPerConnection: null,
    requests: report.requests,
    upstreamOpened,
    interruptUsPerRequest: context.separateInterrupts ? (interrupt * US) / report.requests : null,
    foreignShare: alone ? Math.max(0, busy - cpu) / (report.seconds * cpus.proxyCpus.length) : null,
  };
}

/** Memory once it has stopped changing (by more than one part in two hundred a second), or after fifteen seconds. */
async function settledMemory(pid: number): Promise<{ rss: number; pss: number }> {
  let last = readTreeMemory(pid);
  for (let waited = 0; waited < IDLE_SETTLE_MAX_MS; waited += IDLE_SETTLE_MS) {
    await Bun.sleep(IDLE_SETTLE_MS);
    const now = readTreeMemory(pid);
    if (Math.abs(now.rss - last.rss) <= last.rss / 200) return now;
    last = now;
  }
  return last;
}

/** Waits for the opener's line that begins with the word; returns the number after it. */
async function openerSays(opener: Child, word: string): Promise<number> {
  let ended = false;
  void opener.exited.then(() => (ended = true));
  const deadline = performance.now() + 120_000;
  for (;;) {
    const match = new RegExp(`^${word} (\\d+)$`, "m").exec(opener.output());
    if (match !== null) return Number(match[1]);
    if (ended || performance.now() > deadline) throw new Error(`the opener never said "${word}":\n${opener.output()}`);
    await Bun.sleep(20);
  }
}

async function measureIdle(
  context: CellContext,
  proxy: Proxy,
  scenario: IdleScenario,
  cpus: CpuPlan,
): Promise<CellFigures> {
  // Traffic first, so that what grows once (compiled code, connections to the origin) is not charged to idling.
  const url = `${proxy.base}/small`;
  const seconds = Math.max(1, context.warmupSeconds);
  await runWrk(context.children, { url, seconds, connections: 32, headers: [], script: null, cpus: cpus.load });
  const before = await settledMemory(proxy.child.pid);
  const openedBefore = await context.origin.accepted();
  const file = join(import.meta.dir, "idle-opener.ts");
  const command = [process.execPath, file, String(proxy.port), String(scenario.connections), "/small"];
  const opener = context.children.start({ name: "opener", command, cpus: cpus.load, logFile: null });
  try {
    const ready = await openerSays(opener, "ready");
    if (ready !== scenario.connections)
      throw new Error(`only ${ready} of ${scenario.connections} connections were served`);
    const after = await settledMemory(proxy.child.pid);
    opener.process.stdin?.write("again\n");
    const again = await openerSays(opener, "again");
    if (again !== scenario.connections)
      throw new Error(`only ${again} of ${scenario.connections} connections were kept`);
    return {
      cpuUsPerRequest: null,
      requestsPerSecond: null,
      p99Ms: null,
      rssBytes: after.rss,
      pssBytes: after.pss,
      bytesPerConnection: Math.max(0, after.rss - before.rss) / scenario.connections,
      requests: ready + again,
      upstreamOpened: (await context.origin.accepted()) - openedBefore,
      interruptUsPerRequest: null,
      foreignShare: null,
    };
  } finally {
    await opener.stop();
  }
}

/** Runs one cell. Throws with the reason when the proxy does not start, answers wrongly or fails requests. */
export async function runCell(context: CellContext, contender: Contender, scenario: Scenario): Promise<CellFigures> {
  const cpus = cpusFor(scenario);
  const proxy = await startProxy(context, contender, scenario.workers, cpus);
  try {
    switch (scenario.kind) {
      case "load":
        return await measureLoad(context, proxy, scenario, cpus);
      case "idle":
        return await measureIdle(context, proxy, scenario, cpus);
    }
  } finally {
    await proxy.child.stop();
  }
}
