// Asks name servers as a stub resolver does: over UDP, over TCP when the answer does not fit, one server after the
// other, with the search list of resolv.conf(5). It keeps nothing: whoever asks knows how long an answer is good for.

import { parseIp } from "../base/ip.ts";
import { dnsQueriesInFlightMax } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import type { DnsServerAddress } from "../sys/dns.ts";
import {
  decodeResponse,
  type DnsQuestion,
  type DnsRecord,
  type DnsResponse,
  encodeQuery,
  findRecords,
  ResponseCode,
} from "../wire/dns/message.ts";

/** How messages travel; sys/dns.ts has the real thing. Both reject with an Error that has a code. */
export interface DnsTransport {
  newQueryId(): number;
  exchangeUdp<T>(
    server: DnsServerAddress,
    query: Uint8Array,
    accept: (bytes: Uint8Array) => T | null,
    timeoutMs: number,
  ): Promise<T>;
  exchangeTcp(server: DnsServerAddress, query: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
}

/** Why a question has no answer. */
export class ResolveError extends Error {
  /** "ENOTFOUND", "ETIMEOUT", "ESERVFAIL" and so on. */
  readonly code: string;

  constructor(host: string, code: string) {
    super(`cannot resolve ${host}: ${reasons[code] ?? code}`);
    this.name = "ResolveError";
    this.code = code;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: "no such name, or a name without an address",
  EBADNAME: "the name cannot be asked for",
  ETIMEOUT: "no answer in time",
  ESERVFAIL: "the name server failed",
  EREFUSED: "the name server refused",
  EFORMERR: "the name server does not understand the question",
  ENOTIMP: "the name server cannot answer such questions",
  EBADRESP: "the name server's answer is malformed",
  ECONNREFUSED: "no name server answers",
};

const codeNames: Readonly<Record<number, string>> = {
  [ResponseCode.FormatError]: "EFORMERR",
  [ResponseCode.ServerFailure]: "ESERVFAIL",
  [ResponseCode.NotImplemented]: "ENOTIMP",
  [ResponseCode.Refused]: "EREFUSED",
};

export interface AskOptions {
  /** All servers, names of the search list and repeats together, in ms. */
  readonly timeoutMs: number;
  /**
   * Name servers as "ip", "ip:port" or "[ipv6]:port" instead of the system's; names are then taken as they are. Empty =
   * the system's.
   */
  readonly servers: readonly string[];
}

/** An answer, which may be that there is nothing. */
export interface DnsReply {
  /** The name that was asked for last: the given one, or one with a domain of the search list. */
  readonly name: string;
  /** False: there is no such name. True without records: it has none of this type. */
  readonly exists: boolean;
  readonly answers: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

export interface ResolvConf {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** Names with fewer dots are tried with the search list first. */
  readonly dots: number;
}

/** Each server is asked so often before the question fails. */
const ROUNDS = 2;
/** glibc's MAXNS. */
const SERVERS_MAX = 3;
/** As many as Kubernetes writes. */
const SEARCH_MAX = 32;
/** Fits every path without fragments (DNS Flag Day 2020). */
const UDP_BYTES = 1232;
const TRY_MS_MIN = 50;

export class DnsClient {
  private readonly transport: DnsTransport;
  private readonly clock: Clock;
  private readonly resolvConf: () => string;
  private free = dnsQueriesInFlightMax;
  private readonly waiting: (() => void)[] = [];

  /** resolvConf: the text of /etc/resolv.conf, "" if there is none; read for every question, as it may change. */
  constructor(transport: DnsTransport, clock: Clock, resolvConf: () => string) {
    this.transport = transport;
    this.clock = clock;
    this.resolvConf = resolvConf;
  }

  /** Asks for records of one type. Rejects with ResolveError when no server gives an answer. */
  async ask(question: DnsQuestion, options: AskOptions): Promise<DnsReply> {
    const own = options.servers.length > 0;
    const conf = own ? { servers: options.servers, search: [], dots: 0 } : parseResolvConf(this.resolvConf());
    const servers = conf.servers.slice(0, SERVERS_MAX).map((text) => parseServer(text, question.name));
    const deadline = this.clock.nowMs() + options.timeoutMs;
    const [first = "", ...others] = candidates(question.name, conf);
    let reply = await this.askFor(first, question, servers, deadline);
    for (const name of others) {
      if (findRecords(reply.answers, reply.name, question.type).records.length > 0) break;
      reply = await this.askFor(name, question, servers, deadline);
    }
    return reply;
  }

  private async askFor(
    name: string,
    { type }: DnsQuestion,
    servers: readonly DnsServerAddress[],
    deadline: number,
  ): Promise<DnsReply> {
    const { code, answers, additional } = await this.askServers({ name, type }, servers, deadline);
    return { name, exists: code === ResponseCode.NoError, answers, additional };
  }

  private async askServers(
    question: DnsQuestion,
    servers: readonly DnsServerAddress[],
    deadline: number,
  ): Promise<DnsResponse> {
    const tries = Array.from({ length: ROUNDS }, () => servers).flat();
    let trouble = "ETIMEOUT";
    for (const [i, server] of tries.entries()) {
      await this.enter();
      try {
        const leftMs = deadline - this.clock.nowMs();
        if (leftMs <= 0) break;
        const share = Math.min(leftMs, Math.max(TRY_MS_MIN, leftMs / (tries.length - i)));
        return await this.askServer(server, question, this.clock.nowMs() + share);
      } catch (error) {
        trouble = (error as { code?: string }).code ?? String(error);
        if (trouble === "EBADNAME") break;
      } finally {
        this.leave();
      }
    }
    throw new ResolveError(question.name, trouble);
  }

  private async askServer(server: DnsServerAddress, question: DnsQuestion, deadline: number): Promise<DnsResponse> {
    let response = await this.overUdp(server, question, UDP_BYTES, deadline);
    if (response.code === ResponseCode.FormatError || response.code === ResponseCode.NotImplemented) {
      response = await this.overUdp(server, question, 0, deadline); // it may be older than EDNS
    }
    if (response.truncated) response = await this.overTcp(server, question, deadline);
    if (response.code === ResponseCode.NoError || response.code === ResponseCode.NoSuchName) return response;
    throw new ResolveError(question.name, codeNames[response.code] ?? `response code ${response.code}`);
  }

  private overUdp(
    server: DnsServerAddress,
    question: DnsQuestion,
    udpBytes: number,
    deadline: number,
  ): Promise<DnsResponse> {
    const { id, query } = this.queryFor(question, udpBytes);
    const accept = (bytes: Uint8Array): DnsResponse | null => matching(bytes, id, question);
    return this.transport.exchangeUdp(server, query, accept, this.leftMs(deadline));
  }

  private async overTcp(server: DnsServerAddress, question: DnsQuestion, deadline: number): Promise<DnsResponse> {
    const { id, query } = this.queryFor(question, UDP_BYTES);
    const bytes = await this.transport.exchangeTcp(server, query, this.leftMs(deadline));
    const response = matching(bytes, id, question);
    if (response === null || response.truncated) throw new ResolveError(question.name, "EBADRESP");
    return response;
  }

  private leftMs(deadline: number): number {
    return Math.max(1, deadline - this.clock.nowMs());
  }

  private queryFor(question: DnsQuestion, udpBytes: number): { readonly id: number; readonly query: Uint8Array } {
    const id = this.transport.newQueryId();
    const query = encodeQuery(id, question, udpBytes);
    if (query === null) throw new ResolveError(question.name, "EBADNAME");
    return { id, query };
  }

  /** Only so many questions are under way at once; the others wait, in order. */
  private enter(): Promise<void> {
    if (this.free === 0) return new Promise((resolve) => this.waiting.push(resolve));
    this.free--;
    return Promise.resolve();
  }

  private leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.free++;
    else next();
  }
}

/** The response if it belongs to the query; else null. */
function matching(bytes: Uint8Array, id: number, question: DnsQuestion): DnsResponse | null {
  const response = decodeResponse(bytes);
  if (response === null || response.id !== id) return null;
  // Servers that refuse at once leave the question out.
  const asked = response.question ?? (response.code === ResponseCode.NoError ? null : question);
  return asked?.name === question.name && asked.type === question.type ? response : null;
}

/** The names to try, in the order of glibc. */
function candidates(given: string, { search, dots }: ResolvConf): readonly string[] {
  const name = given.toLowerCase().replace(/\.$/, "");
  if (given.endsWith(".")) return [name];
  const longer = search.map((domain) => `${name}.${domain}`);
  return name.split(".").length - 1 >= dots ? [name, ...longer] : [...longer, name];
}

/** What is of interest in resolv.conf(5). */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let search: string[] = [];
  let dots = 1;
  for (const line of text.split("\n")) {
    const [word = "", ...rest] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined) servers.push(rest[0]);
    else if (word === "search" || word === "domain") search = rest.map((d) => d.toLowerCase().replace(/\.$/, ""));
    else if (word === "options") {
      const given = rest.map((option) => /^ndots:(\d{1,2})$/.exec(option)?.[1]).findLast((n) => n !== undefined);
      if (given !== undefined) dots = Math.min(15, Number(given));
    }
  }
  const domains = search.filter((domain) => domain !== "").slice(0, SEARCH_MAX);
  return { servers: servers.length > 0 ? servers : ["127.0.0.1"], search: domains, dots };
}

function parseServer(text: string, host: string): DnsServerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const ip = match?.[1] ?? match?.[2] ?? text.replace(/^\[(.*)\]$/, "$1");
  if (parseIp(ip.replace(/%.*$/, "")) === null) throw new ResolveError(host, `${text} is not a name server's address`);
  return { ip, port: Number(match?.[3] ?? 53) };
}
