// `sluice run [file]`: the balancer itself.

import { loadFile } from "../config/load.ts";
import { configFiles } from "../sys/config-files.ts";
import { fileExists } from "../sys/files.ts";
import { ExitCode, type Command } from "./command.ts";
import { findConfigFile } from "./config-file.ts";
import { readOptions } from "./options.ts";
import { serve } from "./serve.ts";

export const command: Command = {
  name: "run",
  summary: "Run the balancer",
  usage: "sluice run [file]",
  help: `
Without a file, ./sluice.yaml is run, or else ./sluice.config.ts.

Signals: TERM and INT finish what is under way, for at most timeouts.drain, and end; a second one ends at once.
HUP reads the file again, as sluice reload does. USR1 opens the access log anew, after a rotation.

Exit codes: 0 after a stop, 1 when the configuration has mistakes, 2 for a wrong command line, 3 when the start
failed, for example because an address is in use.

If the variable SLUICE_READY_FILE is set, that file is written once everything listens, and says where.`,
  run(args, io) {
    const options = readOptions(command, args, [], 1, io);
    if (typeof options === "number") return Promise.resolve(options);
    const named = options.positionals[0];
    const found = named === undefined ? findConfigFile(fileExists) : { file: named };
    if ("problem" in found) {
      io.err(`sluice run: ${found.problem}\n`);
      return Promise.resolve(ExitCode.Failed);
    }
    return serve({ load: () => loadFile(found.file, configFiles), onReady: () => {} }, io);
  },
};
