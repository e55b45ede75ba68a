// From the words on the command line to a command.

import { VERSION } from "../base/version.ts";
import { didYouMean } from "../config/suggest.ts";
import { isTerminal, print, printError } from "../sys/console.ts";
import { argv, environment, workingDirectory } from "../sys/process.ts";
import { ExitCode, formatHelp, type Command, type Io } from "./command.ts";
import { command as check } from "./check.ts";
import { command as demo } from "./demo.ts";
import { command as drain } from "./drain.ts";
import { command as explain } from "./explain.ts";
import { command as limits } from "./limits.ts";
import { command as ready } from "./ready.ts";
import { command as reload } from "./reload.ts";
import { command as run } from "./run.ts";
import { command as schema } from "./schema.ts";
import { command as status } from "./status.ts";

/** In the order of `sluice --help`. */
export const commands: readonly Command[] = [run, demo, check, explain, reload, status, drain, ready, limits, schema];

/** Runs the command of this process's arguments; resolves with the exit code. */
export function runCommandLine(): Promise<number> {
  const variables = environment();
  const noColor = (variables["NO_COLOR"] ?? "") !== "";
  const io: Io = {
    out: print,
    err: printError,
    color: isTerminal(1) && !noColor,
    env: variables,
    cwd: workingDirectory(),
  };
  return dispatch(argv(), io);
}

/** Runs the command that the arguments name. */
export function dispatch(args: readonly string[], io: Io): Promise<number> {
  const command = commands.find(({ name }) => name === args[0]);
  return command === undefined ? Promise.resolve(withoutCommand(args, io)) : command.run(args.slice(1), io);
}

/** The exit code of a command line that names no command of the list. */
function withoutCommand(args: readonly string[], io: Io): number {
  const [word, ...rest] = args;
  if (word === undefined) {
    io.err(overview());
    return ExitCode.Usage;
  }
  if (word === "--version" || word === "-v") {
    io.out(`sluice ${VERSION}\n`);
    return ExitCode.Ok;
  }
  if (word === "--help" || word === "-h" || word === "help") {
    const named = commands.find(({ name }) => name === rest[0]);
    io.out(named === undefined ? overview() : formatHelp(named));
    return ExitCode.Ok;
  }
  const near = didYouMean(
    word,
    commands.map(({ name }) => name),
  );
  io.err(`sluice: there is no command ${JSON.stringify(word)}${near === "" ? "" : `; ${near}?`}\n`);
  io.err("sluice --help lists them\n");
  return ExitCode.Usage;
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `Sluice, a load balancer

usage: sluice COMMAND [options]

${lines.join("")}
sluice COMMAND --help says more about one. sluice --version prints the version.
`;
}
