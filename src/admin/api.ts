// The admin API: what runs, and the few things that may be changed while it runs. A router by hand; every answer but
// metrics, events and the liveness word is JSON. It changes nothing by itself: the supervisor does.

import { withoutSecrets } from "../config/secrets.ts";
import { didYouMean } from "../config/suggest.ts";
import type { ReloadResult } from "../runtime/supervisor.ts";
import { poolView, poolViews, readinessView, statusView } from "../runtime/views.ts";
import { PROMETHEUS_CONTENT_TYPE } from "../stats/prometheus.ts";
import { json, refusal, text } from "./answers.ts";
import { bearsToken, foreignness } from "./auth.ts";
import { type ApiOptions, type Call, type Handler, unknownPool } from "./call.ts";
import {
  addEndpoint,
  allEndpoints,
  oneEndpoint,
  patchEndpoint,
  removeEndpoint,
  removeNamedEndpoint,
} from "./endpoints.ts";
import { explain } from "./explain.ts";
import { streamEvents } from "./event-stream.ts";
import { formatMetrics } from "./metrics.ts";

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
  {
    path: "/api/v1/pools/{pool}/endpoints",
    methods: { GET: allEndpoints, POST: addEndpoint, DELETE: removeNamedEndpoint },
  },
  {
    path: "/api/v1/pools/{pool}/endpoints/{id}",
    methods: { GET: oneEndpoint, PATCH: patchEndpoint, DELETE: removeEndpoint },
  },
  { path: "/api/v1/config", methods: { GET: showConfig } },
  { path: "/api/v1/explain", methods: { POST: explain } },
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
  const pool = supervisor.plan?.config.pools.find((candidate) => candidate.name === name);
  return pool === undefined ? unknownPool(supervisor, name) : json(poolView(supervisor, pool, env.clock.nowMs()));
}

function showConfig({ supervisor }: ApiOptions): Response {
  const { plan } = supervisor;
  const { written } = supervisor.membership;
  if (plan === null || written === null) {
    return refusal(503, "no configuration is in force yet", "ask again in a moment");
  }
  return json({ generation: plan.generation, config: withoutSecrets(written) });
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
