// Makes a Head of a decoded field section, or finds it malformed: the rules of RFC 9113 8.1 to 8.3 that concern a whole
// message. The Head stands on HTTP/1.1 text of the same meaning, laid out in the block's buffer: start line, Host from
// :authority, the fields as they came, one line for the cookies, and what HTTP/1.1 would say about the body. So all
// that works on heads, keeps them or parses them again works on these. read-head.fuzz.ts holds the two parsers
// together.

import { FailureCause } from "../../base/failure.ts";
import { targetBytesMax } from "../../base/limits.ts";
import { decodeLength, markTrailers, methodOf, validHost } from "../h1/parse.ts";
import { equalsLower, kind, latin1, lower, TARGET, TCHAR } from "../h1/tables.ts";
import {
  BODY_CHUNKED,
  FIELD_HOP,
  FIELD_ID,
  FIELD_NAME,
  FIELD_NAME_END,
  FIELD_NAME_MASK,
  FIELD_VALUE,
  FIELD_VALUE_END,
  FIELD_WIDTH,
  type Head,
  HeadFlag,
  Method,
  Name,
} from "../head.ts";
import { BlockKind, type FieldBlock } from "./field-block.ts";
import { FieldRule, Pseudo } from "./field-rules.ts";
import { addField, addLine, joinCookies, layRequestLine, layStatusLine } from "./lay-out.ts";

const SLASH = 47;

const wordHttp = latin1("http");
const wordHttps = latin1("https");
const wordWebSocket = latin1("websocket");
const wordContinue = latin1("100-continue");
const crlf = latin1("\r\n");
const chunkedLine = latin1("transfer-encoding: chunked\r\n");
const noLengthLine = latin1("content-length: 0\r\n");
const connectionLine = latin1("connection: upgrade\r\n");
const upgradeLine = latin1("upgrade: websocket\r\n");
const keyStart = latin1("sec-websocket-key: ");
const acceptStart = latin1("sec-websocket-accept: ");

// What the pass over the fields found. Module variables: the functions are synchronous and not re-entrant.
let contentLength = -1;
let hostSlot = -1;
let cookies = 0;

/**
 * Makes the request head in block.head. webSocketKey = a fresh Sec-WebSocket-Key for an extended CONNECT (RFC 8441),
 * which becomes the upgrade request that HTTP/1.1 has for it; null = extended CONNECT has not been offered. Returns 0
 * or the negative FailureCause: Protocol is a stream error of type PROTOCOL_ERROR, with block.rule telling why; the
 * others may be answered with a status.
 */
export function readRequestHead(block: FieldBlock, endStream: boolean, webSocketKey: Uint8Array | null): number {
  const verdict = beginHead(block);
  if (verdict < 0) return verdict;
  if (!block.has(Pseudo.Method)) return refuse(block, FieldRule.PseudoMissing);
  const { head, pseudoStart, pseudoEnd } = block;
  head.method = methodOf(block.out.bytes, pseudoStart[Pseudo.Method]!, pseudoEnd[Pseudo.Method]!);
  const extended = block.has(Pseudo.Protocol);
  const connects = extended || head.method === Method.Connect;
  const trouble = connects ? connectRules(block, webSocketKey !== null) : targetRules(block);
  if (trouble < 0) return trouble;
  const fields = passFields(block);
  if (fields < 0) return fields;
  const rule = hostRules(block);
  if (rule !== FieldRule.None) return refuse(block, rule);
  if (contentLength > 0 && endStream) return refuse(block, FieldRule.ContentLengthEnd);
  if (contentLength >= 0 && extended) return refuse(block, FieldRule.ContentLength);
  if (cookies > 1) hostSlot = joinCookies(block, hostSlot);
  layRequestLine(block, hostSlot, extended);
  if (extended) endUpgrade(block, keyStart, webSocketKey!);
  else endRequest(block, endStream);
  return endHead(block);
}

/**
 * Makes the response head in block.head; method = the request's. A final response without a length that ends the stream
 * at once gets "content-length: 0", as nothing else would tell an HTTP/1.1 client so. webSocketAccept = the
 * Sec-WebSocket-Accept that belongs to the key of an upgrade request, if that went out as an extended CONNECT: success
 * becomes the 101 that HTTP/1.1 has for it; else null. Returns as readRequestHead does.
 */
export function readResponseHead(
  block: FieldBlock,
  method: Method,
  endStream: boolean,
  webSocketAccept: Uint8Array | null,
): number {
  const verdict = beginHead(block);
  if (verdict < 0) return verdict;
  const { head } = block;
  if (!block.has(Pseudo.Status)) return refuse(block, FieldRule.PseudoMissing);
  const start = block.pseudoStart[Pseudo.Status]!;
  const status = decodeLength(block.out.bytes, start, block.pseudoEnd[Pseudo.Status]!);
  const digits = block.pseudoEnd[Pseudo.Status]! - start;
  if (digits !== 3 || status < 100 || status > 599 || status === 101) return refuse(block, FieldRule.Status);
  if (status < 200 && endStream) return refuse(block, FieldRule.Interim);
  head.status = status;
  head.method = method;
  const fields = passFields(block);
  if (fields < 0) return fields;
  if (webSocketAccept !== null && status >= 200 && status < 300) return upgraded(block, webSocketAccept);
  const hasNone = status < 200 || status === 204 || status === 304 || method === Method.Head;
  if (contentLength > 0 && endStream && !hasNone) return refuse(block, FieldRule.ContentLengthEnd);
  layStatusLine(block, status);
  if (status < 200 || status === 204) dropLengths(head, block.slot); // RFC 9110 8.6
  if (hasNone) head.bodyLength = 0;
  else setBody(block, endStream, true);
  return endHead(block);
}

/** The head of an upgrade's success (RFC 8441 5). */
function upgraded(block: FieldBlock, accept: Uint8Array): number {
  const { head } = block;
  head.status = 101;
  layStatusLine(block, 101);
  dropLengths(head, block.slot);
  endUpgrade(block, acceptStart, accept);
  return endHead(block);
}

/** Makes the head of a trailer section in block.head. Returns as readRequestHead does. */
export function readTrailers(block: FieldBlock): number {
  const verdict = beginHead(block);
  if (verdict < 0) return verdict;
  const { head } = block;
  head.start = block.linesStart < 0 ? block.out.length : block.linesStart;
  const after = endHead(block);
  markTrailers(head);
  return after;
}

function refuse(block: FieldBlock, rule: FieldRule): number {
  block.refuse(rule);
  return -FailureCause.Protocol;
}

function beginHead(block: FieldBlock): number {
  if (block.tooLarge) return -FailureCause.TooLarge;
  if (block.rule !== FieldRule.None) return -FailureCause.Protocol;
  const { head } = block;
  head.bytes = block.out.bytes;
  head.flags = 0;
  return 0;
}

/** Ends the text and counts the fields. Returns 0. */
function endHead(block: FieldBlock): number {
  const { head, out } = block;
  out.putAll(crlf);
  head.bytes = out.bytes; // it may have grown
  head.end = out.length;
  head.fieldCount = block.slot / FIELD_WIDTH;
  return 0;
}

function spells(block: FieldBlock, pseudo: Pseudo, word: Uint8Array): boolean {
  const start = block.pseudoStart[pseudo]!;
  return block.pseudoEnd[pseudo]! - start === word.length && equalsLower(block.out.bytes, start, word);
}

/** RFC 9113 8.5 and RFC 8441 4. A plain CONNECT is what a forward proxy serves, as in HTTP/1.1. */
function connectRules(block: FieldBlock, extendedOffered: boolean): number {
  if (block.has(Pseudo.Protocol)) {
    if (!extendedOffered || block.head.method !== Method.Connect) return refuse(block, FieldRule.Protocol);
    const verdict = targetRules(block);
    if (verdict < 0) return verdict;
    return spells(block, Pseudo.Protocol, wordWebSocket) ? 0 : -FailureCause.Unsupported;
  }
  const wellFormed = block.has(Pseudo.Authority) && !block.has(Pseudo.Scheme) && !block.has(Pseudo.Path);
  return wellFormed ? -FailureCause.Unsupported : refuse(block, FieldRule.Connect);
}

/** :method, :scheme and :path (8.3.1). */
function targetRules(block: FieldBlock): number {
  if (!block.has(Pseudo.Scheme) || !block.has(Pseudo.Path)) return refuse(block, FieldRule.PseudoMissing);
  const { head, pseudoStart, pseudoEnd } = block;
  const { bytes } = block.out;
  const methodStart = pseudoStart[Pseudo.Method]!;
  const methodEnd = pseudoEnd[Pseudo.Method]!;
  if (!consistsOf(bytes, methodStart, methodEnd, TCHAR)) return refuse(block, FieldRule.Method);
  const start = pseudoStart[Pseudo.Path]!;
  const end = pseudoEnd[Pseudo.Path]!;
  if (!consistsOf(bytes, start, end, TARGET)) return refuse(block, FieldRule.Path);
  if (end - start > targetBytesMax) return -FailureCause.UriTooLong;
  if (bytes[start] !== SLASH) {
    if (end - start !== 1 || bytes[start] !== 42 || head.method !== Method.Options) {
      return refuse(block, FieldRule.Path);
    }
    head.flags |= HeadFlag.Asterisk;
  }
  if (spells(block, Pseudo.Scheme, wordHttps) || spells(block, Pseudo.Scheme, wordHttp)) return 0;
  const schemeStart = pseudoStart[Pseudo.Scheme]!;
  const valid = consistsOf(bytes, schemeStart, pseudoEnd[Pseudo.Scheme]!, TCHAR);
  return valid ? -FailureCause.Unsupported : refuse(block, FieldRule.Scheme);
}

function consistsOf(bytes: Uint8Array, start: number, end: number, wanted: number): boolean {
  for (let i = start; i < end; i++) if ((kind[bytes[i]!]! & wanted) === 0) return false;
  return end > start;
}

/** Looks at the fields that have to do with framing and routing. */
function passFields(block: FieldBlock): number {
  contentLength = -1;
  hostSlot = -1;
  cookies = 0;
  const { head, slot: slotEnd } = block;
  const { fields } = head;
  const { bytes } = block.out;
  const isRequest = block.kind === BlockKind.Request;
  for (let slot = isRequest ? FIELD_WIDTH : 0; slot < slotEnd; slot += FIELD_WIDTH) {
    const name = fields[slot + FIELD_ID]! & FIELD_NAME_MASK;
    if (name === Name.Other) continue;
    const start = fields[slot + FIELD_VALUE]!;
    const end = fields[slot + FIELD_VALUE_END]!;
    if (name === Name.ContentLength) {
      const length = decodeLength(bytes, start, end);
      if (length < 0 || contentLength >= 0) return refuse(block, FieldRule.ContentLength);
      contentLength = length;
      head.flags |= HeadFlag.ContentLength;
    } else if (!isRequest) continue;
    else if (name === Name.Cookie) cookies++;
    else if (name === Name.Host) {
      if (hostSlot >= 0 || !validHost(bytes, start, end)) return refuse(block, FieldRule.Host);
      hostSlot = slot;
    } else if (name === Name.Expect) {
      if (end - start !== 12 || !equalsLower(bytes, start, wordContinue)) return -FailureCause.Expectation;
      head.flags |= HeadFlag.Expect100;
    }
  }
  return 0;
}

/** :authority and Host: one of them, and both the same (8.3.1). */
function hostRules(block: FieldBlock): FieldRule {
  const { head } = block;
  const { bytes } = block.out;
  if (!block.has(Pseudo.Authority)) return hostSlot < 0 ? FieldRule.Host : FieldRule.None;
  const start = block.pseudoStart[Pseudo.Authority]!;
  const end = block.pseudoEnd[Pseudo.Authority]!;
  if (!validHost(bytes, start, end)) return FieldRule.Authority; // also refuses user information
  if (hostSlot < 0) return FieldRule.None;
  const host = head.fields[hostSlot + FIELD_VALUE]!;
  if (head.fields[hostSlot + FIELD_VALUE_END]! - host !== end - start) return FieldRule.HostDiffers;
  for (let i = 0; i < end - start; i++) {
    if (lower[bytes[host + i]!] !== lower[bytes[start + i]!]) return FieldRule.HostDiffers;
  }
  return FieldRule.None;
}

/** Decides the body's length and says it as HTTP/1.1 would; saysNone = also that there is none. */
function setBody(block: FieldBlock, endStream: boolean, saysNone: boolean): void {
  const { head } = block;
  head.bodyLength = contentLength >= 0 ? contentLength : endStream ? 0 : BODY_CHUNKED;
  if (contentLength >= 0) return;
  if (!endStream) addLine(block, chunkedLine, 17, Name.TransferEncoding | FIELD_HOP);
  else if (saysNone) {
    addLine(block, noLengthLine, 14, Name.ContentLength);
    head.flags |= HeadFlag.ContentLength;
  }
}

/** Methods that usually have content say so when they have none (RFC 9110 8.6): some servers insist. */
function endRequest(block: FieldBlock, endStream: boolean): void {
  const { method } = block.head;
  setBody(block, endStream, method === Method.Post || method === Method.Put || method === Method.Patch);
}

/** What makes an upgrade of an extended CONNECT. A key that the peer sent all the same is taken. */
function endUpgrade(block: FieldBlock, fieldStart: Uint8Array, key: Uint8Array): void {
  const { head, out } = block;
  if (block.kind === BlockKind.Request) head.method = Method.Get;
  head.bodyLength = 0;
  head.flags |= HeadFlag.Upgrade;
  addLine(block, connectionLine, 10, Name.Connection | FIELD_HOP);
  addLine(block, upgradeLine, 7, Name.Upgrade | FIELD_HOP);
  const { fields } = head;
  for (let slot = 0; slot < block.slot; slot += FIELD_WIDTH) {
    const name = fields[slot + FIELD_NAME]!;
    const length = fields[slot + FIELD_NAME_END]! - name;
    if (length === fieldStart.length - 2 && equalsLower(out.bytes, name, fieldStart.subarray(0, length))) return;
  }
  addField(block, fieldStart, key);
}

/** Content-Length of messages that may have none. */
function dropLengths(head: Head, slotEnd: number): void {
  for (let at = FIELD_ID; at < slotEnd; at += FIELD_WIDTH) {
    if ((head.fields[at]! & FIELD_NAME_MASK) === Name.ContentLength) head.fields[at]! |= FIELD_HOP;
  }
}
