// Host names to addresses, with the time the answer may be kept. The hosts file comes first, then DNS for A and AAAA
// with their TTL, then the system's own resolver, which knows search domains and other sources but no TTL. Nothing is
// cached here.

import { readFileSync } from "node:fs";
import { lookup, Resolver } from "node:dns/promises";
import { parseIp } from "../base/ip.ts";

export interface Resolved {
  /** IP literals, IPv4 first, in the order of the answer; never empty. */
  readonly addresses: readonly string[];
  /** How long the answer may be kept; null when its source does not say. */
  readonly ttlMs: number | null;
}

/** Why a name has no address. */
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
  ETIMEOUT: "no answer in time",
  ESERVFAIL: "the name server failed",
  EREFUSED: "the name server refused",
  ECONNREFUSED: "no name server answers",
};

export interface ResolveOptions {
  /** The whole resolution, in ms. */
  readonly timeoutMs: number;
  /** Name servers as "ip" or "ip:port" instead of the system's; for tests. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
}

/** Resolves a name, or an IP literal to itself. Rejects with ResolveError. */
export async function resolve(host: string, options: ResolveOptions): Promise<Resolved> {
  if (parseIp(host) !== null) return { addresses: [host], ttlMs: null };
  const local = fromHostsFile(host, options.hostsFile ?? "/etc/hosts");
  if (local.length > 0) return { addresses: local, ttlMs: null };
  // RFC 6761 6.3: never asked of the network.
  if (/(^|\.)localhost\.?$/i.test(host)) return { addresses: ["127.0.0.1", "::1"], ttlMs: null };
  const resolver = new Resolver({ timeout: Math.max(100, Math.ceil(options.timeoutMs / 4)), tries: 2 });
  if (options.servers !== undefined) resolver.setServers(options.servers);
  const work = ask(resolver, host).catch((error: unknown) => {
    // Servers given for the purpose are the whole truth; the system's resolver would ask others.
    if (options.servers !== undefined) throw error;
    return askSystem(host, error);
  });
  return await withinTime(work, host, options.timeoutMs, () => resolver.cancel());
}

async function ask(resolver: Resolver, host: string): Promise<Resolved> {
  const results = await Promise.allSettled([
    resolver.resolve4(host, { ttl: true }),
    resolver.resolve6(host, { ttl: true }),
  ]);
  const records = results.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  if (records.length > 0) {
    const ttl = Math.min(...records.map((record) => record.ttl));
    return { addresses: records.map((record) => record.address), ttlMs: ttl * 1000 };
  }
  // "No such name" only if both said so: a server that failed on one family may still know the other.
  const codes = results.map((result) => (result.status === "rejected" ? codeOf(result.reason) : "ENOTFOUND"));
  throw new ResolveError(host, codes.find((code) => code !== "ENOTFOUND") ?? "ENOTFOUND");
}

async function askSystem(host: string, reason: unknown): Promise<Resolved> {
  const answers = await lookup(host, { all: true, order: "ipv4first" }).catch(() => []);
  if (answers.length === 0) throw reason;
  return { addresses: [...new Set(answers.map((answer) => answer.address))], ttlMs: null };
}

function withinTime<T>(work: Promise<T>, host: string, timeoutMs: number, cancel: () => void): Promise<T> {
  return new Promise((resolveOuter, reject) => {
    const timer = setTimeout(() => {
      reject(new ResolveError(host, "ETIMEOUT"));
      cancel();
    }, timeoutMs);
    work.then(resolveOuter, reject).finally(() => clearTimeout(timer));
  });
}

function codeOf(error: unknown): string {
  const code = (error as { code?: string }).code?.replace(/^DNS_/, "") ?? "unknown";
  return code === "ENODATA" ? "ENOTFOUND" : code; // Bun says now one, now the other, for a name without records
}

/** Addresses of the name in a file in the form of hosts(5), IPv4 first. An unreadable file has none. */
function fromHostsFile(host: string, file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  const wanted = host.replace(/\.$/, "").toLowerCase();
  const found: string[] = [];
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (names.some((name) => name.toLowerCase() === wanted) && parseIp(address) !== null) found.push(address);
  }
  return [...found.filter((a) => !a.includes(":")), ...found.filter((a) => a.includes(":"))];
}
