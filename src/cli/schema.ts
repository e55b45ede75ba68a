// `sluice schema`: the JSON Schema of the configuration, for editors.

import { jsonSchema } from "../config/json-schema.ts";
import { ExitCode, type Command } from "./command.ts";
import { readOptions } from "./options.ts";

export const command: Command = {
  name: "schema",
  summary: "Print the JSON Schema of the configuration",
  usage: "sluice schema > sluice.schema.json",
  help: `
With this as the first line of a configuration, editors that use yaml-language-server complete and check it:

  # yaml-language-server: $schema=./sluice.schema.json`,
  run(args, io) {
    const options = readOptions(command, args, [], 0, io);
    if (typeof options === "number") return Promise.resolve(options);
    io.out(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    return Promise.resolve(ExitCode.Ok);
  },
};
