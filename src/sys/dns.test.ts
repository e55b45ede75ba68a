// Names against a hosts file and a DNS server of our own on the loopback interface.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve, ResolveError } from "./dns.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-dns-`);
const hostsFile = `${folder}/hosts`;
writeFileSync(
  hostsFile,
  "# 9.9.9.9 commented.test\n::5 both.test\n10.0.0.5 both.test Alias.test # x\nnot-an-ip both.test\n",
);

type Answer = { readonly ttl: number; readonly bytes: readonly number[] };
/** name -> type -> answers, or a response code, or silence. */
const zone: Record<string, Record<number, readonly Answer[] | number | "silence">> = {
  "two.test": { 1: [a(60, 10, 0, 0, 1), a(30, 10, 0, 0, 2)], 28: [aaaa(90, 7)] },
  "six.test": { 1: [], 28: [aaaa(15, 8)] },
  "half.test": { 1: [a(20, 10, 0, 0, 3)], 28: 2 },
  "broken.test": { 1: 2, 28: 2 },
  "empty.test": { 1: [], 28: [] },
  "silent.test": { 1: "silence", 28: "silence" },
};

function a(ttl: number, ...bytes: number[]): Answer {
  return { ttl, bytes };
}
function aaaa(ttl: number, last: number): Answer {
  return { ttl, bytes: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last] };
}

/** The response to a query (RFC 1035 4.1), or null for none. */
function respond(query: Buffer): Buffer | null {
  const labels: string[] = [];
  let at = 12;
  for (; query[at]! > 0; at += 1 + query[at]!) labels.push(query.toString("latin1", at + 1, at + 1 + query[at]!));
  const type = query.readUInt16BE(at + 1);
  const question = query.subarray(12, at + 5);
  const entry = zone[labels.join(".").toLowerCase()]?.[type] ?? 3;
  if (entry === "silence") return null;
  const answers = typeof entry === "number" ? [] : entry;
  const header = Buffer.from([query[0]!, query[1]!, 0x81, 0x80 | (typeof entry === "number" ? entry : 0), 0, 1, 0, 0]);
  header[7] = answers.length;
  const records = answers.map(({ ttl, bytes }) => {
    const head = Buffer.alloc(12);
    head.writeUInt16BE(0xc00c, 0);
    head.writeUInt16BE(type, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt32BE(ttl, 6);
    head.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([head, Buffer.from(bytes)]);
  });
  return Buffer.concat([header, Buffer.alloc(4), question, ...records]);
}

let servers: string[] = [];
let stop = (): void => {};

beforeAll(async () => {
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(self, query, port, address) {
        const response = respond(query);
        if (response !== null) self.send(response, port, address);
      },
    },
  });
  servers = [`127.0.0.1:${socket.port}`];
  stop = () => socket.close();
});

afterAll(() => {
  stop();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (host: string, timeoutMs = 5000): ReturnType<typeof resolve> =>
  resolve(host, { timeoutMs, servers, hostsFile });

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
    expect(await resolve("localhost", { timeoutMs: 1000, servers, hostsFile: `${folder}/none` })).toEqual(loopback);
    expect(await ask("api.localhost")).toEqual(loopback);
    expect((await resolve("localhost", { timeoutMs: 1000 })).addresses[0]).toBe("127.0.0.1");
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
    const started = performance.now();
    expect((await failureOf("silent.test", 150)).code).toBe("ETIMEOUT");
    expect(performance.now() - started).toBeLessThan(4000);
  });
});
