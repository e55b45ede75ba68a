// `sluice check [file]`: every mistake of a configuration file, what becomes of its tests, and what it would change in
// the running instance.

import pc from "picocolors";
import { diffConfigs, formatChange, type Change } from "../config/diff.ts";
import { loadFile, type ConfigFiles } from "../config/load.ts";
import type { AdminConfig, Config } from "../model/config.ts";
import { runRouteTests } from "../explain/route-tests.ts";
import { configFiles } from "../sys/config-files.ts";
import { fileExists } from "../sys/files.ts";
import { requestHttp } from "../sys/http-client.ts";
import { placeOf } from "./admin-client.ts";
import { checkSources } from "./check-sources.ts";
import { ExitCode, type Command, type Io } from "./command.ts";
import { findConfigFile } from "./config-file.ts";
import { readOptions } from "./options.ts";
import { countDiagnostics, plural, showDiagnostics } from "./show-diagnostics.ts";
import { formatTests, hasFailed, testsView } from "./test-report.ts";

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
  usage: "sluice check [--test] [--offline] [--json] [file]",
  help: `
  --test      play the tests of the file (tests:), without a network; asks no running instance
  --offline   do not ask the running instance
  --json      print the result as JSON

Without a file, ./sluice.yaml is checked, or else ./sluice.config.ts. Exit code 0: valid, perhaps with
warnings; 1: at least one error, or a test that fails. If an instance answers on the admin address of
the file, what a reload would change is listed: + added, - removed, ~ changed.`,
  run: (args, io) => check(args, io, { files: configFiles, exists: fileExists, fetchConfig }),
};

/** The command with its world as an argument. */
export async function check(args: readonly string[], io: Io, world: CheckWorld): Promise<number> {
  const options = readOptions(command, args, [{ name: "test" }, { name: "offline" }, { name: "json" }], 1, io);
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
  const isTest = options.has("test");
  const ask = config !== null && !options.has("offline") && !isTest;
  const running = ask ? await compareWithRunning(config, world) : null;
  const tests = config === null || !isTest ? null : runRouteTests(config);
  if (options.has("json")) {
    const results = tests === null ? {} : { tests: testsView(tests) };
    io.out(`${JSON.stringify({ file, valid: config !== null, diagnostics, running, ...results }, null, 2)}\n`);
  } else {
    io.out(showDiagnostics(ownDiagnostics, text, io.color));
    for (const source of sources) io.out(showDiagnostics(source.diagnostics, source.text, io.color));
    if (config === null) io.out(`${file}: ${countDiagnostics(diagnostics)}\n`);
    else
      io.out(
        `${file} is valid: ${describe(config)}${diagnostics.length > 0 ? `; ${countDiagnostics(diagnostics)}` : ""}\n`,
      );
    if (running !== null) io.out(describeRunning(running));
    if (tests !== null) io.out(formatTests(tests, pc.createColors(io.color)));
  }
  return config === null || tests?.some(hasFailed) === true ? ExitCode.Failed : ExitCode.Ok;
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
