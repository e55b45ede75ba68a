// Runs a command of the program to its end, as a user would: `sluice check`, `sluice status`.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sluiceCommand } from "./sluice.ts";
import { tied } from "./tied.ts";
import type { ToolRun } from "./tool.ts";

export interface CommandOptions {
  /** Working directory; default is an empty one that is removed afterwards. */
  readonly dir?: string;
  /** Files in that directory, name to text. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 20_000;

/** Runs `sluice ARGS` to its end; any exit code is an answer. Killed, with code 137, after 20 s. */
export async function runSluice(args: readonly string[], options: CommandOptions = {}): Promise<ToolRun> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "sluice-command-"));
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(dir, name), text);
  const child = Bun.spawn(tied(sluiceCommand(...args)), {
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
  return { code, stdout, stderr };
}
