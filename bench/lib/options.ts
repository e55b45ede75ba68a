// Command-line options of bench/compare.

import { parseArgs } from "node:util";
import { CONTENDERS, DEFAULT_CONTENDERS, selectContenders } from "./contenders.ts";
import type { Contender } from "./contender.ts";
import { type Scenario, SCENARIOS, selectScenarios } from "./scenarios.ts";

export interface Options {
  readonly help: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly scenarios: readonly Scenario[];
  readonly contenders: readonly Contender[];
  /** Where to write the JSON report; null = nowhere. */
  readonly json: string | null;
  readonly writeDocs: boolean;
  /** Run although the machine is busy. */
  readonly force: boolean;
  /** Few and short measurements: shows that everything works, judges nothing. */
  readonly quick: boolean;
}

export const USAGE = `Usage: bench/compare [options]

Compares Sluice with nginx and HAProxy on this machine: CPU per request, throughput, latency and memory.

  --only A,B         scenarios: ${SCENARIOS.map((scenario) => scenario.name).join(", ")}
  --contenders A,B   of ${CONTENDERS.map((contender) => contender.name).join(", ")}
                     (default ${DEFAULT_CONTENDERS.join(",")})
  --rounds N         interleaved rounds, the median counts (default 3)
  --seconds N        length of one measurement (default 5); before it, 2 s of warm-up
  --quick            1 round of 2 s, also on a busy machine: shows that everything works, judges nothing
  --json FILE        write the report as JSON
  --write-docs       put the table into docs/benchmarks.md
  --force            run although the machine is busy
  --help

Exit code: 0 all targets met (or --quick), 1 a target missed, 2 something could not be measured.
`;

function positive(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 3600) {
    throw new Error(`--${name} ${text}: expected a whole number from 1 to 3600`);
  }
  return value;
}

function words(text: string | undefined): string[] {
  return (text ?? "").split(",").filter((word) => word !== "");
}

/** Parses the arguments after the program's name. Throws with a sentence on a mistake. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      only: { type: "string" },
      contenders: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      json: { type: "string" },
      quick: { type: "boolean", default: false },
      "write-docs": { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const quick = values.quick;
  const writeDocs = values["write-docs"];
  if (quick && writeDocs) throw new Error("--quick figures are not fit for the documentation: leave out --write-docs");
  const names = words(values.contenders);
  return {
    help: values.help,
    rounds: positive("rounds", values.rounds, quick ? 1 : 3),
    seconds: positive("seconds", values.seconds, quick ? 2 : 5),
    warmupSeconds: quick ? 1 : 2,
    scenarios: selectScenarios(words(values.only)),
    contenders: selectContenders(names.length === 0 ? DEFAULT_CONTENDERS : names),
    json: values.json ?? null,
    writeDocs,
    force: values.force,
    quick,
  };
}
