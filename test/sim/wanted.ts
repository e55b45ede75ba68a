// Compares heads as they arrived with what they had to be: every line that stays, unchanged and in order, every line
// the proxy is to add, and nothing else.

import { type Attempt, Excuse, type SimRequest } from "./ledger.ts";
import { type BodyRule, type SimHead, valuesOf } from "./message-reader.ts";
import { Policies } from "./policies.ts";
import type { World } from "./world.ts";

const none: ReadonlySet<string> = new Set();

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(":")).toLowerCase();
}

/** Every line is one of `stays`, in their order, or one of `added`, each at most once unless it is in `often`. */
function difference(
  lines: readonly string[],
  stays: readonly string[],
  added: ReadonlySet<string>,
  often: ReadonlySet<string> = none,
): string {
  const rest: string[] = [];
  let next = 0;
  for (const line of lines) {
    if (line === stays[next]) next++;
    else rest.push(line);
  }
  if (next < stays.length) return `lacks ${JSON.stringify(stays[next])}`;
  const seen = new Set<string>();
  for (const line of rest) {
    const name = nameOf(line);
    if (often.has(name)) continue;
    if (!added.has(name)) return `has ${JSON.stringify(line)}`;
    if (seen.has(name)) return `has ${name} twice`;
    seen.add(name);
  }
  return "";
}

const addedToRequests: ReadonlySet<string> = new Set([
  "host",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-real-ip",
  "x-request-id",
  "traceparent",
  "via",
  "transfer-encoding",
  "connection",
  "upgrade",
]);

/** What an endpoint got as the head of a request. */
export function checkRequestHead(world: World, request: SimRequest, head: SimHead, framing: BodyRule): void {
  const { spec } = request;
  const { lines } = head;
  const complain = (what: string): void =>
    world.trace.fail("request", `${request.name}: ${what}\n${[head.startLine, ...lines].join("\n")}`);
  const one = (name: string): string => {
    const values = valuesOf(lines, name);
    if (values.length !== 1) complain(`${values.length} ${name} fields`);
    return values[0] ?? "";
  };
  const { policies } = world.layout;
  // A rewritten Host is another line.
  const stays = policies === null ? spec.wantedLines : spec.wantedLines.filter((line) => nameOf(line) !== "host");
  const wrong = difference(lines, stays, policies === null ? addedToRequests : addedByPolicies);
  if (wrong !== "") complain(wrong);
  const host = one("host");
  if (policies === null) {
    if (head.startLine !== spec.wantedStart) complain(`start line, not ${spec.wantedStart}`);
    if (spec.wantedHost === "" ? host === "" : host !== spec.wantedHost) complain(`Host is not ${spec.wantedHost}`);
  } else {
    const what = policies.checkRequest(spec, head.startLine, (name) => valuesOf(lines, name.toLowerCase())[0] ?? null);
    if (what !== "") complain(what);
  }
  if (one("x-forwarded-for") !== spec.wantedFor) complain(`X-Forwarded-For is not ${spec.wantedFor}`);
  if ((valuesOf(lines, "via").length === 1) !== world.weather.via) complain("Via");
  const id = one("x-request-id");
  if (spec.wantedId !== null && id !== spec.wantedId) complain("the client's request id was replaced");
  if (request.requestId !== null && request.requestId !== id) complain("another request id than the first time");
  request.requestId = id;
  if (framing.kind !== spec.body) complain(`framed by ${framing.kind}, not ${spec.body}`);
  if (framing.kind === "length" && framing.length !== spec.bodyLength) complain("another length");
  const connection = valuesOf(lines, "connection").join();
  if (connection !== (spec.upgrades ? "upgrade" : "")) complain(`Connection: ${connection}`);
}

const addedByPolicies: ReadonlySet<string> = new Set([...addedToRequests, ...Policies.addedToRequests]);
const addedToResponses: ReadonlySet<string> = new Set(["via", "transfer-encoding", "connection", "upgrade"]);
const addedByPoliciesBack: ReadonlySet<string> = new Set([...addedToResponses, ...Policies.addedToResponses]);
const cookies: ReadonlySet<string> = new Set(["set-cookie"]);

/** What stays of an endpoint's lines: the length of what was compressed on its way does not. */
function linesOf({ lines }: Attempt, head: SimHead): readonly string[] {
  if (valuesOf(head.lines, "content-encoding").length === 0) return lines;
  return lines.filter((line) => nameOf(line) !== "content-length");
}

/** What a client got as the head of an endpoint's response. */
export function checkResponseHead(world: World, attempt: Attempt, head: SimHead): void {
  const { request } = attempt;
  const complain = (what: string): void =>
    world.trace.fail("response", `${request.name}: ${what}\n${[head.startLine, ...head.lines].join("\n")}`);
  if (attempt.request.answeredBy !== attempt) complain("is another attempt's");
  if (!head.startLine.startsWith(`HTTP/1.1 ${attempt.status}`)) complain(`status is not ${attempt.status}`);
  const { policies } = world.layout;
  const wrong =
    policies === null
      ? difference(head.lines, attempt.lines, addedToResponses)
      : difference(head.lines, linesOf(attempt, head), addedByPoliciesBack, cookies);
  if (wrong !== "") complain(wrong);
  if (policies !== null) {
    const one = (name: string): string | null => valuesOf(head.lines, name.toLowerCase())[0] ?? null;
    const what = policies.checkResponse(request.spec, request.requestId, one);
    if (what !== "") complain(what);
    for (const cookie of valuesOf(head.lines, "set-cookie")) policies.noteCookie(cookie);
  }
  const vias = valuesOf(head.lines, "via").length;
  if (vias !== (world.weather.via && attempt.status !== 101 ? 1 : 0)) complain("Via");
  if (request.spec.http10 && valuesOf(head.lines, "transfer-encoding").length > 0) complain("chunked to HTTP/1.0");
  const connection = valuesOf(head.lines, "connection").join();
  if (!["", "close", "keep-alive", "upgrade"].includes(connection)) complain(`Connection: ${connection}`);
  if (request.spec.closes && attempt.status !== 101 && connection !== "close") complain("does not say close");
  if (!attempt.responseBegun && !request.has(Excuse.Endpoint)) complain("came before it was sent");
}
