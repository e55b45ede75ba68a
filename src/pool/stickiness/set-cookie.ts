// The Set-Cookie line of a cookie of ours (RFC 6265 4.1), assembled as bytes: everything but the value is prepared
// once. Name, path and domain are taken as they are: the configuration's validator refuses what a line may not contain.

import type { Scratch } from "../../base/bytes.ts";
import type { CookieConfig } from "../../model/route-config.ts";
import { latin1 } from "../../wire/h1/tables.ts";

const sameSiteWords = { strict: "Strict", lax: "Lax", none: "None", unset: "" } as const;

export class SetCookie {
  private readonly head: Uint8Array;
  /** What follows the value on connections that are secure, and on others. */
  private readonly secureTail: Uint8Array;
  private readonly plainTail: Uint8Array;

  constructor(config: CookieConfig) {
    this.head = latin1(`Set-Cookie: ${config.name}=`);
    this.secureTail = latin1(`${attributes(config, config.secure !== "never")}\r\n`);
    this.plainTail = latin1(`${attributes(config, config.secure === "always")}\r\n`);
  }

  /** Appends the beginning of the line; the value comes next, then end(). */
  begin(into: Scratch): void {
    into.putAll(this.head);
  }

  /** secure: the client's connection is encrypted, as far as we can tell. */
  end(into: Scratch, secure: boolean): void {
    into.putAll(secure ? this.secureTail : this.plainTail);
  }
}

function attributes(config: CookieConfig, secure: boolean): string {
  let text = `; Path=${config.path}`;
  if (config.domain !== "") text += `; Domain=${config.domain}`;
  if (config.ttlMs !== 0) text += `; Max-Age=${Math.ceil(config.ttlMs / 1000)}`;
  if (secure) text += "; Secure";
  if (config.httpOnly) text += "; HttpOnly";
  const sameSite = sameSiteWords[config.sameSite];
  return sameSite === "" ? text : `${text}; SameSite=${sameSite}`;
}
