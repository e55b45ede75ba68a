// What a proxy must offer to be compared: a name, a version, and how it is configured and started.

/** What a contender has to set up: a plain HTTP listener that balances over the endpoints, round robin. */
export interface ProxySetup {
  /** An empty directory of its own. */
  readonly dir: string;
  /** To listen on, at 127.0.0.1. */
  readonly port: number;
  readonly adminPort: number;
  /** host:port of each. */
  readonly endpoints: readonly string[];
  readonly workers: number;
}

/** The files to write into the directory (name to text) and the command to run. It must stay in the foreground. */
export interface ProxyPlan {
  readonly files: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

export interface Contender {
  readonly name: string;
  /** One line; throws when the program is not installed. */
  version(): string;
  plan(setup: ProxySetup): ProxyPlan;
}

/**
 * Runs a program and returns the first line it prints, standard error included. Throws when it ends with another code.
 */
export function firstLine(command: readonly string[], exitCode = 0): string {
  const run = Bun.spawnSync([...command], { stdout: "pipe", stderr: "pipe" });
  const text = run.stdout.toString() + run.stderr.toString();
  if (run.exitCode !== exitCode) throw new Error(`${command.join(" ")} ended with ${run.exitCode}: ${text.trim()}`);
  return text.split("\n")[0] ?? "";
}
