// Fuzzing of Accept-Encoding: any bytes as its value. The choice must be that of a naive reading with strings and
// regular expressions.

import type { FuzzTarget } from "../../tools/fuzz.ts";
import { latin1Text } from "../base/bytes.ts";
import type { Coding } from "../model/route-config.ts";
import { latin1 } from "../wire/h1/tables.ts";
import { chooseCoding } from "./accept-encoding.ts";
import { requestHead } from "./test-kit.ts";

const element = /^[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;[ \t]*[qQ]=([01])(?:\.([0-9]*))?[ \t]*)?$/;

/** What RFC 9110 12.5.3 says, written down as it reads. */
export function naiveChoice(values: readonly string[], codings: readonly Coding[]): Coding | null {
  const weights = new Map<string, number>();
  for (const text of values.flatMap((value) => value.split(","))) {
    const match = element.exec(text);
    if (match === null) continue;
    const [, name = "", whole = "1", digits = ""] = match;
    const weight = Math.min(1000, Number(whole) * 1000 + Number(digits.padEnd(3, "0").slice(0, 3)));
    const coding = name.toLowerCase().replace(/^x-gzip$/, "gzip");
    weights.set(coding, Math.min(weight, weights.get(coding) ?? 1000));
  }
  const weigh = (coding: string): number => weights.get(coding) ?? weights.get("*") ?? 0;
  const best = codings.toSorted((a, b) => weigh(b) - weigh(a))[0];
  if (best === undefined || weigh(best) === 0 || weigh(best) < (weights.get("identity") ?? 0)) return null;
  return best;
}

const orders: readonly (readonly Coding[])[] = [["zstd", "br", "gzip"], ["gzip"], ["gzip", "br", "zstd"], ["br"]];

export const target: FuzzTarget = {
  name: "accept-encoding",
  seeds: [
    "gzip, deflate, br, zstd",
    "br;q=1.0, gzip;q=0.8, *;q=0.1",
    "identity;q=0.5 , x-gzip ; q=0.5,zstd;q=0.001",
    "*;q=0, gzip;q=0.000, BR;Q=0.9999",
    "gzip;q=2, br;q=, zstd;q=1.5;x=y,,\t;q=1",
    "",
  ].map(latin1),
  run(input) {
    // What the parser lets through as a value.
    const value = latin1Text(input, 0, input.length).replaceAll(/[\0-\x08\x0a-\x1f\x7f]/g, ".");
    const values = value.split("zz", 3);
    const lines = values.map((each) => `Accept-Encoding: ${each}`);
    const head = requestHead(["GET / HTTP/1.1", "Host: h", ...lines].join("\n"));
    for (const codings of orders) {
      const choice = chooseCoding(head, codings);
      const expected = naiveChoice(values, codings);
      if (choice !== expected) throw new Error(`${choice}, not ${expected}, of ${codings.join()}`);
    }
  },
};
