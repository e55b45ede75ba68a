// Which coding a client gets for what it says, and that this is what a naive reading of the RFC comes to.

import { describe, expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import type { Coding } from "../model/route-config.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { naiveChoice, target } from "./accept-encoding.fuzz.ts";
import { chooseCoding } from "./accept-encoding.ts";
import { requestHead } from "./test-kit.ts";

const ours: readonly Coding[] = ["zstd", "br", "gzip"];

function choose(values: readonly string[], codings = ours): Coding | null {
  const lines = values.map((value) => `accept-encoding: ${value}`);
  return chooseCoding(requestHead(["GET / HTTP/1.1", "Host: h", ...lines].join("\n")), codings);
}

describe("what a client says, and what it gets", () => {
  test.each<[string, Coding | null]>([
    ["gzip, deflate, br, zstd", "zstd"],
    ["gzip, deflate, br", "br"],
    ["gzip", "gzip"],
    ["GZip", "gzip"],
    ["x-gzip", "gzip"],
    ["deflate, compress", null],
    ["", null],
    ["identity", null],
    ["*", "zstd"],
    ["*;q=0", null],
    ["*;q=0, gzip", "gzip"],
    ["gzip;q=0", null],
    ["gzip;q=0.000", null],
    ["gzip;q=0.001", "gzip"],
    ["gzip;q=0, *", "zstd"],
    ["zstd;q=0, *", "br"],
    ["br;q=0.9, gzip", "gzip"],
    ["br;q=0.9, gzip;q=0.9", "br"],
    ["gzip;q=0.5, *;q=0.1", "gzip"],
    ["gzip;q=0.5, *;q=0.6", "zstd"],
    ["identity, gzip", "gzip"],
    ["identity, gzip;q=0.9", null],
    ["identity;q=0.5, gzip;q=0.5", "gzip"],
    ["identity;q=0", null],
    ["identity;q=0, gzip;q=0.1", "gzip"],
    ["  gzip\t;\tq=0.3 ,, , br ; q=0.2", "gzip"],
    ["gzip;Q=0.3", "gzip"],
    ["gzip;q=1.5", "gzip"],
    ["gzip;q=2, br", "br"],
    ["gzip;q=2", null],
    ["gzip;q=.5", null],
    ["gzip;q=-1", null],
    ["gzip;q", null],
    ["gzip;level=9", null],
    ["gzip;q=1;level=9", null],
    ["gzip br", null],
    ["gzip;q=0.5, gzip", "gzip"],
    ["gzip;q=0, gzip", null],
    ["gzipp, xgzip, b, brr", null],
  ])("%p: %p", (value, coding) => {
    expect(choose([value])).toBe(coding);
    expect(naiveChoice([value], ours)).toBe(coding);
  });

  test("nothing", () => {
    expect(choose([])).toBeNull();
  });

  test("several fields count as one", () => {
    expect(choose(["gzip;q=0.5", "deflate", "br;q=0.6"])).toBe("br");
    expect(choose(["gzip", "gzip;q=0"])).toBeNull();
  });

  test("one request leaves nothing to the next", () => {
    expect(choose(["*"])).toBe("zstd");
    expect(choose(["deflate"])).toBeNull();
  });
});

describe("our order decides between those that are liked equally", () => {
  test.each<[readonly Coding[], Coding]>([
    [["gzip", "br", "zstd"], "gzip"],
    [["br", "gzip"], "br"],
    [["zstd"], "zstd"],
  ])("%p", (codings, coding) => {
    expect(choose(["zstd, gzip, br"], codings)).toBe(coding);
  });
});

test("random fields agree with the naive reading", () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const rng = seededRng(seed);
  const pieces = ["gzip", "br", "zstd", "identity", "*", "x", ",", ";", "q=", "0", "1", ".", "5", " ", "zz", "=", "é"];
  for (let run = 0; run < 3000; run++) {
    const text = Array.from({ length: rng.below(25) }, () => pieces[rng.below(pieces.length)]!).join("");
    try {
      target.run(latin1(text));
    } catch (error) {
      throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
});
