// The calls of the admin API that are about endpoints: showing them, weights and the operator's word, adding and
// removing.

import { weightMax } from "../base/limits.ts";
import { checkEndpointList } from "../config/endpoint-list.ts";
import { formatPath, type Problem } from "../config/problem.ts";
import { didYouMean } from "../config/suggest.ts";
import type { Refusal } from "../runtime/endpoint-changes.ts";
import { endpointKey } from "../runtime/endpoints.ts";
import type { Origin } from "../runtime/membership.ts";
import type { EndpointPatch } from "../runtime/overrides.ts";
import type { Supervisor } from "../runtime/supervisor.ts";
import { poolView } from "../runtime/views.ts";
import { isAdminWord } from "../stats/words.ts";
import { json, refusal } from "./answers.ts";
import { type ApiOptions, type Call, readJson, unknownEndpoint, unknownPool } from "./call.ts";

export function allEndpoints({ supervisor, env }: ApiOptions, { parts }: Call): Response {
  const [name = ""] = parts;
  const pool = supervisor.plan?.config.pools.find((candidate) => candidate.name === name);
  if (pool === undefined) return unknownPool(supervisor, name);
  return json({ endpoints: poolView(supervisor, pool, env.clock.nowMs()).endpoints });
}

export function oneEndpoint({ supervisor, env }: ApiOptions, { parts }: Call): Response {
  const [pool = "", id = ""] = parts;
  return showEndpoint(supervisor, pool, id, env.clock.nowMs(), 200);
}

function showEndpoint(supervisor: Supervisor, pool: string, id: string, nowMs: number, status: number): Response {
  const found = supervisor.findEndpoint(pool, id);
  if (found === null) return unknownEndpoint(supervisor, pool, id);
  const view = poolView(supervisor, found.pool, nowMs).endpoints.find((endpoint) => endpoint.id === id);
  const location = `/api/v1/pools/${encodeURIComponent(pool)}/endpoints/${encodeURIComponent(id)}`;
  return json(view, status, status === 201 ? { location } : {});
}

export async function patchEndpoint(options: ApiOptions, call: Call): Promise<Response> {
  const { supervisor } = options;
  const [pool = "", id = ""] = call.parts;
  if (supervisor.findEndpoint(pool, id) === null) return unknownEndpoint(supervisor, pool, id);
  const body = await readJson(call.request, '{"weight": 2}');
  if (body instanceof Response) return body;
  const patch = checkPatch(body);
  if (patch instanceof Response) return patch;
  supervisor.patchEndpoint(pool, id, patch, call.by);
  return oneEndpoint(options, call);
}

const patchKeys = ["weight", "admin"];

function checkPatch(body: unknown): EndpointPatch | Response {
  const example = 'send for example {"weight": 2} or {"admin": "drain"}';
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return refusal(400, "the body is not a JSON object", example);
  }
  const strange = Object.keys(body).find((key) => !patchKeys.includes(key));
  if (strange !== undefined) {
    const near = didYouMean(strange, patchKeys);
    const hint = near === "" ? "weight and admin can be changed while running; the rest in the file" : `${near}?`;
    return refusal(400, `unknown key ${JSON.stringify(strange)}`, hint);
  }
  const { weight, admin } = body as { readonly weight?: unknown; readonly admin?: unknown };
  if (weight === undefined && admin === undefined) return refusal(400, "nothing to change", example);
  if (weight !== undefined && !(Number.isInteger(weight) && Number(weight) >= 0 && Number(weight) <= weightMax)) {
    return refusal(400, `weight must be a whole number from 0 to ${weightMax}`, "0 gives it nothing new");
  }
  if (admin !== undefined && !isAdminWord(admin)) {
    return refusal(400, "admin must be ready, drain or maint", "drain lets what is under way finish");
  }
  return {
    ...(weight === undefined ? {} : { weight: Number(weight) }),
    ...(isAdminWord(admin) ? { admin } : {}),
  };
}

/** The body is an endpoint as under `endpoints:`; answered once every worker knows it. */
export async function addEndpoint({ supervisor, env }: ApiOptions, call: Call): Promise<Response> {
  const [pool = ""] = call.parts;
  if (supervisor.plan?.config.pools.some(({ name }) => name === pool) !== true) return unknownPool(supervisor, pool);
  const body = await readJson(call.request, '{"address": "10.0.0.1:80", "weight": 2}');
  if (body instanceof Response) return body;
  const { endpoints, problems } = checkEndpointList([body]);
  const endpoint = endpoints?.[0];
  if (endpoint === undefined) return malformed(problems);
  const refused = await supervisor.endpoints.add(pool, endpoint, call.by);
  if (refused !== null) return refuse(supervisor, pool, endpoint.id, refused);
  return showEndpoint(supervisor, pool, endpoint.id, env.clock.nowMs(), 201);
}

function malformed(problems: readonly Problem[]): Response {
  const all = problems.map(({ path, message, hint }) => ({ path: formatPath(path.slice(1)), message, hint }));
  const { path = "", message = "", hint = "" } = all[0] ?? {};
  const error = path === "" ? message : `${path}: ${message}`;
  const example = '{"address": "10.0.0.1:80", "weight": 2}, or only "10.0.0.1:80"';
  return json({ error, hint: hint === "" ? `send for example ${example}` : hint, problems: all }, 400);
}

export function removeEndpoint(options: ApiOptions, call: Call): Promise<Response> {
  const [pool = "", id = ""] = call.parts;
  return remove(options.supervisor, pool, id, call.by);
}

/** The id comes in the query, for ids that are awkward in a path, or in the body. */
export async function removeNamedEndpoint({ supervisor }: ApiOptions, call: Call): Promise<Response> {
  const [pool = ""] = call.parts;
  const example = "name it in the path, as ?id=, or in the body";
  let id = call.url.searchParams.get("id");
  if (id === null) {
    const body = await readJson(call.request, '{"id": "10.0.0.1:80"}');
    if (body instanceof Response) return body;
    const given = typeof body === "object" && body !== null && "id" in body ? body.id : null;
    if (typeof given !== "string") return refusal(400, "which endpoint is to be removed is missing", example);
    id = given;
  }
  return remove(supervisor, pool, id, call.by);
}

async function remove(supervisor: Supervisor, pool: string, id: string, by: string): Promise<Response> {
  const row = supervisor.findEndpoint(pool, id)?.row ?? -1;
  const origin = supervisor.membership.originOf(endpointKey(pool, id));
  const refused = await supervisor.endpoints.remove(pool, id, by);
  if (refused !== null) return refuse(supervisor, pool, id, refused);
  const active = Math.max(0, Atomics.load(supervisor.columns.active, row));
  return json({ pool, id, origin, removed: true, active, until: untilWhen[origin] });
}

/** How long a removal holds, by the endpoint's origin. */
const untilWhen: Readonly<Record<Origin, string>> = {
  config: "the file's list of the pool's endpoints is changed, or a restart",
  file: "the file of endpoints has once been without it, or a restart",
  dns: "the name's records have once been without it, or a restart",
  api: "it is added again",
};

function refuse(supervisor: Supervisor, pool: string, id: string, refused: Refusal): Response {
  switch (refused.why) {
    case "no-pool":
    case "no-endpoint":
      return unknownEndpoint(supervisor, pool, id);
    case "exists": {
      const error = `there is an endpoint ${JSON.stringify(id)} in pool ${pool} already (from: ${refused.origin})`;
      return refusal(409, error, "PATCH it, remove it first, or give the new one an id of its own");
    }
    case "full":
      return refusal(
        409,
        `the pool has ${refused.most} endpoints, and can have no more`,
        "remove some, or use a second pool",
      );
    case "failed":
      return refusal(503, `not changed: ${refused.reason}`, "try again in a moment");
  }
}
