// DNS messages as a stub resolver needs them (RFC 1035 4, RFC 2782, RFC 3596, RFC 6891): writes questions, reads
// responses. Pure bytes; it opens no sockets, caches nothing and trusts no length in what it reads.

import { formatIp } from "../../base/ip.ts";

export const RecordType = { A: 1, CNAME: 5, AAAA: 28, SRV: 33 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** The types that are asked for. */
export type QuestionType = Exclude<RecordType, typeof RecordType.CNAME>;

/** Response codes that are told apart (RFC 1035 4.1.1). */
export const ResponseCode = {
  NoError: 0,
  FormatError: 1,
  ServerFailure: 2,
  NoSuchName: 3,
  NotImplemented: 4,
  Refused: 5,
} as const;

const TYPE_OPT = 41;
const CLASS_IN = 1;
const HEADER_BYTES = 12;
const LABEL_BYTES_MAX = 63;
const NAME_BYTES_MAX = 255;
/** RFC 1034 3.6.2 asks for no loops; resolvers follow eight to sixteen. */
const ALIASES_MAX = 16;

/** Names are lower case, without the last dot; the root is "". Bytes that are no part of a host name are \DDD. */
export interface DnsQuestion {
  readonly name: string;
  readonly type: QuestionType;
}

interface RecordBase {
  readonly name: string;
  /** Seconds. */
  readonly ttl: number;
}
export interface AddressRecord extends RecordBase {
  readonly type: typeof RecordType.A | typeof RecordType.AAAA;
  /** Canonical IP literal. */
  readonly address: string;
}
export interface AliasRecord extends RecordBase {
  readonly type: typeof RecordType.CNAME;
  readonly target: string;
}
export interface ServiceRecord extends RecordBase {
  readonly type: typeof RecordType.SRV;
  /** Lower numbers serve first. */
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** "" (the root): the service is decidedly not there. */
  readonly target: string;
}
export type DnsRecord = AddressRecord | AliasRecord | ServiceRecord;

export interface DnsResponse {
  readonly id: number;
  readonly code: number;
  /** Not all of it fitted: to be asked again over TCP. */
  readonly truncated: boolean;
  readonly question: DnsQuestion | null;
  /** Records of the known types in class IN; all others are left out. */
  readonly answers: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

/**
 * A recursive question; null when the name cannot stand in a message. udpBytes: how long an answer over UDP may be, by
 * EDNS (RFC 6891); 0 = without EDNS, for servers that do not know it.
 */
export function encodeQuery(id: number, question: DnsQuestion, udpBytes: number): Uint8Array | null {
  const name = encodeName(question.name);
  if (name === null) return null;
  const message = new Uint8Array(HEADER_BYTES + name.length + 4 + (udpBytes > 0 ? 11 : 0));
  const view = new DataView(message.buffer);
  view.setUint16(0, id);
  view.setUint16(2, 0x0100); // RD
  view.setUint16(4, 1);
  view.setUint16(10, udpBytes > 0 ? 1 : 0);
  message.set(name, HEADER_BYTES);
  const at = HEADER_BYTES + name.length;
  view.setUint16(at, question.type);
  view.setUint16(at + 2, CLASS_IN);
  if (udpBytes > 0) {
    view.setUint16(at + 5, TYPE_OPT); // behind the root's empty name; no flags, no options
    view.setUint16(at + 7, udpBytes);
  }
  return message;
}

function encodeName(name: string): Uint8Array | null {
  if (!/^[!-[\]-~]*$/.test(name)) return null; // printable ASCII, no backslash
  const labels = name === "" ? [] : name.replace(/\.$/, "").split(".");
  const bytes: number[] = [];
  for (const label of labels) {
    if (label.length === 0 || label.length > LABEL_BYTES_MAX) return null;
    bytes.push(label.length, ...Array.from(label, (c) => c.charCodeAt(0)));
  }
  bytes.push(0);
  return bytes.length > NAME_BYTES_MAX ? null : Uint8Array.from(bytes);
}

/** Null when the bytes are no well-formed response. A truncated one may end within a record. */
export function decodeResponse(bytes: Uint8Array): DnsResponse | null {
  if (bytes.length < HEADER_BYTES) return null;
  const reader = new Reader(bytes);
  const id = reader.u16();
  const flags = reader.u16();
  if ((flags & 0x8000) === 0 || (flags & 0x7800) !== 0) return null; // not a response to a query
  const [questions, answers, authorities, additional] = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
  const truncated = (flags & 0x0200) !== 0;
  const response = { id, code: flags & 15, truncated, question: null as DnsQuestion | null };
  if (questions > 1) return null;
  if (questions === 1) {
    const name = reader.name();
    const type = reader.u16() as QuestionType;
    reader.u16();
    response.question = { name, type };
  }
  const sections = [answers, authorities, additional].map((count) => readRecords(reader, count));
  if (reader.failed && !truncated) return null;
  return { ...response, answers: sections[0]!, additional: sections[2]! };
}

function readRecords(reader: Reader, count: number): DnsRecord[] {
  const records: DnsRecord[] = [];
  for (let i = 0; i < count && !reader.failed; i++) {
    const record = readRecord(reader);
    if (record !== null && !reader.failed) records.push(record);
  }
  return records;
}

function readRecord(reader: Reader): DnsRecord | null {
  const name = reader.name();
  const type = reader.u16();
  const inClass = reader.u16() === CLASS_IN;
  const seconds = reader.u16() * 65_536 + reader.u16();
  const ttl = seconds >= 0x8000_0000 ? 0 : seconds; // RFC 2181 8
  const end = reader.u16() + reader.at;
  if (end > reader.length) reader.failed = true;
  if (reader.failed) return null;
  const record = inClass ? readData(reader, name, type, ttl, end) : null;
  reader.at = end;
  return record;
}

function readData(reader: Reader, name: string, type: number, ttl: number, end: number): DnsRecord | null {
  switch (type) {
    case RecordType.A:
    case RecordType.AAAA: {
      const length = type === RecordType.A ? 4 : 16;
      const bytes = reader.take(length);
      if (end !== reader.at) reader.failed = true;
      return reader.failed ? null : { type, name, ttl, address: formatIp(bytes) };
    }
    case RecordType.CNAME: {
      const target = reader.name();
      if (end !== reader.at) reader.failed = true;
      return { type, name, ttl, target };
    }
    case RecordType.SRV: {
      const [priority, weight, port] = [reader.u16(), reader.u16(), reader.u16()];
      const target = reader.name(); // RFC 2782 forbids compression here; servers that use it exist
      if (end !== reader.at) reader.failed = true;
      return { type, name, ttl, priority, weight, port, target };
    }
    default:
      return null;
  }
}

/** Reads on from a place; past the end everything is zero and `failed` is set. */
class Reader {
  at = 0;
  failed = false;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get length(): number {
    return this.bytes.length;
  }

  u16(): number {
    const [high = 0, low = 0] = this.take(2);
    return high * 256 + low;
  }

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) {
      this.failed = true;
      this.at = this.bytes.length;
      return new Uint8Array(count);
    }
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** A name, compressed or not. Pointers lead strictly back, so that no loop is possible. */
  name(): string {
    const labels: string[] = [];
    let length = 1;
    let at = this.at;
    let after = -1; // where reading goes on, once a pointer has been followed
    let before = this.at;
    for (;;) {
      const size = this.bytes[at];
      if (size === undefined) return this.noName();
      if (size >= 0xc0) {
        const to = (size & 0x3f) * 256 + (this.bytes[at + 1] ?? 0xffff);
        if (at + 2 > this.bytes.length || to >= before) return this.noName();
        if (after < 0) after = at + 2;
        at = to;
        before = to;
        continue;
      }
      if (size > LABEL_BYTES_MAX) return this.noName(); // the label types 01 and 10 are reserved
      if (size === 0) break;
      length += size + 1;
      if (length > NAME_BYTES_MAX || at + 1 + size > this.bytes.length) return this.noName();
      labels.push(labelText(this.bytes.subarray(at + 1, at + 1 + size)));
      at += size + 1;
    }
    this.at = after < 0 ? at + 1 : after;
    return labels.join(".");
  }

  private noName(): string {
    this.failed = true;
    this.at = this.bytes.length;
    return "";
  }
}

function labelText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
  }
  return text.toLowerCase();
}

interface RecordOf {
  readonly [RecordType.A]: AddressRecord;
  readonly [RecordType.AAAA]: AddressRecord;
  readonly [RecordType.SRV]: ServiceRecord;
}

/** What a response says to a question, aliases followed. */
export interface Found<T extends QuestionType> {
  readonly records: readonly RecordOf[T][];
  /** Seconds for which all of it may be kept, aliases included; null when there are no records. */
  readonly ttl: number | null;
}

/** The records of a type that a list has for a name; follows aliases within the list. */
export function findRecords<T extends QuestionType>(list: readonly DnsRecord[], name: string, type: T): Found<T> {
  let at = name;
  let ttl = Infinity;
  for (let i = 0; i < ALIASES_MAX; i++) {
    const records = recordsAt(list, at, type) as readonly RecordOf[T][];
    if (records.length > 0) return { records, ttl: Math.min(ttl, ...records.map((record) => record.ttl)) };
    const [alias] = recordsAt(list, at, RecordType.CNAME) as readonly AliasRecord[];
    if (alias === undefined) break;
    ttl = Math.min(ttl, alias.ttl);
    at = alias.target;
  }
  return { records: [], ttl: null };
}

function recordsAt(list: readonly DnsRecord[], name: string, type: RecordType): readonly DnsRecord[] {
  return list.filter((record) => record.type === type && record.name === name);
}
