// `sluice ready POOL/ENDPOINT`: takes back a drain or a maintenance.

import type { EndpointView } from "../runtime/views.ts";
import { adminHelp, adminOptions, connectAdmin, endpointPath, notAnEndpoint } from "./admin-client.ts";
import { ExitCode, type Command } from "./command.ts";
import { readOptions } from "./options.ts";

export const command: Command = {
  name: "ready",
  summary: "Give a drained endpoint requests again",
  usage: "sluice ready POOL/ENDPOINT",
  help: `${adminHelp}

Takes back sluice drain. Whether the endpoint is used then depends on its health as well.`,
  async run(args, io) {
    const options = readOptions(command, args, adminOptions, 1, io);
    if (typeof options === "number") return options;
    const [name] = options.positionals;
    const path = name === undefined ? null : endpointPath(name);
    if (path === null) {
      io.err(`sluice ready: ${notAnEndpoint(name)}\nusage: ${command.usage}\n`);
      return ExitCode.Usage;
    }
    const client = await connectAdmin(command.name, options, io);
    if (typeof client === "number") return client;
    const answer = await client.call("PATCH", path, { admin: "ready" });
    if ("code" in answer) return answer.code;
    const { usable, reason } = answer.value as EndpointView;
    io.out(`${name} is ready${usable ? "" : `, but not usable: ${reason}`}\n`);
    return ExitCode.Ok;
  },
};
