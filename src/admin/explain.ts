// The call of the admin API that explains a request by what runs: the configuration in force, endpoints as they are at
// this moment. Nothing is sent, and nothing that runs is touched.

import { defaultTestMethod, defaultTestSource } from "../model/policy-defaults.ts";
import type { DescribedRequest } from "../explain/described-request.ts";
import { explainRequest, type Situation } from "../explain/explain-request.ts";
import { listWords } from "../config/suggest.ts";
import { type PoolView, poolView } from "../runtime/views.ts";
import type { Supervisor } from "../runtime/supervisor.ts";
import { json, refusal } from "./answers.ts";
import { type ApiOptions, type Call, readJson } from "./call.ts";

const example = '{"method": "GET", "url": "http://app.example.com/users", "headers": {"accept": "text/html"}}';

/** The body is a request as under `tests:`, with `listener` beside it; a header may have a list of values. */
export async function explain({ supervisor, env }: ApiOptions, call: Call): Promise<Response> {
  const body = await readJson(call.request, example);
  if (body instanceof Response) return body;
  const described = readDescription(body);
  if (typeof described === "string") return refusal(400, described, `send for example ${example}`);
  const situation = situationOf(supervisor, env.clock.nowMs(), env.clock.wallMs());
  if (situation === null) return refusal(503, "no configuration is in force yet", "ask again in a moment");
  const explained = explainRequest(situation, described.request, described.listener);
  if (!("problem" in explained)) return json(explained);
  const { problem, candidates } = explained;
  const hint = candidates.length === 0 ? `send for example ${example}` : `listener may be ${listWords(candidates)}`;
  return json({ error: problem, hint, candidates }, 400);
}

interface Description {
  readonly request: DescribedRequest;
  readonly listener: string | null;
}

const keys = ["method", "url", "headers", "source", "listener"];

/** The description, or a sentence about what is wrong with it. */
function readDescription(body: unknown): Description | string {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return "the body is not a JSON object";
  const strange = Object.keys(body).find((key) => !keys.includes(key));
  if (strange !== undefined) return `unknown key ${JSON.stringify(strange)}`;
  const {
    method = defaultTestMethod,
    url,
    source = defaultTestSource,
    listener = null,
  } = body as Record<string, unknown>;
  const { headers = {} } = body as Record<string, unknown>;
  if (typeof url !== "string") return "url is missing, or not a text";
  if (typeof method !== "string" || typeof source !== "string") return "method and source are texts";
  if (listener !== null && typeof listener !== "string") return "listener is the name of a listener";
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) {
    return "headers are a map of names to values";
  }
  const fields = Object.entries(headers).flatMap(([name, value]: [string, unknown]) =>
    (Array.isArray(value) ? (value as unknown[]) : [value]).map((one) => ({ name, value: one })),
  );
  const texts = fields.filter((field): field is { name: string; value: string } => typeof field.value === "string");
  if (texts.length !== fields.length) return "the value of a header is a text, or a list of texts";
  return { request: { method, url, headers: texts, source }, listener };
}

function situationOf(supervisor: Supervisor, nowMs: number, wallMs: number): Situation | null {
  const { plan, columns, sockets } = supervisor;
  if (plan === null) return null;
  const views = new Map<string, PoolView>();
  return {
    config: plan.config,
    live: { plan, columns, nowMs },
    wallMs,
    boundTo: ({ name }) =>
      sockets.pairings.filter(({ listener }) => listener === name).map(({ bound }) => bound.address),
    reasonOf(pool, id) {
      let view = views.get(pool);
      if (view === undefined) {
        const config = plan.config.pools.find(({ name }) => name === pool);
        if (config === undefined) return "";
        views.set(pool, (view = poolView(supervisor, config, nowMs)));
      }
      return view.endpoints.find((endpoint) => endpoint.id === id)?.reason ?? "";
    },
  };
}
