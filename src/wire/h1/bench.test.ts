// Keeps the benches of this folder running; it measures nothing.

import { expect, test } from "bun:test";
import { bench as chunk } from "./chunked.bench.ts";
import { benchResponse, bench as request, sampleRequest } from "./parse.bench.ts";
import { seeRequest } from "./test-kit.ts";
import { bench as write } from "./write.bench.ts";

test("the benches run", () => {
  expect(seeRequest(sampleRequest).verdict).toBe("ok");
  for (const bench of [request, benchResponse, write]) expect(bench(100)).toBeGreaterThan(0);
  expect(chunk(1000)).toBeGreaterThan(0);
});
