// Names against a hosts file and a DNS server of our own on the loopback interface.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type DnsServer, startDnsServer } from "../../test/scenario/lib/dns-server.ts";
import { createClock } from "../sys/clock.ts";
import * as transport from "../sys/dns.ts";
import { DnsClient, ResolveError } from "./dns-client.ts";
import { type NameSources, resolveName } from "./names.ts";

const hosts = "# 9.9.9.9 commented.test\n::5 both.test\n10.0.0.5 both.test Alias.test # x\nnot-an-ip both.test\n";
let server: DnsServer;
const systemAsked: string[] = [];
let sources: NameSources;

beforeAll(async () => {
  server = await startDnsServer();
  server.set("two.test", [
    { a: "10.0.0.1", ttl: 60 },
    { a: "10.0.0.2", ttl: 30 },
    { aaaa: "2001:db8::7", ttl: 90 },
  ]);
  server.set("six.test", [{ aaaa: "2001:db8::8", ttl: 15 }]);
  server.set("half.test", [{ a: "10.0.0.3", ttl: 20 }]);
  server.fail("half.test", "AAAA servfail");
  server.set("empty.test", []);
  server.fail("broken.test", "servfail");
  server.fail("silent.test", "silence");
  const resolvConf = `nameserver ${server.address}`;
  sources = {
    client: new DnsClient(transport, createClock(), () => resolvConf),
    hostsFile: () => hosts,
    lookupSystem(host) {
      systemAsked.push(host);
      return Promise.resolve(host === "printer.local" ? ["10.0.0.77"] : []);
    },
  };
});
afterAll(() => server.close());

const ask = (host: string, timeoutMs = 5000): ReturnType<typeof resolveName> =>
  resolveName(sources, host, { timeoutMs, servers: [server.address] });

async function failureOf(host: string, timeoutMs?: number): Promise<ResolveError> {
  const outcome: unknown = await ask(host, timeoutMs).catch((error: unknown) => error);
  if (outcome instanceof ResolveError) return outcome;
  throw new Error(`${host} gave ${JSON.stringify(outcome)}`);
}

describe("without DNS", () => {
  test("literals are their own answer", async () => {
    expect(await ask("192.0.2.7")).toEqual({ addresses: ["192.0.2.7"], ttlMs: null });
    expect(await ask("2001:db8::7")).toEqual({ addresses: ["2001:db8::7"], ttlMs: null });
  });

  test("the hosts file comes first, in any case, IPv4 before IPv6", async () => {
    const both = { addresses: ["10.0.0.5", "::5"], ttlMs: null };
    expect(await ask("both.test")).toEqual(both);
    expect(await ask("BOTH.test.")).toEqual(both);
    expect(await ask("alias.TEST")).toEqual({ addresses: ["10.0.0.5"], ttlMs: null });
    expect((await failureOf("commented.test")).code).toBe("ENOTFOUND");
  });

  test("localhost never leaves the machine, even without a hosts file", async () => {
    const loopback = { addresses: ["127.0.0.1", "::1"], ttlMs: null };
    const bare = { ...sources, hostsFile: () => "" };
    expect(await resolveName(bare, "localhost", { timeoutMs: 1000, servers: [] })).toEqual(loopback);
    expect(await ask("api.localhost")).toEqual(loopback);
    expect(server.asked.filter((question) => question.includes("localhost"))).toEqual([]);
  });
});

describe("with DNS", () => {
  test("both families, IPv4 first, kept for the shortest TTL", async () => {
    expect(await ask("two.test")).toEqual({ addresses: ["10.0.0.1", "10.0.0.2", "2001:db8::7"], ttlMs: 30_000 });
    expect(await ask("six.test")).toEqual({ addresses: ["2001:db8::8"], ttlMs: 15_000 });
  });

  test("one family that fails does not spoil the other", async () => {
    expect(await ask("half.test")).toEqual({ addresses: ["10.0.0.3"], ttlMs: 20_000 });
  });

  test("no name or no address, a failing and a silent server are told apart", async () => {
    expect((await failureOf("absent.test")).message).toBe(
      "cannot resolve absent.test: no such name, or a name without an address",
    );
    expect((await failureOf("empty.test")).code).toBe("ENOTFOUND");
    expect((await failureOf("broken.test")).code).toBe("ESERVFAIL");
    expect((await failureOf("silent.test", 150)).code).toBe("ETIMEOUT");
  });

  test("the system's own resolver is asked last, unless servers were given", async () => {
    const answer = await resolveName(sources, "printer.local", { timeoutMs: 2000, servers: [] });
    expect(answer).toEqual({ addresses: ["10.0.0.77"], ttlMs: null });
    const known = await resolveName(sources, "six.test", { timeoutMs: 2000, servers: [] });
    expect(known).toEqual({ addresses: ["2001:db8::8"], ttlMs: 15_000 });
    expect((await failureOf("printer.local")).code).toBe("ENOTFOUND");
    expect(systemAsked).toEqual(["printer.local"]);
  });
});
