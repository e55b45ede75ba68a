// One line per request, written into a scratch buffer byte by byte and handed to the sink, which never blocks. Formats
// are templates compiled to a list of parts. Fields are cut so that a line stays below the limit; control bytes are
// escaped.

import { Scratch } from "../base/bytes.ts";
import { causeWord, type Failure, formatTermination } from "../base/failure.ts";
import { logLineBytesMax } from "../base/limits.ts";
import type { Clock, LineSink } from "../base/ports.ts";
import type { ServerStream } from "../codec/stream.ts";
import type { AccessLogConfig } from "../model/config.ts";
import { type AccessLogField, combinedTemplate, jsonTemplate, parseLogTemplate } from "../model/log-fields.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, findField, type Head, HeadFlag, Name } from "../wire/head.ts";
import { latin1 } from "../wire/h1/tables.ts";
import type { Exchange } from "./exchange.ts";
import { clientAddress } from "./forwarded.ts";
import type { LogField } from "./hook-request.ts";
import type { Listener } from "./listener.ts";

interface Part {
  readonly bytes: Uint8Array;
  readonly field: AccessLogField | null;
}

/** The facts of one line; a single one is reused. */
class Entry {
  head: Head | null = null;
  client = "";
  peer = "";
  status = 0;
  bytesReceived = 0;
  bytesSent = 0;
  durationMs = 0;
  queueMs = 0;
  connectMs = 0;
  responseMs = 0;
  listener = "";
  route = "";
  pool = "";
  endpoint = "";
  attempts = 0;
  failure: Failure = 0;
  requestId = "";
  /** What hooks have to say. */
  hookFields: readonly LogField[] | null = null;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
// Longest output of a text field, in bytes. Should a line with several such fields be too long all the same, it is
// written again with shorter ones, for half a line of JSON is none.
const targetBytes = 1800;
const otherBytes = 400;
const shorterBy = 4;
const quote = 34;
const backslash = 92;
const brace = 125;
const hex = latin1("0123456789abcdef");
const dash = latin1("-");

export class AccessLog {
  private readonly sink: LineSink;
  private readonly clock: Clock;
  private readonly json: boolean;
  private readonly parts: readonly Part[];
  private readonly line = new Scratch(logLineBytesMax * 2);
  private readonly entry = new Entry();
  private second = -1;
  private isoSecond = "";
  private localSecond = "";
  private millis = 0;
  /** By what the longest output of text fields is divided. */
  private shorter = 1;

  constructor(config: AccessLogConfig, sink: LineSink, clock: Clock) {
    this.sink = sink;
    this.clock = clock;
    this.json = config.format === "json";
    const template = this.json ? jsonTemplate : config.format === "combined" ? combinedTemplate : config.template;
    this.parts = parseLogTemplate(template).parts.map((part) => ({ bytes: utf8.encode(part.text), field: part.field }));
  }

  /** The line of an exchange that is over but not yet cleared. */
  write(x: Exchange): void {
    const { entry, clock } = this;
    const client = x.client!;
    const head = x.headAgain();
    const now = clock.cachedMs;
    entry.head = head;
    entry.peer = client.connection.remoteAddress;
    entry.client = clientAddress(client, head, x.listener);
    entry.status = x.status;
    entry.bytesReceived = head.end - head.start + x.requestBodyBytes;
    entry.bytesSent = client.bytesOut - x.clientBytesOutBefore + x.tunnelBytesSent;
    entry.durationMs = now - x.startMs;
    entry.queueMs = x.attempts.pickedMs === 0 ? 0 : x.attempts.pickedMs - x.startMs;
    entry.connectMs = x.attempts.connectedMs === 0 ? 0 : x.attempts.connectedMs - x.attempts.pickedMs;
    entry.responseMs = x.attempts.connectedMs === 0 || x.answeredMs === 0 ? 0 : x.answeredMs - x.attempts.connectedMs;
    entry.listener = x.listener.name;
    entry.route = x.route?.name ?? "";
    entry.pool = x.attempts.pool?.name ?? "";
    entry.endpoint = x.attempts.endpointId;
    entry.attempts = x.attempts.count;
    entry.failure = x.failure;
    entry.requestId = x.requestIdText();
    entry.hookFields = x.hooked === null ? null : x.hooked.logFields;
    this.emit();
  }

  /** The line of a request that was refused before it became one. */
  writeRefused(listener: Listener, client: ServerStream, status: number, f: Failure): void {
    const { entry } = this;
    entry.head = null;
    entry.peer = client.connection.remoteAddress;
    entry.client = entry.peer;
    entry.status = status;
    entry.bytesReceived = 0;
    entry.bytesSent = 0;
    entry.durationMs = 0;
    entry.queueMs = 0;
    entry.connectMs = 0;
    entry.responseMs = 0;
    entry.listener = listener.name;
    entry.route = "";
    entry.pool = "";
    entry.endpoint = "";
    entry.attempts = 0;
    entry.failure = f;
    entry.requestId = "";
    entry.hookFields = null;
    this.emit();
  }

  private emit(): void {
    const { line } = this;
    this.readClock();
    this.shorter = 1;
    this.compose();
    if (line.length > logLineBytesMax - 1) {
      this.shorter = shorterBy;
      this.compose();
    }
    if (line.length > logLineBytesMax - 1) line.length = logLineBytesMax - 1;
    line.putByte(10);
    this.sink.append(line.bytes, 0, line.length);
    this.entry.head = null;
  }

  private compose(): void {
    const { line, parts } = this;
    line.length = 0;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      if (part.field === null) line.putAll(part.bytes);
      else this.putField(part.field);
    }
    if (this.entry.hookFields !== null) this.putHookFields(this.entry.hookFields);
  }

  /** Behind all others; those that do not fit into the line are left out. */
  private putHookFields(fields: readonly LogField[]): void {
    const { line, json } = this;
    if (json) line.length--; // the closing brace
    for (const [name, value] of fields) {
      const start = line.length;
      line.putText(json ? `,"${name}":` : ` ${name}=`);
      if (typeof value !== "string") line.putText(String(value));
      else if (json) line.putAll(utf8.encode(JSON.stringify(value.slice(0, otherBytes / this.shorter))));
      else this.putQuoted(value);
      if (line.length <= logLineBytesMax - 2) continue;
      line.length = start;
      break;
    }
    if (json) line.putByte(brace);
  }

  private putQuoted(text: string): void {
    const bytes = utf8.encode(text);
    this.line.putByte(quote);
    if (bytes.length > 0) this.putSpan(bytes, 0, bytes.length, otherBytes);
    this.line.putByte(quote);
  }

  private readClock(): void {
    const wall = this.clock.wallMs();
    const second = Math.floor(wall / 1000);
    this.millis = Math.floor(wall) - second * 1000;
    if (second === this.second) return;
    this.second = second;
    const date = new Date(second * 1000);
    this.isoSecond = date.toISOString().slice(0, 19);
    const two = (n: number): string => String(n).padStart(2, "0");
    this.localSecond =
      `${two(date.getUTCDate())}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}:` +
      `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
  }

  private putField(field: AccessLogField): void {
    const { line, entry } = this;
    switch (field) {
      case "time":
        line.putText(this.isoSecond);
        line.putText(`.${String(this.millis).padStart(3, "0")}Z`);
        break;
      case "timeLocal":
        line.putText(this.localSecond);
        break;
      case "status":
        line.putDecimal(entry.status);
        break;
      case "bytesReceived":
        line.putDecimal(entry.bytesReceived);
        break;
      case "bytesSent":
        line.putDecimal(entry.bytesSent);
        break;
      case "attempts":
        line.putDecimal(entry.attempts);
        break;
      case "durationMs":
        this.putMillis(entry.durationMs);
        break;
      case "queueMs":
        this.putMillis(entry.queueMs);
        break;
      case "connectMs":
        this.putMillis(entry.connectMs);
        break;
      case "responseMs":
        this.putMillis(entry.responseMs);
        break;
      default:
        this.putWords(field);
    }
  }

  private putWords(field: AccessLogField): void {
    const { entry } = this;
    const { head } = entry;
    switch (field) {
      case "client":
        return this.putText(entry.client);
      case "peer":
        return this.putText(entry.peer);
      case "listener":
        return this.putText(entry.listener);
      case "route":
        return this.putText(entry.route);
      case "pool":
        return this.putText(entry.pool);
      case "endpoint":
        return this.putText(entry.endpoint);
      case "requestId":
        return this.putText(entry.requestId);
      case "termination":
        return this.putText(formatTermination(entry.failure));
      case "cause":
        return this.putText(causeWord(entry.failure));
      case "protocol":
        return this.putText(head === null ? "" : protocolOf(head));
      case "method":
        return head === null ? this.putBlank() : this.putSpan(head.bytes, head.methodStart, head.methodEnd, otherBytes);
      case "target":
        return head === null
          ? this.putBlank()
          : this.putSpan(head.bytes, head.targetStart, head.targetEnd, targetBytes);
      case "host":
        return head === null ? this.putBlank() : this.putSpan(head.bytes, head.hostStart, head.hostEnd, otherBytes);
      case "userAgent":
        return this.putHeader(Name.UserAgent);
      case "referer":
        return this.putHeader(Name.Referer);
      default:
        if (head !== null) this.putRequest(head);
        else this.putBlank();
    }
  }

  private putRequest(head: Head): void {
    this.putSpan(head.bytes, head.methodStart, head.methodEnd, otherBytes);
    this.line.putByte(32);
    this.putSpan(head.bytes, head.targetStart, head.targetEnd, targetBytes);
    this.line.putText(` ${protocolOf(head)}`);
  }

  private putHeader(name: Name): void {
    const { head } = this.entry;
    const index = head === null ? -1 : findField(head, name);
    if (head === null || index < 0) return this.putBlank();
    const at = index * FIELD_WIDTH;
    this.putSpan(head.bytes, head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!, otherBytes);
  }

  /** What is not there: nothing in JSON, "-" elsewhere, as in the common log format. */
  private putBlank(): void {
    if (!this.json) this.line.putAll(dash);
  }

  private putText(text: string): void {
    if (text === "") return this.putBlank();
    const bytes = utf8.encode(text);
    this.putSpan(bytes, 0, bytes.length, otherBytes);
  }

  /** Escaped bytes, at most `longest` of output. */
  private putSpan(bytes: Uint8Array, start: number, end: number, longest: number): void {
    if (end <= start) return this.putBlank();
    const { line } = this;
    const max = longest / this.shorter;
    line.reserve(max + 6);
    const stop = line.length + max;
    const out = line.bytes;
    let at = line.length;
    for (let i = start; i < end && at < stop; i++) {
      const c = bytes[i]!;
      if (c >= 32 && c < 127 && c !== quote && c !== backslash) {
        out[at++] = c;
        continue;
      }
      out[at++] = backslash;
      if (this.json && (c === quote || c === backslash)) {
        out[at++] = c;
        continue;
      }
      if (this.json) {
        out[at++] = 117; // \u00hh: each byte a Latin-1 character, whatever the sender's encoding was
        out[at++] = 48;
        out[at++] = 48;
      } else out[at++] = 120; // \xhh, as nginx writes it
      out[at++] = hex[c >> 4]!;
      out[at++] = hex[c & 15]!;
    }
    line.length = at;
  }

  /** Milliseconds with three decimals. */
  private putMillis(value: number): void {
    const micros = Math.max(0, Math.round(value * 1000));
    const whole = Math.floor(micros / 1000);
    const rest = micros - whole * 1000;
    this.line.putDecimal(whole);
    this.line.putByte(46);
    this.line.putByte(48 + Math.floor(rest / 100));
    this.line.putByte(48 + (Math.floor(rest / 10) % 10));
    this.line.putByte(48 + (rest % 10));
  }
}

const utf8 = new TextEncoder();

function protocolOf(head: Head): string {
  return (head.flags & HeadFlag.Http10) !== 0 ? "HTTP/1.0" : "HTTP/1.1";
}
