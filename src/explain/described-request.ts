// A request that is only described: method, URL, fields, the client's address. What may be wrong with a description,
// and the bytes that a client would send for it. Nothing is sent here.

import { parseIp } from "../base/ip.ts";
import { tokenPattern } from "../config/fields.ts";
import { defaultTestMethod, defaultTestSource } from "../model/policy-defaults.ts";
import { validHost } from "../wire/h1/parse.ts";

export interface DescribedRequest {
  readonly method: string;
  /** http://host/path?query, or a path. */
  readonly url: string;
  /** In the order in which they are sent; Host only if it is another one than the URL's. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** The address the connection comes from. */
  readonly source: string;
}

/** A URL in the parts that matter here. */
export interface RequestUrl {
  readonly scheme: "http" | "https" | "";
  /** Host and port as written; "" where the URL is a path. */
  readonly authority: string;
  /** The port that is written, or that of the scheme; 0 = neither is known. */
  readonly port: number;
  /** Path and query as sent. */
  readonly target: string;
}

/** The Host of a request whose description names none. */
export const defaultHost = "localhost";

const utf8 = new TextEncoder();

/** The URL in its parts, or a sentence about what is wrong with it. Characters beyond ASCII are escaped. */
export function parseUrl(url: string): RequestUrl | string {
  const match = /^(?:(https?):\/\/([^/?#]*))?([/?].*)?$/i.exec(url);
  if (match === null || url === "") {
    return `expected a URL such as http://app.example.com/users, or a path, found ${JSON.stringify(url)}`;
  }
  const [, scheme = "", authority = "", rest = "/"] = match;
  if (rest.includes("#")) return "what stands behind # in a URL is never sent; leave it out";
  if (scheme !== "") {
    if (authority.includes("@")) return "leave user name and password out of the URL; send the field Authorization";
    const bytes = utf8.encode(authority);
    if (!validHost(bytes, 0, bytes.length)) return `${JSON.stringify(authority)} is not the name of a host`;
  }
  let target: string;
  try {
    target = (rest.startsWith("?") ? `/${rest}` : rest).replaceAll(/[^!-~]+/gu, encodeURIComponent);
  } catch {
    return `${JSON.stringify(url)} has characters in it that are none`; // half of a surrogate pair
  }
  const said = /:(\d+)$/.exec(authority)?.[1];
  const port = said !== undefined ? Number(said) : scheme === "" ? 0 : /s$/i.test(scheme) ? 443 : 80;
  return { scheme: scheme.toLowerCase() as RequestUrl["scheme"], authority, port, target };
}

/** A sentence about what is wrong with the description, apart from its URL; "" = nothing. */
export function faultOf({ method, headers, source }: DescribedRequest): string {
  if (!tokenPattern.test(method)) return `${JSON.stringify(method)} is not the name of a method`;
  if (parseIp(source) === null) return `${JSON.stringify(source)} is not an IP address`;
  for (const { name, value } of headers) {
    if (!tokenPattern.test(name)) return `${JSON.stringify(name)} is not the name of a header`;
    if (/[^\t -~\u0080-\u{10ffff}]/u.test(value)) return `the header ${name} has control characters in its value`;
  }
  return "";
}

/** "GET http://host/" in its two words; a URL alone is a GET. With everything else as by default. */
export function describeRequest(text: string): DescribedRequest {
  const match = /^([^\s/]+) +(\S.*)$/.exec(text);
  const [method, url] = match === null ? [defaultTestMethod, text] : [match[1]!, match[2]!];
  return { method, url, headers: [], source: defaultTestSource };
}

/** "Name: value" as curl's -H takes it; null if it is none. */
export function parseHeaderLine(text: string): { readonly name: string; readonly value: string } | null {
  const colon = text.indexOf(":");
  return colon <= 0 ? null : { name: text.slice(0, colon).trim(), value: text.slice(colon + 1).trim() };
}

/** The head that a client would send. The description has no fault. */
export function requestBytes({ method, headers }: DescribedRequest, { authority, target }: RequestUrl): Uint8Array {
  const hasHost = headers.some(({ name }) => name.toLowerCase() === "host");
  const host = hasHost ? [] : [{ name: "Host", value: authority === "" ? defaultHost : authority }];
  const lines = [...host, ...headers].map(({ name, value }) => `${name}: ${value}\r\n`);
  return utf8.encode(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`);
}
