// The client against a name server of our own: UDP, TCP, search lists, several servers, and everything that can go
// wrong with an answer.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { dnsQueriesInFlightMax } from "../base/limits.ts";
import { type DnsServer, startDnsServer } from "../../test/scenario/lib/dns-server.ts";
import { findRecords, RecordType } from "../wire/dns/message.ts";
import { readQuestion, writeResponse } from "../wire/dns/test-kit.ts";
import { createClock } from "../sys/clock.ts";
import * as transport from "../sys/dns.ts";
import { type AskOptions, DnsClient, type DnsReply, parseResolvConf, ResolveError } from "./dns-client.ts";

let resolvConf = "";
const client = new DnsClient(transport, createClock(), () => resolvConf);
const plain: AskOptions = { timeoutMs: 2000, servers: ["127.0.0.1"] };
let server: DnsServer;

beforeAll(async () => {
  server = await startDnsServer();
  server.set("two.test", [{ a: "10.0.0.1", ttl: 60 }, { a: "10.0.0.2", ttl: 30 }, { aaaa: "2001:db8::1" }]);
  server.set("empty.test", []);
  server.set("_http._tcp.test", [{ srv: [10, 5, 8080, "two.test"], ttl: 20 }]);
});
beforeEach(() => {
  server.zone.additional = false;
  server.zone.truncate = false;
  (server.asked as string[]).length = 0;
});
afterAll(() => server.close());

function ask(name: string, options: Partial<AskOptions> = {}, type: 1 | 28 | 33 = RecordType.A): Promise<DnsReply> {
  return client.ask({ name, type }, { timeoutMs: 2000, servers: [server.address], ...options });
}

/** The addresses of type A in a reply. */
const addressesOf = (reply: DnsReply): readonly string[] =>
  findRecords(reply.answers, reply.name, RecordType.A).records.map(({ address }) => address);

async function failureOf(name: string, options: Partial<AskOptions> = {}): Promise<string> {
  const outcome: unknown = await ask(name, options).catch((error: unknown) => error);
  if (outcome instanceof ResolveError) return outcome.code;
  throw new Error(`${name} gave ${JSON.stringify(outcome)}`);
}

describe("answers", () => {
  test("records with their TTL; no records and no name are answers too", async () => {
    expect(addressesOf(await ask("Two.Test."))).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(await ask("empty.test")).toEqual({ name: "empty.test", exists: true, answers: [], additional: [] });
    expect(await ask("absent.test")).toMatchObject({ exists: false, answers: [] });
    expect(server.asked).toEqual(["A two.test", "A empty.test", "A absent.test"]);
  });

  test("services, with the addresses of their targets beside them", async () => {
    server.zone.additional = true;
    const reply = await ask("_http._tcp.test", {}, RecordType.SRV);
    expect(reply.answers).toMatchObject([{ priority: 10, weight: 5, port: 8080, target: "two.test", ttl: 20 }]);
    expect(reply.additional.map((record) => ("address" in record ? record.address : ""))).toEqual([
      "10.0.0.1",
      "10.0.0.2",
      "2001:db8::1",
    ]);
  });

  test("what does not fit into UDP is asked for again over TCP", async () => {
    server.set(
      "many.test",
      Array.from({ length: 400 }, (_, i) => ({ a: `10.1.${i >> 8}.${i & 255}` })),
    );
    expect(addressesOf(await ask("many.test")).length).toBe(400);
    server.zone.truncate = true;
    expect(addressesOf(await ask("two.test"))).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(server.asked).toEqual(["A many.test", "tcp A many.test", "A two.test", "tcp A two.test"]);
  });

  test("a server that does not know EDNS is asked without it", async () => {
    server.set("old.test", [{ a: "10.0.0.9" }]);
    server.fail("old.test", "no-edns");
    expect(addressesOf(await ask("old.test"))).toEqual(["10.0.0.9"]);
    expect(server.asked.length).toBe(2);
  });
});

describe("failures", () => {
  test("are told apart from answers, and from one another", async () => {
    server.set("x.test", [{ a: "10.0.0.1" }]);
    for (const [trouble, code] of [
      ["servfail", "ESERVFAIL"],
      ["refused", "EREFUSED"],
      ["silence", "ETIMEOUT"],
      ["garbage", "ETIMEOUT"],
      ["wrong-id", "ETIMEOUT"],
      ["wrong-question", "ETIMEOUT"],
    ] as const) {
      server.fail("x.test", trouble);
      expect([trouble, await failureOf("x.test", { timeoutMs: 150 })]).toEqual([trouble, code]);
    }
    expect(server.asked.length).toBe(12); // each twice
  });

  test("a name that cannot be asked for, a server that is none, nobody there", async () => {
    expect(await failureOf("a..b")).toBe("EBADNAME");
    expect(await failureOf(`${"a".repeat(64)}.test`)).toBe("EBADNAME");
    expect(await failureOf("x.test", { servers: ["nowhere:53"] })).toContain("is not a name server");
    const gone = await startDnsServer();
    await gone.close();
    expect(await failureOf("x.test", { servers: [gone.address] })).toBe("ECONNREFUSED");
  });

  test("the next server is asked when one fails, refuses or is silent", async () => {
    await using other = await startDnsServer();
    server.set("y.test", [{ a: "10.0.0.7" }]);
    for (const trouble of ["servfail", "silence"] as const) {
      other.fail("y.test", trouble);
      const reply = await ask("y.test", { servers: [other.address, server.address], timeoutMs: 400 });
      expect([trouble, addressesOf(reply)]).toEqual([trouble, ["10.0.0.7"]]);
    }
    await other.close();
    expect(addressesOf(await ask("y.test", { servers: [other.address, server.address] }))).toEqual(["10.0.0.7"]);
  });
});

describe("resolv.conf", () => {
  test("servers, search list and dots are read; what is missing has glibc's defaults", () => {
    const text =
      "# x\nnameserver 10.0.0.1\n nameserver\tfe80::1%eth0 ; y\nsearch A.test b.test.\noptions rotate ndots:5\n";
    expect(parseResolvConf(text)).toEqual({
      servers: ["10.0.0.1", "fe80::1%eth0"],
      search: ["a.test", "b.test"],
      dots: 5,
    });
    const nothing = { servers: ["127.0.0.1"], search: [], dots: 1 };
    expect(parseResolvConf("domain\noptions ndots:x\n")).toEqual(nothing);
    expect(parseResolvConf("")).toEqual(nothing);
  });

  test("short names are tried with the search list first, long ones as they are; a last dot ends it", async () => {
    resolvConf = `nameserver ${server.address}\nsearch b.search a.search\noptions ndots:2\n`;
    const options = { timeoutMs: 2000, servers: [] };
    server.set("api.a.search", [{ a: "10.0.0.3" }]);
    const reply = await ask("api", options);
    expect([reply.name, addressesOf(reply)]).toEqual(["api.a.search", ["10.0.0.3"]]);
    expect((await ask("x.y.z", options)).exists).toBe(false);
    expect((await ask("api.", options)).exists).toBe(false);
    expect(server.asked).toEqual([
      "A api.b.search",
      "A api.a.search",
      "A x.y.z",
      "A x.y.z.b.search",
      "A x.y.z.a.search",
      "A api",
    ]);
  });
});

test("only so many questions are under way at once", async () => {
  let underWay = 0;
  let most = 0;
  const slow = new DnsClient(
    {
      newQueryId: () => 1,
      async exchangeUdp(_, query, accept) {
        most = Math.max(most, ++underWay);
        await Promise.resolve();
        underWay--;
        const { id, name, type } = readQuestion(Buffer.from(query));
        return accept(writeResponse({ id, name, type }))!;
      },
      exchangeTcp: () => Promise.reject(new Error("not used")),
    },
    createClock(),
    () => "",
  );
  const all = Array.from({ length: 300 }, (_, i) => slow.ask({ name: `${i}.test`, type: RecordType.A }, plain));
  expect((await Promise.all(all)).length).toBe(300);
  expect(most).toBe(dnsQueriesInFlightMax);
});
