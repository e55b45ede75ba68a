// Random well-formed requests, together with what an endpoint must get of them: the lines that stay, those that must
// not arrive, and those the proxy adds.

import { latin1 } from "../../src/wire/h1/tables.ts";
import type { Dice } from "./dice.ts";
import type { RequestSpec } from "./ledger.ts";
import { goneField, type Policies, userField } from "./policies.ts";
import { bodySize, type Weather } from "./weather.ts";

/** A field line, and whether it must arrive at the endpoint. */
interface Line {
  readonly text: string;
  readonly stays: boolean;
}

const stay = (text: string): Line => ({ text, stays: true });
const go = (text: string): Line => ({ text, stays: false });

/** Text of printable characters that no header rule minds. */
export function noise(dice: Dice, length: number): string {
  let text = "";
  while (text.length < length) text += dice.rng.u32().toString(36);
  return text.slice(0, length);
}

/** Fields that mean nothing; now and then one is long, up to longMax characters. */
export function noiseLines(dice: Dice, longMax: number): readonly string[] {
  const lines: string[] = [];
  for (let i = dice.whole(0, 4); i > 0; i--) {
    const value = noise(dice, dice.chance(0.1) ? dice.whole(500, longMax) : dice.whole(0, 60));
    lines.push(dice.pick(["X-Noise: ", "x-noise:", "Accept:  ", "User-Agent: ", "Cookie: a=b; c="]) + value);
  }
  return lines;
}

interface Shape {
  readonly method: string;
  readonly http10: boolean;
  readonly body: "none" | "length" | "chunked";
  readonly upgrades: boolean;
  readonly closes: boolean;
}

function shapeOf(dice: Dice, weather: Weather, last: boolean): Shape {
  const upgrades = last && dice.chance(weather.upgrades);
  const http10 = !upgrades && dice.chance(0.08);
  const method = upgrades
    ? "GET"
    : dice.weighted([
        [45, "GET"],
        [8, "HEAD"],
        [22, "POST"],
        [10, "PUT"],
        [5, "DELETE"],
        [3, "OPTIONS"],
        [4, "PATCH"],
        [2, "BREW"],
      ]);
  const bodied = ["POST", "PUT", "PATCH", "BREW"].includes(method) ? dice.chance(0.8) : !upgrades && dice.chance(0.05);
  const body = !bodied ? "none" : !http10 && dice.chance(0.4) ? "chunked" : "length";
  return { method, http10, body, upgrades, closes: last && !upgrades && dice.chance(0.3) };
}

interface Target {
  /** In the request line, as sent and as wanted. */
  readonly sent: string;
  readonly wanted: string;
  readonly hostLine: Line | null;
  readonly host: string;
}

function targetOf(dice: Dice, shape: Shape, id: number): Target {
  const host = `sim${dice.whole(0, 3)}.example${dice.chance(0.2) ? ":8080" : ""}`;
  if (shape.method === "OPTIONS" && dice.chance(0.4)) {
    return { sent: "*", wanted: "*", hostLine: stay(`Host: ${host}`), host };
  }
  const path = `/r/${id}${dice.chance(0.3) ? `?${noise(dice, dice.whole(0, 80))}` : ""}`;
  if (dice.chance(0.1)) {
    const tail = dice.pick([path, `?r=${id}`, ""]);
    // RFC 9112 3.2.4: the last proxy makes the asterisk of an absolute form without path.
    const asterisk = tail === "" && shape.method === "OPTIONS";
    const wanted = asterisk ? "*" : tail.startsWith("/") ? tail : `/${tail}`;
    // RFC 9112 3.2.2: the authority of an absolute form wins over Host.
    return { sent: `http://${host}${tail}`, wanted, hostLine: go("Host: other.example"), host };
  }
  if (shape.http10 && dice.chance(0.3)) return { sent: path, wanted: path, hostLine: null, host: "" };
  return { sent: path, wanted: path, hostLine: stay(`Host: ${host}`), host };
}

/** Connection and its like: what must stay behind. */
function hopLines(dice: Dice, shape: Shape): readonly Line[] {
  if (shape.upgrades) return [go("Connection: Upgrade"), go("Upgrade: simtunnel")];
  const lines: Line[] = [];
  const options: string[] = [];
  if (shape.closes && !shape.http10) options.push("close");
  if (shape.http10 && !shape.closes) options.push("keep-alive");
  else if (dice.chance(0.1) && !shape.closes) options.push("Keep-Alive");
  if (dice.chance(0.1)) {
    options.push("X-Sim-Hop");
    lines.push(go("X-Sim-Hop: secret"));
  }
  if (options.length > 0) lines.push(go(`Connection: ${options.join(", ")}`));
  if (dice.chance(0.05)) lines.push(go("Keep-Alive: timeout=5"));
  if (dice.chance(0.05)) lines.push(go("TE: trailers"));
  if (dice.chance(0.05)) lines.push(go("Proxy-Connection: keep-alive"));
  return lines;
}

interface Claims {
  readonly lines: readonly Line[];
  readonly wantedFor: string;
  readonly wantedId: string | null;
}

/** What the client says about itself; believed only if it is a trusted proxy. */
function claims(dice: Dice, trusted: boolean, address: string): Claims {
  const lines: Line[] = [];
  let wantedFor = address;
  if (dice.chance(0.15)) {
    lines.push(go("X-Forwarded-For: 203.0.113.9"));
    if (trusted) wantedFor = `203.0.113.9, ${address}`;
    if (dice.chance(0.5)) lines.push({ text: "X-Forwarded-Proto: https", stays: trusted });
    if (dice.chance(0.3)) lines.push({ text: "Forwarded: for=203.0.113.9", stays: trusted });
  }
  if (!dice.chance(0.2)) return { lines, wantedFor, wantedId: null };
  const good = dice.chance(0.7);
  const id = good ? `id-${noise(dice, 12)}` : "not well formed";
  lines.push({ text: `X-Request-Id: ${id}`, stays: good });
  return { lines, wantedFor, wantedId: good ? id : null };
}

/** What routes with policies look at, and what they take out. */
function policyLines(dice: Dice, policies: Policies, id: number): readonly Line[] {
  const lines: Line[] = [];
  if (dice.chance(0.5)) lines.push(go(`${goneField}: ${id}`));
  if (dice.chance(0.2)) lines.push(go(`${userField}: forged`));
  if (dice.chance(0.5)) lines.push(stay("Accept-Encoding: gzip"));
  const cookie = policies.cookieLine(dice);
  if (cookie !== null) lines.push(stay(cookie));
  return lines;
}

/** last: nothing will follow it on its connection. address: the client's. */
export function randomRequest(
  dice: Dice,
  weather: Weather,
  id: number,
  address: string,
  last: boolean,
  policies: Policies | null,
): RequestSpec {
  const shape = shapeOf(dice, weather, last);
  const target = targetOf(dice, shape, id);
  const bodyLength = shape.body === "none" ? 0 : bodySize(dice, weather);
  const claim = claims(dice, weather.trusted && address.startsWith("198.51.100."), address);
  const expects = shape.body !== "none" && bodyLength > 0 && !shape.http10 && dice.chance(0.15);
  const trailers = shape.body === "chunked" && dice.chance(0.4) ? [`X-Sim-Trailer: ${id}`, "X-Other: a b"] : [];
  const lines: Line[] = [
    stay(`X-Sim-Id: ${id}`),
    ...noiseLines(dice, 3000).map(stay),
    ...hopLines(dice, shape),
    ...claim.lines,
    ...(policies === null ? [] : policyLines(dice, policies, id)),
  ];
  if (expects) lines.push(stay("Expect: 100-continue"));
  if (shape.body === "length") lines.push(stay(`Content-Length: ${bodyLength}`));
  else if (shape.body === "chunked") lines.push(go(`Transfer-Encoding: ${dice.pick(["chunked", "Chunked"])}`));
  shuffle(dice, lines);
  if (target.hostLine !== null) lines.splice(dice.chance(0.8) ? 0 : dice.whole(0, lines.length), 0, target.hostLine);
  const version = shape.http10 ? "HTTP/1.0" : "HTTP/1.1";
  const head = `${shape.method} ${target.sent} ${version}\r\n${lines.map(({ text }) => `${text}\r\n`).join("")}\r\n`;
  return {
    id,
    method: shape.method,
    http10: shape.http10,
    head: latin1(head),
    body: shape.body,
    bodyLength,
    trailers,
    expects,
    upgrades: shape.upgrades,
    closes: shape.closes || (shape.http10 && shape.closes),
    wantedStart: `${shape.method} ${target.wanted} HTTP/1.1`,
    wantedHost: target.host,
    wantedLines: lines.filter(({ stays }) => stays).map(({ text }) => text),
    wantedId: claim.wantedId,
    wantedFor: claim.wantedFor,
    tunnelLength: shape.upgrades ? bodySize(dice, weather) : 0,
  };
}

function shuffle<T>(dice: Dice, list: T[]): void {
  for (let i = list.length - 1; i > 0; i--) {
    const k = dice.whole(0, i);
    const kept = list[i]!;
    list[i] = list[k]!;
    list[k] = kept;
  }
}
