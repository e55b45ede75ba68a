// IP literals and CIDR blocks: known forms, known wrong forms, and print∘parse over random addresses.

import { expect, test } from "bun:test";
import { cidrContains, formatIp, isLoopback, parseCidr, parseIp } from "./ip.ts";

const canonical: readonly (readonly [string, string])[] = [
  ["0.0.0.0", "0.0.0.0"],
  ["192.0.2.255", "192.0.2.255"],
  ["::", "::"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["fe80::", "fe80::"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["::ffff:10.1.2.3", "::ffff:10.1.2.3"],
  ["::FFFF:0a01:0203", "::ffff:10.1.2.3"],
  ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
];

test("literals read and printed canonically", () => {
  for (const [text, want] of canonical) expect(formatIp(parseIp(text)!)).toBe(want);
});

test("wrong literals", () => {
  const wrong = [
    ...["", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "0x7f.0.0.1", "1.2.3.-4", "a.b.c.d", "1..2.3"],
    ...[
      ":",
      ":::",
      "1::2::3",
      "12345::",
      "g::",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "::1.2.3",
      "1.2.3.4::",
      "1:",
      ":1",
    ],
    ...["1:2:3:4:5:6:7::8:9", "::ffff:1.2.3.4.5", "[::1]", "::1%eth0", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4::5:6:7:8"],
  ];
  for (const text of wrong) expect([text, parseIp(text)]).toEqual([text, null]);
});

test("random addresses survive printing and reading", () => {
  let state = 12345;
  const next = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16;
  for (let n = 0; n < 2000; n++) {
    const bytes = new Uint8Array(n % 2 === 0 ? 4 : 16).map(() => (next() % 3 === 0 ? next() & 0xff : 0));
    expect(parseIp(formatIp(bytes))).toEqual(bytes);
  }
});

test("blocks", () => {
  const block = parseCidr("10.1.2.3/12")!;
  expect(formatIp(block.bytes)).toBe("10.0.0.0");
  expect(cidrContains(block, parseIp("10.15.255.255")!)).toBe(true);
  expect(cidrContains(block, parseIp("10.16.0.0")!)).toBe(false);
  expect(cidrContains(block, parseIp("::ffff:10.0.0.1")!)).toBe(false);
  expect(cidrContains(parseCidr("0.0.0.0/0")!, parseIp("203.0.113.9")!)).toBe(true);
  expect(cidrContains(parseCidr("::1")!, parseIp("::1")!)).toBe(true);
  expect(cidrContains(parseCidr("2001:db8::/33")!, parseIp("2001:db8:8000::")!)).toBe(false);
  for (const text of [
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/08",
    "/8",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
    "x/8",
  ]) {
    expect([text, parseCidr(text)]).toEqual([text, null]);
  }
});

test("loopback", () => {
  for (const text of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
    expect(isLoopback(parseIp(text)!)).toBe(true);
  for (const text of ["0.0.0.0", "::", "128.0.0.1", "10.0.0.1"]) expect(isLoopback(parseIp(text)!)).toBe(false);
});
