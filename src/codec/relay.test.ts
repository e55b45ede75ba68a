// Both codecs joined as an exchange joins them, over kernels that take as much as they like and pieces cut anywhere:
// every body arrives whole, in order, in the framing announced, on the right connection, and every connection ends in a
// known state.

import { expect, test } from "bun:test";
import type { Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { decodeReference } from "../wire/h1/chunked-kit.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { ClientRig, FakeConnection, relay, ServerRig } from "./test-kit.ts";

/** One request and its response, as the two peers mean them. */
interface Script {
  readonly requestBody: string;
  readonly request: string;
  readonly response: string;
  readonly responseBody: string;
  /** What the response's own framing is: a close ends the endpoint's connection. */
  readonly untilClose: boolean;
}

const letters = "\r\n0;5aF:/ HTP1.";

function randomBody(rng: Rng): string {
  const length = rng.below(4) === 0 ? rng.below(40_000) : rng.below(200);
  let text = "";
  while (text.length < length) text += letters[rng.below(letters.length)]!.repeat(1 + rng.below(300));
  return text.slice(0, length);
}

function chunked(body: string, rng: Rng): string {
  let text = "";
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, 1 + rng.below(rng.below(2) === 0 ? 10_000 : 20));
    const extension = rng.below(5) === 0 ? ";a=b" : "";
    text += `${size.toString(16)}${extension}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${text}0\r\n${rng.below(3) === 0 ? "T: 1\r\n" : ""}\r\n`;
}

function framed(body: string, kind: number, rng: Rng): { fields: string; coded: string } {
  if (kind === 0) return { fields: `Content-Length: ${body.length}\r\n`, coded: body };
  if (kind === 1) return { fields: "Transfer-Encoding: chunked\r\n", coded: chunked(body, rng) };
  return { fields: "", coded: body };
}

function randomScript(rng: Rng, i: number, last: boolean): Script {
  const requestKind = rng.below(3);
  const requestBody = requestKind === 2 ? "" : randomBody(rng);
  const { fields, coded } = framed(requestBody, requestKind, rng);
  const version = last && rng.below(3) === 0 && requestKind !== 1 ? "1.0" : "1.1";
  const close = last ? "Connection: close\r\n" : "";
  const responseKind = rng.below(3);
  const responseBody = randomBody(rng);
  const answer = framed(responseBody, responseKind, rng);
  return {
    requestBody,
    request: `POST /${i} HTTP/${version}\r\nHost: a\r\n${close}${fields}\r\n${coded}`,
    response: `HTTP/1.1 200 OK\r\nX-Number: ${i}\r\n${answer.fields}\r\n${answer.coded}`,
    responseBody,
    untilClose: responseKind === 2,
  };
}

/** Takes a message off the front of the text; null if it is not whole. `closed`: nothing more will come. */
function take(text: string, closed: boolean): { readonly head: string; readonly body: string; rest: string } | null {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const head = text.slice(0, end + 4);
  const behind = text.slice(end + 4);
  const length = /\r\nContent-Length: (\d+)\r\n/.exec(head)?.[1];
  if (length !== undefined) {
    const size = Number(length);
    return behind.length < size ? null : { head, body: behind.slice(0, size), rest: behind.slice(size) };
  }
  if (head.includes("\r\nTransfer-Encoding: chunked\r\n")) {
    const decoded = decodeReference(latin1(behind));
    if (decoded === null || decoded.hasExtensions) return null;
    return { head, body: Buffer.from(decoded.data).toString("latin1"), rest: behind.slice(decoded.used) };
  }
  if (!head.startsWith("HTTP/")) return { head, body: "", rest: behind };
  return closed ? { head, body: behind, rest: "" } : null;
}

function randomPieces(text: string, rng: Rng): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const size = 1 + rng.below(rng.below(3) === 0 ? 20_000 : rng.below(2) === 0 ? 40 : 2000);
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

/** A whole life of a client connection. Returns how many exchanges it had; throws an Error without a place. */
function run(rng: Rng, raw: boolean): number {
  const scripts = Array.from({ length: 1 + rng.below(4) }, (_, i) => randomScript(rng, i, false));
  scripts.push(randomScript(rng, scripts.length, true));
  const server = new ServerRig();
  server.connection.room = rng.below(100);
  const endpoints: { readonly connection: FakeConnection; readonly rig: ClientRig; sent: string; answered: boolean }[] =
    [];
  let fromServer = "";
  const received: string[] = [];
  server.onNew = (request) => {
    let current = endpoints.at(-1);
    if (current === undefined || !current.rig.client.isIdle) {
      const rig = new ClientRig();
      rig.client.onOpen();
      rig.connection.room = rng.below(100);
      current = { connection: rig.connection, rig, sent: "", answered: false };
      endpoints.push(current);
    }
    current.answered = false;
    relay(request, current.rig, `${request.line} HTTP/1.1\r\n${request.fields}\r\n`, raw);
  };
  const pieces = randomPieces(scripts.map((script) => script.request).join(""), rng);
  for (let turn = 0; turn < 20_000 && !(fromServer !== "" && !server.connection.isOpen); turn++) {
    if (pieces.length > 0 && rng.below(2) === 0) server.connection.receive(pieces.shift()!);
    server.connection.drain(rng.below(rng.below(3) === 0 ? 20_000 : 50));
    server.connection.pump();
    fromServer += server.connection.sent();
    for (const endpoint of endpoints) {
      endpoint.connection.drain(rng.below(rng.below(3) === 0 ? 20_000 : 50));
      endpoint.connection.pump();
      endpoint.sent += endpoint.connection.sent();
      const message = endpoint.answered ? null : take(endpoint.sent, false);
      if (message === null) continue;
      endpoint.answered = true;
      endpoint.sent = message.rest;
      if (message.rest !== "") throw new Error("bytes behind a request");
      const script = scripts[received.length]!;
      if (!message.head.startsWith(`POST /${received.length} HTTP/1.1\r\n`)) throw new Error(`request ${message.head}`);
      if (message.body !== script.requestBody) throw new Error(`request body ${received.length}`);
      received.push(message.head);
      endpoint.connection.receive(...randomPieces(script.response, rng));
      if (script.untilClose) endpoint.connection.receiveFin();
    }
    if (server.connection.finished) server.connection.receiveFin();
  }
  let toClient = fromServer + server.connection.sent();
  scripts.forEach((script, i) => {
    const message = take(toClient, true);
    if (message === null) throw new Error(`response ${i} is not whole: ${JSON.stringify(toClient.slice(0, 300))}`);
    if (!message.head.includes(`\r\nX-Number: ${i}\r\n`)) throw new Error(`response ${i} is ${message.head}`);
    if (message.body !== script.responseBody) throw new Error(`response body ${i}`);
    toClient = message.rest;
  });
  if (toClient !== "") throw new Error("bytes behind the last response");
  if (server.closed !== 1 || server.timers.size !== 0) throw new Error("the client's connection is not over");
  for (const { rig } of endpoints) {
    if (rig.client.isIdle) rig.client.close();
    if (rig.gone !== 1 || rig.timers.size !== 0) throw new Error("an endpoint's connection is not over");
  }
  return scripts.length;
}

for (const raw of [false, true]) {
  test(`bytes in are bytes out, ${raw ? "chunks passed on as they stand" : "bodies decoded and framed anew"}`, () => {
    const seed = raw ? 41 : 42;
    const rng = seededRng(seed);
    let exchanges = 0;
    for (let round = 0; round < 120; round++) {
      const own = rng.u32();
      try {
        exchanges += run(seededRng(own), raw);
      } catch (error) {
        throw new Error(`seed ${seed}, round ${round} (own seed ${own})`, { cause: error });
      }
    }
    expect(exchanges).toBeGreaterThan(240);
  });
}
