// Cost of a cookie of ours that the worker has not seen before: the cryptography of every new client.

import { Scratch } from "../../base/bytes.ts";
import { createSealer } from "../../sys/sealer.ts";
import { hashName } from "./id-index.ts";
import { testKey } from "./test-kit.ts";
import { TokenBox, TokenKind } from "./token.ts";

/** Nanoseconds per token sealed by one worker and opened by another. */
export function bench(iterations: number): number {
  const [one, other] = [new TokenBox(createSealer([testKey(1)])), new TokenBox(createSealer([testKey(1)]))];
  const [scope, id] = [hashName("users"), hashName("10.0.0.1:80")];
  const into = new Scratch(256);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    into.length = 0;
    one.seal(into, TokenKind.Endpoint, scope, id, 1_700_000_000);
    if (other.open(into.bytes, 0, into.length) === null) throw new Error("it does not open");
  }
  return (Bun.nanoseconds() - started) / iterations;
}
