// The placeholders an access-log template may use, in the order of their numbers. The validator checks templates
// against this list; the log writer implements it.

export const accessLogFields = [
  "time", // ISO 8601, UTC, milliseconds; when the request ended
  "client", // the client's address, seen through trusted proxies
  "peer", // the address of the connection
  "method",
  "target",
  "protocol", // HTTP/1.1
  "host",
  "status", // 0 = no response
  "bytesReceived", // request head and body
  "bytesSent", // accepted by the client
  "durationMs", // from the request head to the end of the response
  "queueMs", // until an endpoint was chosen
  "connectMs", // until the request could be sent
  "responseMs", // until the response head came
  "listener",
  "route", // its name, or its number from 0; empty if there was none
  "pool",
  "endpoint",
  "attempts",
  "termination", // who ended it, in which phase
  "cause", // why, as a word; "none" for a whole exchange
  "requestId",
  "userAgent",
  "referer",
  "timeLocal", // 22/Nov/2026:13:00:00 +0000
  "request", // method, target and protocol as in the common log format
] as const;
export type AccessLogField = (typeof accessLogFields)[number];

/** Splits a template into texts and fields. A brace that opens no known field is an error: its name is in `unknown`. */
export function parseLogTemplate(template: string): {
  readonly parts: readonly { readonly text: string; readonly field: AccessLogField | null }[];
  readonly unknown: readonly string[];
} {
  const parts: { text: string; field: AccessLogField | null }[] = [];
  const unknown: string[] = [];
  let at = 0;
  for (const match of template.matchAll(/\{([^{}]*)\}/g)) {
    if (match.index > at) parts.push({ text: template.slice(at, match.index), field: null });
    const name = match[1] ?? "";
    if ((accessLogFields as readonly string[]).includes(name)) parts.push({ text: "", field: name as AccessLogField });
    else unknown.push(name);
    at = match.index + match[0].length;
  }
  if (at < template.length) parts.push({ text: template.slice(at), field: null });
  return { parts, unknown };
}

/** The built-in formats are templates too. In json every text field is escaped for JSON. */
export const combinedTemplate = '{client} - - [{timeLocal}] "{request}" {status} {bytesSent} "{referer}" "{userAgent}"';

export const jsonTemplate =
  '{"time":"{time}","client":"{client}","method":"{method}","host":"{host}","target":"{target}",' +
  '"protocol":"{protocol}",' +
  '"status":{status},"bytesReceived":{bytesReceived},"bytesSent":{bytesSent},"durationMs":{durationMs},' +
  '"queueMs":{queueMs},"connectMs":{connectMs},"responseMs":{responseMs},"listener":"{listener}","route":"{route}",' +
  '"pool":"{pool}","endpoint":"{endpoint}","attempts":{attempts},"termination":"{termination}","cause":"{cause}",' +
  '"requestId":"{requestId}","userAgent":"{userAgent}","referer":"{referer}"}';
