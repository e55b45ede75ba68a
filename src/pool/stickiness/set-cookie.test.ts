// Set-Cookie lines, attribute by attribute.

import { expect, test } from "bun:test";
import type { CookieConfig } from "../../model/route-config.ts";
import { SetCookie } from "./set-cookie.ts";
import { cookieConfig, written } from "./test-kit.ts";

function line(change: Partial<CookieConfig>, secure = false): string {
  const cookie = new SetCookie(cookieConfig(change));
  return written((into) => {
    cookie.begin(into);
    into.putText("VALUE");
    cookie.end(into, secure);
  });
}

const rest = "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax\r\n";

test.each<readonly [string, Partial<CookieConfig>, boolean, string]>([
  ["the defaults on a plain connection", {}, false, `Set-Cookie: SLUICE=VALUE${rest}`],
  ["a name", { name: "__Host-lb" }, false, `Set-Cookie: __Host-lb=VALUE${rest}`],
  [
    "auto on a secure connection",
    {},
    true,
    "Set-Cookie: SLUICE=VALUE; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax\r\n",
  ],
  ["never", { secure: "never" }, true, `Set-Cookie: SLUICE=VALUE${rest}`],
  [
    "always, for all sites, to scripts too",
    { secure: "always", sameSite: "none", httpOnly: false },
    false,
    "Set-Cookie: SLUICE=VALUE; Path=/; Max-Age=3600; Secure; SameSite=None\r\n",
  ],
  [
    "until the browser closes, path and domain",
    { ttlMs: 0, sameSite: "unset", path: "/app", domain: "example.com" },
    false,
    "Set-Cookie: SLUICE=VALUE; Path=/app; Domain=example.com; HttpOnly\r\n",
  ],
  [
    "a life of less than a second, strict",
    { ttlMs: 250, sameSite: "strict" },
    false,
    "Set-Cookie: SLUICE=VALUE; Path=/; Max-Age=1; HttpOnly; SameSite=Strict\r\n",
  ],
])("%s", (_, change, secure, expected) => expect(line(change, secure)).toBe(expected));
