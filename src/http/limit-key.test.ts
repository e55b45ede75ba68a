// What limits tell clients apart by.

import { expect, test } from "bun:test";
import { addressKeyOf } from "../base/address-key.ts";
import { parseIp } from "../base/ip.ts";
import { keyedHashText } from "../base/keyed-hash.ts";
import type { LimitKey } from "../model/route-config.ts";
import { bench } from "./guards.bench.ts";
import { limitKeyOf } from "./limit-key.ts";
import { requestHead } from "./test-kit.ts";

const seed = { k0: 0x1234567, k1: -0x7654321 };
const head = requestHead("GET /a/b?x=1&user=joe HTTP/1.1\nHost: h\nX-User: Anna\nCookie: sid=first; other=2");

function hashOf(key: LimitKey, address: string): unknown {
  const out = { a: 0, b: 0 };
  return limitKeyOf(key, head, parseIp(address), seed, out) ? out : null;
}

test.each([
  ["path", "", "/a/b"],
  ["uri", "", "/a/b?x=1&user=joe"],
  ["header", "x-user", "Anna"],
  ["cookie", "other", "2"],
  ["query", "user", "joe"],
] as const)("%s %s", (from, name, text) => {
  const expected = { a: 0, b: 0 };
  keyedHashText(seed, text, expected);
  expect(hashOf({ from, name }, "192.0.2.1")).toEqual(expected);
});

test("a request without the key has none; with the key of the route all have one", () => {
  expect(hashOf({ from: "header", name: "x-none" }, "192.0.2.1")).toBeNull();
  expect(hashOf({ from: "cookie", name: "none" }, "192.0.2.1")).toBeNull();
  expect(hashOf({ from: "source", name: "" }, "unix:")).toBeNull();
  expect(hashOf({ from: "route", name: "" }, "unix:")).toEqual(hashOf({ from: "route", name: "" }, "192.0.2.1"));
});

test("by source: IPv4 by address, mapped or not; IPv6 by /64", () => {
  const of = (address: string): unknown => {
    const out = { a: 0, b: 0 };
    expect(addressKeyOf(parseIp(address), seed, out)).toBe(true);
    expect(hashOf({ from: "source", name: "" }, address)).toEqual(out);
    return out;
  };
  expect(of("192.0.2.1")).not.toEqual(of("192.0.2.2"));
  expect(of("::ffff:192.0.2.1")).toEqual(of("192.0.2.1"));
  expect(of("2001:db8:1:2:3:4:5:6")).toEqual(of("2001:db8:1:2::1"));
  expect(of("2001:db8:1:2::1")).not.toEqual(of("2001:db8:1:3::1"));
});

test("the bench runs", async () => {
  for (const nanoseconds of Object.values(await bench(100))) expect(nanoseconds).toBeGreaterThan(0);
});
