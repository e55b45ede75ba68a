// Child processes that cannot outlive the tests. `bun test` runs no exit handlers, so the kernel has to do it: a signal
// at the parent's death. Where there is no setpriv (not Linux), only an orderly end of the test ends its children.

/** The command, killed by the kernel when this process ends in any way. */
export function tied(command: readonly string[]): string[] {
  return Bun.which("setpriv") === null ? [...command] : ["setpriv", "--pdeathsig", "KILL", ...command];
}

/** Kills all processes of a group: of a child that was started with `detached: true`, and what it has started. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // nobody left
  }
}
