// `sluice check [file]`: every mistake of a configuration file, and what it would change in the running instance.

import { diffConfigs, formatChange, type Change } from "../config/diff.ts";
import { loadFile, type ConfigFiles } from "../config/load.ts";
import type { AdminConfig, Config } from "../model/config.ts";
import { configFiles } from "../sys/config-files.ts";
import { fileExists } from "../sys/files.ts";
import { requestHttp } from "../sys/http-client.ts";
import { placeOf } from "./admin-client.ts";
import { checkSources } from "./check-sources.ts";
import { ExitCode, type Command, type Io } from "./command.ts";
import { findConfigFile } from "./config-file.ts";
import { readOptions } from "./options.ts";
import { countDiagnostics, plural, showDiagnostics } from "./show-diagnostics.ts";

/** What the command needs from the machine. */
export interface CheckWorld {
  readonly files: ConfigFiles;
  exists(path: string): boolean;
  /**
   * The body of GET /api/v1/config of the instance with this admin listener. Rejects with a sentence if there is none.
   */
  fetchConfig(admin: AdminConfig): Promise<unknown>;
}

type Running = { readonly changes: readonly Change[] } | { readonly problem: string };

export const command: Command = {
  name: "check",
  summary: "Check a configuration file and say what it would change",
  usage: "sluice check [--offline] [--json] [file]",
  help: `
  --offline   do not ask the running instance
  --json      print the result as JSON

Without a file, ./sluice.yaml is checked, or else ./sluice.config.ts. Exit code 0: valid, perhaps with
warnings; 1: at least one error. If an instance answers on the admin address of the file, what a reload
would change is listed: + added, - removed, ~ changed.`,
  run: (args, io) => check(args, io, { files: configFiles, exists: fileExists, fetchConfig }),
};

/** The command with its world as an argument. */
export async function check(args: readonly string[], io: Io, world: CheckWorld): Promise<number> {
  const options = readOptions(command, args, [{ name: "offline" }, { name: "json" }], 1, io);
  if (typeof options === "number") return options;
  const named = options.positionals[0];
  const found = named === undefined ? findConfigFile(world.exists) : { file: named };
  if ("problem" in found) {
    io.err(`sluice check: ${found.problem}\n`);
    return ExitCode.Failed;
  }
  const { file } = found;
  const { config, diagnostics: ownDiagnostics, text } = await loadFile(file, world.files);
  const sources = config === null ? [] : checkSources(config, world.files);
  const diagnostics = [...ownDiagnostics, ...sources.flatMap((source) => source.diagnostics)];
  const ask = config !== null && !options.has("offline");
  const running = ask ? await compareWithRunning(config, world) : null;
  if (options.has("json")) {
    io.out(`${JSON.stringify({ file, valid: config !== null, diagnostics, running }, null, 2)}\n`);
  } else {
    io.out(showDiagnostics(ownDiagnostics, text, io.color));
    for (const source of sources) io.out(showDiagnostics(source.diagnostics, source.text, io.color));
    if (config === null) io.out(`${file}: ${countDiagnostics(diagnostics)}\n`);
    else
      io.out(
        `${file} is valid: ${describe(config)}${diagnostics.length > 0 ? `; ${countDiagnostics(diagnostics)}` : ""}\n`,
      );
    if (running !== null) io.out(describeRunning(running));
  }
  return config === null ? ExitCode.Failed : ExitCode.Ok;
}

function describe(config: Config): string {
  const endpoints = config.pools.reduce((sum, pool) => sum + pool.endpoints.length, 0);
  const { listeners, pools } = config;
  return `${plural(listeners.length, "listener")}, ${plural(pools.length, "pool")}, ${plural(endpoints, "endpoint")}`;
}

function describeRunning(running: Running): string {
  if ("problem" in running) return `not compared with a running instance: ${running.problem}\n`;
  if (running.changes.length === 0) return "the running instance would not change\n";
  const lines = running.changes.map((change) => `  ${formatChange(change)}\n`);
  return `the running instance would change:\n${lines.join("")}`;
}

async function compareWithRunning(config: Config, world: CheckWorld): Promise<Running> {
  if (config.admin === null) return { problem: "the admin listener is off" };
  let running: Config | null;
  try {
    running = toConfig(await world.fetchConfig(config.admin));
  } catch (thrown) {
    return { problem: thrown instanceof Error ? thrown.message : String(thrown) };
  }
  if (running === null) return { problem: "what answers on the admin address is not Sluice" };
  try {
    return { changes: diffConfigs(running, config) };
  } catch {
    return { problem: "the running instance is of another version" }; // its model lacks something
  }
}

/** The answer's config; only its outline is looked at, because the program that sent it made it. */
function toConfig(body: unknown): Config | null {
  const config = isObject(body) ? body["config"] : null;
  if (!isObject(config) || !Array.isArray(config["listeners"]) || !Array.isArray(config["pools"])) return null;
  return config as unknown as Config;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

const FETCH_MS_MAX = 2000;

async function fetchConfig(admin: AdminConfig): Promise<unknown> {
  const answer = await requestHttp({
    method: "GET",
    path: "/api/v1/config",
    to: placeOf(admin.bind),
    headers: admin.token === null ? {} : { authorization: `Bearer ${admin.token}` },
    timeoutMs: FETCH_MS_MAX,
  });
  if (answer.status !== 200) throw new Error(`the admin listener answered with status ${answer.status}`);
  try {
    return JSON.parse(answer.body);
  } catch {
    return null; // not Sluice
  }
}
