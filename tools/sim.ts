// The simulator's driver: `bun tools/sim.ts [--seed S] [--runs N] [--seconds N] [--profile NAME] [--verbose]`. Runs the
// real proxy over a simulated network, one seed after the other, and stops at the first violation with its seed, which
// together with the commit repeats the run exactly. Exit 1: a violation; 2: the arguments are wrong.

import { profileNames } from "../test/sim/weather.ts";
import { type RunResult, World } from "../test/sim/world.ts";

interface Options {
  readonly seed: number;
  readonly runs: number;
  readonly seconds: number;
  readonly profile: string;
  readonly verbose: boolean;
}

function readOptions(args: readonly string[]): Options | string {
  const options = { seed: 1, runs: Infinity, seconds: 10, profile: "", verbose: false };
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    const value = args[i + 1] ?? "";
    if (word === "--verbose") options.verbose = true;
    else if (word === "--profile" && profileNames.includes(value)) options.profile = args[++i]!;
    else if ((word === "--seed" || word === "--runs" || word === "--seconds") && /^\d+$/.test(value)) {
      options[word.slice(2) as "seed" | "runs" | "seconds"] = Number(args[++i]);
      if (word === "--runs") options.seconds = Infinity;
    } else return `what is ${word} ${value}? profiles are ${profileNames.join(", ")}`;
  }
  return options;
}

function report(result: RunResult, options: Options): string {
  const { violation, seed, profile } = result;
  const chosen = options.profile === "" ? "" : ` --profile ${profile}`;
  return [
    ...result.last,
    "",
    `seed ${seed} (${profile}): ${violation!.rule}: ${violation!.detail}`,
    `again: bun tools/sim.ts --seed ${seed} --runs 1${chosen} --verbose`,
    "",
  ].join("\n");
}

function main(args: readonly string[]): number {
  const options = readOptions(args);
  if (typeof options === "string") {
    process.stderr.write(`${options}\n`);
    return 2;
  }
  const say = (text: string): void => void process.stdout.write(text);
  const endMs = performance.now() + options.seconds * 1000;
  const total = { runs: 0, requests: 0, events: 0, virtualMs: 0 };
  const print = options.verbose ? { print: (line: string) => say(`${line}\n`) } : {};
  for (let seed = options.seed; total.runs < options.runs && performance.now() < endMs; seed++) {
    const result = new World({ seed, profile: options.profile, ...print }).run();
    total.runs++;
    total.requests += result.tally.requests;
    total.events += result.events;
    total.virtualMs += result.virtualMs;
    if (options.verbose) say(`${JSON.stringify({ ...result, statuses: [...result.statuses], last: [] })}\n`);
    if (result.violation !== null) {
      say(report(result, options));
      return 1;
    }
  }
  say(
    `${total.runs} runs, ${total.requests} requests, ${total.events} events, ` +
      `${Math.round(total.virtualMs / 1000)} virtual s\n`,
  );
  return 0;
}

if (import.meta.main) process.exit(main(Bun.argv.slice(2)));
