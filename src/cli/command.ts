// What every command of the program is: a name, its help, and a function of arguments and terminal. Commands never exit
// the process and never write past their Io, so that each can be tested as a function.

/** The world of a command. */
export interface Io {
  /** Writes to standard output, as it is; lines bring their own ends. */
  out(text: string): void;
  /** Writes to standard error. */
  err(text: string): void;
  /** Whether colours may be used: a terminal, and not NO_COLOR. */
  readonly color: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** Exit codes of all commands. */
export const ExitCode = {
  Ok: 0,
  /** The command did its work and the answer is no: a mistake in a file, a refused request. */
  Failed: 1,
  /** The command line itself is wrong. */
  Usage: 2,
  /** The balancer could not be started: an address in use, a user that does not exist. */
  Start: 3,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export interface Command {
  /** The word on the command line. */
  readonly name: string;
  /** One line for the list of commands, without a full stop. */
  readonly summary: string;
  /** "sluice check [options] [file]" */
  readonly usage: string;
  /** The rest of `--help`: options, one a line, and what else to know. */
  readonly help: string;
  /** Resolves with the exit code; args are those after the command's name. */
  run(args: readonly string[], io: Io): Promise<number>;
}

/** What `--help` prints. */
export function formatHelp(command: Command): string {
  return `${command.summary}\n\nusage: ${command.usage}\n\n${command.help.replace(/^\n+|\s+$/g, "")}\n`;
}
