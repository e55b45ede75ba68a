// Stickiness by something the client shows anyway, remembered in a table that all workers share: its address, or the
// application's own session cookie.

import { addressKeyOf } from "../../base/address-key.ts";
import { keyedHashBytes, type Hash64 } from "../../base/keyed-hash.ts";
import { cookiesTriedMax } from "../../base/limits.ts";
import type { Clock } from "../../base/ports.ts";
import {
  FIELD_ID,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
  Name,
} from "../../wire/head.ts";
import { findCookie, Span } from "../../wire/lookup.ts";
import { IdIndex } from "./id-index.ts";
import type { SessionTable } from "./session-table.ts";
import type { Stickiness, StickyMark } from "./stickiness.ts";

const SPACE = 32;
const TAB = 9;
const SEMICOLON = 59;
const EQUALS = 61;
const value = new Span();
const learned: Hash64 = { a: 0, b: 0 };

/** What both have in common: a mark's key, and the endpoint the table has for it. */
class KeyedSessions {
  readonly sessions: SessionTable;
  readonly ids: IdIndex;
  readonly clock: Clock;

  constructor(ids: readonly string[], sessions: SessionTable, clock: Clock) {
    this.sessions = sessions;
    this.ids = new IdIndex(ids);
    this.clock = clock;
  }

  /** Looks the mark's key up. */
  look(mark: StickyMark): void {
    mark.hasKey = true;
    mark.isKnown = this.sessions.lookUp(mark.key, this.clock.cachedMs);
    if (mark.isKnown) mark.preferred = this.ids.find(this.sessions.id.a, this.sessions.id.b);
  }

  bind(key: Hash64, index: number): void {
    this.sessions.put(key, this.ids.hashes[index]!, this.clock.cachedMs);
  }
}

/**
 * sticky: { by: source-ip }: bound as soon as an endpoint is chosen, so that a browser's first requests stay together.
 */
export class SourceStickiness implements Stickiness {
  readonly wantsAddress = true;
  private readonly keyed: KeyedSessions;

  constructor(ids: readonly string[], sessions: SessionTable, clock: Clock) {
    this.keyed = new KeyedSessions(ids, sessions, clock);
  }

  /** Clients on unix sockets have no address, and no session. */
  recall(mark: StickyMark, _head: Head, address: Uint8Array | null): number {
    mark.reset();
    if (addressKeyOf(address, this.keyed.sessions.seed, mark.key)) this.keyed.look(mark);
    return mark.preferred;
  }

  chosen(mark: StickyMark, index: number, keeps: boolean): void {
    if (!mark.hasKey || keeps || index === mark.preferred) return;
    this.keyed.bind(mark.key, index);
    mark.preferred = index;
  }

  answered(): void {
    // all is done when the endpoint is chosen
  }
}

/**
 * sticky: { by: app-cookie }: sessions are learned from the Set-Cookie fields of responses alone, so that made-up
 * values in requests cannot fill the table. A known session whose endpoint is lost belongs to whoever answers next.
 */
export class AppCookieStickiness implements Stickiness {
  readonly wantsAddress = false;
  private readonly name: string;
  private readonly keyed: KeyedSessions;

  constructor(name: string, ids: readonly string[], sessions: SessionTable, clock: Clock) {
    this.name = name;
    this.keyed = new KeyedSessions(ids, sessions, clock);
  }

  recall(mark: StickyMark, head: Head): number {
    mark.reset();
    const { keyed } = this;
    let after = 0;
    for (let k = 0; k < cookiesTriedMax && findCookie(head, this.name, value, after); k++) {
      after = value.end;
      keyedHashBytes(keyed.sessions.seed, head.bytes, value.start, value.end, mark.key);
      keyed.look(mark);
      if (mark.isKnown) break;
    }
    return mark.preferred;
  }

  chosen(): void {
    // the endpoint tells by its answer
  }

  answered(mark: StickyMark, index: number, keeps: boolean, head: Head): void {
    const { keyed } = this;
    if (mark.isKnown && !keeps && index !== mark.preferred) keyed.bind(mark.key, index);
    const { fields } = head;
    for (let i = 0, at = 0, tried = 0; i < head.fieldCount && tried < cookiesTriedMax; i++, at += FIELD_WIDTH) {
      if ((fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.SetCookie) continue;
      if (!setsCookie(head.bytes, fields[at + FIELD_VALUE]!, fields[at + FIELD_VALUE_END]!, this.name)) continue;
      tried++;
      keyedHashBytes(keyed.sessions.seed, head.bytes, value.start, value.end, learned);
      keyed.bind(learned, index);
    }
  }
}

/**
 * True if a Set-Cookie value gives the cookie a value that is not empty (an empty one deletes it); the value is then in
 * `value`, white space at its end left out (RFC 6265 5.2).
 */
function setsCookie(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  if (end - start <= name.length || bytes[start + name.length] !== EQUALS) return false;
  for (let k = 0; k < name.length; k++) if (bytes[start + k] !== name.charCodeAt(k)) return false;
  value.start = start + name.length + 1;
  let stop = value.start;
  while (stop < end && bytes[stop] !== SEMICOLON) stop++;
  while (stop > value.start && (bytes[stop - 1] === SPACE || bytes[stop - 1] === TAB)) stop--;
  value.end = stop;
  return stop > value.start;
}
