// What a request hook returns (HookResponse) as a response of ours.

import { hookBodyBytesMax, hookFieldsBytesMax } from "../base/limits.ts";
import type { Head, Method } from "../wire/head.ts";
import { checkedName, checkedValue, shown } from "./hook-fields.ts";
import { beginOwn, endOwn, ownLinesMax } from "./own-answer.ts";

const utf8 = new TextEncoder();
const nothing = new Uint8Array(0);

/** Makes the response, to be sent by sendOwn(). Throws an Error for its author if it is none. */
export function assembleHookAnswer(answer: unknown, method: Method, wallMs: number): Head {
  if (typeof answer !== "object" || answer === null) {
    throw new TypeError(`the hook returned ${shown(answer)}; expected nothing, or { status, headers, body }`);
  }
  const { status, headers = {}, body = "" } = answer as Readonly<Record<string, unknown>>;
  if (!Number.isInteger(status) || (status as number) < 200 || (status as number) > 599) {
    throw new TypeError(`the hook returned the status ${shown(status)}; expected a number from 200 to 599`);
  }
  if (typeof body !== "string" && !(body instanceof Uint8Array)) {
    throw new TypeError(`the hook returned ${shown(body)} for a body; expected a text or a Uint8Array`);
  }
  const lines = linesOf(headers, typeof body === "string" && body !== "");
  const bytes = typeof body === "string" ? (body === "" ? nothing : utf8.encode(body)) : body;
  if (bytes.length > hookBodyBytesMax) throw new RangeError(`the hook's body is over ${hookBodyBytesMax} bytes`);
  beginOwn(status as number, wallMs).putText(lines);
  return endOwn(status as number, method, bytes, bytes.length, typeof body === "string");
}

function linesOf(headers: unknown, isText: boolean): string {
  if (typeof headers !== "object" || headers === null) {
    throw new TypeError(`the hook returned ${shown(headers)} for headers; expected a map of names to values`);
  }
  const lines: string[] = [];
  let hasType = false;
  for (const [name, value] of Object.entries(headers) as [string, unknown][]) {
    const lower = checkedName(name);
    if (lower === "date") continue; // ours says when it was
    hasType ||= lower === "content-type";
    for (const each of Array.isArray(value) ? (value as unknown[]) : [value]) {
      lines.push(`${name}: ${checkedValue(name, each)}\r\n`);
    }
  }
  if (isText && !hasType) lines.push("Content-Type: text/plain; charset=utf-8\r\n");
  const text = lines.join("");
  if (lines.length >= ownLinesMax || text.length > hookFieldsBytesMax) {
    throw new RangeError("the hook returned more headers than a response can have");
  }
  return text;
}
