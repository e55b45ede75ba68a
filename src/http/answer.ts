// Responses of our own: errors, short and without a word about what is behind us. They are built as HTTP/1.1 text, read
// back by the parser and sent like any other response, so that every protocol frames them in its own way.

import { Scratch } from "../base/bytes.ts";
import type { ServerStream } from "../codec/stream.ts";
import { parseResponse } from "../wire/h1/parse.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, findField, Head, type Method, Name } from "../wire/head.ts";
import { latin1Text } from "../base/bytes.ts";

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  404: "Not Found",
  408: "Request Timeout",
  413: "Content Too Large",
  414: "URI Too Long",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

export function reasonOf(status: number): string {
  return reasons[status] ?? "Error";
}

const noFields = new Scratch(16);
const text = new Scratch(1024);
const answerHead = new Head(8);

/** True if the request's Accept names JSON: then errors are JSON too. */
export function acceptsJson(head: Head): boolean {
  const index = findField(head, Name.Accept);
  if (index < 0) return false;
  const at = index * FIELD_WIDTH;
  const value = latin1Text(head.bytes, head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
  return /\bapplication\/(?:[\w.-]+\+)?json\b/i.test(value);
}

/** Sends a complete error response. requestId "" = none is known. wallMs dates it. */
export function answer(
  client: ServerStream,
  method: Method,
  status: number,
  requestId: string,
  json: boolean,
  wallMs: number,
): void {
  const reason = reasonOf(status);
  const body = json
    ? `${JSON.stringify({ error: { status, message: reason, ...(requestId === "" ? {} : { requestId }) } })}\n`
    : `${status} ${reason}\n${requestId === "" ? "" : `request id: ${requestId}\n`}`;
  text.length = 0;
  text.putText(`HTTP/1.1 ${status} ${reason}\r\nDate: ${new Date(wallMs).toUTCString()}\r\n`);
  text.putText(`Content-Type: ${json ? "application/json" : "text/plain"}\r\nContent-Length: ${body.length}\r\n\r\n`);
  const end = text.length;
  text.putText(body);
  parseResponse(text.bytes, 0, end, answerHead, method, end, 8);
  const last = answerHead.bodyLength === 0;
  client.sendHead(answerHead, noFields, last, true);
  if (!last) client.sendData(text.bytes.slice(end, text.length), 0, body.length, true);
}
