// Host names to addresses, with the time the answer may be kept. The hosts file comes first, then DNS for A and AAAA
// with their TTL, then the system's own resolver, which knows other sources but no TTL. Nothing is cached here.

import { parseIp } from "../base/ip.ts";
import { findRecords, RecordType } from "../wire/dns/message.ts";
import { type AskOptions, type DnsClient, ResolveError } from "./dns-client.ts";
import type { NameAnswer } from "./host.ts";

/** What names are looked up with. */
export interface NameSources {
  readonly client: DnsClient;
  /** The text of /etc/hosts, "" if there is none. */
  hostsFile(): string;
  /** Addresses by the system's own resolver; none when it has none. */
  lookupSystem(host: string, timeoutMs: number): Promise<readonly string[]>;
}

/** Resolves a name, or an IP literal to itself. Rejects with ResolveError. */
export async function resolveName(sources: NameSources, host: string, options: AskOptions): Promise<NameAnswer> {
  const known = localAddresses(sources, host);
  if (known.length > 0) return { addresses: known, ttlMs: null };
  // Servers given for the purpose are the whole truth; the system's resolver would ask others.
  if (options.servers.length > 0) return ask(sources.client, host, options);
  const timeoutMs = options.timeoutMs / 2;
  try {
    return await ask(sources.client, host, { ...options, timeoutMs });
  } catch (error) {
    const addresses = await sources.lookupSystem(host, timeoutMs);
    if (addresses.length > 0) return { addresses, ttlMs: null };
    throw error;
  }
}

/** Addresses that are known without asking anybody, IPv4 first. */
export function localAddresses(sources: Pick<NameSources, "hostsFile">, host: string): readonly string[] {
  if (parseIp(host) !== null) return [host];
  const listed = addressesInHosts(sources.hostsFile(), host);
  if (listed.length > 0) return listed;
  // RFC 6761 6.3: never asked of the network.
  return /(^|\.)localhost\.?$/i.test(host) ? ["127.0.0.1", "::1"] : [];
}

async function ask(client: DnsClient, host: string, options: AskOptions): Promise<NameAnswer> {
  const types = [RecordType.A, RecordType.AAAA] as const;
  const results = await Promise.allSettled(types.map((type) => client.ask({ name: host, type }, options)));
  const found = results.map((result, i) =>
    result.status === "fulfilled" ? findRecords(result.value.answers, result.value.name, types[i]!) : null,
  );
  const records = found.flatMap((each) => each?.records ?? []);
  if (records.length > 0) {
    const ttl = Math.min(...found.map((each) => each?.ttl ?? Infinity));
    return { addresses: records.map((record) => record.address), ttlMs: ttl * 1000 };
  }
  // "No such name" only if both said so: a server that failed on one family may still know the other.
  throw results.find((result) => result.status === "rejected")?.reason ?? new ResolveError(host, "ENOTFOUND");
}

/** Addresses of the name in a text in the form of hosts(5), IPv4 first. */
function addressesInHosts(text: string, host: string): string[] {
  const wanted = host.replace(/\.$/, "").toLowerCase();
  const found: string[] = [];
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (names.some((name) => name.toLowerCase() === wanted) && parseIp(address) !== null) found.push(address);
  }
  return [...found.filter((a) => !a.includes(":")), ...found.filter((a) => a.includes(":"))];
}
