// The fields that tell an endpoint about the client: X-Forwarded-*, X-Real-IP, X-Request-Id. What a client claims about
// itself is believed only from trusted proxies; everybody else's claims are dropped, Forwarded (RFC 7239) with them,
// unless the listener is to pass them on as they are, or none at all.

import { Scratch, latin1Text } from "../base/bytes.ts";
import { cidrContains, parseIp, type Cidr } from "../base/ip.ts";
import type { ServerStream } from "../codec/stream.ts";
import type { ListenerConfig } from "../model/config.ts";
import {
  dropFields,
  FIELD_DROPPED,
  FIELD_HOP,
  FIELD_ID,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  findField,
  type Head,
  Name,
} from "../wire/head.ts";
import { kind, latin1, lower, TCHAR } from "../wire/h1/tables.ts";
import { isNamed } from "../wire/lookup.ts";
import { addTraceContext, putHexWords } from "./trace-context.ts";

const forName = latin1("X-Forwarded-For: ");
const protoName = latin1("X-Forwarded-Proto: ");
const hostName = latin1("X-Forwarded-Host: ");
const portName = latin1("X-Forwarded-Port: ");
const realIpName = latin1("X-Real-IP: ");
const requestIdName = latin1("X-Request-Id: ");
const crlf = latin1("\r\n");
const forwardedPrefix = latin1("x-forwarded-");
const DASH = 45;
const UNDERSCORE = 95;
const requestIdBytesMax = 128;

/**
 * Which of the replaced fields the head brought: index of the first of each, -1 = none. One that Connection names goes
 * no further than us, so it does not count, and ours takes its place; but the chain of addresses is kept.
 */
const found = new Int32Array(32);

/**
 * first = the first of the names that are replaced. dropsOthers = X-Forwarded-Prefix, X-Forwarded-Ssl and whatever else
 * proxies have thought of goes no further; with underscores in it, it never does.
 */
function noteFields(head: Head, first: Name, dropsOthers: boolean): void {
  const { bytes, fields } = head;
  found.fill(-1, Name.XForwardedFor, Name.XRequestId + 1);
  for (let i = 0, at = FIELD_ID; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    const name = fields[at]! & FIELD_NAME_MASK;
    if (name === Name.Other) {
      const start = fields[at - FIELD_ID + FIELD_NAME]!;
      const end = fields[at - FIELD_ID + FIELD_NAME_END]!;
      if (end - start <= forwardedPrefix.length || lower[bytes[start]!] !== forwardedPrefix[0]) continue;
      if (isForwarded(bytes, start, end, dropsOthers)) fields[at]! |= FIELD_DROPPED;
    } else if (name === Name.Lookalike) fields[at]! |= FIELD_DROPPED;
    else if (name >= first && name <= Name.XRequestId) {
      if (name !== Name.XForwardedFor && (fields[at]! & FIELD_HOP) !== 0) continue;
      if (found[name] === -1) found[name] = i;
      else if (name !== Name.XForwardedFor) fields[at]! |= FIELD_DROPPED; // a second one can only confuse
    }
  }
}

/** True if the name begins with X-Forwarded-; unless any spelling will do, only with an underscore in it. */
function isForwarded(bytes: Uint8Array, start: number, end: number, anySpelling: boolean): boolean {
  for (let k = 0; k < forwardedPrefix.length; k++) {
    const c = lower[bytes[start + k]!]!;
    if (c !== forwardedPrefix[k] && !(c === UNDERSCORE && forwardedPrefix[k] === DASH)) return false;
  }
  if (anySpelling) return true;
  for (let at = start; at < end; at++) if (bytes[at] === UNDERSCORE) return true;
  return false;
}

/** Of a trailer section: drops what tells of clients, as far as the parser has not marked it. */
export function dropForwarded(head: Head): void {
  noteFields(head, Name.XForwardedFor, true);
}

function drop(head: Head, index: number): void {
  if (index >= 0) head.fields[index * FIELD_WIDTH + FIELD_ID]! |= FIELD_DROPPED;
}

/** A request id that may be passed on: 1 to 128 token characters. */
function wellFormedId(head: Head, index: number): boolean {
  const at = index * FIELD_WIDTH;
  const start = head.fields[at + FIELD_VALUE]!;
  const end = head.fields[at + FIELD_VALUE_END]!;
  if (end === start || end - start > requestIdBytesMax) return false;
  for (let i = start; i < end; i++) {
    const c = head.bytes[i]!;
    if ((kind[c]! & TCHAR) === 0 && c !== 47 && c !== 58 && c !== 61 && c !== 64) return false; // also / : = @
  }
  return true;
}

/** Text of the request id the client sent, if it was well-formed; else "". */
export function sentRequestId(head: Head): string {
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    if ((head.fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.XRequestId) continue;
    if (!wellFormedId(head, i)) return "";
    return latin1Text(head.bytes, head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
  }
  return "";
}

/** Four random words as the 32 hexadecimal digits of a request id. */
export function requestIdText(id: Uint32Array): string {
  let text = "";
  for (let i = 0; i < 4; i++) text += id[i]!.toString(16).padStart(8, "0");
  return text;
}

/** How the listener's connections look to endpoints. */
export interface ForwardedFacts {
  readonly scheme: "http" | "https";
  readonly trustedProxies: readonly Cidr[];
}

/** Somebody at the other end of a connection. */
export interface Peered {
  readonly connection: { readonly remoteAddress: string };
}

function isTrusted(facts: Pick<ForwardedFacts, "trustedProxies">, address: string): boolean {
  const blocks = facts.trustedProxies;
  if (blocks.length === 0) return false;
  const bytes = parseIp(address);
  if (bytes === null) return false;
  for (const block of blocks) if (cidrContains(block, bytes)) return true;
  return false;
}

/**
 * The client's address: the peer's, or behind trusted proxies the last address of X-Forwarded-For that is not itself a
 * trusted proxy. An unreadable entry ends the search at the address before it.
 */
export function clientAddress(client: Peered, head: Head, facts: Pick<ForwardedFacts, "trustedProxies">): string {
  const peer = client.connection.remoteAddress;
  if (facts.trustedProxies.length === 0 || !isTrusted(facts, peer)) return peer;
  const chain: string[] = [];
  for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_WIDTH) {
    if ((head.fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.XForwardedFor) continue;
    const value = latin1Text(head.bytes, head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
    for (const entry of value.split(",")) chain.push(entry.trim());
  }
  let address = peer;
  for (let i = chain.length - 1; i >= 0; i--) {
    const entry = chain[i]!;
    if (parseIp(entry) === null) return address;
    address = entry;
    if (!isTrusted(facts, entry)) return address;
  }
  return address;
}

/** The scheme the client used: ours, or what a trusted proxy says in X-Forwarded-Proto. */
export function clientScheme(client: ServerStream, head: Head, facts: ForwardedFacts): "http" | "https" {
  if (facts.trustedProxies.length === 0) return facts.scheme;
  const index = findField(head, Name.XForwardedProto);
  if (index < 0 || !isTrusted(facts, client.connection.remoteAddress)) return facts.scheme;
  const at = index * FIELD_WIDTH;
  const start = head.fields[at + FIELD_VALUE]!;
  const end = head.fields[at + FIELD_VALUE_END]!;
  if (isNamed(head.bytes, start, end, "https")) return "https";
  return isNamed(head.bytes, start, end, "http") ? "http" : facts.scheme;
}

/** What becomes of X-Forwarded-*, X-Real-IP and Forwarded: see ListenerConfig. */
export type ForwardedMode = ListenerConfig["forwarded"];

/**
 * Appends the forwarded fields to `added` and marks the client's own ones that they replace. id = the words of the
 * request id to use if the client brought none; returns true if it was used. The request id, and that no spelling with
 * underscores goes on, are the same in every mode.
 */
export function addForwarded(
  added: Scratch,
  client: ServerStream,
  head: Head,
  facts: ForwardedFacts,
  id: Uint32Array,
  mode: ForwardedMode = "append",
): boolean {
  const keeps = mode === "preserve" || (mode === "append" && isTrusted(facts, client.connection.remoteAddress));
  noteFields(head, mode === "preserve" ? Name.XRequestId : Name.XForwardedFor, !keeps);
  if (!keeps) dropClaims(head);
  if (mode === "append") {
    if (keeps) addTrusted(added, client, head, facts);
    else {
      added.putAll(client.memo ?? peerBlock(client, facts));
      addHost(added, head);
    }
  }
  addTraceContext(added, head, id);
  const sent = found[Name.XRequestId]!;
  if (sent >= 0 && wellFormedId(head, sent)) return false;
  drop(head, sent);
  added.putAll(requestIdName);
  putHexWords(added, id, 4);
  added.putAll(crlf);
  return true;
}

function dropClaims(head: Head): void {
  for (let name: number = Name.XForwardedFor; name <= Name.XRealIp; name++) {
    if (found[name] !== -1) dropFields(head, name as Name);
  }
  dropFields(head, Name.Forwarded);
}

function addHost(added: Scratch, head: Head): void {
  if (head.hostEnd === head.hostStart) return;
  added.putAll(hostName);
  added.put(head.bytes, head.hostStart, head.hostEnd);
  added.putAll(crlf);
}

/** The lines that are the same for every request of a connection; kept with it. A unix socket has no port to tell. */
function peerBlock(client: ServerStream, facts: ForwardedFacts): Uint8Array {
  const peer = client.connection.remoteAddress;
  const port = client.localPort === 0 ? "" : `X-Forwarded-Port: ${client.localPort}\r\n`;
  const block = latin1(
    `X-Forwarded-For: ${peer}\r\nX-Real-IP: ${peer}\r\nX-Forwarded-Proto: ${facts.scheme}\r\n${port}`,
  );
  client.memo = block;
  return block;
}

function addTrusted(added: Scratch, client: ServerStream, head: Head, facts: ForwardedFacts): void {
  const peer = client.connection.remoteAddress;
  added.putAll(forName);
  if (found[Name.XForwardedFor]! >= 0) {
    for (let i = 0, at = 0; i < head.fieldCount; i++, at += FIELD_WIDTH) {
      if ((head.fields[at + FIELD_ID]! & FIELD_NAME_MASK) !== Name.XForwardedFor) continue;
      const start = head.fields[at + FIELD_VALUE]!;
      const end = head.fields[at + FIELD_VALUE_END]!;
      if (end > start) {
        added.put(head.bytes, start, end);
        added.putText(", ");
      }
      head.fields[at + FIELD_ID]! |= FIELD_DROPPED;
    }
  }
  added.putText(peer);
  added.putAll(crlf);
  if (found[Name.XRealIp]! < 0) {
    added.putAll(realIpName);
    added.putText(clientAddress(client, head, facts));
    added.putAll(crlf);
  }
  if (found[Name.XForwardedProto]! < 0) {
    added.putAll(protoName);
    added.putText(facts.scheme);
    added.putAll(crlf);
  }
  if (found[Name.XForwardedPort]! < 0 && client.localPort !== 0) {
    added.putAll(portName);
    added.putDecimal(client.localPort);
    added.putAll(crlf);
  }
  if (found[Name.XForwardedHost]! < 0) addHost(added, head);
}
