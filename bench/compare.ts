// Side-by-side benchmark of Sluice, nginx and HAProxy: the same work, on the same machine, in the same run.
// docs/benchmarks.md describes the method. This file only strings the parts in lib/ together.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CellContext, runCell } from "./lib/cell.ts";
import { createChildren } from "./lib/children.ts";
import type { Contender } from "./lib/contender.ts";
import { SUBJECT } from "./lib/contenders.ts";
import { planCpus, usableCpus } from "./lib/cpus.ts";
import { replaceResults } from "./lib/docs.ts";
import { describeMachine, LOAD_MAX, type Machine, missingPackages } from "./lib/machine.ts";
import { type Options, parseOptions, USAGE } from "./lib/options.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Cell, exitCode, type Row, scalingNotes, summarize } from "./lib/summary.ts";
import { markdownTable, textTable } from "./lib/table.ts";

const DOCS = join(import.meta.dir, "../docs/benchmarks.md");
/** Above this share of the proxy's CPU taken by others a cell is called disturbed. */
const FOREIGN_SHARE_MAX = 0.05;

function fail(message: string): never {
  console.error(`bench/compare: ${message}`);
  process.exit(2);
}

function options(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)} (--help lists the options)`);
  }
}

/** Versions of the contenders; one that is not installed ends the run with a hint. */
function versions(contenders: readonly Contender[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const contender of contenders) {
    try {
      found[contender.name] = contender.version();
    } catch (error) {
      fail(`${contender.name} does not run (${String(error)}); install it or leave it out with --contenders`);
    }
  }
  return found;
}

function checkMachine(chosen: Options): Machine {
  const missing = missingPackages();
  if (missing.length > 0) fail(`programs are missing; on Debian: apt-get install ${missing.join(" ")}`);
  const machine = describeMachine();
  if (machine.cpus < 2) console.error("bench/compare: only one CPU: proxy and load share it, so latency means little");
  if (machine.load > LOAD_MAX) {
    const state = `the machine is busy (load average ${machine.load}, at most ${LOAD_MAX} wanted)`;
    if (!chosen.force && !chosen.quick) fail(`${state}; wait, or run with --force`);
    console.error(`bench/compare: ${state}; going on all the same`);
  }
  return machine;
}

async function measure(context: CellContext, chosen: Options): Promise<Cell[]> {
  const cells: Cell[] = [];
  for (const scenario of chosen.scenarios) {
    for (let round = 0; round < chosen.rounds; round++) {
      // Another one begins each round, so that nobody always runs on a machine warmed by the same neighbour.
      const order = chosen.contenders.map((_, i) => chosen.contenders[(i + round) % chosen.contenders.length]!);
      for (const contender of order) {
        const at = { scenario: scenario.name, contender: contender.name, round };
        let cell: Cell;
        try {
          cell = { ...at, figures: await runCell(context, contender, scenario), error: null };
        } catch (error) {
          cell = { ...at, figures: null, error: error instanceof Error ? error.message : String(error) };
        }
        cells.push(cell);
        console.error(progressLine(cell));
      }
    }
  }
  return cells;
}

function progressLine(cell: Cell): string {
  const f = cell.figures;
  const where = `${cell.scenario} round ${cell.round + 1} ${cell.contender}:`;
  if (f === null) return `${where} FAILED: ${cell.error}`;
  if (f.bytesPerConnection !== null) return `${where} ${f.bytesPerConnection.toFixed(0)} B/connection`;
  const disturbed = f.foreignShare !== null && f.foreignShare > FOREIGN_SHARE_MAX;
  const note = disturbed ? ` (disturbed: others took ${(f.foreignShare * 100).toFixed(0)} % of its CPU)` : "";
  return `${where} ${f.cpuUsPerRequest?.toFixed(1)} µs/req, ${f.requestsPerSecond?.toFixed(0)} req/s${note}`;
}

function about(machine: Machine, found: Readonly<Record<string, string>>, chosen: Options): string {
  const cpus = planCpus(usableCpus(), 1);
  const pinning = `proxy on CPU ${cpus.proxy}, load and origin on CPU ${cpus.load}`;
  return [
    `Date: ${new Date().toISOString().slice(0, 10)}`,
    `Machine: ${machine.cpus} × ${machine.cpu}, Linux ${machine.kernel}, load average ${machine.load} at the start`,
    `Versions: ${Object.values(found).join(", ")}, load by ${machine.wrk}`,
    `Method: ${chosen.rounds} interleaved rounds of ${chosen.seconds} s, medians; ${pinning}`,
  ].join("\n");
}

function errorLines(rows: readonly Row[]): string[] {
  return rows.flatMap((row) => (row.error === null ? [] : [`${row.scenario}, ${row.contender}: ${row.error}`]));
}

async function main(): Promise<number> {
  const chosen = options();
  if (chosen.help) {
    console.log(USAGE);
    return 0;
  }
  const machine = checkMachine(chosen);
  const found = versions(chosen.contenders);
  const header = about(machine, found, chosen);
  console.error(`${header}\n`);

  const children = createChildren();
  const origin = await startOrigin(children, planCpus(usableCpus(), 1).load);
  const context = {
    children,
    origin,
    seconds: chosen.seconds,
    warmupSeconds: chosen.warmupSeconds,
    separateInterrupts: machine.separateInterrupts,
  };
  const cells = await measure(context, chosen);
  await origin.stop();

  const names = chosen.contenders.map((contender) => contender.name);
  const rows = summarize(chosen.scenarios, names, SUBJECT, cells);
  const notes = [...scalingNotes(rows), ...errorLines(rows)];
  console.log(`\n${textTable(rows)}\n`);
  for (const note of notes) console.log(note);
  if (chosen.json !== null) {
    const report = { date: new Date().toISOString(), machine, versions: found, rounds: chosen.rounds, rows, cells };
    writeFileSync(chosen.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  if (chosen.writeDocs) {
    const list = header.split("\n").map((line) => `- ${line}`);
    const results = [...list, "", markdownTable(rows), "", ...notes.map((note) => `${note}\n`)].join("\n");
    writeFileSync(DOCS, replaceResults(readFileSync(DOCS, "utf8"), results));
  }
  return exitCode(rows, chosen.quick);
}

process.exit(
  await main().catch((error: unknown) => {
    console.error(`bench/compare: ${error instanceof Error ? error.message : String(error)}`);
    return 2;
  }),
);
