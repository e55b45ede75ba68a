// Who may use the admin API: the bearer of the token, and no web page that a browser on this machine happens to show.

import { parseIp } from "../base/ip.ts";

/** True if the Authorization field carries the token. Takes the same time wherever the first difference is. */
export function bearsToken(authorization: string | null, token: string): boolean {
  const match = /^Bearer +([^ ]+) *$/i.exec(authorization ?? "");
  const given = new TextEncoder().encode(match?.[1] ?? "");
  const wanted = new TextEncoder().encode(token);
  let different = given.length ^ wanted.length;
  for (let i = 0; i < wanted.length; i++) different |= wanted[i]! ^ (given[i] ?? 0);
  return different === 0;
}

/** The host of "host:port", "[::1]:80" or "host", without brackets. */
function hostOf(authority: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(authority);
  return match?.[1] ?? match?.[2] ?? "";
}

/**
 * Why a request that needs no token must be refused all the same, or "". Without a token only programs of this machine
 * may call, but a web page can make its user's browser call too: under its own name that was pointed at 127.0.0.1 (DNS
 * rebinding), or as a simple POST across sites. Browsers send Host and Origin truthfully, so both give the page away.
 */
export function foreignness(headers: Headers): string {
  const host = headers.get("host") ?? "";
  const name = hostOf(host).toLowerCase();
  if (name !== "localhost" && !name.endsWith(".localhost") && parseIp(name) === null) {
    return `without a token the Host must be an IP address or localhost, not ${JSON.stringify(name)}`;
  }
  const origin = headers.get("origin");
  if (origin !== null && origin.replace(/^https?:\/\//, "") !== host) {
    return "requests from web pages of other origins are refused";
  }
  return "";
}
