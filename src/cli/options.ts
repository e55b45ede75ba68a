// A small option parser: long options, a short form for some, values as the next word or after "=", everything else
// positional, "--" ends options. Mistakes are sentences, not exceptions.

import { didYouMean } from "../config/suggest.ts";
import { ExitCode, formatHelp, type Command, type Io } from "./command.ts";

export interface OptionSpec {
  /** Without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** Takes a value. */
  readonly takesValue?: boolean;
}

export interface Options {
  has(name: string): boolean;
  /** The last value given, or undefined. */
  value(name: string): string | undefined;
  /** All values given, in order. */
  values(name: string): readonly string[];
  readonly positionals: readonly string[];
}

const helpSpec: OptionSpec = { name: "help", short: "h" };

/** The parsed arguments, or what is wrong with them. `--help` and `-h` are always known. */
export function parseOptions(
  args: readonly string[],
  specs: readonly OptionSpec[],
  positionalsMax: number,
): Options | string {
  const all = [...specs, helpSpec];
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  let at = 0;
  while (at < args.length) {
    const word = args[at++]!;
    if (word === "--") {
      positionals.push(...args.slice(at));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      positionals.push(word);
      continue;
    }
    const glued = all.find((s) => s.takesValue === true && s.short !== undefined && isGlued(word, s.short));
    if (glued !== undefined) {
      given.set(glued.name, [...(given.get(glued.name) ?? []), word.slice(2)]);
      continue;
    }
    const equals = word.indexOf("=");
    const flag = equals < 0 ? word : word.slice(0, equals);
    const spec = all.find((s) => flag === `--${s.name}` || (s.short !== undefined && flag === `-${s.short}`));
    if (spec === undefined) return unknownOption(flag, all);
    const values = given.get(spec.name) ?? [];
    given.set(spec.name, values);
    if (spec.takesValue !== true) {
      if (equals >= 0) return `${flag} takes no value`;
      continue;
    }
    const value = equals >= 0 ? word.slice(equals + 1) : args[at++];
    if (value === undefined) return `${flag} needs a value`;
    values.push(value);
  }
  if (positionals.length > positionalsMax) return `unexpected argument ${positionals[positionalsMax]}`;
  return {
    has: (name) => given.has(name),
    value: (name) => given.get(name)?.at(-1),
    values: (name) => given.get(name) ?? [],
    positionals,
  };
}

/** "-Hvalue": a short option with its value in one word, as other programs take it. */
function isGlued(word: string, short: string): boolean {
  return word.length > 2 && word.startsWith(`-${short}`) && word[2] !== "=";
}

function unknownOption(flag: string, specs: readonly OptionSpec[]): string {
  const known = specs.map((s) => `--${s.name}`);
  const near = didYouMean(flag, known);
  return near === "" ? `unknown option ${flag}; there are ${known.join(", ")}` : `unknown option ${flag}; ${near}?`;
}

/** The options, or the exit code after help or a complaint has been printed. */
export function readOptions(
  command: Command,
  args: readonly string[],
  specs: readonly OptionSpec[],
  positionalsMax: number,
  io: Io,
): Options | ExitCode {
  const options = parseOptions(args, specs, positionalsMax);
  if (typeof options === "string") {
    io.err(`sluice ${command.name}: ${options}\nusage: ${command.usage}\n`);
    return ExitCode.Usage;
  }
  if (!options.has("help")) return options;
  io.out(formatHelp(command));
  return ExitCode.Ok;
}
