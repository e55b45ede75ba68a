// The fuzz driver: `bun tools/fuzz.ts [--seconds N] [--runs N] [--seed S] [--input BASE64] [name…]`. It finds every
// src/**/*.fuzz.ts, feeds each target mutated seeds, and stops at the first finding with the seed and a shrunk input to
// repeat it. It has no coverage feedback: breadth comes from the targets' own seeds. Exit 1: a finding; 2: the driver
// itself is wrong. A run that never returns is ended from outside by fuzz-watchdog.ts.

import { seededRng } from "../src/base/seeded-rng.ts";
import { canary } from "./fuzz-canary.ts";
import { createMutator } from "./fuzz-mutate.ts";

/** What a x.fuzz.ts file exports as `target`. */
export interface FuzzTarget {
  /** Unique, kebab-case: what the command line selects by. */
  readonly name: string;
  /** Inputs to mutate; at least one. Good seeds reach deep: whole valid messages, and odd ones that were bugs once. */
  readonly seeds: readonly Uint8Array[];
  /** Throws on a finding. Must not keep the bytes and must behave the same for the same bytes. */
  run(input: Uint8Array): void;
}

export interface FuzzOptions {
  readonly seed: number;
  /** Stop after so many runs. */
  readonly runsMax: number;
  /** Stop after so many milliseconds. */
  readonly millisecondsMax: number;
  /** Told before each run; the command hands it to the watchdog. */
  readonly onRun?: (input: Uint8Array) => void;
}

export interface Finding {
  readonly target: string;
  readonly seed: number;
  /** From 0; the unchanged seeds come first. */
  readonly run: number;
  readonly input: Uint8Array;
  readonly error: unknown;
}

export interface FuzzResult {
  readonly runs: number;
  readonly finding: Finding | null;
}

/** A single run may take this long before it counts as a finding: targets promise bounded, about linear work. */
export const RUN_MS_MAX = 2000;

function attempt(target: FuzzTarget, input: Uint8Array): unknown {
  const copy = input.slice(); // a target that writes to its input must not spoil the repeat
  const startMs = performance.now();
  try {
    target.run(copy);
  } catch (error) {
    return error ?? new Error("threw nothing");
  }
  const tookMs = performance.now() - startMs;
  return tookMs > RUN_MS_MAX ? new Error(`took ${Math.round(tookMs)} ms for ${input.length} bytes`) : null;
}

/** Cuts pieces out of a failing input for as long as it keeps failing; a bounded number of tries. */
function shrink(target: FuzzTarget, input: Uint8Array): Uint8Array {
  let best = input;
  let tries = 400;
  for (let piece = Math.max(1, best.length >> 1); piece >= 1 && tries > 0; piece >>= 1) {
    for (let at = 0; at + piece <= best.length && tries > 0; tries--) {
      const shorter = new Uint8Array(best.length - piece);
      shorter.set(best.subarray(0, at));
      shorter.set(best.subarray(at + piece), at);
      if (attempt(target, shorter) !== null) best = shorter;
      else at += piece;
    }
  }
  return best;
}

/**
 * Runs one target: its seeds as they are, then mutations, until a bound or a finding. The same seed repeats the same
 * inputs.
 */
export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzResult {
  if (target.seeds.length === 0) throw new Error(`fuzz target ${target.name} has no seeds`);
  const mutate = createMutator(target.seeds, seededRng(options.seed));
  const endMs = performance.now() + options.millisecondsMax;
  for (let run = 0; run < options.runsMax; run++) {
    if (performance.now() > endMs) return { runs: run, finding: null };
    const input = run < target.seeds.length ? target.seeds[run]! : mutate();
    options.onRun?.(input);
    const error = attempt(target, input);
    if (error !== null) {
      const small = shrink(target, input);
      const finding = {
        target: target.name,
        seed: options.seed,
        run,
        input: small,
        error: attempt(target, small) ?? error,
      };
      return { runs: run + 1, finding };
    }
  }
  return { runs: options.runsMax, finding: null };
}

/** Every target of the tree, by name; throws on a file without a proper one and on two of the same name. */
export async function discoverTargets(root: string): Promise<readonly FuzzTarget[]> {
  const files = [...new Bun.Glob("src/**/*.fuzz.ts").scanSync({ cwd: root })].toSorted();
  const targets = new Map<string, FuzzTarget>();
  for (const file of files) {
    const module: { readonly target?: FuzzTarget } = await import(`${root}/${file}`);
    const target = module.target;
    if (target === undefined) throw new Error(`${file} exports no target`);
    if (targets.has(target.name)) throw new Error(`${file}: a second fuzz target called ${target.name}`);
    targets.set(target.name, target);
  }
  return [...targets.values()];
}

/**
 * True if the driver finds the bug planted in the canary: a driver that finds nothing there would find nothing
 * anywhere.
 */
export function canaryFails(seed: number): boolean {
  return fuzz(canary, { seed, runsMax: 200_000, millisecondsMax: 10_000 }).finding !== null;
}

export function describeFinding(finding: Finding): string {
  const error = finding.error instanceof Error ? (finding.error.stack ?? finding.error.message) : String(finding.error);
  const base64 = Buffer.from(finding.input).toString("base64");
  return (
    `finding in ${finding.target}, seed ${finding.seed}, run ${finding.run}:\n${error}\n` +
    `input (base64): ${base64}\nrepeat: bun tools/fuzz.ts --input '${base64}' ${finding.target}`
  );
}

interface Arguments {
  /** null = not given: ten seconds, unless runs are given. */
  seconds: number | null;
  runs: number;
  seed: number;
  input: string | null;
  readonly names: string[];
}

/** The parsed command line, or what is wrong with it. */
function parseArguments(args: readonly string[]): Arguments | string {
  const parsed: Arguments = { seconds: null, runs: Infinity, seed: Date.now() % 1_000_000, input: null, names: [] };
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (!word.startsWith("-")) {
      parsed.names.push(word);
      continue;
    }
    const value = args[++i];
    if (value === undefined) return `${word} needs a value`;
    if (word === "--input") parsed.input = value;
    else if (word === "--seconds" || word === "--runs" || word === "--seed") {
      const number = Number(value);
      if (!Number.isFinite(number) || number < 0) return `${word} needs a number, not ${value}`;
      parsed[word === "--seconds" ? "seconds" : word === "--runs" ? "runs" : "seed"] = number;
    } else return `unknown option ${word}`;
  }
  return parsed;
}

/** Starts the watchdog thread; returns what tells it that a run begins. */
function startWatchdog(target: () => string): (input: Uint8Array) => void {
  const shared = new SharedArrayBuffer(8 + (1 << 20));
  const numbers = new Int32Array(shared, 0, 2);
  const bytes = new Uint8Array(shared, 8);
  const worker = new Worker(new URL("./fuzz-watchdog.ts", import.meta.url).href);
  worker.unref();
  let told = "";
  return (input) => {
    if (target() !== told) {
      told = target();
      worker.postMessage({ shared, target: told });
    }
    bytes.set(input.subarray(0, bytes.length));
    Atomics.store(numbers, 1, Math.min(input.length, bytes.length));
    Atomics.add(numbers, 0, 1);
  };
}

async function main(): Promise<number> {
  const args = parseArguments(process.argv.slice(2));
  if (typeof args === "string") {
    console.error(
      `fuzz: ${args}\nusage: bun tools/fuzz.ts [--seconds N] [--runs N] [--seed S] [--input BASE64] [name…]`,
    );
    return 2;
  }
  const all = [...(await discoverTargets(process.cwd())), canary];
  const chosen =
    args.names.length === 0 ? all.filter((t) => t !== canary) : all.filter((t) => args.names.includes(t.name));
  const unknown = args.names.find((name) => !all.some((t) => t.name === name));
  if (unknown !== undefined || chosen.length === 0) {
    console.error(`fuzz: no target ${unknown ?? ""}; there are ${all.map((t) => t.name).join(", ")}`);
    return 2;
  }
  if (args.input !== null) {
    const input = new Uint8Array(Buffer.from(args.input, "base64"));
    for (const target of chosen) target.run(input);
    console.log("no finding");
    return 0;
  }
  if (!canaryFails(args.seed)) {
    console.error(`fuzz: the canary was not found with seed ${args.seed}: the driver is broken`);
    return 2;
  }
  let current = "";
  const onRun = startWatchdog(() => current);
  const seconds = args.seconds ?? (args.runs === Infinity ? 10 : Infinity);
  const millisecondsMax = (seconds * 1000) / chosen.length;
  for (const target of chosen) {
    current = target.name;
    const result = fuzz(target, { seed: args.seed, runsMax: args.runs, millisecondsMax, onRun });
    if (result.finding !== null) {
      console.error(describeFinding(result.finding));
      return 1;
    }
    console.log(`${target.name}: ${result.runs} runs, seed ${args.seed}, no finding`);
    await Bun.sleep(0); // lets the message about the next target reach the watchdog
  }
  return 0;
}

if (import.meta.main) process.exit(await main());
