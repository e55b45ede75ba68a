// The program's entry: becomes a worker, a back end of the demonstration, or runs a command. What a role does not need
// it does not load: workers carry no YAML parser.

import { env, exit, role } from "../sys/process.ts";

if (role() === "worker") {
  if (env("SLUICE_DEMO_BACKEND") !== undefined) (await import("./demo-backend.ts")).runDemoBackend();
  else (await import("./worker-entry.ts")).startWorker();
} else {
  const { runCommandLine } = await import("./command-line.ts");
  exit(await runCommandLine());
}
