// Random responses of an endpoint, good and bad, together with what the client must see of them.

import type { Dice } from "./dice.ts";
import type { SimRequest } from "./ledger.ts";
import { backField } from "./policies.ts";
import { noise, noiseLines } from "./requests.ts";
import { bodySize, type Weather } from "./weather.ts";

/** How a response goes wrong. Those before the head may lead to a second attempt. */
export type Fault =
  | "silent"
  | "reset-before"
  | "fin-before"
  | "reset-head"
  | "fin-head"
  | "garbage-head"
  | "many-interims"
  | "two-lengths"
  | "length-and-chunked"
  | "unasked-101"
  | "reset-body"
  | "fin-body"
  | "stall-body"
  | "bad-chunk";

export interface ResponsePlan {
  readonly status: number;
  readonly head: string;
  /** Lines that the client must see, in order. */
  readonly lines: readonly string[];
  readonly interims: readonly string[];
  readonly framing: "none" | "length" | "chunked" | "close";
  readonly bodyLength: number;
  readonly trailers: readonly string[];
  /** When it begins: with the request's head, in the middle of its body, or behind it. */
  readonly begins: "head" | "middle" | "end";
  readonly delayMs: number;
  /** Pause between two pieces of the body; 0 = none. */
  readonly pauseMs: number;
  readonly fault: Fault | null;
  /** What the endpoint does with the connection when the response is out. */
  readonly after: "keep" | "close" | "close-unannounced" | "reset" | "stray";
  readonly tunnel: boolean;
  readonly tunnelLength: number;
}

const faultsWithBody: readonly Fault[] = ["reset-body", "fin-body", "stall-body"];
const faultsBefore: readonly Fault[] = [
  "silent",
  "reset-before",
  "fin-before",
  "reset-head",
  "fin-head",
  "garbage-head",
  "many-interims",
  "two-lengths",
  "length-and-chunked",
  "unasked-101",
];

function framingOf(dice: Dice, bodiless: boolean, http10: boolean): ResponsePlan["framing"] {
  if (bodiless) return "none";
  if (http10) return dice.pick(["length", "close"]);
  return dice.weighted([
    [5, "length"],
    [4, "chunked"],
    [1, "close"],
  ]);
}

function faultOf(dice: Dice, weather: Weather, framing: ResponsePlan["framing"], bodyLength: number): Fault | null {
  if (!dice.chance(weather.faults)) return null;
  if (bodyLength === 0 || framing === "none" || dice.chance(0.5)) return dice.pick(faultsBefore);
  if (framing === "chunked" && dice.chance(0.3)) return "bad-chunk";
  const fault = dice.pick(faultsWithBody);
  return fault === "fin-body" && framing === "close" ? "reset-body" : fault; // a FIN would end it in good order
}

function afterOf(
  dice: Dice,
  weather: Weather,
  framing: ResponsePlan["framing"],
  fault: Fault | null,
): ResponsePlan["after"] {
  if (framing === "close") return "close";
  if (fault !== null || !dice.chance(0.1 + weather.idleCloses)) return "keep";
  if (dice.chance(0.5) || weather.idleCloses === 0) return "close";
  return dice.pick(["close-unannounced", "reset", "stray"]);
}

function interimsOf(dice: Dice, request: SimRequest): readonly string[] {
  const { spec } = request;
  const list: string[] = [];
  if (spec.expects && dice.chance(0.7)) list.push("100 Continue");
  if (dice.chance(0.05)) list.push("103 Early Hints");
  return list.map((status) => `HTTP/1.1 ${status}\r\nX-Sim-Id: ${spec.id}\r\n\r\n`);
}

/** The lines of framing and connection, and of them those the client must see. */
function framingLines(
  dice: Dice,
  plan: Pick<ResponsePlan, "framing" | "bodyLength" | "after" | "status">,
  method: string,
  http10: boolean,
): { readonly stay: readonly string[]; readonly go: readonly string[] } {
  const { framing, bodyLength, after, status } = plan;
  const stay: string[] = [];
  const go: string[] = [];
  const length = `Content-Length: ${bodyLength}`;
  if (status === 101) return { stay, go };
  if (framing === "length") stay.push(length);
  else if (framing === "chunked") go.push("Transfer-Encoding: chunked");
  else if (framing === "none" && status === 204) {
    if (dice.chance(0.2)) go.push("Content-Length: 0"); // RFC 9110 8.6: must not be sent on
  } else if (framing === "none" && dice.chance(0.6)) {
    if (method === "HEAD" && dice.chance(0.3) && !http10) go.push("Transfer-Encoding: chunked");
    else stay.push(`Content-Length: ${dice.whole(0, 5000)}`);
  }
  const options: string[] = [];
  if (after === "close" && !http10 && (framing !== "close" || dice.chance(0.5))) options.push("close");
  if (after !== "close" && http10) options.push("keep-alive");
  if (dice.chance(0.1)) {
    options.push("X-Sim-Hop");
    go.push("X-Sim-Hop: secret");
  }
  if (options.length > 0) go.push(`Connection: ${options.join(", ")}`);
  if (dice.chance(0.05)) go.push("Keep-Alive: timeout=7");
  return { stay, go };
}

/** serial: number of the attempt, which the content is made from. */
export function randomResponse(dice: Dice, weather: Weather, request: SimRequest, serial: number): ResponsePlan {
  const { spec } = request;
  const tunnel = spec.upgrades && dice.chance(0.85);
  const status = tunnel ? 101 : dice.pick([200, 200, 200, 201, 204, 206, 304, 404, 500, 503]);
  const bodiless = tunnel || status === 204 || status === 304 || spec.method === "HEAD";
  const http10 = !tunnel && dice.chance(0.08);
  const framing = framingOf(dice, bodiless, http10);
  const bodyLength = framing === "none" ? 0 : bodySize(dice, weather);
  const fault = faultOf(dice, weather, framing, bodyLength);
  const after = afterOf(dice, weather, framing, fault);
  const framed = framingLines(dice, { framing, bodyLength, after, status }, spec.method, http10);
  const lines = [
    `X-Sim-Id: ${spec.id}`,
    `X-Sim-Attempt: ${serial}`,
    ...noiseLines(dice, dice.chance(0.1) ? 20_000 : 3000),
  ];
  const all = lines.map((text) => ({ text, stays: true }));
  for (const text of framed.stay) all.splice(dice.whole(0, all.length), 0, { text, stays: true });
  for (const text of framed.go) all.splice(dice.whole(0, all.length), 0, { text, stays: false });
  if (weather.policies) {
    if (dice.chance(0.5)) all.push({ text: `${backField}: ${serial}`, stays: false });
    if (dice.chance(0.5)) all.push({ text: "Content-Type: text/plain", stays: true });
    if (dice.chance(0.2)) all.push({ text: `Set-Cookie: SID=${serial}`, stays: true });
  }
  if (tunnel) for (const text of ["Upgrade: simtunnel", "Connection: upgrade"]) all.push({ text, stays: false });
  const reason = dice.chance(0.1) ? "" : ` ${noise(dice, 5)}`;
  const startLine = `HTTP/1.${http10 ? 0 : 1} ${status}${reason}`;
  const early = spec.body !== "none" && dice.chance(weather.early);
  return {
    status,
    head: `${startLine}\r\n${all.map(({ text }) => `${text}\r\n`).join("")}\r\n`,
    lines: all.filter(({ stays }) => stays).map(({ text }) => text),
    interims: tunnel ? [] : interimsOf(dice, request),
    framing,
    bodyLength,
    trailers: framing === "chunked" && dice.chance(0.3) ? [`X-Sim-Trailer: ${serial}`, "X-Last: z"] : [],
    begins: early ? dice.pick(["head", "middle"]) : "end",
    delayMs: dice.chance(weather.slow)
      ? dice.real(0, weather.deadlines.responseMs * 0.4)
      : dice.real(0, weather.crowded ? 100 : 5),
    pauseMs: dice.chance(weather.slow) ? dice.real(0, weather.deadlines.responseMs * 0.3) : 0,
    fault: tunnel && fault !== null && !faultsBefore.includes(fault) ? null : fault,
    after,
    tunnel,
    tunnelLength: tunnel ? bodySize(dice, weather) : 0,
  };
}
