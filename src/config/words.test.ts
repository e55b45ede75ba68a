// The small parsers and word finders that diagnostics rest on.

import { describe, expect, test } from "bun:test";
import { durationMsMax } from "../base/limits.ts";
import { formatBind, isFault, parseBind, parseEndpointAddress } from "./address.ts";
import { formatPath, show } from "./problem.ts";
import { didYouMean, listWords, nearest, sameWord, synonym } from "./suggest.ts";
import { formatSize, parseDuration, parsePercent, parseSize } from "./units.ts";

describe("units", () => {
  test("durations", () => {
    const good = { "0s": 0, "250ms": 250, "10s": 10_000, "5m": 300_000, "1h": 3_600_000, "24d": durationMsMax };
    for (const [text, ms] of Object.entries(good)) expect(parseDuration(text)).toBe(ms);
    const bad = ["", "5", "s", "1.5s", "-1s", "1 s", "5S", "1w", "off", "25d", "2073600001ms", "99999999999999999s"];
    for (const text of bad) expect([text, parseDuration(text)]).toEqual([text, null]);
  });

  test("sizes, there and back", () => {
    const good = { "0": 0, "512": 512, "64k": 65_536, "8m": 8_388_608, "2g": 2_147_483_648, "1025": 1025 };
    for (const [text, bytes] of Object.entries(good)) {
      expect(parseSize(text)).toBe(bytes);
      expect(formatSize(bytes)).toBe(text);
    }
    for (const text of ["", "k", "1.5k", "8mb", "1t", "-1", "9007199254740993", "9007199254740991g"]) {
      expect([text, parseSize(text)]).toEqual([text, null]);
    }
  });

  test("percentages", () => {
    expect(parsePercent("125%")).toBe(125);
    for (const text of ["125", "%", "1.5%", "-1%", "1234567%"]) expect(parsePercent(text)).toBeNull();
  });
});

describe("addresses", () => {
  test("are canonical, and printed as they are read", () => {
    for (const [text, canonical] of [
      ["[2001:DB8:0::1]:80", "[2001:db8::1]:80"],
      ["0.0.0.0:0", "0.0.0.0:0"],
      ["unix:@name", "unix:@name"],
      ["unix:./rel.sock", "unix:./rel.sock"],
      ["[fe80::1%eth0]:80", "[fe80::1%eth0]:80"],
    ] as const) {
      const bind = parseBind(text);
      if (isFault(bind)) throw new Error(bind.message);
      expect(formatBind(bind)).toBe(canonical);
      expect(parseBind(canonical)).toEqual(bind);
    }
  });

  test("host names", () => {
    const label = "a".repeat(63);
    for (const host of [
      "localhost",
      "a.b.c",
      "under_score",
      "trailing.dot.",
      "xn--bcher-kva.example",
      "0x7f",
      `${label}.${label}`,
    ]) {
      expect(parseEndpointAddress(`${host}:80`)).toEqual({ host, port: 80, unixPath: null });
    }
    for (const host of ["", "-a", "a-", "a..b", ".", "1.2.3", "a.1", `${label}a`, "a b", "ä", `${label}.`.repeat(4)]) {
      expect(isFault(parseEndpointAddress(`${host}:80`))).toBe(true);
    }
  });
});

describe("suggestions", () => {
  const known = ["requestHead", "idle", "body", "write", "slowStart"];
  test("near words, whatever their case and dashes", () => {
    expect(nearest("reqestHead", known)).toBe("requestHead");
    expect(nearest("request_head", known)).toBe("requestHead");
    expect(nearest("slow-start", known)).toBe("slowStart");
    expect(nearest("wirte", known)).toBe("write");
    expect(sameWord("MAX_FAILS", "maxFails")).toBe(true);
  });

  test("nothing where nothing is near", () => {
    for (const word of ["", "_", "x", "timeout", "zzzzzz", "é".repeat(1000)])
      expect([word, nearest(word, known)]).toEqual([word, null]);
    expect(didYouMean("nothing", known)).toBe("");
    expect(nearest("idle", [])).toBeNull();
  });

  test("words of other balancers, only where they belong", () => {
    expect(synonym("upstreams", ["listeners", "pools"])).toBe("pools");
    expect(synonym("servers", ["balance", "endpoints"])).toBe("endpoints");
    expect(synonym("servers", ["idle"])).toBeNull();
  });

  test("lists of words", () => {
    expect(listWords(["a"])).toBe("a");
    expect(listWords(["a", "b", "c"])).toBe("a, b or c");
    expect(listWords(Array.from({ length: 40 }, (_, i) => `w${i}`))).toEndWith("…");
  });
});

test("paths and found values", () => {
  expect(formatPath(["pools", "a.b", "endpoints", 0, "weight"])).toBe('pools["a.b"].endpoints[0].weight');
  expect(formatPath([])).toBe("");
  expect(show("x".repeat(100)).length).toBeLessThan(70);
  expect([null, 5, true, [], {}, ""].map((value) => show(value))).toEqual([
    "nothing",
    "the number 5",
    "true",
    "an empty list",
    "a map",
    "an empty text",
  ]);
});
