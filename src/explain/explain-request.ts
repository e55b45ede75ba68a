// Explains one request by a configuration, or by that of a running instance and its state: the listener, every route
// up to the one that takes it, and what the real data plane does with it when it comes (dry-run.ts).

import { latin1Text, Scratch } from "../base/bytes.ts";
import { parseCidr, parseIp } from "../base/ip.ts";
import { isPreflight } from "../http/cors.ts";
import { clientAddress } from "../http/forwarded.ts";
import type { Config, ListenerConfig, RouteConfig } from "../model/config.ts";
import { compileRouter } from "../route/compile-router.ts";
import { describeFailure, explain } from "../route/explain.ts";
import { MatchInput } from "../route/match-input.ts";
import { compilePathRules, isRefused, pathRefusal, PathVerdict, preparePath } from "../route/path.ts";
import type { Router } from "../route/router.ts";
import { parseRequest } from "../wire/h1/parse.ts";
import { Head } from "../wire/head.ts";
import { type BoundTo, chooseListener, type ChosenListener } from "./choose-listener.ts";
import { defaultHost, type DescribedRequest, faultOf, parseUrl } from "./described-request.ts";
import { requestBytes, type RequestUrl } from "./described-request.ts";
import { describeChecks } from "./describe-checks.ts";
import { describeOutcome } from "./describe-outcome.ts";
import { isTableTooLarge, type LiveState } from "./dry-plan.ts";
import type { Explanation, PathWord, RouteWord } from "./explanation.ts";
import { readMessage } from "./message-text.ts";

/** What the request comes to. */
export interface Situation {
  readonly config: Config;
  /** The state of a running instance; null = everybody is up and idle. */
  readonly live: LiveState | null;
  /** Where listeners listen, with real ports if they are known. */
  readonly boundTo: BoundTo;
  /** Why an endpoint takes no requests, as the instance tells; "" = it does not say. */
  readonly reasonOf: (pool: string, id: string) => string;
  /** Milliseconds since the Unix epoch. */
  readonly wallMs: number;
}

/** A description that no request can be made of, or that could come to several listeners. */
export interface Unexplained {
  readonly problem: string;
  /** Listeners to choose from; empty if it is not about them. */
  readonly candidates: readonly string[];
}

/** A configuration by itself. The time is a fixed one, so that equal questions get equal answers. */
export function atRest(config: Config, wallMs = Date.UTC(2026, 0, 1)): Situation {
  return { config, live: null, boundTo: (listener) => listener.bind, reasonOf: () => "", wallMs };
}

/** listener = null: the one that the URL leads to. */
export function explainRequest(
  situation: Situation,
  request: DescribedRequest,
  listener: string | null,
): Explanation | Unexplained {
  const url = parseUrl(request.url);
  const fault = typeof url === "string" ? url : faultOf(request);
  if (typeof url === "string" || fault !== "") return { problem: fault, candidates: [] };
  const chosen = chooseListener(situation.config.listeners, listener, url, situation.boundTo);
  return "problem" in chosen ? chosen : explainAt(situation, request, url, chosen);
}

function explainAt(
  situation: Situation,
  request: DescribedRequest,
  url: RequestUrl,
  chosen: ChosenListener,
): Explanation {
  const { listener, port } = chosen;
  const source = chosen.isUnix ? "unix:" : request.source;
  const bytes = requestBytes(request, url);
  const matched = match(listener, bytes, source);
  const route = matched.taken < 0 ? null : listener.routes[matched.taken]!;
  const { head, client } = matched;
  const ground = { situation, listener, route, head, client, request: { bytes, source, port } };
  const { outcome, log } = describeOutcome(ground, matched.path);
  const { fields } = readMessage(bytes);
  const asksFirst = head !== null && isPreflight(head);
  const facts = { source, client, fields, isPreflight: asksFirst, log, isLive: situation.live !== null };
  return {
    request,
    client: client.startsWith("unix:") ? "" : client,
    listener: listener.name,
    notes: [...notesOf(chosen, request, url), ...tableNotes(situation, route)],
    path: matched.path,
    routes: matched.routes,
    routesBehind: route === null ? 0 : listener.routes.length - matched.taken - 1,
    route: route === null ? null : route.name,
    checks: describeChecks(listener, route, facts),
    outcome,
  };
}

function notesOf({ note, listener }: ChosenListener, { headers }: DescribedRequest, url: RequestUrl): string[] {
  const notes = note === "" ? [] : [note];
  const namesHost = url.authority !== "" || headers.some(({ name }) => name.toLowerCase() === "host");
  if (!namesHost) notes.push(`the request names no host: it is ${defaultHost}`);
  if (url.scheme === "https") {
    const says = listener.trustedProxies.length === 0 ? "" : ", which says so in X-Forwarded-Proto";
    notes.push(`${listener.name} speaks plain HTTP: TLS would have to end at a proxy in front of it${says}`);
  }
  return notes;
}

function tableNotes({ config, live }: Situation, route: RouteConfig | null): string[] {
  const action = route?.action;
  if (live === null || action?.kind !== "forward") return [];
  const reached = config.pools.filter(({ name }) => action.arms.some(({ pool }) => pool === name));
  return reached.filter(isTableTooLarge).map(({ name }) => `who sticks to whom in pool ${name} is too much to look at`);
}

interface Matched {
  /** null = no head that the listener takes. */
  readonly head: Head | null;
  readonly client: string;
  readonly path: PathWord | null;
  readonly routes: readonly RouteWord[];
  /** Index of the route; -1 = none. */
  readonly taken: number;
}

/** The routers of listeners that were asked about before. */
const routers = new WeakMap<ListenerConfig, Router<RouteConfig>>();

function routerOf(listener: ListenerConfig): Router<RouteConfig> {
  let router = routers.get(listener) ?? null;
  if (router !== null) return router;
  const entries = listener.routes.map((route) => ({ match: route.match, value: route }));
  const compiled = compileRouter(entries, listener.paths);
  ({ router } = compiled);
  if (router === null) throw new Error(`listener ${listener.name}: ${compiled.problems[0]!.message}`);
  routers.set(listener, router);
  return router;
}

/** The walk of http/exchange.ts up to the route, with words. */
function match(listener: ListenerConfig, bytes: Uint8Array, source: string): Matched {
  const { headBytes, headers } = listener.limits;
  const head = new Head(headers);
  const nothing = { path: null, routes: [], taken: -1 };
  if (parseRequest(bytes, 0, bytes.length, head, headBytes, headers) !== bytes.length) {
    return { head: null, client: source, ...nothing };
  }
  const blocks = listener.trustedProxies.map(parseCidr).filter((block) => block !== null);
  const client = clientAddress({ connection: { remoteAddress: source } }, head, { trustedProxies: blocks });
  const input = new MatchInput();
  input.address = parseIp(client);
  const verdict = preparePath(head, compilePathRules(listener.paths), new Scratch(64), input);
  if (isRefused(verdict)) {
    const path = latin1Text(bytes, head.targetStart, head.targetEnd);
    const word = { verdict: "refused", path, query: "", reason: pathRefusal(verdict) } as const;
    return { head, client, ...nothing, path: word };
  }
  const router = routerOf(listener);
  const routes = explain(router, head, input).map(({ index, failed }) => ({
    name: listener.routes[index]!.name,
    takes: failed === null,
    reason: failed === null ? "" : describeFailure(failed),
  }));
  const path: PathWord = {
    verdict: verdict === PathVerdict.Rewritten ? "rewritten" : "unchanged",
    path: latin1Text(input.path, input.pathStart, input.pathEnd),
    query: latin1Text(bytes, input.queryStart, head.targetEnd),
    reason: "",
  };
  return { head, client, path, routes, taken: router.find(head, input) };
}
