// The placeholders of templates in routes (redirects, fixed answers, rewrites, header edits), as data, and the one
// way to split a template into its parts. The validator checks templates by it; the router fills them in. The access
// log has a list of its own (log-fields.ts).

/** What follows the name: nothing, or a dot and a name of the user's (query.page, header.x-user). */
export interface PlaceholderKind {
  readonly name: string;
  /** What kind of argument follows a dot; null = none. */
  readonly argument: "header" | "cookie" | "query" | null;
  /** request = known once the route is; forward = only where a request is forwarded, once an endpoint is chosen. */
  readonly known: "request" | "forward";
  readonly meaning: string;
}

function plain(name: string, meaning: string, known: PlaceholderKind["known"] = "request"): PlaceholderKind {
  return { name, argument: null, known, meaning };
}

/** In the order in which they are documented. Unknown at the moment of use = empty text. */
export const placeholders = [
  plain("source", "address of the client, seen through trusted proxies"),
  plain("client", "the same as {source}"),
  plain("sourcePort", "port of the client's connection"),
  plain("requestId", "the request's id, as in X-Request-Id"),
  plain("method", "GET, POST …"),
  plain("scheme", "http or https; behind a trusted proxy what X-Forwarded-Proto says"),
  plain("host", "the request's Host in lower case, with its port if it has one"),
  plain("hostname", "the same without the port"),
  plain("port", "port that the client connected to"),
  plain("uri", "path and query, as they are forwarded unless rewritten"),
  plain("path", "the path, as it is forwarded unless rewritten"),
  plain("query", "the query without its question mark"),
  plain("listener", "name of the listener"),
  plain("route", "name of the route; its number from 0 unless it has one"),
  plain("pool", "name of the chosen pool", "forward"),
  plain("endpoint", "id of the chosen endpoint", "forward"),
  plain("time", "when the request came: ISO 8601, UTC, milliseconds"),
  plain("tls.sni", "server name of the TLS handshake; empty without TLS"),
  plain("tls.version", "TLSv1.2, TLSv1.3; empty without TLS"),
  plain("tls.cipher", "cipher suite; empty without TLS"),
  { name: "query", argument: "query", known: "request", meaning: "value of the first such query argument" },
  { name: "header", argument: "header", known: "request", meaning: "value of that request field, as it came" },
  { name: "cookie", argument: "cookie", known: "request", meaning: "value of that cookie" },
] as const satisfies readonly PlaceholderKind[];

/** The names without an argument. */
export const plainPlaceholders: readonly string[] = placeholders.filter((p) => p.argument === null).map((p) => p.name);

/** One hole of a template. */
export type Placeholder =
  | { readonly from: "plain"; /** one of plainPlaceholders */ readonly name: string }
  | { readonly from: "query" | "header" | "cookie"; /** header: lower case */ readonly name: string }
  /** The text that a part in parentheses of the route's match.regex fitted, 1 to 9. */
  | { readonly from: "capture"; readonly index: number };

export interface TemplatePart {
  /** Literal text; "" for a hole. */
  readonly text: string;
  readonly hole: Placeholder | null;
}

export interface ParsedTemplate {
  readonly parts: readonly TemplatePart[];
  /** What stands in braces, looks like a placeholder and is none: "{hots}" gives "hots". */
  readonly unknown: readonly string[];
}

/** A brace opens a placeholder only if a word or one digit follows; {{ is one literal brace. */
const opening = /\{\{|\{([1-9]|[A-Za-z][A-Za-z0-9]*(?:\.[^{}\s"'\\,:;]+)?)\}/g;

/**
 * Splits a template. Braces around anything that does not look like a placeholder (JSON, styles) are literal text. With
 * anything in `unknown` the template must not be used.
 */
export function parseTemplate(template: string): ParsedTemplate {
  const parts: TemplatePart[] = [];
  const unknown: string[] = [];
  let text = "";
  let at = 0;
  for (const match of template.matchAll(opening)) {
    text += template.slice(at, match.index);
    at = match.index + match[0].length;
    const name = match[1];
    if (name === undefined) {
      text += "{";
      continue;
    }
    const hole = placeholderOf(name);
    if (hole === null) unknown.push(name);
    if (text !== "") parts.push({ text, hole: null });
    text = "";
    if (hole !== null) parts.push({ text: "", hole });
  }
  text += template.slice(at);
  if (text !== "") parts.push({ text, hole: null });
  return { parts, unknown };
}

/** The placeholder that stands between the braces, or null. */
export function placeholderOf(name: string): Placeholder | null {
  if (/^[1-9]$/.test(name)) return { from: "capture", index: Number(name) };
  if (plainPlaceholders.includes(name)) return { from: "plain", name };
  const dot = name.indexOf(".");
  const from = name.slice(0, dot);
  const argument = name.slice(dot + 1);
  if (dot < 0 || argument === "") return null;
  if (from === "header") return { from, name: argument.toLowerCase() };
  return from === "query" || from === "cookie" ? { from, name: argument } : null;
}
