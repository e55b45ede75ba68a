// The action redirect: a response that sends the client elsewhere. The Location is a template; values in it cannot
// leave it, nor turn a path of this host into the name of another.

import { Scratch } from "../base/bytes.ts";
import type { ActionConfig } from "../model/route-config.ts";
import type { Head, Method } from "../wire/head.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { beginOwn, endOwn, reasonOf } from "./own-answer.ts";
import { compileTemplate, type Template, type TemplateFacts } from "./template.ts";

const COLON = 58;
const SLASH = 47;
const QUESTION = 63;
const crlf = latin1("\r\n");
const locationName = latin1("Location: ");
const textType = latin1("Content-Type: text/plain\r\n");
const location = new Scratch(512);

export class Redirect {
  private readonly status: number;
  private readonly to: Template;
  /** The template itself begins with "//": another host is meant. */
  private readonly namesHost: boolean;
  private readonly body: Uint8Array;

  constructor(config: Extract<ActionConfig, { readonly kind: "redirect" }>) {
    this.status = config.status;
    this.to = compileTemplate(config.to, "location");
    this.namesHost = this.to.firstText.startsWith("//");
    this.body = latin1(`${config.status} ${reasonOf(config.status)}\n`);
  }

  /**
   * Makes the response, to be sent by sendOwn(). null = the values make no Location (a Host is wanted and the request
   * has none): 400.
   */
  assemble(method: Method, facts: TemplateFacts, wallMs: number): Head | null {
    location.length = 0;
    this.to.put(location, facts);
    // Behind a query that turned out empty no "?" is left over.
    if (this.to.lastText === "" && location.bytes[location.length - 1] === QUESTION) location.length--;
    if (location.length === 0 || lacksHost(location)) return null;
    const lines = beginOwn(this.status, wallMs);
    lines.putAll(locationName);
    lines.put(location.bytes, this.namesHost ? 0 : firstOfSlashes(location), location.length);
    lines.putAll(crlf);
    lines.putAll(textType);
    return endOwn(this.status, method, this.body, this.body.length, true);
  }
}

/** Two slashes at the beginning would be read as "the host of this name follows" (RFC 3986 4.2). */
function firstOfSlashes({ bytes, length }: Scratch): number {
  let at = 0;
  while (at + 1 < length && bytes[at] === SLASH && bytes[at + 1] === SLASH) at++;
  return at;
}

/** "https:///path" and "https://:443/path": browsers would take what follows for the host. */
function lacksHost({ bytes, length }: Scratch): boolean {
  let at = 0;
  while (at < length && bytes[at] !== COLON && bytes[at] !== SLASH && bytes[at] !== QUESTION) at++;
  if (at === length || bytes[at] !== COLON || bytes[at + 1] !== SLASH || bytes[at + 2] !== SLASH) return false;
  const next = bytes[at + 3]!;
  return at + 3 >= length || next === SLASH || next === COLON || next === QUESTION;
}
