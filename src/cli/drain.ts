// `sluice drain POOL/ENDPOINT`: gives an endpoint nothing new, and can wait until it is idle.

import { parseDuration } from "../config/units.ts";
import type { EndpointView } from "../runtime/views.ts";
import { sleep } from "../sys/timers.ts";
import { adminHelp, adminOptions, connectAdmin, endpointPath, notAnEndpoint } from "./admin-client.ts";
import { ExitCode, type Command } from "./command.ts";
import { readOptions } from "./options.ts";
import { plural } from "./show-diagnostics.ts";

const pollMs = 250;
const defaultTimeout = "5m";

export const command: Command = {
  name: "drain",
  summary: "Give an endpoint nothing new, and let what it does finish",
  usage: "sluice drain [--wait] [--timeout DURATION] POOL/ENDPOINT",
  help: `
  --wait              return when it has no request in progress
  --timeout DURATION  how long to wait, ${defaultTimeout} by default; exit code 1 when it is busy still
${adminHelp}

The endpoint stays drained through reloads until sluice ready, or a change of its own admin key in the file.`,
  async run(args, io) {
    const specs = [...adminOptions, { name: "wait" }, { name: "timeout", takesValue: true }];
    const options = readOptions(command, args, specs, 1, io);
    if (typeof options === "number") return options;
    const [name] = options.positionals;
    const path = name === undefined ? null : endpointPath(name);
    const timeoutMs = parseDuration(options.value("timeout") ?? defaultTimeout);
    if (path === null || timeoutMs === null) {
      const problem = path === null ? notAnEndpoint(name) : "--timeout must be a duration: 30s, 5m";
      io.err(`sluice drain: ${problem}\nusage: ${command.usage}\n`);
      return ExitCode.Usage;
    }
    const client = await connectAdmin(command.name, options, io);
    if (typeof client === "number") return client;
    let answer = await client.call("PATCH", path, { admin: "drain" });
    if ("code" in answer) return answer.code;
    let active = (answer.value as EndpointView).active;
    io.out(`${name} is draining: ${plural(active, "request")} in progress\n`);
    if (!options.has("wait")) return ExitCode.Ok;
    for (let waitedMs = 0; active > 0; waitedMs += pollMs) {
      if (waitedMs >= timeoutMs) {
        io.err(`sluice drain: ${name} still has ${plural(active, "request")} in progress\n`);
        return ExitCode.Failed;
      }
      await sleep(pollMs);
      answer = await client.call("GET", path);
      if ("code" in answer) return answer.code;
      active = (answer.value as EndpointView).active;
    }
    io.out(`${name} is idle\n`);
    return ExitCode.Ok;
  },
};
