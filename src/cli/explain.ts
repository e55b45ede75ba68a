// `sluice explain METHOD URL [file]`: what becomes of a request, by a configuration file or in a running instance.

import pc from "picocolors";
import { loadFile } from "../config/load.ts";
import { type DescribedRequest, faultOf, parseHeaderLine, parseUrl } from "../explain/described-request.ts";
import { atRest, explainRequest, type Unexplained } from "../explain/explain-request.ts";
import { type Explanation, isServed } from "../explain/explanation.ts";
import { defaultTestMethod, defaultTestSource } from "../model/policy-defaults.ts";
import { createClock } from "../sys/clock.ts";
import { configFiles } from "../sys/config-files.ts";
import { fileExists } from "../sys/files.ts";
import { adminHelp, adminOptions, connectAdmin } from "./admin-client.ts";
import { ExitCode, type Command, type Io } from "./command.ts";
import { findConfigFile } from "./config-file.ts";
import { formatExplanation } from "./explain-text.ts";
import { type Options, readOptions } from "./options.ts";
import { countDiagnostics, showDiagnostics } from "./show-diagnostics.ts";

export const command: Command = {
  name: "explain",
  summary: "Say which route, pool and endpoint a request takes, and why",
  usage: "sluice explain [METHOD] URL [-H 'NAME: VALUE']… [--source IP] [--listener NAME] [--json] [--running | file]",
  help: `
  -H, --header 'NAME: VALUE'  a header field of the request; may be given several times
  --source IP                 the client's address, ${defaultTestSource} by default
  --listener NAME             the listener that gets it, where the URL does not tell
  --running                   ask the running instance: its configuration, its endpoints as they are now
  --json                      print the explanation as JSON
${adminHelp}

METHOD is ${defaultTestMethod} unless given. Without a file, ./sluice.yaml is read, or else ./sluice.config.ts;
--admin means --running. Nothing is sent to any endpoint. Exit code 0: the request is served; 1: no route
takes it, or something refuses it; 2: the command line is wrong.`,
  async run(args, io) {
    const options = readOptions(command, args, specs, 3, io);
    if (typeof options === "number") return options;
    const question = readQuestion(options);
    if (typeof question === "string") return misused(question, io);
    const explained = question.isRunning ? await ask(question, options, io) : await read(question, io);
    if (typeof explained === "number") return explained;
    if ("problem" in explained) {
      const hint = explained.candidates.length === 0 ? "" : "; name one with --listener";
      return misused(`${explained.problem}${hint}`, io);
    }
    io.out(
      options.has("json")
        ? `${JSON.stringify(explained, null, 2)}\n`
        : formatExplanation(explained, pc.createColors(io.color)),
    );
    return isServed(explained) ? ExitCode.Ok : ExitCode.Failed;
  },
};

const specs = [
  ...adminOptions,
  { name: "header", short: "H", takesValue: true },
  { name: "source", takesValue: true },
  { name: "listener", takesValue: true },
  { name: "running" },
  { name: "json" },
];

interface Question {
  readonly request: DescribedRequest;
  readonly listener: string | null;
  readonly isRunning: boolean;
  /** null = the default one. */
  readonly file: string | null;
}

/** The question, or what is wrong with the arguments. */
function readQuestion(options: Options): Question | string {
  // A URL has a slash in it, or a question mark; a method never has.
  const words = [...options.positionals];
  const method = words[0] !== undefined && !/[/?]/.test(words[0]) ? words.shift()! : defaultTestMethod;
  const [url, file, ...rest] = words;
  if (url === undefined) return "name a URL, or a path";
  if (rest.length > 0) return `unexpected argument ${rest[0]}`;
  const isRunning = options.has("running") || options.has("admin");
  if (isRunning && file !== undefined) return "either a file or a running instance";
  const headers: { name: string; value: string }[] = [];
  for (const text of options.values("header")) {
    const header = parseHeaderLine(text);
    if (header === null) return `--header must be 'NAME: VALUE', not ${JSON.stringify(text)}`;
    headers.push(header);
  }
  const source = options.value("source") ?? defaultTestSource;
  const request = { method, url, headers, source };
  const parsed = parseUrl(url);
  const fault = typeof parsed === "string" ? parsed : faultOf(request);
  if (fault !== "") return fault;
  return { request, listener: options.value("listener") ?? null, isRunning, file: file ?? null };
}

function misused(problem: string, io: Io): ExitCode {
  io.err(`sluice explain: ${problem}\nusage: ${command.usage}\n`);
  return ExitCode.Usage;
}

async function read({ request, listener, file }: Question, io: Io): Promise<Explanation | Unexplained | ExitCode> {
  const found = file === null ? findConfigFile(fileExists) : { file };
  if ("problem" in found) {
    io.err(`sluice explain: ${found.problem}\n`);
    return ExitCode.Failed;
  }
  const { config, diagnostics, text } = await loadFile(found.file, configFiles);
  if (config === null) {
    io.err(`${showDiagnostics(diagnostics, text, io.color)}${found.file}: ${countDiagnostics(diagnostics)}\n`);
    return ExitCode.Failed;
  }
  return explainRequest(atRest(config, createClock().wallMs()), request, listener);
}

async function ask(
  { request, listener }: Question,
  options: Options,
  io: Io,
): Promise<Explanation | Unexplained | ExitCode> {
  const client = await connectAdmin(command.name, options, io);
  if (typeof client === "number") return client;
  const headers: Record<string, string[]> = {};
  for (const { name, value } of request.headers) (headers[name] ??= []).push(value);
  const { method, url, source } = request;
  const answer = await client.callAny("POST", "/api/v1/explain", { method, url, source, headers, listener });
  if ("code" in answer) return answer.code;
  if (answer.status < 300) return answer.value as Explanation;
  const { error = `status ${answer.status}`, hint = "", candidates } = answer.value as Refused;
  if (candidates !== undefined) return { problem: error, candidates };
  io.err(`sluice explain: ${error}${hint === "" ? "" : `\n  ${hint}`}\n`);
  return ExitCode.Failed;
}

interface Refused {
  readonly error?: string;
  readonly hint?: string;
  readonly candidates?: readonly string[];
}
