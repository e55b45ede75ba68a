// Writes DNS responses, and reads questions, for tests: what the decoder is tried on, and what the DNS servers of tests
// answer with. Not used by the program, and written without looking at it.

import { parseIp } from "../../base/ip.ts";

/** A record as a test states it. */
export type WrittenRecord =
  | { readonly name: string; readonly ttl: number; readonly a: string }
  | { readonly name: string; readonly ttl: number; readonly aaaa: string }
  | { readonly name: string; readonly ttl: number; readonly cname: string }
  | { readonly name: string; readonly ttl: number; readonly txt: string }
  /** priority, weight, port, target */
  | { readonly name: string; readonly ttl: number; readonly srv: readonly [number, number, number, string] };

export interface WrittenResponse {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly code?: number;
  readonly truncated?: boolean;
  readonly answers?: readonly WrittenRecord[];
  readonly additional?: readonly WrittenRecord[];
}

/** Names are written once; later ones point back to the longest end that is there already. */
class Writer {
  readonly bytes: number[] = [];
  private readonly known = new Map<string, number>();

  u16(value: number): void {
    this.bytes.push((value >> 8) & 255, value & 255);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  name(name: string): void {
    let rest = name;
    while (rest !== "") {
      const place = this.known.get(rest);
      if (place !== undefined) {
        this.u16(0xc000 | place);
        return;
      }
      if (this.bytes.length < 0x4000) this.known.set(rest, this.bytes.length);
      const [label = ""] = rest.split(".", 1);
      this.bytes.push(label.length, ...Buffer.from(label, "latin1"));
      rest = rest.slice(label.length + 1);
    }
    this.bytes.push(0);
  }

  record(record: WrittenRecord): void {
    this.name(record.name);
    this.u16("a" in record ? 1 : "aaaa" in record ? 28 : "cname" in record ? 5 : "txt" in record ? 16 : 33);
    this.u16(1);
    this.u32(record.ttl);
    const lengthAt = this.bytes.length;
    this.u16(0);
    if ("a" in record) this.bytes.push(...parseIp(record.a)!);
    else if ("aaaa" in record) this.bytes.push(...parseIp(record.aaaa)!);
    else if ("cname" in record) this.name(record.cname);
    else if ("txt" in record) this.bytes.push(record.txt.length, ...Buffer.from(record.txt, "latin1"));
    else {
      for (const number of record.srv.slice(0, 3)) this.u16(number as number);
      this.name(record.srv[3]);
    }
    const length = this.bytes.length - lengthAt - 2;
    this.bytes[lengthAt] = length >> 8;
    this.bytes[lengthAt + 1] = length & 255;
  }
}

/** The bytes of a response. */
export function writeResponse(response: WrittenResponse): Uint8Array {
  const { id, name, type, code = 0, truncated = false, answers = [], additional = [] } = response;
  const writer = new Writer();
  writer.u16(id);
  writer.u16(0x8180 | (truncated ? 0x0200 : 0) | code);
  for (const count of [1, answers.length, 0, additional.length]) writer.u16(count);
  writer.name(name);
  writer.u16(type);
  writer.u16(1);
  for (const record of [...answers, ...additional]) writer.record(record);
  return Uint8Array.from(writer.bytes);
}

export interface ReadQuestion {
  readonly id: number;
  /** Lower case. */
  readonly name: string;
  readonly type: number;
  /** How long an answer over UDP may be. */
  readonly udpBytes: number;
}

/** The question of a query; throws when it is none. */
export function readQuestion(query: Buffer): ReadQuestion {
  if (query.readUInt16BE(4) !== 1) throw new Error("a query has one question");
  const labels: string[] = [];
  let at = 12;
  for (; query[at]! > 0; at += 1 + query[at]!) labels.push(query.toString("latin1", at + 1, at + 1 + query[at]!));
  const hasEdns = query.readUInt16BE(10) === 1;
  return {
    id: query.readUInt16BE(0),
    name: labels.join(".").toLowerCase(),
    type: query.readUInt16BE(at + 1),
    udpBytes: hasEdns ? query.readUInt16BE(at + 8) : 512,
  };
}
