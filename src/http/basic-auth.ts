// Basic authentication (RFC 7617): a request passes if its Authorization field brings a user's name and password. The
// password is compared with its hash once, off the hot path; the verdict is remembered under a keyed hash of the field
// (128 bits, the key drawn anew by every worker), never with the password. Unknown users take as long as known ones.
//
// For an exchange: check() says Yes, No or Busy at once, or Wait and calls the waiter later. No is answered 401 with
// the challenge line, Busy 503. After Yes, apply() makes the request what the endpoint is to see.

import { copyOf, latin1Text, type Scratch } from "../base/bytes.ts";
import { beginHash, feedBytes, finishHash } from "../base/keyed-hash.ts";
import { credentialBytesMax, verifiedLoginsMax } from "../base/limits.ts";
import type { BasicAuthConfig } from "../model/route-config.ts";
import { SharedTable, sharedTableWords } from "../stats/shared-table.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, type Head } from "../wire/head.ts";
import { latin1, lower } from "../wire/h1/tables.ts";
import { findHeader } from "../wire/lookup.ts";
import { FieldNames } from "./field-names.ts";
import type { Passwords } from "./password-desk.ts";

export const Auth = { Yes: 0, No: 1, Wait: 2, Busy: 3 } as const;
export type Auth = (typeof Auth)[keyof typeof Auth];

/** Who waits for a verdict. */
export interface AuthWaiter {
  /** user = number of the user for apply(), -1 = No. */
  onAuth(user: number): void;
}

/** A login that is being compared, and everybody who came with it meanwhile. */
interface Pending {
  readonly tag: Tag;
  readonly waiters: (AuthWaiter | null)[];
}

/** The keyed hash of what the client sent: 128 bits. */
interface Tag {
  a: number;
  b: number;
  c: number;
  d: number;
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const scheme = latin1("basic ");
const SPACE = 32;
const USER = 2;
/** A wrong login sent again within this time is still wrong. */
const wrongMs = 5000;
const wrongLoginsMax = 256;

function newTable(keys: number): SharedTable {
  const shape = { keys, values: 3 };
  return new SharedTable(new Int32Array(sharedTableWords(shape)), shape);
}

export class BasicAuth {
  /** The whole WWW-Authenticate line of a 401. */
  readonly challenge: Uint8Array;
  /** After check() said Yes: number of the user. */
  user = -1;
  private readonly config: BasicAuthConfig;
  private readonly desk: Passwords;
  private readonly numbers: ReadonlyMap<string, number>;
  /** The line that names the user to the endpoint, by number. */
  private readonly lines: readonly Uint8Array[];
  /** The names that say who the user is: never the client's own. */
  readonly replaced: FieldNames;
  /** Values: c, d, number of the user. */
  private readonly right = newTable(verifiedLoginsMax);
  private readonly wrong = newTable(wrongLoginsMax);
  private readonly pending: Pending[] = [];
  private readonly tag: Tag = { a: 0, b: 0, c: 0, d: 0 };
  private readonly half = { a: 0, b: 0 };

  /** The configuration is valid. */
  constructor(config: BasicAuthConfig, desk: Passwords) {
    const { realm, users, userHeader, passAuthorization } = config;
    this.config = config;
    this.desk = desk;
    this.challenge = latin1(`WWW-Authenticate: Basic realm="${realm}", charset="UTF-8"\r\n`);
    this.numbers = new Map(users.map(({ name }, number) => [name, number]));
    const encoder = new TextEncoder();
    this.lines = userHeader === "" ? [] : users.map(({ name }) => encoder.encode(`${userHeader}: ${name}\r\n`));
    const names = [...(passAuthorization ? [] : ["authorization"]), ...(userHeader === "" ? [] : [userHeader])];
    this.replaced = new FieldNames(names, true);
  }

  /** Wait: waiter.onAuth() is called later, unless forget() is called first. Busy: too many logins wait already. */
  check(head: Head, nowMs: number, waiter: AuthWaiter): Auth {
    const index = findHeader(head, "authorization");
    if (index < 0 || findHeader(head, "authorization", index + 1) >= 0) return Auth.No;
    const end = head.fields[index * FIELD_WIDTH + FIELD_VALUE_END]!;
    const start = tokenStart(head.bytes, head.fields[index * FIELD_WIDTH + FIELD_VALUE]!, end);
    if (start < 0 || end - start > credentialBytesMax) return Auth.No;
    this.hash(head.bytes, start, end);
    const known = this.find(this.right);
    if (known >= 0) {
      this.right.touch(known, nowMs);
      this.user = this.right.load(known, USER);
      return Auth.Yes;
    }
    const refused = this.find(this.wrong);
    if (refused >= 0 && this.wrong.ageMs(refused, nowMs) < wrongMs) return Auth.No;
    return this.begin(copyOf(head.bytes, start, end), nowMs, waiter);
  }

  /** The waiter does not want to hear the verdict any more. */
  forget(waiter: AuthWaiter): void {
    for (const { waiters } of this.pending) {
      const at = waiters.indexOf(waiter);
      if (at >= 0) waiters[at] = null;
    }
  }

  /** Drops what the endpoint is not to see, and appends the line that names the user. Before any other edits. */
  apply(head: Head, added: Scratch, user: number): void {
    if (!this.replaced.isEmpty) this.replaced.dropFrom(head);
    if (this.lines.length > 0) added.putAll(this.lines[user]!);
  }

  private hash(bytes: Uint8Array, start: number, end: number): void {
    const { tag, half } = this;
    beginHash(this.desk.seeds[0]);
    feedBytes(bytes, start, end);
    finishHash(half);
    tag.a = half.a;
    tag.b = half.b;
    beginHash(this.desk.seeds[1]);
    feedBytes(bytes, start, end);
    finishHash(half);
    tag.c = half.a;
    tag.d = half.b;
  }

  /** The entry of the tag, all 128 bits of it. */
  private find(table: SharedTable): number {
    const { tag } = this;
    const slot = table.find(tag.a, tag.b);
    if (slot < 0) return -1;
    return ((table.load(slot, 0) ^ tag.c) | (table.load(slot, 1) ^ tag.d)) === 0 ? slot : -1;
  }

  private begin(token: Uint8Array, nowMs: number, waiter: AuthWaiter): Auth {
    const { a, b, c, d } = this.tag;
    for (const { tag, waiters } of this.pending) {
      if (((tag.a ^ a) | (tag.b ^ b) | (tag.c ^ c) | (tag.d ^ d)) !== 0) continue;
      waiters.push(waiter);
      return Auth.Wait;
    }
    const login = readLogin(token);
    if (login === null) return Auth.No;
    if (this.desk.isFull) return Auth.Busy;
    const { users } = this.config;
    const number = this.numbers.get(login.name) ?? -1;
    // Somebody's hash, for those who are nobody: always the same one for the same login.
    const { hash } = users[number >= 0 ? number : (a >>> 0) % users.length]!;
    const pending: Pending = { tag: { a, b, c, d }, waiters: [waiter] };
    this.pending.push(pending);
    this.desk.compare(login.password, hash, (fits) => this.settle(pending, fits ? number : -1, nowMs));
    return Auth.Wait;
  }

  private settle(pending: Pending, user: number, nowMs: number): void {
    const { tag, waiters } = pending;
    this.pending.splice(this.pending.indexOf(pending), 1);
    const table = user >= 0 ? this.right : this.wrong;
    const slot = table.claim(tag.a, tag.b, nowMs);
    if (slot >= 0) {
      table.store(slot, 0, tag.c);
      table.store(slot, 1, tag.d);
      table.store(slot, USER, user);
    }
    for (const waiter of waiters) waiter?.onAuth(user);
  }
}

/** Start of what follows the scheme, or -1 if it is not Basic. */
function tokenStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (let k = 0; k < scheme.length; k++, at++) if (at >= end || lower[bytes[at]!] !== scheme[k]) return -1;
  while (at < end && bytes[at] === SPACE) at++;
  return at;
}

function readLogin(token: Uint8Array): { readonly name: string; readonly password: Uint8Array } | null {
  const text = latin1Text(token, 0, token.length);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, "base64");
  const colon = bytes.indexOf(58);
  if (colon < 0 || bytes.some((byte) => byte < SPACE || byte === 127)) return null;
  return { name: utf8.decode(bytes.subarray(0, colon)), password: bytes.subarray(colon + 1) };
}
