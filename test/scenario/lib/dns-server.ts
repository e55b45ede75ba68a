// A name server for tests, on the loopback interface: A, AAAA, CNAME and SRV records with their TTL from a zone that
// the test changes as it goes, names that do not exist, answers that do not fit and are asked for again over TCP, and
// servers that fail, refuse, keep silent or talk nonsense.

import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { readQuestion, type ReadQuestion, type WrittenRecord, writeResponse } from "../../../src/wire/dns/test-kit.ts";

/** A record without its name; ttl in seconds, 1 unless given. */
export type ZoneRecord =
  | { readonly a: string; readonly ttl?: number }
  | { readonly aaaa: string; readonly ttl?: number }
  | { readonly cname: string; readonly ttl?: number }
  /** priority, weight, port, target */
  | { readonly srv: readonly [number, number, number, string]; readonly ttl?: number };

/** What goes wrong with every question about a name, or with those for one type. */
export type Trouble =
  "servfail" | "AAAA servfail" | "refused" | "silence" | "garbage" | "no-edns" | "wrong-id" | "wrong-question";

export interface DnsServer extends AsyncDisposable {
  readonly port: number;
  /** "127.0.0.1:PORT" */
  readonly address: string;
  /** Records by name; a name that is there with an empty list exists and has none. */
  set(name: string, records: readonly ZoneRecord[]): void;
  /** From now on there is no such name. */
  remove(name: string): void;
  fail(name: string, trouble: Trouble | null): void;
  readonly zone: {
    /** Puts the addresses of SRV targets into the same answer; off unless set. */
    additional: boolean;
    /** Truncates every answer over UDP that has records. */
    truncate: boolean;
  };
  /** The questions so far, as "TYPE name", those over TCP as "tcp TYPE name". */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

const typeNames: Readonly<Record<number, string>> = { 1: "A", 28: "AAAA", 33: "SRV" };
const ALIASES_MAX = 8;

function typeOf(record: ZoneRecord): number {
  return "a" in record ? 1 : "aaaa" in record ? 28 : "cname" in record ? 5 : 33;
}

class Zone {
  readonly records = new Map<string, readonly ZoneRecord[]>();
  readonly troubles = new Map<string, Trouble>();
  readonly asked: string[] = [];
  additional = false;
  truncate = false;

  /** The response to a query, or null for none. */
  respond(query: Buffer, overTcp: boolean): Uint8Array | null {
    const question = readQuestion(query);
    const { id, name, type } = question;
    const typeName = typeNames[type] ?? String(type);
    this.asked.push(`${overTcp ? "tcp " : ""}${typeName} ${name}`);
    const answers = this.find(name, type);
    const trouble = this.troubles.get(name);
    if (trouble === "AAAA servfail" ? typeName === "AAAA" : trouble !== undefined) {
      return misbehave(trouble!, question, answers);
    }
    const targets = this.additional ? answers.flatMap((record) => ("srv" in record ? [record.srv[3]] : [])) : [];
    const additional = targets.flatMap((target) => [...this.find(target, 1), ...this.find(target, 28)]);
    const code = this.records.has(name) ? 0 : 3;
    const whole = writeResponse({ id, name, type, code, answers, additional });
    if (overTcp || (whole.length <= question.udpBytes && !(this.truncate && answers.length > 0))) return whole;
    return writeResponse({ id, name, type, truncated: true, answers: answers.slice(0, 1) });
  }

  /** Records of a type, aliases followed and put in front. */
  private find(name: string, type: number): WrittenRecord[] {
    const found: WrittenRecord[] = [];
    let at = name;
    for (let i = 0; i < ALIASES_MAX; i++) {
      const records = this.records.get(at) ?? [];
      const before = found.length;
      for (const record of records) if (typeOf(record) === type) found.push({ ttl: 1, ...record, name: at });
      const alias = records.find((record) => "cname" in record);
      if (alias === undefined || found.length > before) break;
      found.push({ ttl: 1, ...alias, name: at });
      at = alias.cname;
    }
    return found;
  }
}

/** Serves over TCP, each answer in two pieces, as a stream may come. */
function serveTcp(zone: Zone): { readonly tcp: Server; closeAll(): void } {
  const connections = new Set<Socket>();
  const tcp = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => socket.destroy());
    let received = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      received = Buffer.concat([received, bytes as Buffer]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const response = zone.respond(received.subarray(2), true);
      if (response === null) return;
      const framed = Buffer.concat([Buffer.from([response.length >> 8, response.length & 255]), response]);
      socket.write(framed.subarray(0, 1));
      setImmediate(() => socket.write(framed.subarray(1)));
    });
  });
  return { tcp, closeAll: () => connections.forEach((socket) => socket.destroy()) };
}

/** Binds both to one free port. The one that TCP was given may be taken for UDP: then others are tried. */
async function bindBoth(
  tcp: Server,
  serve: (udp: UdpSocket, query: Buffer, from: RemoteInfo) => void,
): Promise<UdpSocket> {
  for (let tries = 0; tries < 10; tries++) {
    await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
    const { port } = tcp.address() as AddressInfo;
    const udp = createSocket("udp4", (query, from) => serve(udp, query, from));
    const bound = await new Promise<boolean>((resolve) => {
      udp.once("error", () => resolve(false));
      udp.bind(port, "127.0.0.1", () => resolve(true));
    });
    if (bound) return udp;
    await new Promise((resolve) => tcp.close(resolve));
  }
  throw new Error("no port is free for both UDP and TCP");
}

/** Starts a server on any free port, the same for UDP and TCP. */
export async function startDnsServer(): Promise<DnsServer> {
  const zone = new Zone();
  const { tcp, closeAll } = serveTcp(zone);
  const udp = await bindBoth(tcp, (socket, query, from) => {
    const response = zone.respond(query, false);
    if (response !== null) socket.send(response, from.port, from.address);
  });
  const { port } = udp.address();
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= new Promise((resolve) => {
      udp.close();
      closeAll();
      tcp.close(() => resolve());
    });
    return closing;
  };
  return {
    port,
    address: `127.0.0.1:${port}`,
    zone,
    asked: zone.asked,
    set: (name, records) => void zone.records.set(name.toLowerCase(), records),
    remove: (name) => void zone.records.delete(name.toLowerCase()),
    fail(name, trouble) {
      if (trouble === null) zone.troubles.delete(name);
      else zone.troubles.set(name, trouble);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function misbehave(trouble: Trouble, question: ReadQuestion, answers: readonly WrittenRecord[]): Uint8Array | null {
  const { id, name, type, udpBytes } = question;
  switch (trouble) {
    case "servfail":
    case "AAAA servfail":
      return writeResponse({ id, name, type, code: 2 });
    case "refused":
      return writeResponse({ id, name, type, code: 5 });
    case "silence":
      return null;
    case "garbage":
      return Uint8Array.of(1, 2, 3);
    case "no-edns":
      return writeResponse(udpBytes > 512 ? { id, name, type, code: 1 } : { id, name, type, answers });
    case "wrong-id":
      return writeResponse({ id: id ^ 1, name, type, answers });
    case "wrong-question":
      return writeResponse({ id, name: `other.${name}`, type, answers });
  }
}
