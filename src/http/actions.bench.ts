// Cost of what a route changes in a request: edits with literal values and with placeholders, a rewrite, CORS. Without
// them a request pays nothing.

import { Scratch } from "../base/bytes.ts";
import { defaultCors } from "../model/policy-defaults.ts";
import { sampleRequest } from "../wire/h1/parse.bench.ts";
import { parseRequest } from "../wire/h1/parse.ts";
import { Head, HeadFlag } from "../wire/head.ts";
import { Cors } from "./cors.ts";
import { compileEdits } from "./header-edits.ts";
import { Rewrite } from "./rewrite.ts";
import { factsOf } from "./test-facts.ts";

const head = new Head(100);
parseRequest(sampleRequest, 0, sampleRequest.length, head, 65536, 100);
const facts = factsOf(head, { source: "192.0.2.1" });
const added = new Scratch(1024);

function nanoseconds(iterations: number, work: () => void): number {
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    added.length = 0;
    work();
  }
  return (Bun.nanoseconds() - started) / iterations;
}

/** Nanoseconds per request of each. */
export function bench(iterations: number): Readonly<Record<string, number>> {
  const line = (value: string): { name: string; value: string }[] => [{ name: "x-env", value }];
  const fixed = compileEdits({ remove: ["x-secret"], set: line("prod"), add: [] }, "request")!;
  const filled = compileEdits({ remove: [], set: line("{source} {path} {header.user-agent}"), add: [] }, "request")!;
  const rewrite = new Rewrite({ path: "^/(.*)$", to: "/new/$1", host: "internal.example" });
  const cors = new Cors({ ...defaultCors, origins: ["https://app.example"] });
  return {
    "edits, fixed": nanoseconds(iterations, () => fixed.apply(head, added, null)),
    "edits, three placeholders": nanoseconds(iterations, () => filled.apply(head, added, facts)),
    "rewrite of path and host": nanoseconds(iterations, () => {
      rewrite.apply(head, facts);
      head.flags &= ~(HeadFlag.NewTarget | HeadFlag.NewHost);
    }),
    "CORS lines": nanoseconds(iterations, () => cors.decorate(head, head, added)),
  };
}
