// A response that we make ourselves: built as HTTP/1.1 text, read back by the parser and sent like any other response,
// so that every protocol frames it in its own way, and edits and CORS act on it as on an endpoint's. One is under
// construction at a time: begin(), lines, end(), perhaps more lines of the exchange, sendOwn().

import { copyOf, Scratch } from "../base/bytes.ts";
import { putHttpDate } from "../base/date-text.ts";
import { headersMax } from "../base/limits.ts";
import type { Flow, ServerStream } from "../codec/stream.ts";
import { parseResponse } from "../wire/h1/parse.ts";
import { Head, type Method } from "../wire/head.ts";

const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  507: "Insufficient Storage",
  511: "Network Authentication Required",
};

/** The reason phrase of a status (RFC 9110 15 and the registry of status codes). */
export function reasonOf(status: number): string {
  return reasons[status] ?? (status < 300 ? "OK" : status < 400 ? "Redirect" : "Error");
}

/** Field lines that a response of ours may have besides Date and Content-Length. */
export const ownLinesMax = headersMax - 2;

const text = new Scratch(1024);
const head = new Head(headersMax);
let body: Uint8Array = new Uint8Array(0);
let bodyLength = 0;
let bodyIsConstant = false;

/** 204 and 304 have no body, and no length (RFC 9110 8.6); a 205 has a length and it is 0. */
function hasNoBody(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

/** Starts a response; wallMs dates it. Whole field lines may be appended to what is returned, until end(). */
export function beginOwn(status: number, wallMs: number): Scratch {
  text.length = 0;
  text.putText("HTTP/1.1 ");
  text.putDecimal(status);
  text.putText(` ${reasonOf(status)}\r\nDate: `);
  putHttpDate(text, wallMs);
  text.putText("\r\n");
  return text;
}

/**
 * Ends the head. content[0, length) is the body, left out where status or method allow none; isConstant = nobody will
 * ever change these bytes, so they need not be copied. Returns the head, in which fields may still be marked as dropped
 * before it is sent.
 */
export function endOwn(status: number, method: Method, content: Uint8Array, length: number, isConstant: boolean): Head {
  const none = hasNoBody(status);
  if (!none || status === 205) {
    text.putText("Content-Length: ");
    text.putDecimal(none ? 0 : length);
    text.putText("\r\n");
  }
  text.putText("\r\n");
  const { bytes, length: end } = text;
  if (parseResponse(bytes, 0, end, head, method, end, headersMax) !== end)
    throw new Error("a response of ours is none");
  body = content;
  bodyLength = head.bodyLength === 0 ? 0 : length;
  bodyIsConstant = isConstant;
  return head;
}

/** Sends the response that was ended last, with further lines. */
export function sendOwn(client: ServerStream, added: Scratch): Flow {
  if (bodyLength === 0) return client.sendHead(head, added, true, false);
  const length = bodyLength;
  const content = bodyIsConstant ? body : copyOf(body, 0, length);
  client.sendHead(head, added, false, true);
  return client.sendData(content, 0, length, true);
}

/** A response that was ended, put aside while another one may be made. */
export interface KeptOwn {
  readonly head: Uint8Array;
  readonly method: Method;
  readonly body: Uint8Array;
  readonly bodyLength: number;
}

/** Puts the response that was ended last aside. */
export function keepOwn(method: Method): KeptOwn {
  const content = bodyIsConstant ? body : copyOf(body, 0, bodyLength);
  return { head: copyOf(text.bytes, 0, text.length), method, body: content, bodyLength };
}

/** Makes a response that was put aside the one to be sent; its head as endOwn() returned it. */
export function resumeOwn(kept: KeptOwn): Head {
  text.length = 0;
  text.putAll(kept.head);
  const end = text.length;
  if (parseResponse(text.bytes, 0, end, head, kept.method, end, headersMax) !== end) {
    throw new Error("a response of ours that was put aside is lost");
  }
  body = kept.body;
  bodyLength = kept.bodyLength;
  bodyIsConstant = true;
  return head;
}
