// Error responses of the proxy: short and without a word about what is behind us.

import { latin1Text, Scratch } from "../base/bytes.ts";
import type { ServerStream } from "../codec/stream.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, findField, type Head, type Method, Name } from "../wire/head.ts";
import { beginOwn, endOwn, reasonOf, sendOwn } from "./own-answer.ts";

const noFields = new Scratch(16);
const body = new Scratch(512);

/** True if the request's Accept names JSON: then errors are JSON too. */
export function acceptsJson(head: Head): boolean {
  const index = findField(head, Name.Accept);
  if (index < 0) return false;
  const at = index * FIELD_WIDTH;
  const value = latin1Text(head.bytes, head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
  return /\bapplication\/(?:[\w.-]+\+)?json\b/i.test(value);
}

/**
 * Sends a complete error response. requestId "" = none is known. wallMs dates it. added = further field lines, such as
 * Retry-After.
 */
export function answer(
  client: ServerStream,
  method: Method,
  status: number,
  requestId: string,
  json: boolean,
  wallMs: number,
  added: Scratch = noFields,
): void {
  const reason = reasonOf(status);
  const text = json
    ? `${JSON.stringify({ error: { status, message: reason, ...(requestId === "" ? {} : { requestId }) } })}\n`
    : `${status} ${reason}\n${requestId === "" ? "" : `request id: ${requestId}\n`}`;
  body.length = 0;
  body.putText(text);
  beginOwn(status, wallMs).putText(`Content-Type: ${json ? "application/json" : "text/plain"}\r\n`);
  endOwn(status, method, body.bytes, body.length, false);
  sendOwn(client, added);
}
