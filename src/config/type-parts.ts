// What the files that write a Config back as typed text are written with.

import { formatMs } from "../base/duration.ts";
import { OFF } from "../model/config.ts";
import type { CookieConfig, LimitKey } from "../model/route-config.ts";

/** Plain data as YAML and TypeScript give it. */
export type Typed = Readonly<Record<string, unknown>>;

/**
 * "short": short forms wherever there is one; "long": always maps and lists, so that two of them compare key by key.
 */
export type Style = "short" | "long";

export const offOr = (ms: number): string => (ms === OFF ? "off" : formatMs(ms));

export const unlimitedOr = <T>(n: number, text: T): T | "unlimited" => (n === OFF ? "unlimited" : text);

export const oneOrAll = <T>(list: readonly T[], style: Style): unknown =>
  style === "short" && list.length === 1 ? list[0] : list;

/** Without the keys whose value is null, and lists that are empty. */
export function given(values: Typed): Typed {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0)),
  );
}

export function typeKey(key: LimitKey): string {
  return key.name === "" ? key.from : `${key.from}:${key.name}`;
}

export function typeCookie(c: CookieConfig): Typed {
  return {
    name: c.name,
    ttl: offOr(c.ttlMs),
    secure: c.secure,
    httpOnly: c.httpOnly,
    sameSite: c.sameSite,
    path: c.path,
    ...(c.domain === "" ? {} : { domain: c.domain }),
  };
}
