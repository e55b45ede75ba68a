// `sluice reload`: has a running instance read its configuration again.

import type { Diagnostic } from "../model/diagnostic.ts";
import { adminHelp, adminOptions, connectAdmin } from "./admin-client.ts";
import { ExitCode, type Command } from "./command.ts";
import { readOptions } from "./options.ts";
import { showDiagnostics } from "./show-diagnostics.ts";

interface ReloadAnswer {
  readonly ok?: boolean;
  readonly generation?: number;
  readonly reason?: string;
  readonly error?: string;
  readonly changes?: readonly string[];
  readonly diagnostics?: readonly Diagnostic[];
}

export const command: Command = {
  name: "reload",
  summary: "Have a running instance read its configuration again",
  usage: "sluice reload [--admin ADDRESS] [--token TOKEN]",
  help: `${adminHelp}

Either the whole new configuration is in force afterwards (exit code 0), or nothing has changed and the mistakes are
printed (exit code 1). Connections that the change does not concern are not closed.`,
  async run(args, io) {
    const options = readOptions(command, args, adminOptions, 0, io);
    if (typeof options === "number") return options;
    const client = await connectAdmin(command.name, options, io);
    if (typeof client === "number") return client;
    const answer = await client.callAny("POST", "/api/v1/reload");
    if ("code" in answer) return answer.code;
    const result = answer.value as ReloadAnswer;
    if (result.diagnostics !== undefined) io.err(showDiagnostics(result.diagnostics, "", io.color));
    if (result.ok !== true) {
      io.err(`sluice reload: refused: ${result.reason ?? result.error ?? `status ${answer.status}`}\n`);
      if (result.generation !== undefined) io.err(`generation ${result.generation} goes on\n`);
      return ExitCode.Failed;
    }
    for (const change of result.changes ?? []) io.out(`${change}\n`);
    const same = (result.changes ?? []).length === 0;
    io.out(`generation ${result.generation} is in force${same ? ", nothing is different" : ""}\n`);
    return ExitCode.Ok;
  },
};
