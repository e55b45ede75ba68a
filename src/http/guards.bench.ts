// Cost of what may keep a request out: keys and limits, access lists, a login that is known. Without them a request
// pays nothing.

import { parseCidr, parseIp } from "../base/ip.ts";
import { AccessList } from "../limit/access.ts";
import { ConcurrencyLimit } from "../limit/concurrency.ts";
import { MinRate } from "../limit/min-rate.ts";
import { RateLimit } from "../limit/rate-limit.ts";
import { SharedTable, sharedTableWords } from "../stats/shared-table.ts";
import { parseRequest } from "../wire/h1/parse.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { Head } from "../wire/head.ts";
import { BasicAuth } from "./basic-auth.ts";
import { limitKeyOf } from "./limit-key.ts";
import { PasswordDesk } from "./password-desk.ts";

const request = latin1(
  "GET /api/users/42 HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n" +
    "X-Api-Key: k-0123456789\r\nAuthorization: Basic am9lOnNlY3JldCBwYXNzd29yZA==\r\n\r\n",
);
const address = parseIp("203.0.113.7")!;
const addressV6 = parseIp("2001:db8:17:4::7")!;
const seed = { k0: 1, k1: 2 };
const blocks = 4096;

function newTable(keys: number, values: number): SharedTable {
  const shape = { keys, values };
  return new SharedTable(new Int32Array(sharedTableWords(shape)), shape);
}

function nanoseconds(iterations: number, work: (k: number) => void): number {
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) work(k);
  return (Bun.nanoseconds() - started) / iterations;
}

/** A login that has been compared before. */
async function knownLogin(head: Head): Promise<BasicAuth> {
  const checker = { check: () => Promise.resolve(true) };
  const config = { realm: "r", users: [{ name: "joe", hash: "" }], userHeader: "X-User", passAuthorization: false };
  const auth = new BasicAuth(config, new PasswordDesk(checker, new Uint8Array(16)));
  await new Promise<number>((resolve) => auth.check(head, 0, { onAuth: resolve }));
  return auth;
}

/** Nanoseconds per request of each. */
export async function bench(iterations: number): Promise<Readonly<Record<string, number>>> {
  const head = new Head(100);
  parseRequest(request, 0, request.length, head, 65536, 100);
  const key = { a: 0, b: 0 };
  const rate = new RateLimit({ requests: 1e6, perMs: 1000, burst: 1e6 }, newTable(100_000, 1));
  const count = new ConcurrencyLimit(100, newTable(32_768, 8), 0);
  const lists = Array.from({ length: blocks }, (_, k) => `10.${k >> 4}.${(k & 15) << 4}.0/21`);
  const lists6 = Array.from({ length: blocks }, (_, k) => `2001:db8:${k.toString(16)}::/48`);
  for (const text of [...lists, ...lists6]) if (parseCidr(text) === null) throw new Error(text);
  const access = new AccessList({ allow: [], deny: [...lists, ...lists6] });
  const auth = await knownLogin(head);
  const nobody = { onAuth: () => {} };
  const meter = new MinRate();
  meter.begin(1000, 5000);
  meter.wait(0);
  const address4 = address.slice();
  const byHeader = { from: "header", name: "x-api-key" } as const;
  return {
    "key by source": nanoseconds(iterations, () => {
      limitKeyOf({ from: "source", name: "" }, head, address, seed, key);
    }),
    "key by header": nanoseconds(iterations, () => {
      limitKeyOf(byHeader, head, address, seed, key);
    }),
    "rate limit, one key": nanoseconds(iterations, (k) => {
      key.a = 7;
      key.b = 8;
      rate.check(key, 1000 + k * 0.01);
    }),
    "rate limit, 50000 keys": nanoseconds(iterations, (k) => {
      key.a = Math.imul(k % 50_000, 0x9e3779b9);
      key.b = k % 50_000;
      rate.check(key, 1e6 + k * 0.01);
    }),
    "requests in progress": nanoseconds(iterations, (k) => count.release(count.acquire(key, k))),
    [`access, ${blocks} blocks, IPv4`]: nanoseconds(iterations, (k) => {
      address4[0] = 10;
      address4[1] = k;
      address4[2] = k >> 8;
      access.permits(address4);
    }),
    [`access, ${blocks} blocks, IPv6`]: nanoseconds(iterations, () => {
      access.permits(addressV6);
    }),
    "known login": nanoseconds(iterations, () => {
      auth.check(head, 0, nobody);
    }),
    "minimum rate": nanoseconds(iterations, (k) => {
      meter.note(1000, k);
    }),
  };
}
