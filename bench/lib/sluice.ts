// Sluice as a contender: run from source with the defaults; only limits that the scenarios would hit are raised.

import { join } from "node:path";
import { type Contender, firstLine, type ProxySetup } from "./contender.ts";

const ROOT = join(import.meta.dir, "../..");
const COMMAND = [process.execPath, join(ROOT, "src/cli/main.ts")];

function config(setup: ProxySetup): string {
  return `workers: ${setup.workers}
admin: { bind: 127.0.0.1:${setup.adminPort} }
accessLog: off
timeouts: { drain: 1s }
listeners:
  web:
    bind: 127.0.0.1:${setup.port}
    protocol: http
    timeouts: { idle: 600s }
    limits: { connections: 16384 }
    forward: app
pools:
  app:
    balance: round-robin
    keepAlive: { connections: 256, idle: 600s }
    endpoints: [${setup.endpoints.join(", ")}]
`;
}

function version(): string {
  const commit = Bun.spawnSync(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], { stderr: "ignore" });
  const suffix = commit.exitCode === 0 ? ` (${commit.stdout.toString().trim()})` : "";
  return `${firstLine([...COMMAND, "--version"])}${suffix} on Bun ${Bun.version}`;
}

export const sluice: Contender = {
  name: "sluice",
  version,
  plan: (setup) => ({
    files: { "sluice.yaml": config(setup) },
    command: [...COMMAND, "run", join(setup.dir, "sluice.yaml")],
  }),
};
