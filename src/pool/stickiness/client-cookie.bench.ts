// Cost of a cookie of ours in a request, when the worker has seen it before.

import { Scratch } from "../../base/bytes.ts";
import { createSealer } from "../../sys/sealer.ts";
import { SetClock } from "../sample-pool.ts";
import { CookieStickiness } from "./client-cookie.ts";
import { StickyMark } from "./stickiness.ts";
import { cookieConfig, pairOf, requestHead, responseHead, testKey, written } from "./test-kit.ts";
import { TokenBox } from "./token.ts";

/** Nanoseconds per recall() and answered() of a client that stays where it is. */
export function bench(iterations: number): number {
  const ids = Array.from({ length: 20 }, (_, i) => `10.0.0.${i}:80`);
  const box = new TokenBox(createSealer([testKey(1)]));
  const sticky = new CookieStickiness(cookieConfig(), "users", ids, box, new SetClock());
  const mark = new StickyMark();
  const answer = responseHead();
  const heads = ids.map((_, index) => {
    sticky.recall(mark, requestHead());
    const line = written((into) => sticky.answered(mark, index, false, answer, false, into));
    return requestHead("Accept: */*", `Cookie: theme=dark; ${pairOf(line)}; consent=1`);
  });
  const into = new Scratch(256);
  const started = Bun.nanoseconds();
  for (let k = 0; k < iterations; k++) {
    const index = sticky.recall(mark, heads[k % heads.length]!);
    sticky.answered(mark, index, true, answer, false, into);
  }
  const spent = Bun.nanoseconds() - started;
  if (into.length > 0) throw new Error("a client was not recognised");
  return spent / iterations;
}
