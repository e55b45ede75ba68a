// `sluice limits`: every bound of the program with its value, and those that the configuration can move with their
// defaults.

import { limits } from "../base/limits.ts";
import { schemaKeys } from "../config/json-schema.ts";
import { ExitCode, type Command } from "./command.ts";
import { readOptions } from "./options.ts";

interface Movable {
  readonly key: string;
  readonly byDefault: string;
  readonly meaning: string;
}

/** Keys of the configuration that bound something and have a default. */
function movableLimits(): readonly Movable[] {
  return schemaKeys()
    .filter(
      ({ place, key, schema }) => schema.default !== undefined && (boundingPlace.test(place) || boundingKey.test(key)),
    )
    .map(({ path, schema }) => ({ key: path, byDefault: String(schema.default), meaning: schema.description ?? "" }));
}

const boundingPlace = /(limits|timeouts|queue|keepAlive|passive|resolve|health|circuit|retry)$/;
const boundingKey = /^(maxConnections|slowStart)$/;
/** Keys of those places that bound nothing. */
const notBounding = /\.(health\.(protocol|path|method|headers|initial)|retry\.(on|nonIdempotent)|resolve\.servers)$/;

export const command: Command = {
  name: "limits",
  summary: "Print every bound with its value",
  usage: "sluice limits [--json]",
  help: `
  --json   print them as JSON

Two lists: bounds of the program itself, and bounds that the configuration can move, with their defaults.`,
  run(args, io) {
    const options = readOptions(command, args, [{ name: "json" }], 0, io);
    if (typeof options === "number") return Promise.resolve(options);
    const movable = movableLimits().filter(({ key }) => !notBounding.test(key));
    if (options.has("json")) {
      io.out(`${JSON.stringify({ fixed: limits, configurable: movable }, null, 2)}\n`);
      return Promise.resolve(ExitCode.Ok);
    }
    io.out("Fixed:\n");
    io.out(table(limits.map(({ name, value, unit, meaning }) => [name, `${value} ${unit}`, meaning])));
    io.out("\nSet in the configuration, with defaults:\n");
    io.out(table(movable.map(({ key, byDefault, meaning }) => [key, byDefault, meaning])));
    return Promise.resolve(ExitCode.Ok);
  },
};

/** Columns padded to their widest cell, the last one left as it is. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => `  ${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join("  ")}\n`)
    .join("");
}
