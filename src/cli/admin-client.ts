// How commands reach a running instance: where its admin API is, with which token, and what to say when it is not
// there.

import { loadFile } from "../config/load.ts";
import type { AdminConfig } from "../model/config.ts";
import { defaultAdmin } from "../model/defaults.ts";
import { configFiles } from "../sys/config-files.ts";
import { fileExists } from "../sys/files.ts";
import { ClientError, requestHttp, type ClientRequest } from "../sys/http-client.ts";
import { ExitCode, type Io } from "./command.ts";
import { findConfigFile } from "./config-file.ts";
import type { OptionSpec, Options } from "./options.ts";

/** Options of every command that talks to the admin API. */
export const adminOptions: readonly OptionSpec[] = [
  { name: "admin", takesValue: true },
  { name: "token", takesValue: true },
];

/** Their part of a command's help. */
export const adminHelp = `
  --admin ADDRESS  where the admin API listens: HOST:PORT, unix:/path, or a URL
  --token TOKEN    its token; better in the variable SLUICE_ADMIN_TOKEN, which other users cannot see

Without --admin the address is that of the configuration file in the working directory, or else
127.0.0.1:9900.`;

export type Place = ClientRequest["to"];

export interface AdminTarget {
  readonly to: Place;
  readonly token: string | null;
}

/** A successful answer's body, or the exit code after the trouble has been printed. */
export type Fetched = { readonly value: unknown } | { readonly code: ExitCode };

export interface AdminClient {
  /** Where it talks to, for messages. */
  readonly place: string;
  /** One call. Says on standard error what went wrong, if anything did. */
  call(method: string, path: string, body?: unknown): Promise<Fetched>;
  /** One call whose answer may be any status; trouble with the connection is printed and gives the exit code. */
  callAny(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly value: unknown } | { readonly code: ExitCode }>;
}

/** A configured bind address as a place to connect to. */
export function placeOf(bind: AdminConfig["bind"]): Place {
  const { ip, port, unixPath } = bind;
  if (unixPath !== null) return { unixPath };
  // A wildcard is where to listen, not where to connect.
  const host = ip === "0.0.0.0" ? "127.0.0.1" : ip === "::" ? "[::1]" : ip.includes(":") ? `[${ip}]` : ip;
  return { origin: `http://${host}:${port}` };
}

/** The value of --admin as a place; null if it is none. */
export function parsePlace(text: string): Place | null {
  if (text.startsWith("unix:")) return text.length > 5 ? { unixPath: text.slice(5) } : null;
  if (text.startsWith("/")) return { unixPath: text };
  const url = /^https?:\/\//.test(text) ? text : `http://${text}`;
  if (!URL.canParse(url)) return null;
  const { origin, port } = new URL(url);
  return port === "" && !text.includes("://") ? null : { origin };
}

/** Where the instance is and how to call it: from the options, the environment, the configuration file, the default. */
export async function findTarget(options: Options, io: Io): Promise<AdminTarget | string> {
  const named = options.value("admin");
  const given = options.value("token") ?? io.env["SLUICE_ADMIN_TOKEN"];
  if (named !== undefined) {
    const to = parsePlace(named);
    return to === null
      ? `--admin must be HOST:PORT, unix:/path or a URL, not ${JSON.stringify(named)}`
      : { to, token: given ?? null };
  }
  const found = findConfigFile(fileExists);
  const config = "file" in found ? (await loadFile(found.file, configFiles)).config : null;
  if (config !== null && config.admin === null) return "the configuration turns the admin API off";
  const admin = config?.admin ?? defaultAdmin;
  return { to: placeOf(admin.bind), token: given ?? admin.token };
}

const callMs = 30_000;

/** The client for these options, or the exit code after the trouble has been printed. */
export async function connectAdmin(name: string, options: Options, io: Io): Promise<AdminClient | ExitCode> {
  const target = await findTarget(options, io);
  if (typeof target === "string") {
    io.err(`sluice ${name}: ${target}\n`);
    return ExitCode.Usage;
  }
  return createClient(name, target, io);
}

export function createClient(name: string, target: AdminTarget, io: Io): AdminClient {
  const place = "unixPath" in target.to ? `unix:${target.to.unixPath}` : target.to.origin.replace(/^https?:\/\//, "");
  const fail = (text: string): { readonly code: ExitCode } => {
    io.err(`sluice ${name}: ${text}\n`);
    return { code: ExitCode.Failed };
  };
  const callAny: AdminClient["callAny"] = async (method, path, body) => {
    try {
      const answer = await requestHttp({
        method,
        path,
        to: target.to,
        timeoutMs: callMs,
        headers: target.token === null ? {} : { authorization: `Bearer ${target.token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, value: JSON.parse(answer.body) as unknown };
    } catch (error) {
      if (error instanceof SyntaxError) return fail(`what answers on ${place} is not Sluice`);
      const reason = error instanceof Error ? error.message : String(error);
      const missing = error instanceof ClientError && (error.code === "ECONNREFUSED" || error.code === "ENOENT");
      return fail(`${reason}${missing ? "\n  Is Sluice running? Name its admin address with --admin HOST:PORT." : ""}`);
    }
  };
  return {
    place,
    callAny,
    async call(method, path, body) {
      const answer = await callAny(method, path, body);
      if ("code" in answer) return answer;
      if (answer.status < 300) return { value: answer.value };
      const { error = `status ${answer.status}`, hint = "" } = answer.value as { error?: string; hint?: string };
      return fail(hint === "" ? error : `${error}\n  ${hint}`);
    },
  };
}

/** The path of an endpoint written as POOL/ENDPOINT; null if it is not of that form. The pool's name has no slash. */
export function endpointPath(text: string): string | null {
  const slash = text.indexOf("/");
  if (slash <= 0 || slash === text.length - 1) return null;
  const [pool, id] = [text.slice(0, slash), text.slice(slash + 1)];
  return `/api/v1/pools/${encodeURIComponent(pool)}/endpoints/${encodeURIComponent(id)}`;
}

/** What to say about an argument that should have been POOL/ENDPOINT. */
export function notAnEndpoint(given: string | undefined): string {
  if (given === undefined) return "name an endpoint: POOL/ENDPOINT, as sluice status shows them";
  return `${JSON.stringify(given)} is not of the form POOL/ENDPOINT`;
}
