// What every handler of the admin API works with: the call, its body, and the answers to names that do not exist.

import { adminBodyBytesMax } from "../base/limits.ts";
import type { Env } from "../base/ports.ts";
import { didYouMean } from "../config/suggest.ts";
import type { Supervisor } from "../runtime/supervisor.ts";
import { refusal } from "./answers.ts";

export interface ApiOptions {
  readonly supervisor: Supervisor;
  readonly env: Pick<Env, "clock" | "timers">;
  readonly pid: number;
  /** The bearer token in force; null = none is needed. */
  readonly token: () => string | null;
  /** True when calls come over a unix socket, whose file's permissions decide who may. */
  readonly overUnixSocket: boolean;
}

/** One call, its path matched. */
export interface Call {
  readonly request: Request;
  readonly url: URL;
  /** Decoded path segments in the places of the pattern's braces. */
  readonly parts: readonly string[];
  /** Who calls, for the log. */
  readonly by: string;
}

export type Handler = (options: ApiOptions, call: Call) => Response | Promise<Response>;

/** The body as JSON, or the answer that says what is wrong with it. example: what could be sent. */
export async function readJson(request: Request, example: string): Promise<unknown> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  const body = declared > adminBodyBytesMax ? null : await request.text();
  if (body === null || body.length > adminBodyBytesMax) {
    return refusal(413, `the body is larger than ${adminBodyBytesMax} bytes`, "send only what is to change");
  }
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return refusal(400, "the body is not JSON", `send for example ${example}`);
  }
}

export function unknownPool(supervisor: Supervisor, name: string): Response {
  const pools = supervisor.plan?.config.pools ?? [];
  return unknown(
    "pool",
    name,
    pools.map((pool) => pool.name),
  );
}

/** There is no such pool, or no such endpoint in it. */
export function unknownEndpoint(supervisor: Supervisor, pool: string, id: string): Response {
  const found = supervisor.plan?.config.pools.find(({ name }) => name === pool);
  if (found === undefined) return unknownPool(supervisor, pool);
  return unknown(
    "endpoint",
    id,
    found.endpoints.map((endpoint) => endpoint.id),
  );
}

function unknown(what: string, name: string, known: readonly string[]): Response {
  const near = didYouMean(name, known);
  const some = known.slice(0, 10).join(", ") + (known.length > 10 ? ", …" : "");
  const hint = near === "" ? (known.length === 0 ? "there are none" : `there are: ${some}`) : `${near}?`;
  return refusal(404, `there is no ${what} ${JSON.stringify(name)}`, hint);
}
