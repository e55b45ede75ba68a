// What becomes of a request that has found its route, or none: the dry run's bytes, in words.

import { parseIp } from "../base/ip.ts";
import type { Generation } from "../http/generation.ts";
import { isPreflight } from "../http/cors.ts";
import type { ListenerConfig, RouteConfig } from "../model/config.ts";
import type { ActionConfig, CookieConfig } from "../model/route-config.ts";
import { StickyMark } from "../pool/stickiness/stickiness.ts";
import type { Head } from "../wire/head.ts";
import { describeEndpoint, preferredId } from "./describe-endpoint.ts";
import { dryPlan } from "./dry-plan.ts";
import { type DryLog, type DryOutcome, dryRun, type DryRequest } from "./dry-run.ts";
import type { ArmWord, Outcome, PathWord, SentWord } from "./explanation.ts";
import type { Situation } from "./explain-request.ts";
import { type Field, fieldChanges, fieldValue, readMessage } from "./message-text.ts";

/** A request and everything it comes to. */
export interface Ground {
  readonly situation: Situation;
  readonly listener: ListenerConfig;
  /** null = it takes none. */
  readonly route: RouteConfig | null;
  /** null = it is none that the listener takes. */
  readonly head: Head | null;
  /** The client's address, seen through trusted proxies. */
  readonly client: string;
  readonly request: DryRequest;
}

interface Described {
  readonly outcome: Outcome;
  readonly log: DryLog | null;
}

type Forward = Extract<ActionConfig, { readonly kind: "forward" }>;

/** One run with what was seen before it. */
interface Run extends DryOutcome {
  readonly undiscovered: ReadonlySet<string>;
  readonly columns: ReturnType<typeof dryPlan>["columns"];
  /** The arm that the client is kept on; -1 = none. */
  readonly keptArm: number;
  /** By pool: the endpoint that the client is kept at. */
  readonly preferred: ReadonlyMap<string, string>;
}

export function describeOutcome(ground: Ground, path: PathWord | null): Described {
  const { route } = ground;
  const action = route?.action.kind === "forward" ? route.action : null;
  const first = run(ground, action === null ? 0 : drawFor(action, firstArm(action)));
  const { log, sent } = first;
  if (action !== null && (sent !== null || (log?.pool ?? "") !== "" || waits(first))) {
    return { outcome: forward(ground, action, first), log };
  }
  return { outcome: first.answer === null ? closed() : answered(ground, first, path), log };
}

function waits({ admitted, log }: DryOutcome): boolean {
  return admitted && log === null;
}

function firstArm({ arms }: Forward): number {
  return Math.max(
    0,
    arms.findIndex(({ weight }) => weight > 0),
  );
}

/** What chance has to say for an arm. */
function drawFor({ arms }: Forward, arm: number): number {
  return arms.slice(0, arm).reduce((sum, { weight }) => sum + weight, 0);
}

function run({ situation, listener, route, head, client, request }: Ground, drawn: number): Run {
  const { config, live, wallMs } = situation;
  const dry = dryPlan(config, listener, route, live);
  let keptArm = -1;
  const preferred = new Map<string, string>();
  const look = (generation: Generation): void => {
    const sticky = routeOf(generation, listener.name)?.arms?.sticky ?? null;
    if (sticky !== null && head !== null) keptArm = sticky.recall(new StickyMark(), head);
    for (const [name, runtime] of generation.pools) {
      if (head !== null) preferred.set(name, preferredId(runtime, head, parseIp(client)));
    }
  };
  const moment = { nowMs: live?.nowMs ?? 0, wallMs, drawn };
  const outcome = dryRun(dry, request, moment, answerFields(route), look);
  return { ...outcome, undiscovered: dry.undiscovered, columns: dry.columns, keptArm, preferred };
}

function routeOf(generation: Generation, listener: string): { arms: RouteArms } | null {
  return generation.listeners.get(listener)?.router.values[0] ?? null;
}
type RouteArms = NonNullable<ReturnType<Generation["listeners"]["get"]>>["router"]["values"][number]["arms"];

/** What the endpoint says, so that it can be seen what the client does not get of it. */
function answerFields(route: RouteConfig | null): readonly Field[] {
  const edits = route?.responseHeaders ?? null;
  if (edits === null) return [];
  const names = [...edits.remove, ...edits.set.map(({ name }) => name)];
  return [...new Set(names.map((name) => name.toLowerCase()))]
    .filter((name) => !framing.has(name))
    .map((name) => ({ name, value: endpointsOwn }));
}
/** Stands for whatever an endpoint says there. */
const endpointsOwn = "the endpoint's";
const framing: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding", "upgrade"]);

// ---- forwarding

function forward(ground: Ground, action: Forward, first: Run): Outcome {
  const { arms } = action;
  if (first.keptArm >= 0) {
    const keptBy = `the cookie ${action.sticky!.cookie.name}`;
    return { kind: "forward", arms: [armOf(ground, action, first.keptArm, 100, first)], keptBy };
  }
  const sum = arms.reduce((total, { weight }) => total + weight, 0);
  const words = arms.flatMap(({ weight }, arm) => {
    if (weight === 0 && arms.length > 1) return [];
    const percent = sum === 0 ? 100 : (100 * weight) / sum;
    const result = arm === firstArm(action) ? first : run(ground, drawFor(action, arm));
    return [armOf(ground, action, arm, percent, result)];
  });
  return { kind: "forward", arms: words, keptBy: "" };
}

function armOf(ground: Ground, action: Forward, arm: number, percent: number, result: Run): ArmWord {
  const { situation, head, client, request } = ground;
  const { pool, weight } = action.arms[arm]!;
  const { sent, log, answer } = result;
  const cookies = cookiesOf(situation, action, pool);
  const isUndiscovered = result.undiscovered.has(pool);
  const endpoint = describeEndpoint(result.generation.pools.get(pool)!, {
    head: head!,
    client,
    preferred: result.preferred.get(pool) ?? "",
    columns: result.columns,
    nowMs: situation.live?.nowMs ?? 0,
    picked: log?.endpoint ?? "",
    isLive: situation.live !== null,
    isUndiscovered,
    reasonOf: situation.reasonOf,
  });
  const gets = sent === null ? [] : (answer?.fields ?? []).filter(({ name }) => !ofTheAnswer.has(name.toLowerCase()));
  const changes = sent === null ? { added: [], removed: [] } : fieldChanges(answerFields(ground.route), gets);
  return {
    pool,
    weight,
    percent,
    endpoint,
    sent: sent === null ? null : sentOf(sent, readMessage(request.bytes).fields),
    answer: { added: changes.added.map((field) => withoutToken(field, cookies)), removed: changes.removed },
    refused: sent === null ? whyNobody(result, pool) : null,
  };
}

/** What the dry run's endpoint said of its own accord. */
const ofTheAnswer: ReadonlySet<string> = new Set(["content-length", "connection"]);

function cookiesOf({ config }: Situation, action: Forward, pool: string): readonly CookieConfig[] {
  const sticky = config.pools.find(({ name }) => name === pool)?.sticky ?? null;
  const own = sticky?.by === "cookie" ? [sticky.cookie] : [];
  return action.sticky === null ? own : [...own, action.sticky.cookie];
}

/** What is in our cookies is nobody's business, and different every time. */
function withoutToken(field: Field, cookies: readonly CookieConfig[]): Field {
  if (field.name.toLowerCase() !== "set-cookie") return field;
  const ours = cookies.find(({ name }) => field.value.startsWith(`${name}=`));
  return ours === undefined ? field : { ...field, value: field.value.replace(/=[^;]*/, "=…") };
}

function sentOf(sent: NonNullable<DryOutcome["sent"]>, came: readonly Field[]): SentWord {
  const [method = "", target = ""] = sent.first.split(" ");
  const { added, removed } = fieldChanges(came, sent.fields);
  const isNew = (name: string): boolean => added.some((field) => field.name.toLowerCase() === name);
  const fresh = new Set([...freshFields].filter(isNew));
  const show = (field: Field): Field => (fresh.has(field.name.toLowerCase()) ? { ...field, value: madeAnew } : field);
  const fields = sent.fields.map(show);
  return { method, target, host: fieldValue(fields, "host") ?? "", fields, added: added.map(show), removed };
}
/** Fields with values that are made for each request. */
const freshFields: ReadonlySet<string> = new Set(["x-request-id", "traceparent"]);
const madeAnew = "(new)";

function whyNobody({ log }: Run, pool: string): NonNullable<ArmWord["refused"]> {
  if (log === null) return { status: 0, reason: `every endpoint of pool ${pool} is busy: it waits` };
  const { status, cause } = log;
  if (cause === "no-endpoint") return { status, reason: `no endpoint of pool ${pool} takes requests` };
  if (cause === "circuit") return { status, reason: `pool ${pool} is at a limit of its circuit` };
  if (cause === "full") return { status, reason: `the queue of pool ${pool} is full` };
  if (cause === "protocol") return { status, reason: "what the rewrite makes of it is no path or no host" };
  return { status, reason: cause };
}

// ---- answers of ours

function closed(): Outcome {
  return { kind: "refused", status: 0, reason: "the listener lets nobody of that address connect" };
}

function answered(ground: Ground, { log, answer }: Run, path: PathWord | null): Outcome {
  const { route, head } = ground;
  const { fields, body } = answer!;
  const status = Number(answer!.first.split(" ")[1]);
  if (log === null || log.cause !== "none") return { kind: "refused", status, reason: whyRefused(log, status, path) };
  if (route === null) return { kind: "refused", status, reason: "no route takes it" };
  if (route.cors !== null && isPreflight(head!)) return { kind: "preflight", status, fields, body };
  if (route.action.kind !== "redirect") return { kind: "respond", status, fields, body };
  return { kind: "redirect", status, location: fieldValue(fields, "location") ?? "", fields };
}

function whyRefused(log: DryLog | null, status: number, path: PathWord | null): string {
  const cause = log?.cause ?? "protocol";
  if (cause === "protocol") {
    if (path === null) return "it is no request that HTTP allows";
    return path.reason === "" ? "what the redirect makes of it is no place" : path.reason;
  }
  if (cause === "denied") return status === 401 ? "it lacks a name and a password" : "its address is not let in";
  return words[cause] ?? cause;
}

/** Causes of the access log in a sentence. */
const words: Readonly<Record<string, string>> = {
  limited: "it is over a limit of the route",
  "body-too-large": "its body is longer than it may be",
  "too-large": "its head is longer than it may be, or has too many fields",
  "uri-too-long": "its target is longer than it may be",
  unsupported: "its method or its transfer coding is not taken",
  expectation: "what it expects cannot be met",
  full: "too many others wait for a password to be compared",
};
