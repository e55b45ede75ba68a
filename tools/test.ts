// The test driver behind `npm test`: runs the unit tests, then the scenarios, each in a `bun test` process of its own,
// and ends with one line "N passed, N failed". A runner that crashes, hangs or reports nothing counts as a failure: no
// green by accident. It decides nothing about single tests; those are bun's business.

import { Glob } from "bun";
import { resolve } from "node:path";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Group {
  readonly name: string;
  readonly folders: readonly string[];
  /** Flags of `bun test` for this group. */
  readonly flags: readonly string[];
  /** Wall-clock bound of the whole group; past it the runner is killed and the group has failed. */
  readonly deadlineMs: number;
}

/**
 * Unit tests share nothing, so their files run in parallel processes, and a crash costs one file. Scenarios start real
 * processes and load generators, and come alone, one after the other.
 */
const groups: readonly Group[] = [
  { name: "unit", folders: ["src", "tools", "bench", "kit"], flags: ["--parallel"], deadlineMs: 240_000 },
  { name: "scenario", folders: ["test"], flags: [], deadlineMs: 540_000 },
];

/** Per test, not per file; scenarios that start processes under load need more than bun's 5 s. */
const testTimeoutMs = 30_000;

const root = resolve(import.meta.dir, "..");

/**
 * The counts in the closing lines of `bun test`. Text without them (a crash, a test that called process.exit), and an
 * exit code that the counts do not explain (an error outside any test), are one failure more.
 */
export function countsOf(output: string, exitCode: number): Counts {
  const closing = [...output.matchAll(/^ *(\d+) pass\n(?: *\d+ (?:skip|todo|filtered out)\n)* *(\d+) fail\n/gm)].at(-1);
  if (closing === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const passed = Number(closing[1]);
  const failed = Number(closing[2]);
  const skipped = Number(/ (\d+) skip\n/.exec(closing[0])?.[1] ?? 0);
  return { passed, failed: exitCode !== 0 && failed === 0 ? 1 : failed, skipped };
}

async function copyAndKeep(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function hasTests(folder: string): boolean {
  for (const _ of new Glob(`${folder}/**/*.test.ts`).scanSync(root)) return true;
  return false;
}

async function runGroup(group: Group, extra: readonly string[]): Promise<Counts> {
  const folders = group.folders.filter(hasTests).map((folder) => `./${folder}/`);
  if (folders.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  process.stdout.write(`\n== ${group.name}: ${folders.join(" ")}\n`);
  const child = Bun.spawn(
    [process.execPath, "test", `--timeout=${testTimeoutMs}`, ...group.flags, ...extra, ...folders],
    {
      cwd: root,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: group.deadlineMs,
      killSignal: "SIGKILL",
    },
  );
  const [, report] = await Promise.all([copyAndKeep(child.stdout), copyAndKeep(child.stderr)]);
  const exitCode = await child.exited;
  if (child.signalCode !== null) process.stdout.write(`\n${group.name}: the runner ended by ${child.signalCode}\n`);
  return countsOf(report, child.signalCode === null ? exitCode : 1);
}

/** Arguments: names of groups to run (none = all); what begins with a dash goes to `bun test`. */
async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((word) => !word.startsWith("-"));
  const extra = args.filter((word) => word.startsWith("-"));
  const unknown = names.find((name) => !groups.some((group) => group.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`no test group ${unknown}; there are ${groups.map((group) => group.name).join(", ")}\n`);
    return 2;
  }
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const group of groups) {
    if (names.length > 0 && !names.includes(group.name)) continue;
    const counts = await runGroup(group, extra);
    passed += counts.passed;
    failed += counts.failed;
    skipped += counts.skipped;
  }
  if (passed === 0) failed += 1; // nothing ran: that is not success
  if (skipped > 0) process.stdout.write(`\n${skipped} skipped; the reasons are above\n`);
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
