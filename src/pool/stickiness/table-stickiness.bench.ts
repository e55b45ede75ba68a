// Cost of looking a client up in the shared table.

import { parseIp } from "../../base/ip.ts";
import { SharedTable, sharedTableWords } from "../../stats/shared-table.ts";
import { SetClock } from "../sample-pool.ts";
import { SessionTable, sessionTableShape } from "./session-table.ts";
import { StickyMark } from "./stickiness.ts";
import { SourceStickiness } from "./table-stickiness.ts";
import { requestHead } from "./test-kit.ts";

/** Nanoseconds per recall() and chosen() by the client's address. */
export function bench(iterations: number): number {
  const shape = sessionTableShape(10_000);
  const table = new SharedTable(new Int32Array(sharedTableWords(shape)), shape);
  const sessions = new SessionTable(table, { k0: 1, k1: 2 }, 60_000);
  const sticky = new SourceStickiness(["a:1", "b:1", "c:1"], sessions, new SetClock());
  const mark = new StickyMark();
  const head = requestHead();
  const clients = Array.from({ length: 1000 }, (_, i) => parseIp(`192.0.${i >> 8}.${i & 255}`)!);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    const index = sticky.recall(mark, head, clients[k % clients.length]!);
    sticky.chosen(mark, index < 0 ? k % 3 : index, index >= 0);
  }
  return (Bun.nanoseconds() - started) / iterations;
}
