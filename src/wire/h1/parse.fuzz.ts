// Fuzzing of the head parsers and the head writer: any bytes, taken as a request, as a response and as trailers.
// Whatever is accepted must have one meaning: framing by one field, spans in order, no line break inside, the same in
// pieces, and the same again after it was written for the other side.

import type { FuzzTarget } from "../../../tools/fuzz.ts";
import { Scratch } from "../../base/bytes.ts";
import { FailureCause } from "../../base/failure.ts";
import { BODY_CHUNKED, Head, HeadFlag, Method } from "../head.ts";
import { NEED_MORE, parseRequest, parseResponse, parseTrailers } from "./parse.ts";
import { latin1 } from "./tables.ts";
import {
  checkSpans,
  collect,
  cut,
  fieldsMax,
  headBytesMax,
  type SeenHead,
  seeRequest,
  seeResponse,
} from "./test-kit.ts";
import { ConnectionSays, writeRequestHead, writeResponseHead, writeTrailers } from "./write.ts";

const refusals: ReadonlySet<number> = new Set([
  -FailureCause.Protocol,
  -FailureCause.TooLarge,
  -FailureCause.UriTooLong,
  -FailureCause.Unsupported,
  -FailureCause.Expectation,
  -FailureCause.Version,
]);
const nothing = new Scratch(16);
const out = new Scratch(64);

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** Names and values of a kind: framing fields, or those that go on. */
function fieldsOf(seen: SeenHead, wanted: (name: string, hop: boolean) => boolean): string[] {
  return seen.fields
    .filter((field) => wanted(field.name.toLowerCase(), field.hop))
    .map((field) => `${field.name}: ${field.value}`);
}

function checkFraming(seen: SeenHead): void {
  const lengths = fieldsOf(seen, (name) => name === "content-length").length;
  const codings = fieldsOf(seen, (name) => name === "transfer-encoding").length;
  must(lengths + codings <= 1, "two framing fields");
  must(seen.bodyLength !== BODY_CHUNKED || codings === 1, "chunked without being told");
  must(seen.bodyLength <= 0 || lengths === 1, "a length without being told");
}

/** The pieces' verdict, unless the pieces end before a decision, must be the whole's. */
function checkPieces(
  input: Uint8Array,
  whole: number,
  parse: (b: Uint8Array, s: number, e: number, h: Head) => number,
): void {
  const third = Math.ceil(input.length / 3);
  const single = input.length < 200 ? [...input.keys()] : [];
  const odd = (input[0] ?? 0) % (input.length + 1);
  for (const pieces of [[third, 2 * third], [odd], [1, input.length - 1], single]) {
    const { after, parses } = collect(
      cut(
        input,
        pieces.filter((at) => at > 0 && at < input.length),
      ),
      parse,
    );
    if (after === NEED_MORE) must(whole <= 0, "pieces of an accepted head want more");
    else must(after === whole, `pieces give ${after}, the whole ${whole}`);
    must(parses < 20, `parsed ${parses} times`);
  }
}

function checkRequest(input: Uint8Array): void {
  const head = new Head(fieldsMax);
  const parse = (bytes: Uint8Array, start: number, end: number, into: Head): number =>
    parseRequest(bytes, start, end, into, headBytesMax, fieldsMax);
  const after = parse(input, 0, input.length, head);
  must(after >= 0 || refusals.has(after), `unknown refusal ${after}`);
  must(after <= Math.min(input.length, headBytesMax), "more than there is");
  checkPieces(input, after, parse);
  if (after <= 0) return;
  checkSpans(head, 0, after);
  must(head.start <= head.methodStart && head.methodStart < head.methodEnd, "method");
  must(head.methodEnd < head.targetStart && head.targetStart <= head.targetEnd, "target");
  must(head.hostStart <= head.hostEnd && head.hostEnd <= head.end, "host");
  const before = seeRequest(input);
  checkFraming(before);
  must(!/[\0-\x20\x7f]/.test(before.method + before.target + before.host), "control byte in the request line");
  must(before.methodNumber !== Method.Connect, "CONNECT");
  out.length = 0;
  const upgrades = (head.flags & HeadFlag.Upgrade) !== 0;
  writeRequestHead(out, head, nothing, upgrades ? ConnectionSays.Upgrade : ConnectionSays.Nothing);
  const again = seeRequest(out.bytes.slice(0, out.length), 2 * headBytesMax, 2 * fieldsMax);
  if (before.host === "") {
    must(again.verdict === "protocol", "HTTP/1.1 without Host"); // the codec supplies one
    return;
  }
  must(again.verdict === "ok" && again.used === out.length, `written head: ${again.verdict}`);
  must(again.host === before.host && again.method === before.method, "host or method changed");
  must(again.bodyLength === before.bodyLength && !again.flags.includes("Http10"), "framing changed");
  const endToEnd = (name: string, hop: boolean): boolean => !hop && name !== "host";
  must(fieldsOf(again, endToEnd).join("\n") === fieldsOf(before, endToEnd).join("\n"), "fields changed");
  must(upgrades === again.flags.includes("Upgrade"), "upgrade changed");
}

function checkResponse(input: Uint8Array): void {
  for (const method of [Method.Get, Method.Head] as const) {
    const head = new Head(fieldsMax);
    const parse = (bytes: Uint8Array, start: number, end: number, into: Head): number =>
      parseResponse(bytes, start, end, into, method, headBytesMax, fieldsMax);
    const after = parse(input, 0, input.length, head);
    must(after >= 0 || refusals.has(after), `unknown refusal ${after}`);
    must(after <= Math.min(input.length, headBytesMax), "more than there is");
    checkPieces(input, after, parse);
    if (after <= 0) continue;
    checkSpans(head, 0, after);
    const before = seeResponse(input, method);
    checkFraming(before);
    must(method !== Method.Head || before.bodyLength === 0, "a body for HEAD");
    out.length = 0;
    const chunked = before.bodyLength < 0;
    writeResponseHead(out, head, nothing, chunked, ConnectionSays.Close);
    const again = seeResponse(out.bytes.slice(0, out.length), method, 2 * headBytesMax, 2 * fieldsMax);
    must(again.verdict === "ok" && again.used === out.length, `written head: ${again.verdict}`);
    must(again.status === before.status, "status changed");
    must(again.bodyLength === (chunked ? BODY_CHUNKED : before.bodyLength), "framing changed");
    const endToEnd = (_name: string, hop: boolean): boolean => !hop;
    must(fieldsOf(again, endToEnd).join("\n") === fieldsOf(before, endToEnd).join("\n"), "fields changed");
  }
}

function checkTrailers(input: Uint8Array): void {
  const head = new Head(fieldsMax);
  const after = parseTrailers(input, 0, input.length, head, fieldsMax);
  must(after >= 0 || refusals.has(after), `unknown refusal ${after}`);
  if (after <= 0) return;
  checkSpans(head, 0, after);
  out.length = 0;
  writeTrailers(out, head);
  const again = new Head(fieldsMax);
  must(parseTrailers(out.bytes, 0, out.length, again, fieldsMax) === out.length, "written trailers");
}

const fields = "Host: a.example:80\r\nX-A:\t1 \r\nCookie: a=b\r\n";

export const target: FuzzTarget = {
  name: "h1-heads",
  seeds: [
    `GET /a?b HTTP/1.1\r\n${fields}\r\n`,
    `POST / HTTP/1.1\r\n${fields}Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello`,
    `PUT / HTTP/1.1\r\nConnection: close, x-a, keep-alive\r\n${fields}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `GET http://b/x HTTP/1.1\r\n${fields}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
    "\r\nOPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "OPTIONS http://[::1]:8 HTTP/1.1\r\nHost: [::1]\r\nTE: trailers\r\nVia: 1.0 x\r\n\r\n",
    `POST / HTTP/1.1\r\n${fields}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
    `POST / HTTP/1.1\r\n${fields}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
    `POST / HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    `POST / HTTP/1.0\r\n${fields}Transfer-Encoding: chunked\r\n\r\n`,
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    "HTTP/1.1 304\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
    "HTTP/1.0 404 Not found\r\nKeep-Alive: 5\r\nSet-Cookie: a\r\n\r\n",
    "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "X-Sum: 1\r\nContent-Length: 5\r\n\r\n",
  ].map(latin1),
  run(input) {
    checkRequest(input);
    checkResponse(input);
    checkTrailers(input);
  },
};
