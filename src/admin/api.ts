// The admin API: what runs, and the few things that may be changed while it runs. A router by hand; every answer but
// metrics, events and the liveness word is JSON. It changes nothing by itself: the supervisor does.

import { adminBodyBytesMax, weightMax } from "../base/limits.ts";
import type { Env } from "../base/ports.ts";
import { withoutSecrets } from "../config/secrets.ts";
import { didYouMean } from "../config/suggest.ts";
import type { EndpointPatch } from "../runtime/overrides.ts";
import type { ReloadResult, Supervisor } from "../runtime/supervisor.ts";
import { poolView, poolViews, readinessView, statusView } from "../runtime/views.ts";
import { PROMETHEUS_CONTENT_TYPE } from "../stats/prometheus.ts";
import { isAdminWord } from "../stats/words.ts";
import { json, refusal, text } from "./answers.ts";
import { bearsToken, foreignness } from "./auth.ts";
import { streamEvents } from "./event-stream.ts";
import { formatMetrics } from "./metrics.ts";

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
interface Call {
  readonly request: Request;
  readonly url: URL;
  /** Decoded path segments in the places of the pattern's braces. */
  readonly parts: readonly string[];
  /** Who calls, for the log. */
  readonly by: string;
}

type Handler = (options: ApiOptions, call: Call) => Response | Promise<Response>;

interface Route {
  readonly path: string;
  readonly methods: Readonly<Record<string, Handler>>;
  /** Answers without a token: for orchestrators, and says nothing worth hiding. */
  readonly open?: boolean;
}

const routes: readonly Route[] = [
  { path: "/", methods: { GET: index } },
  { path: "/health", methods: { GET: () => text("ok\n", "text/plain; charset=utf-8") }, open: true },
  { path: "/health/ready", methods: { GET: ready }, open: true },
  { path: "/metrics", methods: { GET: metrics } },
  { path: "/api/v1/status", methods: { GET: status } },
  { path: "/api/v1/pools", methods: { GET: allPools } },
  { path: "/api/v1/pools/{pool}", methods: { GET: onePool } },
  { path: "/api/v1/pools/{pool}/endpoints/{id}", methods: { GET: oneEndpoint, PATCH: patchEndpoint } },
  { path: "/api/v1/config", methods: { GET: showConfig } },
  { path: "/api/v1/reload", methods: { POST: reload } },
  { path: "/api/v1/events", methods: { GET: events } },
];

/** Answers one request. */
export function answer(options: ApiOptions, request: Request, client: string): Response | Promise<Response> {
  // Without a Host that makes a URL, Bun gives the path alone: old health checkers speak HTTP/1.0, which needs no Host.
  const url = new URL(request.url.startsWith("/") ? `http://admin${request.url}` : request.url);
  const found = findRoute(url.pathname);
  const refused = found?.route.open === true ? null : checkCaller(options, request);
  if (refused !== null) return refused;
  if (found === null) {
    const near = didYouMean(
      url.pathname,
      routes.map(({ path }) => path),
    );
    return refusal(404, `there is nothing at ${url.pathname}`, near === "" ? "GET / lists what there is" : `${near}?`);
  }
  const method = request.method === "HEAD" ? "GET" : request.method;
  const handler = Object.hasOwn(found.route.methods, method) ? found.route.methods[method] : undefined;
  if (handler === undefined) {
    const allowed = Object.keys(found.route.methods).join(", ");
    return refusal(405, `${request.method} is not possible here`, `use ${allowed}`, { allow: allowed });
  }
  return handler(options, { request, url, parts: found.parts, by: client });
}

function checkCaller(options: ApiOptions, request: Request): Response | null {
  const token = options.token();
  if (token !== null) {
    if (bearsToken(request.headers.get("authorization"), token)) return null;
    const hint = "send the token of the configuration as: Authorization: Bearer TOKEN";
    return refusal(401, "a token is needed", hint, { "www-authenticate": 'Bearer realm="sluice"' });
  }
  const foreign = options.overUnixSocket ? "" : foreignness(request.headers);
  return foreign === "" ? null : refusal(403, foreign, "set admin.token in the configuration to call from elsewhere");
}

function findRoute(path: string): { readonly route: Route; readonly parts: readonly string[] } | null {
  const given = path.split("/");
  for (const route of routes) {
    const wanted = route.path.split("/");
    if (wanted.length !== given.length) continue;
    const parts: string[] = [];
    const matches = wanted.every((part, i) => {
      if (!part.startsWith("{")) return part === given[i];
      const decoded = decodePart(given[i]!);
      if (decoded !== null) parts.push(decoded);
      return decoded !== null;
    });
    if (matches) return { route, parts };
  }
  return null;
}

function decodePart(part: string): string | null {
  try {
    return part === "" ? null : decodeURIComponent(part);
  } catch {
    return null;
  }
}

function index(): Response {
  const links = routes.map(({ path, methods }) => ({ path, methods: Object.keys(methods) }));
  return json({ name: "sluice", links });
}

function ready({ supervisor, env }: ApiOptions): Response {
  const view = readinessView(supervisor, env.clock.nowMs());
  return json(view, view.ready ? 200 : 503);
}

function metrics({ supervisor, env }: ApiOptions): Response {
  return text(formatMetrics(supervisor, env.clock.nowMs()), PROMETHEUS_CONTENT_TYPE);
}

function status({ supervisor, env, pid }: ApiOptions): Response {
  return json(statusView(supervisor, pid, env.clock.nowMs()));
}

function allPools({ supervisor, env }: ApiOptions): Response {
  return json({ pools: poolViews(supervisor, env.clock.nowMs()) });
}

function onePool({ supervisor, env }: ApiOptions, { parts }: Call): Response {
  const [name = ""] = parts;
  const all = supervisor.plan?.config.pools ?? [];
  const pool = all.find((candidate) => candidate.name === name);
  if (pool !== undefined) return json(poolView(supervisor, pool, env.clock.nowMs()));
  return unknown(
    "pool",
    name,
    all.map((candidate) => candidate.name),
  );
}

function oneEndpoint({ supervisor, env }: ApiOptions, { parts }: Call): Response {
  const [pool = "", id = ""] = parts;
  const found = supervisor.findEndpoint(pool, id);
  if (found === null) return unknownEndpoint(supervisor, pool, id);
  return json(poolView(supervisor, found.pool, env.clock.nowMs()).endpoints.find((endpoint) => endpoint.id === id));
}

async function patchEndpoint(options: ApiOptions, call: Call): Promise<Response> {
  const { supervisor } = options;
  const [pool = "", id = ""] = call.parts;
  if (supervisor.findEndpoint(pool, id) === null) return unknownEndpoint(supervisor, pool, id);
  const body = await readJson(call.request);
  if (body instanceof Response) return body;
  const patch = checkPatch(body);
  if (patch instanceof Response) return patch;
  supervisor.patchEndpoint(pool, id, patch, call.by);
  return oneEndpoint(options, call);
}

/** The body as JSON, or the answer that says what is wrong with it. */
async function readJson(request: Request): Promise<unknown> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  const body = declared > adminBodyBytesMax ? null : await request.text();
  if (body === null || body.length > adminBodyBytesMax) {
    return refusal(413, `the body is larger than ${adminBodyBytesMax} bytes`, "send only what is to change");
  }
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return refusal(400, "the body is not JSON", 'send for example {"weight": 2}');
  }
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

function unknownEndpoint(supervisor: Supervisor, pool: string, id: string): Response {
  const all = supervisor.plan?.config.pools ?? [];
  const found = all.find(({ name }) => name === pool);
  if (found === undefined)
    return unknown(
      "pool",
      pool,
      all.map(({ name }) => name),
    );
  return unknown(
    "endpoint",
    id,
    found.endpoints.map((endpoint) => endpoint.id),
  );
}

function unknown(what: string, name: string, known: readonly string[]): Response {
  const near = didYouMean(name, known);
  const some = known.slice(0, 10).join(", ") + (known.length > 10 ? ", …" : "");
  return refusal(404, `there is no ${what} ${JSON.stringify(name)}`, near === "" ? `there are: ${some}` : `${near}?`);
}

function showConfig({ supervisor }: ApiOptions): Response {
  const { plan } = supervisor;
  if (plan === null) return refusal(503, "no configuration is in force yet", "ask again in a moment");
  return json({ generation: plan.generation, config: withoutSecrets(plan.config) });
}

async function reload({ supervisor }: ApiOptions): Promise<Response> {
  const result: ReloadResult = await supervisor.reload();
  if (result.ok) return json(result);
  const hint = result.diagnostics.length > 0 ? "see diagnostics" : "see the log";
  return json({ error: result.reason, hint, ...result }, supervisor.state === "running" ? 422 : 503);
}

function events({ supervisor, env }: ApiOptions, { request, url }: Call): Response {
  const after = request.headers.get("last-event-id") ?? url.searchParams.get("after") ?? "0";
  if (!/^\d{1,15}$/.test(after))
    return refusal(400, "after must be the id of an event", "leave it out for all known events");
  return streamEvents(supervisor.journal, env.timers, env.clock, Number(after));
}
