// Builds the one executable, dist/sluice: the program, its packages and Bun in a single file that needs only the C
// library. `tools/build.ts [--outfile PATH] [--target bun-linux-arm64 …]`; a target other than this machine's is
// fetched by Bun.

import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = resolve(import.meta.dir, "..");

interface BuildOptions {
  readonly outfile: string;
  /** As `bun build --target` takes it; null = this machine. */
  readonly target: string | null;
}

/** Builds, with Bun's own messages on standard error; the exit code of the build. */
export async function build(options: BuildOptions): Promise<number> {
  mkdirSync(dirname(options.outfile), { recursive: true });
  const command = [
    process.execPath,
    "build",
    "--compile",
    "--minify",
    // A .env or bunfig.toml of the directory it runs in must not change a load balancer.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    // Packages that a sluice.config.ts imports say in their package.json where their code is.
    "--compile-autoload-package-json",
    ...(options.target === null ? [] : [`--target=${options.target}`]),
    `--outfile=${options.outfile}`,
    `${root}/src/cli/main.ts`,
  ];
  const child = Bun.spawn(command, { cwd: root, stdin: "ignore", stdout: "inherit", stderr: "inherit" });
  return await child.exited;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    options: { outfile: { type: "string", default: `${root}/dist/sluice` }, target: { type: "string" } },
  });
  const outfile = resolve(values.outfile);
  const code = await build({ outfile, target: values.target ?? null });
  if (code === 0) process.stdout.write(`${outfile}: ${(statSync(outfile).size / 1e6).toFixed(0)} MB\n`);
  process.exit(code);
}
