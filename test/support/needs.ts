// Programs that scenarios run beside Sluice (wrk, nginx, slowhttptest). Where one is missing a test leaves itself out
// and says so; in CI, where .ci/run installs them, nothing is left out: the test runs and fails.

const said = new Set<string>();

/** For test.skipIf: whether one of the programs is missing and this is not CI. Says which, once for each program. */
export function lacks(...programs: readonly string[]): boolean {
  const missing = programs.filter((name) => Bun.which(name) === null);
  if (missing.length === 0 || process.env["CI"] === "true") return false;
  for (const name of missing) {
    if (!said.has(name))
      process.stderr.write(`left out: ${name} is not installed, and tests that need it do not run\n`);
    said.add(name);
  }
  return true;
}
