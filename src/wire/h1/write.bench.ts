// Cost of writing a parsed request head with a block of forwarded fields.

import { Scratch } from "../../base/bytes.ts";
import { Head } from "../head.ts";
import { sampleRequest } from "./parse.bench.ts";
import { parseRequest } from "./parse.ts";
import { ConnectionSays, writeRequestHead } from "./write.ts";

/** Nanoseconds per request head. */
export function bench(iterations: number): number {
  const head = new Head(100);
  const out = new Scratch(4096);
  const added = new Scratch(256);
  added.putText("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 192.0.2.1\r\n");
  parseRequest(sampleRequest, 0, sampleRequest.length, head, 65536, 100);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    out.length = 0;
    writeRequestHead(out, head, added, ConnectionSays.Nothing);
  }
  return (Bun.nanoseconds() - started) / iterations;
}
